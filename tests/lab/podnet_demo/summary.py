# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as a few lines for a terminal. No I/O."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable
from pathlib import Path

from podnet_demo.report_html import fixed, measured, milliseconds, number, percent

LEFTOVERS_SHOWN = 12

Record = dict[str, t.Any]


def summary_text(report: Record, folder: Path) -> str:
    """Promises, numbers before and after, and where to read more."""
    width = max(len(promise["promise"]) for promise in report["promises"])
    lines = ["", "Promises"]
    for promise in report["promises"]:
        mark = "ok " if promise["kept"] else "NO "
        lines.append(f"  {mark} {promise['promise']:<{width}}  {measured(promise['measured']):>12}  (wanted: {promise['wanted']})")
    lines += ["", "Measured"]
    lines += [f"  {name:<34} {text}" for name, text in measurements(report)]
    if report["leftovers"]:
        lines += ["", "Leftovers", *(f"  {line}" for line in report["leftovers"][:LEFTOVERS_SHOWN])]
        if len(report["leftovers"]) > LEFTOVERS_SHOWN:
            lines.append(f"  and {len(report['leftovers']) - LEFTOVERS_SHOWN} more, see report.json")
    for error in report["errors"]:
        lines += ["", f"Error: {error}"]
    for task in (report["migration_run"] or {}).get("failed_tasks") or []:
        lines += ["", f"Failed: {task}"]
    for task in (report["second_run"] or {}).get("changed_tasks") or []:
        lines += ["", f"Changed by the second run: {task}"]
    verdict = "Nobody noticed." if report["kept"] else "Promises were broken."
    return "\n".join([*lines, "", f"{verdict} Report: {folder / 'report.html'} and {folder / 'report.json'}"])


def measurements(report: Record) -> list[tuple[str, str]]:
    """Names and values."""
    before, after = "before", "after"
    per_node = f"{fixed(report['median_seconds_per_node'])} (with graceful termination {fixed(report['median_seconds_per_node_with_termination'])})"
    rows = [
        ("requests, failed", f"{number(report['requests'])}, {number(report['failed_requests'])}"),
        ("longest outage", milliseconds(report["longest_outage_ms"])),
        ("median seconds per node", per_node),
        ("throughput between zones, Gbit/s", arrow(fixed(report[f"throughput_{side}_gbit"], 2) for side in (before, after))),
        ("TCP connect, median, ms", arrow(latency(report[f"latency_{side}"]) for side in (before, after))),
        ("bytes on the wire per payload byte", arrow(fixed(report[f"bytes_per_payload_byte_{side}"], 3) for side in (before, after))),
        ("encapsulated packets", arrow(number(report[f"encapsulated_packets_{side}"]) for side in (before, after))),
        ("forbidden by a NetworkPolicy", arrow((report[key] or {}).get("outcome", "not tried") for key in ("policy_before", "policy"))),
    ]
    bill = f"of ${report['monthly_bill']:,.0f} a month"
    return rows + [(f"saving, {row['traffic'].lower()}", f"{percent(row['share'])} = ${row['monthly']:,.0f} {bill}") for row in report["savings"]]


def arrow(sides: Iterable[str]) -> str:
    """Before and after."""
    return " -> ".join(sides)


def latency(quantiles: Record | None) -> str:
    """The median time to connect."""
    return fixed(quantiles["connect_ms"]["p50"], 3) if quantiles else fixed(None)
