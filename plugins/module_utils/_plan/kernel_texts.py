# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts about the kernels of hosts: a table for people, JUnit for pipelines. Pure: records in, text out.

The records are results of C(kernel_check) by host; a host that could not be judged has C(error) instead.
"""

from __future__ import annotations

import typing as t
from xml.sax.saxutils import escape, quoteattr

from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, INFO, rank
from ansible_collections.podnet.cni.plugins.module_utils._plan.kernel_judge import SUPPORTED, UNKNOWN, UNSUPPORTED
from ansible_collections.podnet.cni.plugins.module_utils._plan.table import WIDTH, Column, table, wrap
from ansible_collections.podnet.cni.plugins.module_utils._plan.texts import findings_table
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed, natural

Record = t.Mapping[str, t.Any]
_SHOWN = {SUPPORTED: "yes", UNSUPPORTED: "NO", UNKNOWN: "unknown"}


def _label(profile: Record) -> str:
    return " ".join(filter(None, [profile["title"], profile["version"], *(f"+{name}" for name in profile["features_wanted"])]))


def _findings_of(result: Record, profile: Record) -> list[Record]:
    """The findings about one profile of a host, which may be asked for in several versions."""
    return [item for item in result["findings"] if item["subject"] == f"kernel {result['kernel']['release']}: {_label(profile)}"]


def merged_findings(results: t.Mapping[str, Record]) -> list[dict[str, str]]:
    """The findings of all hosts, those that are equal but for the host as one, the worst first; the subject names the hosts."""
    hosts: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for host in natural(results):
        for finding in results[host].get("findings") or []:
            hosts.setdefault(tuple(sorted(finding.items())), []).append(host)
    found = [{**dict(items), "subject": f"{listed(names)}: {dict(items)['subject']}"} for items, names in hosts.items()]
    return sorted(found, key=lambda finding: (rank(finding["severity"]), finding["id"]))


def kernel_table(results: t.Mapping[str, Record], width: int = WIDTH, features: bool = False) -> str:
    """One row for each host and profile, then the findings; with C(features) also what each profile could do besides."""
    columns = [Column("host", least=12), Column("kernel", least=12), Column("profile", least=12), Column("can carry it", fixed=True)]
    columns += [Column("other features", least=16)] if features else [Column("because of", least=16)]
    rows = []
    for host in natural(results):
        result = results[host]
        if result.get("error"):
            rows.append((host, "-", "-", "unknown", result["error"]))
            continue
        rows += [
            (host, result["kernel"]["release"], _label(profile), _SHOWN[profile["verdict"]], _last_column(result, profile, features))
            for profile in result["profiles"]
        ]
    parts = [table(columns, rows, width), findings_table(merged_findings(results), width)]
    actions = list(dict.fromkeys(action["action"] for host in natural(results) for action in results[host].get("required_actions") or []))
    if actions:
        lines = [line for action in actions for line in wrap(f"- {action}", width, 2)]
        parts.append("\n".join(["Required actions", *lines]))
    return "\n\n".join([*parts, "\n".join(wrap(_summary(results), width, 2))])


def _last_column(result: Record, profile: Record, features: bool) -> str:
    if features:
        return "\n".join(f"{name}: {_SHOWN[verdict]}" for name, verdict in sorted(profile["features"].items()))
    deciding = {UNSUPPORTED: "no", UNKNOWN: "unknown"}.get(profile["verdict"])
    missing = [item["id"] for item in profile["requirements"] if item["met"] == deciding and item["severity"] == BLOCKER]
    if profile["verdict"] == UNSUPPORTED:
        ids = [item["id"][len(profile["name"]) + 1 :] for item in _findings_of(result, profile) if item["severity"] == BLOCKER]
        missing += [name for name in ids if name.startswith("known-bad-")]
    return ", ".join(dict.fromkeys(missing))


def _summary(results: t.Mapping[str, Record]) -> str:
    verdicts = [profile["verdict"] for result in results.values() for profile in result.get("profiles") or []]
    failed = [host for host in natural(results) if results[host].get("error")]
    refused = [host for host in natural(results) if not results[host].get("error") and not results[host]["passed"]]
    parts = [count(len(results), "host"), f"{verdicts.count(SUPPORTED)} of {count(len(verdicts), 'verdict')} supported"]
    if verdicts.count(UNKNOWN):
        parts.append(f"{verdicts.count(UNKNOWN)} unknown")
    if failed:
        parts.append(f"not judged: {listed(failed)}")
    return f"Verdict: {', '.join(parts)}. " + (f"REFUSED: {listed(refused)}." if refused else "No host is refused.")


def _case(host: str, profile: Record, findings: t.Sequence[Record]) -> str:
    """A test case: failed for a blocker, skipped for what is unknown."""
    head = f"    <testcase classname={quoteattr('kernel.' + host)} name={quoteattr(_label(profile))}"
    told = [f"{item['severity']} {item['id']}: {item['evidence']} {item['why']} {item['remedy']} Source: {item['source']}" for item in findings]
    text = _clean("\n".join(told))
    if profile["verdict"] == UNSUPPORTED:
        worst = ", ".join(item["id"] for item in findings if item["severity"] == BLOCKER)
        return f"{head}>\n      <failure message={quoteattr(_clean(worst))}>{escape(text)}</failure>\n    </testcase>"
    if profile["verdict"] == UNKNOWN:
        return f"{head}>\n      <skipped message={quoteattr('unknown: ' + ', '.join(item['id'] for item in findings))}/>\n    </testcase>"
    out = f"\n      <system-out>{escape(text)}</system-out>\n    " if text else ""
    return f"{head}>{out}</testcase>"


def _clean(text: str) -> str:
    """Without the control characters that XML does not allow."""
    return "".join(char for char in text if char in "\n\t" or ord(char) >= 32)


def kernel_junit(results: t.Mapping[str, Record]) -> str:
    """A JUnit file: a suite for each host, a case for each profile."""
    suites, totals = [], [0, 0, 0, 0]
    for host in natural(results):
        result = results[host]
        if result.get("error"):
            head = f'    <testcase classname={quoteattr("kernel." + host)} name="kernel_check">'
            cases = [f"{head}\n      <error message={quoteattr(_clean(result['error']))}/>\n    </testcase>"]
            numbers = [1, 0, 1, 0]
        else:
            cases = [
                _case(host, profile, [item for item in _findings_of(result, profile) if item["severity"] != INFO]) for profile in result["profiles"]
            ]
            verdicts = [profile["verdict"] for profile in result["profiles"]]
            numbers = [len(cases), verdicts.count(UNSUPPORTED), 0, verdicts.count(UNKNOWN)]
        totals = [total + number for total, number in zip(totals, numbers)]
        suites.append(f"  <testsuite name={quoteattr(host)} {_counts(numbers)}>\n" + "\n".join(cases) + "\n  </testsuite>")
    return "\n".join(
        ['<?xml version="1.0" encoding="UTF-8"?>', f'<testsuites name="kernel_preflight" {_counts(totals)}>', *suites, "</testsuites>", ""]
    )


def _counts(numbers: t.Sequence[int]) -> str:
    return 'tests="{}" failures="{}" errors="{}" skipped="{}"'.format(*numbers)
