# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about the nodes as the cluster sees them, and about the inventory."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import switch
from ansible_collections.podnet.cni.plugins.module_utils._plan import batches, node_state
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, INFO, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Facts, Situation
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed, natural, node_subject, per_node

_NODES = "kubernetes/website:content/en/docs/concepts/architecture/nodes.md"
_CONTROL_PLANE_TAINTS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def not_ready(situation: Situation) -> t.Iterator[Finding]:
    """Nodes that are not Ready."""
    names = [node["name"] for node in situation.cluster_nodes if not node.get("ready")]
    if names:
        yield Finding(
            "node-not-ready",
            BLOCKER,
            node_subject(names),
            f"{count(len(names), 'node')} of {len(situation.cluster_nodes)} {'is' if len(names) == 1 else 'are'} not Ready.",
            "Evicted pods need the other nodes, and a node that is broken now cannot be told from one that the migration broke.",
            "Repair it (`kubectl describe node`), or delete it from the cluster and from the inventory.",
            _NODES,
            tuple(names),
        )


def network_unavailable(situation: Situation) -> t.Iterator[Finding]:
    """Nodes with the condition NetworkUnavailable."""
    names = [node["name"] for node in situation.cluster_nodes if node.get("network_unavailable")]
    if names:
        yield Finding(
            "node-network-unavailable",
            BLOCKER,
            node_subject(names),
            "The condition NetworkUnavailable is True.",
            "The CNI says that pods have no network there, and no new pod is scheduled to it.",
            "Restart flanneld's pod on this node: it clears the condition when it starts.",
            "flannel-io/flannel:pkg/subnet/kube/kube.go",
            tuple(names),
        )


def operating_system(situation: Situation) -> t.Iterator[Finding]:
    """Nodes that do not run Linux."""
    systems = {node["name"]: node["operating_system"] for node in situation.cluster_nodes if node.get("operating_system") not in (None, "linux")}
    if systems:
        yield Finding(
            "node-operating-system",
            BLOCKER,
            node_subject(systems),
            f"Operating system {per_node(systems)}.",
            "Windows nodes have another Flannel and another Calico; what is planned here works on Linux only.",
            "Remove these nodes from the cluster for the time of the migration, or migrate a cluster without them.",
            "projectcalico/calico:manifests/calico.yaml",
            tuple(systems),
        )


def _for_control_plane_only(node: Facts) -> bool:
    """Whether ordinary pods cannot go there."""
    return any(taint.get("key") in _CONTROL_PLANE_TAINTS and taint.get("effect") in ("NoSchedule", "NoExecute") for taint in node.get("taints") or [])


def too_few(situation: Situation) -> t.Iterator[Finding]:
    """No other node for the evicted pods.

    A tainted node of the control plane counts only for pods that tolerate its taint, as those on another such node do.
    """
    able = [node for node in situation.cluster_nodes if node.get("schedulable") or node_state.cordoned_by_us(node)]
    stuck: dict[str, int] = {}
    for node in situation.to_move:
        others = [other for other in able if other["name"] != node["name"] and (_for_control_plane_only(node) or not _for_control_plane_only(other))]
        pods = situation.pods_to_evict[node["name"]]
        if pods and not others:
            stuck[node["name"]] = len(pods)
    if stuck and len(situation.cluster_nodes) == 1:
        yield Finding(
            "node-single",
            BLOCKER,
            node_subject(stuck),
            f"It is the only node of the cluster, with {count(sum(stuck.values()), 'pod')} to evict.",
            "Pods are evicted before the node is switched, and can only start again on another one. Cluster DNS would be down as well, so that the "
            "checks after the switch would fail and the node would go back.",
            "Let pods move as they run (podnet_pod_move=replug). Or add a second node to the cluster and the inventory, if only for this time: it "
            "takes the pods, and `kubectl drain` gives them back.",
            _NODES,
            tuple(stuck),
        )
    elif stuck:
        yield Finding(
            "node-too-few",
            BLOCKER,
            node_subject(stuck),
            f"{count(sum(stuck.values()), 'pod')} to evict, and no other node for them: there is none, or it is cordoned, or for the control "
            "plane only.",
            "While a node is moved its pods must run somewhere else; here they would be down until it is done.",
            "Add a node, make a second one schedulable (`kubectl uncordon`), or let pods move as they run (podnet_pod_move=replug).",
            _NODES,
            tuple(stuck),
        )


