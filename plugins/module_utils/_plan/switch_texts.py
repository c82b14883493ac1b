# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a switch between two modes as text for people. Pure: a record in, text out."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER
from ansible_collections.podnet.cni.plugins.module_utils._plan.table import WIDTH, Column, pairs, table, wrap
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed

Record = t.Mapping[str, t.Any]
_COLUMNS = (
    Column("node", least=16),
    Column("zone", least=8, dispensable=1),
    Column("pods", right=True, fixed=True),
    Column("their MTU", right=True, fixed=True),
    Column("blocks", right=True, fixed=True, dispensable=2),
    Column("probe address", fixed=True, dispensable=3),
    Column("batch", right=True, fixed=True),
    Column("verdict", least=10),
)


def _bytes(number: int) -> str:
    return "as many as now" if not number else f"{abs(number)} bytes {'more' if number > 0 else 'less'} a packet"


def _facts(plan: Record) -> list[tuple[str, str]]:
    before, after, cost = plan["routing_before"], plan["routing"], plan["cost"]
    cluster = plan["cluster"]
    peers = [f"{peer['name']} {peer.get('peer_ip')}, AS {peer.get('as_number')}" for peer in plan["bgp_peers"]]
    return [
        ("Cluster", f"Kubernetes {cluster.get('server_version')}, {count(cluster['nodes'], 'node')}, {count(cluster['pods'], 'pod')}"),
        ("Now", f"{before['name']}: {before['title']}"),
        ("Then", f"{after['name']}: {after['title']}"),
        ("Bytes", f"inside a subnet {_bytes(cost['inside'])}, between subnets {_bytes(cost['between'])}"),
        ("MTU", f"{plan['path_mtu']} for pods that start afterwards; pods that run keep theirs" if plan["path_mtu"] else "not known"),
        ("Peers", listed(peers)),
        ("Batches", " | ".join(listed(batch) for batch in plan["batches"])),
    ]


def _rows(plan: Record) -> t.Iterator[tuple[t.Any, ...]]:
    batch_of = {name: number for number, batch in enumerate(plan["batches"], 1) for name in batch}
    for node in plan["nodes"]:
        refused = ", ".join(node["refused"])
        verdict = f"REFUSED: {refused}" if refused else "switch" if plan["work"] else "done"
        mtu = node["pod_mtu"] or "-"
        yield (
            node["name"],
            node.get("zone") or "-",
            node["pods"],
            mtu,
            sum(1 for block in plan["blocks"] if block["node"] == node["name"]),
            node["probe_address"] or "-",
            batch_of.get(node["name"], "-"),
            verdict,
        )


def _steps(plan: Record, width: int) -> str:
    lines = []
    for number, step in enumerate(plan["cluster_steps"], 1):
        prefix = f"  {number:>2} {'*' if step['cuts'] else ' '} "
        lines += [(prefix if not i else " " * len(prefix)) + line for i, line in enumerate(wrap(step["title"], width - len(prefix)))]
    return "\n".join([*lines, *wrap("  * ends or removes something; no pod restarts", width, 2)])


def _verdict(plan: Record) -> str:
    refused = sum(1 for finding in plan["findings"] if finding["severity"] == BLOCKER)
    if plan["blocked"]:
        return f"Verdict: REFUSED, {count(refused, 'finding')} must be resolved first. Nothing is changed."
    if not plan["work"]:
        return f"Verdict: nothing to do, the cluster is led by {plan['routing']['name']}."
    return f"Verdict: can be done; {plan['routing_before']['name']} to {plan['routing']['name']} on {count(len(plan['nodes']), 'node')}."


def plan_table(plan: Record, findings: str, width: int = WIDTH) -> str:
    """The whole plan; C(findings) is their table."""
    parts = [f"Switch plan: {plan['routing_before']['title']} to {plan['routing']['title']}", pairs(_facts(plan), width)]
    parts.append(table(_COLUMNS, _rows(plan), width))
    if plan["cluster_steps"]:
        parts.append(f"Steps\n{_steps(plan, width)}")
    return "\n\n".join([*parts, findings, "\n".join(wrap(_verdict(plan), width, 2))])
