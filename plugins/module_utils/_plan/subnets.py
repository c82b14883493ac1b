# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which subnet a node is in. Pure: no input, no output."""

from __future__ import annotations

import ipaddress
import typing as t

Facts = t.Mapping[str, t.Any]


def subnet_of(node: Facts, facts: Facts) -> str | None:
    """The subnet of a node's own link that has its InternalIP, as the kernel's route says; the address alone when no link has more.

    It is what calico-node takes for its subnet too: the prefix of the link's address (projectcalico/calico:node/pkg/lifecycle/startup).
    None without an IPv4 address or without routes, which a node never is.
    """
    address = next((text for text in node.get("internal_ips") or [node.get("internal_ip")] if text and ":" not in text), None)
    if address is None or not facts.get("routes"):
        return None
    own = ipaddress.IPv4Address(address)
    links = (
        ipaddress.IPv4Network(route["destination"])
        for route in facts["routes"]
        if route.get("protocol") == "kernel" and not route.get("gateway") and route.get("table", "main") == "main" and ":" not in route["destination"]
    )
    found = [network for network in links if own in network]
    return str(max(found, key=lambda network: network.prefixlen, default=ipaddress.IPv4Network(address)))
