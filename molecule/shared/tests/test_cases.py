# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges what module_case wrote down: check mode, idempotence, differences, and errors for bad input."""

from __future__ import annotations

import typing as t

import pytest
from podnet_molecule import results

Record = dict[str, t.Any]
CASES = results.read_cases()


def title(case: Record) -> str:
    """What a case is called: names are unique for a module."""
    return f"{case['module']}: {case['name']}"


def of_kind(*kinds: str) -> pytest.MarkDecorator:
    """Once for each case of these kinds."""
    found = [case for case in CASES if case["kind"] in kinds]
    return pytest.mark.parametrize("case", found, ids=map(title, found))


def test_there_are_cases() -> None:
    assert CASES
    assert len(set(map(title, CASES))) == len(CASES)


@of_kind("change", "preview")
def test_check_mode_tells_the_change(case: Record) -> None:
    assert not case["check"]["failed"], case["check"].get("msg")
    assert case["check"]["changed"]


@of_kind("change", "preview")
def test_check_mode_changes_nothing(case: Record) -> None:
    assert case["moved"]["check"] == []


@of_kind("change", "preview")
def test_diff_shows_the_change(case: Record) -> None:
    for step in ("check", "run") if case["kind"] == "change" else ("check",):
        parts = case[step]["diff"]
        for part in parts if isinstance(parts, list) else [parts]:
            assert part["before"] != part["after"]


@of_kind("change")
def test_it_changes(case: Record) -> None:
    assert not case["run"]["failed"], case["run"].get("msg")
    assert case["run"]["changed"]


@of_kind("change")
def test_a_second_run_changes_nothing(case: Record) -> None:
    assert not case["again"]["failed"], case["again"].get("msg")
    assert not case["again"]["changed"]
    assert case["moved"]["again"] == []


@of_kind("steady")
def test_nothing_is_to_be_done(case: Record) -> None:
    for step in ("check", "run"):
        assert not case[step]["failed"], case[step].get("msg")
        assert not case[step]["changed"]
    assert case["moved"]["run"] == []


@of_kind("refusal", "failure")
def test_it_fails_and_says_why(case: Record) -> None:
    for step in ("check", "run") if case["kind"] == "refusal" else ("run",):
        result = case[step]
        assert result["failed"]
        assert not result["changed"]
        missing = [word for word in case["says"] if word not in result["msg"]]
        assert missing == [], result["msg"]
        assert "Traceback" not in result["msg"]


@of_kind("refusal", "failure")
def test_a_failure_changes_nothing(case: Record) -> None:
    assert case["moved"]["run"] == []


@of_kind("change", "preview", "steady", "refusal", "failure")
def test_nothing_is_deprecated(case: Record) -> None:
    for step in ("check", "run", "again"):
        assert not case.get(step, {}).get("deprecations")
