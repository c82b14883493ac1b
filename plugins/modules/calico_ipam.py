#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: calico_ipam
short_description: Address pool, blocks, reservations and defaults of BGP and Felix, for a network that another CNI still uses
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Tells Calico's IPAM which addresses are whose before the first calico-node starts, in one call.
  - A claim is a BlockAffinity in state C(pending) for a block and a node. Calico's IPAM makes the block when the node needs its first
    address of it, and with strict affinity no other node takes one.
  - Everything that could give out an address comes after everything that forbids one, and the pool comes last.
  - Runs against the cluster's API, usually on the controller.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.actiongroup_kube
  - podnet.cni._kube
attributes:
  check_mode:
    support: full
    details:
      - The API server checks every object in a dry run.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: posix
options:
  state:
    description:
      - V(present) creates or changes what the other options name. Options that are not given are left as they are in the cluster.
      - V(absent) removes what only a migration needs, the O(reservations) by their names, the O(ignored_interfaces), and the labels of
        O(node_labels). Pools, blocks and other settings are never removed.
    type: str
    choices: [present, absent]
    default: present
  pool:
    description:
      - The pool. Its CIDR and block size cannot be changed once it exists.
    type: dict
    suboptions:
      name:
        description: Name of the IPPool.
        type: str
        required: true
      cidr:
        description: All addresses of the pool.
        type: str
        required: true
      block_size:
        description: Prefix length of a block.
        type: int
        default: 26
      nat_outgoing:
        description: Whether nodes masquerade packets of pods that leave the pools.
        type: bool
        default: true
      encapsulation:
        description:
          - V(none) leaves routes to BGP. With V(vxlan) Felix sends packets to pods of other nodes through VXLAN, with V(vxlan_cross_subnet)
            only those to nodes of other subnets.
        type: str
        choices: [none, vxlan_cross_subnet, vxlan]
        default: none
  strict_affinity:
    description: Whether a node only uses blocks of its own. Not changed when it is not given.
    type: bool
  max_blocks_per_host:
    description: How many blocks a node may have, V(0) for any number. Needs O(strict_affinity=true).
    type: int
  claims:
    description: Blocks that are kept for nodes.
    type: list
    elements: dict
    default: []
    suboptions:
      node:
        description: Name of the node.
        type: str
        required: true
      blocks:
        description: CIDRs of the blocks.
        type: list
        elements: str
        required: true
  reservations:
    description: Addresses that Calico must not give out by itself.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the IPReservation.
        type: str
        required: true
      cidrs:
        description: The addresses or CIDRs. When there is none there shall be no such reservation.
        type: list
        elements: str
        default: []
      node:
        description: Name of a node. The addresses that its pods have now are added, but for those of the host's network.
        type: str
  node_labels:
    description:
      - With O(state=present), label the nodes of O(claims) so that calico-kube-controllers does not take empty blocks away from them.
        Without claims all nodes are labelled.
      - With O(state=absent), remove this label from all nodes.
    type: bool
    default: false
  release:
    description:
      - Names of nodes whose empty blocks are given back, so that BIRD tells nobody of them any more. They stay claimed for the node, and a
        block in which an address is in use stays as it is.
      - For nodes whose CNI is another one now. Blackhole routes of their blocks go as well.
    type: list
    elements: str
    default: []
  ignored_interfaces:
    description:
      - Interfaces whose addresses BIRD must not announce, as names or BIRD's patterns such as V(flannel.*), 1 to 15 characters.
      - With O(state=present) they are added to those that the BGPConfiguration V(default) has, with O(state=absent) taken out of it.
    type: list
    elements: str
    default: []
  bgp:
    description: Fields of the BGPConfiguration V(default).
    type: dict
    suboptions:
      as_number:
        description: AS number of the nodes, plain or dotted (in quotes).
        type: raw
        required: true
      node_mesh:
        description: Whether every node peers with every other.
        type: bool
        default: false
  felix:
    description:
      - Fields of the FelixConfiguration V(default). Only those that are given are written.
      - A Felix that runs starts anew when one of them changes.
    type: dict
    suboptions:
      aws_source_check:
        description:
          - What Felix does with the source/destination check of the machine of AWS that it runs on, C(awsSrcDstCheck). V(disable) and
            V(enable) set it on the machine's first network interface, for which the machine needs the rights C(ec2:DescribeInstances) and
            C(ec2:ModifyNetworkInterfaceAttribute). V(do_nothing) leaves it as it is.
          - Until AWS has accepted V(disable) or V(enable) calico-node is not Ready, which on a machine of anybody else is for ever.
        type: str
        choices: [do_nothing, enable, disable]
        required: true
