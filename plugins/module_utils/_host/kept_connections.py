# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCP connections that end when their packets leave by another interface, as the kernel's table of connections tells them. Changes nothing.

Those are the masqueraded ones, and those of the node itself from the address of the tunnel. The node's own are all counted, since a masquerade that
changes neither address nor port does not show. Others, such as those between pods, don't mind.
"""

from __future__ import annotations

import ipaddress
import json
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import commands

TABLE = Path("/proc/net/nf_conntrack")
ALIVE = ("SYN_SENT", "SYN_RECV", "ESTABLISHED")


class Connection(t.NamedTuple):
    """One connection: where from, and the pod that it leads to."""

    source: str
    pod: str


def parse(text: str, mark: int, destinations: t.Iterable[str], own: t.Collection[str]) -> list[Connection]:
    """Connections without C(mark) to one of the C(destinations) that are masqueraded, or begin at one of the node's C(own) addresses.

    Each line has the fields of both directions; what the second one comes from is where the connection really leads to.
    """
    networks = [ipaddress.ip_network(destination) for destination in destinations]
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 6 or words[0] != "ipv4" or words[2] != "tcp" or words[5] not in ALIVE:
            continue
        fields = [word.partition("=") for word in words if "=" in word]
        sources, targets, ports, answered = ([value for key, dummy, value in fields if key == name] for name in ("src", "dst", "sport", "dport"))
        marked = next((int(value) for name, dummy, value in fields if name == "mark"), 0) & mark
        if marked or min(map(len, (sources, targets, ports, answered))) < 2:
            continue
        masqueraded = (targets[1], answered[1]) != (sources[0], ports[0])
        if (masqueraded or sources[0] in own) and any(ipaddress.ip_address(sources[1]) in network for network in networks):
            found.append(Connection(sources[0], sources[1]))
    return found


def read(mark: int, destinations: t.Iterable[str]) -> list[Connection] | None:
    """The connections that are left, None on a kernel that does not tell them."""
    try:
        text = TABLE.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return parse(text, mark, destinations, _own_addresses())


def _own_addresses() -> list[str]:
    shown = commands.run(["ip", "-json", "-4", "address", "show"]).stdout.strip()
    links = json.loads(shown) if shown else []
    return [entry["local"] for link in links if link for entry in link.get("addr_info") or []]
