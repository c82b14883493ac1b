# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every pod has moved to Calico and back as it ran: the same pods with the same addresses, none restarted, none unready for a moment."""

from __future__ import annotations

import json
import typing as t

import pytest
from podnet_molecule import results
from podnet_molecule.playbook import Outcome

FLANNEL = "10-flannel.conflist"
RIGID = {"demo/bare", "demo/rigid"}
LONGEST_GAP_MS = 3000
"""A cut takes milliseconds. Whoever holds the connection has a busy machine's processors to wait for, unlike the probers whose streams tell more."""

Record = dict[str, t.Any]


@pytest.fixture(scope="module")
def record() -> Record:
    return t.cast(Record, json.loads((results.folder() / "replugging.json").read_text(encoding="utf-8")))


def outcome(record: Record, name: str) -> Outcome:
    return Outcome(**record[name])


def test_there_were_pods_that_nobody_may_evict(record: Record) -> None:
    assert len(record["pods"]) > 12
    assert {name.rsplit("-", 2)[0] for name in record["pods"]} >= RIGID


@pytest.mark.parametrize("name", ["moved", "again", "back"])
def test_every_pod_has_gone_on(record: Record, name: str) -> None:
    assert outcome(record, name).code == 0, outcome(record, name).output
    now = record[f"after_{name}"]["pods_there"]
    other = {pod: (was, now.get(pod)) for pod, was in record["pods"].items() if now.get(pod) != was}
    assert other == {}
    assert {pod["restarts"] for pod in now.values()} == {0}


def test_all_were_on_calico(record: Record) -> None:
    after = record["after_moved"]
    assert all(node["configuration"] != FLANNEL and not node["timer"] and node["schedulable"] for node in after["nodes"].values())
    assert all(pods["flannel"] == 0 and pods["calico"] > 0 for pods in after["pods"].values())
    assert not after["locked"]


def test_calico_had_given_each_its_address_once(record: Record) -> None:
    given = record["after_moved"]["books"]
    assert set(record["pods"]) <= set(given)
    assert {pod: len(handles) for pod, handles in given.items() if len(handles) != 1} == {}


def test_calicos_own_tool_finds_no_problem(record: Record) -> None:
    assert f"Found {len(record['after_moved']['pods_there'])} workload IPs." in record["ipam_check"]
    assert "found 0 problems" in record["ipam_check"]


def test_another_run_had_nothing_to_move(record: Record) -> None:
    assert outcome(record, "again").changed == 0, outcome(record, "again").output


def test_all_are_back_and_calico_has_left_no_trace(record: Record) -> None:
    after = record["after_back"]
    assert {node["configuration"] for node in after["nodes"].values()} == {FLANNEL}
    assert all(pods["calico"] == 0 and pods["flannel"] > 0 for pods in after["pods"].values())
    assert set(after["pods_there"]) == set(record["pods"])
    assert record["changes"] == record["logs_that_stay"]


@pytest.mark.parametrize("name", ["moved", "back"])
def test_the_journal_has_the_gap_of_each_pod(record: Record, name: str) -> None:
    gaps = record[f"after_{name}"]["gaps"]
    assert len(gaps) >= len(record["pods"])
    assert all(gap > 0 for gap in gaps)


@pytest.mark.parametrize("name", ["moved", "back"])
def test_each_pod_reached_other_nodes_and_pods_there_before_and_afterwards(record: Record, name: str) -> None:
    numbers = record[f"after_{name}"]["reached"]
    assert len(numbers) == len(record[f"after_{name}"]["gaps"])
    assert min(numbers) > 1


@pytest.mark.parametrize("name", ["moved", "back"])
def test_no_address_was_given_twice(record: Record, name: str) -> None:
    addresses = record[f"after_{name}"]["addresses"]
    assert len(set(addresses)) == len(addresses) > 0


def test_a_connection_to_a_port_of_a_node_went_on(record: Record) -> None:
    held = record["held"]
    assert not held["ended"]
    assert held["lines"] > 1000
    assert held["longest_gap_ms"] < LONGEST_GAP_MS
