# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes that stay in the table main when Felix starts without VXLAN: it deletes the tunnel's device, and nothing else any more
(projectcalico/calico:felix/dataplane/linux/int_dataplane.go, cleanUpVXLANDevice).

BIRD does not make a route where there is one already, and a blackhole would outlive the block that it was for.
"""

from __future__ import annotations

import ipaddress
import json
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_fabric import TUNNEL
from ansible_collections.podnet.cni.plugins.module_utils._host import commands
from ansible_collections.podnet.cni.plugins.module_utils._host.iproute import full_destination

PROTOCOL = "80"


def has_tunnel() -> bool:
    """Whether Felix still runs with VXLAN, so that these routes are its own."""
    return not commands.run(["ip", "link", "show", "dev", TUNNEL], check=False).returncode


def read(network: ipaddress.IPv4Network) -> list[str]:
    """The routes, as words that iproute2 deletes by."""
    text = commands.run(["ip", "-json", "-details", "-4", "route", "show", "table", "main", "proto", PROTOCOL]).stdout.strip()
    found = []
    for route in json.loads(text) if text else []:
        kind = route.get("type", "unicast") if route else None
        if kind not in ("unicast", "blackhole") or not _is_inside(full_destination(route["dst"]), network):
            continue
        via = f" via {route['gateway']}" if route.get("gateway") else ""
        found.append(f"{'blackhole ' if kind == 'blackhole' else ''}{full_destination(route['dst'])}{via} proto {PROTOCOL}")
    return found


def _is_inside(destination: str, network: ipaddress.IPv4Network) -> bool:
    return ipaddress.IPv4Network(destination).subnet_of(network)


def remove(routes: t.Iterable[str]) -> None:
    """Remove them, all in one process."""
    text = "".join(f"route del {route}\n" for route in routes)
    if text:
        commands.run(["ip", "-4", "-batch", "-"], stdin=text)
