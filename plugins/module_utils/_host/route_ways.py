# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes as words that iproute2 takes back: next hops, several ones too, and nothing of who made them. Pure: no input, no output."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host.iproute import full_destination

Ways = dict[str, str]
"""Destination, and the words after it."""


def _hop(hop: t.Mapping[str, t.Any]) -> str:
    gateway = f"via {hop['gateway']} " if hop.get("gateway") else ""
    return f"{gateway}dev {hop['dev']}" + (" onlink" if "onlink" in (hop.get("flags") or []) else "")


def words_of(route: t.Mapping[str, t.Any]) -> str | None:
    """The words of a route as C(ip -json) tells it; None for a kind that leads nowhere."""
    if route.get("type") == "throw":
        return "throw"
    if route.get("type", "unicast") != "unicast":
        return None
    hops = route.get("nexthops") or []
    if hops:
        return " ".join(f"nexthop {_hop(hop)} weight {hop.get('weight', 1)}" for hop in hops)
    return _hop(route) if route.get("dev") else None


def ways_of(routes: t.Iterable[t.Mapping[str, t.Any]]) -> Ways:
    """Ways by destination; of several routes to one destination that with the smallest metric."""
    found: dict[str, tuple[int, str]] = {}
    for route in routes:
        words = words_of(route)
        destination = full_destination(route["dst"])
        metric = int(route.get("metric") or 0)
        if words is not None and (destination not in found or metric < found[destination][0]):
            found[destination] = (metric, words)
    return {destination: words for destination, (dummy, words) in found.items()}
