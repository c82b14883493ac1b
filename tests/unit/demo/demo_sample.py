# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up demo run with numbers as a real one has, for tests of the report."""

from __future__ import annotations

import typing as t

from podnet_demo.report_json import Evidence
from podnet_lab import prober_report
from podnet_lab.prober_report import ProbeReport

BEGIN = 1_764_000_000.0
Record = dict[str, t.Any]


def measured(throughput: list[float], per_byte: tuple[float, float], ip_per_byte: tuple[float, float], latency: float, encapsulated: int) -> Record:
    """One measurement between zones."""
    quantiles = {"connect_ms": {"p50": latency, "p99": latency * 2.4}, "request_ms": {"p50": latency * 1.3, "p99": latency * 3}, "samples": 2000}
    costs = [{"bytes_per_payload_byte": a, "ip_bytes_per_payload_byte": b, "payload_bytes": 16777281} for a, b in zip(per_byte, ip_per_byte)]
    return {
        "throughput_gbit": sorted(throughput)[1],
        "throughput_runs": [{"gbit": gbit, "retransmits": 3} for gbit in throughput],
        "latency": quantiles,
        "bulk": costs[0],
        "messages": {**costs[1], "message_bytes": 256},
        "encapsulated_packets": encapsulated,
        "mtu": 1450 if encapsulated else 1500,
    }


def nodes(count: int = 3) -> list[Record]:
    """Nodes as the journal has them."""
    result, at = [], BEGIN + 65
    for i in range(count):
        phases = [
            ("evict", 3.61 + i * 0.4, 2.02),
            ("switch", 0.88, 0.0),
            ("restart", 2.47 - i * 0.1, 1.01),
            ("prove", 0.94, 0.0),
            ("uncordon", 0.21, 0.0),
        ]
        seconds = sum(phase[1] for phase in phases)
        result.append(
            {
                "name": f"n{i + 1}",
                "zone": "abc"[i % 3],
                "began": at,
                "seconds": seconds,
                "graceful_seconds": 3.03,
                "phases": [{"phase": name, "seconds": size, "graceful_seconds": graceful} for name, size, graceful in phases],
            }
        )
        at += seconds + 2.2
    return result


def stages() -> list[Record]:
    """What the playbook was at."""
    marks = [("Preflight", 12, 20), ("Beside", 20, 62), ("Move", 62, 98), ("Remove Flannel", 98, 122), ("Finish", 122, 124)]
    return [{"stage": name, "began": BEGIN + began, "ended": BEGIN + ended} for name, began, ended in marks]


def probes(failed: int = 0, seconds: int = 150) -> ProbeReport:
    """What the probers saw, as their files say it: pods' probers start anew when their node is moved; failures fall into the second node's move."""
    line = [second(i, failed if i == 81 else 0) for i in range(seconds)]
    return prober_report.merge(summaries(failed, seconds) if seconds else [], [failure(i) for i in range(failed)], line, BEGIN + seconds)


def summaries(failed: int = 0, seconds: int = 150) -> list[Record]:
    """The probers' summaries: for each node its own one, and two of its pod."""
    found = []
    for i, node in enumerate(nodes()):
        away, back = node["began"] + 5.2, node["began"] + 8.3 + i
        found += [
            prober_summary(f"node-{node['name']}", node["name"], "node", BEGIN, BEGIN + seconds, failed if i == 1 else 0),
            prober_summary(f"prober-{i}a", node["name"], "pod", BEGIN, away),
            prober_summary(f"prober-{i}b", node["name"], "pod", back, BEGIN + seconds),
        ]
    return found


