# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import words
from ansible_collections.podnet.cni.plugins.module_utils._plan.progress import failures, progress_line
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.0 s"),
        (0.04, "0.0 s"),
        (1.25, "1.2 s"),
        (59.94, "59.9 s"),
        (59.97, "1 min 0 s"),
        (125.4, "2 min 5 s"),
        (3599.6, "1 h 0 min"),
        (7380, "2 h 3 min"),
    ],
)
def test_durations(value, text):
    assert words.seconds(value) == text


def test_nodes_are_ordered_as_people_count():
    assert words.natural(["n10", "n2", "a", "n2b", "2"]) == ["2", "a", "n2", "n2b", "n10"]


@given(st.lists(st.text(alphabet="ab019.-", max_size=6), unique_by=lambda name: tuple(words.natural_key(name))))
def test_any_names_can_be_ordered_and_the_order_does_not_depend_on_the_input(names):
    assert words.natural(names) == words.natural(names[::-1])


def test_long_lists_are_cut_and_say_how_many_more():
    assert words.listed(["a", "b"]) == "a, b"
    assert words.listed(iter("abcd"), 2) == "a, b and 2 more"
    assert words.listed([]) == ""
    assert words.node_subject(["n2", "n1"]) == "nodes n1, n2"
    assert words.node_subject(["n1"]) == "node n1"
    assert words.per_node({"n10": 1, "n2": 2}) == "n2: 2, n10: 1"


def test_counts():
    assert words.count(1, "node") == "1 node"
    assert words.count(1200, "node") == "1,200 nodes"
    assert words.count(2, "batch", "batches") == "2 batches"


@pytest.mark.parametrize(
    ("probe", "text"),
    [
        (None, ""),
        ({}, ""),
        ({"failed": None}, ""),
        ({"failed": 0}, "failures so far: 0"),
        ({"failed": 3, "requests": 41200}, "failures so far: 3 of 41,200 requests"),
    ],
)
def test_what_a_live_prober_has_seen(probe, text):
    assert failures(probe) == text


def test_lines_of_progress_stand_below_each_other():
    progress = {"position": 3, "total": 12, "node": "n3", "zone": "b", "phase": "evict"}
    lines = [
        progress_line({**progress, "phase": "begin"}, None, {"failed": 0, "requests": 10}),
        progress_line(progress, 1.25, {"failed": 0, "requests": 10}),
        progress_line({**progress, "phase": "uncordon"}, 12.3, {"failed": 0, "requests": 10}),
    ]
    assert lines == [
        "[node  3 of 12] n3 (zone b)  begin            failures so far: 0 of 10 requests",
        "[node  3 of 12] n3 (zone b)  evict     1.2 s  failures so far: 0 of 10 requests",
        "[node  3 of 12] n3 (zone b)  uncordon 12.3 s  failures so far: 0 of 10 requests",
    ]
    assert progress_line({"position": 1, "total": 1, "node": "n1", "zone": "", "phase": "moved"}, 70) == "[node 1 of 1] n1  moved   1 min 10 s"
