# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody who was there before noticed the way there and back, whatever the scenario runs on it.

A pod that has just started on Flannel may be refused once by a NetworkPolicy that Calico enforces on other nodes: its address is known there
only when its kubelet has told the API. What is refused so has to be in the first moment of a pod, and to answer at the next try.
"""

from __future__ import annotations

import pytest
from podnet_lab.lab import Lab
from podnet_molecule.load import Load, stop, summary

ENOUGH = 50_000
FIRST_TRIES = 30


@pytest.fixture(scope="module")
def load(lab: Lab) -> Load:
    return stop(lab)


def test_no_request_failed_but_first_ones_of_new_pods(load: Load) -> None:
    later = [failure for failure in load["failures"] if not failure["warmup"]]
    assert later == [], summary(load)
    assert len(load["failures"]) == load["failed_requests"] <= FIRST_TRIES, summary(load)


def test_nodes_saw_no_failure_at_all(load: Load, lab: Lab) -> None:
    nodes = [source for source in load["by_source"].values() if source["place"] == "node"]
    assert {source["node"] for source in nodes} == {node.name for node in lab.nodes}
    assert [source["failed"] for source in nodes] == [0] * len(nodes), summary(load)


def test_there_were_enough_requests(load: Load) -> None:
    assert load["requests"] > ENOUGH
    assert load["not_ended"] == []


def test_long_connections_lost_nothing(load: Load) -> None:
    assert load["streams"]["lines"] > 0
    assert (load["streams"]["failed"], load["streams"]["missing_lines"]) == (0, 0)
