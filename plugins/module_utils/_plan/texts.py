# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan, findings, gate and report as text for people. Pure: records in, text out."""

from __future__ import annotations

import statistics
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, INFO, SEVERITIES, WARNING, rank
from ansible_collections.podnet.cni.plugins.module_utils._plan.table import WIDTH, Column, pairs, table, wrap
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed, seconds

Record = t.Mapping[str, t.Any]
_HEADINGS = {BLOCKER: "BLOCKER", WARNING: "warning", INFO: "info"}
_MOST_BATCHES = 12


class _Words(t.NamedTuple):
    """How the plan of a direction is told."""

    heading: str
    verdict: str
    nodes_to: str
    all_there: str
    each: str
    each_replugged: str
    legend: str
    done: str


_WORDS = {
    "calico": _Words(
        "Migration plan: Flannel to {mode}, side by side, same pod addresses",
        "move",
        "to move",
        "all nodes are on Calico",
        "each: cordon, evict as budgets allow; arm the timer that restores Flannel; make Calico's CNI configuration the first one; "
        "restart DaemonSet pods; probe; disarm; uncordon",
        "each: cordon; arm the timer that restores Flannel; make Calico's CNI configuration the first one; move the pods as they run; probe; disarm; "
        "uncordon",
        "a node that cannot be moved goes back to Flannel by itself",
        "moved",
    ),
    "flannel": _Words(
        "Rollback plan: Calico back to Flannel, side by side, same pod addresses",
        "return",
        "to bring back",
        "all chosen nodes are on Flannel",
        "each: cordon, evict as budgets allow; make Flannel's CNI configuration the first one; restart DaemonSet pods; probe; uncordon",
        "each: cordon; make Flannel's CNI configuration the first one; move the pods as they run; probe; uncordon",
        "a node that does not pass its checks stays on Calico",
        "brought back",
    ),
}


def _returns(plan: Record) -> bool:
    """Whether it is the plan of the way back."""
    return plan.get("direction") == "flannel"


def _replugs(plan: Record) -> bool:
    """Whether pods move as they run."""
    return bool((plan.get("settings") or {}).get("pod_move") == "replug")


def _words(record: Record) -> _Words:
    return _WORDS[record.get("direction") or "calico"]


# Names that clouds give to nodes are so long that the columns of a table must be able to give way.
_NODE = Column("node", least=16)
_ZONE = Column("zone", least=8, dispensable=1)


