# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two nodes go back, then all do; a node that does not pass its checks stays on Calico; Calico goes without a trace; the way to Calico is open
again; and after Flannel was removed it is put back, and everything is as before.
"""

from __future__ import annotations

import json
import typing as t

import pytest
from podnet_lab.lab import Lab
from podnet_molecule import results
from podnet_molecule.playbook import Outcome

FLANNEL = "10-flannel.conflist"
IN_SERVICE = {"timer": False, "schedulable": True}

Record = dict[str, t.Any]


@pytest.fixture(scope="module")
def record() -> Record:
    return t.cast(Record, json.loads((results.folder() / "returning.json").read_text(encoding="utf-8")))


def outcome(record: Record, name: str) -> Outcome:
    return Outcome(**record[name])


def configurations(record: Record, name: str) -> dict[str, str]:
    nodes = record[f"after_{name}"]["nodes"]
    assert all({key: node[key] for key in IN_SERVICE} == IN_SERVICE for node in nodes.values())
    return {node: entry["configuration"] for node, entry in nodes.items()}


def test_all_nodes_were_on_calico_with_flannel_beside(record: Record) -> None:
    assert outcome(record, "moved").code == 0, outcome(record, "moved").output
    assert FLANNEL not in configurations(record, "moved").values()
    assert all(pods["flannel"] == 0 and pods["calico"] > 0 for pods in record["after_moved"]["pods"].values())


def test_a_node_that_does_not_pass_its_checks_stays_on_calico(record: Record, lab: Lab) -> None:
    failed = outcome(record, "unanswered")
    assert failed.code == 2
    for words in (lab.nodes[0].name, "a port that nobody listens on", "run the same playbook again"):
        assert words in failed.text, failed.output
    assert FLANNEL not in configurations(record, "unanswered").values()
    assert not record["after_unanswered"]["locked"]
    assert record["after_unanswered"]["phases"][f"node.{lab.nodes[0].name}.json"] == "return-failed"


def test_the_nodes_of_a_list_went_back_alone(record: Record, lab: Lab) -> None:
    assert outcome(record, "some").code == 0, outcome(record, "some").output
    back = [name for name, configuration in configurations(record, "some").items() if configuration == FLANNEL]
    assert back == [node.name for node in lab.nodes[1:]]
    pods = record["after_some"]["pods"]
    assert all(pods[name]["flannel"] > 0 and pods[name]["calico"] == 0 for name in back)
    other = lab.nodes[0].name
    # The run that failed there has left pods of DaemonSets on Flannel, which the next run for that node restarts.
    assert pods[other]["flannel"] == record["after_unanswered"]["pods"][other]["flannel"]
    assert pods[other]["calico"] > 0


def test_all_nodes_went_back(record: Record) -> None:
    assert outcome(record, "all").code == 0, outcome(record, "all").output
    assert set(configurations(record, "all").values()) == {FLANNEL}
    assert all(pods["calico"] == 0 and pods["flannel"] > 0 for pods in record["after_all"]["pods"].values())
    assert not record["after_all"]["locked"]


def test_another_run_has_nothing_to_do(record: Record) -> None:
    assert outcome(record, "again").code == 0, outcome(record, "again").output
    assert outcome(record, "again").changed == 0
    assert "nothing to do" in outcome(record, "again").text


@pytest.mark.parametrize("name", ["without_calico", "restored"])
def test_calico_leaves_no_trace(record: Record, name: str) -> None:
    assert outcome(record, name).code == 0, outcome(record, name).output
    assert set(configurations(record, name).values()) == {FLANNEL}
    assert all(pods["calico"] == 0 for pods in record[f"after_{name}"]["pods"].values())
    assert record[f"after_{name}"]["changes"] == record["logs_that_stay"]


def test_nothing_is_left_to_do_at_the_end(record: Record) -> None:
    assert outcome(record, "nothing").code == 0, outcome(record, "nothing").output
    assert outcome(record, "nothing").changed == 0
    assert "nothing to do" in outcome(record, "nothing").text


def test_flannel_was_gone_before_it_was_put_back(record: Record) -> None:
    assert "Verdict: can be done; 3 nodes to bring back in 3 batches, then Calico is removed." in outcome(record, "restored").text
    assert "it is put back from the journal" in outcome(record, "restored").text


@pytest.mark.parametrize("name", ["moved", "unanswered", "some", "all", "again", "without_calico", "for_good", "restored", "nothing"])
def test_no_address_was_given_twice(record: Record, name: str) -> None:
    addresses = record[f"after_{name}"]["addresses"]
    assert addresses
    assert len(set(addresses)) == len(addresses)


def test_the_way_to_calico_is_open_again(record: Record) -> None:
    assert outcome(record, "for_good").code == 0, outcome(record, "for_good").output
    assert set(configurations(record, "for_good").values()) == {"10-calico.conflist"}
