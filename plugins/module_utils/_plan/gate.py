# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate after a batch: is what was meant to happen true in the cluster, and is the rest untouched. Pure: no input, no output."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import node_state, workloads
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, WARNING, Finding, blockers_of, ordered
from ansible_collections.podnet.cni.plugins.module_utils._plan.routing import missing_block_routes, routes_of_calico, routing_findings
from ansible_collections.podnet.cni.plugins.module_utils._plan.sessions import session_findings
from ansible_collections.podnet.cni.plugins.module_utils._plan.transit import nodes_with_flanneld
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed, natural, node_subject

Facts = t.Mapping[str, t.Any]
_SOURCE = "podnet.cni:roles/gate"
_MOST = 4


def _moved_node(node: Facts, facts: Facts, planned: Facts) -> t.Iterator[Finding]:
    """One node of the batch: wholly on Calico, and in service."""
    name = str(node["name"])

    def refuse(identifier: str, evidence: str, why: str, remedy: str, severity: str = BLOCKER) -> Finding:
        return Finding(identifier, severity, node_subject([name]), evidence, why, remedy, _SOURCE, (name,))

    active = node_state.active_cni(facts)
    if active != node_state.CALICO:
        yield refuse(
            "gate-not-on-calico",
            f"The active CNI is {active or 'none'}.",
            "The node was not moved, or its timer has put Flannel back.",
            "Look at the journal and at the output of this node's tasks; run again to move it.",
        )
    left = natural(pod["address"] for pod in node_state.pods_on(facts, node_state.FLANNEL))
    if left:
        yield refuse(
            "gate-pods-on-flannel",
            f"{count(len(left), 'pod')} still on Flannel's bridge: {listed(left)}.",
            "They would lose their network when Flannel is removed.",
            "Run again: the node is moved once more, and these pods with it.",
        )
    watchdog = facts.get("watchdog") or {}
    if watchdog.get("armed"):
        left_seconds = watchdog.get("seconds_left")
        yield refuse(
            "gate-timer-armed",
            "The timer that restores Flannel is armed" + (f", {left_seconds} s left." if left_seconds is not None else "."),
            "New pods would get Flannel's network again when it is over.",
            "Run again: the node is moved and proved once more, which disarms the timer.",
        )
    if node_state.cordoned_by_us(node):
        yield refuse(
            "gate-still-cordoned",
            "The node is still cordoned by this migration.",
            "No pod comes back to it.",
            f"`kubectl uncordon {name}`, or run again.",
        )
    elif not node.get("schedulable", True) and not planned.get("cordoned"):
        yield refuse(
            "gate-cordoned-meanwhile",
            "Somebody else cordoned the node meanwhile.",
            "It stays as it is, since it is not this migration's cordon.",
            f"`kubectl uncordon {name}` if it was forgotten.",
            WARNING,
        )


def _returned_node(node: Facts, facts: Facts) -> t.Iterator[Finding]:
    """One node of the batch of a rollback: wholly on Flannel, and in service."""
    name = str(node["name"])
    active = node_state.active_cni(facts)
    if active != node_state.FLANNEL:
        yield Finding(
            "gate-not-on-flannel",
            BLOCKER,
            node_subject([name]),
            f"The active CNI is {active or 'none'}.",
            "The node did not go back, or something made Calico's configuration the first one again.",
            "Look at the output of this node's tasks; run again to bring it back.",
            _SOURCE,
            (name,),
        )
    left = natural(pod["address"] for pod in node_state.pods_on(facts, node_state.CALICO))
    if left:
        yield Finding(
            "gate-pods-on-calico",
            BLOCKER,
            node_subject([name]),
            f"{count(len(left), 'pod')} still on Calico's network: {listed(left)}.",
            "They would lose their network when Calico is removed.",
            "Run again: these pods are restarted, or moved as they run.",
            _SOURCE,
            (name,),
        )
    if node_state.cordoned_by_us(node):
        yield Finding(
            "gate-returned-cordoned",
            BLOCKER,
            node_subject([name]),
            "The node is still cordoned by this rollback.",
            "No pod comes back to it.",
            f"`kubectl uncordon {name}`, or run again.",
            _SOURCE,
            (name,),
        )


def _all_nodes(cluster: Facts, moved: t.Collection[str], plan: Facts) -> t.Iterator[Finding]:
    """Every node of the plan: Ready, with calico-node, and with flanneld as long as it is needed."""
    by_name = {node["name"]: node for node in cluster.get("nodes") or []}
    planned = [node["name"] for node in plan.get("nodes") or []]
    gone = [name for name in planned if name not in by_name]
    if gone:
        yield Finding(
            "gate-node-gone",
            WARNING,
            node_subject(gone),
            "The cluster does not have it any more.",
            "It was removed during the migration.",
            "Take it out of the inventory.",
            _SOURCE,
            tuple(gone),
        )
    down = [name for name in planned if name in by_name and not by_name[name].get("ready")]
    if down:
        part = "of the batch" if set(down) <= set(moved) else "of the cluster"
        yield Finding(
            "gate-node-not-ready",
            BLOCKER,
            node_subject(down),
            f"{count(len(down), 'node')} {part} not Ready now.",
            "Going on would take more nodes out of service.",
            "`kubectl describe node` says why; repair it, then run again.",
            _SOURCE,
            tuple(down),
        )
    daemonset = (cluster.get("calico") or {}).get("daemonset")
    ready = set((daemonset or {}).get("ready_nodes") or [])
    silent = [name for name in planned if name in by_name and name not in ready]
    if silent:
        yield Finding(
            "gate-calico-not-ready",
            BLOCKER,
            node_subject(silent),
            "calico-node is not Ready there." if daemonset else "The cluster has no DaemonSet of calico-node.",
            "Such a node neither learns routes to pods that have moved nor gives new pods a network of Calico.",
            "`kubectl -n kube-system get pods -l k8s-app=calico-node -o wide` and its log; repair it, then run again.",
            _SOURCE,
            tuple(silent),
        )
    yield from _flanneld(cluster, [name for name in planned if name in by_name])


