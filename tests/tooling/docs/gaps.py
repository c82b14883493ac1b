# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/gaps.svg: for how long packets of pods had no way while they were moved as they ran (docs/gaps.json)."""

from __future__ import annotations

import json
import math
import statistics
import typing as t
from collections.abc import Sequence

from podnet_demo.svg import Svg

from tooling.places import ROOT

RESULTS = ROOT / "docs" / "gaps.json"
WIDTH, HEIGHT = 720.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 20.0, 46.0, 46.0
MARKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
WAYS = (("there", "to Calico"), ("back", "back to Flannel"))
STYLE = """\
<style>
text{font:12px system-ui,sans-serif;fill:#57606a}.title{font-size:14px;font-weight:600;fill:#24292f}.grid{stroke:#d0d7de}
.there{fill:none;stroke:#0969da;stroke-width:2}.back{fill:none;stroke:#bc4c00;stroke-width:2}text.there{fill:#0969da;stroke:none}
text.back{fill:#bc4c00;stroke:none}
@media(prefers-color-scheme:dark){text{fill:#8b949e}.title{fill:#e6edf3}.grid{stroke:#30363d}.there{stroke:#4493f8}.back{stroke:#f0883e}
text.there{fill:#4493f8}text.back{fill:#f0883e}}
</style>"""


def page() -> str:
    """The picture of the stored results."""
    return picture(json.loads(RESULTS.read_text(encoding="utf-8")))


def steps(gaps: Sequence[float]) -> list[tuple[float, float]]:
    """Points of the line that tells which share of pods had a gap of at most so many milliseconds."""
    found = sorted(gaps)
    points = [(found[0], 0.0)]
    for number, gap in enumerate(found, 1):
        points += [(gap, points[-1][1]), (gap, number / len(found))]
    return points


def bounds(gaps: Sequence[float]) -> tuple[float, float]:
    """The marks between which all of these are."""
    low = max((mark for mark in MARKS if mark <= min(gaps)), default=MARKS[0])
    return low, min((mark for mark in MARKS if mark >= max(gaps)), default=MARKS[-1])


def picture(results: t.Mapping[str, t.Any]) -> str:
    """Shares of pods over milliseconds, on a logarithmic axis."""
    ways = [(name, label, results[name]) for name, label in WAYS if results.get(name)]
    low, high = bounds([gap for _name, _label, gaps in ways for gap in gaps])

    def across(gap: float) -> float:
        share = math.log(max(gap, low) / low) / math.log(high / low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def down(share: float) -> float:
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    svg = Svg(WIDTH, HEIGHT, "Time without a way for packets of pods that were moved as they ran")
    svg.text(LEFT, 18, f"Time without a way for packets, {results['pods_a_node']} pods a node on {results['nodes']} nodes", "title")
    for mark in (mark for mark in MARKS if low <= mark <= high):
        svg.line(across(mark), TOP, across(mark), HEIGHT - BOTTOM, "grid")
        svg.text(across(mark), HEIGHT - BOTTOM + 18, f"{mark:g}", anchor="middle")
    for percent in (0, 25, 50, 75, 100):
        svg.line(LEFT, down(percent / 100), WIDTH - RIGHT, down(percent / 100), "grid")
        svg.text(LEFT - 8, down(percent / 100) + 4, f"{percent} %", anchor="end")
    svg.text(WIDTH - RIGHT, HEIGHT - 8, "milliseconds, at most", anchor="end")
    for number, (name, label, gaps) in enumerate(ways):
        svg.path([(across(gap), down(share)) for gap, share in steps(gaps)], name)
        text = f"{label}: median {statistics.median_low(gaps):.1f} ms, longest {max(gaps):.1f} ms"
        svg.text(LEFT + number * (WIDTH - LEFT - RIGHT) / 2, 36, text, name)
    head, rest = str(svg.markup()).split(">", 1)
    return f"{head}>{STYLE}{rest}\n"
