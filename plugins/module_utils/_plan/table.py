# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text tables for terminals and AWX: lines of ASCII, aligned, wrapped to a width. Pure: no input, no output."""

from __future__ import annotations

import typing as t
import unicodedata

WIDTH = 100
NARROWEST = 6
_JOINTS = "-./:,_"


class Column(t.NamedTuple):
    """A column.

    C(right) aligns numbers, C(fixed) never wraps, C(hanging) indents further lines of a paragraph. A column is never made narrower than
    C(least) cells. Where even that is too wide for a line, columns with a number in C(dispensable) are left out, the highest first.
    """

    title: str
    right: bool = False
    fixed: bool = False
    hanging: int = 0
    least: int = NARROWEST
    dispensable: int = 0


def display_width(text: str) -> int:
    """Cells that a text takes in a terminal: two for wide characters, none for combining ones."""
    return sum(0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _cut(word: str, width: int) -> tuple[str, str]:
    """The part of a long word that fits into a line, and the rest: after one of the signs that join names, if there is one near the end."""
    size, taken = 0, 0
    for char in word:
        taken += display_width(char)
        if size and taken > width:
            break
        size += 1
    if size < len(word):
        joint = max(word.rfind(sign, 0, size) for sign in _JOINTS) + 1
        size = joint if joint > size // 2 else size
    return word[:size], word[size:]


def wrap(text: str, width: int, hanging: int = 0) -> list[str]:
    """Lines of a text, broken between words; words that are too long are cut.

    Blanks at the beginning of a line of the text stay, and further lines get as many and C(hanging) more.
    """
    lines: list[str] = []
    for paragraph in str(text).split("\n"):
        first = " " * (len(paragraph) - len(paragraph.lstrip()))
        further = first + " " * hanging
        current, margin = "", first
        for word in paragraph.split():
            if current and display_width(f"{margin}{current} {word}") <= width:
                current = f"{current} {word}"
                continue
            if current:
                lines.append(margin + current)
                margin = further
            current = word
            while display_width(margin + current) > width:
                piece, rest = _cut(current, max(1, width - len(margin)))
                if not rest:
                    break
                lines.append(margin + piece)
                current, margin = rest, further
        lines.append((margin + current).rstrip())
    return lines


def pad(text: str, width: int, right: bool = False) -> str:
    """A text filled up with blanks."""
    blanks = " " * max(0, width - display_width(text))
    return blanks + text if right else text + blanks


def _widest(text: str) -> int:
    return max((display_width(line) for line in text.split("\n")), default=0)


def _least(column: Column, cells: t.Iterable[str]) -> int:
    """The smallest width that a column may get: that of its longest cell if it never wraps."""
    natural = max([_widest(column.title), *map(_widest, cells)])
    return natural if column.fixed else min(natural, max(column.least, _longest_word(column.title)))


def _room(columns: t.Sized, width: int) -> int:
    """Cells that are left for texts beside the lines."""
    return width - 3 * len(columns) - 1


def shown_columns(columns: t.Sequence[Column], rows: t.Sequence[t.Sequence[str]], width: int) -> list[int]:
    """Numbers of the columns that fit into C(width)."""
    shown = list(range(len(columns)))
    least = [_least(column, (row[i] for row in rows)) for i, column in enumerate(columns)]
    while sum(least[i] for i in shown) > _room(shown, width):
        dispensable = [i for i in shown if columns[i].dispensable]
        if not dispensable:
            break
        shown.remove(max(dispensable, key=lambda i: columns[i].dispensable))
    return shown


def column_widths(columns: t.Sequence[Column], rows: t.Sequence[t.Sequence[str]], width: int) -> list[int]:
    """Widths that fit into C(width): the widest columns that may wrap give way first."""
    widths = [max([_widest(column.title), *(_widest(row[i]) for row in rows)]) for i, column in enumerate(columns)]
    least = [_least(column, (row[i] for row in rows)) for i, column in enumerate(columns)]
    while sum(widths) > _room(columns, width):
        able = [i for i in range(len(columns)) if widths[i] > least[i]]
        if not able:
            break
        widest = max(able, key=lambda i: widths[i])
        next_width = max([least[widest], *(widths[i] for i in able if i != widest)])
        surplus = sum(widths) - _room(columns, width)
        widths[widest] = max(least[widest], widths[widest] - surplus, min(widths[widest] - 1, next_width))
    return widths


def _longest_word(text: str) -> int:
    return max((display_width(word) for word in text.split()), default=0)


def table(columns: t.Sequence[Column], rows: t.Iterable[t.Sequence[t.Any]], width: int = WIDTH, separate: bool | None = None) -> str:
    """A table. Rows are separated by lines when C(separate), by default when a cell takes several lines."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    shown = shown_columns(columns, texts, width)
    columns, texts = [columns[i] for i in shown], [[row[i] for i in shown] for row in texts]
    widths = column_widths(columns, texts, width)
    wrapped = [[wrap(cell, widths[i], columns[i].hanging) for i, cell in enumerate(row)] for row in texts]
    if separate is None:
        separate = any(len(cell) > 1 for row in wrapped for cell in row)
    rule = "+" + "+".join("-" * (size + 2) for size in widths) + "+"
    lines = [rule]
    if any(column.title for column in columns):
        lines += [*_lines([wrap(column.title, widths[i]) for i, column in enumerate(columns)], columns, widths), rule]
    for number, row in enumerate(wrapped):
        if separate and number:
            lines.append(rule)
        lines += _lines(row, columns, widths)
    if wrapped:
        lines.append(rule)
    return "\n".join(lines)


def _lines(cells: t.Sequence[t.Sequence[str]], columns: t.Sequence[Column], widths: t.Sequence[int]) -> list[str]:
    height = max(len(cell) for cell in cells)
    lines = []
    for number in range(height):
        parts = (pad(cell[number] if number < len(cell) else "", widths[i], columns[i].right) for i, cell in enumerate(cells))
        lines.append("| " + " | ".join(parts) + " |")
    return lines


def pairs(entries: t.Iterable[tuple[str, str]], width: int = WIDTH, indent: str = "  ") -> str:
    """Names and texts in two columns without lines; texts are wrapped beside their name."""
    items = [(name, text) for name, text in entries if text]
    left = max((display_width(name) for name, dummy in items), default=0)
    room = max(NARROWEST, width - len(indent) - left - 2)
    lines = []
    for name, text in items:
        for number, line in enumerate(wrap(text, room)):
            lines.append(f"{indent}{pad(name if not number else '', left)}  {line}".rstrip())
    return "\n".join(lines)
