# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about Flannel itself: is it there, can it be the transit of pods that have not moved, would it come back."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import node_state
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Facts, Situation
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import listed, natural, node_subject

VXLAN = "vxlan"
_CLOUD = "the routes to pods are in the cloud's own route table, which does not speak BGP with nodes"
_BY_CLOUD = "If your routers speak BGP with the nodes: set it to vxlan, and take the routes out of the cloud's table. If not: stay with Flannel"
BACKENDS: t.Mapping[str, tuple[str, str]] = {
    "host-gw": (
        "it routes over the nodes' own links, so that its routes and those of BGP would stand in each other's way",
        "Set it to vxlan, with DirectRouting false",
    ),
    "wireguard": (
        "its tunnel encrypts, which BGP alone does not",
        "If pods may talk unencrypted: set it to vxlan. If not: encrypt inside the pods first, or keep Flannel",
    ),
    "ipsec": (
        "its tunnel encrypts, which BGP alone does not, and flanneld keeps keys and policies of the kernel for it",
        "If pods may talk unencrypted: set it to vxlan. If not: encrypt inside the pods first, or keep Flannel",
    ),
    "udp": ("it copies every packet through user space, and was made for debugging only", "Set it to vxlan, which every kernel since 3.12 has"),
    "ipip": ("its device flannel.ipip is shared by the kernel with everybody who uses IP in IP, Calico too", "Set it to vxlan"),
    "alloc": (
        "it gives out subnets and moves no packets: who routes them is not known here",
        "Find out who makes the routes to the podCIDRs. Then set it to vxlan, and take those routes away",
    ),
    "extension": (
        "it runs commands of your own, so what carries packets is not known here",
        "Set it to vxlan, and undo what PreStartupCommand and SubnetAddCommand have made",
    ),
    "ali-vpc": (_CLOUD, _BY_CLOUD),
    "aws-vpc": (_CLOUD, _BY_CLOUD),
    "gce": (_CLOUD, _BY_CLOUD),
    "tencent-vpc": (_CLOUD, _BY_CLOUD),
}
"""Flannel's other backends (flannel-io/flannel:Documentation/backends.md, earlier versions for aws-vpc and gce): why not, and what to do."""
_UNKNOWN = ("this method was never proved with it", "Set it to vxlan")
NO_RETURN = ("helm",)
"""Owners that put nothing back by themselves."""


def daemonset_name(flannel: Facts) -> str:
    """Flannel's DaemonSet for people."""
    return f"DaemonSet {flannel['daemonset']['namespace']}/{flannel['daemonset']['name']}"


def config_name(flannel: Facts) -> str:
    """Flannel's ConfigMap for people."""
    configmap = flannel.get("configmap")
    return f"ConfigMap {configmap['namespace']}/{configmap['name']}" if configmap else daemonset_name(flannel)


def backend_type(flannel: Facts | None) -> str:
    """How Flannel carries packets between nodes."""
    return str(((flannel or {}).get("backend") or {}).get("type") or VXLAN)


def missing(situation: Situation) -> t.Iterator[Finding]:
    """No Flannel in the cluster although nodes are not on Calico."""
    if situation.flannel or not situation.to_move:
        return
    on_flannel = [name for name, state in situation.states.items() if state in (node_state.FLANNEL, node_state.MOVING)]
    if on_flannel:
        yield Finding(
            "flannel-daemonset-gone",
            BLOCKER,
            node_subject(on_flannel),
            "Pods are on Flannel's network, but no DaemonSet of the cluster runs flanneld.",
            "Without flanneld nobody renews the routes between pods that have moved and pods that have not.",
            "Put Flannel's DaemonSet back (the journal of an earlier run has a backup), wait until it is Ready, run again.",
            "flannel-io/flannel:Documentation/kube-flannel.yml",
            tuple(on_flannel),
        )
        return
    names = [node["name"] for node in situation.to_move]
    yield Finding(
        "flannel-not-found",
        BLOCKER,
        "cluster",
        f"No DaemonSet runs flanneld or mounts a net-conf.json; {node_subject(names)} did not move to Calico either.",
        "This migration begins with Flannel.",
        "Check that the kubeconfig leads to the right cluster (podnet_kubeconfig, podnet_context) and that it may list DaemonSets.",
        "flannel-io/flannel:Documentation/kube-flannel.yml",
        tuple(names),
    )


