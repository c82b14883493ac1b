# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that judge facts and show what was judged; documented in the YAML file of each name."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import (
    batches,
    gate,
    plan,
    report,
    rollback,
    routing,
    switch_gate,
    switch_texts,
    switching,
    table,
    texts,
)
from ansible_collections.podnet.cni.plugins.plugin_utils._clear_errors import filters_with_clear_errors

Record = t.Mapping[str, t.Any]


def migration_plan(cluster: Record, nodes: t.Mapping[str, Record], settings: Record | None = None) -> dict[str, t.Any]:
    """See C(plan.plan_migration)."""
    return plan.plan_migration(cluster, nodes, settings or {})


def rollback_plan(cluster: Record, nodes: t.Mapping[str, Record], settings: Record | None = None) -> dict[str, t.Any]:
    """See C(rollback.plan_rollback)."""
    return rollback.plan_rollback(cluster, nodes, settings or {})


def switch_plan(cluster: Record, nodes: t.Mapping[str, Record], settings: Record | None = None) -> dict[str, t.Any]:
    """See C(switching.plan_switch)."""
    return switching.plan_switch(cluster, nodes, settings or {})


def switch_ways(value: Record, name: str, probes: bool = False) -> list[dict[str, str]]:
    """See C(switching.ways)."""
    return switching.ways(dict(value), name, probes)


def switch_missing(cluster: Record, name: str, facts: Record, mode: str, stage: str = "routes") -> list[str]:
    """See C(switch_gate.missing)."""
    return switch_gate.missing(cluster, name, facts, mode, stage)


def plan_table(value: Record, width: int = table.WIDTH) -> str:
    """See C(texts.plan_table), and C(switch_texts.plan_table)."""
    if value.get("direction") == switching.DIRECTION:
        return switch_texts.plan_table(value, texts.findings_table(value["findings"], int(width)), int(width))
    return texts.plan_table(value, int(width))


def findings_table(findings: t.Sequence[Record], width: int = table.WIDTH) -> str:
    """See C(texts.findings_table)."""
    return texts.findings_table(list(findings), int(width))


def parse_serial(value: t.Any) -> list[batches.Size]:
    """See C(batches.parse_serial)."""
    return batches.parse_serial(value)


def gate_filter(cluster: Record, nodes: t.Mapping[str, Record], value: Record, settled: bool = False) -> list[dict[str, str]]:
    """See C(gate.gate_findings)."""
    return [finding.to_dict() for finding in gate.gate_findings(cluster, nodes, value, settled)]


def gate_table(cluster: Record, nodes: t.Mapping[str, Record], value: Record, settled: bool = False, width: int = table.WIDTH) -> str:
    """See C(texts.gate_table)."""
    return texts.gate_table(gate.gate_rows(cluster, nodes, value, settled), int(width))


def routing_findings(cluster: Record, nodes: t.Mapping[str, Record]) -> list[dict[str, str]]:
    """See C(routing.routing_findings)."""
    return [finding.to_dict() for finding in routing.routing_findings(cluster, nodes)]


def migration_report(value: Record, journal: Record) -> dict[str, t.Any]:
    """See C(report.migration_report)."""
    return report.migration_report(value, journal)


def report_table(value: Record, width: int = table.WIDTH) -> str:
    """See C(texts.report_table)."""
    return texts.report_table(value, int(width))


class FilterModule:
    """Filters of podnet.cni."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return filters_with_clear_errors(
            {
                "migration_plan": migration_plan,
                "rollback_plan": rollback_plan,
                "switch_plan": switch_plan,
                "switch_ways": switch_ways,
                "switch_missing": switch_missing,
                "plan_table": plan_table,
                "findings_table": findings_table,
                "parse_serial": parse_serial,
                "gate": gate_filter,
                "gate_table": gate_table,
                "routing_findings": routing_findings,
                "migration_report": migration_report,
                "report_table": report_table,
            }
        )
