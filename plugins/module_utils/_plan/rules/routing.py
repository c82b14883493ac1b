# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about the way to pods of other nodes: which one suits the cluster, and which cannot work."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_resources import (
    AWS_SOURCE_CHECKS,
    MIGRATION_LABEL,
    SOURCE_CHECK_FIELD,
    TUNNEL_ANNOTATION,
)
from ansible_collections.podnet.cni.plugins.module_utils._plan import addressing, modes, node_state, zones
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, INFO, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.modes import VXLAN_OVERHEAD
from ansible_collections.podnet.cni.plugins.module_utils._plan.rules.bgp import given_peers
from ansible_collections.podnet.cni.plugins.module_utils._plan.rules.mtu import underlay_mtus
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Situation
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed, natural, node_subject, per_node

VARIABLE = "podnet_calico_routing"
SOURCE_CHECK = "podnet_calico_aws_source_check"
PORT, VNI = 4789, 4096
"""Of Calico's VXLAN, unless FelixConfiguration says something else (projectcalico/calico:felix/config/config_params.go)."""
MOST_IN_MESH = 100
"""From here on Calico's own documentation advises against a mesh (docs.tigera.io, networking/configuring/bgp)."""
STRICT_CLOUDS = {"azure": "Azure", "gce": "Google Cloud", "openstack": "OpenStack"}
"""Clouds whose network drops packets with addresses that it did not give to the sender, unless it is told about each of them."""
_FELIX_ON_AWS = "projectcalico/calico:felix/aws/ec2.go"


def unknown(situation: Situation) -> t.Iterator[Finding]:
    """A mode that does not exist."""
    chosen = situation.settings.routing
    if chosen not in modes.MODES:
        yield Finding(
            "routing-unknown",
            BLOCKER,
            VARIABLE,
            f"It is '{chosen}'.",
            "There is no such mode.",
            f"Use {listed(modes.MODES)}.",
            "podnet.cni:docs/migrate_to_calico.md",
        )


def changes(situation: Situation) -> t.Iterator[Finding]:
    """Nodes have moved with another mode already."""
    there = modes.present(situation.calico, situation.network)
    moved = [name for name, state in situation.states.items() if state in (node_state.CALICO, node_state.MOVING)]
    labelled = any(MIGRATION_LABEL in (node.get("labels") or {}) for node in situation.cluster_nodes)
    unfinished = bool(situation.to_move) or bool(situation.flannel) or labelled
    if there and there != situation.mode.name and moved and unfinished:
        yield Finding(
            "routing-changes",
            BLOCKER,
            VARIABLE,
            f"It is '{situation.mode.name}', but Calico is set up for '{there}', and {node_subject(moved)} {'uses' if len(moved) == 1 else 'use'} "
            "it.",
            "All nodes must lead packets to each other's pods in the same way; a change in the middle cuts pods off that have moved.",
            f"Set podnet_calico_routing to {there} until the migration is done.",
            "podnet.cni:roles/calico_beside",
            tuple(moved),
        )


def mesh_over_routers(situation: Situation) -> t.Iterator[Finding]:
    """A mesh of nodes that are not on one link."""
    subnets = collections.Counter(situation.subnets.values())
    if not situation.to_move or not situation.mode.node_mesh or len(subnets) < 2:
        return
    yield Finding(
        "routing-several-subnets",
        BLOCKER,
        VARIABLE,
        f"It is '{situation.mode.name}', and the nodes are in {len(subnets)} subnets: {_subnet_list(subnets)}.",
        "Without a tunnel and without BGP, the routers between the subnets do not know where pods are, and drop their packets.",
        "Set podnet_calico_routing to cross_subnet, or to bgp with the routers as peers.",
        "projectcalico/calico:confd/etc/calico/confd/templates/bird.cfg.template",
    )