seealso:
  - module: podnet.cni.calico_install
  - module: podnet.cni.calico_bgp_peer
"""

EXAMPLES = r"""
- name: Give Calico Flannel's addresses, block by block, to the node that has them
  podnet.cni.calico_ipam:
    pool:
      name: podnet-pod-network
      cidr: 10.244.0.0/16
    strict_affinity: true
    max_blocks_per_host: 4
    claims:
      - node: n1
        blocks: [10.244.1.0/26, 10.244.1.64/26, 10.244.1.128/26, 10.244.1.192/26]
    reservations:
      - name: podnet-flannel-node-addresses
        cidrs: [10.244.1.0/31]
    node_labels: true
    ignored_interfaces: [flannel.*]
    bgp:
      as_number: 64512
  delegate_to: localhost

- name: Give the empty blocks of a node back that has another CNI again
  podnet.cni.calico_ipam:
    release: [n1]
  delegate_to: localhost

- name: Remove what only the migration needed
  podnet.cni.calico_ipam:
    state: absent
    reservations:
      - name: podnet-flannel-node-addresses
    node_labels: true
    ignored_interfaces: [flannel.*]
  delegate_to: localhost
"""

RETURN = r"""
claimed:
  description: Claims that were created, or would be in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{node: n1, block: 10.244.1.0/26}]
released:
  description: Blocks that were given back because of O(release), or would be in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{node: n1, block: 10.244.1.64/26}]
existing_claims:
  description: How many of the wanted claims were there already.
  returned: always
  type: int
  sample: 0
reserved:
  description: The CIDRs of each of the wanted O(reservations), by name.
  returned: always
  type: dict
  sample: {podnet-flannel-n1: [10.244.1.7/32]}
labelled:
  description: Nodes whose label was set or removed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [n1]
api_calls:
  description: Requests to the cluster's API.
  returned: always
  type: int
  sample: 14
seconds:
  description: Duration.
  returned: always
  type: float
  sample: 0.4
"""

import ipaddress
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_blocks, calico_resources
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_bgp_peer_spec import name_problem, parse_as_number
from ansible_collections.podnet.cni.plugins.module_utils._kube.argspec import KUBE_ARGUMENTS
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, KubeError
from ansible_collections.podnet.cni.plugins.module_utils._kube.evict import list_pods
from ansible_collections.podnet.cni.plugins.module_utils._kube.pods import addresses_of, uses_cni

Object = dict[str, t.Any]


class Failure(Exception):
    """Why nothing, or nothing more, was changed; the text has the remedy."""


def _network_problem(option: str, value: str) -> str | None:
    try:
        ipaddress.ip_network(value)
    except ValueError as exc:
        return f"{option}: '{value}' is not a CIDR: {exc}; give one such as 10.244.0.0/16"
    return None


def option_problems(params: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the options, with remedies."""
    problems = [problem for problem in _pool_problems(params) + _list_problems(params) if problem]
    if params["max_blocks_per_host"] is not None:
        if params["max_blocks_per_host"] < 0:
            problems.append(f"max_blocks_per_host: {params['max_blocks_per_host']} is less than 0; give 0 for any number")
        if not params["strict_affinity"]:
            problems.append("max_blocks_per_host: it needs strict_affinity, or nodes would borrow addresses; set strict_affinity: true")
    if params["bgp"]:
        try:
            parse_as_number(params["bgp"]["as_number"])
        except ValueError as exc:
            problems.append(f"bgp.as_number: '{params['bgp']['as_number']}' {exc}; give 64512, or '1.10' in quotes")
    problems += [
        f"ignored_interfaces: '{name}' is no name of an interface; give 1 to 15 letters, digits, '_', '.', '-' or '*', and not '*' alone"
        for name in params["ignored_interfaces"]
        if not calico_resources.is_interface_pattern(name)
    ]
    if params["state"] == "absent":
        problems += [
            f"{option}: '{params[option]}' is never removed by this module; leave {option} out with state=absent"
            for option in ("pool", "claims", "strict_affinity", "max_blocks_per_host", "release", "bgp", "felix")
            if params[option]
        ]
    return problems


