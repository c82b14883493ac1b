# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that does not pass its checks goes back; a controller that was killed is no loss; the last run ends whole."""

from __future__ import annotations

import json
import typing as t

import pytest
from podnet_lab.lab import Lab
from podnet_molecule import results
from podnet_molecule.playbook import Outcome

FLANNEL = "10-flannel.conflist"
FINAL = {"configuration": "10-calico.conflist", "timer": False, "schedulable": True}

Record = dict[str, t.Any]


@pytest.fixture(scope="module")
def record() -> Record:
    return t.cast(Record, json.loads((results.folder() / "broken.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def unanswered(record: Record) -> Outcome:
    return Outcome(**record["unanswered"])


def test_the_first_run_fails_and_says_where_and_why(unanswered: Outcome, lab: Lab) -> None:
    first = lab.nodes[0].name
    assert unanswered.code == 2
    for words in (first, "a port that nobody listens on", "10.96.0.1", "run the same playbook again"):
        assert words in unanswered.text, unanswered.output
    assert "Traceback" not in unanswered.output


def test_its_node_went_back_to_flannel(record: Record, lab: Lab) -> None:
    after = record["after_unanswered"]
    assert after["nodes"] == {node.name: {"configuration": FLANNEL, "timer": False, "schedulable": True} for node in lab.nodes}
    assert not after["locked"]


def test_its_pods_went_back_as_well(record: Record) -> None:
    assert {name: pods["calico"] for name, pods in record["pods_after_unanswered"].items()} == dict.fromkeys(record["pods_after_unanswered"], 0)
    assert all(pods["flannel"] for pods in record["pods_after_unanswered"].values())


def test_it_did_not_try_the_other_nodes(record: Record, lab: Lab) -> None:
    assert list(record["after_unanswered"]["phases"]) == [f"node.{lab.nodes[0].name}.json"]
    assert record["after_unanswered"]["phases"][f"node.{lab.nodes[0].name}.json"] != "moved"


def test_the_second_run_was_killed_in_the_middle_of_a_node(record: Record) -> None:
    killed = record["killed"]
    node = killed["before"]["nodes"][killed["node"]]
    assert killed["code"] == -9
    assert node["timer"]
    assert node["configuration"] != FLANNEL
    assert not node["schedulable"]
    assert killed["before"]["locked"]
    assert list(killed["before"]["phases"].values()).count("moved") == 1


def test_the_last_run_took_over_at_once_and_ended_whole(record: Record, lab: Lab) -> None:
    last = Outcome(**record["last"])
    assert last.code == 0, last.output
    assert record["after_last"]["nodes"] == {node.name: FINAL for node in lab.nodes}
    assert set(record["after_last"]["phases"].values()) == {"moved"}
    assert not record["after_last"]["locked"]


def test_the_last_run_left_the_moved_node_alone(record: Record) -> None:
    (moved,) = [key.split(".")[1] for key, phase in record["killed"]["before"]["phases"].items() if phase == "moved"]
    lines = [line for line in Outcome(**record["last"]).output.splitlines() if line.startswith("changed:") or " begin" in line]
    assert lines
    assert [line for line in lines if "begin" in line and moved in line] == []
