# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, addresses, routes and rules of one network namespace, changed by netlink without a process for each step (rtnetlink(7)).

What the kernel tells of addresses and routes is kept as it is, so that it can be given to another link, or be put back.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import namespaces, netlink_socket, rtnetlink
from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_messages as messages

_NEW_LINK, _DELETE_LINK, _GET_LINK = 16, 17, 18
_NEW_ADDRESS, _GET_ADDRESS = 20, 22
_NEW_ROUTE, _DELETE_ROUTE = 24, 25
_NEW_NEIGHBOR = 28
_NEW_RULE, _DELETE_RULE, _GET_RULE = 32, 33, 34
_REPLACE = 0x100
_LINK = struct.Struct("=BxHiII")
_UP = 0x1
_NAME, _NAMESPACE = 3, 28
_ADDRESS = struct.Struct("=BBBBI")
_LABEL, _LIFETIME = 3, 6
_DESTINATION, _DEVICE, _GATEWAY, _PRIORITY, _TABLE, _CACHE = 1, 4, 5, 6, 15, 12
_LINK_SCOPE = 253
_OF_THE_KERNEL = 2
_CLONED = 0x200
_NEIGHBOR = struct.Struct("=BxxxiHBB")
_STALE, _TO_TABLE = 0x04, 1
_NEIGHBOR_ADDRESS, _NEIGHBOR_MAC = 1, 2
_RULE = struct.Struct("=BBBBBBBBI")


class Way(t.NamedTuple):
    """A route of the table C(main), as the kernel told it."""

    device: int
    gateway: bool
    by_kernel: bool
    """Whether it comes and goes with an address."""
    message: bytes


class PodNetwork:
    """A network namespace: the one that the program runs in, or another one."""

    def __init__(self, namespace: namespaces.Namespace | None = None) -> None:
        """Connect to it.

        :raises ProcessLookupError: when the namespace is gone.
        """
        make = _connect
        self.kernel = make() if namespace is None else namespaces.inside(namespace, make)

    def __enter__(self) -> PodNetwork:
        return self

    def __exit__(self, *dummy: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the kernel."""
        self.kernel.close()

    # Links

    def index(self, name: str) -> int | None:
        """The number of a link, None when there is none of this name."""
        try:
            answer = self.kernel.ask(_GET_LINK, 0, _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + messages.text(_NAME, name))[0]
        except OSError as exc:
            if exc.errno == errno.ENODEV:
                return None
            raise
        return int(_LINK.unpack_from(answer)[2])

    def set_up(self, index: int, up: bool = True) -> None:
        """Turn a link on or off; off takes its routes."""
        self.kernel.ask(_NEW_LINK, 0, _LINK.pack(socket.AF_UNSPEC, 0, index, _UP if up else 0, _UP))

    def rename(self, index: int, name: str) -> None:
        """Give a link another name.

        :raises OSError: EBUSY from a kernel before 6.2 for one that is up (torvalds/linux commit bd039b5ea2a9).
        """
        self.kernel.ask(_NEW_LINK, 0, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0) + messages.text(_NAME, name))

    def move(self, index: int, namespace: namespaces.Namespace, name: str) -> None:
        """Move a link to another namespace, where it has this name, is off, and has no addresses."""
        descriptor = os.open(namespace.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            body = messages.attribute(_NAMESPACE, struct.pack("=I", descriptor)) + messages.text(_NAME, name)
            self.kernel.ask(_NEW_LINK, 0, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0) + body)
        finally:
            os.close(descriptor)

    def delete(self, index: int) -> None:
        """Delete a link, of a veth both ends."""
        self.kernel.ask(_DELETE_LINK, 0, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0))

    # Addresses

    def addresses(self, index: int) -> list[bytes]:
        """Addresses of a link but those that the kernel makes itself."""
        answers = self.kernel.ask(_GET_ADDRESS, messages.DUMP, _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
        found = [answer for answer in answers if _ADDRESS.unpack_from(answer)[4] == index]
        return [answer for answer in found if not (answer[0] == socket.AF_INET6 and answer[3] == _LINK_SCOPE)]

    def add_addresses(self, index: int, told: t.Iterable[bytes]) -> None:
        """Give a link addresses that another one has."""
        for answer in told:
            family, length, flags, scope, dummy = _ADDRESS.unpack_from(answer)
            parts = messages.attributes_in(answer[_ADDRESS.size :])
            body = b"".join(messages.attribute(kind, data) for kind, data in parts if kind not in (_LABEL, _LIFETIME))
            self._add(_NEW_ADDRESS, _ADDRESS.pack(family, length, flags, scope, index) + body)

    # Routes

    def ways(self, index: int) -> list[Way]:
        """Routes over a link, those first that others need for their gateway."""
        found = []
        for family in (socket.AF_INET, socket.AF_INET6):
            for answer in rtnetlink.told_routes(self.kernel, family):
                way = _way(answer)
                if way is not None and way.device == index:
                    found.append(way)
        return sorted(found, key=lambda way: way.gateway)

    def add_way(self, way: Way, index: int, replace: bool = False) -> None:
        """Add a route that another link has; C(replace) puts it in the place of one to the same destination."""
        self._add(_NEW_ROUTE, _with_device(way.message, index), replace)

    def put_back(self, message: bytes) -> None:
        """Add a route that the kernel told before."""
        self._add(_NEW_ROUTE, _with_device(message, None), replace=True)

    def remove_way(self, way: Way) -> None:
        """Remove a route; one that is gone is no error."""
        self._remove(_DELETE_ROUTE, way.message, errno.ESRCH)

    def add_detour(self, address: str, index: int, table: int) -> None:
        """In a table of our own, lead packets to an address over a link of this node."""
        self._add(_NEW_ROUTE, _detour(address, index, table), replace=True)

    def remove_detour(self, address: str, index: int, table: int) -> None:
        """Take it back; one that is gone is no error."""
        self._remove(_DELETE_ROUTE, _detour(address, index, table), errno.ESRCH)

    def detours(self, table: int) -> list[str]:
        """Addresses that a table of our own leads to."""
        found = []
        for answer in rtnetlink.told_routes(self.kernel, socket.AF_INET):
            parts = dict(messages.attributes_in(answer[rtnetlink.ROUTE.size :]))
            if rtnetlink.table_of(answer, parts) == table and _DESTINATION in parts:
                found.append(str(ipaddress.ip_address(parts[_DESTINATION])))
        return found

    def look_first(self, table: int) -> None:
        """Have packets look at a table of our own before C(main); its number is the rule's priority too."""
        if not self.looks_first(table):
            self._add(_NEW_RULE, _rule(table))

    def looks_first(self, table: int) -> bool:
        """Whether packets do."""
        answers = self.kernel.ask(_GET_RULE, messages.DUMP, _RULE.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0))
        return any(_number(dict(messages.attributes_in(answer[_RULE.size :])).get(_PRIORITY)) == table for answer in answers)

    def look_no_more(self, table: int) -> None:
        """Remove the rule; one that is gone is no error."""
        self._remove(_DELETE_RULE, _rule(table), errno.ENOENT)

    # Neighbours

    def set_neighbor(self, address: str, index: int, mac: str) -> None:
        """Tell the kernel the MAC address of a neighbour, which it may correct."""
        head = _NEIGHBOR.pack(socket.AF_INET, index, _STALE, 0, 0)
        parts = messages.attribute(_NEIGHBOR_ADDRESS, ipaddress.ip_address(address).packed)
        parts += messages.attribute(_NEIGHBOR_MAC, bytes.fromhex(mac.replace(":", "")))
        self._add(_NEW_NEIGHBOR, head + parts, replace=True)

    def _add(self, kind: int, body: bytes, replace: bool = False) -> None:
        """Add something; what is there already is no error."""
        try:
            self.kernel.ask(kind, messages.CREATE | (_REPLACE if replace else messages.EXCLUSIVE), body)
        except OSError as exc:
            if exc.errno != errno.EEXIST:
                raise

    def _remove(self, kind: int, body: bytes, gone: int) -> None:
        """Remove something; the error that says that it is gone is none."""
        try:
            self.kernel.ask(kind, 0, body)
        except OSError as exc:
            if exc.errno != gone:
                raise


