# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
import struct

import pytest
from podnet_demo import pcap

POD_A, POD_B = "10.244.0.4", "10.244.1.3"
NODE_A, NODE_B = "172.30.1.11", "172.30.2.12"


def ethernet(payload: bytes, ethertype: int = pcap.ETHERTYPE_IPV4) -> bytes:
    return b"\x02" * 12 + struct.pack("!H", ethertype) + payload


def ipv4(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    addresses = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(destination).packed
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + addresses + payload


def tcp(payload: bytes, options: int = 12) -> bytes:
    header = struct.pack("!HHIIBBHHH", 40000, 7070, 0, 0, (20 + options) // 4 << 4, 0, 0, 0, 0)
    return header + b"\0" * options + payload


def udp(port: int, payload: bytes) -> bytes:
    return struct.pack("!HHHH", 50000, port, 8 + len(payload), 0) + payload


def vxlan(inner: bytes, port: int = 8472) -> bytes:
    return ethernet(ipv4(NODE_A, NODE_B, pcap.PROTOCOL_UDP, udp(port, struct.pack("!II", 0x08000000, 1 << 8) + inner)))


def capture(*frames: bytes, snap: int = 160, order: str = "<", link_type: int = 1) -> bytes:
    head = struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snap, link_type)
    return head + b"".join(struct.pack(f"{order}IIII", 0, 0, len(frame[:snap]), len(frame)) + frame[:snap] for frame in frames)


PLAIN = ethernet(ipv4(POD_A, POD_B, pcap.PROTOCOL_TCP, tcp(b"x" * 1000)))


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_plain_packet(order: str) -> None:
    (packet,) = pcap.packets(capture(PLAIN, order=order))
    assert packet == pcap.Packet(14 + 20 + 32 + 1000, 20 + 32 + 1000, 1000, POD_A, POD_B, "")


@pytest.mark.parametrize("port", [8472, 4789])
def test_an_encapsulated_packet_costs_50_bytes_more_and_tells_the_pods(port: int) -> None:
    (packet,) = pcap.packets(capture(vxlan(PLAIN, port)))
    assert packet.encapsulation == "vxlan"
    assert (packet.source, packet.destination, packet.payload_bytes) == (POD_A, POD_B, 1000)
    assert packet.wire_bytes == len(PLAIN) + 50


def test_ipip_is_encapsulation_too() -> None:
    inner = ipv4(POD_A, POD_B, pcap.PROTOCOL_TCP, tcp(b"x"))
    (packet,) = pcap.packets(capture(ethernet(ipv4(NODE_A, NODE_B, pcap.PROTOCOL_IPIP, inner))))
    assert (packet.encapsulation, packet.source, packet.payload_bytes) == ("ipip", POD_A, 1)


def test_udp_of_a_pod_is_not_taken_for_vxlan() -> None:
    (packet,) = pcap.packets(capture(ethernet(ipv4(POD_A, POD_B, pcap.PROTOCOL_UDP, udp(53, b"x" * 64)))))
    assert (packet.encapsulation, packet.payload_bytes) == ("", 64)


def test_vlan_tags_are_skipped_and_other_protocols_left_out() -> None:
    tagged = b"\x02" * 12 + struct.pack("!HH", pcap.ETHERTYPE_VLAN, 7) + PLAIN[12:]
    assert len(list(pcap.packets(capture(tagged, ethernet(b"\0" * 40, 0x86DD), b"\0" * 10)))) == 1


def test_between_counts_both_directions_of_one_pair_only() -> None:
    back = vxlan(ethernet(ipv4(POD_B, POD_A, pcap.PROTOCOL_TCP, tcp(b"y" * 10))))
    other = ethernet(ipv4(POD_A, "10.244.2.2", pcap.PROTOCOL_TCP, tcp(b"z")))
    traffic = pcap.between(pcap.packets(capture(PLAIN, back, other)), POD_A, POD_B)
    assert (traffic.plain_packets, traffic.encapsulated_packets, traffic.payload_bytes) == (1, 1, 1010)
    assert traffic.largest_frame == len(PLAIN)


def test_a_record_that_was_cut_off_is_left_out() -> None:
    assert pcap.count(capture(PLAIN, PLAIN)[:-5]) == 1


def test_what_is_no_capture_is_refused() -> None:
    with pytest.raises(pcap.CaptureError, match="tcpdump -w"):
        pcap.count(b"hello")
    with pytest.raises(pcap.CaptureError, match="'any'"):
        list(pcap.packets(capture(PLAIN, link_type=113)))
