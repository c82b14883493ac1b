# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node goes back to a Flannel that had been removed, then all do, and Calico goes without a trace, whatever way of routing it had."""

from __future__ import annotations

import json
import typing as t

import pytest
from podnet_lab.lab import Lab
from podnet_molecule import results
from podnet_molecule.load import stop, summary
from podnet_molecule.playbook import Outcome

FLANNEL = "10-flannel.conflist"
TUNNELLED = ("cross_subnet", "vxlan")
MODE = results.mode()

Record = dict[str, t.Any]


@pytest.fixture(scope="module")
def record() -> Record:
    return t.cast(Record, json.loads((results.folder() / "returning.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ["one", "all"])
def test_the_run_ends_well_and_every_node_is_in_service(record: Record, name: str) -> None:
    outcome, after = Outcome(**record[name]), record[f"after_{name}"]
    assert outcome.code == 0, outcome.output
    assert all(node["schedulable"] and not node["timer"] for node in after["nodes"].values())
    assert not after["locked"]


def test_flannel_was_put_back_first(record: Record) -> None:
    assert "it is put back from the journal" in Outcome(**record["one"]).text


def test_one_node_went_back_alone(record: Record, lab: Lab) -> None:
    after = record["after_one"]
    back = [name for name, node in after["nodes"].items() if node["configuration"] == FLANNEL]
    assert back == [lab.nodes[1].name]
    for name, pods in after["pods"].items():
        there, gone = ("flannel", "calico") if name in back else ("calico", "flannel")
        assert pods[there] > 0
        assert pods[gone] == 0


def test_the_tunnels_kept_their_addresses_as_long_as_they_were_there(record: Record, lab: Lab) -> None:
    assert len(record["after_one"]["tunnels"]) == (len(lab.nodes) if MODE in TUNNELLED else 0)
    assert record["after_all"]["tunnels"] == []


def test_all_nodes_went_back_and_calico_left_no_trace(record: Record) -> None:
    after = record["after_all"]
    assert {node["configuration"] for node in after["nodes"].values()} == {FLANNEL}
    assert all(pods["calico"] == 0 and pods["flannel"] > 0 for pods in after["pods"].values())
    assert after["changes"] == record["logs_that_stay"]


@pytest.mark.parametrize("name", ["one", "all"])
def test_no_address_was_given_twice_not_even_that_of_a_tunnel(record: Record, name: str) -> None:
    found = record[f"after_{name}"]["addresses"] + record[f"after_{name}"]["tunnels"]
    assert len(set(found)) == len(found) > 0


def test_the_way_there_was_not_even_noticed_by_new_pods(record: Record, lab: Lab) -> None:
    load = stop(lab)
    assert [failure for failure in load["failures"] if failure["time"] < record["time_one"][0]] == [], summary(load)
