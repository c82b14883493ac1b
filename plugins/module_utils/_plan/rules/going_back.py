# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about going back to Flannel: can it take the pods again, and who would notice."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_resources import TUNNEL_ANNOTATION
from ansible_collections.podnet.cni.plugins.module_utils._cni.networks import is_inside
from ansible_collections.podnet.cni.plugins.module_utils._plan import addressing, modes, node_state
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.rules.flannel import daemonset_name
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Situation
from ansible_collections.podnet.cni.plugins.module_utils._plan.transit import nodes_with_flanneld
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed, natural, node_subject, per_node

_SOURCE = "podnet.cni:roles/return_node"
NOT_TRIED = ("bgp_mesh", "cross_subnet")
"""Modes that nobody has gone back from in the lab."""
CALICO_NAME = "10-calico.conflist"
"""Name of Calico's CNI configuration once a migration is finished."""


def unknown_nodes(situation: Situation) -> t.Iterator[Finding]:
    """Names that are no nodes."""
    known = {node["name"] for node in situation.cluster_nodes}
    names = natural(name for name in situation.settings.return_nodes if name not in known)
    if names:
        yield Finding(
            "return-node-unknown",
            BLOCKER,
            node_subject(names),
            f"podnet_return_nodes names {listed(names)}; the cluster has {listed(natural(known), 6)}.",
            "A node that was meant would stay where it is.",
            "Give names as `kubectl get nodes` shows them, or leave podnet_return_nodes out to bring all back.",
            _SOURCE,
        )


def flannel_gone(situation: Situation) -> t.Iterator[Finding]:
    """Flannel was removed, and nothing tells what it was like."""
    if situation.to_move and not situation.flannel and not situation.flannel_backup:
        yield Finding(
            "return-flannel-gone",
            BLOCKER,
            "cluster",
            "No DaemonSet runs flanneld, and ConfigMap kube-system/podnet-cni-migration has no `backup.flannel.json`.",
            "Pods that come back would get a network that nobody carries to other nodes.",
            "Install Flannel with the same network and the backend vxlan by its own manifest, under a name of its CNI configuration that sorts "
            "after 10-calico.conflist. Then run again.",
            "flannel-io/flannel:Documentation/kube-flannel.yml",
        )


def backup_differs(situation: Situation) -> t.Iterator[Finding]:
    """What would be put back does not fit to what the pods have now."""
    backup = situation.flannel_backup
    if not situation.to_move or situation.flannel or not backup:
        return
    pools = [str(pool.get("cidr")) for pool in (situation.calico or {}).get("pools") or [] if not pool.get("disabled")]
    if backup.get("network") not in pools:
        yield Finding(
            "return-network-differs",
            BLOCKER,
            "cluster",
            f"Flannel had the network {backup.get('network') or 'that nothing tells'}, Calico has the pools {listed(pools) or 'none'}.",
            "Pods that have moved back and pods that have not would not reach each other.",
            "Bring the pods into a pool with Flannel's network first.",
            _SOURCE,
        )
    first = sorted(name for name in backup.get("cni_config_names") or [] if name < CALICO_NAME)
    if first:
        yield Finding(
            "return-configuration-first",
            BLOCKER,
            "cluster",
            f"Flannel's CNI configuration {listed(first)} sorts before Calico's {CALICO_NAME}.",
            "As soon as flanneld starts on a node, new pods would get Flannel's network, before anything keeps addresses from being given twice.",
            "In ConfigMap kube-system/podnet-cni-migration, key backup.flannel.json, give the file that the init container writes the name "
            "10-flannel.conflist.",
            "flannel-io/flannel:Documentation/kube-flannel.yml",
        )


def routing_not_tried(situation: Situation) -> t.Iterator[Finding]:
    """Calico routes in a mode that nobody has gone back from in the lab."""
    there = modes.present(situation.calico, situation.network)
    if there in NOT_TRIED:
        yield Finding(
            "return-routing-not-tried",
            BLOCKER,
            "cluster",
            f"Calico is set up for podnet_calico_routing={there}.",
            "The way back from this mode was not tried in the lab yet, and what is not tried is not done to a cluster in use.",
            "Stay with Calico, or wait for a version that knows this way back. A node whose move fails still goes back to Flannel by itself.",
            _SOURCE,
        )


def tunnel_addresses(situation: Situation) -> t.Iterator[Finding]:
    """Calico's tunnel on a node has an address that Flannel has, or gives to a pod."""
    if not situation.to_move:
        return
    given = {node["name"]: (node.get("annotations") or {}).get(TUNNEL_ANNOTATION) for node in situation.cluster_nodes}
    wrong = {
        name: f"{address} ({reason})"
        for name, address in given.items()
        for reason in [_why_flannel_needs(situation, name, str(address)) if address else None]
        if reason
    }
    if wrong:
        yield Finding(
            "return-tunnel-address",
            BLOCKER,
            node_subject(wrong),
            f"Address of Calico's tunnel: {per_node(wrong)}.",
            "It would be there twice: a node takes packets to the address of its tunnel for its own.",
            "Keep these addresses and the first two of each podCIDR from Calico with an IPReservation. Then, one node after the other: delete the "
            "annotation projectcalico.org/IPv4VXLANTunnelAddr and the IPAM allocation (calicoctl ipam release --ip=ADDRESS), restart calico-node "
            "there, and wait until the node's pods are reached again. A pod of Flannel's with such an address is deleted instead. Then run again.",
            "projectcalico/calico:node/pkg/allocateip/allocateip.go",
            tuple(natural(wrong)),
        )


