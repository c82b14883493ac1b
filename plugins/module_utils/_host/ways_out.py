# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By which devices packets leave a node for pods of others, and which address they get where they are masqueraded (rtnetlink(7))."""

from __future__ import annotations

import ipaddress
import socket
import struct
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_messages as messages
from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_socket, rtnetlink

# linux:include/uapi/linux/rtnetlink.h, if_addr.h
_GET_ADDRESS = 22
_ADDRESS, _HOP = struct.Struct("=BBBBI"), struct.Struct("=HBBI")
_PEER, _LOCAL, _SECONDARY, _GLOBAL = 1, 2, 0x1, 0
_DESTINATION, _DEVICE, _GATEWAY, _HOPS, _VIA = 1, 4, 5, 9, 18
TUNNELS = ("ipip", "vxlan")
"""Kinds of devices that lead to other nodes, also without a gateway."""


class Hop(t.NamedTuple):
    """Where a route of the table C(main) leads."""

    destination: ipaddress.IPv4Network
    device: int
    through_gateway: bool
    gateway: ipaddress.IPv4Address | None
    """None for a gateway of IPv6 as well."""


class Address(t.NamedTuple):
    """A primary address with the scope C(global)."""

    device: int
    address: ipaddress.IPv4Address
    network: ipaddress.IPv4Network
    """What it reaches, which is behind the other end of a point-to-point link."""


class WayOut(t.NamedTuple):
    """A device by which packets leave."""

    device: str
    kind: str
    address: ipaddress.IPv4Address


def read(network: ipaddress.IPv4Network) -> list[WayOut]:
    """The devices by which packets leave for other nodes' pods, or would after the network's own routes are gone.

    :raises OSError: when the kernel does not tell.
    """
    kernel = netlink_socket.Netlink(netlink_socket.ROUTE)
    try:
        hops = [hop for answer in rtnetlink.told_routes(kernel, socket.AF_INET) for hop in _hops(answer)]
        told = kernel.ask(_GET_ADDRESS, messages.DUMP, _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0))
    finally:
        kernel.close()
    addresses = [address for address in map(_address, told) if address is not None]
    devices = rtnetlink.read_devices()
    ways = ((device, chosen_address(device.ifindex, gateway, addresses)) for device, gateway in choose(network, hops, devices))
    return sorted(WayOut(device.name, device.kind, address) for device, address in ways if address is not None)


def choose(
    network: ipaddress.IPv4Network, hops: t.Iterable[Hop], devices: t.Iterable[rtnetlink.Device]
) -> list[tuple[rtnetlink.Device, ipaddress.IPv4Address | None]]:
    """Devices of the routes into a network on other nodes and of the default route, and those below tunnels, with a gateway behind each."""
    by_index = {device.ifindex: device for device in devices}
    found: dict[int, ipaddress.IPv4Address | None] = {}
    for hop in sorted(hops, key=lambda hop: (hop.destination, hop.device, str(hop.gateway))):
        device = by_index.get(hop.device)
        if device is None:
            continue
        default = not hop.destination.prefixlen
        if default or (hop.destination.subnet_of(network) and (hop.through_gateway or device.kind in TUNNELS)):
            found.setdefault(device.ifindex, hop.gateway)
    for index in list(found):
        device = by_index[index]
        if device.kind in TUNNELS and device.below in by_index:
            found.setdefault(device.below, None)
    return [(by_index[index], gateway) for index, gateway in found.items()]


def chosen_address(device: int, gateway: ipaddress.IPv4Address | None, addresses: t.Iterable[Address]) -> ipaddress.IPv4Address | None:
    """What masquerading chooses, first of the device's addresses, and then of all others' (torvalds/linux:net/ipv4/devinet.c inet_select_addr)."""
    primary = sorted(addresses, key=lambda address: (address.device != device, address.device))
    own = [address for address in primary if address.device == device]
    near = [address for address in own if gateway is not None and gateway in address.network]
    return next((address.address for address in [*near, *primary]), None)


def _hops(answer: bytes) -> t.Iterator[Hop]:
    dummy, length, dummy2, dummy3, dummy4, dummy5, dummy6, kind, dummy7 = rtnetlink.ROUTE.unpack_from(answer)
    parts = dict(messages.attributes_in(answer[rtnetlink.ROUTE.size :]))
    if rtnetlink.table_of(answer, parts) != rtnetlink.MAIN or kind != rtnetlink.UNICAST:
        return
    destination = ipaddress.IPv4Network((parts.get(_DESTINATION, bytes(4)), length))
    if _DEVICE in parts:
        yield _hop(destination, struct.unpack("=I", parts[_DEVICE])[0], parts)
    data = parts.get(_HOPS, b"")
    while len(data) >= _HOP.size:
        size, dummy, dummy2, device = _HOP.unpack_from(data)
        if size < _HOP.size:
            return
        yield _hop(destination, device, dict(messages.attributes_in(data[_HOP.size : size])))
        data = data[size + -size % 4 :]


def _hop(destination: ipaddress.IPv4Network, device: int, parts: dict[int, bytes]) -> Hop:
    gateway = ipaddress.IPv4Address(parts[_GATEWAY]) if _GATEWAY in parts else None
    return Hop(destination, device, bool(gateway) or _VIA in parts, gateway)


def _address(answer: bytes) -> Address | None:
    dummy, length, flags, scope, device = _ADDRESS.unpack_from(answer)
    parts = dict(messages.attributes_in(answer[_ADDRESS.size :]))
    if flags & _SECONDARY or scope != _GLOBAL or _LOCAL not in parts:
        return None
    network = ipaddress.IPv4Network((parts.get(_PEER, parts[_LOCAL]), length), strict=False)
    return Address(device, ipaddress.IPv4Address(parts[_LOCAL]), network)
