# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import demo_sample as sample
from podnet_demo import report_json
from podnet_demo.summary import LEFTOVERS_SHOWN, summary_text


def test_a_good_run_in_a_few_lines() -> None:
    report = report_json.build(sample.evidence())
    text = summary_text(report, Path("build/demo"))
    assert "NO " not in text
    assert f"{report['requests']:,}, 0" in text
    assert "2.71 -> 8.12" in text
    assert "Nobody noticed. Report: build/demo/report.html" in text


def test_broken_promises_and_what_broke_them() -> None:
    evidence = sample.evidence(failed=4)
    evidence.leftovers = [f"n1: routes: {i}" for i in range(LEFTOVERS_SHOWN + 5)]
    evidence.second_run = {**(evidence.second_run or {}), "changed": 1, "changed_tasks": ("n1: Switch",)}
    text = summary_text(report_json.build(evidence), Path("build/demo"))
    assert text.count("  NO ") == 3
    assert "and 5 more" in text
    assert "Changed by the second run: n1: Switch" in text


def test_a_run_that_measured_nothing_has_a_summary_too() -> None:
    evidence = sample.evidence()
    evidence.before = evidence.after = evidence.migration = evidence.first_run = evidence.second_run = None
    assert "not measured" in summary_text(report_json.build(evidence), Path("x"))