def mesh_too_large(situation: Situation) -> t.Iterator[Finding]:
    """A mesh of very many nodes."""
    nodes = len(situation.cluster_nodes)
    if situation.to_move and situation.mode.node_mesh and nodes > MOST_IN_MESH:
        yield Finding(
            "routing-mesh-large",
            WARNING,
            VARIABLE,
            f"It is '{situation.mode.name}', and {count(nodes, 'node')} make {count(nodes * (nodes - 1) // 2, 'session')}.",
            "Every node speaks BGP with every other one; with more than 100 nodes that takes much time and memory of each.",
            "Set podnet_calico_routing to cross_subnet, which needs no sessions and adds no bytes inside a subnet either.",
            "projectcalico/calico:confd/etc/calico/confd/templates/bird.cfg.template",
        )


def _subnet_list(subnets: t.Mapping[str, int]) -> str:
    return listed((f"{subnet} ({count(subnets[subnet], 'node')})" for subnet in natural(subnets)), 4)


def tunnel_taken(situation: Situation) -> t.Iterator[Finding]:
    """Flannel's tunnel has the port of Calico's."""
    backend = (situation.flannel or {}).get("backend") or {}
    felix = (situation.calico or {}).get("felix") or {}
    port, vni = int(felix.get("vxlanPort") or PORT), int(felix.get("vxlanVNI") or VNI)
    if situation.to_move and situation.mode.tunnel and backend.get("type") == "vxlan" and backend.get("port") == port:
        yield Finding(
            "routing-tunnel-taken",
            BLOCKER,
            VARIABLE,
            f"It is '{situation.mode.name}'. Flannel's tunnel has UDP port {backend['port']} and VNI {backend.get('vni')}, Calico's would have "
            f"port {port} "
            f"and VNI {vni}.",
            "Felix drops what comes to its port from anything but Calico's tunnels, and the kernel does not make two devices of the same port and "
            "VNI.",
            "Give Calico another port in FelixConfiguration default (vxlanPort), or set podnet_calico_routing to bgp.",
            "projectcalico/calico:felix/rules/static.go",
        )


def tunnel_mtu(situation: Situation) -> t.Iterator[Finding]:
    """The links of the nodes leave no room for the bytes of the tunnel."""
    mtus = underlay_mtus(situation)
    if not situation.to_move or not situation.mode.tunnel or not mtus:
        return
    pods = {
        node["name"]: int(device["mtu"])
        for node, facts in situation.node_facts()
        for device in [situation.vxlan_device(facts)]
        if device and device.get("mtu")
    }
    largest, smallest = max([*pods.values(), max(mtus.values()) - VXLAN_OVERHEAD]), min(mtus.values())
    if largest + VXLAN_OVERHEAD > smallest:
        yield Finding(
            "routing-mtu",
            BLOCKER,
            VARIABLE,
            f"It is '{situation.mode.name}', which adds {VXLAN_OVERHEAD} bytes. Links of the nodes: {per_node(mtus)}; pods: "
            f"{per_node(pods) or 'not known'}.",
            "With the bytes of the tunnel, full packets of pods would not fit into the smallest link. They would be fragmented or lost; small ones "
            "would pass.",
            "Give all links the same MTU, and restart flanneld so that its device has 50 bytes less; or set podnet_calico_routing to a mode "
            "without a "
            "tunnel.",
            "projectcalico/calico:felix/dataplane/linux/int_dataplane.go",
            tuple(natural(mtus)),
        )


class _Tunnel(t.NamedTuple):
    """The tunnel of one node: the address that it has or is to get, and whether there are pods of Flannel that have it or are beside it."""

    node: str
    address: str | None
    has_blocks: bool
    twice: bool
    shared: bool


def _tunnels(situation: Situation) -> t.Iterator[_Tunnel]:
    for node, facts in situation.node_facts():
        flannel = [pod["address"] for pod in node_state.pods_on(facts, node_state.FLANNEL)]
        calico = [pod["address"] for pod in node_state.pods_on(facts, node_state.CALICO)]
        given = (node.get("annotations") or {}).get(TUNNEL_ANNOTATION)
        cidr = node.get("pod_cidr") if ":" not in str(node.get("pod_cidr")) else None
        found = addressing.addresses_of(cidr, situation.settings.block_size, flannel, calico)
        tunnel = addressing.tunnel_address(found, flannel, calico, given)
        yield _Tunnel(node["name"], tunnel and tunnel.address, bool(found.blocks), given in flannel, bool(found.shared_probe_block) and not given)


