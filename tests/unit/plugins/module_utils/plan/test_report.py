# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._plan import texts
from ansible_collections.podnet.cni.plugins.module_utils._plan.report import migration_report

PHASES = [{"phase": "evict", "seconds": 3.0, "graceful_seconds": 2.0}, {"phase": "switch", "seconds": 1.0}]


def report_of(nodes, run=None, plan=None):
    return migration_report(plan or {}, {"run": run or {}, "nodes": nodes})


def moved(**values):
    return {"phase": "moved", "zone": "a", "phases": PHASES, **values}


def test_seconds_are_those_of_the_record_or_else_the_sum_of_its_phases():
    report = report_of({"n1": moved(), "n2": moved(seconds=9.5, graceful_seconds=1.5)})
    assert [(node["seconds"], node["graceful_seconds"]) for node in report["nodes"]] == [(4.0, 2.0), (9.5, 1.5)]


def test_numbers_that_templates_have_made_texts_are_numbers_again():
    (node,) = report_of({"n1": moved(seconds="4.5", began="12.0", phases=[{"phase": "evict", "seconds": "4.5", "graceful_seconds": ""}])})["nodes"]
    assert node == {
        "name": "n1",
        "zone": "a",
        "phases": [{"phase": "evict", "seconds": 4.5, "graceful_seconds": 0.0}],
        "seconds": 4.5,
        "graceful_seconds": 0.0,
        "began": 12.0,
    }


def test_what_moved_as_it_ran_is_told_in_numbers():
    replugged = {"milliseconds": [0.5, "0.75", 4.25], "reached": ["3", 6, 6]}
    other = {"milliseconds": [0.9], "reached": [4]}
    report = report_of({"n1": moved(replugged=replugged), "n2": moved(replugged=other), "n3": moved(replugged={})})
    assert [node.get("replugged") for node in report["nodes"]] == [
        {"milliseconds": [0.5, 0.75, 4.25], "reached": [3, 6, 6]},
        other,
        None,
    ]
    text = " ".join(texts.report_table(report).split())
    assert "4 pods moved as they ran; packets of one had no way for at most 4.2 ms, of half of them for at most 0.8 ms." in text
    assert "Each reached at least 3 addresses elsewhere as before." in text
    alone = report_of({"n1": moved(replugged={"milliseconds": [0.9], "reached": [0]})})
    assert "Each reached" not in texts.report_table(alone)
    assert "as they ran" not in texts.report_table(report_of({"n1": moved()}))


def test_nodes_are_in_the_order_in_which_they_were_moved():
    report = report_of({"n1": moved(began=30.0), "n10": moved(began=20.0), "n2": moved(began=20.0)})
    assert [node["name"] for node in report["nodes"]] == ["n2", "n10", "n1"]


def test_failed_nodes_are_apart_with_their_reason():
    failure = {"phase": "failed", "failed": "n3: Evict: a budget forbids it", "undone": "Flannel is active again"}
    report = report_of({"n1": moved(), "n3": failure})
    assert [node["name"] for node in report["nodes"]] == ["n1"]
    assert report["failed_nodes"] == [{"name": "n3", "failed": "n3: Evict: a budget forbids it"}]


def test_findings_stand_beside_the_plan_not_in_it():
    finding = {"id": "mtu-grows"}
    report = report_of({}, {"run": "r1", "started": "a", "finished": "b", "plan": {}}, {"work": True, "findings": [finding]})
    assert (report["run"], report["started"], report["finished"]) == ("r1", "a", "b")
    assert (report["findings"], report["plan"]) == ([finding], {"work": True})


def test_a_cluster_without_journal_has_an_empty_report():
    report = migration_report({}, {"exists": False, "run": {}, "nodes": {}})
    assert (report["nodes"], report["failed_nodes"], report["run"]) == ([], [], None)