def _pool_problems(params: t.Mapping[str, t.Any]) -> list[str | None]:
    pool = params["pool"]
    if not pool:
        return []
    problem = _network_problem("pool.cidr", pool["cidr"])
    if problem:
        return [problem]
    network = ipaddress.ip_network(pool["cidr"])
    size_problem = calico_blocks.block_size_problem(pool["block_size"], network.version)
    if size_problem:
        return [f"pool.block_size: {pool['block_size']} is not possible: {size_problem}; use 26 for IPv4"]
    if network.prefixlen > pool["block_size"]:
        return [f"pool.block_size: {pool['block_size']} is larger than the pool {network}; use {network.prefixlen} or more"]
    problems = [name_problem("pool.name", pool["name"])]
    for claim in params["claims"]:
        for block in claim["blocks"]:
            option = f"claims: block of {claim['node']}"
            if _network_problem(option, block):
                continue
            inner = ipaddress.ip_network(block)
            if inner.version != network.version or not inner.subnet_of(network):  # type: ignore[arg-type]
                problems.append(f"{option}: '{block}' is not inside the pool {network}; give blocks of the pool")
            elif inner.prefixlen != pool["block_size"]:
                problems.append(f"{option}: '{block}' is not a block of the pool; give blocks of /{pool['block_size']}")
    return problems


def _list_problems(params: t.Mapping[str, t.Any]) -> list[str | None]:
    problems: list[str | None] = []
    owners: dict[str, str] = {}
    for claim in params["claims"]:
        problems.append(name_problem("claims.node", claim["node"]))
        for block in claim["blocks"]:
            problems.append(_network_problem(f"claims: block of {claim['node']}", block))
            if owners.setdefault(block, claim["node"]) != claim["node"]:
                problems.append(f"claims: block '{block}' is claimed for {owners[block]} and {claim['node']}; give it to one node")
    for reservation in params["reservations"]:
        problems.append(name_problem("reservations.name", reservation["name"]))
        if reservation.get("node"):
            problems.append(name_problem("reservations.node", reservation["node"]))
        problems += [_network_problem(f"reservations.cidrs of {reservation['name']}", cidr) for cidr in reservation["cidrs"]]
    return problems


