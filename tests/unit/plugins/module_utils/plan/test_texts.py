# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read: inside the width whatever nodes are called, with everything that decides."""

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import gate, plan, report, texts
from ansible_collections.podnet.cni.plugins.module_utils._plan.table import display_width
from ansible_collections.podnet.cni.tests.unit.fixtures.facts import Lab, moved_lab

LONG = "ip-10-0-112-134.eu-central-1.compute.internal"
PHASES = ("evict", "switch", "restart", "prove", "uncordon")


def rename(lab, old, new):
    """A node under another name, wherever the facts have it."""

    def changed(value):
        if isinstance(value, dict):
            return {changed(key): changed(item) for key, item in value.items()}
        if isinstance(value, list):
            return [changed(item) for item in value]
        return new if value == old else value

    lab.cluster, lab.nodes, lab.settings = changed(lab.cluster), changed(lab.nodes), changed(lab.settings)
    return lab


def cloud_lab(lab=None):
    """A node and zones with names such as clouds give."""
    lab = rename(lab or Lab(), "n2", LONG)
    for node in lab.cluster["nodes"]:
        node["labels"]["topology.kubernetes.io/zone"] = "eu-central-1a"
    return lab


def plan_of(lab):
    return plan.plan_migration(lab.cluster, lab.nodes, lab.settings)


def made_report(names):
    phases = [{"phase": name, "seconds": 100.25, "graceful_seconds": 31.0} for name in PHASES]
    records = {name: {"phase": "moved", "zone": "eu-central-1a", "phases": phases} for name in names}
    return report.migration_report({}, {"run": {"run": "r"}, "nodes": records})


def refused_lab():
    lab = cloud_lab()
    lab.node(LONG)["ready"] = False
    lab.add_pod("cache-with-a-very-long-name-7bd7c4965f-2pm2j", LONG, empty_dir=True)
    return lab


ALL_TEXTS = {
    "plan": lambda width: texts.plan_table(plan_of(Lab()), width),
    "plan without restarts": lambda width: texts.plan_table(plan_of(Lab(pod_move="replug")), width),
    "plan in a cloud": lambda width: texts.plan_table(plan_of(cloud_lab()), width),
    "plan that is refused": lambda width: texts.plan_table(plan_of(refused_lab()), width),
    "plan that is done": lambda width: texts.plan_table(plan_of(moved_lab().remove_flannel().finish()), width),
    "gate": lambda width: gate_text(cloud_lab(moved_lab()), width),
    "report": lambda width: texts.report_table(made_report([LONG, "n1"]), width),
    "findings": lambda width: texts.findings_table(plan_of(refused_lab())["findings"], width),
}


def gate_text(lab, width=100):
    return texts.gate_table(gate.gate_rows(lab.cluster, lab.nodes, plan_of(lab)), width)


@pytest.mark.parametrize("name", ALL_TEXTS)
@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_line_is_longer_than_the_width(name, width):
    text = ALL_TEXTS[name](width)
    assert [line for line in text.split("\n") if display_width(line) > width] == []
    assert [line for line in text.split("\n") if line != line.rstrip()] == []


def test_the_plan_says_what_happens_to_which_node():
    lines = texts.plan_table(plan_of(Lab())).split("\n")
    assert "| n2   | b    | flannel | 10.244.1.0/24 | 4 x /26 |     2 |       1 |     2 | move    |" in lines
    assert "  Batches  n1 | n2 | n3 (podnet_serial: 1, 10%, 25%)" in lines
    assert lines[-1] == "Verdict: can be done; 3 nodes to move in 3 batches, then Flannel is removed."


def test_a_plan_without_restarts_counts_the_pods_that_move():
    text = texts.plan_table(plan_of(Lab(pod_move="replug")))
    assert "| n2   | b    | flannel | 10.244.1.0/24 | 4 x /26 |    3 |     2 | move    |" in text.split("\n")
    assert "move the pods as they run" in " ".join(text.split()) and "evict" not in text


