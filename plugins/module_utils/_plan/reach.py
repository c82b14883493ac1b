# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pods of a node have to reach after a move as before. Pure: no input, no output.

Of some other nodes the address of the node, to which packets of pods are masqueraded, so that the answer proves the way out; and that of a pod there,
which answers to the address of the pod itself, so that the answer proves that the other node's routes lead to it.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan.words import natural_key
from ansible_collections.podnet.cni.plugins.module_utils._plan.zones import zones_of

Facts = t.Mapping[str, t.Any]
MOST = 3
"""Nodes that are asked for: one is enough to know that routes are told at all, and each one more is a ping more of every pod."""
_LASTING = ("DaemonSet", "StatefulSet")
"""Whose pods seldom end; one that ended between a pod's two looks would be taken for cut off."""
_SHORT = ("Job",)


def replug_reach(cluster: Facts, node: str, more: t.Iterable[str] | None = None) -> list[str]:
    """The option C(reach) of C(cni_replug) for a node: C(more) first, then addresses on other nodes, those of other zones before others.

    C(cluster) may be old: what does not answer before a move is not asked for afterwards.
    """
    nodes = sorted(cluster.get("nodes") or [], key=lambda entry: natural_key(str(entry["name"])))
    names = [entry["name"] for entry in nodes]
    # Each node asks for those that follow it, so that not all of them ask the same ones.
    begin = names.index(node) + 1 if node in names else 0
    zones = zones_of(nodes, {})
    pods = _pods(cluster)
    others = [entry for entry in nodes[begin:] + nodes[:begin] if entry["name"] != node and entry.get("ready") and _of_node(entry)]
    chosen: list[Facts] = []
    while others and len(chosen) < MOST:
        taken = [zones.get(node, ""), *(zones[entry["name"]] for entry in chosen)]

        def order(entry: Facts, taken: list[str] = taken) -> tuple[bool, int]:
            return entry["name"] not in pods, taken.count(zones[entry["name"]])

        chosen.append(min(others, key=order))
        others.remove(chosen[-1])
    found = list(more or [])
    for entry in chosen:
        found += [address for address in (_of_node(entry), pods.get(entry["name"])) if address]
    return list(dict.fromkeys(found))


def _of_node(node: Facts) -> str | None:
    return next((address for address in node.get("internal_ips") or [] if _is_ipv4(address)), None)


def _pods(cluster: Facts) -> dict[str, str]:
    """The address of a pod of each node, of those that are least likely to end soon."""
    fitting = [
        pod
        for pod in cluster.get("pods") or []
        if pod.get("phase") == "Running"
        and pod.get("ready")
        and not pod.get("terminating")
        and not pod.get("host_network")
        and _is_ipv4(pod.get("ip"))
    ]
    found: dict[str, str] = {}
    for pod in sorted(fitting, key=_order):
        found.setdefault(pod["node"], pod["ip"])
    return found


def _order(pod: Facts) -> tuple[int, str, str]:
    kind = pod.get("owner_kind")
    return 0 if kind in _LASTING else 2 if kind in _SHORT else 1, pod["namespace"], pod["name"]


def _is_ipv4(address: str | None) -> bool:
    try:
        ipaddress.IPv4Address(address or "")
    except ValueError:
        return False
    return True
