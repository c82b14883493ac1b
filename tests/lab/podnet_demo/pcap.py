# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads packet captures: which packets are encapsulated, and how many bytes on the wire one byte of payload costs. No I/O."""

from __future__ import annotations

import dataclasses
import ipaddress
import struct
from collections.abc import Iterable, Iterator

LINKTYPE_ETHERNET = 1
ETHERNET_HEADER = 14
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_VLAN = 0x8100
PROTOCOL_IPIP, PROTOCOL_TCP, PROTOCOL_UDP = 4, 6, 17
UDP_HEADER = 8
VXLAN_HEADER = 8
VXLAN_PORTS = frozenset({8472, 4789})
MAGIC = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}


class CaptureError(Exception):
    """The data is not a capture that this reader knows; the text says why."""


@dataclasses.dataclass(frozen=True)
class Packet:
    """One packet as seen by a router; the addresses are those of the inner packet when there is one."""

    wire_bytes: int
    ip_bytes: int
    payload_bytes: int
    source: str
    destination: str
    encapsulation: str = ""


@dataclasses.dataclass(frozen=True)
class Traffic:
    """What a capture says about the packets between two pods."""

    plain_packets: int
    encapsulated_packets: int
    wire_bytes: int
    ip_bytes: int
    payload_bytes: int
    largest_frame: int


def frames(capture: bytes) -> Iterator[tuple[int, bytes]]:
    """Length on the wire and stored beginning of every frame of a pcap file; a record cut off at the end is left out."""
    if len(capture) < 24 or capture[:4] not in MAGIC:
        raise CaptureError("this is not a pcap file: tcpdump -w writes one")
    order = MAGIC[capture[:4]]
    offset = 24
    while offset + 16 <= len(capture):
        stored, length = struct.unpack_from(f"{order}II", capture, offset + 8)
        offset += 16
        if offset + stored > len(capture):
            return
        yield length, capture[offset : offset + stored]
        offset += stored


def count(capture: bytes) -> int:
    """Number of packets of a capture, whatever they are."""
    return sum(1 for _frame in frames(capture))


def packets(capture: bytes) -> Iterator[Packet]:
    """Every IPv4 packet of a capture taken on an Ethernet device."""
    if len(capture) >= 24 and capture[:4] in MAGIC:
        link_type = struct.unpack_from(f"{MAGIC[capture[:4]]}I", capture, 20)[0] & 0xFFFF
        if link_type != LINKTYPE_ETHERNET:
            raise CaptureError(f"link type {link_type} has no Ethernet header: capture on one device, not on 'any'")
    for length, data in frames(capture):
        packet = decode(length, data)
        if packet:
            yield packet


def decode(length: int, frame: bytes) -> Packet | None:
    """One Ethernet frame; None when it holds no complete IPv4 header."""
    outer = _network_header(frame)
    if outer is None:
        return None
    offset, encapsulation = outer, ""
    inner = _inner(frame, outer)
    if inner is not None:
        offset, encapsulation = inner
    try:
        payload = _payload(frame, offset)
        source, destination = (str(ipaddress.IPv4Address(frame[offset + at : offset + at + 4])) for at in (12, 16))
    except (struct.error, IndexError, ipaddress.AddressValueError):
        return None
    ip_bytes = struct.unpack_from("!H", frame, outer + 2)[0]
    return Packet(length, ip_bytes, payload, source, destination, encapsulation)


def between(all_packets: Iterable[Packet], one: str, other: str) -> Traffic:
    """Add up the packets that two addresses sent to each other."""
    pair = {(one, other), (other, one)}
    chosen = [packet for packet in all_packets if (packet.source, packet.destination) in pair]
    return Traffic(
        plain_packets=sum(1 for packet in chosen if not packet.encapsulation),
        encapsulated_packets=sum(1 for packet in chosen if packet.encapsulation),
        wire_bytes=sum(packet.wire_bytes for packet in chosen),
        ip_bytes=sum(packet.ip_bytes for packet in chosen),
        payload_bytes=sum(packet.payload_bytes for packet in chosen),
        largest_frame=max((packet.wire_bytes for packet in chosen), default=0),
    )


def _network_header(frame: bytes, start: int = 0) -> int | None:
    """Where the IPv4 header of an Ethernet frame begins."""
    at = start + 12
    while frame[at : at + 2] == struct.pack("!H", ETHERTYPE_VLAN):
        at += 4
    if frame[at : at + 2] != struct.pack("!H", ETHERTYPE_IPV4) or len(frame) < at + 22:
        return None
    return at + 2


def _inner(frame: bytes, outer: int) -> tuple[int, str] | None:
    """Where the IPv4 header of an encapsulated packet begins, and how it is encapsulated."""
    protocol = frame[outer + 9]
    body = outer + (frame[outer] & 0x0F) * 4
    if protocol == PROTOCOL_IPIP and len(frame) >= body + 20:
        return body, "ipip"
    if protocol == PROTOCOL_UDP and len(frame) >= body + UDP_HEADER + VXLAN_HEADER:
        port = struct.unpack_from("!H", frame, body + 2)[0]
        vni_is_valid = frame[body + UDP_HEADER] & 0x08
        header = _network_header(frame, body + UDP_HEADER + VXLAN_HEADER) if port in VXLAN_PORTS and vni_is_valid else None
        return (header, "vxlan") if header is not None else None
    return None


def _payload(frame: bytes, header: int) -> int:
    """Bytes behind the TCP or UDP header."""
    header_bytes = (frame[header] & 0x0F) * 4
    rest: int = struct.unpack_from("!H", frame, header + 2)[0] - header_bytes
    protocol = frame[header + 9]
    if protocol == PROTOCOL_TCP:
        return rest - (frame[header + header_bytes + 12] >> 4) * 4
    return rest - UDP_HEADER if protocol == PROTOCOL_UDP else rest
