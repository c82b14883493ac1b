# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as data: what report.json holds, and which promises were kept. No I/O."""

from __future__ import annotations

import dataclasses
import statistics
import typing as t

from podnet_lab import prober_report
from podnet_lab.prober_report import ProbeReport

from podnet_demo import saving

SCHEMA = 1
MINIMUM_REQUESTS = 10_000
MAXIMUM_SECONDS_PER_NODE = 10.0
MAXIMUM_SECONDS_AWAY = 30.0
"""How long a place may be without a prober while its pod is restarted."""
FAILURES_SHOWN = 200

Record = dict[str, t.Any]

# None stands for "not measured", which breaks the promise that needs it.
REQUIRED: t.Mapping[str, tuple[type, ...]] = {
    "schema": (int,),
    "started": (float,),
    "finished": (float,),
    "lab": (dict,),
    "requests": (int,),
    "failed_requests": (int,),
    "longest_outage_ms": (float, int),
    "nodes": (int,),
    "median_seconds_per_node": (float, type(None)),
    "time_per_node": (list,),
    "leftovers": (list,),
    "encapsulated_packets_before": (int, type(None)),
    "encapsulated_packets_after": (int, type(None)),
    "changed_on_second_run": (int, type(None)),
    "throughput_before_gbit": (float, type(None)),
    "throughput_after_gbit": (float, type(None)),
    "latency_before": (dict, type(None)),
    "latency_after": (dict, type(None)),
    "bytes_per_payload_byte_before": (float, type(None)),
    "bytes_per_payload_byte_after": (float, type(None)),
    "probes": (list,),
    "prober_places": (list,),
    "timeline": (list,),
    "failures": (list,),
    "savings": (list,),
    "errors": (list,),
    "promises": (list,),
    "kept": (bool,),
    "versions": (dict,),
}


@dataclasses.dataclass
class Evidence:
    """What the demo collected; what it did not get to stays empty."""

    started: float
    finished: float
    lab: Record
    versions: Record
    probes: ProbeReport = dataclasses.field(default_factory=lambda: prober_report.merge([]))
    monthly_bill: float = saving.DEFAULT_MONTHLY_BILL
    before: Record | None = None
    after: Record | None = None
    migration: Record | None = None
    first_run: Record | None = None
    second_run: Record | None = None
    leftover_checks: list[Record] = dataclasses.field(default_factory=list)
    leftovers: list[str] = dataclasses.field(default_factory=list)
    pods: Record | None = None
    policy_before: Record | None = None
    policy: Record | None = None
    encapsulated_under_load: int | None = None
    errors: list[str] = dataclasses.field(default_factory=list)


def build(evidence: Evidence) -> Record:
    """The whole report."""
    nodes = time_per_node(evidence.migration or {})
    probes = evidence.probes
    report: Record = {
        "schema": SCHEMA,
        "started": evidence.started,
        "finished": evidence.finished,
        "seconds": round(evidence.finished - evidence.started, 1),
        "lab": evidence.lab,
        "requests": probes.requests,
        "failed_requests": probes.failed_requests,
        "longest_outage_ms": probes.longest_outage_ms,
        "nodes": len(evidence.lab["nodes"]),
        "median_seconds_per_node": median([node["own_seconds"] for node in nodes]),
        "median_seconds_per_node_with_termination": median([node["seconds"] for node in nodes]),
        "time_per_node": nodes,
        "leftovers": evidence.leftovers,
        "leftover_checks": evidence.leftover_checks,
        "encapsulated_packets_before": (evidence.before or {}).get("encapsulated_packets"),
        "encapsulated_packets_after": encapsulated_after(evidence),
        "changed_on_second_run": (evidence.second_run or {}).get("changed"),
        "throughput_before_gbit": (evidence.before or {}).get("throughput_gbit"),
        "throughput_after_gbit": (evidence.after or {}).get("throughput_gbit"),
        "latency_before": (evidence.before or {}).get("latency"),
        "latency_after": (evidence.after or {}).get("latency"),
        "bytes_per_payload_byte_before": bytes_per_payload_byte(evidence.before),
        "bytes_per_payload_byte_after": bytes_per_payload_byte(evidence.after),
        "measured_before": evidence.before,
        "measured_after": evidence.after,
        "pods": evidence.pods,
        "policy_before": evidence.policy_before,
        "policy": evidence.policy,
        "migration_run": evidence.first_run,
        "second_run": evidence.second_run,
        "errors": evidence.errors,
        "findings": (evidence.migration or {}).get("findings") or [],
        "failed_in_warmup": sum(row["warmup_failed"] for row in probes.by_kind_and_place),
        "skipped_requests": sum(row["skipped"] for row in probes.by_kind_and_place),
        "stalled_requests": sum(row["stalled"] for row in probes.by_kind_and_place),
        "failed_lookups": sum(row["failed_lookups"] for row in probes.by_kind_and_place),
        "longest_prober_lag_ms": probes.longest_lag_ms,
        "probers_not_ended": probes.not_ended,
        "probes": probes.by_kind_and_place,
        "prober_places": probes.places,
        "streams": probes.streams,
        "timeline": timeline(probes.series),
        "failures": probes.failures[:FAILURES_SHOWN],
        "outages": probes.outages[:FAILURES_SHOWN],
        "monthly_bill": evidence.monthly_bill,
        "savings": savings(evidence),
        "versions": evidence.versions,
    }
    report["promises"] = promises(report)
    report["kept"] = all(promise["kept"] for promise in report["promises"]) and not evidence.errors
    return report


