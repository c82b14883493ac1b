# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which MTU each link of a node has to have, and in which order they get it. Pure: no input, no output.

A tunnel puts a packet into another one, so its MTU is that of the link below less what it adds. Pods get what fits into every tunnel, and so
does the bridge that they are on.
"""

from __future__ import annotations

import typing as t

UNDERLAY, TUNNEL, BRIDGE, NODE_END, POD_END = "underlay", "tunnel", "bridge", "node_end", "pod_end"
ROLES = (UNDERLAY, TUNNEL, BRIDGE, NODE_END, POD_END)
"""From below to above."""
LEAST, MOST = 576, 65535
"""Bytes that an MTU may have: less than the least is of no use for IPv4 (RFC 1122, section 3.3.3), more does not fit into its header."""
LEAST_IPV6 = 1280
"""Below it the kernel takes IPv6 from a device (RFC 8200, section 5; linux:net/ipv6/addrconf.c)."""
OVERHEADS: t.Mapping[tuple[str, bool], int] = {
    ("vxlan", False): 50,
    ("vxlan", True): 70,
    ("ipip", False): 20,
    ("wireguard", False): 60,
    ("wireguard", True): 80,
}
"""Bytes that a tunnel adds, by its kind and whether the packets outside are of IPv6 (RFC 7348; RFC 2003; projectcalico/calico:felix/dataplane/
linux/int_dataplane.go)."""
_FLANNEL_WIREGUARD = "flannel-wg"


class Link(t.NamedTuple):
    """A link of the node, or the end of one in a pod."""

    key: str
    """The name, of a pod's end C(name of the node's end:name)."""
    role: str
    kind: str
    mtu: int
    least: int = 0
    """The smallest MTU that its driver takes, 0 for one that does not say."""
    most: int = 0
    """The largest one, 0 for one that does not say."""
    below: str | None = None
    """Key of the link that its packets leave by, as far as the kernel knows."""
    overhead: int = 0
    """Bytes that it adds to a packet."""
    ipv6: bool = False
    """Whether it has an address of IPv6 that is not only for the link."""


class Step(t.NamedTuple):
    """One change of an MTU."""

    key: str
    before: int
    after: int


class Refused(ValueError):
    """Why an MTU cannot be had, with the remedy."""


def overhead(name: str, kind: str, ipv6: bool) -> int:
    """Bytes that a tunnel adds to a packet. Flannel's WireGuard leaves room for IPv6 outside (flannel-io/flannel:pkg/backend/wireguard)."""
    if kind == "wireguard" and name.startswith(_FLANNEL_WIREGUARD):
        ipv6 = True
    return OVERHEADS.get((kind, ipv6), OVERHEADS.get((kind, False), 0))


def _tunnels(links: t.Iterable[Link], wanted: int) -> dict[str, int]:
    """The MTU of every tunnel. One that leaves by a link of which nothing is asked stays as it is."""
    found = list(links)
    asked = {link.key for link in found if link.role == UNDERLAY}
    return {link.key: wanted - link.overhead if link.below is None or link.below in asked else link.mtu for link in found if link.role == TUNNEL}


def targets(links: t.Sequence[Link], wanted: int) -> dict[str, int]:
    """The MTU of every link, when each underlay gets C(wanted)."""
    pods = pod_mtu(links, wanted)
    found = {link.key: wanted if link.role == UNDERLAY else pods for link in links}
    return {**found, **_tunnels(links, wanted)}


def pod_mtu(links: t.Iterable[Link], wanted: int) -> int:
    """The MTU of pods: what fits into every tunnel, and without any what the wire has."""
    return min(_tunnels(links, wanted).values(), default=wanted)


def refuse(links: t.Iterable[Link], after: t.Mapping[str, int]) -> None:
    """Refuse what the kernel would not take, or what would take something away.

    :raises Refused: with the first reason.
    """
    by_key = {link.key: link for link in links}
    for key, mtu in after.items():
        link = by_key[key]
        if mtu < max(LEAST, link.least) or mtu > (link.most or MOST):
            limits = f"{max(LEAST, link.least)} to {link.most or MOST}"
            raise Refused(f"mtu: {key} would get {mtu}, and takes {limits}; give another mtu, so that each link is within its limits")
        if link.ipv6 and mtu < LEAST_IPV6 <= link.mtu:
            raise Refused(
                f"mtu: {key} would get {mtu} and lose its IPv6 addresses, since IPv6 needs {LEAST_IPV6}; give an mtu of at least "
                f"{LEAST_IPV6 + link.overhead}, or take IPv6 from it first"
            )
        below = by_key.get(link.below or "")
        if link.role == UNDERLAY and below is not None and mtu > after.get(below.key, below.mtu):
            raise Refused(f"interfaces: {key} is on {below.key}, whose MTU is {after.get(below.key, below.mtu)}; name {below.key} too")


def order(links: t.Iterable[tuple[str, int, int, int]]) -> list[Step]:
    """Changes in the order in which the kernel takes them: what grows from below to above, then what shrinks from above to below.

    So no link is larger than the one below takes, if none was before; and one that is too large fits before it is touched, since the kernel
    refuses a tunnel that does not fit even when it shrinks (linux:drivers/net/vxlan/vxlan_core.c). Of each link its key, how far above the wire
    it is, its MTU, and what it gets.
    """
    found = list(links)
    growing = sorted((link for link in found if link[3] > link[2]), key=lambda link: link[1])
    shrinking = sorted((link for link in found if link[3] < link[2]), key=lambda link: -link[1])
    return [Step(key, before, after) for key, dummy, before, after in (*growing, *shrinking)]


def depths(links: t.Iterable[Link]) -> dict[str, int]:
    """How far above the wire each link is: only the order of these numbers counts."""
    by_key = {link.key: link for link in links}
    found = {}
    for link in by_key.values():
        depth, below = ROLES.index(link.role) * len(by_key), by_key.get(link.below or "")
        while link.role == UNDERLAY and below is not None and depth < len(by_key):
            depth, below = depth + 1, by_key.get(below.below or "")
        found[link.key] = depth
    return found


def steps(links: t.Sequence[Link], after: t.Mapping[str, int]) -> list[Step]:
    """What has to be done so that links have their MTU."""
    depth = depths(links)
    return order((link.key, depth[link.key], link.mtu, after[link.key]) for link in links if link.key in after)


def fits(links: t.Iterable[Link], key: str) -> bool:
    """Whether a link is not too large for the one below."""
    by_key = {link.key: link for link in links}
    below = by_key.get(by_key[key].below or "")
    return below is None or by_key[key].mtu + by_key[key].overhead <= below.mtu


def route_mtu(mtu: int, before: int, after: int) -> int:
    """What a route keeps as its MTU when that of its link changes: one that was the link's goes along, a smaller one is somebody's wish."""
    return after if mtu == before or mtu > after else mtu
