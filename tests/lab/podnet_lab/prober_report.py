# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds up what all probers wrote down. Pure: records in, a report out.

Zero failures mean nothing where nobody asked, so the report also says for each place (a node, or the pod on a node) how often
its prober was started anew, how long nobody asked from there meanwhile, and whether its last prober had answers of every kind.
"""

from __future__ import annotations

import collections
import dataclasses
import typing as t
from collections.abc import Iterable

Record = dict[str, t.Any]
COUNTS = ("requests", "failed", "warmup_failed", "skipped", "stalled", "failed_lookups")
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
    by_kind_and_place: list[Record]
    places: list[Record]
    failures: list[Record]
    outages: list[Record]
    streams: Record
    series: list[Record]
    not_ended: list[str]
    longest_lag_ms: float

    def as_dict(self) -> Record:
        """Ready for JSON."""
        return dataclasses.asdict(self)


def merge(summaries: Iterable[Record], failures: Iterable[Record] = (), seconds: Iterable[Record] = (), until: float | None = None) -> ProbeReport:
    """One report of all probers; C(until) is the moment up to which all of them should have asked."""
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
        by_kind_and_place=kinds_and_places(parts),
        places=places(summaries, until),
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


def kinds_and_places(parts: Iterable[tuple[Record, str, Record]]) -> list[Record]:
    """A row for each kind and kind of place, with how many places asked and the milliseconds between two requests of one of them."""
    groups: dict[tuple[str, str], list[tuple[Record, Record]]] = {}
    for summary, kind, counts in parts:
        groups.setdefault((kind, summary["place"]), []).append((summary, counts))
    rows = []
    for (kind, place), members in sorted(groups.items()):
        counts = add_up(counts for _summary, counts in members)
        seconds = sum(summary["updated"] - summary["started"] for summary, _counts in members)
        pace = round(seconds * 1000 / counts["requests"], 1) if counts["requests"] else None
        rows.append({"kind": kind, "place": place, "probers": len({summary["node"] for summary, _counts in members}), **counts, "pace_ms": pace})
    return rows


def places(summaries: Iterable[Record], until: float | None = None) -> list[Record]:
    """Each place that had a prober, with the time in which it had none between the first one's start and C(until)."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for summary in summaries:
        groups.setdefault((summary["node"], summary["place"]), []).append(summary)
    rows = []
    for (node, place), own in sorted(groups.items()):
        own.sort(key=lambda summary: float(summary["started"]))
        away, asked_until = [], own[0]["updated"]
        for summary in own[1:]:
            away.append(max(0.0, summary["started"] - asked_until))
            asked_until = max(asked_until, summary["updated"])
        away.append(max(0.0, (until or asked_until) - asked_until))
        kinds = own[-1]["kinds"].values()
        rows.append(
            {
                "node": node,
                "place": place,
                "restarts": len(own) - 1,
                "away_ms": round(sum(away) * 1000, 1),
                "longest_away_ms": round(max(away) * 1000, 1),
                "answered": bool(kinds) and all(counts["requests"] > counts["failed"] for counts in kinds),
            }
        )
    return rows


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
