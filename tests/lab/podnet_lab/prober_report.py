# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds up what all probers wrote down. Pure: records in, a report out."""

from __future__ import annotations

import collections
import dataclasses
import typing as t
from collections.abc import Iterable

Record = dict[str, t.Any]
COUNTS = ("requests", "failed", "warmup_failed", "skipped")
STREAM_COUNTS = ("lines", "graceful_ends", "missing_lines")
BUCKETS_PER_DOUBLING = 4  # as in prober.py


@dataclasses.dataclass(frozen=True)
class ProbeReport:
    """What all probers of one run saw."""

    requests: int
    failed_requests: int
    longest_outage_ms: float
    by_kind: dict[str, Record]
    by_place: dict[str, Record]
    by_source: dict[str, Record]
    failures: list[Record]
    outages: list[Record]
    streams: Record
    series: list[Record]
    not_ended: list[str]
    longest_lag_ms: float

    def as_dict(self) -> Record:
        """Ready for JSON."""
        return dataclasses.asdict(self)


def merge(summaries: Iterable[Record], failures: Iterable[Record] = (), seconds: Iterable[Record] = ()) -> ProbeReport:
    """One report of all probers."""
    summaries = list(summaries)
    parts = [(summary, kind, counts) for summary in summaries for kind, counts in sorted(summary["kinds"].items())]
    everything = add_up(counts for _summary, _kind, counts in parts)
    outages = [
        {"id": summary["id"], "place": summary["place"], "kind": kind, **outage} for summary, kind, counts in parts for outage in counts["outages"]
    ]
    return ProbeReport(
        requests=everything["requests"],
        failed_requests=everything["failed"],
        longest_outage_ms=everything["longest_outage_ms"],
        by_kind=_grouped(parts, lambda _summary, kind: kind),
        by_place=_grouped(parts, lambda summary, _kind: summary["place"]),
        by_source={
            source: {**counts, **_origin(source, summaries)} for source, counts in _grouped(parts, lambda summary, _kind: summary["id"]).items()
        },
        failures=sorted(failures, key=lambda failure: float(failure["time"])),
        outages=sorted(outages, key=lambda outage: float(outage["time"])),
        streams=_streams(counts for _summary, kind, counts in parts if kind == "stream"),
        series=series(seconds),
        not_ended=sorted(summary["id"] for summary in summaries if not summary["ended"]),
        longest_lag_ms=max((summary["longest_lag_ms"] for summary in summaries), default=0.0),
    )


def add_up(parts: Iterable[Record]) -> Record:
    """Sums of counts, the longest outage, and quantiles of all latencies together."""
    total: Record = dict.fromkeys(COUNTS, 0)
    longest = 0.0
    slowest = 0.0
    buckets: collections.Counter[int] = collections.Counter()
    for part in parts:
        for name in COUNTS:
            total[name] += part[name]
        longest = max(longest, part["longest_outage_ms"])
        slowest = max(slowest, part["latency_ms"]["max"])
        for bucket, count in part["latency_ms"]["buckets"].items():
            buckets[int(bucket)] += count
    latency = {"p50": quantile(buckets, 0.5), "p99": quantile(buckets, 0.99), "max": slowest}
    return {**total, "longest_outage_ms": longest, "latency_ms": latency}


def quantile(buckets: t.Mapping[int, int], share: float) -> float | None:
    """The upper bound in milliseconds of the bucket that holds this quantile."""
    wanted = share * sum(buckets.values())
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= wanted:
            return round(float(2 ** (bucket / BUCKETS_PER_DOUBLING)), 3)
    return None


def series(seconds: Iterable[Record]) -> list[Record]:
    """Requests, failures and the slowest request of each kind, second by second, over all probers."""
    merged: dict[int, dict[str, Record]] = {}
    for record in seconds:
        for kind, (requests, failed, slowest) in record["kinds"].items():
            entry = merged.setdefault(record["second"], {}).setdefault(kind, {"requests": 0, "failed": 0, "max_ms": 0.0})
            entry["requests"] += requests
            entry["failed"] += failed
            entry["max_ms"] = max(entry["max_ms"], slowest)
    return [{"second": second, "kinds": dict(sorted(merged[second].items()))} for second in sorted(merged)]


def _grouped(parts: Iterable[tuple[Record, str, Record]], key: t.Callable[[Record, str], str]) -> dict[str, Record]:
    groups: dict[str, list[Record]] = {}
    for summary, kind, counts in parts:
        groups.setdefault(key(summary, kind), []).append(counts)
    return {name: add_up(groups[name]) for name in sorted(groups)}


def _origin(source: str, summaries: Iterable[Record]) -> Record:
    """Place, node and processor time of a prober; it may have started more than once."""
    own = [summary for summary in summaries if summary["id"] == source]
    return {"place": own[0]["place"], "node": own[0]["node"], "cpu_seconds": round(sum(summary["cpu_seconds"] for summary in own), 3)}


def _streams(parts: Iterable[Record]) -> Record:
    parts = list(parts)
    total: Record = {name: sum(part[name] for part in parts) for name in STREAM_COUNTS}
    total["failed"] = sum(part["failed"] for part in parts)
    total["connections"] = sum(part["requests"] for part in parts)
    total["longest_gap_ms"] = max((part["longest_gap_ms"] for part in parts), default=0.0)
    return total
