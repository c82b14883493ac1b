# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables stay inside their width, say everything, and break names where people would."""

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan.table import Column, display_width, pairs, table, wrap
from hypothesis import assume, given
from hypothesis import strategies as st

WORDS = st.text(alphabet="abcdefgh0123456789-./漢é", min_size=1, max_size=40)
TEXTS = st.lists(st.lists(WORDS, max_size=6).map(" ".join), min_size=1, max_size=3).map("\n".join)


def letters(text):
    """Everything but blanks and lines of a table."""
    return sorted(char for char in text if char not in " \n|+")


@given(TEXTS, st.integers(6, 60), st.integers(0, 4))
def test_wrapped_lines_are_not_longer_than_the_width_and_nothing_is_lost(text, width, hanging):
    lines = wrap(text, width, hanging)
    assert max(map(display_width, lines)) <= width
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(st.text(alphabet="ab ", max_size=80).map(str.lstrip), st.integers(6, 30))
def test_words_that_fit_into_a_line_are_never_cut(text, width):
    assume(all(len(word) <= width for word in text.split()))
    assert [word for line in wrap(text, width) for word in line.split()] == text.split()


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=5), st.integers(40, 110))
def test_every_line_of_a_table_has_the_same_width_and_is_inside_the_limit(rows, width):
    printed = table((Column("name"), Column("number", right=True), Column("text", hanging=3)), rows, width)
    widths = {display_width(line) for line in printed.split("\n")}
    assert len(widths) == 1
    assert widths.pop() <= width
    dashes = letters(printed).count("-") - sum(cell.count("-") for row in rows for cell in row)
    rest = letters(printed.replace("name", "", 1).replace("number", "", 1).replace("text", "", 1))
    assert rest == letters("".join(cell for row in rows for cell in row) + "-" * dashes)


def test_names_are_broken_after_the_signs_that_join_them():
    assert wrap("ip-10-0-112-134.eu-central-1.compute.internal", 16) == ["ip-10-0-112-134.", "eu-central-1.", "compute.internal"]
    assert wrap("abcdefghijklmnop", 6) == ["abcdef", "ghijkl", "mnop"]
    assert wrap("a-bcdefghijkl", 8) == ["a-bcdefg", "hijkl"]


def test_further_lines_hang_and_blanks_at_the_beginning_stay():
    assert wrap("Why: one two three", 10, 5) == ["Why: one", "     two", "     three"]
    assert wrap("  one two three", 9) == ["  one two", "  three"]


def test_columns_that_wrap_give_way_and_fixed_ones_do_not():
    printed = table((Column("a", fixed=True), Column("b")), [("x" * 12, "one two three four")], 30)
    assert f"| {'x' * 12} | one two     |" in printed
    assert max(map(len, printed.split("\n"))) <= 30


def test_columns_that_can_be_spared_are_left_out_only_when_nothing_else_helps():
    columns = (Column("node"), Column("much", fixed=True, dispensable=1), Column("more", fixed=True, dispensable=2))
    rows = [("n1", "m" * 10, "o" * 10)]
    assert "more" in table(columns, rows, 40)
    assert "more" not in table(columns, rows, 30)
    assert "much" in table(columns, rows, 30)
    assert table(columns, rows, 20).split("\n")[1] == "| node |"


def test_what_cannot_fit_is_shown_whole_all_the_same():
    columns = (Column("address", fixed=True), Column("text"))
    printed = table(columns, [("2001:db8:1234:5678:9abc:def0:1234:5678", "one two three")], 30)
    assert "| 2001:db8:1234:5678:9abc:def0:1234:5678 | one" in printed
    assert "漢" in "".join(wrap("漢字", 1))


def test_a_table_without_rows_has_its_titles():
    assert table((Column("node"),), []) == "+------+\n| node |\n+------+"


@pytest.mark.parametrize(("rows", "lines"), [([("a",), ("b",)], 6), ([("a\nb",), ("c",)], 8)])
def test_rows_are_separated_when_one_takes_several_lines(rows, lines):
    assert len(table((Column("t"),), rows).split("\n")) == lines


@given(st.lists(st.tuples(st.text(alphabet="abc", min_size=1, max_size=8), TEXTS), max_size=5), st.integers(24, 100))
def test_pairs_stay_inside_the_width(entries, width):
    assert max(map(display_width, pairs(entries, width).split("\n"))) <= width


def test_pairs_are_aligned_and_leave_out_what_is_empty():
    assert pairs([("a", "one two three four"), ("bb", ""), ("ccc", "x\ny")], 18) == "  a    one two\n       three four\n  ccc  x\n       y"