class Ipam:
    """Brings the cluster to what the options say."""

    def __init__(self, kube: KubeClient, params: t.Mapping[str, t.Any], check_mode: bool) -> None:
        self.kube = kube
        self.params = params
        self.check_mode = check_mode
        self.api = calico_resources.api_of(kube.served())
        self.store = calico_resources.store_of(kube.served())
        self.before: Object = {}
        self.after: Object = {}
        self.results: dict[str, t.Any] = {"claimed": [], "released": [], "existing_claims": 0, "labelled": [], "reserved": {}}

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results. All reasons to refuse are looked for before the first write."""
        if self.params["state"] == "absent":
            self._stop_ignoring_interfaces()
            self._remove_reservations()
            if self.params["node_labels"]:
                self._labels(self._nodes(), None)
        else:
            self._present()
        self.results["changed"] = self.before != self.after
        self.results["diff"] = {"before": self.before, "after": self.after}
        return self.results

    def _present(self) -> None:
        pool = self._judge_pool() if self.params["pool"] else None
        nodes = self._nodes() if self.params["claims"] or self.params["node_labels"] else []
        claims = self._judge_claims(nodes) if self.params["claims"] else None
        if self.params["strict_affinity"] is not None:
            self._ipam_config()
        self._reservations()
        if self.params["bgp"] or self.params["ignored_interfaces"]:
            self._bgp()
        if self.params["felix"]:
            self._settings(self.api, "FelixConfiguration", "default", calico_resources.felix_spec(self.params["felix"]["aws_source_check"]))
        if self.params["node_labels"]:
            wanted_names = {claim["node"] for claim in self.params["claims"]}
            self._labels([node for node in nodes if not wanted_names or node["metadata"]["name"] in wanted_names], calico_resources.MIGRATION_VALUE)
        if claims:
            self._claim(claims)
        if self.params["release"]:
            self._release()
        if self.params["pool"]:
            self._pool(pool)

    # -- one kind each

    def _nodes(self) -> list[Object]:
        return list(self.kube.list("/api/v1/nodes"))

    def _judge_pool(self) -> Object | None:
        """The pool if it exists and is the same.

        :raises Failure: when it is another one, or overlaps with one.
        """
        wanted = self.params["pool"]
        network = ipaddress.ip_network(wanted["cidr"])
        found = None
        for pool in self.kube.list(calico_resources.path_of(self.api, "IPPool")):
            name, spec = pool["metadata"]["name"], pool["spec"]
            other = ipaddress.ip_network(spec["cidr"])
            if name == wanted["name"]:
                size = spec.get("blockSize") or (26 if other.version == 4 else 122)
                if other != network or size != wanted["block_size"]:
                    raise Failure(
                        f"pool: IPPool {name} exists with cidr {other} and block size {size}, not {network} and {wanted['block_size']}, and "
                        "neither can be changed; use these values, or delete the pool if no pod has an address of it"
                    )
                found = pool
            elif other.version == network.version and other.overlaps(network):
                raise Failure(
                    f"pool: {network} overlaps with IPPool {name} ({other}); use its name and cidr, or delete it if no pod has an address of it"
                )
        return found

    def _judge_claims(self, nodes: t.Sequence[Object]) -> calico_blocks.Claims:
        names = {node["metadata"]["name"] for node in nodes}
        unknown = [claim["node"] for claim in self.params["claims"] if claim["node"] not in names]
        if unknown:
            raise Failure(f"claims: '{', '.join(unknown)}' is no node of the cluster; it has {', '.join(sorted(names))}")
        wanted = [(claim["node"], block) for claim in self.params["claims"] for block in claim["blocks"]]
        affinities = [item["spec"] for item in self.kube.list(calico_resources.path_of(self.store, "BlockAffinity"))]
        blocks = [item["spec"] for item in self.kube.list(calico_resources.path_of(self.store, "IPAMBlock"))]
        claims = calico_blocks.judge_claims(wanted, affinities, blocks)
        if claims.conflicts:
            raise Failure(
                f"claims: {'; '.join(claims.conflicts)}. Nothing was changed. Release these blocks first (calicoctl ipam release, or delete "
                "the pods that use them), or claim other ones"
            )
        return claims

    def _claim(self, claims: calico_blocks.Claims) -> None:
        self.results["existing_claims"] = len(claims.existing)
        if not claims.create:
            return
        schema = self._affinity_schema()
        for node, block in claims.create:
            affinity = calico_resources.pending_affinity(self.store, node, block, schema)
            try:
                self.kube.create(calico_resources.path_of(self.store, "BlockAffinity"), affinity, dry_run=self.check_mode)
            except Conflict as exc:
                raise Failure(f"claims: block {block} of {node} was claimed by somebody else at this moment ({exc}); run again") from exc
            self.results["claimed"].append({"node": node, "block": block})
            self.after.setdefault("claims", {}).setdefault(node, []).append(block)
        self.before["claims"] = {}

    def _release(self) -> None:
        """Give empty blocks of some nodes back, as Calico does when it releases one, and claim them for the node at once.

        See projectcalico/calico:libcalico-go/lib/ipam/ipam_block_reader_writer.go, releaseBlockAffinity. It is the end of the affinity that makes
        BIRD tell nobody any more: a change of its state is not looked at (confd/pkg/backends/calico/client.go).
        """
        blocks = {item["spec"].get("cidr"): item for item in self.kube.list(calico_resources.path_of(self.store, "IPAMBlock"))}
        empty = [
            (affinity, blocks[affinity["spec"]["cidr"]])
            for affinity in self.kube.list(calico_resources.path_of(self.store, "BlockAffinity"))
            if affinity["spec"].get("node") in self.params["release"]
            and affinity["spec"].get("cidr") in blocks
            and calico_blocks.is_empty(blocks[affinity["spec"]["cidr"]]["spec"])
        ]
        if not empty:
            return
        schema = self._affinity_schema()
        for affinity, block in empty:
            node, cidr = affinity["spec"]["node"], affinity["spec"]["cidr"]
            for kind, item in (("BlockAffinity", affinity), ("IPAMBlock", block)):
                path = calico_resources.path_of(self.store, kind, item["metadata"]["name"])
                self.kube.delete(path, uid=item["metadata"].get("uid"), dry_run=self.check_mode)
            if not self.check_mode:
                self.kube.create(
                    calico_resources.path_of(self.store, "BlockAffinity"), calico_resources.pending_affinity(self.store, node, cidr, schema)
                )
            self.results["released"].append({"node": node, "block": cidr})
            self.before.setdefault("blocks", {}).setdefault(node, []).append(cidr)
        self.after["blocks"] = {}

    def _affinity_schema(self) -> calico_resources.AffinitySchema:
        """How this version of Calico writes BlockAffinities."""
        definition = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{calico_resources.affinity_definition(self.store)}"
        return calico_resources.affinity_schema(self.kube.get_or_none(definition))

    def _ipam_config(self) -> None:
        kind = calico_resources.ipam_config_kind(self.store)
        wanted = calico_resources.ipam_config_spec(self.params["strict_affinity"], self.params["max_blocks_per_host"])
        self._settings(self.store, kind, "default", wanted)

    def _pool(self, existing: Object | None) -> None:
        pool = self.params["pool"]
        wanted = calico_resources.ip_pool_spec(pool["cidr"], pool["block_size"], pool["nat_outgoing"], pool["encapsulation"])
        self._settings(self.api, "IPPool", pool["name"], wanted, existing or {})

    def _settings(self, api: str, kind: str, name: str, wanted: Object, current: Object | None = None) -> None:
        """Some fields of a resource; C(current) is what was read of it, empty when there is none."""
        path = calico_resources.path_of(api, kind, name)
        if current is None:
            current = self.kube.get_or_none(path)
        spec = (current or {}).get("spec") or {}
        if current and all(spec.get(field, calico_resources.ABSENT.get(field)) == value for field, value in wanted.items()):
            return
        if current:
            self.kube.merge_patch(path, {"spec": wanted}, dry_run=self.check_mode)
        else:
            self.kube.create(calico_resources.path_of(api, kind), calico_resources.document(api, kind, name, wanted), dry_run=self.check_mode)
        self.before[f"{kind} {name}"] = spec
        self.after[f"{kind} {name}"] = {**spec, **wanted}

    def _bgp(self) -> None:
        """The fields of the default BGPConfiguration that the options name."""
        bgp = self.params["bgp"]
        wanted = calico_resources.bgp_configuration_spec(parse_as_number(bgp["as_number"]), bgp["node_mesh"]) if bgp else {}
        current = self.kube.get_or_none(calico_resources.path_of(self.api, "BGPConfiguration", "default")) or {}
        ignored = (current.get("spec") or {}).get("ignoredInterfaces") or []
        more = [name for name in dict.fromkeys(self.params["ignored_interfaces"]) if name not in ignored]
        if more:
            wanted["ignoredInterfaces"] = [*ignored, *more]
        if wanted:
            self._settings(self.api, "BGPConfiguration", "default", wanted, current)

    def _stop_ignoring_interfaces(self) -> None:
        if not self.params["ignored_interfaces"]:
            return
        path = calico_resources.path_of(self.api, "BGPConfiguration", "default")
        current = self.kube.get_or_none(path)
        ignored = ((current or {}).get("spec") or {}).get("ignoredInterfaces") or []
        left = [name for name in ignored if name not in self.params["ignored_interfaces"]]
        if left != ignored:
            self.kube.merge_patch(path, {"spec": {"ignoredInterfaces": left or None}}, dry_run=self.check_mode)
            self.before["BGPConfiguration default"] = {"ignoredInterfaces": ignored}
            self.after["BGPConfiguration default"] = {"ignoredInterfaces": left}

    def _read_reservations(self) -> dict[str, list[str]]:
        """The CIDRs of each reservation that exists, of those that the options name."""
        names = {reservation["name"] for reservation in self.params["reservations"]}
        if len(names) == 1:
            item = self.kube.get_or_none(calico_resources.path_of(self.api, "IPReservation", *names))
            items: t.Iterable[Object] = [item] if item else []
        else:
            items = self.kube.list(calico_resources.path_of(self.api, "IPReservation"))
        return {item["metadata"]["name"]: (item.get("spec") or {}).get("reservedCIDRs") or [] for item in items if item["metadata"]["name"] in names}

    def _reservations(self) -> None:
        if not self.params["reservations"]:
            return
        existing = self._read_reservations()
        for reservation in self.params["reservations"]:
            name = reservation["name"]
            more = self._pod_addresses(reservation["node"]) if reservation.get("node") else []
            cidrs = sorted({str(ipaddress.ip_network(cidr)) for cidr in [*reservation["cidrs"], *more]}, key=_order)
            self.results["reserved"][name] = cidrs
            current = existing.get(name)
            if not cidrs:
                if current is not None:
                    self._delete_reservation(name, current)
            elif current is None:
                path = calico_resources.path_of(self.api, "IPReservation")
                document = calico_resources.document(self.api, "IPReservation", name, {"reservedCIDRs": cidrs})
                self.kube.create(path, document, dry_run=self.check_mode)
                self._note_reservation(name, None, cidrs)
            elif sorted({str(ipaddress.ip_network(cidr)) for cidr in current}, key=_order) != cidrs:
                path = calico_resources.path_of(self.api, "IPReservation", name)
                self.kube.merge_patch(path, {"spec": {"reservedCIDRs": cidrs}}, dry_run=self.check_mode)
                self._note_reservation(name, current, cidrs)

    def _pod_addresses(self, node: str) -> list[str]:
        """Addresses that the pods of a node have from its CNI."""
        return [address for pod in list_pods(self.kube, node) if uses_cni(pod) for address in addresses_of(pod)]

    def _remove_reservations(self) -> None:
        if not self.params["reservations"]:
            return
        for name, cidrs in self._read_reservations().items():
            self._delete_reservation(name, cidrs)

    def _delete_reservation(self, name: str, cidrs: list[str]) -> None:
        self.kube.delete(calico_resources.path_of(self.api, "IPReservation", name), dry_run=self.check_mode)
        self._note_reservation(name, cidrs, None)

    def _note_reservation(self, name: str, before: list[str] | None, after: list[str] | None) -> None:
        self.before[f"IPReservation {name}"] = before
        self.after[f"IPReservation {name}"] = after

    def _labels(self, nodes: t.Iterable[Object], value: str | None) -> None:
        for node in nodes:
            name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
            current = labels.get(calico_resources.MIGRATION_LABEL)
            if current == value:
                continue
            body = {"metadata": {"labels": {calico_resources.MIGRATION_LABEL: value}}}
            self.kube.merge_patch(f"/api/v1/nodes/{name}", body, dry_run=self.check_mode)
            self.results["labelled"].append(name)
            self.before[f"Node {name}"] = {calico_resources.MIGRATION_LABEL: current}
            self.after[f"Node {name}"] = {calico_resources.MIGRATION_LABEL: value}


def _order(cidr: str) -> tuple[int, int, int]:
    network = ipaddress.ip_network(cidr)
    return network.version, int(network.network_address), network.prefixlen


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "pool": {
                "type": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "cidr": {"type": "str", "required": True},
                    "block_size": {"type": "int", "default": 26},
                    "nat_outgoing": {"type": "bool", "default": True},
                    "encapsulation": {"type": "str", "choices": list(calico_resources.ENCAPSULATIONS), "default": "none"},
                },
            },
            "strict_affinity": {"type": "bool"},
            "max_blocks_per_host": {"type": "int"},
            "claims": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "node": {"type": "str", "required": True},
                    "blocks": {"type": "list", "elements": "str", "required": True},
                },
            },
            "reservations": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "cidrs": {"type": "list", "elements": "str", "default": []},
                    "node": {"type": "str"},
                },
            },
            "node_labels": {"type": "bool", "default": False},
            "release": {"type": "list", "elements": "str", "default": []},
            "ignored_interfaces": {"type": "list", "elements": "str", "default": []},
            "bgp": {
                "type": "dict",
                "options": {
                    "as_number": {"type": "raw", "required": True},
                    "node_mesh": {"type": "bool", "default": False},
                },
            },
            "felix": {
                "type": "dict",
                "options": {"aws_source_check": {"type": "str", "choices": list(calico_resources.AWS_SOURCE_CHECKS), "required": True}},
            },
            **KUBE_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    problems = option_problems(module.params)
    if problems:
        module.fail_json(msg="; ".join(problems))
    started = time.monotonic()
    kube = KubeClient.from_module(module)
    try:
        results = Ipam(kube, module.params, module.check_mode).run()
    except (Failure, calico_resources.NotServed) as exc:
        module.fail_json(msg=str(exc))
    except KubeError as exc:
        module.fail_json(msg=f"the cluster's API refused: {exc}")
    module.exit_json(api_calls=kube.calls, seconds=round(time.monotonic() - started, 3), **results)


if __name__ == "__main__":
    main()
