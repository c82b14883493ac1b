#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: calico_bgp_peer
short_description: BGP peers of Calico, and whether their sessions are Established
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Creates, changes or removes a BGPPeer through whichever API the cluster serves, C(projectcalico.org/v3) or
    C(crd.projectcalico.org/v1), and can wait until its sessions are Established on every node that it selects.
  - Every field is checked before it is sent, since Calico's own store accepts anything and a wrong peer would be ignored without a word.
  - The options are the whole specification. A field whose option is not given is removed from an existing peer.
  - Runs against the cluster's API, usually on the controller.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.actiongroup_kube
  - podnet.cni._kube
attributes:
  check_mode:
    support: full
    details:
      - The API server checks the peer in a dry run. O(wait) does nothing in check mode.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: posix
options:
  name:
    description: Name of the BGPPeer.
    type: str
    required: true
  state:
    description: Whether there shall be such a peer.
    type: str
    choices: [present, absent]
    default: present
  node:
    description: The one node that peers. Without O(node) and O(node_selector) all nodes do.
    type: str
  node_selector:
    description: The nodes that peer, in Calico's selector language, such as V(zone == 'a').
    type: str
  peer_ip:
    description: Address of the other side, with a port if it is not 179, such as V(10.0.0.1), V(10.0.0.1:1790) or V([fd00::1]:1790).
    type: str
  as_number:
    description: AS number of the other side, plain or dotted. Quote a dotted one, since YAML would read a fraction.
    type: raw
  peer_selector:
    description: The nodes to peer with, in Calico's selector language. Their AS number is known.
    type: str
  local_workload_selector:
    description: Pods to peer with, in Calico's selector language. Needs O(as_number). For Calico v3.30 and newer.
    type: str
  local_as_number:
    description: AS number that the nodes show to this peer instead of their own. For Calico v3.30 and newer.
    type: raw
  keep_original_next_hop:
    description: Whether routes are sent with the next hop that they came with. Newer versions prefer O(next_hop_mode).
    type: bool
  next_hop_mode:
    description: Next hop of the routes that are sent. For Calico v3.31 and newer.
    type: str
    choices: [Auto, Self, Keep]
  password:
    description: MD5 password of the session, in a Secret in calico-node's namespace that calico-node may read.
    type: dict
    suboptions:
      name:
        description: Name of the Secret.
        type: str
        required: true
      key:
        description: Key in the Secret.
        type: str
        required: true
  source_address:
    description: Whether BIRD binds the session to the node's address, or leaves the choice to the kernel.
    type: str
    choices: [UseNodeIP, None]
  max_restart_time:
    description: How long the other side keeps the nodes' routes while calico-node restarts (graceful restart), such as V(120s).
    type: str
  keepalive_time:
    description: Time between keepalive messages, such as V(30s). For Calico v3.32 and newer.
    type: str
  num_allowed_local_as_numbers:
    description: How often the nodes' own AS number may be in the path of a received route. Takes protection against loops away.
    type: int
  ttl_security:
    description: Number of hops to the peer for TTL security (RFC 5082), which both sides need.
    type: int
  reachable_by:
    description: Address of the gateway to O(peer_ip), for a static route to the peer.
    type: str
  filters:
    description: Names of BGPFilters, in order. They have to exist.
    type: list
    elements: str
  reverse_peering:
    description: Whether the nodes of O(peer_selector) get the other side of the peering by themselves. For Calico v3.30 and newer.
    type: str
    choices: [Auto, Manual]
  wait:
    description:
      - Whether to wait until the session is Established on all selected nodes. If it is not in time, the module fails and tells on which
        nodes and why; the peer stays.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait.
    type: float
    default: 60.0
notes:
  - To wait, it creates one CalicoNodeStatus for each selected node and removes it again. The error texts come from C(birdcl) in
    calico-node's pods, which needs the right to create C(pods/exec); without it only the states are told.
seealso:
  - module: podnet.cni.calico_ipam
"""

EXAMPLES = r"""
- name: Peer with the routers of a zone and wait for the sessions
  podnet.cni.calico_bgp_peer:
    name: tor-a
    peer_ip: 172.30.1.1
    as_number: 64512
    node_selector: zone == 'a'
    wait: true
  delegate_to: localhost

- name: Peer with route reflectors among the nodes
  podnet.cni.calico_bgp_peer:
    name: reflectors
    node_selector: "!has(route-reflector)"
    peer_selector: has(route-reflector)
  delegate_to: localhost

