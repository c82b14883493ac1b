# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of netlink as bytes (RFC 3549, section 2.3; linux:include/uapi/linux/netlink.h, netfilter/nfnetlink.h). Pure."""

from __future__ import annotations

import struct
import typing as t

REQUEST, ACKNOWLEDGE, DUMP, CREATE, EXCLUSIVE = 0x1, 0x4, 0x300, 0x400, 0x200
ERROR, DONE = 2, 3
NETFILTER = 12
"""The protocol that netfilter's subsystems share."""
NESTED, NET_BYTEORDER = 0x8000, 0x4000
"""Flags in the kind of an attribute."""
_KIND = 0x3FFF
_HEADER = struct.Struct("=IHHII")
_GENERIC = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_ALIGNMENT = 4


def _padding(length: int) -> int:
    return -length % _ALIGNMENT


def attribute(kind: int, data: bytes) -> bytes:
    """An attribute."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(data), kind) + data + bytes(_padding(len(data)))


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute with attributes in it."""
    return attribute(kind | NESTED, b"".join(parts))


def text(kind: int, value: str) -> bytes:
    """An attribute with a text."""
    return attribute(kind, value.encode() + b"\0")


def request(kind: int, flags: int, body: bytes) -> bytes:
    """A message to the kernel."""
    return _HEADER.pack(_HEADER.size + len(body), kind, REQUEST | flags, 1, 0) + body


def generic(first: int, version: int = 0) -> bytes:
    """The header before the attributes: of netfilter's messages with the address family, of generic netlink's with the command."""
    return _GENERIC.pack(first, version, 0)


def messages_of(data: bytes) -> t.Iterator[tuple[int, bytes]]:
    """Kind and payload of each message in a datagram; one that is cut off ends it."""
    position = 0
    while position + _HEADER.size <= len(data):
        length, kind, dummy, dummy2, dummy3 = _HEADER.unpack_from(data, position)
        if length < _HEADER.size:
            return
        yield kind, data[position + _HEADER.size : position + length]
        position += length + _padding(length)


def error_of(payload: bytes) -> int:
    """The number of the error in an answer of the kind C(ERROR), 0 when it says that all is well."""
    return -int(struct.unpack_from("=i", payload)[0])


def attributes_in(data: bytes) -> t.Iterator[tuple[int, bytes]]:
    """Kind and content of each attribute, also of those inside of another one; one that is cut off ends it."""
    position = 0
    while position + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _KIND, data[position + _ATTRIBUTE.size : position + length]
        position += length + _padding(length)


def attributes_of(payload: bytes) -> dict[int, bytes]:
    """Attributes of a message of netfilter's or of generic netlink's."""
    return dict(attributes_in(payload[_GENERIC.size :]))
