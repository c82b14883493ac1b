# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one HTML file that needs nothing else: no scripts, no fonts, no network."""

from __future__ import annotations

import datetime
import typing as t
from pathlib import Path

import jinja2

from podnet_demo import charts, saving, timeline_chart

TEMPLATES = Path(__file__).with_name("templates")
WIDE, NARROW = 1020.0, 372.0
NOT_MEASURED = "–"
KINDS = {
    "clusterip": "TCP to a ClusterIP",
    "nodeport": "TCP to a NodePort",
    "pod": "TCP to a pod's address",
    "udp": "UDP to a ClusterIP",
    "dns": "DNS query",
    "stream": "long-lived TCP stream",
}

Record = dict[str, t.Any]


def render(report: Record) -> str:
    """The page for a report as C(report_json.build) makes it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        number=number, fixed=fixed, percent=percent, measured=measured, milliseconds=milliseconds, moment=moment, kind=kind_name
    )
    return environment.get_template("report.html.j2").render(
        report=report,
        plots=plots(report),
        phases=[
            (name, charts.phase_class(name, charts.phase_names(report["time_per_node"]))) for name in charts.phase_names(report["time_per_node"])
        ],
        probe_rows=probe_table(report["probes"]),
        absences=absences(report["prober_places"]),
        leftovers=leftover_table(report["leftover_checks"]),
        saving_counts=saving.COUNTS,
        saving_leaves_out=saving.LEAVES_OUT,
    )


def plots(report: Record) -> Record:
    """All plots, those that do not shrink well in two widths; without data there is none."""
    nodes = report["time_per_node"]
    stages = (report["migration_run"] or {}).get("stages") or []
    both = (("wide", WIDE), ("narrow", NARROW))
    return {
        "nodes": [charts.node_bars(nodes, width, css) for css, width in both] if nodes else [],
        "load": [timeline_chart.load(report["timeline"], nodes, stages, width, css) for css, width in both] if report["timeline"] else [],
        "bytes": charts.pairs(byte_pairs(report), "", 3, "Bytes on the wire for each byte of payload", inner=1.0),
        "throughput": charts.pairs(throughput_pairs(report), " Gbit/s", 2, "Throughput between zones"),
        "encapsulated": charts.pairs(encapsulated_pairs(report), "", 0, "Packets with VXLAN headers between zones"),
        "latency_median": charts.pairs(latency_pairs(report, "p50", "median"), " ms", 3, "Median latency between zones"),
        "latency_slow": charts.pairs(latency_pairs(report, "p99", "99 %"), " ms", 3, "Latency of the slowest between zones"),
    }


def byte_pairs(report: Record) -> list[charts.Pair]:
    """Bytes on the wire for large transfers and small messages."""
    before, after = report["measured_before"] or {}, report["measured_after"] or {}
    size = (before.get("messages") or after.get("messages") or {}).get("message_bytes", 256)
    titles = (("bulk", "large TCP transfer"), ("messages", f"{size}-byte messages"))
    return [
        charts.Pair(title, *((side.get(key) or {}).get("bytes_per_payload_byte") for side in (before, after)))  # type: ignore[arg-type]
        for key, title in titles
    ]


def throughput_pairs(report: Record) -> list[charts.Pair]:
    """The median and, as dots, the single runs."""
    dots = [[run["gbit"] for run in (report[key] or {}).get("throughput_runs", [])] for key in ("measured_before", "measured_after")]
    return [charts.Pair("one TCP stream, pod to pod", report["throughput_before_gbit"], report["throughput_after_gbit"], *dots)]


def encapsulated_pairs(report: Record) -> list[charts.Pair]:
    """Packets that carried VXLAN headers."""
    return [charts.Pair("between the zones", report["encapsulated_packets_before"], report["encapsulated_packets_after"])]


def latency_pairs(report: Record, quantile: str, title: str) -> list[charts.Pair]:
    """Connecting and asking; median and slowest are on scales of their own."""
    before, after = report["latency_before"] or {}, report["latency_after"] or {}
    rows = [("connect_ms", f"connect, {title}"), ("request_ms", f"request, {title}")]
    return [charts.Pair(label, *((side.get(key) or {}).get(quantile) for side in (before, after))) for key, label in rows]  # type: ignore[arg-type]


def probe_table(probes: list[Record]) -> list[Record]:
    """A row for each kind, with what nodes and what pods asked in columns of their own."""
    rows = []
    for kind in [kind for kind in KINDS if any(probe["kind"] == kind for probe in probes)]:
        sides = {probe["place"]: probe for probe in probes if probe["kind"] == kind}
        paces = [side["pace_ms"] for side in sides.values() if side["pace_ms"] is not None]
        slow = [side["latency_ms"]["p99"] for side in sides.values() if side["latency_ms"]["p99"] is not None]
        rows.append(
            {
                "kind": kind,
                "places": sum(side["probers"] for side in sides.values()),
                "pace_ms": max(paces, default=None) if kind != "stream" else None,
                "requests": {place: side["requests"] for place, side in sides.items()},
                "failed": sum(side["failed"] for side in sides.values()),
                "longest_outage_ms": max(side["longest_outage_ms"] for side in sides.values()),
                "p99_ms": max(slow, default=None),
            }
        )
    return rows


def absences(places: list[Record]) -> Record:
    """How often probers in pods were started anew with their node, and the longest time without one."""
    longest = max(places, key=lambda place: float(place["longest_away_ms"]), default=None)
    return {"restarts": sum(place["restarts"] for place in places), "longest": longest}


def leftover_table(checks: list[Record]) -> Record:
    """Checks as rows and places as columns; the cluster has checks of its own."""
    places = list(dict.fromkeys(check["place"] for check in checks if check["place"] != "cluster"))
    cells = {(check["check"], check["place"]): check for check in checks}
    titles = list(dict.fromkeys(check["check"] for check in checks if check["place"] != "cluster"))
    return {
        "places": places,
        "rows": [(title, [cells.get((title, place)) for place in places]) for title in titles],
        "cluster": [check for check in checks if check["place"] == "cluster"],
    }


def number(value: float | None) -> str:
    """With thousands set apart."""
    return NOT_MEASURED if value is None else f"{value:,.0f}"


def fixed(value: float | None, digits: int = 1) -> str:
    """With a fixed number of digits, so that columns align."""
    return NOT_MEASURED if value is None else f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share."""
    return NOT_MEASURED if value is None else f"{value * 100:.{digits}f} %"


def measured(value: float | str | None) -> str:
    """What was measured for a promise."""
    if value is None:
        return "not measured"
    if isinstance(value, str):
        return value
    return number(value) if value == int(value) else fixed(value)


def milliseconds(value: float | None) -> str:
    """An outage: milliseconds, or seconds when it is long."""
    if value is None:
        return NOT_MEASURED
    return f"{value / 1000:,.1f} s" if value >= 10_000 else f"{value:,.0f} ms"


def moment(value: float, form: str = "%Y-%m-%d %H:%M:%S UTC") -> str:
    """A time as text."""
    return datetime.datetime.fromtimestamp(value, tz=datetime.UTC).strftime(form)


def kind_name(kind: str) -> str:
    """A kind of probe for people."""
    return KINDS.get(kind, kind)
