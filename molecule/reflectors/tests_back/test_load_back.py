# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the probers on all nodes and in pods saw on the way back: first tries of new pods may fail (docs/rollback_to_flannel.md)."""

from __future__ import annotations

import pytest
from podnet_lab.lab import Lab
from podnet_molecule.load import Load, stop, summary

ENOUGH = 10_000


@pytest.fixture(scope="module")
def load(lab: Lab) -> Load:
    """What was seen. The probers are stopped when it is first asked for."""
    return stop(lab, "load-back")


def test_no_request_failed(load: Load) -> None:
    assert [failure for failure in load["failures"] if not failure["warmup"]] == [], summary(load)


def test_they_came_from_every_node_and_from_a_pod_on_it(load: Load, lab: Lab) -> None:
    places = {(source["node"], source["place"]) for source in load["by_source"].values() if source["requests"] > source["failed"]}
    assert {(node.name, place) for node in lab.nodes for place in ("node", "pod")} <= places
    assert load["requests"] > ENOUGH


def test_long_connections_lost_nothing(load: Load) -> None:
    assert load["streams"]["lines"] > 0
    assert (load["streams"]["failed"], load["streams"]["missing_lines"]) == (0, 0)
    assert load["not_ended"] == []
