# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan and results of a kernel upgrade for people. Pure: records in, text out."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan.batches import Size, split
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import rank
from ansible_collections.podnet.cni.plugins.module_utils._plan.table import WIDTH, Column, table, wrap
from ansible_collections.podnet.cni.plugins.module_utils._plan.texts import findings_table
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed, natural, seconds

Record = t.Mapping[str, t.Any]


def unreadable(host: str, error: str) -> dict[str, t.Any]:
    """The plan of a host that could not be read: it is refused."""
    finding = {
        "id": "kernel-unreadable",
        "severity": "blocker",
        "subject": host,
        "evidence": error if error.endswith(".") else f"{error}.",
        "why": "What is not known cannot be planned.",
        "remedy": "Make it reachable, or take it out with kernel_upgrade_hosts.",
        "source": "podnet.cni",
    }
    return {"host": host, "error": error, "running": "", "default": "", "wanted": "", "steps": [], "work": False, "blocked": True,
            "reason": "", "packages": [], "findings": [finding]}  # fmt: skip


def findings_of(plans: t.Mapping[str, Record]) -> list[dict[str, str]]:
    """The findings of all hosts, those that are equal but for the host as one, the worst first."""
    hosts: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for host in natural(plans):
        for finding in plans[host]["findings"]:
            hosts.setdefault(tuple(sorted((key, value) for key, value in finding.items() if key != "subject")), []).append(host)
    found = [{**dict(items), "subject": listed(names)} for items, names in hosts.items()]
    return sorted(found, key=lambda finding: (rank(finding["severity"]), finding["id"]))


def plan_table(plans: t.Mapping[str, Record], serial: t.Sequence[Size], width: int = WIDTH) -> str:
    """One row for each host, then the findings and what would happen."""
    columns = [Column("host", least=8), Column("runs", least=12), Column("wanted", least=12), Column("why", least=16), Column("steps", least=16)]
    rows = [
        (
            host,
            plans[host]["running"] or "-",
            plans[host]["wanted"] or "-",
            plans[host]["reason"] or ("" if plans[host]["blocked"] else "it is there already"),
            "refused" if plans[host]["blocked"] else ", ".join(plans[host]["steps"]) or "nothing",
        )
        for host in natural(plans)
    ]
    parts = [table(columns, rows, width)]
    packages = {package: None for host in natural(plans) for package in plans[host]["packages"]}
    if packages:
        parts.append("\n".join(["Packages", *(f"- {package}" for package in packages)]))
    findings = findings_of(plans)
    if findings:
        parts.append(findings_table(findings, width))
    return "\n\n".join([*parts, "\n".join(wrap(_plan_summary(plans, serial), width, 2))])


def _plan_summary(plans: t.Mapping[str, Record], serial: t.Sequence[Size]) -> str:
    refused = [host for host in natural(plans) if plans[host]["blocked"]]
    if refused:
        return f"Plan: REFUSED because of {listed(refused)}. Nothing is changed on any host."
    working = [host for host in natural(plans) if plans[host]["work"]]
    if not working:
        return f"Plan: nothing to do, {count(len(plans), 'host')} as wanted."
    batches = split(working, serial)
    reboots = [host for host in working if plans[host]["boot"]]
    return (
        f"Plan: {count(len(working), 'host')} of {len(plans)} in {count(len(batches), 'batch', 'batches')} "
        f"({', '.join(str(len(batch)) for batch in batches)}), {count(len(reboots), 'reboot')}."
    )


def result_table(results: t.Mapping[str, Record], width: int = WIDTH) -> str:
    """What became of every host that was planned to change."""
    columns = [
        Column("host", least=8),
        Column("before", least=12),
        Column("now", least=12),
        Column("result", least=10),
        Column("what happened", least=24),
    ]
    rows = [
        (
            host,
            results[host].get("before") or "-",
            results[host].get("now") or "unknown",
            results[host].get("phase") or "not begun",
            results[host].get("text") or "",
        )
        for host in natural(results)
    ]
    return "\n\n".join([table(columns, rows, width), "\n".join(wrap(_result_summary(results), width, 2))])


def _result_summary(results: t.Mapping[str, Record]) -> str:
    done = [host for host, result in results.items() if result.get("phase") == "kept"]
    failed = natural(host for host, result in results.items() if result.get("phase") not in ("kept", "", None))
    left = natural(host for host, result in results.items() if not result.get("phase"))
    took = sum(float(results[host].get("seconds") or 0.0) for host in done)
    parts = [f"{count(len(done), 'host')} of {len(results)} run the wanted kernel by default"]
    if done:
        parts[0] += f" ({seconds(took / len(done))} each)"
    if failed:
        parts.append(f"went back or failed: {listed(failed)}")
    if left:
        parts.append(f"not begun: {listed(left)}")
    return f"Result: {'; '.join(parts)}."


def came_back(before: str, wanted: str, now: str, log: t.Sequence[str]) -> str:
    """Why a host does not run the wanted kernel after its reboot, as far as it is known."""
    text = f"the host was started with {wanted} once, and came back with {now or 'no kernel that is known'}"
    if log:
        return f"{text}; its timer wrote: {log[-1]}"
    if now == before:
        return (
            f"{text}: the new kernel panicked, was reset by the watchdog, or was never started (see the console, 'journalctl -b -1' and "
            "/sys/fs/pstore)"
        )
    return text