def batch_takes_all(situation: Situation) -> t.Iterator[Finding]:
    """A batch that leaves no node for the pods that are evicted from it."""
    able = {node["name"] for node in situation.cluster_nodes if node.get("schedulable") or node_state.cordoned_by_us(node)}
    moving = [node["name"] for node in situation.to_move]
    largest = max((len(batch) for batch in batches.split(moving, situation.settings.serial)), default=0)
    pods = sum(len(situation.pods_to_evict[name]) for name in moving)
    if pods and 1 < len(able) <= largest:
        yield Finding(
            "node-batch-takes-all",
            BLOCKER,
            node_subject(moving),
            f"podnet_serial ({listed(map(str, situation.settings.serial))}) makes a batch of {largest} nodes, and {len(able)} can take pods.",
            "Evicted pods would wait for a node, and budgets for these pods, until the time for the eviction is over.",
            "Choose smaller batches, such as podnet_serial: [1, 10%, 25%].",
            _NODES,
            tuple(moving),
        )


def cordoned(situation: Situation) -> t.Iterator[Finding]:
    """Nodes that an administrator has cordoned."""
    names = [
        node["name"] for node in situation.cluster_nodes if not node.get("schedulable") and not node_state.cordoned_by_us(node) and node.get("ready")
    ]
    if names:
        yield Finding(
            "node-cordoned",
            INFO,
            node_subject(names),
            "Cordoned, but not by this collection.",
            "The node is moved like the others and stays cordoned, so pods evicted from elsewhere do not go there.",
            "Nothing to do; `kubectl uncordon` if it was forgotten.",
            _NODES,
            tuple(names),
        )


def interrupted(situation: Situation) -> t.Iterator[Finding]:
    """Nodes that a run which was stopped has left in between."""
    names = [name for name, state in situation.states.items() if state == node_state.MOVING]
    if names:
        details = {
            node["name"]: ", ".join(
                [f"active CNI {node_state.active_cni(facts)}"]
                + [f"{count(len(node_state.pods_on(facts, plane)), 'pod')} on {plane}" for plane in ("flannel", "calico")]
                + (["timer armed"] if (facts.get("watchdog") or {}).get("armed") else [])
                + (["still cordoned"] if node_state.cordoned_by_us(node) else [])
            )
            for node, facts in situation.node_facts()
            if node["name"] in names
        }
        yield Finding(
            "node-interrupted",
            INFO,
            node_subject(names),
            f"{listed((f'{name}: {details[name]}' for name in natural(details)), 4)}.",
            "An earlier run stopped here. Both data planes work; the node is moved first.",
            "Nothing to do.",
            "podnet.cni:roles/move_node",
            tuple(names),
        )


def active_cni(situation: Situation) -> t.Iterator[Finding]:
    """Nodes where the runtime uses another CNI than Flannel or Calico."""
    for node, facts in situation.node_facts():
        active = facts.get("active_cni")
        if active and active["cni"] in (node_state.FLANNEL, node_state.CALICO):
            continue
        what = f"{active['config_file']} ({active['cni']}: {', '.join(active.get('plugin_types') or [])})" if active else "no valid configuration"
        yield Finding(
            "node-other-cni",
            BLOCKER,
            node_subject([node["name"]]),
            f"The runtime uses {what}.",
            "Only a node whose pods come from Flannel can be moved; a meta plugin such as Multus would call Flannel in its own way.",
            "Make Flannel's configuration the first valid one in /etc/cni/net.d, or change the meta plugin's delegate yourself.",
            "containerd/go-cni:opts.go",
            (node["name"],),
        )


