# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The search for the largest packet that passes, over every size and every kind of hop."""

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import path_mtu
from ansible_collections.podnet.cni.plugins.module_utils._plan.path_mtu import Path, Search


def run(true, largest, told=lambda size, true: None, passed=128):
    """What the search finds when packets of up to C(true) bytes pass, what it tried, and how many of these were lost."""
    search = Search(passed, largest)
    tried, lost = [], 0
    while search.size is not None:
        size = search.size
        assert passed < size <= largest
        tried.append(size)
        if size <= true:
            search.passed(size)
        else:
            lost += 1
            search.lost(size, told(size, true))
        assert len(tried) < 50
    return search.low, tried, lost


@pytest.mark.parametrize("largest", [1500, 9000, 9216, 65535])
def test_every_size_is_found(largest):
    sizes = {*range(128, 300), *range(1250, 1501), *path_mtu.USUAL, *(size + by for size in path_mtu.USUAL for by in (-1, 1)), largest}
    for true in sorted(size for size in sizes if 128 <= size <= largest):
        found, tried, dummy = run(true, largest)
        assert found == true
        assert len(set(tried)) == len(tried), "no size is tried twice"


def test_the_usual_case_needs_one_packet():
    assert run(1500, 1500) == (1500, [1500], 0)


@pytest.mark.parametrize("true", [1400, 1420, 1450, 1480, 1492])
def test_few_packets_are_lost_on_usual_sizes(true):
    assert run(true, 1500)[2] <= 5


def test_what_a_router_says_is_tried_next():
    found, tried, dummy = run(1377, 1500, told=lambda size, true: true)
    assert found == 1377 and tried[:2] == [1500, 1377]


@pytest.mark.parametrize("lie", [lambda size, true: 0, lambda size, true: size, lambda size, true: 70000, lambda size, true: true - 20])
def test_a_router_that_lies_is_not_believed(lie):
    for true in (200, 1280, 1377, 1499):
        assert run(true, 1500, told=lie)[0] == true


def test_nothing_to_search():
    assert Search(1500, 1500).size is None
    assert Search(1500, 576).size is None


def test_the_smallest_counts_and_the_way_back_too():
    paths = [
        Path("a", "eth0", 1500, 1500, None, None),
        Path("b", "eth0", 1500, 1500, None, 1396),
        Path("c", "eth0", 1500, None, None, None),
        Path("d", "flannel.1", 1450, 1300, None, None),
    ]
    assert path_mtu.smallest(paths, ["eth0"]) == 1396
    assert path_mtu.smallest(paths, ["eth0", "flannel.1"]) == 1300
    assert path_mtu.smallest(paths, ["eth1"]) is None
    assert path_mtu.smallest(paths[2:3], ["eth0"]) is None
