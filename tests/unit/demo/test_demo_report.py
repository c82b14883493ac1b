# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Callable

import demo_sample as sample
import pytest
from podnet_demo import report_html, report_json
from podnet_lab import prober_report


def broken(report: dict) -> list[str]:
    return [promise["promise"] for promise in report["promises"] if not promise["kept"]]


def test_a_good_run_keeps_all_promises() -> None:
    report = report_json.build(sample.evidence())
    assert report_json.problems(report) == []
    assert report["kept"] is True
    assert report["median_seconds_per_node"] == pytest.approx(5.38)
    assert report["encapsulated_packets_after"] == 0
    json.dumps(report)


def test_failures_break_a_promise() -> None:
    report = report_json.build(sample.evidence(failed=3))
    assert broken(report) == ["No request fails"]
    assert report["kept"] is False


def test_zero_failures_prove_nothing_where_nobody_asked() -> None:
    def with_probers(change: Callable[[list[dict]], None]) -> list[str]:
        evidence, summaries = sample.evidence(), sample.summaries()
        change(summaries)
        evidence.probes = prober_report.merge(summaries, (), (), sample.BEGIN + 150)
        return broken(report_json.build(evidence))

    def ends_early(summaries: list[dict]) -> None:
        summaries[-1]["updated"] -= 31

    def has_no_answers(summaries: list[dict]) -> None:
        summaries[-1]["kinds"]["udp"]["requests"] = 0

    def is_killed(summaries: list[dict]) -> None:
        summaries[0]["ended"] = False

    assert with_probers(lambda summaries: None) == []
    for change in (ends_early, has_no_answers, is_killed, lambda summaries: summaries.pop(0)):
        assert with_probers(change) == ["Somebody asks from everywhere"]


def test_the_timeline_adds_up_all_kinds() -> None:
    kinds = {"udp": {"requests": 20, "failed": 1, "max_ms": 3.0}, "dns": {"requests": 10, "failed": 0, "max_ms": 8.0}}
    assert report_json.timeline([{"second": 7, "kinds": kinds}]) == [{"second": 7, "requests": 30, "failed": 1, "max_ms": 8.0}]


def test_the_time_of_graceful_termination_is_not_counted() -> None:
    rows = report_json.time_per_node({"nodes": sample.nodes(1)})
    assert rows[0]["own_seconds"] == pytest.approx(rows[0]["seconds"] - 3.03)


def test_what_was_not_measured_is_no_kept_promise() -> None:
    evidence = sample.evidence()
    evidence.before = evidence.after = evidence.second_run = evidence.first_run = evidence.pods = evidence.policy = evidence.migration = None
    evidence.leftover_checks, evidence.probes = [], sample.probes(seconds=0)
    report = report_json.build(evidence)
    assert report_json.problems(report) == []
    assert broken(report) == [
        "The playbook ends well",
        "Enough requests to tell",
        "Somebody asks from everywhere",
        "A node takes little time",
        "All pods are on Calico",
        "No trace of Flannel",
        "No encapsulation between zones",
        "NetworkPolicies hold",
        "A second run changes nothing",
    ]
    assert "not measured" in report_html.render(report)


def test_one_encapsulated_packet_under_load_breaks_the_promise() -> None:
    evidence = sample.evidence()
    evidence.encapsulated_under_load = 1
    assert broken(report_json.build(evidence)) == ["No encapsulation between zones"]


def test_a_node_without_a_time_breaks_the_promise() -> None:
    evidence = sample.evidence()
    evidence.migration = {"nodes": sample.nodes(2)}
    assert broken(report_json.build(evidence)) == ["A node takes little time"]


def test_a_second_run_that_changed_or_failed_breaks_the_promise() -> None:
    for difference in ({"changed": 1}, {"code": 2}):
        evidence = sample.evidence()
        evidence.second_run = {**(evidence.second_run or {}), **difference}
        assert broken(report_json.build(evidence)) == ["A second run changes nothing"]


def test_the_saving_is_for_the_given_bill() -> None:
    evidence = sample.evidence()
    evidence.monthly_bill = 0
    assert [row["monthly"] for row in report_json.build(evidence)["savings"]] == [0, 0]


def test_a_missing_key_and_a_wrong_type_are_problems() -> None:
    report = report_json.build(sample.evidence())
    del report["leftovers"]
    report["requests"] = True
    assert report_json.problems(report) == ["leftovers is missing", "requests is bool, not int"]


def test_the_page_needs_nothing_else_and_shows_the_numbers() -> None:
    report = report_json.build(sample.evidence())
    page = report_html.render(report)
    assert "Nobody noticed." in page
    assert f"{report['requests']:,}" in page
    assert "$12,000" in page
    for outside in ("<script", "<link", "src=", "@import", "url(http"):
        assert outside not in page


def test_the_page_shows_what_went_wrong_and_escapes_it() -> None:
    evidence = sample.evidence(failed=23)
    evidence.leftovers = ["n2: devices: <flannel.1>"]
    evidence.leftover_checks = sample.checks({("n2", "devices"): ["<flannel.1>"]})
    page = report_html.render(report_json.build(evidence))
    assert "2 of 10 promises were broken." in page
    assert "&lt;flannel.1&gt;" in page
    assert "<flannel.1>" not in page
    assert "connect timeout" in page


def test_an_error_in_a_stage_is_shown_and_is_no_success() -> None:
    evidence = sample.evidence()
    evidence.errors = ["iperf3 failed: no route"]
    report = report_json.build(evidence)
    assert report["kept"] is False
    page = report_html.render(report)
    assert "The demo had an error." in page
    assert "iperf3 failed: no route" in page
