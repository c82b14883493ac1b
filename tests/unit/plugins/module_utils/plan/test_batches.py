# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person, a survey of AWX or an inventory may give as podnet_serial, and that the plan's batches are those that Ansible makes."""

from __future__ import annotations

import types

import pytest
from ansible.executor.playbook_executor import PlaybookExecutor
from ansible_collections.podnet.cni.plugins.module_utils._plan import batches
from hypothesis import given
from hypothesis import strategies as st

SIZES = st.one_of(st.integers(1, 40), st.integers(1, 100).map(lambda percent: f"{percent}%"))
SERIALS = st.lists(SIZES, min_size=1, max_size=5)
NAMES = st.integers(0, 120).map(lambda number: [f"n{index}" for index in range(number)])


def batches_of_ansible(names, serial):
    """What ansible-playbook makes of a play with this serial."""
    executor = types.SimpleNamespace(_inventory=types.SimpleNamespace(get_hosts=lambda pattern, order: list(names)))
    return PlaybookExecutor._get_serialized_batches(executor, types.SimpleNamespace(hosts="all", order=None, serial=list(serial)))


@pytest.mark.parametrize(
    ("given_value", "sizes"),
    [
        (1, [1]),
        ("2", [2]),
        (" 25% ", ["25%"]),
        ("25 %", ["25%"]),
        ([1, "10%", "25%"], [1, "10%", "25%"]),
        (("1", "10%"), [1, "10%"]),
        ("[1, '10%']", [1, "10%"]),
        ('[1, "10%"]', [1, "10%"]),
        ("[1, 10%, 25%]", [1, "10%", "25%"]),
        ("1,10%", [1, "10%"]),
        ("1, 10%,", [1, "10%"]),
        ("1; 10%", [1, "10%"]),
        ("1\n10%\n", [1, "10%"]),
        ("['1']", [1]),
        ('"100%"', ["100%"]),
        (2.0, [2]),
        ("010", [10]),
    ],
)
def test_sizes_are_read_from_whatever_a_person_or_a_survey_gives(given_value, sizes):
    assert batches.parse_serial(given_value) == sizes


@pytest.mark.parametrize(
    ("given_value", "words"),
    [
        ("", ["''", "is empty"]),
        ("  ", ["is empty"]),
        ([], ["holds no size"]),
        ("[]", ["holds no size"]),
        (None, ["'None'", "is no size"]),
        (True, ["'True'", "is no size"]),
        ("true", ["'True'", "is no size"]),
        (0, ["'0'", "less than one node"]),
        ("-1", ["'-1'", "less than one node"]),
        (1.5, ["'1.5'", "no whole number"]),
        ("NaN", ["'nan'", "no whole number"]),
        ("Infinity", ["'inf'", "no whole number"]),
        ("7e14", ["'700000000000000'", "more nodes than a cluster can have (100% stands for all at once)"]),
        (100_001, ["'100001'", "more nodes"]),
        ("0%", ["'0%'", "percentage"]),
        ("101%", ["'101%'", "percentage"]),
        ("12.5%", ["'12.5%'", "whole"]),
        ("0.5%", ["'0.5%'", "whole"]),
        ("-10%", ["'-10%'", "neither a number nor a percentage"]),
        ("one", ["'one'", "neither a number nor a percentage"]),
        ("1 10%", ["'1 10%'", "neither"]),
        ("[1, 10%", ["[1, 10%", "only one of the brackets"]),
        ("1,,2", ["''", "neither"]),
        ([[1]], ["'[1]'", "neither"]),
        ("{}", ["'{}'", "neither"]),
        ({"a": 1}, ["neither"]),
    ],
)
def test_what_is_no_size_is_refused_with_value_and_remedy(given_value, words):
    with pytest.raises(batches.InvalidSerial) as error:
        batches.parse_serial(given_value)
    for word in ["podnet_serial: ", "give a number (1), a percentage ('10%') or a list of them", *words]:
        assert word in str(error.value)


NUMBERS = st.one_of(st.integers(-2, 1000), st.floats(-2, 1000), st.sampled_from([float("nan"), float("inf")]))
TEXTS = st.text(alphabet="0123456789%,.[]'\" -+\nabe", max_size=6)


@given(st.one_of(TEXTS, NUMBERS, st.lists(st.one_of(TEXTS, NUMBERS, st.none()), max_size=3)))
def test_any_value_gives_sizes_that_ansible_takes_or_is_refused(value):
    try:
        sizes = batches.parse_serial(value)
    except batches.InvalidSerial:
        return
    assert batches_of_ansible(["n1", "n2", "n3"], sizes) == batches.split(["n1", "n2", "n3"], sizes)


@given(SERIALS)
def test_sizes_are_the_same_as_list_as_json_and_as_text_with_commas(serial):
    assert batches.parse_serial(serial) == serial
    assert batches.parse_serial(str(serial)) == serial
    assert batches.parse_serial(",".join(map(str, serial))) == serial


@given(NAMES, SERIALS)
def test_batches_hold_each_node_once_in_order_and_none_is_empty(names, serial):
    parts = batches.split(names, serial)
    assert [name for part in parts for name in part] == names
    assert all(parts)


@given(NAMES, SERIALS)
def test_batches_of_the_plan_are_those_of_the_play(names, serial):
    assert batches.split(names, serial) == batches_of_ansible(names, serial)


@given(NAMES, SERIALS, st.data())
def test_no_batch_holds_all_that_are_to_be_apart_and_the_play_has_the_same(names, serial, data):
    apart = data.draw(st.sets(st.sampled_from(names), max_size=3)) if names else set()
    parts = batches.split(names, serial, apart)
    assert [name for part in parts for name in part] == names
    assert all(parts)
    assert len(apart) < 2 or not any(apart <= set(part) for part in parts)
    if parts:
        assert batches_of_ansible(names, [len(part) for part in parts]) == parts


def test_the_default_begins_with_one_node():
    names = [f"n{number}" for number in range(1, 31)]
    assert [len(part) for part in batches.split(names, batches.DEFAULT)] == [1, 3, 7, 7, 7, 5]