def _why_flannel_needs(situation: Situation, name: str, address: str) -> str | None:
    """Whose address it is, too, or will be; None for one that can be kept from Flannel on its node."""
    for node in situation.cluster_nodes:
        cidr = str(node.get("pod_cidr") or "")
        if not cidr or ":" in cidr or not is_inside(ipaddress.ip_network(address), ipaddress.ip_network(cidr)):
            continue
        if node["name"] != name:
            return f"in the podCIDR of {node['name']}"
        if any(is_inside(ipaddress.ip_network(address), ipaddress.ip_network(part)) for part in addressing.reserved_of(cidr)):
            return "of Flannel's own devices"
    pods = [pod["address"] for pod in node_state.pods_on(situation.nodes.get(name), node_state.FLANNEL)]
    return "of a pod on Flannel's bridge" if address in pods else None


def no_pod_cidr(situation: Situation) -> t.Iterator[Finding]:
    """Nodes that have no podCIDR of their own, which Flannel takes its addresses from."""
    names = [node["name"] for node in situation.to_move if not node.get("pod_cidr")]
    if names:
        yield Finding(
            "return-no-podcidr",
            BLOCKER,
            node_subject(names),
            "The node has no podCIDR.",
            "flanneld does not start without one.",
            "Start kube-controller-manager with --allocate-node-cidrs=true and the pod network as --cluster-cidr; a node gets its podCIDR then.",
            "flannel-io/flannel:pkg/subnet/kube/kube.go",
            tuple(names),
        )


def addresses_drifted(situation: Situation) -> t.Iterator[Finding]:
    """Pods that got addresses of Flannel's own, or of other nodes' podCIDRs, since Flannel is gone."""
    shown = [f"{listed(natural(addresses), 4)} on {name}" for name, addresses in situation.misplaced.items() if addresses]
    if shown:
        names = [name for name, addresses in situation.misplaced.items() if addresses]
        yield Finding(
            "return-addresses-drifted",
            WARNING,
            node_subject(names),
            f"{listed(shown, 4)}.",
            "Flannel gives the first two addresses of a podCIDR to its own devices, and the others to pods of this podCIDR's node.",
            "Nothing to do: these pods are restarted on Calico before Flannel starts, and get other addresses.",
            "flannel-io/flannel:pkg/backend/vxlan/device.go",
            tuple(names),
        )


def flannel_not_ready(situation: Situation) -> t.Iterator[Finding]:
    """Flanneld does not run where it is needed."""
    flannel = situation.flannel
    if not flannel:
        return
    running = nodes_with_flanneld(situation.cluster)
    silent = [node["name"] for node in situation.cluster_nodes if node["name"] not in running]
    if silent:
        yield Finding(
            "return-flannel-not-ready",
            BLOCKER,
            node_subject(silent),
            f"flanneld ({daemonset_name(flannel)}) is not Ready there.",
            "It carries packets between nodes for every pod that goes back.",
            f"`kubectl -n {flannel['daemonset']['namespace']} get pods -o wide` and its log; repair it, then run again.",
            "flannel-io/flannel:pkg/backend/vxlan/vxlan.go",
            tuple(silent),
        )


def no_configuration(situation: Situation) -> t.Iterator[Finding]:
    """Flannel's CNI configuration is not on the node any more."""
    names = [
        node["name"]
        for node, facts in situation.moving_facts()
        if situation.flannel and not any(config.get("cni") == node_state.FLANNEL and config.get("valid") for config in facts.get("cni_configs") or [])
    ]
    if names:
        yield Finding(
            "return-no-configuration",
            BLOCKER,
            node_subject(names),
            "/etc/cni/net.d has no CNI configuration of Flannel's.",
            "The runtime would have none to make pods with.",
            "Delete flanneld's pod on this node: its init container writes the configuration when it starts.",
            "flannel-io/flannel:Documentation/kube-flannel.yml",
            tuple(names),
        )


def policies_end(situation: Situation) -> t.Iterator[Finding]:
    """NetworkPolicies, which Calico enforces and Flannel passes over."""
    names = [f"{policy['namespace']}/{policy['name']}" for policy in situation.cluster.get("network_policies") or []]
    if names and situation.to_move:
        yield Finding(
            "network-policies-end",
            WARNING,
            count(len(names), "NetworkPolicy", "NetworkPolicies"),
            f"Calico enforces {listed(natural(names), 4)}; Flannel does not.",
            "They do not apply to a pod any more from the moment it is back on Flannel. Traffic that they forbid passes then.",
            "Protect what must not be reached by other means first.",
            "kubernetes/website:content/en/docs/concepts/services-networking/network-policies.md",
        )


def some_stay(situation: Situation) -> t.Iterator[Finding]:
    """Some nodes stay on Calico, so that the nodes that went back keep its blocks."""
    chosen = situation.settings.return_nodes
    going = {node["name"] for node in situation.to_move}
    stay = [name for name, state in situation.states.items() if state != node_state.FLANNEL and name not in going]
    if chosen and going and stay:
        yield Finding(
            "return-some-stay",
            WARNING,
            node_subject(stay),
            f"{count(len(stay), 'node')} {'stays' if len(stay) == 1 else 'stay'} on Calico.",
            "The nodes that go back keep their address blocks of Calico's, and routes that are not there after a restart of the node lead to "
            "their pods: restarted in this state, its pods on Flannel cannot be reached until the playbook has run again.",
            "Bring the others back too, or move these again, before a node is restarted.",
            _SOURCE,
        )


RULES = (
    unknown_nodes,
    flannel_gone,
    backup_differs,
    routing_not_tried,
    tunnel_addresses,
    no_pod_cidr,
    addresses_drifted,
    flannel_not_ready,
    no_configuration,
    policies_end,
    some_stay,
)