def _connect() -> netlink_socket.Netlink:
    return netlink_socket.Netlink(netlink_socket.ROUTE)


def _number(data: bytes | None) -> int:
    return int(struct.unpack_from("=I", data)[0]) if data and len(data) >= 4 else 0


def _way(answer: bytes) -> Way | None:
    """A unicast route of the table C(main), None for others and for those that IPv6 makes for each link."""
    family, dummy, dummy2, dummy3, dummy4, protocol, dummy5, kind, flags = rtnetlink.ROUTE.unpack_from(answer)
    parts = dict(messages.attributes_in(answer[rtnetlink.ROUTE.size :]))
    if rtnetlink.table_of(answer, parts) != rtnetlink.MAIN or kind != rtnetlink.UNICAST or _DEVICE not in parts or flags & _CLONED:
        return None
    if family == socket.AF_INET6 and protocol == _OF_THE_KERNEL:
        return None
    return Way(_number(parts[_DEVICE]), _GATEWAY in parts, protocol == _OF_THE_KERNEL, answer)


def _with_device(message: bytes, index: int | None) -> bytes:
    """What the kernel told of a route as a request, for another link unless it is None."""
    parts = []
    for kind, data in messages.attributes_in(message[rtnetlink.ROUTE.size :]):
        if kind == _CACHE:
            continue
        parts.append(messages.attribute(kind, struct.pack("=I", index) if kind == _DEVICE and index is not None else data))
    return message[: rtnetlink.ROUTE.size] + b"".join(parts)


def _detour(address: str, index: int, table: int) -> bytes:
    head = rtnetlink.ROUTE.pack(socket.AF_INET, 32, 0, 0, 0, _OF_THE_KERNEL, _LINK_SCOPE, rtnetlink.UNICAST, 0)
    parts = messages.attribute(_DESTINATION, ipaddress.ip_address(address).packed)
    parts += messages.attribute(_DEVICE, struct.pack("=I", index))
    return head + parts + messages.attribute(_TABLE, struct.pack("=I", table))


def _rule(table: int) -> bytes:
    head = _RULE.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, _TO_TABLE, 0)
    return head + messages.attribute(_PRIORITY, struct.pack("=I", table)) + messages.attribute(_TABLE, struct.pack("=I", table))
