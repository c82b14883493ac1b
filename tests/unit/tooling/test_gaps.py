# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of how long packets had no way."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from tooling.docs import gaps

RESULTS = {"nodes": 3, "pods_a_node": 21, "there": [4.0, 0.5, 1.0, 2.0], "back": [0.3, 30.0]}


def test_a_line_rises_by_one_pod_at_each_gap():
    assert gaps.steps([3.0, 1.0]) == [(1.0, 0.0), (1.0, 0.0), (1.0, 0.5), (3.0, 0.5), (3.0, 1.0)]


@pytest.mark.parametrize(("found", "between"), [([0.3, 30.0], (0.2, 50)), ([0.05, 2000.0], (0.1, 1000)), ([1, 2], (1, 2))])
def test_the_axis_has_room_for_all(found, between):
    assert gaps.bounds(found) == between


def test_the_picture_says_median_and_longest_and_has_a_line_for_each_way():
    root = ET.fromstring(gaps.picture(RESULTS))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert "Time without a way for packets, 21 pods a node on 3 nodes" in texts
    assert "to Calico: median 1.0 ms, longest 4.0 ms" in texts
    assert "back to Flannel: median 0.3 ms, longest 30.0 ms" in texts
    assert len([element for element in root.iter() if element.tag.endswith("path")]) == 2
    assert [text for text in texts if text.endswith(" %")] == ["0 %", "25 %", "50 %", "75 %", "100 %"]


def test_a_way_that_was_not_measured_has_no_line():
    root = ET.fromstring(gaps.picture({**RESULTS, "back": []}))
    assert len([element for element in root.iter() if element.tag.endswith("path")]) == 1
