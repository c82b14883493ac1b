# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, addresses, neighbours and routes, as iproute2 prints them in JSON."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import flannel_node
from ansible_collections.podnet.cni.plugins.module_utils._host import commands

Record = dict[str, t.Any]

# Numbers of /etc/iproute2/rt_protos that a node's iproute2 may not name.
_PROTOCOLS = {"12": "bird"}
_FORWARDING = ("unicast", "blackhole", "unreachable", "prohibit", "throw")


def _json(words: t.Sequence[str]) -> list[Record]:
    text = commands.run(words).stdout.strip()
    return [entry for entry in json.loads(text) if entry] if text else []


def read_links() -> list[Record]:
    """Everything about links at once, addresses and counters included (C(ip -details -statistics address))."""
    return _json(["ip", "-json", "-details", "-statistics", "address", "show"])


def link_facts(link: Record) -> Record:
    """One entry of C(podnet_node.links)."""
    return {
        "name": link["ifname"],
        "index": link.get("ifindex"),
        "kind": (link.get("linkinfo") or {}).get("info_kind"),
        "mtu": link.get("mtu"),
        "mac": link.get("address"),
        "operstate": link.get("operstate"),
        "master": link.get("master"),
    }


def addresses_of(link: Record) -> list[str]:
    """IPv4 addresses with prefix length."""
    return [f"{entry['local']}/{entry['prefixlen']}" for entry in link.get("addr_info") or [] if entry.get("family") == "inet"]


def vxlan_facts(link: Record) -> Record | None:
    """One entry of C(podnet_node.vxlan), None for other links."""
    info = link.get("linkinfo") or {}
    if info.get("info_kind") != "vxlan":
        return None
    data = info.get("info_data") or {}
    stats = link.get("stats64") or link.get("stats") or {}
    return {
        "name": link["ifname"],
        "vni": data.get("id"),
        "port": data.get("port"),
        "mtu": link.get("mtu"),
        "mac": link.get("address"),
        "local": data.get("local"),
        "underlay": data.get("link"),
        "learning": bool(data.get("learning", False)),
        "addresses": addresses_of(link),
        "rx_packets": (stats.get("rx") or {}).get("packets", 0),
        "tx_packets": (stats.get("tx") or {}).get("packets", 0),
    }


def packets_of(links: t.Iterable[Record], names: t.Collection[str]) -> int:
    """Packets that these links have received and sent so far."""
    counters = [link.get("stats64") or link.get("stats") or {} for link in links if link["ifname"] in names]
    return sum(int((counter.get(way) or {}).get("packets", 0)) for counter in counters for way in ("rx", "tx"))


def bridge_facts(links: t.Sequence[Record], name: str) -> Record | None:
    """A bridge with its ports, None when there is no link of this name."""
    link = next((link for link in links if link["ifname"] == name), None)
    if link is None:
        return None
    return {
        "name": name,
        "mac": link.get("address"),
        "mtu": link.get("mtu"),
        "addresses": addresses_of(link),
        "ports": [port["ifname"] for port in links if port.get("master") == name],
    }


def full_destination(destination: str, family: str = "inet") -> str:
    """A route's destination as CIDR."""
    if destination == "default":
        return "0.0.0.0/0" if family == "inet" else "::/0"
    return destination if "/" in destination else f"{destination}/{32 if family == 'inet' else 128}"


def route_facts(route: Record, family: str = "inet") -> Record:
    """One entry of C(podnet_node.routes)."""
    via = route.get("via") or {}
    protocol = str(route.get("protocol", "boot"))
    return {
        "destination": full_destination(route["dst"], family),
        "gateway": route.get("gateway") or via.get("host"),
        "device": route.get("dev"),
        "protocol": _PROTOCOLS.get(protocol, protocol),
        "type": route.get("type", "unicast"),
        "metric": route.get("metric", 0),
        "table": str(route.get("table", "main")),
        "scope": route.get("scope", "global"),
        "flags": route.get("flags") or [],
        "hops": [hop.get("gateway") for hop in route.get("nexthops") or []],
    }


def read_routes(family: str = "inet") -> list[Record]:
    """Routes of one family (C(inet) or C(inet6)) in all tables but C(local)."""
    entries = _json(["ip", "-json", "-details", "-family", family, "route", "show", "table", "all"])
    routes = [route_facts(route, family) for route in entries]
    return [route for route in routes if route["table"] != "local" and route["type"] in _FORWARDING]


def calico_pod_addresses(routes: t.Iterable[Record]) -> list[str]:
    """Addresses that the kernel reaches over an interface of Calico."""
    found = {
        route["destination"][:-3]
        for route in routes
        if route["type"] == "unicast" and route["destination"].endswith("/32") and flannel_node.is_calico_interface(route["device"])
    }
    return sorted(found)


def read_neighbors() -> list[Record]:
    """IPv4 neighbour entries."""
    return [
        {
            "address": entry.get("dst"),
            "mac": entry.get("lladdr"),
            "device": entry.get("dev"),
            "state": ",".join(entry.get("state") or []),
        }
        for entry in _json(["ip", "-json", "-4", "neighbor", "show"])
    ]


def read_fdb(devices: t.Sequence[str]) -> list[Record]:
    """Forwarding entries of VXLAN devices; no call when there is no device."""
    if not devices:
        return []
    return [
        {"device": entry.get("ifname"), "mac": entry.get("mac"), "destination": entry.get("dst"), "state": entry.get("state")}
        for entry in _json(["bridge", "-json", "fdb", "show"])
        if entry.get("ifname") in devices and entry.get("dst")
    ]