- name: Remove a peer
  podnet.cni.calico_bgp_peer:
    name: tor-a
    state: absent
  delegate_to: localhost
"""

RETURN = r"""
api:
  description: The API group that was used.
  returned: always
  type: str
  sample: crd.projectcalico.org/v1
spec:
  description: The specification of the peer, empty when it is absent.
  returned: always
  type: dict
  sample: {peerIP: 172.30.1.1, asNumber: 64512, nodeSelector: "zone == 'a'"}
nodes:
  description: Nodes that the peer selects.
  returned: with O(wait=true)
  type: list
  elements: str
  sample: [n1]
sessions:
  description: The sessions of this peer.
  returned: with O(wait=true)
  type: list
  elements: dict
  sample: [{node: n1, peer: 172.30.1.1, type: GlobalPeer, state: Established, info: null, since: "14:03:11", why: null}]
not_established:
  description: Sessions that are not Established, with the reason of each.
  returned: with O(wait=true)
  type: list
  elements: dict
  sample: []
seconds_waited:
  description: Duration of the wait.
  returned: with O(wait=true)
  type: float
  sample: 2.1
api_calls:
  description: Requests to the cluster's API.
  returned: always
  type: int
  sample: 3
"""

import contextlib
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_bgp_peer_spec, calico_resources, calico_sessions
from ansible_collections.podnet.cni.plugins.module_utils._kube import calico_status
from ansible_collections.podnet.cni.plugins.module_utils._kube.argspec import KUBE_ARGUMENTS
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, Invalid, KubeError, NotFound

Object = dict[str, t.Any]
KIND = "BGPPeer"
TRIES = 3


class Failure(Exception):
    """What the module fails with, and the results that it returns all the same."""

    def __init__(self, message: str, **results: t.Any) -> None:
        super().__init__(message)
        self.results = results


def wanted_spec(params: t.Mapping[str, t.Any]) -> Object:
    """The specification of the options, empty for a peer that shall not be.

    :raises Failure: with all that is wrong.
    """
    problems = []
    name = calico_bgp_peer_spec.name_problem("name", params["name"])
    if name:
        problems.append(name)
    if params["wait_timeout"] <= 0:
        problems.append(f"wait_timeout: {params['wait_timeout']} is not a duration; give seconds greater than 0")
    spec: Object = {}
    if params["state"] == "present":
        try:
            spec = calico_bgp_peer_spec.peer_spec(params)
        except calico_bgp_peer_spec.InvalidPeer as exc:
            problems += exc.problems
    elif params["wait"]:
        problems.append("wait: 'true' has no meaning with state=absent; remove wait")
    if problems:
        raise Failure("; ".join(problems))
    return spec


class Peer:
    """Brings one BGPPeer to its specification."""

    def __init__(self, kube: KubeClient, params: t.Mapping[str, t.Any], spec: Object, check_mode: bool) -> None:
        self.kube = kube
        self.params = params
        self.spec = spec
        self.check_mode = check_mode
        self.api = calico_resources.api_of(kube.served())
        self.collection = calico_resources.path_of(self.api, KIND)
        self.path = calico_resources.path_of(self.api, KIND, params["name"])
        self.warnings: list[str] = []

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results."""
        self._check_filters()
        changed, before = self._write()
        results: dict[str, t.Any] = {"changed": changed, "api": self.api, "spec": self.spec}
        results["diff"] = {"before": before, "after": self.spec if results["changed"] else before}
        if self.params["wait"] and not self.check_mode:
            results.update(self._wait(results))
        return results

    def _check_filters(self) -> None:
        """Calico ignores a peer that names a filter which does not exist."""
        for name in self.spec.get("filters") or []:
            if self.kube.get_or_none(calico_resources.path_of(self.api, "BGPFilter", name)) is None:
                raise Failure(f"filters: there is no BGPFilter '{name}'; create it first, or leave it out")

    def _write(self) -> tuple[bool, Object]:
        """Make it so; whether that was a change, and the specification before. Again when somebody else was quicker."""
        for attempt in range(1, TRIES + 1):
            try:
                return self._write_once()
            except Conflict:
                if attempt == TRIES:
                    raise
        raise AssertionError("unreachable")

    def _write_once(self) -> tuple[bool, Object]:
        current = self.kube.get_or_none(self.path)
        before: Object = (current or {}).get("spec") or {}
        if self.params["state"] == "absent":
            if current is not None:
                with contextlib.suppress(NotFound):
                    self.kube.delete(self.path, uid=current["metadata"].get("uid"), dry_run=self.check_mode)
            return current is not None, before
        changed = current is None or calico_bgp_peer_spec.comparable(before) != calico_bgp_peer_spec.comparable(self.spec)
        try:
            if current is None:
                document = calico_resources.document(self.api, KIND, self.params["name"], self.spec)
                self.kube.create(self.collection, document, dry_run=self.check_mode)
            elif changed:
                self.kube.replace(self.path, {**current, "spec": self.spec}, dry_run=self.check_mode)
        except Invalid as exc:
            raise Failure(self._refusal(exc)) from exc
        return changed, before

    def _refusal(self, error: KubeError) -> str:
        unknown = calico_bgp_peer_spec.unknown_field_option(error.message)
        if unknown:
            option, field = unknown
            return (
                f"{option}: '{self.params[option]}' needs a newer version of Calico: {self.api} of this cluster does not know the field {field}; "
                f"remove {option}, or upgrade Calico"
            )
        return f"the cluster's API refused BGPPeer {self.params['name']}: {error.message}; correct the option whose field it names"

    def _wait(self, results: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        nodes = list(self.kube.list("/api/v1/nodes"))
        selected = [node["metadata"]["name"] for node in calico_sessions.selected_nodes(self.spec, nodes)]
        expected = calico_sessions.expected_sessions(self.spec, nodes)
        if not selected:
            option = "node" if self.params["node"] else "node_selector"
            raise Failure(
                f"{option}: '{self.params[option]}' selects no node, so there is no session to wait for; compare it with the labels of the Nodes "
                "(kubectl get nodes --show-labels)",
                **results,
            )
        if not expected:
            self.warnings.append(f"BGPPeer {self.params['name']} asks for no session that can be waited for")
        outcome = calico_status.wait_for_sessions(self.kube, self.api, self.params["name"], expected, self.params["wait_timeout"])
        told = {
            "nodes": selected,
            "sessions": outcome.sessions,
            "not_established": outcome.missing,
            "seconds_waited": round(outcome.seconds, 3),
        }
        if outcome.missing:
            reasons = "; ".join(
                f"node {session['node']} to {session['peer']}: {session['state'] or 'no session'}, {session['why']}" for session in outcome.missing
            )
            raise Failure(
                f"BGPPeer {self.params['name']}: {len(outcome.missing)} of {len(expected)} sessions are not Established "
                f"after {self.params['wait_timeout']:g} s. {reasons}",
                **{**results, **told},
            )
        return told


def argument_spec() -> dict[str, dict[str, t.Any]]:
    """The module's options."""
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "node": {"type": "str"},
        "node_selector": {"type": "str"},
        "peer_ip": {"type": "str"},
        "as_number": {"type": "raw"},
        "peer_selector": {"type": "str"},
        "local_workload_selector": {"type": "str"},
        "local_as_number": {"type": "raw"},
        "keep_original_next_hop": {"type": "bool"},
        "next_hop_mode": {"type": "str", "choices": ["Auto", "Self", "Keep"]},
        "password": {
            "type": "dict",
            "no_log": False,  # it names a Secret, and is none
            "options": {"name": {"type": "str", "required": True}, "key": {"type": "str", "required": True, "no_log": False}},
        },
        "source_address": {"type": "str", "choices": ["UseNodeIP", "None"]},
        "max_restart_time": {"type": "str"},
        "keepalive_time": {"type": "str"},
        "num_allowed_local_as_numbers": {"type": "int"},
        "ttl_security": {"type": "int"},
        "reachable_by": {"type": "str"},
        "filters": {"type": "list", "elements": "str"},
        "reverse_peering": {"type": "str", "choices": ["Auto", "Manual"]},
        "wait": {"type": "bool", "default": False},
        "wait_timeout": {"type": "float", "default": 60.0},
        **KUBE_ARGUMENTS,
    }


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        spec = wanted_spec(module.params)
    except Failure as exc:
        module.fail_json(msg=str(exc))
    kube = KubeClient.from_module(module)
    try:
        peer = Peer(kube, module.params, spec, module.check_mode)
        results = peer.run()
    except Failure as exc:
        module.fail_json(msg=str(exc), api_calls=kube.calls, **exc.results)
    except calico_resources.NotServed as exc:
        module.fail_json(msg=str(exc))
    except KubeError as exc:
        module.fail_json(msg=f"the cluster's API refused: {exc}")
    for warning in peer.warnings:
        module.warn(warning)
    module.exit_json(api_calls=kube.calls, **results)


if __name__ == "__main__":
    main()
