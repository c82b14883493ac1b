# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of a network device by ethtool's netlink (linux:Documentation/networking/ethtool-netlink.rst, since Linux 5.6)."""

from __future__ import annotations

import errno
import struct
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_messages as messages
from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_socket
from ansible_collections.podnet.cni.plugins.module_utils._plan.features import Feature

_VERSION = 1
# linux:include/uapi/linux/genetlink.h
_CONTROL, _GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 0x10, 3, 1, 2
# linux:include/uapi/linux/ethtool_netlink.h and ethtool_netlink_generated.h
_STRSET_GET, _FEATURES_GET, _FEATURES_SET = 1, 11, 12
_HEADER, _DEVICE_NAME, _FLAGS, _OMIT_REPLY = 1, 2, 3, 2
_STRINGSETS, _STRINGSET, _SET_ID, _SET_STRINGS, _STRING, _STRING_INDEX, _STRING_VALUE, _NAMES_OF_FEATURES = 2, 1, 1, 3, 1, 1, 2, 4
_HW, _WANTED, _ACTIVE, _NO_CHANGE = 2, 3, 4, 5
_NO_MASK, _BITS, _BIT, _BIT_NAME, _BIT_VALUE = 1, 3, 1, 2, 3


class Missing(Exception):
    """The kernel has no such interface."""


def _number(kind: int, value: int) -> bytes:
    return messages.attribute(kind, struct.pack("=I", value))


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")


class Ethtool:
    """A connection to the kernel."""

    def __init__(self) -> None:
        try:
            self.link = netlink_socket.Netlink(netlink_socket.GENERIC)
        except OSError as exc:
            raise Missing(f"generic netlink: {exc.strerror}") from exc
        try:
            answers = self.link.ask(_CONTROL, 0, messages.generic(_GET_FAMILY, _VERSION) + messages.text(_FAMILY_NAME, "ethtool"))
        except OSError as exc:
            self.link.close()
            if exc.errno != errno.ENOENT:
                raise
            raise Missing("the kernel has no family ethtool of generic netlink") from exc
        self.family: int = struct.unpack_from("=H", messages.attributes_of(answers[0])[_FAMILY_ID])[0]

    def __enter__(self) -> Ethtool:
        return self

    def __exit__(self, *dummy: object) -> None:
        self.link.close()

    def _command(self, command: int, interface: str, flags: int, *parts: bytes) -> list[bytes]:
        header = messages.nested(_HEADER, messages.text(_DEVICE_NAME, interface), _number(_FLAGS, flags))
        return self.link.ask(self.family, 0, messages.generic(command, _VERSION) + header + b"".join(parts))

    def names(self, interface: str) -> list[str]:
        """Every feature that the kernel knows, in its order."""
        wanted = messages.nested(_STRINGSETS, messages.nested(_STRINGSET, _number(_SET_ID, _NAMES_OF_FEATURES)))
        answer = messages.attributes_of(self._command(_STRSET_GET, interface, 0, wanted)[0])
        found: dict[int, str] = {}
        for dummy, one_set in messages.attributes_in(answer[_STRINGSETS]):
            for dummy2, one in messages.attributes_in(dict(messages.attributes_in(one_set))[_SET_STRINGS]):
                parts = dict(messages.attributes_in(one))
                found[struct.unpack_from("=I", parts[_STRING_INDEX])[0]] = _text(parts[_STRING_VALUE])
        return [found[index] for index in sorted(found) if found[index]]

    def read(self, interface: str) -> dict[str, Feature]:
        """Every feature of a device."""
        names = self.names(interface)
        answer = messages.attributes_of(self._command(_FEATURES_GET, interface, 0)[0])
        hardware, wanted, active, never = (_bits(answer.get(kind, b"")) for kind in (_HW, _WANTED, _ACTIVE, _NO_CHANGE))
        return {
            name: Feature(
                wanted=name in wanted,
                active=name in active,
                changeable=name in hardware,
                fixed=name not in hardware or name in never,
            )
            for name in names
        }

    def write(self, interface: str, values: t.Mapping[str, bool]) -> None:
        """Ask for features; what comes of it has to be read."""
        bits = [
            messages.nested(_BIT, messages.text(_BIT_NAME, name), *([messages.attribute(_BIT_VALUE, b"")] if value else []))
            for name, value in values.items()
        ]
        self._command(_FEATURES_SET, interface, _OMIT_REPLY, messages.nested(_WANTED, messages.nested(_BITS, *bits)))


def _bits(data: bytes) -> set[str]:
    """Names of the bits that are set. Without a mask only these are listed, with one all that it covers."""
    parts = dict(messages.attributes_in(data))
    bits = [dict(messages.attributes_in(bit)) for dummy, bit in messages.attributes_in(parts.get(_BITS, b""))]
    return {_text(bit[_BIT_NAME]) for bit in bits if _NO_MASK in parts or _BIT_VALUE in bit}


def read(interface: str) -> dict[str, Feature]:
    """Every feature of a device.

    :raises Missing: when the kernel is too old.
    """
    with Ethtool() as kernel:
        return kernel.read(interface)


def write(interface: str, values: t.Mapping[str, bool]) -> None:
    """Ask for features of a device.

    :raises Missing: when the kernel is too old.
    """
    with Ethtool() as kernel:
        kernel.write(interface, values)
