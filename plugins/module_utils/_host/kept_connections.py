# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCP connections that end with Calico's tunnel: those of the node's own programs from the tunnel's address. Changes nothing.

A program cannot send from an address that its node does not have any more (torvalds/linux:net/ipv4/route.c ip_route_output_key_hash_rcu). Others
go on: the kernel translates what comes back to an address that a connection was masqueraded to before it looks whose address that is, and
M(podnet.cni.masquerade_guard) lets them leave by another interface.
"""

from __future__ import annotations

import ipaddress
import json
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_fabric import TUNNEL
from ansible_collections.podnet.cni.plugins.module_utils._host import commands, connections


def read(mark: int, destinations: t.Iterable[str]) -> list[connections.Connection] | None:
    """Open ones without C(mark) that lead to one of the C(destinations), None on a kernel that does not tell them."""
    networks = [ipaddress.ip_network(destination) for destination in destinations]
    try:
        found = [connection for address in _addresses() for connection in connections.from_address(address)]
    except OSError:
        return None
    return [
        connection
        for connection in found
        if connection.is_open and not connection.mark & mark and any(connection.reply.source in network for network in networks)
    ]


def _addresses() -> list[ipaddress.IPv4Address]:
    """Those of the tunnel, none without it."""
    shown = commands.run(["ip", "-json", "-4", "address", "show", "dev", TUNNEL], check=False).stdout.strip()
    links = json.loads(shown) if shown else []
    return [ipaddress.IPv4Address(entry["local"]) for link in links if link for entry in link.get("addr_info") or []]
