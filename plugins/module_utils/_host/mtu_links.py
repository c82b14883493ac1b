# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links of a node that share an MTU: its NICs, tunnels of a CNI, the bridge, and both ends of the veths of pods."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_traces, flannel_node
from ansible_collections.podnet.cni.plugins.module_utils._host import files, namespaces, rtnetlink
from ansible_collections.podnet.cni.plugins.module_utils._host.mtu_places import Place
from ansible_collections.podnet.cni.plugins.module_utils._plan import mtu

_TUNNEL_KINDS = {kind for kind, dummy in mtu.OVERHEADS}
_GLOBAL = "00"


class Reading(t.NamedTuple):
    """Links, and where each is."""

    links: list[mtu.Link]
    places: dict[str, Place]


def is_tunnel(device: rtnetlink.Device) -> bool:
    """A tunnel of Flannel's or Calico's that is in use; the kernel's C(tunl0) is there with its module."""
    of_cni = flannel_node.is_flannel_link(device.name) or device.name in (*calico_traces.TUNNELS, calico_traces.IPIP)
    return of_cni and device.kind in _TUNNEL_KINDS and device.up


def is_node_end(device: rtnetlink.Device, bridge: int) -> bool:
    """The node's end of a pod's veth: one of Calico's, or a port of the bridge."""
    return device.kind == "veth" and (flannel_node.is_calico_interface(device.name) or bool(bridge and device.master == bridge))


def read(interfaces: t.Collection[str], bridge: str, pods: bool, root: Path = Path("/")) -> Reading:
    """The links that go with some NICs."""
    devices = rtnetlink.read_devices()
    by_index = {device.ifindex: device for device in devices}
    six = _with_ipv6(root)
    found = Reading([], {})
    bridges = next((device.ifindex for device in devices if device.name == bridge), 0)
    # Without ports it gets the MTU of its first one (linux:net/bridge/br_if.c), unless it was given one.
    has_ports = any(device.master == bridges for device in devices)
    for device in devices:
        below = by_index[device.below].name if device.below_namespace is None and device.below in by_index else None
        role = None
        if device.name in interfaces:
            role = mtu.UNDERLAY
        elif is_tunnel(device):
            role = mtu.TUNNEL
        elif device.ifindex == bridges and has_ports:
            role = mtu.BRIDGE
        if role:
            _add(found, device.name, role, device, below, six, None)
    ends = [device for device in devices if device.name not in interfaces and is_node_end(device, bridges)] if pods else []
    for device, inner, namespace in _pairs(ends):
        _add(found, device.name, mtu.NODE_END, device, bridge if device.master else None, six, None)
        _add(found, f"{device.name}:{inner.name}", mtu.POD_END, inner, device.name, (), namespace)
    return found


def _add(
    found: Reading,
    key: str,
    role: str,
    device: rtnetlink.Device,
    below: str | None,
    six: t.Collection[str],
    namespace: namespaces.Namespace | None,
) -> None:
    outside = device.ipv6 or device.name.startswith("wg-v6")
    over = mtu.overhead(device.name, device.kind, outside) if role == mtu.TUNNEL else 0
    found.links.append(mtu.Link(key, role, device.kind, device.mtu, device.least, device.most, below, over, key in six))
    found.places[key] = Place(namespace, device.ifindex, device.name)


def _with_ipv6(root: Path) -> set[str]:
    """Links with addresses of IPv6 that are valid beyond the link (proc(5), C(if_inet6))."""
    lines = (line.split() for line in (files.read_text(root / "proc/net/if_inet6") or "").splitlines())
    return {words[5] for words in lines if len(words) > 5 and words[3] == _GLOBAL}


def _pairs(ends: t.Sequence[rtnetlink.Device]) -> t.Iterator[tuple[rtnetlink.Device, rtnetlink.Device, namespaces.Namespace]]:
    """Both ends of the veths that lead into other namespaces."""
    if not ends:
        return
    numbers = namespaces.by_number(namespaces.others())
    inner: dict[int, dict[int, rtnetlink.Device]] = {}
    for number in {end.below_namespace for end in ends} & set(numbers):
        if number is None:
            continue
        try:
            inner[number] = {device.ifindex: device for device in namespaces.inside(numbers[number], rtnetlink.read_devices)}
        except ProcessLookupError:
            # The pod ended meanwhile.
            continue
    for end in ends:
        if end.below_namespace is None:
            continue
        other = inner.get(end.below_namespace, {}).get(end.below)
        if other is not None:
            yield end, other, numbers[end.below_namespace]
