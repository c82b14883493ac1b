# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the probers on all nodes and in pods saw during three switches: no request failed.

Streams never end, so that those of the nodes themselves, which are masqueraded, are cut when the time for them to end is over; a stream of a pod
loses nothing.
"""

from __future__ import annotations

import pytest
from podnet_lab.lab import Lab
from podnet_molecule.load import Load, stop, summary

ENOUGH = 20_000
SWITCHES = 3


@pytest.fixture(scope="module")
def load(lab: Lab) -> Load:
    """What was seen. The probers are stopped when it is first asked for."""
    return stop(lab)


def test_no_request_failed(load: Load) -> None:
    assert {kind: counts["failed"] for kind, counts in load["by_kind"].items() if kind != "stream" and counts["failed"]} == {}, summary(load)
    assert load["requests"] > ENOUGH
    assert load["not_ended"] == []


def test_pods_saw_no_failure_at_all(load: Load, lab: Lab) -> None:
    pods = [source for source in load["by_source"].values() if source["place"] == "pod"]
    assert {source["node"] for source in pods} >= {node.name for node in lab.nodes}
    assert [source["failed"] for source in pods] == [0] * len(pods), summary(load)


def test_streams_of_nodes_were_cut_once_a_switch_at_most(load: Load, lab: Lab) -> None:
    assert load["by_kind"]["stream"]["failed"] <= SWITCHES * len(lab.nodes), summary(load)
    assert load["streams"]["lines"] > 0