def configuration(situation: Situation) -> t.Iterator[Finding]:
    """Flannel's configuration cannot be read."""
    flannel = situation.flannel
    if flannel and not flannel.get("network"):
        yield Finding(
            "flannel-configuration-missing",
            BLOCKER,
            config_name(flannel),
            "It has no net-conf.json with a Network." if flannel.get("configmap") else "It mounts no ConfigMap with net-conf.json.",
            "Calico's pool must be exactly Flannel's network.",
            "Restore the ConfigMap that flanneld was started with.",
            "flannel-io/flannel:Documentation/configuration.md",
        )


def backend(situation: Situation) -> t.Iterator[Finding]:
    """Another backend than VXLAN."""
    flannel = situation.flannel
    kind = backend_type(flannel)
    if not flannel or kind == VXLAN:
        return
    why, remedy = BACKENDS.get(kind, _UNKNOWN)
    yield Finding(
        "flannel-backend",
        BLOCKER,
        config_name(flannel),
        f'Backend.Type is "{kind}".',
        f"Pods that have not moved must be reachable over a device flannel.<VNI>, but with {kind}: {why}.",
        f"{remedy}. To set it, change the ConfigMap and restart flanneld on all nodes at once, in a maintenance window: nodes with different "
        "backends do not reach each other. Then run again.",
        "flannel-io/flannel:Documentation/backends.md",
    )


def direct_routing(situation: Situation) -> t.Iterator[Finding]:
    """DirectRouting is on."""
    flannel = situation.flannel
    if flannel and (flannel.get("backend") or {}).get("direct_routing"):
        yield Finding(
            "flannel-direct-routing",
            WARNING,
            config_name(flannel),
            "Backend.DirectRouting is true: nodes of one subnet route to each other without flannel.1.",
            "The fabric must then already accept pod addresses inside a subnet, and Flannel's routes over the nodes' own links "
            "have to be told apart from others when it is removed. This mode was not proved in the lab.",
            "Prefer to set DirectRouting to false and to restart flanneld node by node before the migration; its routes are replaced in place.",
            "flannel-io/flannel:pkg/backend/vxlan/vxlan_network.go",
        )


def subnet_manager(situation: Situation) -> t.Iterator[Finding]:
    """Subnets come from etcd, not from the nodes' podCIDR."""
    flannel = situation.flannel
    if flannel and not flannel.get("kube_subnet_manager", True):
        yield Finding(
            "flannel-etcd-subnets",
            BLOCKER,
            daemonset_name(flannel),
            "flanneld runs without --kube-subnet-mgr.",
            "Its subnets come from etcd, so the podCIDR of a node does not tell which addresses its pods have.",
            "Move Flannel to the Kubernetes subnet manager first (flanneld --kube-subnet-mgr), with node.spec.podCIDR equal to its leases.",
            "flannel-io/flannel:Documentation/configuration.md",
        )


def canal(situation: Situation) -> t.Iterator[Finding]:
    """Flannel and Calico's policy engine in one DaemonSet."""
    flannel = situation.flannel
    if flannel and flannel.get("canal"):
        yield Finding(
            "flannel-canal",
            BLOCKER,
            daemonset_name(flannel),
            "flanneld and calico-node run in the same pods (Canal).",
            "Canal's calico-node already owns the nodes' interfaces and policies; a second one beside it would fight it.",
            "Canal is not supported. Replace Canal by plain Flannel first, or use Calico's own flannel-migration controller.",
            "projectcalico/calico:manifests/canal.yaml",
        )


def dual_stack(situation: Situation) -> t.Iterator[Finding]:
    """IPv6 beside or instead of IPv4."""
    flannel = situation.flannel or {}
    nodes = [node["name"] for node in situation.cluster_nodes if any(":" in cidr for cidr in node.get("pod_cidrs") or [])]
    if not flannel.get("ipv6_network") and not nodes:
        return
    parts = []
    if flannel.get("ipv6_network"):
        parts.append(f"net-conf.json has EnableIPv6 with {flannel['ipv6_network']}")
    if nodes:
        parts.append(f"{node_subject(nodes)} {'has' if len(nodes) == 1 else 'have'} an IPv6 podCIDR")
    yield Finding(
        "flannel-ipv6",
        BLOCKER,
        "cluster",
        f"{'; '.join(parts)}.",
        "Blocks, guard routes, reservations and the probes of this migration are for IPv4 only: IPv6 pods would lose their network.",
        "Wait for a version that moves IPv6 as well; turning IPv6 off in Flannel and in the podCIDRs means new nodes.",
        "flannel-io/flannel:Documentation/configuration.md",
        tuple(nodes),
    )