def time_per_node(migration: Record) -> list[Record]:
    """The journal's nodes in the order in which they were moved; C(own_seconds) leaves out waiting for pods to end gracefully."""
    nodes = [node for node in migration.get("nodes") or [] if node.get("phases")]
    rows = [{**node, "own_seconds": round(node["seconds"] - node.get("graceful_seconds", 0.0), 3)} for node in nodes]
    return sorted(rows, key=lambda node: (node.get("began") or 0, node["name"]))


def timeline(series: list[Record]) -> list[Record]:
    """Requests, failures and the slowest request of all kinds together, second by second."""
    rows = []
    for entry in series:
        kinds = entry["kinds"].values()
        sums = {key: sum(kind[key] for kind in kinds) for key in ("requests", "failed")}
        rows.append({"second": entry["second"], **sums, "max_ms": max((kind["max_ms"] for kind in kinds), default=0.0)})
    return rows


def median(values: list[float]) -> float | None:
    """The median, None of nothing."""
    return round(statistics.median(values), 2) if values else None


def encapsulated_after(evidence: Evidence) -> int | None:
    """Encapsulated packets that the router saw after the migration: under the load of the probers, and while it was measured."""
    seen = [count for count in ((evidence.after or {}).get("encapsulated_packets"), evidence.encapsulated_under_load) if count is not None]
    return sum(seen) if seen and evidence.after is not None else None


def bytes_per_payload_byte(measured: Record | None) -> float | None:
    """Of one large TCP transfer."""
    return measured["bulk"]["bytes_per_payload_byte"] if measured else None


def savings(evidence: Evidence) -> list[Record]:
    """What the monthly bill loses, for large transfers and for small messages."""
    if not evidence.before or not evidence.after:
        return []
    size = evidence.before["messages"]["message_bytes"]
    kinds = (("bulk", "Large transfers"), ("messages", f"Messages of {size} bytes"))
    key = "ip_bytes_per_payload_byte"
    return [saving.saving(title, evidence.before[kind][key], evidence.after[kind][key], evidence.monthly_bill).as_dict() for kind, title in kinds]


def promises(report: Record) -> list[Record]:
    """Each promise with what was measured; None as a measurement means that it was not measured, and is no kept promise."""
    pods = report["pods"] or {}
    policy = report["policy"] or {}
    checks = len(report["leftover_checks"])
    run = report["migration_run"] or {}
    median_seconds = report["median_seconds_per_node"]
    rows = [
        ("The playbook ends well", f"exit code {run['code']}" if run else None, "exit code 0", run.get("code") == 0),
        ("No request fails", report["failed_requests"], "0", report["failed_requests"] == 0),
        ("Enough requests to tell", report["requests"], f"at least {MINIMUM_REQUESTS:,}", report["requests"] >= MINIMUM_REQUESTS),
        ("Somebody asks from everywhere", *everywhere(report)),
        (
            "A node takes little time",
            None if median_seconds is None else f"{median_seconds:.1f} s",
            f"median of at most {MAXIMUM_SECONDS_PER_NODE:.0f} s",
            median_seconds is not None and median_seconds <= MAXIMUM_SECONDS_PER_NODE and len(report["time_per_node"]) == report["nodes"],
        ),
        (
            "All pods are on Calico",
            f"{pods['on_calico']} of {pods['pods']}" if pods else None,
            "all",
            bool(pods.get("pods")) and pods["on_calico"] == pods["pods"],
        ),
        ("No trace of Flannel", len(report["leftovers"]) if checks else None, "0", checks > 0 and not report["leftovers"]),
        ("No encapsulation between zones", report["encapsulated_packets_after"], "0 packets", report["encapsulated_packets_after"] == 0),
        ("NetworkPolicies hold", policy.get("outcome"), "denied", policy.get("holds") is True),
        (
            "A second run changes nothing",
            report["changed_on_second_run"],
            "0",
            report["changed_on_second_run"] == 0 and second_run_ended_well(report),
        ),
    ]
    return [{"promise": promise, "measured": measured, "wanted": wanted, "kept": bool(kept)} for promise, measured, wanted, kept in rows]


def everywhere(report: Record) -> tuple[str | None, str, bool]:
    """Zero failures prove nothing where nobody asked: each node and a pod on each node must have asked to the end, but for restarts."""
    places = report["prober_places"]
    good = [place for place in places if place["answered"] and place["longest_away_ms"] <= MAXIMUM_SECONDS_AWAY * 1000]
    wanted = 2 * report["nodes"]
    measured = f"{len(good)} of {wanted} places" if places else None
    return measured, f"each node and a pod on it, at most {MAXIMUM_SECONDS_AWAY:.0f} s away", len(good) == wanted and not report["probers_not_ended"]


def second_run_ended_well(report: Record) -> bool:
    """Whether the second run reached its end."""
    return (report["second_run"] or {}).get("code") == 0


def problems(report: Record) -> list[str]:
    """What is wrong with a report as data; an empty list is a good one."""
    found = [f"{key} is missing" for key in REQUIRED if key not in report]
    for key, kinds in REQUIRED.items():
        if key in report and not (isinstance(report[key], kinds) and (bool in kinds or not isinstance(report[key], bool))):
            found.append(f"{key} is {type(report[key]).__name__}, not {' or '.join(kind.__name__ for kind in kinds)}")
    return found
