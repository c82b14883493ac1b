# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words for people: counts, lists, durations, order. Pure: no input, no output."""

from __future__ import annotations

import re
import typing as t

MOST_SHOWN = 8


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Sort key by which n2 comes before n10."""
    parts = re.split(r"([0-9]+)", text)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]


def natural(texts: t.Iterable[str]) -> list[str]:
    """Texts in the order in which people count."""
    return sorted(texts, key=natural_key)


def count(number: int, noun: str, plural: str | None = None) -> str:
    """C(1 node), C(3 nodes)."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(texts: t.Iterable[str], most: int = MOST_SHOWN) -> str:
    """Some texts, the first ones only when there are many: C(n1, n2 and 3 more)."""
    items = list(texts)
    if len(items) <= most:
        return ", ".join(items)
    return f"{', '.join(items[:most])} and {len(items) - most} more"


def node_subject(names: t.Iterable[str]) -> str:
    """The subject of a finding about nodes."""
    items = natural(names)
    return f"{'node' if len(items) == 1 else 'nodes'} {listed(items)}"


def per_node(values: t.Mapping[str, t.Any]) -> str:
    """C(n1: 1450, n2: 1400)."""
    return listed(f"{name}: {values[name]}" for name in natural(values))


def seconds(value: float) -> str:
    """A duration: C(1.2 s), C(2 min 5 s)."""
    if round(value, 1) < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
