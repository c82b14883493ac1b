# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plots of the report. No I/O."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Sequence

from markupsafe import Markup

from podnet_demo.svg import CHARACTER_WIDTH, Svg, marks

Record = dict[str, t.Any]

ROW = 34.0
BAR = 18.0
AXIS = 26.0


@dataclasses.dataclass(frozen=True)
class Pair:
    """One quantity before and after."""

    label: str
    before: float | None
    after: float | None
    dots_before: Sequence[float] = ()
    dots_after: Sequence[float] = ()


def phase_class(phase: str, phases: Sequence[str]) -> str:
    """The colour of a phase."""
    return f"phase-{phases.index(phase) % 6 if phase in phases else 5}"


def phase_names(nodes: Sequence[Record]) -> list[str]:
    """All phases in the order in which they happen."""
    return list(dict.fromkeys(phase["phase"] for node in nodes for phase in node["phases"]))


def node_bars(nodes: Sequence[Record], width: float, css_class: str = "") -> Markup:
    """A bar for each node along one time axis, cut into phases; hatched parts wait for pods to end gracefully."""
    narrow = width < 600
    left, right = (46.0, 66.0) if narrow else (110.0, 170.0)
    begins = starts(nodes)
    end = max(begin + node["seconds"] for begin, node in zip(begins, nodes, strict=True))
    ticks = marks(end, 5 if narrow else 10)
    scale = (width - left - right) / max(end, ticks[-2] if len(ticks) > 1 else 1)
    bottom = ROW * len(nodes) + 6
    picture = Svg(width, bottom + AXIS, "Time of each node by phase", css_class)
    for tick in ticks:
        if tick <= end:
            picture.line(left + tick * scale, 0, left + tick * scale, bottom, "grid")
            picture.text(left + tick * scale, bottom + 17, f"{tick:g} s", "axis", "middle")
    names = phase_names(nodes)
    for i, (begin, node) in enumerate(zip(begins, nodes, strict=True)):
        y = i * ROW + (ROW - BAR) / 2
        picture.text(0, y + 13, node["name"], "label")
        if not narrow and node.get("zone"):
            picture.text(left - 14, y + 13, f"zone {node['zone']}", "axis", "end")
        x = left + begin * scale
        for phase in node["phases"]:
            size = phase["seconds"] * scale
            tip = f"{node['name']}: {phase['phase']} {phase['seconds']:.2f} s"
            picture.rect(x, y, size, BAR, phase_class(phase["phase"], names), tip)
            graceful = min(phase.get("graceful_seconds") or 0.0, phase["seconds"]) * scale
            if graceful > 0.5:
                picture.rect(x, y, graceful, BAR, "hatch", f"{tip}, {phase['graceful_seconds']:.2f} s of it graceful termination")
            x += size
        note = f"{node['own_seconds']:.1f} s"
        if not narrow and node.get("graceful_seconds", 0) >= 0.05:
            note += f" + {node['graceful_seconds']:.1f} s waiting"
        picture.text(x + 8, y + 13, note, "value")
    return picture.markup()


def starts(nodes: Sequence[Record]) -> list[float]:
    """When each node began, from the first one's beginning; one after the other when the journal does not say."""
    if all(node.get("began") for node in nodes):
        first = min(node["began"] for node in nodes)
        return [node["began"] - first for node in nodes]
    begins, at = [], 0.0
    for node in nodes:
        begins.append(at)
        at += node["seconds"]
    return begins


def pairs(rows: Sequence[Pair], unit: str, digits: int, title: str, inner: float = 0.0, width: float = 340.0) -> Markup:
    """Before and after as two bars each, from zero; what lies below C(inner) is drawn pale, because it is the same for both."""
    thickness, gap, head, right = 14.0, 3.0, 20.0, 52.0 + len(unit) * CHARACTER_WIDTH
    block = head + 2 * (thickness + gap) + 12
    values = [value for row in rows for value in (row.before, row.after, *row.dots_before, *row.dots_after) if value is not None]
    scale = (width - right) / max([*values, 1e-9])
    picture = Svg(width, block * len(rows), title)
    for i, row in enumerate(rows):
        y = i * block
        picture.text(0, y + 13, row.label, "label")
        for j, (name, value, dots) in enumerate((("before", row.before, row.dots_before), ("after", row.after, row.dots_after))):
            at = y + head + j * (thickness + gap)
            if value is None:
                picture.text(0, at + 11, f"{name}: not measured", "axis")
                continue
            text = f"{value:,.{digits}f}{unit}"
            picture.rect(0, at, value * scale, thickness, name, f"{row.label}, {name}: {text}", radius=1.5)
            if inner:
                picture.rect(0, at, min(inner, value) * scale, thickness, "inner")
            for dot in dots:
                picture.circle(dot * scale, at + thickness / 2, 2.6, "dot")
            picture.text(max([value, *dots]) * scale + 7, at + 11, text, "value" if name == "after" else "value muted")
    return picture.markup()
