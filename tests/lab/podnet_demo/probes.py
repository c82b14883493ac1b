# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds up what all probers wrote down. Pure but for reading the files."""

from __future__ import annotations

import collections
import json
import typing as t
from collections.abc import Iterable
from pathlib import Path

Record = dict[str, t.Any]
EVENTS = 200


def read(folder: Path) -> tuple[list[Record], list[Record], list[Record]]:
    """Summaries, failures and seconds of all probers in a folder."""
    summaries = [json.loads(path.read_text()) for path in sorted(folder.rglob("*.summary.json"))]
    failures = [record for path in sorted(folder.rglob("*.failures.jsonl")) for record in read_lines(path)]
    seconds = [record for path in sorted(folder.rglob("*.seconds.jsonl")) for record in read_lines(path)]
    return summaries, failures, seconds


def read_lines(path: Path) -> list[Record]:
    """The records of a file with one JSON object a line; a last line without its end is left out."""
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def merge(summaries: Iterable[Record], failures: Iterable[Record], seconds: Iterable[Record]) -> Record:
    """One record of all probers: sums, a row for each kind and kind of place, a timeline, and the first failures."""
    summaries = list(summaries)
    rows: dict[tuple[str, str], Record] = {}
    for summary in summaries:
        for kind, counts in summary["kinds"].items():
            row = rows.setdefault((kind, summary["place"]), empty_row(kind, summary["place"]))
            row["probers"] += 1
            row["requests"] += counts["requests"]
            row["failed"] += counts["failed"]
            row["longest_outage_ms"] = max(row["longest_outage_ms"], counts["longest_outage_ms"])
    failures = sorted(failures, key=lambda failure: failure["time"])
    table = [rows[key] for key in sorted(rows)]
    return {
        "requests": sum(row["requests"] for row in table),
        "failed_requests": sum(row["failed"] for row in table),
        "longest_outage_ms": max((row["longest_outage_ms"] for row in table), default=0.0),
        "probers": len({summary["id"] for summary in summaries}),
        "longest_lag_ms": max((summary.get("longest_lag_ms", 0.0) for summary in summaries), default=0.0),
        "probes": table,
        "timeline": timeline(seconds),
        "events": failures[:EVENTS],
    }


def empty_row(kind: str, place: str) -> Record:
    """A row before anything was counted."""
    return {"kind": kind, "place": place, "probers": 0, "requests": 0, "failed": 0, "longest_outage_ms": 0.0}


def timeline(seconds: Iterable[Record]) -> list[Record]:
    """Requests and failures of all probers, second by second."""
    requests: collections.Counter[int] = collections.Counter()
    failed: collections.Counter[int] = collections.Counter()
    for record in seconds:
        for total, bad, _slowest in record["kinds"].values():
            requests[record["second"]] += total
            failed[record["second"]] += bad
    return [{"second": second, "requests": requests[second], "failed": failed[second]} for second in sorted(requests)]
