# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding up what probers wrote."""

from __future__ import annotations

from podnet_lab import prober_report


def counts(requests=100, failed=0, outage=0.0, **more):
    latency = {"p50": 1.0, "p99": 1.0, "max": 1.0, "buckets": {"0": requests - failed}}
    outages = [{"time": 5.0, "target": "a", "milliseconds": outage, "over": True}] if outage else []
    return {
        "requests": requests, "failed": failed, "warmup_failed": 0, "skipped": 0, "stalled": 0, "failed_lookups": 0,
        "longest_outage_ms": outage, "outages": outages, "latency_ms": latency, **more,
    }  # fmt: skip


def stream(**more):
    return counts(requests=1, **{"lines": 10, "graceful_ends": 0, "missing_lines": 0, "longest_gap_ms": 50.0, **more})


def summary(source, place, kinds, **more):
    values = {"id": source, "place": place, "node": "n1", "ended": True, "longest_lag_ms": 1.0, "cpu_seconds": 0.5, "started": 0.0, "updated": 5.0}
    return {**values, "kinds": kinds, **more}


def test_counts_are_added_up_by_kind_place_and_source():
    report = prober_report.merge(
        [
            summary("node-n1", "node", {"clusterip": counts(), "dns": counts(50)}),
            summary("prober-a", "pod", {"clusterip": counts(failed=3, outage=120.0)}, longest_lag_ms=7.0),
            summary("prober-b", "pod", {"clusterip": counts(10)}, ended=False),
        ]
    )
    assert (report.requests, report.failed_requests, report.longest_outage_ms) == (260, 3, 120.0)
    assert report.by_kind["clusterip"]["requests"] == 210
    assert report.by_place["pod"]["failed"] == 3
    assert report.by_source["node-n1"]["requests"] == 150
    assert report.by_source["prober-a"]["place"] == "pod"
    assert report.outages == [
        {"id": "prober-a", "place": "pod", "kind": "clusterip", "time": 5.0, "target": "a", "milliseconds": 120.0, "over": True}
    ]
    assert report.not_ended == ["prober-b"]
    assert report.longest_lag_ms == 7.0


def test_a_prober_that_started_twice_is_one_source():
    report = prober_report.merge([summary("node-n1", "node", {"dns": counts(10)}), summary("node-n1", "node", {"dns": counts(20)})])
    assert report.by_source["node-n1"]["requests"] == 30
    assert report.by_source["node-n1"]["cpu_seconds"] == 1.0


def test_quantiles_are_those_of_all_latencies_together():
    fast = counts()
    slow = counts()
    slow["latency_ms"] = {"p50": 64.0, "p99": 64.0, "max": 60.0, "buckets": {"24": 100}}
    total = prober_report.add_up([fast, fast, slow])
    assert total["latency_ms"] == {"p50": 1.0, "p99": 64.0, "max": 60.0}
    assert prober_report.add_up([])["latency_ms"]["p50"] is None


def test_streams_are_added_up():
    report = prober_report.merge(
        [
            summary("a", "node", {"stream": stream(graceful_ends=2)}),
            summary("b", "pod", {"stream": stream(longest_gap_ms=90.0, failed=1)}),
        ]
    )
    assert report.streams == {"lines": 20, "graceful_ends": 2, "missing_lines": 0, "failed": 1, "connections": 2, "longest_gap_ms": 90.0}


def test_a_second_that_was_written_in_parts_is_added_up():
    seconds = [
        {"second": 8, "kinds": {"dns": [10, 0, 1.0]}},
        {"second": 7, "kinds": {"dns": [9, 1, 5.0], "udp": [1, 0, 2.0]}},
        {"second": 8, "kinds": {"dns": [1, 1, 9.0]}},
    ]
    assert prober_report.series(seconds) == [
        {"second": 7, "kinds": {"dns": {"requests": 9, "failed": 1, "max_ms": 5.0}, "udp": {"requests": 1, "failed": 0, "max_ms": 2.0}}},
        {"second": 8, "kinds": {"dns": {"requests": 11, "failed": 1, "max_ms": 9.0}}},
    ]


def test_no_prober_at_all_is_a_report_too():
    report = prober_report.merge([])
    assert (report.requests, report.failed_requests, report.series, report.streams["connections"]) == (0, 0, [], 0)
    assert set(report.as_dict()) >= {"requests", "failed_requests", "longest_outage_ms"}


def test_failures_are_sorted_by_time():
    report = prober_report.merge([], [{"time": 9.0}, {"time": 3.5}])
    assert [failure["time"] for failure in report.failures] == [3.5, 9.0]


def test_rows_by_kind_and_place_say_how_many_places_asked_and_how_often():
    first = summary("prober-a", "pod", {"dns": counts(50)})
    again = summary("prober-b", "pod", {"dns": counts(50, failed=2, outage=80.0)}, started=10.0, updated=15.0)
    other = summary("node-n1", "node", {"dns": counts(200)})
    rows = prober_report.merge([first, again, other]).by_kind_and_place
    assert [(row["kind"], row["place"], row["probers"], row["requests"], row["failed"], row["pace_ms"]) for row in rows] == [
        ("dns", "node", 1, 200, 0, 25.0),
        ("dns", "pod", 1, 100, 2, 100.0),
    ]


def test_a_place_is_away_between_two_probers_and_after_the_last_one():
    first = summary("prober-a", "pod", {"dns": counts()})
    again = summary("prober-b", "pod", {"dns": counts()}, started=7.5, updated=20.0)
    (place,) = prober_report.places([again, first], until=21.0)
    assert place == {"node": "n1", "place": "pod", "restarts": 1, "away_ms": 3500.0, "longest_away_ms": 2500.0, "answered": True}
    (place,) = prober_report.places([again, first], until=19.0)
    assert place["away_ms"] == 2500.0


def test_a_place_whose_last_prober_had_no_answer_of_some_kind_is_told():
    good = summary("prober-a", "pod", {"dns": counts()})
    bad = summary("prober-b", "pod", {"dns": counts(5, failed=5)}, started=7.5, updated=20.0)
    assert [place["answered"] for place in prober_report.places([good, bad])] == [False]
