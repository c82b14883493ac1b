# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell all machines on a link that an address has moved (RFC 5227, section 3: ARP announcement).

The kernel takes what it tells at once for neighbours that it knows, also within the time in which it ignores other changes
(torvalds/linux:net/ipv4/arp.c, arp_is_garp).
"""

from __future__ import annotations

import ipaddress
import socket
import struct

_BROADCAST = b"\xff" * 6
_ARP = 0x0806
_HEAD = struct.Struct("!HHBBH")
_REQUEST = 1


def announcement(address: str, mac: bytes) -> bytes:
    """The frame: a request in which both addresses are the one that has moved."""
    packed = ipaddress.IPv4Address(address).packed
    return _BROADCAST + mac + struct.pack("!H", _ARP) + _HEAD.pack(1, 0x0800, 6, 4, _REQUEST) + mac + packed + bytes(6) + packed


def announce(interface: str, address: str, mac: bytes) -> None:
    """Send it.

    :raises OSError: when there is no such interface.
    """
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ARP)) as link:
        link.bind((interface, 0))
        link.send(announcement(address, mac))


def mac_of(interface: str) -> bytes:
    """The link address of an interface."""
    with open(f"/sys/class/net/{interface}/address", encoding="ascii") as stream:
        return bytes.fromhex(stream.read().strip().replace(":", ""))
