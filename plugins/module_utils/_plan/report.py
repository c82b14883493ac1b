# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a migration from plan and journal. Pure: records in, a record out."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan.words import natural_key

Record = t.Mapping[str, t.Any]
DONE = {"calico": "moved", "flannel": "returned"}
"""The phase that the journal has of a node that is done, by the direction of the plan."""
FAILED = {"calico": "failed", "flannel": "return-failed"}
"""The same of a node that could not be moved."""


def _node(name: str, record: Record) -> dict[str, t.Any]:
    """Times of one node."""
    phases = [
        {"phase": phase["phase"], "seconds": float(phase.get("seconds") or 0.0), "graceful_seconds": float(phase.get("graceful_seconds") or 0.0)}
        for phase in record.get("phases") or []
    ]
    node: dict[str, t.Any] = {
        "name": record.get("name") or name,
        "zone": record.get("zone") or "",
        "phases": phases,
        "seconds": float(record.get("seconds") or sum(phase["seconds"] for phase in phases)),
        "graceful_seconds": float(record.get("graceful_seconds") or sum(phase["graceful_seconds"] for phase in phases)),
    }
    if record.get("replugged"):
        told = record["replugged"]
        node["replugged"] = {
            "milliseconds": [float(gap) for gap in told["milliseconds"]],
            "reached": [int(number) for number in told["reached"]],
        }
    if record.get("began"):
        node["began"] = float(record["began"])
    return node


def migration_report(plan: Record, journal: Record) -> dict[str, t.Any]:
    """The report; C(journal) is the result of M(podnet.cni.cni_journal) with C(state=read).

    Nodes that an earlier run has moved in the plan's direction are part of it, in the order in which they were moved. Nodes that failed have
    no phases and are listed apart.
    """
    run = journal.get("run") or {}
    records = journal.get("nodes") or {}
    direction = plan.get("direction") or "calico"
    done = DONE[direction]
    moved = [_node(name, record) for name, record in records.items() if record.get("phase", done) == done and record.get("phases")]
    failed = [
        {"name": name, "failed": record["failed"]}
        for name, record in records.items()
        if record.get("phase") == FAILED[direction] and record.get("failed")
    ]
    return {
        "direction": direction,
        "run": run.get("run"),
        "started": run.get("started"),
        "finished": run.get("finished"),
        "nodes": sorted(moved, key=lambda node: (node.get("began", 0.0), natural_key(node["name"]))),
        "failed_nodes": sorted(failed, key=lambda node: natural_key(node["name"])),
        "findings": list(plan.get("findings") or []),
        "plan": {key: value for key, value in plan.items() if key != "findings"},
    }
