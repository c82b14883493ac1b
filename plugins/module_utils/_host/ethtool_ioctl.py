# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of a network device by ethtool's ioctl, for kernels whose ethtool has no netlink (linux:include/uapi/linux/ethtool.h)."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan.features import Feature

_SIOCETHTOOL = 0x8946
_GET_STRINGS, _GET_SET_INFO, _GET_FEATURES, _SET_FEATURES = 0x1B, 0x37, 0x3A, 0x3B
_NAMES_OF_FEATURES = 4
_LENGTH_OF_STRING = 32
_LONGEST_NAME = 15
_WORD = 32
"""Bits in one of the kernel's words."""


def _call(interface: str, request: bytes) -> bytes:
    """What the kernel writes over a request.

    :raises OSError: when it refuses.
    """
    data = ctypes.create_string_buffer(request, len(request))
    # A name that is cut off could be that of another device.
    name = interface.encode()
    if len(name) > _LONGEST_NAME:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    device = struct.pack("@16sP16x", name, ctypes.addressof(data))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        fcntl.ioctl(link.fileno(), _SIOCETHTOOL, device)
    return data.raw


def _names(interface: str) -> list[str]:
    """All names by their number; empty for one that the kernel does not use."""
    answer = _call(interface, struct.pack("=IIQI", _GET_SET_INFO, 0, 1 << _NAMES_OF_FEATURES, 0))
    count: int = struct.unpack_from("=I", answer, 16)[0]
    head = struct.pack("=III", _GET_STRINGS, _NAMES_OF_FEATURES, count)
    strings = _call(interface, head + bytes(count * _LENGTH_OF_STRING))[len(head) :]
    parts = (strings[start : start + _LENGTH_OF_STRING] for start in range(0, count * _LENGTH_OF_STRING, _LENGTH_OF_STRING))
    return [part.split(b"\0")[0].decode("utf-8", "replace") for part in parts]


def read(interface: str) -> dict[str, Feature]:
    """Every feature of a device."""
    names = _names(interface)
    words = -(-len(names) // _WORD)
    answer = _call(interface, struct.pack("=II", _GET_FEATURES, words) + bytes(words * 16))
    blocks = [struct.unpack_from("=IIII", answer, 8 + 16 * word) for word in range(words)]

    def feature(number: int) -> Feature:
        available, requested, active, never = (bool(part & 1 << number % _WORD) for part in blocks[number // _WORD])
        return Feature(wanted=requested, active=active, changeable=available, fixed=not available or never)

    return {name: feature(number) for number, name in enumerate(names) if name}


def write(interface: str, values: t.Mapping[str, bool]) -> None:
    """Ask for features; what comes of it has to be read."""
    names = _names(interface)
    words = [[0, 0] for dummy in range(-(-len(names) // _WORD))]
    for number, name in enumerate(names):
        if name in values:
            words[number // _WORD][0] |= 1 << number % _WORD
            words[number // _WORD][1] |= int(values[name]) << number % _WORD
    body = b"".join(struct.pack("=II", *word) for word in words)
    _call(interface, struct.pack("=II", _SET_FEATURES, len(words)) + body)
