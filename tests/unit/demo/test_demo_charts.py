# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from xml.etree import ElementTree

import demo_sample as sample
import pytest
from podnet_demo import charts, report_json, svg, timeline_chart

STAGES = sample.stages()
NODES = report_json.time_per_node({"nodes": sample.nodes(3)})


def parsed(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(str(markup))


def test_every_phase_of_every_node_is_a_bar_inside_the_picture() -> None:
    picture = parsed(charts.node_bars(NODES, 1000))
    bars = [rect for rect in picture.iter("{http://www.w3.org/2000/svg}rect") if rect.get("class", "").startswith("phase")]
    assert len(bars) == 15
    assert max(float(rect.get("x", 0)) + float(rect.get("width", 0)) for rect in bars) <= 1000


def test_a_journal_without_times_puts_the_nodes_one_after_the_other() -> None:
    without = [{**node, "began": None} for node in NODES]
    assert charts.starts(without) == pytest.approx([0, NODES[0]["seconds"], NODES[0]["seconds"] + NODES[1]["seconds"]])


def test_failures_are_drawn_and_their_absence_is_said() -> None:
    assert "no failed request" in timeline_chart.load(report_json.timeline(sample.probes().series), NODES, STAGES, 1000)
    assert 'class="failed"' in timeline_chart.load(report_json.timeline(sample.probes(5).series), NODES, STAGES, 372)


def test_stages_and_moves_lie_inside_the_picture_and_short_stages_have_tips_only() -> None:
    markup = timeline_chart.load(report_json.timeline(sample.probes().series), NODES, STAGES, 1000)
    rects = list(parsed(markup).iter("{http://www.w3.org/2000/svg}rect"))
    bands = [rect for rect in rects if rect.get("class", "").startswith("stage") or rect.get("class") == "move"]
    assert len(bands) == len(STAGES) + len(NODES)
    assert all(float(band.get("x", 0)) + float(band.get("width", 0)) <= 1000 for band in bands)
    assert ">Move</text>" in markup
    assert ">Finish</text>" not in markup
    assert "Finish: 2.0 s" in markup


def test_one_second_is_enough_for_a_plot() -> None:
    picture = parsed(timeline_chart.load([{"second": 1, "requests": 0, "failed": 0, "max_ms": 0.0}], [], [], 372))
    assert "nan" not in ElementTree.tostring(picture, encoding="unicode").lower()


def test_a_pair_without_a_value_says_so() -> None:
    assert "before: not measured" in charts.pairs([charts.Pair("x", None, 1.0)], "", 2, "title")


def test_texts_are_escaped() -> None:
    picture = svg.Svg(10, 10, 'a "title" <b>')
    picture.text(0, 0, "<script>")
    picture.rect(0, 0, 1, 1, "x", tip="a & b")
    assert "<script>" not in picture.markup()
    parsed(picture.markup())


@pytest.mark.parametrize(("top", "wanted", "expected"), [(10, 5, [0, 2, 4, 6, 8, 10]), (0.9, 3, [0, 0.5, 1.0]), (431, 3, [0, 200, 400, 600])])
def test_marks_are_round_and_reach_the_top(top: float, wanted: int, expected: list[float]) -> None:
    assert svg.marks(top, wanted) == expected