def _joined(cluster: Facts, plan: Facts) -> t.Iterator[Finding]:
    """Nodes that joined the cluster after the plan was made."""
    planned = {node["name"] for node in plan.get("nodes") or []}
    joined = natural(node["name"] for node in cluster.get("nodes") or [] if node["name"] not in planned)
    if joined:
        yield Finding(
            "gate-node-joined",
            BLOCKER,
            node_subject(joined),
            f"{count(len(joined), 'node')} joined the cluster after the plan was made.",
            "The plan does not know it: it has no blocks and no guard routes, and its pods would lose their network together with Flannel.",
            "Add it to the inventory group, then run again: the new plan holds it.",
            _SOURCE,
            tuple(joined),
        )


def _flanneld(cluster: Facts, names: t.Sequence[str]) -> t.Iterator[Finding]:
    """Flanneld runs on every node until the last one has moved."""
    flannel = cluster.get("flannel")
    if not flannel:
        return
    daemonset = flannel["daemonset"]
    running = nodes_with_flanneld(cluster)
    absent = [name for name in names if name not in running]
    if absent and daemonset.get("desired", 0) >= len(names):
        yield Finding(
            "gate-flannel-not-ready",
            BLOCKER,
            node_subject(absent),
            f"flanneld (DaemonSet {daemonset['namespace']}/{daemonset['name']}) is not Ready there.",
            "It is the transit between pods that have moved and pods that have not.",
            f"`kubectl -n {daemonset['namespace']} get pods -o wide` and its log; repair it, then run again.",
            _SOURCE,
            tuple(absent),
        )


def _workloads(cluster: Facts, plan: Facts, settled: bool) -> t.Iterator[Finding]:
    """Workloads have as many Ready pods as before."""
    now = workloads.by_workload(cluster.get("pods") or [])
    short = []
    for entry in plan.get("workloads") or []:
        workload = workloads.Workload(entry["kind"], entry["namespace"], entry["name"])
        members = now.get(workload)
        if members is None:  # deleted or scaled to nothing by its owner
            continue
        ready = sum(1 for pod in members if pod.get("ready") and not pod.get("terminating"))
        wanted = min(int(entry["ready"]), sum(1 for pod in members if not pod.get("terminating")) or int(entry["ready"]))
        if ready < wanted:
            waiting = natural(
                f"{pod['name']} on {pod.get('node') or 'no node yet'}" for pod in members if not pod.get("ready") and not pod.get("terminating")
            )
            short.append((str(workload), ready, int(entry["ready"]), waiting))
    for name, ready, before, waiting in short:
        yield Finding(
            "gate-pods-not-ready",
            BLOCKER if settled else WARNING,
            name,
            f"{ready} of {before} pods are Ready" + (f"; waiting for {listed(waiting, _MOST)}." if waiting else "."),
            "It had more before the migration; moving the next node could take the rest.",
            "`kubectl describe pod` says why; when the pods are Ready, run again.",
            _SOURCE,
        )


def gate_findings(cluster: Facts, nodes: t.Mapping[str, Facts], plan: Facts, settled: bool = False) -> list[Finding]:
    """What is not as it should be after the nodes of C(nodes) (their facts by name) were moved.

    Pods that were evicted need some time to be Ready elsewhere, and BGP needs some to tell of a new block. Until C(settled) such findings
    are warnings, so that a caller can ask again; then they block.
    """
    planned = {node["name"]: node for node in plan.get("nodes") or []}
    found: list[Finding] = []
    for node in cluster.get("nodes") or []:
        if node["name"] in nodes:
            facts = nodes[node["name"]]
            returned = plan.get("direction") == node_state.FLANNEL
            found += _returned_node(node, facts) if returned else _moved_node(node, facts, planned.get(node["name"], {}))
    found += _all_nodes(cluster, list(nodes), plan)
    found += _joined(cluster, plan)
    found += routing_findings(cluster, nodes)
    found += missing_block_routes(cluster, nodes, BLOCKER if settled else WARNING)
    found += session_findings(cluster, nodes) if plan.get("direction") != node_state.FLANNEL else []
    found += _workloads(cluster, plan, settled)
    return ordered(found)


def gate_rows(cluster: Facts, nodes: t.Mapping[str, Facts], plan: Facts, settled: bool = False) -> list[dict[str, t.Any]]:
    """What is true of each node of the batch, for people."""
    findings = gate_findings(cluster, nodes, plan, settled)
    by_name = {node["name"]: node for node in cluster.get("nodes") or []}
    ready_nodes = ((cluster.get("calico") or {}).get("daemonset") or {}).get("ready_nodes") or []
    rows = []
    for name in natural(nodes):
        node, facts = by_name.get(name, {}), nodes[name]
        rows.append(
            {
                "node": name,
                "ready": bool(node.get("ready")),
                "schedulable": bool(node.get("schedulable")),
                "cni": node_state.active_cni(facts) or "none",
                "calico_node": name in ready_nodes,
                "pods_calico": len(node_state.pods_on(facts, node_state.CALICO)),
                "pods_flannel": len(node_state.pods_on(facts, node_state.FLANNEL)),
                "calico_routes": routes_of_calico(facts),
                "refused": blockers_of(findings, name),
            }
        )
    return rows
