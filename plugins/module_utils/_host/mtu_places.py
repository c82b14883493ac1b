# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links by their place: in the namespace of the node or in that of a pod; their MTU, and that of routes by them."""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import namespaces, rtnetlink
from ansible_collections.podnet.cni.plugins.module_utils._plan import mtu

_Result = t.TypeVar("_Result")


class Place(t.NamedTuple):
    """Where a link is: in a namespace, or in that of the node (None)."""

    namespace: namespaces.Namespace | None
    ifindex: int
    name: str


def _with(place: Place, action: Callable[[rtnetlink.Links], _Result]) -> _Result:
    """Do something with the links of a place's namespace.

    :raises ProcessLookupError: when it is gone.
    """

    def work() -> _Result:
        with rtnetlink.Links() as links:
            return action(links)

    return work() if place.namespace is None else namespaces.inside(place.namespace, work)


def read_mtu(place: Place) -> int | None:
    """The MTU of a link, None when the link or its pod is gone."""
    try:
        devices = _with(place, lambda links: links.devices())
    except ProcessLookupError:
        return None
    return next((device.mtu for device in devices if (device.ifindex, device.name) == (place.ifindex, place.name)), None)


def routes_to_change(place: Place, before: int, after: int) -> list[bytes]:
    """Routes by a link that have an MTU of their own which has to change with that of the link."""
    routes = [route for route in _with(place, lambda links: links.routes()) if route.device == place.ifindex]
    return [route.message for route in routes if mtu.route_mtu(route.mtu, before, after) != route.mtu]


def set_mtu(place: Place, value: int) -> None:
    """Give a link an MTU.

    :raises OSError: when the kernel refuses.
    """
    _with(place, lambda links: _set(links, place.ifindex, value))


def _set(links: rtnetlink.Links, index: int, value: int) -> None:
    links.set_mtu(index, value)
    _forget_learned()


def _forget_learned() -> None:
    """Forget what routers said of MTUs before, which the kernel keeps for ten minutes (linux:Documentation/networking/ip-sysctl.rst)."""
    try:
        Path("/proc/sys/net/ipv4/route/flush").write_text("1", encoding="ascii")
    except OSError:
        # It cannot be written in some containers, and what was learned passes by itself.
        return


def replace_routes(place: Place, messages: t.Sequence[bytes]) -> None:
    """Put routes in the places of those that they were."""
    if messages:
        _with(place, lambda links: _replace(links, messages))


def _replace(links: rtnetlink.Links, messages: t.Iterable[bytes]) -> None:
    for message in messages:
        links.replace(message)