def tunnel_addresses(situation: Situation) -> t.Iterator[Finding]:
    """Nodes without an address for Calico's tunnel, or with one that a pod of Flannel has too, or next to pods of Flannel."""
    if not situation.to_move or not situation.mode.tunnel:
        return
    tunnels = list(_tunnels(situation))
    twice = {tunnel.node: tunnel.address for tunnel in tunnels if tunnel.twice}
    none = [tunnel.node for tunnel in tunnels if tunnel.has_blocks and tunnel.address is None]
    shared = [tunnel.node for tunnel in tunnels if tunnel.address is not None and tunnel.shared]
    if twice:
        yield Finding(
            "routing-tunnel-address-twice",
            BLOCKER,
            node_subject(twice),
            f"Calico's tunnel and a pod of Flannel have the same address: {per_node(twice)}.",
            "The node takes packets for this pod for its own.",
            "Delete the pod: its next one gets another address. Then run again.",
            "projectcalico/calico:node/pkg/allocateip/allocateip.go",
            tuple(twice),
        )
    if none:
        yield Finding(
            "routing-tunnel-address-none",
            BLOCKER,
            node_subject(none),
            "No two addresses of a block are free.",
            "Calico's tunnel needs one on each node, and the probe of the fabric another.",
            "Move some pods away from the node, run again.",
            "projectcalico/calico:node/pkg/allocateip/allocateip.go",
            tuple(none),
        )
    if shared:
        yield Finding(
            "routing-tunnel-block-shared",
            WARNING,
            node_subject(shared),
            f"Every block of {count(len(shared), 'node')} has pods of Flannel in it.",
            "With the address of its tunnel Calico leads packets to a whole block through it. Connections of nodes to these pods change their way "
            "then, "
            "and some may have to be opened anew.",
            "Nothing to do, or run when the node has fewer pods.",
            "projectcalico/calico:felix/dataplane/linux/vxlan_mgr.go",
            tuple(shared),
        )


def policies_of_nodes(situation: Situation) -> t.Iterator[Finding]:
    """NetworkPolicies that let nodes in may not know what a node's own packets come from with a tunnel."""
    policies = situation.cluster.get("network_policies") or []
    addresses = {tunnel.node: tunnel.address for tunnel in _tunnels(situation) if tunnel.address} if situation.mode.tunnel else {}
    if situation.to_move and policies and addresses:
        yield Finding(
            "routing-policies-nodes",
            WARNING,
            count(len(policies), "NetworkPolicy", "NetworkPolicies"),
            f"The tunnels of the nodes have, or get, these addresses: {per_node(addresses)}.",
            "What a node itself sends to pods of other nodes through the tunnel comes from this address, also what kube-proxy masquerades, such as "
            "requests to a NodePort. Policies that let nodes in by the addresses of their links forbid it.",
            "Add these addresses as ipBlock (/32 each) to the policies that let nodes in, before the run.",
            "projectcalico/calico:felix/rules/static.go",
            tuple(natural(addresses)),
        )


def peers_unused(situation: Situation) -> t.Iterator[Finding]:
    """Peers that the chosen mode does not use."""
    peers = situation.settings.bgp_peers
    if situation.to_move and peers and not situation.mode.peers:
        yield Finding(
            "routing-peers-unused",
            WARNING,
            "podnet_bgp_peers",
            f"{count(len(peers), 'router')} given, and podnet_calico_routing is '{situation.mode.name}'.",
            "In this mode nodes do not speak BGP with routers, so the peers are not made.",
            "Leave podnet_bgp_peers out, or set podnet_calico_routing to bgp.",
            "podnet.cni:roles/calico_beside",
        )


def _clouds(situation: Situation) -> set[str]:
    """The clouds that nodes are machines of."""
    return {zones.cloud_of(node) for node in situation.cluster_nodes} - {""}


