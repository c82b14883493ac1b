# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IP sets of the kernel over netlink, since a node need not have the program ipset: Calico brings its own in its image.

Numbers and attributes: linux:include/uapi/linux/netfilter/ipset/ip_set.h, linux:include/uapi/linux/netlink.h; a request has the header of
nfnetlink (linux:include/uapi/linux/netfilter/nfnetlink.h).
"""

from __future__ import annotations

import os
import socket
import struct
import typing as t
from pathlib import Path

LOADED = Path("/sys/module/ip_set")
"""A request for sets would load the module, so none is made without it."""
_NETLINK_NETFILTER = 12
_SUBSYSTEM = 6 << 8
_PROTOCOL, _DESTROY, _LIST = 1, 3, 7
_ATTRIBUTE_PROTOCOL, _ATTRIBUTE_NAME, _ATTRIBUTE_FLAGS = 1, 2, 6
_FLAG_NAMES_ONLY = 1 << 1
_NET_BYTEORDER = 0x4000
_TYPE_MASK = 0x3FFF
_ERROR, _DONE = 2, 3
_REQUEST, _ACKNOWLEDGE, _DUMP = 0x1, 0x4, 0x300
_MINIMUM_PROTOCOL = 6
_HEADER = struct.Struct("=IHHII")
_GENERIC = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_BUFFER = 1 << 16
_SECONDS = 10.0


def names() -> list[str]:
    """Names of all sets in this network namespace; empty when the kernel has no sets loaded.

    :raises OSError: when the kernel refuses.
    """
    if not LOADED.exists():
        return []
    flags = _attribute(_ATTRIBUTE_FLAGS | _NET_BYTEORDER, struct.pack(">I", _FLAG_NAMES_ONLY))
    found = (attributes_of(payload).get(_ATTRIBUTE_NAME) for payload in _exchange(_LIST, flags, _DUMP))
    return sorted(name.rstrip(b"\0").decode() for name in found if name)


def destroy(name: str) -> None:
    """Destroy a set with its members.

    :raises OSError: when a rule still uses it (EBUSY), or there is none of this name (ENOENT).
    """
    for dummy in _exchange(_DESTROY, _attribute(_ATTRIBUTE_NAME, name.encode() + b"\0"), _ACKNOWLEDGE):
        pass


def _attribute(kind: int, value: bytes) -> bytes:
    """An attribute, filled up to four bytes (RFC 3549, section 2.3)."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + b"\0" * (-len(value) % 4)


def attributes_of(payload: bytes) -> dict[int, bytes]:
    """Attributes of a message after its nfnetlink header."""
    found = {}
    position = _GENERIC.size
    while position + _ATTRIBUTE.size <= len(payload):
        length, kind = _ATTRIBUTE.unpack_from(payload, position)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = payload[position + _ATTRIBUTE.size : position + length]
        position += length + -length % 4
    return found


def _exchange(command: int, attributes: bytes, flags: int) -> t.Iterator[bytes]:
    """Send a request; the payloads of the answers, until the kernel says that this was all."""
    version = _attribute(_ATTRIBUTE_PROTOCOL, bytes([_MINIMUM_PROTOCOL]))
    payload = _GENERIC.pack(socket.AF_INET, 0, 0) + version + attributes
    header = _HEADER.pack(_HEADER.size + len(payload), _SUBSYSTEM | command, _REQUEST | flags, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as kernel:
        kernel.settimeout(_SECONDS)
        kernel.sendto(header + payload, (0, 0))
        while True:
            for kind, answer in messages_of(kernel.recv(_BUFFER)):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    (code,) = struct.unpack_from("=i", answer)
                    if code:
                        raise OSError(-code, os.strerror(-code))
                    return
                yield answer


def messages_of(data: bytes) -> t.Iterator[tuple[int, bytes]]:
    """Kind and payload of each message in a datagram."""
    position = 0
    while position + _HEADER.size <= len(data):
        length, kind, dummy, dummy2, dummy3 = _HEADER.unpack_from(data, position)
        if length < _HEADER.size:
            return
        yield kind, data[position + _HEADER.size : position + length]
        position += length + -length % 4
