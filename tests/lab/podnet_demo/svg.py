# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small writer of inline SVG. Colours come from CSS classes, so that one picture fits light and dark pages. No I/O."""

from __future__ import annotations

import math
from html import escape

from markupsafe import Markup

CHARACTER_WIDTH = 6.6
"""Width of an average character of the plots' text, in its own units."""


class Svg:
    """One picture."""

    def __init__(self, width: float, height: float, title: str, css_class: str = "") -> None:
        self.width = width
        self.height = height
        self._title = title
        self._class = css_class
        self._parts: list[str] = []

    def rect(self, x: float, y: float, width: float, height: float, css_class: str, tip: str = "", radius: float = 0) -> None:
        """A bar; C(tip) shows when the pointer rests on it."""
        inside = f"<title>{escape(tip)}</title>" if tip else ""
        corner = f' rx="{radius:g}"' if radius else ""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}"{corner} class="{escape(css_class)}">{inside}</rect>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, css_class: str) -> None:
        """A straight line."""
        self._parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{escape(css_class)}"/>')

    def text(self, x: float, y: float, text: str, css_class: str = "", anchor: str = "start") -> None:
        """A line of text; C(y) is its base line."""
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{escape(css_class)}" text-anchor="{anchor}">{escape(text)}</text>')

    def circle(self, x: float, y: float, radius: float, css_class: str) -> None:
        """A dot."""
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{escape(css_class)}"/>')

    def path(self, points: list[tuple[float, float]], css_class: str, close_at: float | None = None) -> None:
        """A line through points; with C(close_at) the area between it and that height."""
        if not points:
            return
        commands = [f"{'M' if i == 0 else 'L'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points)]
        if close_at is not None:
            commands += [f"L{points[-1][0]:.1f} {close_at:.1f}", f"L{points[0][0]:.1f} {close_at:.1f}", "Z"]
        self._parts.append(f'<path d="{"".join(commands)}" class="{escape(css_class)}"/>')

    def markup(self) -> Markup:
        """The picture as a part of a page."""
        head = (
            f'<svg class="{escape(self._class)}" viewBox="0 0 {self.width:g} {self.height:g}" role="img" aria-label="{escape(self._title)}"'
            ' xmlns="http://www.w3.org/2000/svg">'
        )
        return Markup(head + "".join(self._parts) + "</svg>")  # noqa: S704 - every text was escaped on its way in


def nice_step(span: float, wanted: int, steps: tuple[float, ...] = (1, 2, 5, 10)) -> float:
    """A round distance between marks, so that about C(wanted) of them fit into C(span)."""
    if span <= 0:
        return 1
    rough = span / max(wanted, 1)
    scale = float(10 ** math.floor(math.log10(rough)))
    return next((step * scale for step in steps if step * scale >= rough * 0.999), steps[-1] * scale)


def marks(top: float, wanted: int) -> list[float]:
    """Round numbers from 0 to the first one that is not below C(top)."""
    step = nice_step(top, wanted)
    return [round(i * step, 9) for i in range(math.ceil(top / step * 0.999999) + 1)]