def _source_check(situation: Situation) -> str | None:
    """What Felix does with the source/destination check of its machine now."""
    return ((situation.calico or {}).get("felix") or {}).get(SOURCE_CHECK_FIELD)


def sets_source_check(situation: Situation) -> bool:
    """Whether Calico is to turn the source/destination check of AWS off: in a mode in which packets have addresses of pods."""
    return situation.settings.aws_source_check == "disable" and not situation.mode.inside


def source_check(situation: Situation) -> t.Iterator[Finding]:
    """AWS drops packets that a machine sends with another source than its own, or gets for another destination."""
    now = _source_check(situation)
    if not situation.unwraps or zones.AWS not in _clouds(situation) or now == AWS_SOURCE_CHECKS["disable"] or sets_source_check(situation):
        return
    yield Finding(
        "routing-aws-source-check",
        BLOCKER if now == AWS_SOURCE_CHECKS["enable"] else WARNING,
        SOURCE_CHECK,
        f"The nodes are machines of AWS, it is '{situation.settings.aws_source_check}', and {SOURCE_CHECK_FIELD} of FelixConfiguration default is "
        f"{now or 'not set'}.",
        f"With podnet_calico_routing={situation.mode.name} packets inside a subnet have the addresses of pods, and AWS drops what is not sent by "
        "or for the machine itself unless its source/destination check is off. The probe of the fabric would fail before any pod is led so.",
        "Set podnet_calico_aws_source_check to disable, for which nodes need ec2:DescribeInstances and ec2:ModifyNetworkInterfaceAttribute; or, "
        "with --instance-id of each, turn it off and look: `aws ec2 modify-instance-attribute --no-source-dest-check`, `aws ec2 "
        "describe-instance-attribute --attribute sourceDestCheck`; or use vxlan.",
        _FELIX_ON_AWS,
    )


def source_check_rights(situation: Situation) -> t.Iterator[Finding]:
    """Calico is to turn the source/destination check off, which AWS has to allow it."""
    if not situation.unwraps or not sets_source_check(situation) or _source_check(situation) == AWS_SOURCE_CHECKS["disable"]:
        return
    nodes = [node["name"] for node in situation.cluster_nodes if zones.cloud_of(node) == zones.AWS]
    if nodes:
        yield Finding(
            "routing-aws-rights",
            WARNING,
            node_subject(nodes),
            f"podnet_calico_aws_source_check is disable: {SOURCE_CHECK_FIELD} of FelixConfiguration default becomes Disable.",
            "What AWS allows the nodes is not known here. calico-node is not Ready before AWS has turned the check off: without the rights the run "
            "waits for podnet_wait_timeout and ends before a pod has moved. Only a machine's first network interface is set, and nobody sets it "
            "back when Calico is removed.",
            "Let the IAM role of every node allow ec2:DescribeInstances and ec2:ModifyNetworkInterfaceAttribute. For another interface than the "
            "first: `aws ec2 modify-network-interface-attribute --no-source-dest-check --network-interface-id ID`.",
            _FELIX_ON_AWS,
        )


def source_check_elsewhere(situation: Situation) -> t.Iterator[Finding]:
    """Calico is to turn AWS's source/destination check off on machines that are not of AWS, or that do not tell."""
    others = [node for node in situation.cluster_nodes if zones.cloud_of(node) != zones.AWS]
    if not situation.unwraps or not sets_source_check(situation) or not others:
        return
    strangers = [node for node in others if zones.cloud_of(node)]
    names = [node["name"] for node in strangers or others]
    yield Finding(
        "routing-not-on-aws",
        BLOCKER if strangers else WARNING,
        node_subject(names),
        f"podnet_calico_aws_source_check is disable. Provider ids: {per_node({node['name']: node.get('provider_id') or 'none' for node in others})}.",
        "Felix asks AWS's metadata service which machine it is on, again and again, and calico-node is not Ready until AWS has turned the check "
        "off: on a machine of anybody else never. The run would end before a pod has moved.",
        "Leave podnet_calico_aws_source_check out; in a cluster that is on AWS in part, turn the check off yourself (`aws ec2 "
        "modify-instance-attribute --instance-id ID --no-source-dest-check`)."
        if strangers
        else "Leave podnet_calico_aws_source_check out unless these nodes are machines of AWS, which they do not tell without a provider id.",
        _FELIX_ON_AWS,
        tuple(names) if strangers else (),
    )


