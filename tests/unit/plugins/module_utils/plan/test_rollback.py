# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of the way back: which nodes go, what forbids it, and how it is told."""

from __future__ import annotations

import json

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import gate, node_state, report, rollback, texts
from ansible_collections.podnet.cni.plugins.module_utils._plan.settings import InvalidSettings
from ansible_collections.podnet.cni.tests.unit.fixtures.facts import Lab, moved_lab


def back(lab, **settings):
    return rollback.plan_rollback(lab.cluster, lab.nodes, {**lab.settings, **settings})


def ids(made, severity=None):
    return {finding["id"] for finding in made["findings"] if severity in (None, finding["severity"])}


def going(made):
    return [name for batch in made["batches"] for name in batch]


def test_all_nodes_go_back_unless_some_are_named():
    made = back(moved_lab(remove_flannel=False))
    assert (made["direction"], made["work"], made["blocked"]) == ("flannel", True, False)
    assert going(made) == ["n1", "n2", "n3"]
    assert [step["id"] for step in made["cluster_steps"]] == ["move"]
    assert [step["id"] for step in made["nodes"][0]["steps"]] == ["evict", "switch", "restart", "prove", "uncordon"]
    json.dumps(made)


@pytest.mark.parametrize("given", [["n3"], "n3", " n3 , "])
def test_named_nodes_only(given):
    made = back(moved_lab(remove_flannel=False), return_nodes=given)
    assert going(made) == ["n3"]
    assert "return-some-stay" in ids(made, "warning")
    assert [node["pods_to_evict"] > 0 for node in made["nodes"]] == [False, False, True]


def test_names_that_cannot_be_read():
    with pytest.raises(InvalidSettings, match=r"podnet_return_nodes: '7' is no list of node names; give names such as \[n1, n2\]"):
        back(moved_lab(), return_nodes=7)


def test_a_name_that_is_no_node():
    made = back(moved_lab(remove_flannel=False), return_nodes=["n9"])
    (finding,) = [finding for finding in made["findings"] if finding["severity"] == "blocker"]
    assert finding["id"] == "return-node-unknown"
    assert "podnet_return_nodes names n9; the cluster has n1, n2, n3." in finding["evidence"]


def test_a_cluster_on_flannel_has_nothing_to_go_back_from():
    made = back(Lab())
    assert (made["work"], made["blocked"], made["findings"]) == (False, False, [])


def test_flannel_that_is_gone():
    made = back(moved_lab().remove_flannel())
    assert {"return-flannel-gone", "return-no-configuration"} <= ids(made, "blocker")


def test_flanneld_that_is_not_ready():
    lab = moved_lab(remove_flannel=False)
    flanneld = next(pod for pod in lab.cluster["pods"] if pod["namespace"] == "kube-flannel" and pod["node"] == "n2")
    flanneld["ready"] = False
    assert "return-flannel-not-ready" in ids(back(lab), "blocker")


def test_policies_that_end():
    lab = moved_lab(remove_flannel=False)
    lab.cluster["network_policies"] = [{"namespace": "demo", "name": "web"}]
    found = ids(back(lab), "warning")
    assert "network-policies-end" in found
    assert "network-policies-begin" not in found


def test_a_node_that_was_left_cordoned_goes_on():
    lab = Lab()
    lab.node("n2")["annotations"] = {**(lab.node("n2").get("annotations") or {}), node_state.CORDONED_BY_US: "true"}
    lab.node("n2")["schedulable"] = False
    assert going(back(lab)) == ["n2"]


@pytest.mark.parametrize(("guarded", "expected"), [(True, []), (False, ["n2"])])
def test_a_node_that_was_restarted_without_its_guard_routes(guarded, expected):
    lab = Lab()
    routes = [{"destination": "10.244.1.0/26", "type": "blackhole", "protocol": "bird"}]
    routes += [{"destination": "10.244.1.0/27", "type": "unicast", "metric": node_state.GUARD_METRIC}] if guarded else []
    lab.nodes["n2"]["routes"] = [*lab.nodes["n2"].get("routes", []), *routes]
    assert going(back(lab)) == expected


def test_the_plan_is_told():
    text = texts.plan_table(back(moved_lab(remove_flannel=False), return_nodes=["n3"]))
    assert text.startswith("Rollback plan: Calico back to Flannel")
    assert "1 node to bring back in 1 batch, Calico stays beside Flannel" in " ".join(text.split())
    assert text.count("| stays") == 2
    assert "BGP " not in text.partition("Findings")[0].replace("Calico BGP", "")
    assert "the timer that restores Flannel" not in text


def test_the_gate_wants_flannel():
    lab = moved_lab(remove_flannel=False)
    plan = back(lab)
    found = {finding.id for finding in gate.gate_findings(lab.cluster, lab.nodes, plan)}
    assert {"gate-not-on-flannel", "gate-pods-on-calico"} <= found
    assert not {"gate-not-on-calico", "gate-pods-on-flannel"} & found


def test_the_gate_wants_the_node_in_service():
    lab = Lab()
    plan = back(lab)
    lab.node("n1")["annotations"] = {node_state.CORDONED_BY_US: "true"}
    found = {finding.id for finding in gate.gate_findings(lab.cluster, lab.nodes, plan)}
    assert "gate-returned-cordoned" in found
    assert not {"gate-not-on-flannel", "gate-pods-on-calico"} & found


def test_the_report_has_the_nodes_that_went_back():
    phases = [{"phase": "evict", "seconds": 2.0}]
    records = {"n1": {"name": "n1", "phase": "returned", "phases": phases, "seconds": 2.0}, "n2": {"phase": "moved", "phases": phases}}
    made = report.migration_report(back(moved_lab(remove_flannel=False)), {"run": {}, "nodes": records})
    assert [node["name"] for node in made["nodes"]] == ["n1"]
    assert "1 node brought back" in texts.report_table(made)
    assert texts.report_table({**made, "nodes": []}) == "No node was brought back."
