# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the pod network between two zones: throughput, latency, and bytes on the wire on the router."""

from __future__ import annotations

import dataclasses
import json
import statistics
import typing as t
from pathlib import Path

from podnet_lab.errors import LabError
from podnet_lab.lab import Lab
from podnet_lab.network import bridge_name

from podnet_demo import pcap
from podnet_demo.capture import ENCAPSULATED, Capture, count_encapsulated
from podnet_demo.measure_pods import MeasuredPod, MeasurePods

THROUGHPUT_RUNS = 3
THROUGHPUT_SECONDS = 3
LATENCY_SAMPLES = 2000
MESSAGE_BYTES = 256
MESSAGES = 2000
BULK_BYTES = 16 * 1024 * 1024
ATTEMPTS = 3


@dataclasses.dataclass(frozen=True)
class WireCost:
    """What a known payload cost on the wire."""

    payload_bytes: int
    wire_bytes: int
    ip_bytes: int
    plain_packets: int
    encapsulated_packets: int
    largest_frame: int

    @property
    def per_payload_byte(self) -> float:
        """Bytes of Ethernet frames, both directions, without preamble and checksum."""
        return self.wire_bytes / self.payload_bytes

    @property
    def ip_per_payload_byte(self) -> float:
        """Bytes of IP packets, as providers bill them."""
        return self.ip_bytes / self.payload_bytes

    def as_dict(self) -> dict[str, t.Any]:
        """For JSON."""
        ratios = {"bytes_per_payload_byte": round(self.per_payload_byte, 5), "ip_bytes_per_payload_byte": round(self.ip_per_payload_byte, 5)}
        return {**dataclasses.asdict(self), **ratios}


def measure(lab: Lab, folder: Path, label: str) -> dict[str, t.Any]:
    """Everything between the first node of the first zone and the first node of the second; captures stay in C(folder)."""
    with MeasurePods(lab) as (client, server):
        runs = [throughput(client, server) for _run in range(THROUGHPUT_RUNS)]
        latency = json.loads(client.traffic("latency", server.address, MESSAGE_BYTES, LATENCY_SAMPLES))
        switch_offloads_off(client, server)
        with count_encapsulated(lab, folder, label) as encapsulated:
            bulk = wire_cost(lab, client, server, folder / f"{label}-bulk.pcap", "bulk", BULK_BYTES)
            messages = wire_cost(lab, client, server, folder / f"{label}-messages.pcap", "messages", MESSAGE_BYTES, MESSAGES)
        return {
            "from": {"node": client.node.name, "zone": client.node.zone, "address": client.address},
            "to": {"node": server.node.name, "zone": server.node.zone, "address": server.address},
            "mtu": mtu(client),
            "throughput_gbit": round(statistics.median(run["gbit"] for run in runs), 3),
            "throughput_runs": runs,
            "latency": latency,
            "bulk": bulk.as_dict(),
            "messages": {**messages.as_dict(), "message_bytes": MESSAGE_BYTES},
            "encapsulated_packets": encapsulated.count,
        }


def throughput(client: MeasuredPod, server: MeasuredPod) -> dict[str, float]:
    """One run of iperf3 with one TCP stream."""
    text = client.run("iperf3", "-c", server.address, "-t", str(THROUGHPUT_SECONDS), "-J")
    return parse_iperf3(text)


def parse_iperf3(text: str) -> dict[str, float]:
    """What the receiver got, of iperf3's JSON."""
    try:
        report = json.loads(text)
        if "error" in report:
            raise LabError(f"iperf3 failed: {report['error']}")
        end = report["end"]
        return {"gbit": round(end["sum_received"]["bits_per_second"] / 1e9, 3), "retransmits": int(end["sum_sent"].get("retransmits", 0))}
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(f"iperf3 printed something that is not its JSON report: {text[:300]}") from error


def switch_offloads_off(*pods: MeasuredPod) -> None:
    """Let the pods send packets as they go over a wire; with offloads, virtual devices carry bundles of up to 64 KiB."""
    for pod in pods:
        pod.run("ethtool", "-K", "eth0", "tso", "off", "gso", "off", "gro", "off")


def mtu(pod: MeasuredPod) -> int:
    """MTU of the pod's interface."""
    return int(json.loads(pod.run("ip", "-j", "link", "show", "dev", "eth0"))[0]["mtu"])


def wire_cost(lab: Lab, client: MeasuredPod, server: MeasuredPod, file: Path, mode: str, size: int, count: int = 1) -> WireCost:
    """Capture on the bridge of the client's zone while a known payload goes to another zone."""
    wanted = f"{ENCAPSULATED} or net {lab.topology.pod_cidr}"
    captured = payload = 0
    for _attempt in range(ATTEMPTS):
        with Capture(lab, bridge_name(client.node.zone), wanted, file) as capture:
            payload = json.loads(client.traffic(mode, server.address, size, count))["payload_bytes"]
        traffic = pcap.between(pcap.packets(capture.data), client.address, server.address)
        captured = traffic.payload_bytes
        if captured >= payload:
            return WireCost(
                payload_bytes=payload,
                wire_bytes=traffic.wire_bytes,
                ip_bytes=traffic.ip_bytes,
                plain_packets=traffic.plain_packets,
                encapsulated_packets=traffic.encapsulated_packets,
                largest_frame=traffic.largest_frame,
            )
    raise LabError(f"the capture on the router shows {captured} bytes of a payload of {payload}: does this traffic go another way?")
