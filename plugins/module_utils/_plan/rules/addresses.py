# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about podCIDRs, blocks and addresses."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_blocks import block_size_problem
from ansible_collections.podnet.cni.plugins.module_utils._plan import addressing, node_state, workloads
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, INFO, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Situation
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed, natural, node_subject, per_node

_POOL = "projectcalico/calico:api/pkg/apis/projectcalico/v3/ippool.go"
LARGEST_BLOCK_SIZE = 31
"""Guard routes are one bit longer than a block."""


def _pod_cidrs(situation: Situation) -> dict[str, ipaddress.IPv4Network]:
    """IPv4 podCIDR of each node that has one."""
    found = {}
    for node in situation.cluster_nodes:
        cidr = node.get("pod_cidr")
        if cidr and ":" not in cidr:
            found[node["name"]] = ipaddress.IPv4Network(cidr)
    return found


def block_size(situation: Situation) -> t.Iterator[Finding]:
    """A block size that Calico refuses, or that leaves no room for guard routes."""
    size = situation.settings.block_size
    problem = block_size_problem(size, 4)
    if not problem and size > LARGEST_BLOCK_SIZE:
        problem = "routes that keep Flannel's pods reachable are one bit longer than a block, and /33 does not exist"
    if problem:
        yield Finding(
            "block-size",
            BLOCKER,
            "podnet_block_size",
            f"It is {size}.",
            f"{problem[:1].upper()}{problem[1:]}.",
            "Use 26, or another length from 20 to 31 that is longer than the prefix of the nodes' podCIDRs.",
            _POOL,
        )


def pod_cidr_missing(situation: Situation) -> t.Iterator[Finding]:
    """Nodes without a podCIDR."""
    names = [node["name"] for node in situation.cluster_nodes if not node.get("pod_cidr")]
    if names:
        yield Finding(
            "pod-cidr-missing",
            BLOCKER,
            node_subject(names),
            "node.spec.podCIDR is empty.",
            "It tells which addresses belong to the node, for Flannel and for Calico's blocks.",
            "Start kube-controller-manager with --allocate-node-cidrs and --cluster-cidr, and check that free podCIDRs are left.",
            "kubernetes/kubernetes:pkg/controller/nodeipam",
            tuple(names),
        )


def pod_cidr_too_small(situation: Situation) -> t.Iterator[Finding]:
    """PodCIDRs that are not larger than one block."""
    size = situation.settings.block_size
    small = {name: str(cidr) for name, cidr in _pod_cidrs(situation).items() if cidr.prefixlen >= size}
    if small:
        longest = max(ipaddress.IPv4Network(cidr).prefixlen for cidr in small.values())
        suggestion = min(longest + 2, LARGEST_BLOCK_SIZE)
        yield Finding(
            "pod-cidr-too-small",
            BLOCKER,
            node_subject(small),
            f"A block is a /{size}, but the podCIDRs are not larger: {per_node(small)}.",
            "Packets find pods that have moved because a block's prefix is longer than that of Flannel's route; here it is not.",
            f"Set podnet_block_size to {suggestion}." if suggestion > longest else "Nodes need podCIDRs of /30 or larger.",
            "podnet.cni:docs/architecture.md",
            tuple(small),
        )


def pod_cidr_not_uniform(situation: Situation) -> t.Iterator[Finding]:
    """PodCIDRs of different sizes."""
    lengths: dict[int, list[str]] = {}
    for name, cidr in _pod_cidrs(situation).items():
        lengths.setdefault(cidr.prefixlen, []).append(name)
    if len(lengths) > 1:
        sizes = "; ".join(f"/{length} on {listed(natural(names), 4)}" for length, names in sorted(lengths.items()))
        yield Finding(
            "pod-cidr-not-uniform",
            WARNING,
            "cluster",
            f"The podCIDRs have different sizes: {sizes}.",
            "The limit of blocks for a node is one number for the whole cluster, so nodes with a small podCIDR are not held to theirs by it.",
            "Nothing to do if this is intended: strict affinity keeps every node inside its own podCIDR during the migration.",
            "projectcalico/calico:libcalico-go/lib/ipam/ipam.go",
        )


