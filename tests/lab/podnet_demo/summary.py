# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as a few lines for a terminal. No I/O."""

from __future__ import annotations

import typing as t
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
    rows = [
        ("requests, failed", f"{number(report['requests'])}, {number(report['failed_requests'])}"),
        ("longest outage", milliseconds(report["longest_outage_ms"])),
        ("median seconds per node", f"{fixed(report['median_seconds_per_node'])} (with graceful termination {fixed(report['median_seconds_per_node_with_termination'])})"),
        ("throughput between zones, Gbit/s", f"{fixed(report['throughput_before_gbit'], 2)} -> {fixed(report['throughput_after_gbit'], 2)}"),
        ("TCP connect, median, ms", f"{latency(report['latency_before'])} -> {latency(report['latency_after'])}"),
        ("bytes on the wire per payload byte", f"{fixed(report['bytes_per_payload_byte_before'], 3)} -> {fixed(report['bytes_per_payload_byte_after'], 3)}"),
        ("encapsulated packets", f"{number(report['encapsulated_packets_before'])} -> {number(report['encapsulated_packets_after'])}"),
    ]  # fmt: skip
    for row in report["savings"]:
        rows.append(
            (f"saving, {row['traffic'].lower()}", f"{percent(row['share'])} = ${row['monthly']:,.0f} of ${report['monthly_bill']:,.0f} a month")
        )
    return rows


def latency(quantiles: Record | None) -> str:
    """The median time to connect."""
    return fixed(quantiles["connect_ms"]["p50"], 3) if quantiles else fixed(None)