def not_ready(situation: Situation) -> t.Iterator[Finding]:
    """Flannel's own pods are not Ready."""
    flannel = situation.flannel
    if not flannel or not situation.to_move:
        return
    desired, ready = flannel["daemonset"].get("desired", 0), flannel["daemonset"].get("ready", 0)
    if ready < desired:
        yield Finding(
            "flannel-not-ready",
            BLOCKER,
            daemonset_name(flannel),
            f"{ready} of {desired} pods are Ready.",
            "flanneld on every node is the transit between pods that have moved and pods that have not.",
            f"Look at `kubectl -n {flannel['daemonset']['namespace']} get pods -o wide`, repair Flannel, run again.",
            "flannel-io/flannel:Documentation/troubleshooting.md",
        )


def owners(situation: Situation) -> t.Iterator[Finding]:
    """Somebody would put Flannel back after it is removed."""
    flannel = situation.flannel
    if not flannel:
        return
    for owner in flannel.get("owners") or []:
        returns = owner["kind"] not in NO_RETURN
        remedy = str(owner["remedy"])
        yield Finding(
            "flannel-owner" if returns else "flannel-release",
            BLOCKER if returns and situation.settings.remove_flannel else WARNING,
            daemonset_name(flannel),
            f"{owner['evidence']}.",
            f"{owner['kind']} puts Flannel back after it is removed: two CNIs would then fight over the nodes."
            if returns
            else f"{owner['kind']} still lists Flannel: the next upgrade or rollback of the release would bring it back.",
            f"{remedy[:1].upper()}{remedy[1:]}." + (" Or keep Flannel for now with podnet_remove_flannel=false." if returns else ""),
            "flannel-io/flannel:Documentation/kubernetes.md",
        )


def node_annotations(situation: Situation) -> t.Iterator[Finding]:
    """Flannel has not written on a node what the other nodes need to reach it."""
    if not situation.flannel or backend_type(situation.flannel) != VXLAN:
        return
    prefix = situation.flannel.get("annotation_prefix", "flannel.alpha.coreos.com")
    for node in situation.to_move:
        written = node.get("flannel") or {}
        absent = [name for name, key in (("backend-data", "vtep_mac"), ("public-ip", "public_ip")) if not written.get(key)]
        if absent:
            yield Finding(
                "flannel-annotations-missing",
                BLOCKER,
                node_subject([node["name"]]),
                f"The annotation{'s' if len(absent) > 1 else ''} {listed(f'{prefix}/{name}' for name in absent)} "
                f"{'are' if len(absent) > 1 else 'is'} missing.",
                "flanneld has never come up on this node, so no other node has a tunnel to its pods.",
                "Look at the log of flanneld's pod on this node; when it is Ready, run again.",
                "flannel-io/flannel:pkg/subnet/kube/annotations.go",
                (node["name"],),
            )


def backend_of_nodes(situation: Situation) -> t.Iterator[Finding]:
    """A node still has the backend that Flannel had before its configuration was changed."""
    if not situation.flannel:
        return
    wanted = (situation.flannel.get("backend") or {}).get("type")
    others = {
        node["name"]: str(node["flannel"]["backend_type"])
        for node in situation.to_move
        if (node.get("flannel") or {}).get("backend_type") and node["flannel"]["backend_type"] != wanted
    }
    if others and wanted == "vxlan":
        yield Finding(
            "flannel-backend-of-node",
            BLOCKER,
            node_subject(others),
            f"flanneld there runs with another backend than {config_name(situation.flannel)} says: "
            f"{listed(f'{name}: {others[name]}' for name in natural(others))} instead of {wanted}.",
            "flanneld reads its configuration when it starts, so these nodes and the others do not understand each other.",
            "Delete flanneld's pods on these nodes so that they start again, and check that pods reach each other.",
            "flannel-io/flannel:pkg/subnet/kube/kube.go",
            tuple(others),
        )


RULES = (
    missing,
    configuration,
    backend,
    direct_routing,
    subnet_manager,
    canal,
    dual_stack,
    not_ready,
    owners,
    node_annotations,
    backend_of_nodes,
)