def prober_summary(identifier: str, node: str, place: str, started: float, ended: float, failed: int = 0) -> Record:
    """One prober's summary; failures are ClusterIP's."""
    kinds = {}
    for kind, each in (("clusterip", 20), ("dns", 10), ("nodeport", 20), ("pod", 20), ("stream", 0), ("udp", 10)):
        bad = failed if kind == "clusterip" else 0
        requests = int((ended - started) * each) or 2
        kinds[kind] = {
            "requests": requests,
            "failed": bad,
            "warmup_failed": 0,
            "skipped": 3 if each else 0,
            "stalled": 0,
            "failed_lookups": 0,
            "longest_outage_ms": 1240.0 if bad else 0.0,
            "outages": [{"time": BEGIN + 81, "target": "10.96.0.50:80", "milliseconds": 1240.0, "over": True}] if bad else [],
            "latency_ms": {"p50": 0.84, "p99": 4.76, "max": 31.2, "buckets": {"-1": requests - requests // 50, "9": requests // 50}},
        }
    kinds["stream"].update(lines=int((ended - started) * 20), graceful_ends=1, missing_lines=0, longest_gap_ms=88.0)
    common = {"id": identifier, "node": node, "place": place, "started": started, "updated": ended, "ended": True}
    return {**common, "cpu_seconds": 4.0, "longest_lag_ms": 41.0, "kinds": kinds}


def second(i: int, failed: int) -> Record:
    """One second of all probers together; fewer while a pod's prober is away."""
    requests = 468 + (i * 37) % 23 - (72 if i in (71, 72, 73, 81, 82, 83) else 0)
    slowest = 1000.2 if failed else 4.0 + (i * 53) % 17 + (60 if 66 < i < 92 else 0)
    return {"second": int(BEGIN) + i, "kinds": {"clusterip": [requests, failed, slowest]}}


def failure(i: int) -> Record:
    """One failed request."""
    what = {"kind": "clusterip", "target": "10.96.0.50:80", "error": "connect timeout", "milliseconds": 1000.2, "lag_ms": 0.0, "warmup": False}
    return {"time": BEGIN + 81 + i * 0.05, "id": "node-n2", **what}


def checks(found: dict[tuple[str, str], list[str]] | None = None) -> list[Record]:
    """Outcomes of the search for leftovers."""
    on_nodes = (
        "devices",
        "routes",
        "firewall rules (iptables-nft-save)",
        "firewall rules (iptables-legacy-save)",
        "nft tables",
        "CNI plugin",
        "run-time files",
    )
    places = [(place, title) for title in on_nodes for place in ("n1", "n2", "n3")] + [("cluster", "DaemonSets"), ("cluster", "node annotations")]
    return [{"place": place, "check": title, "found": (found or {}).get((place, title), []), "error": ""} for place, title in places]


def evidence(failed: int = 0) -> Evidence:
    """A whole run."""
    run = {"code": 0, "seconds": 84.2, "changed": 61, "changed_tasks": (), "failed_tasks": (), "slowest_tasks": (), "stages": stages()}
    return Evidence(
        started=BEGIN - 60,
        finished=BEGIN + 260,
        lab={
            "nodes": ["n1", "n2", "n3"],
            "zones": ["a", "b"],
            "description": "etcd, kube-apiserver, kubelet, kube-proxy, containerd, flanneld, calico-node, CoreDNS and a BIRD router.",
        },
        versions={"Kubernetes": "v1.37.2", "Calico": "v3.28.5", "Flannel": "v0.28.4", "ansible-core": "2.19.14", "kernel": "6.1.0"},
        probes=probes(failed),
        before=measured([2.71, 2.83, 2.62], (1.0871, 1.462), (1.0771, 1.41), 0.31, 23881),
        after=measured([7.9, 8.12, 8.31], (1.0492, 1.263), (1.0395, 1.21), 0.24, 0),
        migration={"nodes": nodes(), "findings": []},
        first_run=run,
        second_run={**run, "changed": 0, "seconds": 9.4},
        leftover_checks=checks(),
        leftovers=[],
        pods={"pods": 21, "on_calico": 21, "missing": []},
        policy_before={"holds": False, "outcome": "allowed", "text": "The pod that a NetworkPolicy forbids answered a pod and a node."},
        policy={
            "holds": True,
            "outcome": "denied",
            "text": "The pod that a NetworkPolicy forbids answered nobody, and the one that it allows answered the same clients.",
        },
        encapsulated_under_load=0,
    )
