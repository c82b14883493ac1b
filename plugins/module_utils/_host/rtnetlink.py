# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links and routes of a network namespace by netlink: what an MTU needs of them (linux:include/uapi/linux/if_link.h, rtnetlink.h)."""

from __future__ import annotations

import ipaddress
import socket
import struct
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_messages as messages
from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_socket

_NEW_LINK, _GET_LINK, _NEW_ROUTE, _GET_ROUTE = 16, 18, 24, 26
_REPLACE = 0x100
_LINK = struct.Struct("=BxHiII")
_NAME, _MTU, _BELOW, _MASTER, _INFO, _BELOW_NAMESPACE, _LEAST, _MOST = 3, 4, 5, 10, 18, 37, 50, 51
_INFO_KIND, _INFO_DATA = 1, 2
_VXLAN_LINK, _VXLAN_LOCAL6, _TUNNEL_LINK = 3, 17, 1
_UP = 0x1
ROUTE = struct.Struct("=BBBBBBBBI")
"""struct rtmsg: family, prefix lengths of destination and source, TOS, table, protocol, scope, kind, flags."""
MAIN, UNICAST = 254, 1
_DESTINATION, _DEVICE, _METRICS, _CACHE_INFO, _TABLE, _METRIC_MTU = 1, 4, 8, 12, 15, 2
_CLONED, _ONLINK = 0x200, 0x4
_OF_THE_KERNEL = (2, 9)
"""Protocols of routes that the kernel made, by itself or by router advertisements: of IPv6 it keeps their MTU itself."""


class Device(t.NamedTuple):
    """A link, as the kernel tells it."""

    ifindex: int
    name: str
    kind: str
    mtu: int
    least: int
    """The smallest MTU that its driver takes, 0 for one that does not say."""
    most: int
    """The largest one, 0 for one that does not say."""
    up: bool
    master: int
    """Index of the bridge or bond that it is part of, or 0."""
    below: int
    """Index of the link below, of a veth that of the other end, or 0."""
    below_namespace: int | None
    """The namespace of the link below, by the number that this namespace has for it; None for this one."""
    ipv6: bool
    """Whether packets outside of a tunnel are of IPv6."""


class Route(t.NamedTuple):
    """A route with an MTU of its own."""

    device: int
    mtu: int
    message: bytes
    """What the kernel said of it, without what it would not take back."""


def _number(data: bytes) -> int:
    return int(struct.unpack_from("=I", data)[0]) if len(data) >= 4 else 0


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")


def told_routes(kernel: netlink_socket.Netlink, family: int) -> list[bytes]:
    """All routes of a family, of all tables, as the kernel tells them."""
    return kernel.ask(_GET_ROUTE, messages.DUMP, ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0))


def table_of(answer: bytes, parts: t.Mapping[int, bytes]) -> int:
    """The table of a route with its attributes; one with a number above 255 is among those only."""
    return _number(parts.get(_TABLE, b"")) or int(ROUTE.unpack_from(answer)[4])


class Links:
    """Links and routes of the namespace in which this was made."""

    def __init__(self) -> None:
        self.kernel = netlink_socket.Netlink(netlink_socket.ROUTE)

    def __enter__(self) -> Links:
        return self

    def __exit__(self, *dummy: object) -> None:
        self.kernel.close()

    def devices(self) -> list[Device]:
        """All links."""
        return [_device(answer) for answer in self.kernel.ask(_GET_LINK, messages.DUMP, _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0))]

    def set_mtu(self, index: int, mtu: int) -> None:
        """Give a link an MTU.

        :raises OSError: when the kernel or the driver refuses.
        """
        body = _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0) + messages.attribute(_MTU, struct.pack("=I", mtu))
        self.kernel.ask(_NEW_LINK, 0, body)

    def routes(self) -> list[Route]:
        """Routes that have an MTU of their own (ip-route(8), C(mtu))."""
        found = []
        for family in (socket.AF_INET, socket.AF_INET6):
            for answer in told_routes(self.kernel, family):
                route = _route(answer)
                if route is not None:
                    found.append(route)
        return found

    def replace(self, message: bytes) -> None:
        """Put a route in the place of the one that it was.

        :raises OSError: when the kernel refuses.
        """
        self.kernel.ask(_NEW_ROUTE, _REPLACE, message)

    def device_to(self, address: str) -> int:
        """Index of the link by which packets to an address leave.

        :raises OSError: when no route leads there.
        """
        ip = ipaddress.ip_address(address)
        family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
        body = ROUTE.pack(family, ip.max_prefixlen, 0, 0, 0, 0, 0, 0, 0) + messages.attribute(_DESTINATION, ip.packed)
        answer = self.kernel.ask(_GET_ROUTE, 0, body)[0]
        return _number(dict(messages.attributes_in(answer[ROUTE.size :])).get(_DEVICE, b""))


def read_devices() -> list[Device]:
    """Links of the namespace that this runs in."""
    with Links() as links:
        return links.devices()


def _device(answer: bytes) -> Device:
    dummy, dummy2, index, flags, dummy3 = _LINK.unpack_from(answer)
    parts = dict(messages.attributes_in(answer[_LINK.size :]))
    info = dict(messages.attributes_in(parts.get(_INFO, b"")))
    kind = _text(info.get(_INFO_KIND, b""))
    data = dict(messages.attributes_in(info.get(_INFO_DATA, b"")))
    below = _number(data.get(_VXLAN_LINK if kind == "vxlan" else _TUNNEL_LINK, b"")) if kind in ("vxlan", "ipip") else _number(parts.get(_BELOW, b""))
    return Device(
        ifindex=index,
        name=_text(parts.get(_NAME, b"")),
        kind=kind,
        mtu=_number(parts.get(_MTU, b"")),
        least=_number(parts.get(_LEAST, b"")),
        most=_number(parts.get(_MOST, b"")),
        up=bool(flags & _UP),
        master=_number(parts.get(_MASTER, b"")),
        below=below,
        below_namespace=_number(parts[_BELOW_NAMESPACE]) if _BELOW_NAMESPACE in parts else None,
        ipv6=_VXLAN_LOCAL6 in data,
    )


def _route(answer: bytes) -> Route | None:
    """A route with an MTU of its own, None for all others and for those that the kernel looks after itself."""
    family, length, source, service, table, protocol, scope, kind, flags = ROUTE.unpack_from(answer)
    attributes = list(messages.attributes_in(answer[ROUTE.size :]))
    parts = dict(attributes)
    metrics = dict(messages.attributes_in(parts.get(_METRICS, b"")))
    if _METRIC_MTU not in metrics or _DEVICE not in parts or flags & _CLONED or (family == socket.AF_INET6 and protocol in _OF_THE_KERNEL):
        return None
    head = ROUTE.pack(family, length, source, service, table, protocol, scope, kind, flags & _ONLINK)
    body = b"".join(messages.attribute(number, data) for number, data in attributes if number != _CACHE_INFO)
    return Route(_number(parts[_DEVICE]), _number(metrics[_METRIC_MTU]), head + body)


def with_mtu(message: bytes, mtu: int) -> bytes:
    """A route's message with another MTU in it."""
    parts = []
    for number, data in messages.attributes_in(message[ROUTE.size :]):
        if number == _METRICS:
            inner = (
                messages.attribute(metric, struct.pack("=I", mtu) if metric == _METRIC_MTU else value)
                for metric, value in messages.attributes_in(data)
            )
            parts.append(messages.nested(_METRICS, *inner))
        else:
            parts.append(messages.attribute(number, data))
    return message[: ROUTE.size] + b"".join(parts)
