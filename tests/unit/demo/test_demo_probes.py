# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from podnet_demo import probes


def summary(identifier: str, place: str, requests: int, failed: int, outage: float) -> dict[str, Any]:
    counts = {"requests": requests, "failed": failed, "longest_outage_ms": outage}
    return {"id": identifier, "node": "n1", "place": place, "longest_lag_ms": 12.0, "kinds": {"udp": counts, "dns": counts}}


def test_rows_are_added_up_by_kind_and_place() -> None:
    merged = probes.merge([summary("a", "node", 10, 0, 0.0), summary("b", "node", 20, 1, 80.0), summary("c", "pod", 5, 0, 0.0)], [], [])
    assert merged["requests"] == 70
    assert merged["failed_requests"] == 2
    assert merged["longest_outage_ms"] == 80.0
    assert merged["probers"] == 3
    assert [(row["kind"], row["place"], row["requests"]) for row in merged["probes"]] == [("dns", "node", 30), ("dns", "pod", 5), ("udp", "node", 30), ("udp", "pod", 5)]  # fmt: skip


def test_the_timeline_adds_up_all_probers_and_failures_are_in_order() -> None:
    seconds = [
        {"second": 8, "kinds": {"udp": [20, 1, 3.0]}},
        {"second": 7, "kinds": {"udp": [20, 0, 1.0], "dns": [10, 0, 1.0]}},
        {"second": 8, "kinds": {"udp": [5, 0, 1.0]}},
    ]
    merged = probes.merge([], [{"time": 2}, {"time": 1}], seconds)
    assert merged["timeline"] == [{"second": 7, "requests": 30, "failed": 0}, {"second": 8, "requests": 25, "failed": 1}]
    assert [event["time"] for event in merged["events"]] == [1, 2]


def test_without_probers_there_is_nothing() -> None:
    merged = probes.merge([], [], [])
    assert (merged["requests"], merged["failed_requests"], merged["longest_outage_ms"]) == (0, 0, 0.0)


def test_files_are_read_and_an_unfinished_line_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "n1"
    folder.mkdir()
    (folder / "a.1.summary.json").write_text(json.dumps(summary("a", "node", 1, 0, 0.0)))
    (folder / "a.1.seconds.jsonl").write_text('{"second": 1, "kinds": {}}\n{"second": 2, "ki')
    summaries, failures, seconds = probes.read(tmp_path)
    assert (len(summaries), len(failures), len(seconds)) == (1, 0, 1)
