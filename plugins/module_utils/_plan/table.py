# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text tables for terminals and AWX: lines of ASCII, aligned, wrapped to a width. Pure: no input, no output."""

from __future__ import annotations

import typing as t
import unicodedata

WIDTH = 100
NARROWEST = 6


class Column(t.NamedTuple):
    """A column; C(right) aligns numbers, C(fixed) never wraps, C(hanging) indents further lines of a paragraph."""

    title: str
    right: bool = False
    fixed: bool = False
    hanging: int = 0


def display_width(text: str) -> int:
    """Cells that a text takes in a terminal: two for wide characters, none for combining ones."""
    return sum(0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _cut(word: str, width: int) -> list[str]:
    """Pieces of a word that is longer than a line."""
    pieces, current = [], ""
    for char in word:
        if current and display_width(current + char) > width:
            pieces.append(current)
            current = ""
        current += char
    return [*pieces, current]


def wrap(text: str, width: int, hanging: int = 0) -> list[str]:
    """Lines of a text, broken between words; words that are too long are cut.

    Blanks at the beginning of a line of the text stay, and further lines get as many and C(hanging) more.
    """
    lines: list[str] = []
    for paragraph in str(text).split("\n"):
        words = paragraph.split()
        first = " " * (len(paragraph) - len(paragraph.lstrip()))
        further = first + " " * hanging
        current, margin = "", first
        for word in words:
            if current and display_width(f"{margin}{current} {word}") <= width:
                current = f"{current} {word}"
                continue
            if current:
                lines.append(margin + current)
                margin = further
            *full, current = _cut(word, max(1, width - len(margin)))
            for piece in full:
                lines.append(margin + piece)
                margin = further
        lines.append((margin + current).rstrip())
    return lines


def pad(text: str, width: int, right: bool = False) -> str:
    """A text filled up with blanks."""
    blanks = " " * max(0, width - display_width(text))
    return blanks + text if right else text + blanks


def _widest(text: str) -> int:
    return max((display_width(line) for line in text.split("\n")), default=0)


def column_widths(columns: t.Sequence[Column], rows: t.Sequence[t.Sequence[str]], width: int) -> list[int]:
    """Widths that fit into C(width): the widest columns that may wrap give way first."""
    widths = [max([_widest(column.title), *(_widest(row[i]) for row in rows)]) for i, column in enumerate(columns)]
    room = width - 3 * len(columns) - 1
    while sum(widths) > room:
        able = [i for i, column in enumerate(columns) if not column.fixed and widths[i] > max(NARROWEST, _longest_word(column.title))]
        if not able:
            break
        widest = max(able, key=lambda i: widths[i])
        others = [widths[i] for i in able if i != widest]
        target = max([NARROWEST, *others])
        widths[widest] = max(min(widths[widest] - 1, target), widths[widest] - (sum(widths) - room))
    return widths


def _longest_word(text: str) -> int:
    return max((display_width(word) for word in text.split()), default=0)


def table(columns: t.Sequence[Column], rows: t.Iterable[t.Sequence[t.Any]], width: int = WIDTH, separate: bool | None = None) -> str:
    """A table. Rows are separated by lines when C(separate), by default when a cell takes several lines."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
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
