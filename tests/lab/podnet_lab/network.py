# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces, bridges, links and addresses of a lab. Everything here can be called twice."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from podnet_lab.process import end_processes_in
from podnet_lab.shell import run
from podnet_lab.topology import Topology

ROUTER_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
}
NODE_SYSCTLS = {"net/ipv4/ip_forward": "1"}
CONTROLLER_BRIDGE = "br-ctl"


def bridge_name(zone: str) -> str:
    """The router's bridge of a zone."""
    return f"br-{zone}"


def exists(netns: str) -> bool:
    """Whether a network namespace of this name is mounted (a plain file is the rest of a crash)."""
    return os.path.ismount(f"/run/netns/{netns}")


def create(topology: Topology) -> None:
    """Make what is missing: the router with a bridge a zone, and one link for each place."""
    router = topology.netns("tor")
    _namespace(router)
    _sysctls(router, ROUTER_SYSCTLS)
    bridges = {bridge_name(z.name): (z.router_address, z.prefix_length) for z in topology.zones}
    controller_prefix = int(topology.controller_subnet.split("/")[1])
    bridges[CONTROLLER_BRIDGE] = (topology.controller_gateway, controller_prefix)
    links = _links(router)
    for bridge, (address, prefix) in bridges.items():
        if bridge not in links:
            _ip(router, "link", "add", bridge, "mtu", str(topology.mtu), "type", "bridge", "forward_delay", "0")
        _ip(router, "address", "replace", f"{address}/{prefix}", "dev", bridge)
        _ip(router, "link", "set", bridge, "up")
    zone = topology.control_plane_zone
    _place(topology, "cp", bridge_name(zone.name), topology.control_plane_address, zone.prefix_length, zone.router_address)
    _place(topology, "ctl", CONTROLLER_BRIDGE, topology.controller_address, controller_prefix, topology.controller_gateway)
    for node in topology.nodes:
        _place(topology, node.name, bridge_name(node.zone), node.address, node.prefix_length, node.gateway)
        _sysctls(node.netns, NODE_SYSCTLS)


def remove(topology: Topology) -> list[str]:
    """Remove every namespace of the lab, with the processes that are still inside; returns what those were."""
    names = [topology.netns(place) for place in topology.places]
    ended = end_processes_in(names)
    for netns in names:
        path = Path("/run/netns") / netns
        if path.exists():
            run(["ip", "netns", "delete", netns], check=False)
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
    return ended


def _place(topology: Topology, place: str, bridge: str, address: str, prefix: int, gateway: str) -> None:
    netns = topology.netns(place)
    router = topology.netns("tor")
    peer = f"p-{place}"
    _namespace(netns)
    if "eth0" not in _links(netns):
        if peer in _links(router):
            _ip(router, "link", "delete", peer)
        mtu = str(topology.mtu)
        _ip(netns, "link", "add", "eth0", "mtu", mtu, "type", "veth", "peer", "name", peer, "mtu", mtu, "netns", router)
    _ip(router, "link", "set", peer, "master", bridge, "up")
    _ip(netns, "address", "replace", f"{address}/{prefix}", "dev", "eth0")
    _ip(netns, "link", "set", "eth0", "up")
    _ip(netns, "route", "replace", "default", "via", gateway)


def _namespace(netns: str) -> None:
    if not exists(netns):
        path = Path("/run/netns") / netns
        if path.exists():
            path.unlink()
        run(["ip", "netns", "add", netns])
    _ip(netns, "link", "set", "lo", "up")


def _links(netns: str) -> set[str]:
    return {link["ifname"] for link in json.loads(run(["ip", "-n", netns, "-json", "link", "show"]).stdout or "[]")}


def _ip(netns: str, *words: str) -> None:
    run(["ip", "-n", netns, *words])


def _sysctls(netns: str, values: dict[str, str]) -> None:
    script = "".join(f"echo {value} > /proc/sys/{key}\n" for key, value in values.items())
    run(["nsenter", f"--net=/run/netns/{netns}", "sh", "-ec", script])
