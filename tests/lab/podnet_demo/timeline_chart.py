# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plot of requests over time: how many, how slow, how many failed, and what the playbook did meanwhile. No I/O."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Sequence

from markupsafe import Markup

from podnet_demo.svg import CHARACTER_WIDTH, Svg, marks, nice_step

Record = dict[str, t.Any]

LEFT, RIGHT, AXIS = 62.0, 8.0, 26.0
STAGES, NAMES = 20.0, 20.0
GAP = 18.0
REQUESTS, SLOWEST, FAILED = 130.0, 70.0, 34.0
NARROW = 600
LABEL_MARGIN = 2.0
TIME_STEPS = (1, 1.5, 3, 6, 10)


@dataclasses.dataclass(frozen=True)
class Area:
    """Where seconds lie on the picture."""

    first: float
    span: float
    width: float

    @property
    def scale(self) -> float:
        """Units a second."""
        return (self.width - LEFT - RIGHT) / self.span

    def x(self, moment: float) -> float:
        """The place of a moment, at the nearest edge when it lies outside."""
        return LEFT + min(max(moment - self.first, 0), self.span) * self.scale


def load(timeline: Sequence[Record], nodes: Sequence[Record], stages: Sequence[Record], width: float, css_class: str = "") -> Markup:
    """Three panels over one time axis; node moves are shades behind them, the playbook's stages a band above."""
    shown = timeline[1:-1] if len(timeline) > 4 else timeline  # the first and the last second are not whole
    area = Area(shown[0]["second"], max(shown[-1]["second"] - shown[0]["second"] + 1, 1), width)
    top = STAGES + NAMES
    requests, slowest = top + REQUESTS, top + REQUESTS + GAP + SLOWEST
    failed = slowest + GAP + FAILED
    picture = Svg(width, failed + AXIS, "Requests, the slowest request and failed requests each second", css_class)
    stage_band(picture, stages, area)
    moves(picture, nodes, area, failed)
    curve(picture, shown, "requests", area, requests, REQUESTS, 3, "")
    curve(picture, shown, "max_ms", area, slowest, SLOWEST, 2, " ms")
    failures(picture, shown, area, failed)
    time_axis(picture, area, failed)
    return picture.markup()


def stage_band(picture: Svg, stages: Sequence[Record], area: Area) -> None:
    """What the playbook was at; names where they fit, and as tips."""
    for i, stage in enumerate(stages):
        left, right = area.x(stage["began"]), area.x(stage["ended"])
        tip = f"{stage['stage']}: {stage['ended'] - stage['began']:.1f} s"
        picture.rect(left, 0, max(right - left - 1, 1), 15, f"stage-{i % 2}", tip)
        if len(stage["stage"]) * CHARACTER_WIDTH < right - left - LABEL_MARGIN:
            picture.text((left + right) / 2, 11.5, stage["stage"], "axis", "middle")


def moves(picture: Svg, nodes: Sequence[Record], area: Area, bottom: float) -> None:
    """A shade for the time in which a node is moved."""
    free_from = 0.0
    for node in nodes:
        if not node.get("began"):
            continue
        left, right = area.x(node["began"]), area.x(node["began"] + node["seconds"])
        picture.rect(left, STAGES + NAMES, max(right - left, 1), bottom - STAGES - NAMES, "move", f"{node['name']} is moved: {node['seconds']:.1f} s")
        half = len(node["name"]) * CHARACTER_WIDTH / 2
        middle = (left + right) / 2
        if middle - half > free_from:
            picture.text(middle, STAGES + NAMES - 6, node["name"], "label", "middle")
            free_from = middle + half + 3


def curve(picture: Svg, shown: Sequence[Record], key: str, area: Area, base: float, height: float, wanted: int, unit: str) -> None:
    """A stepped line from zero with its axis."""
    values = [entry.get(key) or 0.0 for entry in shown]
    ticks = marks(max(1.0, *values), wanted)
    up = height / ticks[-1]
    for tick in ticks:
        picture.line(LEFT, base - tick * up, area.width - RIGHT, base - tick * up, "grid")
        picture.text(LEFT - 8, base - tick * up + 4, f"{tick:,.0f}{unit if tick else ''}", "axis", "end")
    points: list[tuple[float, float]] = []
    for entry, value in zip(shown, values, strict=True):
        begin = LEFT + (entry["second"] - area.first) * area.scale
        points += [(begin, base - value * up), (begin + area.scale, base - value * up)]
    picture.path(points, "area", close_at=base)
    picture.path(points, "curve")


def failures(picture: Svg, shown: Sequence[Record], area: Area, base: float) -> None:
    """A bar for each second with failed requests, or the words that there is none."""
    worst = max(entry["failed"] for entry in shown)
    picture.line(LEFT, base, area.width - RIGHT, base, "base")
    picture.text(LEFT - 8, base, "failed", "axis", "end")
    if not worst:
        picture.text((LEFT + area.width - RIGHT) / 2, base - 10, "no failed request in any second", "axis", "middle")
        return
    picture.text(LEFT - 8, base - FAILED + 8, f"{worst:,}", "axis", "end")
    for entry in shown:
        if entry["failed"]:
            size = max(entry["failed"] / worst * FAILED, 2)
            tip = f"{entry['failed']} failed in second {entry['second'] - area.first:.0f}"
            picture.rect(LEFT + (entry["second"] - area.first) * area.scale, base - size, max(area.scale, 2), size, "failed", tip)


def time_axis(picture: Svg, area: Area, base: float) -> None:
    """Minutes and seconds since the first second shown."""
    step = nice_step(area.span, 5 if area.width < NARROW else 10, TIME_STEPS)
    for i in range(int(area.span / step) + 1):
        moment = i * step
        picture.text(LEFT + moment * area.scale, base + 18, f"{int(moment // 60)}:{int(moment % 60):02d}", "axis", "middle" if i else "start")
