# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of a node that are on one network, as the kernel and the CNI library know them, and those of which one of both knows nothing."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import cni_cache, flannel_node
from ansible_collections.podnet.cni.plugins.module_utils._host import cni_plugins, cni_state, namespaces, rtnetlink


class Found(t.NamedTuple):
    """A pod with its namespace, and the node's end of its interface."""

    pod: cni_cache.Remembered
    namespace: namespaces.Namespace
    node_end: str


class Pods(t.NamedTuple):
    """Pods that can be moved, and why others can't, by the node's end of their interface."""

    found: list[Found]
    unknown: dict[str, str]


def read(places: cni_state.Places, cni: str, bridge: str) -> Pods:
    """Pods of a network: C(flannel), on the bridge, or C(calico). The kernel has the last word on who is connected."""
    devices = rtnetlink.read_devices()
    bridges = next((device.ifindex for device in devices if device.name == bridge), 0)
    ends = {device.name: device for device in devices if device.kind == "veth" and _is_of(device, cni, bridges)}
    remembered = {}
    for entry in cni_plugins.read_remembered(places).values():
        for name in entry.host_interfaces:
            if entry.cni == cni and name in ends:
                remembered[name] = entry
    numbers = namespaces.by_number(namespaces.others()) if ends else {}
    pods = Pods([], {})
    for name, device in sorted(ends.items()):
        known = remembered.get(name)
        namespace = numbers.get(device.below_namespace) if device.below_namespace is not None else None
        if known is None:
            pods.unknown[name] = "the CNI library remembers no pod with it"
        elif namespace is None:
            pods.unknown[name] = f"the network namespace of {known.pod} was not found"
        elif not known.address:
            pods.unknown[name] = f"{known.pod} has no IPv4 address"
        else:
            pods.found.append(Found(known, namespace, name))
    return pods


def _is_of(device: rtnetlink.Device, cni: str, bridges: int) -> bool:
    if cni == "calico":
        return flannel_node.is_calico_interface(device.name)
    return bool(bridges and device.master == bridges)