def config_order(situation: Situation) -> t.Iterator[Finding]:
    """A CNI configuration that sorts before every name that Calico's could get."""
    for node, facts in situation.moving_facts():
        configs = facts.get("cni_configs") or []
        if node_state.active_cni(facts) != node_state.FLANNEL:
            continue
        if configs and switch.name_for_copy(configs) is None:
            first = min(switch.file_name(config["path"]) for config in configs)
            yield Finding(
                "node-config-order",
                BLOCKER,
                node_subject([node["name"]]),
                f"/etc/cni/net.d/{first} sorts before {switch.NAMES[-1]}.",
                "The runtime takes the first file by name, so Calico's could never become the active one.",
                f"Rename {first} so that it sorts after 10-flannel.conflist, or remove it if nothing uses it.",
                "containerd/go-cni:opts.go",
                (node["name"],),
            )


def missing_in_inventory(situation: Situation) -> t.Iterator[Finding]:
    """Nodes of the cluster that no inventory host is."""
    if not situation.settings.hosts:
        return
    names = [node["name"] for node in situation.cluster_nodes if node["name"] not in situation.settings.hosts]
    if names:
        yield Finding(
            "inventory-node-missing",
            BLOCKER,
            node_subject(names),
            f"{count(len(names), 'node')} of the cluster {'is' if len(names) == 1 else 'are'} no host of the inventory group.",
            "Every node must get guard routes, routes and the switch: one that is left out would lose its pods when Flannel goes.",
            "Add the host to the group (podnet_hosts), and set podnet_node_name when neither its name nor its address tells which node it is.",
            "podnet.cni:roles/preflight",
            tuple(names),
        )


def unknown_hosts(situation: Situation) -> t.Iterator[Finding]:
    """Inventory hosts that are no node of the cluster."""
    known = {node["name"] for node in situation.cluster_nodes}
    hosts = natural(host for name, host in situation.settings.hosts.items() if name not in known)
    if hosts:
        yield Finding(
            "inventory-host-unknown",
            BLOCKER,
            f"{'host' if len(hosts) == 1 else 'hosts'} {listed(hosts)}",
            f"{count(len(hosts), 'inventory host')} {'is' if len(hosts) == 1 else 'are'} no node of this cluster.",
            "Inventory and kubeconfig may belong to different clusters.",
            "Take the host out of the group (podnet_hosts), or set podnet_node_name to the name that `kubectl get nodes` shows.",
            "podnet.cni:roles/preflight",
        )


def unreachable(situation: Situation) -> t.Iterator[Finding]:
    """Nodes in the inventory that gave no facts."""
    hosts = situation.settings.hosts
    names = [node["name"] for node in situation.cluster_nodes if node["name"] not in situation.nodes and (not hosts or node["name"] in hosts)]
    if names:
        yield Finding(
            "node-unreachable",
            BLOCKER,
            node_subject(names),
            "No facts: Ansible did not reach the host, or reading it failed (see the output above).",
            "What cannot be read cannot be moved, and could not be put back either.",
            f"Try `ansible -m ping {situation.settings.host_of(names[0])}`, correct the connection, run again.",
            "podnet.cni:plugins/modules/cni_facts.py",
            tuple(names),
        )


def public_address(situation: Situation) -> t.Iterator[Finding]:
    """Flannel uses another address of a node than Calico will."""
    others = {
        node["name"]: f"Flannel {node['flannel']['public_ip']}, InternalIP {node['internal_ip']}"
        for node in situation.to_move
        if (node.get("flannel") or {}).get("public_ip")
        and node.get("internal_ip")
        and node["flannel"]["public_ip"] not in node.get("internal_ips", [])
    }
    if others:
        yield Finding(
            "node-address-differs",
            WARNING,
            node_subject(others),
            f"{listed((f'{name}: {others[name]}' for name in natural(others)), 4)}.",
            "Calico takes the InternalIP as next hop, so pod traffic changes to another link than Flannel's tunnel uses.",
            "Check that the nodes' InternalIP is on the network that the routers peer on, and that its links are as fast.",
            "projectcalico/calico:node/pkg/lifecycle/startup/autodetection",
            tuple(others),
        )


RULES = (
    not_ready,
    network_unavailable,
    operating_system,
    too_few,
    batch_takes_all,
    cordoned,
    interrupted,
    active_cni,
    config_order,
    missing_in_inventory,
    unknown_hosts,
    unreachable,
    public_address,
)