def findings_table(findings: t.Sequence[Record], width: int = WIDTH) -> str:
    """One row for each finding, the worst first: what was found, why it matters, what to do."""
    if not findings:
        return "No findings."
    shown = sorted(findings, key=lambda finding: rank(finding["severity"]))
    rows = []
    for finding in shown:
        subject = f"{finding['id']}\n{finding['subject']}"
        text = f"{finding['evidence']}\nWhy: {finding['why']}\nFix: {finding['remedy']}"
        rows.append((_HEADINGS[finding["severity"]], subject, text))
    left = max(16, min(30, width // 3 - 4))
    bounded = [(severity, "\n".join(wrap(subject, left)), text) for severity, subject, text in rows]
    counted = [(severity, sum(1 for finding in findings if finding["severity"] == severity)) for severity in SEVERITIES]
    summary = ", ".join(count(number, severity, "info" if severity == INFO else None) for severity, number in counted if number)
    columns = (Column("", fixed=True), Column("finding", fixed=True), Column("evidence, reason, remedy", hanging=5))
    return f"Findings: {summary}\n{table(columns, bounded, width)}"


def _peer(peer: Record) -> str:
    selector = peer.get("node_selector") or "all()"
    where = f"node {peer['node']}" if peer.get("node") else "all nodes" if selector == "all()" else selector
    if not peer.get("peer_ip"):
        return f"{peer.get('name')} {peer.get('peer_selector')}, for {where}"
    return f"{peer.get('name')} {peer.get('peer_ip')}, AS {peer.get('as_number')}, for {where}"


def _bgp(plan: Record) -> str:
    """AS numbers, mesh, reflectors and peers, a line each."""
    settings, reflectors = plan["settings"], plan.get("reflectors") or []
    zones = [f"nodes of zone {zone} are AS {number}" for zone, number in (settings.get("zone_as_numbers") or {}).items()]
    lines = [f"{'other ' if zones else ''}nodes are AS {settings.get('as_number')}"]
    lines += ["every node peers with every other"] if plan["routing"]["node_mesh"] else []
    lines += (
        [f"{listed(reflectors)} {'are route reflectors' if len(reflectors) > 1 else 'is a route reflector'}, and moved last"] if reflectors else []
    )
    return "\n".join([*zones, *lines, *map(_peer, plan.get("peers") or [])])


_ENCAPSULATION = {"none": "not encapsulated", "vxlan_cross_subnet": "VXLAN between subnets", "vxlan": "VXLAN"}


def _facts(plan: Record) -> list[tuple[str, str]]:
    """What the plan is about."""
    cluster, pool = plan["cluster"], plan["pool"]
    zones = f" in {count(cluster['zones'], 'zone')}" if cluster.get("zones") else ""
    flannel = cluster.get("flannel")
    backend = (flannel or {}).get("backend") or {}
    tunnel = (
        f"{backend.get('type')}, VNI {backend.get('vni')}, UDP port {backend.get('port')}" if backend.get("type") == "vxlan" else backend.get("type")
    )
    there = f"{cluster['calico']} is there; " if cluster.get("calico") else ""
    nat = f"NAT outgoing {'on' if pool.get('nat_outgoing') else 'off'}"
    return [
        ("Cluster", f"Kubernetes {cluster.get('server_version')}, {count(cluster['nodes'], 'node')}{zones}, {count(cluster['pods'], 'pod')}"),
        ("Flannel", f"DaemonSet {flannel['daemonset']}, {tunnel}, network {plan.get('network')}" if flannel else _flannel_gone(plan)),
        ("Calico", f"{there}pool {pool['name']} {pool['cidr']}, blocks of /{pool['block_size']}, {_ENCAPSULATION[pool['encapsulation']]}, {nat}"),
        ("Routing", "" if _returns(plan) else f"{plan['routing']['name']}: {plan['routing']['title']}"),
        ("BGP", "" if _returns(plan) or plan["routing"]["tunnel"] else _bgp(plan)),
        ("Batches", _batches(plan) or f"no node is left to be {_words(plan).done}"),
    ]


def _flannel_gone(plan: Record) -> str:
    return "removed; it is put back from the journal" if plan.get("restore_flannel") else "not there any more"


def _batches(plan: Record) -> str:
    serial = ", ".join(map(str, plan["settings"].get("serial") or []))
    batches = plan.get("batches") or []
    shown = " | ".join(listed(batch) for batch in batches[:_MOST_BATCHES])
    more = f" and {count(len(batches) - _MOST_BATCHES, 'more batch', 'more batches')}" if len(batches) > _MOST_BATCHES else ""
    return shown and f"{shown}{more} (podnet_serial: {serial})"


def _node_rows(plan: Record) -> list[tuple[t.Any, ...]]:
    batch_of = {name: number for number, batch in enumerate(plan.get("batches") or [], 1) for name in batch}
    numbers = ["pods_to_replug"] if _replugs(plan) else ["pods_to_evict", "pods_to_restart"]
    rows = []
    for node in plan["nodes"]:
        moves = node["name"] in batch_of
        stays = "stays" if _returns(plan) and node["state"] != "flannel" else "done"
        verdict = stays if not moves else (", ".join(node["refused"]) and f"REFUSED: {', '.join(node['refused'])}") or _words(plan).verdict
        rows.append(
            (
                node["name"],
                node.get("zone") or "-",
                node["state"],
                node.get("pod_cidr") or "-",
                f"{len(node['blocks'])} x /{plan['pool']['block_size']}" if node["blocks"] else "-",
                *(node[name] if moves else "-" for name in numbers),
                batch_of.get(node["name"], "-"),
                verdict,
            )
        )
    return rows


_NODE_COLUMNS = (
    _NODE,
    _ZONE,
    Column("now", fixed=True),
    Column("podCIDR", fixed=True),
    Column("blocks", fixed=True, dispensable=3),
    Column("evict", right=True, fixed=True),
    Column("restart", right=True, fixed=True, dispensable=2),
    Column("batch", right=True, fixed=True),
    Column("verdict", least=10),
)
_REPLUG_COLUMNS = (*_NODE_COLUMNS[:5], Column("pods", right=True, fixed=True), *_NODE_COLUMNS[7:])


def _steps(plan: Record, width: int) -> str:
    """Numbered steps; those of a node once, since they are the same for all but for the numbers in the table."""
    lines = []
    for number, step in enumerate(plan["cluster_steps"], 1):
        mark = "*" if step["cuts"] else " "
        prefix = f"  {number:>2} {mark} "
        lines += [(prefix if not i else " " * len(prefix)) + line for i, line in enumerate(wrap(step["title"], width - len(prefix)))]
        if step["id"] == "move":
            each = _words(plan).each_replugged if _replugs(plan) else _words(plan).each
            lines += [" " * 7 + line for line in wrap(each, width - 7)]
    legend = "  * restarts pods or removes something"
    if any(step["id"] == "move" for step in plan["cluster_steps"]):
        legend += f"; {_words(plan).legend}"
    return "\n".join([*lines, *wrap(legend, width, 2)])


def _verdict(plan: Record) -> str:
    refused = sum(1 for finding in plan["findings"] if finding["severity"] == BLOCKER)
    if plan["blocked"]:
        return f"Verdict: REFUSED, {count(refused, 'finding')} must be resolved first. Nothing is changed."
    if not plan["work"]:
        return "Verdict: nothing to do."
    moving = sum(map(len, plan["batches"]))
    words = _words(plan)
    parts = [f"{count(moving, 'node')} {words.nodes_to} in {count(len(plan['batches']), 'batch', 'batches')}"] if moving else [words.all_there]
    if _returns(plan):
        removal = ("then Calico is removed" if moving else "Calico is still to be removed") if plan.get("remove_calico") else None
        parts.append(removal or "Calico stays beside Flannel")
    elif plan.get("remove_flannel"):
        parts.append("then Flannel is removed" if moving else "Flannel is still to be removed")
    elif moving:
        parts.append("Flannel stays beside Calico (podnet_remove_flannel=false)")
    return f"Verdict: can be done; {', '.join(parts)}."


def plan_table(plan: Record, width: int = WIDTH) -> str:
    """The whole plan."""
    parts = [_words(plan).heading.format(mode=plan["routing"]["title"]), pairs(_facts(plan), width)]
    parts.append(table(_REPLUG_COLUMNS if _replugs(plan) else _NODE_COLUMNS, _node_rows(plan), width))
    if plan["cluster_steps"]:
        parts.append(f"Steps\n{_steps(plan, width)}")
    parts += [findings_table(plan["findings"], width), "\n".join(wrap(_verdict(plan), width, 2))]
    return "\n\n".join(parts)


def gate_table(rows: t.Iterable[Record], width: int = WIDTH) -> str:
    """What is true of the nodes of a batch."""

    def yes(value: t.Any) -> str:
        return "yes" if value else "NO"

    columns = (
        _NODE,
        Column("CNI", fixed=True),
        Column("Ready", fixed=True),
        Column("schedulable", fixed=True, dispensable=2),
        Column("calico-node", fixed=True, dispensable=1),
        Column("pods on Calico", right=True),
        Column("on Flannel", right=True),
        Column("Calico's routes", right=True, dispensable=3),
        Column("gate", least=10),
    )
    texts = [
        (
            row["node"],
            row["cni"],
            yes(row["ready"]),
            yes(row["schedulable"]),
            "Ready" if row["calico_node"] else "NOT READY",
            row["pods_calico"],
            row["pods_flannel"],
            row["calico_routes"],
            "passed" if not row["refused"] else f"REFUSED: {', '.join(row['refused'])}",
        )
        for row in rows
    ]
    return table(columns, texts, width)


def _replugged(nodes: t.Iterable[Record]) -> list[str]:
    """What was done to pods as they ran, none when none was."""
    found = [node["replugged"] for node in nodes if node.get("replugged")]
    if not found:
        return []
    gaps = [gap for entry in found for gap in entry["milliseconds"]]
    reached = min(number for entry in found for number in entry["reached"])
    half = f"of half of them for at most {statistics.median_low(gaps):.1f} ms."
    others = f" Each reached at least {count(reached, 'address', 'addresses')} elsewhere as before." if reached else ""
    return [f"{count(len(gaps), 'pod')} moved as they ran; packets of one had no way for at most {max(gaps):.1f} ms, {half}{others}"]


def report_table(report: Record, width: int = WIDTH) -> str:
    """Seconds of each node and phase, and what they add up to."""
    nodes = report.get("nodes") or []
    plan = report.get("plan") or {}
    more = ["Flannel was put back."] if plan.get("restore_flannel") else []
    more += ["Calico was removed; its resources are in the journal."] if plan.get("remove_calico") else []
    if not nodes:
        return " ".join([f"No node was {_words(report).done}.", *more])
    names = list(dict.fromkeys(phase["phase"] for node in nodes for phase in node.get("phases") or []))
    columns = (
        _NODE,
        _ZONE._replace(dispensable=len(names) + 1),
        *(Column(name, right=True, fixed=True, dispensable=number) for number, name in enumerate(names, 1)),
        Column("all", right=True, fixed=True),
        Column("graceful termination", right=True),
        Column("without it", right=True),
    )
    rows = []
    for node in nodes:
        by_phase = {phase["phase"]: phase["seconds"] for phase in node.get("phases") or []}
        own = node["seconds"] - node["graceful_seconds"]
        times = [f"{by_phase[name]:.1f} s" if name in by_phase else "-" for name in names]
        rows.append(
            (node["name"], node.get("zone") or "-", *times, *(f"{value:.1f} s" for value in (node["seconds"], node["graceful_seconds"], own)))
        )
    own_times = sorted(node["seconds"] - node["graceful_seconds"] for node in nodes)
    middle = len(own_times) // 2
    median = own_times[middle] if len(own_times) % 2 else (own_times[middle - 1] + own_times[middle]) / 2
    summary = f"{count(len(nodes), 'node')} {_words(report).done}; median {seconds(median)} a node without waiting for pods that end gracefully."
    summary = " ".join([summary, *_replugged(nodes), *more])
    return "\n".join(["Time per node and phase", table(columns, rows, width), *wrap(summary, width, 2)])
