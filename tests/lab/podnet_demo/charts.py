# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plots of the report. No I/O."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Sequence

from markupsafe import Markup

from podnet_demo.svg import CHARACTER_WIDTH, Svg, marks, nice_step

Record = dict[str, t.Any]

ROW = 34.0
BAR = 18.0
AXIS = 26.0
TIME_STEPS = (1, 1.5, 3, 6, 10)


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


def load(timeline: Sequence[Record], nodes: Sequence[Record], width: float, css_class: str = "") -> Markup:
    """Requests each second as an area, failed ones in a strip below, node moves as shades."""
    shown = timeline[1:-1] if len(timeline) > 4 else timeline  # the first and the last second are not whole
    first = shown[0]["second"]
    span = max(shown[-1]["second"] - first + 1, 1)
    narrow = width < 600
    left, right, top, height, strip = 44.0, 8.0, 20.0, 150.0 if narrow else 170.0, 34.0
    scale = (width - left - right) / span
    most = max(1, *(entry["requests"] for entry in shown))
    ticks = marks(most, 3)
    up = height / ticks[-1]
    base = top + height
    strip_base = base + 16 + strip
    picture = Svg(width, strip_base + AXIS, "Requests and failed requests each second", css_class)
    free_from = 0.0
    for node in nodes:
        if not node.get("began"):
            continue
        begin, end = (min(max(moment - first, 0), span) for moment in (node["began"], node["began"] + node["seconds"]))
        x, size = left + begin * scale, max((end - begin) * scale, 1)
        picture.rect(x, top, size, strip_base - top, "move", f"{node['name']} is moved: {node['seconds']:.1f} s")
        text_width = len(node["name"]) * CHARACTER_WIDTH
        if x + size / 2 - text_width / 2 > free_from:
            picture.text(x + size / 2, top - 6, node["name"], "label", "middle")
            free_from = x + size / 2 + text_width / 2 + 3
    for tick in ticks:
        picture.line(left, base - tick * up, width - right, base - tick * up, "grid")
        picture.text(left - 8, base - tick * up + 4, f"{tick:,.0f}", "axis", "end")
    points = [point for entry in shown for point in step(entry["second"] - first, entry["requests"], left, scale, base, up)]
    picture.path(points, "area", close_at=base)
    picture.path(points, "curve")
    worst = max(entry["failed"] for entry in shown)
    picture.line(left, strip_base, width - right, strip_base, "base")
    picture.text(left - 8, strip_base, "failed", "axis", "end")
    if worst:
        picture.text(left - 8, strip_base - strip + 8, f"{worst:,}", "axis", "end")
    for entry in shown:
        if entry["failed"]:
            size = max(entry["failed"] / worst * strip, 2)
            x = left + (entry["second"] - first) * scale
            picture.rect(x, strip_base - size, max(scale, 1.5), size, "failed", f"{entry['failed']} failed in second {entry['second'] - first}")
    if not worst:
        picture.text((left + width - right) / 2, strip_base - 10, "no failed request in any second", "axis", "middle")
    time_step = nice_step(span, 5 if narrow else 10, TIME_STEPS)
    for i in range(int(span / time_step) + 1):
        moment = i * time_step
        picture.text(left + moment * scale, strip_base + 18, f"{int(moment // 60)}:{int(moment % 60):02d}", "axis", "middle" if i else "start")
    return picture.markup()


def step(second: float, value: float, left: float, scale: float, base: float, up: float) -> list[tuple[float, float]]:
    """The two corners of one second of a stepped line."""
    y = base - value * up
    return [(left + second * scale, y), (left + (second + 1) * scale, y)]


def pairs(rows: Sequence[Pair], unit: str, digits: int, title: str, inner: float = 0.0, width: float = 340.0) -> Markup:
    """Before and after as two bars each, from zero; what lies below C(inner) is drawn pale, because it is the same for both."""
    bar, gap, head, right = 14.0, 3.0, 20.0, 52.0 + len(unit) * CHARACTER_WIDTH
    block = head + 2 * (bar + gap) + 12
    values = [value for row in rows for value in (row.before, row.after, *row.dots_before, *row.dots_after) if value is not None]
    scale = (width - right) / max([*values, 1e-9])
    picture = Svg(width, block * len(rows), title)
    for i, row in enumerate(rows):
        y = i * block
        picture.text(0, y + 13, row.label, "label")
        for j, (name, value, dots) in enumerate((("before", row.before, row.dots_before), ("after", row.after, row.dots_after))):
            at = y + head + j * (bar + gap)
            if value is None:
                picture.text(0, at + 11, f"{name}: not measured", "axis")
                continue
            text = f"{value:.{digits}f}{unit}"
            picture.rect(0, at, value * scale, bar, name, f"{row.label}, {name}: {text}", radius=1.5)
            if inner:
                picture.rect(0, at, min(inner, value) * scale, bar, "inner")
            for dot in dots:
                picture.circle(dot * scale, at + bar / 2, 2.6, "dot")
            picture.text(max([value, *dots]) * scale + 7, at + 11, text, "value" if name == "after" else "value muted")
    return picture.markup()