def test_a_refused_plan_says_so_at_the_node_and_at_the_end():
    lab = Lab()
    lab.node("n2")["ready"] = False
    text = texts.plan_table(plan_of(lab), 120)
    assert [line.split("|")[-2].strip() for line in text.split("\n") if line.startswith("| n")][1:] == ["move", "REFUSED: node-not-ready", "move"]
    assert text.endswith("Verdict: REFUSED, 1 finding must be resolved first. Nothing is changed.")


@pytest.mark.parametrize(
    ("lab", "verdict"),
    [
        (moved_lab().remove_flannel().finish(), "Verdict: nothing to do."),
        (moved_lab(), "Verdict: can be done; all nodes are on Calico, Flannel is still to be removed."),
        (moved_lab(remove_flannel=False), "Verdict: nothing to do."),
        (
            Lab(remove_flannel=False),
            "Verdict: can be done; 3 nodes to move in 3 batches, Flannel stays beside Calico (podnet_remove_flannel=false).",
        ),
        (Lab().install_calico().move("n1"), "Verdict: can be done; 2 nodes to move in 2 batches, then Flannel is removed."),
    ],
)
def test_verdicts(lab, verdict):
    assert texts.plan_table(plan_of(lab), 160).rsplit("\n", maxsplit=1)[-1] == verdict


def test_nodes_that_are_done_are_shown_without_numbers():
    text = texts.plan_table(plan_of(Lab().install_calico().move("n1")))
    assert "| n1   | a    | calico  | 10.244.0.0/24 | 4 x /26 |     - |       - |     - | done    |" in text
    assert "docker.io/calico/node:v3.28.5 is there; pool podnet-pod-network" in " ".join(text.split())


def test_many_batches_are_counted_not_listed():
    lab = Lab(serial=1)
    template, facts = lab.node("n3"), lab.nodes["n3"]
    for number in range(4, 104):
        lab.cluster["nodes"].append({**template, "name": f"n{number}", "pod_cidr": f"10.244.{number}.0/24"})
        lab.nodes[f"n{number}"] = facts
    text = texts.plan_table(plan_of(lab))
    assert "n11 | n12 and 91 more batches (podnet_serial: 1)" in " ".join(text.split())


def test_the_gate_shows_what_is_wrong_in_capitals():
    lab = moved_lab()
    lab.node("n2")["ready"] = False
    lab.calico["daemonset"]["ready_nodes"] = ["n1", "n3"]
    text = gate_text(lab)
    assert "| n1   | calico | yes   | yes         | Ready       |" in text
    assert "| n2   | calico | NO    | yes         | NOT READY   |" in text
    assert "REFUSED:" in text
    assert "passed" in text


def test_the_report_adds_up():
    text = texts.report_table(made_report(["n1", "n2"]), 140)
    assert "501.2 s" in text
    assert "155.0 s" in text
    assert text.endswith("2 nodes moved; median 5 min 46 s a node without waiting for pods that end gracefully.")
    assert texts.report_table({"nodes": []}) == "No node was moved."


def test_a_phase_that_a_node_did_not_have_is_a_dash():
    records = {
        "n1": {"phase": "moved", "phases": [{"phase": "evict", "seconds": 1}]},
        "n2": {"phase": "moved", "phases": [{"phase": "evict", "seconds": 2}, {"phase": "prove", "seconds": 1}]},
        "n10": {"phase": "moved", "phases": [{"phase": "evict", "seconds": 6}]},
    }
    lines = texts.report_table(report.migration_report({}, {"nodes": records})).split("\n")
    assert [line.split("|")[4].strip() for line in lines if line.startswith("| n")][1:] == ["-", "1.0 s", "-"]
    assert lines[-1].startswith("3 nodes moved; median 3.0 s")


def test_no_findings_are_a_sentence():
    assert texts.findings_table([]) == "No findings."


def test_findings_are_counted_and_the_worst_come_first():
    finding = {"subject": "n1", "evidence": "E.", "why": "W.", "remedy": "R."}
    found = [{**finding, "id": "a", "severity": "info"}, {**finding, "id": "b", "severity": "blocker"}, {**finding, "id": "c", "severity": "info"}]
    lines = texts.findings_table(found).split("\n")
    assert lines[0] == "Findings: 1 blocker, 2 info"
    assert [line.split()[1] for line in lines if line.startswith(("| BLOCKER", "| info"))] == ["BLOCKER", "info", "info"]
