# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody noticed: what the probers on all nodes and in pods saw during the migration and the second run."""

from __future__ import annotations

import pytest
from podnet_lab.lab import Lab
from podnet_molecule.load import Load, stop, summary

KINDS = {"clusterip", "nodeport", "pod", "stream", "udp", "dns"}
ENOUGH = 10_000


@pytest.fixture(scope="module")
def load(lab: Lab) -> Load:
    """What was seen. The probers are stopped when it is first asked for."""
    return stop(lab)


def test_no_request_failed(load: Load) -> None:
    assert (load["failed_requests"], len(load["failures"]), load["longest_outage_ms"]) == (0, 0, 0), summary(load)


def test_there_were_enough_requests_of_every_kind(load: Load) -> None:
    assert load["requests"] > ENOUGH
    assert set(load["by_kind"]) == KINDS
    assert all(counts["requests"] > 0 for counts in load["by_kind"].values())


def test_they_came_from_every_node_and_from_a_pod_on_it(load: Load, lab: Lab) -> None:
    places = {(source["node"], source["place"]) for source in load["by_source"].values() if source["requests"] > source["failed"]}
    assert {(node.name, place) for node in lab.nodes for place in ("node", "pod")} <= places


def test_long_connections_lost_nothing(load: Load) -> None:
    assert load["streams"]["lines"] > 0
    assert load["streams"]["failed"] == 0
    assert load["streams"]["missing_lines"] == 0


def test_no_prober_died(load: Load) -> None:
    assert load["not_ended"] == []
