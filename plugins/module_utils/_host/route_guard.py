# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routing tables of our own that lead packets to other nodes' pods while Calico takes its routes away and makes others.

Two tables, each behind a rule that comes before the table C(main): the first one keeps the present way, the second one has a new way that is
not in C(main) yet. The first rule passes over packets with a mark. Marked are connections that begin after the marking was turned on, so that
those that were there keep their way, which is one that is known to work, until the new way has proved itself with new ones. Neither Felix nor
BIRD looks at tables other than C(main).
"""

from __future__ import annotations

import ipaddress
import json
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.guard_tables import NEW, OLD
from ansible_collections.podnet.cni.plugins.module_utils._host import commands, iproute
from ansible_collections.podnet.cni.plugins.module_utils._host.route_ways import Ways, ways_of

MARK = 0x400
"""A bit that kube-proxy (0x4000, 0x8000), the portmap plugin (0x2000) and Felix (0xffff0000) leave alone."""
NFT_TABLE = "podnet_route_guard"
_MARKING = f"""\
table ip {NFT_TABLE} {{
  chain forwarded {{
    type filter hook prerouting priority -150; policy accept;
    ct state new ct mark set ct mark or {MARK:#x}
    ct mark and {MARK:#x} == {MARK:#x} meta mark set meta mark or {MARK:#x}
  }}
  chain own {{
    type route hook output priority -150; policy accept;
    ct state new ct mark set ct mark or {MARK:#x}
    ct mark and {MARK:#x} == {MARK:#x} meta mark set meta mark or {MARK:#x}
  }}
}}
"""


class Guard(t.NamedTuple):
    """What is there: routes of both tables, which of their rules are in force, and whether new connections are marked."""

    old: Ways
    new: Ways
    keeps: bool
    leads: bool
    marks: bool

    @property
    def name(self) -> str:
        """The state of M(podnet.cni.route_guard) that this is."""
        if self.keeps:
            return "split" if self.marks else "kept"
        return "moved" if self.leads else "absent"


NOTHING = Guard({}, {}, False, False, False)


def _json(words: t.Sequence[str]) -> list[dict[str, t.Any]]:
    text = commands.run(words).stdout.strip()
    return [entry for entry in json.loads(text) if entry] if text else []


def read() -> Guard:
    """What is there. All tables are read, since one without a route does not exist, which is an error for iproute2."""
    rules = {rule.get("priority") for rule in _json(["ip", "-json", "-4", "rule", "show"]) if str(rule.get("table")) in (str(OLD), str(NEW))}
    routes = _json(["ip", "-json", "-details", "-4", "route", "show", "table", "all"])
    old, new = (ways_of(route for route in routes if str(route.get("table")) == str(table)) for table in (OLD, NEW))
    marks = not commands.run(["nft", "list", "table", "ip", NFT_TABLE], check=False).returncode if commands.find("nft") else False
    return Guard(old, new, OLD in rules, NEW in rules, marks)


def present_ways(network: ipaddress.IPv4Network) -> Ways:
    """How main leads to addresses of the network that are not on this node."""
    found = ways_of(_json(["ip", "-json", "-details", "-4", "route", "show", "table", "main"]))
    return {
        destination: words
        for destination, words in found.items()
        if "via " in words and ipaddress.ip_network(destination).subnet_of(network)  # type: ignore[arg-type]
    }


def ways_over_nodes(wanted: t.Iterable[t.Mapping[str, str]]) -> Ways:
    """Ways to destinations over the addresses of the nodes that have them, as this node reaches those: by their link, or by a router."""
    by_node: dict[str, str] = {}
    ways = {}
    for entry in wanted:
        node = entry["node_address"]
        if node not in by_node:
            by_node[node] = _way_to(node)
        ways[iproute.full_destination(entry["destination"])] = by_node[node]
    return ways


def _way_to(address: str) -> str:
    routes = _json(["ip", "-json", "-4", "route", "get", address])
    if not routes or not routes[0].get("dev"):
        raise commands.CommandError(f"this node has no route to {address}, the address of another node")
    return f"via {routes[0].get('gateway') or address} dev {routes[0]['dev']}"


def apply(now: Guard, wanted: Guard) -> None:
    """Make it so. A table is filled before its rule is there, and emptied after, so that no packet is without a way."""
    _add(OLD, now.old, wanted.old)
    _add(NEW, now.new, wanted.new)
    if wanted.leads and not now.leads:
        commands.run(["ip", "-4", "rule", "add", "priority", str(NEW), "lookup", str(NEW)])
    if wanted.keeps and not now.keeps:
        commands.run(["ip", "-4", "rule", "add", "priority", str(OLD), "not", "fwmark", f"{MARK:#x}/{MARK:#x}", "lookup", str(OLD)])
    if wanted.marks and not now.marks:
        commands.run(["nft", "-f", "-"], stdin=_MARKING)
    if now.keeps and not wanted.keeps:
        commands.run(["ip", "-4", "rule", "del", "priority", str(OLD)])
    if now.marks and not wanted.marks:
        commands.run(["nft", "delete", "table", "ip", NFT_TABLE])
    if now.leads and not wanted.leads:
        commands.run(["ip", "-4", "rule", "del", "priority", str(NEW)])
    _remove(OLD, now.old, wanted.old)
    _remove(NEW, now.new, wanted.new)


def _add(table: int, now: Ways, wanted: Ways) -> None:
    _batch(f"route replace {_line(destination, words, table)}" for destination, words in wanted.items() if now.get(destination) != words)


def _remove(table: int, now: Ways, wanted: Ways) -> None:
    _batch(f"route del {_line(destination, words, table)}" for destination, words in now.items() if destination not in wanted)


def _batch(lines: t.Iterable[str]) -> None:
    """Carry changes out, all in one process."""
    text = "".join(f"{line}\n" for line in lines)
    if text:
        commands.run(["ip", "-4", "-batch", "-"], stdin=text)


def _line(destination: str, words: str, table: int) -> str:
    if words == "throw":
        return f"throw {destination} table {table}"
    return f"{destination} table {table} {words}"