def pod_cidr_outside(situation: Situation) -> t.Iterator[Finding]:
    """PodCIDRs outside the network, or of two nodes that overlap."""
    cidrs = _pod_cidrs(situation)
    if situation.network and ":" not in situation.network:
        network = ipaddress.IPv4Network(situation.network)
        outside = {name: str(cidr) for name, cidr in cidrs.items() if not cidr.subnet_of(network)}
        if outside:
            yield Finding(
                "pod-cidr-outside",
                BLOCKER,
                node_subject(outside),
                f"podCIDR {per_node(outside)}, but the pod network is {network}.",
                "Calico's pool is the pod network; addresses outside of it would not be routed, nor kept from masquerading.",
                "Make Flannel's Network and --cluster-cidr of kube-controller-manager agree, and replace these nodes.",
                "flannel-io/flannel:Documentation/configuration.md",
                tuple(outside),
            )
    ordered = sorted(cidrs.items(), key=lambda item: (item[1].network_address, item[1].prefixlen))
    for (name, cidr), (other, other_cidr) in zip(ordered, ordered[1:]):
        if cidr.overlaps(other_cidr):
            yield Finding(
                "pod-cidr-overlap",
                BLOCKER,
                node_subject([name, other]),
                f"{name} has {cidr}, {other} has {other_cidr}.",
                "Two nodes would own the same addresses.",
                "Delete one of the nodes from the cluster and let it join again with a podCIDR of its own.",
                "kubernetes/kubernetes:pkg/controller/nodeipam",
                (name, other),
            )


def lease_differs(situation: Situation) -> t.Iterator[Finding]:
    """Flannel gives pods addresses outside the node's podCIDR."""
    cidrs = _pod_cidrs(situation)
    for node, facts in situation.moving_facts():
        subnet = (facts.get("subnet_env") or {}).get("FLANNEL_SUBNET")
        cidr = cidrs.get(node["name"])
        if subnet and cidr and ipaddress.IPv4Interface(subnet).network != cidr:
            yield Finding(
                "flannel-lease-differs",
                BLOCKER,
                node_subject([node["name"]]),
                f"subnet.env says {subnet}, node.spec.podCIDR is {cidr}.",
                "New pods get addresses that the other nodes route somewhere else.",
                "Delete flanneld's pod on this node; if the difference stays, let the node join again.",
                "flannel-io/flannel:pkg/subnet/subnet.go",
                (node["name"],),
            )


def pods_outside(situation: Situation) -> t.Iterator[Finding]:
    """Running pods whose address is not from their node's podCIDR."""
    moving = {node["name"] for node in situation.to_move}
    cidrs = {name: cidr for name, cidr in _pod_cidrs(situation).items() if name in moving}
    strangers = {
        workloads.pod_name(pod): f"{pod['ip']} on {pod['node']}"
        for pod in situation.pods
        if workloads.is_on_pod_network(pod)
        and pod.get("ip")
        and ":" not in pod["ip"]
        and pod.get("node") in cidrs
        and ipaddress.IPv4Address(pod["ip"]) not in cidrs[pod["node"]]
    }
    if strangers:
        nodes = {str(pod["node"]) for pod in situation.pods if workloads.pod_name(pod) in strangers}
        yield Finding(
            "pod-outside-pod-cidr",
            BLOCKER,
            f"{'pod' if len(strangers) == 1 else 'pods'} {listed(natural(strangers), 4)}",
            f"{listed((f'{name} has {strangers[name]}' for name in natural(strangers)), 4)}, outside the podCIDR of its node.",
            "Such an address belongs to another node, or comes from a CNI before Flannel; nothing will route to it after the migration.",
            "Delete these pods so that they get addresses of their node, run again.",
            "flannel-io/flannel:Documentation/kubernetes.md",
            tuple(natural(nodes)),
        )


def probe_block(situation: Situation) -> t.Iterator[Finding]:
    """No block without a pod of Flannel for the probe's address."""
    shared, none = [], []
    for node, facts in situation.moving_facts():
        flannel = [pod["address"] for pod in node_state.pods_on(facts, node_state.FLANNEL)]
        calico = [pod["address"] for pod in node_state.pods_on(facts, node_state.CALICO)]
        found = addressing.addresses_of(node.get("pod_cidr"), situation.settings.block_size, flannel, calico)
        if found.blocks and not found.probe_address:
            none.append(node["name"])
        elif found.shared_probe_block:
            shared.append(node["name"])
    if shared:
        yield Finding(
            "probe-block-shared",
            INFO,
            node_subject(shared),
            f"Every block of {count(len(shared), 'node')} has pods of Flannel in it.",
            "The probe of the fabric takes an address, and with it Calico makes a route for the whole block; guard routes keep the pods reachable.",
            "Nothing to do.",
            "podnet.cni:plugins/modules/calico_fabric_probe.py",
            tuple(shared),
        )
    if none:
        yield Finding(
            "probe-address-missing",
            BLOCKER,
            node_subject(none),
            "No address of the podCIDR is free.",
            "Neither the probe nor a new pod would get an address.",
            "Move some pods away from the node, run again.",
            "podnet.cni:plugins/modules/calico_fabric_probe.py",
            tuple(none),
        )


RULES = (
    block_size,
    pod_cidr_missing,
    pod_cidr_too_small,
    pod_cidr_not_uniform,
    pod_cidr_outside,
    lease_differs,
    pods_outside,
    probe_block,
)