class Advice(t.NamedTuple):
    """The mode that suits a cluster, and why."""

    mode: modes.Mode
    reason: str


def advice(situation: Situation) -> Advice:
    """By who routes between the nodes. The fewer bytes the better, then the larger MTU for pods."""
    subnets = set(situation.subnets.values())
    clouds = _clouds(situation)
    strict = sorted(STRICT_CLOUDS[cloud] for cloud in clouds if cloud in STRICT_CLOUDS)
    if given_peers(situation) and not strict:
        return Advice(modes.MODES["bgp"], "routers that learn the routes to pods by BGP are given")
    if strict:
        return Advice(modes.MODES["vxlan"], f"the network of {listed(strict)} drops packets with addresses that it did not give")
    if len(subnets) > 1 and len(subnets) == len(situation.subnets):
        return Advice(modes.MODES["vxlan"], "every node is in a subnet of its own, and no router that learns the routes to pods is given")
    if len(subnets) > 1:
        return Advice(modes.MODES["cross_subnet"], "no router that learns the routes to pods is given, and inside a subnet none is needed")
    if zones.AWS in clouds:
        return Advice(modes.MODES["cross_subnet"], "all nodes are in one subnet now, and nodes in other subnets of AWS could join")
    if len(situation.cluster_nodes) <= MOST_IN_MESH:
        return Advice(modes.MODES["bgp_mesh"], "all nodes are in one subnet and reach each other without a router")
    return Advice(modes.MODES["cross_subnet"], "all nodes are in one subnet and reach each other without a router and without BGP")


def _costs(mode: modes.Mode) -> str:
    return f"{mode.inside} bytes to a packet between nodes of one subnet and {mode.between} between subnets"


def recommended(situation: Situation) -> t.Iterator[Finding]:
    """Which mode suits this cluster, and what it saves."""
    subnets = collections.Counter(situation.subnets.values())
    if not situation.to_move or not subnets:
        return
    best, reason = advice(situation)
    chosen, mtus = situation.mode, underlay_mtus(situation)
    saved = ((VXLAN_OVERHEAD - best.inside, "inside a subnet"), (VXLAN_OVERHEAD - best.between, "between subnets"))
    why = (
        f"{best.name} suits this cluster: {reason}. It adds {_costs(best)}; Flannel's VXLAN adds {VXLAN_OVERHEAD} to each, so that "
        f"{listed(f'{number} are saved {where}' for number, where in saved)}."
    )
    if mtus:
        why += f" Pods have MTU {min(mtus.values()) - (VXLAN_OVERHEAD if best.tunnel else 0)} then."
    remedy = f"Nothing to do: podnet_calico_routing is {chosen.name}."
    if chosen.name != best.name:
        remedy = f"podnet_calico_routing is {chosen.name}, which adds {_costs(chosen)}. Set it to {best.name} unless you have a reason for it."
    yield Finding(
        "routing-recommended",
        INFO,
        VARIABLE,
        f"{count(len(situation.cluster_nodes), 'node')} in {count(len(subnets), 'subnet')}: {_subnet_list(subnets)}. "
        f"{count(len(given_peers(situation)), 'router')} given.",
        f"{why}",
        f"{remedy}",
        "podnet.cni:docs/migrate_to_calico.md",
    )


SOURCE_CHECK_RULES = (source_check, source_check_rights, source_check_elsewhere)
"""Asked by a switch, too."""
RULES = (
    unknown,
    changes,
    mesh_over_routers,
    mesh_too_large,
    tunnel_taken,
    tunnel_mtu,
    tunnel_addresses,
    policies_of_nodes,
    peers_unused,
    *SOURCE_CHECK_RULES,
    recommended,
)
