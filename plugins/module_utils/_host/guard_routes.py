# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes that keep Flannel's pods reachable while Calico has routes for the blocks around them: blackhole routes on the pods' own node, for
which there are routes to the bridge, and routes of BIRD's on others, which are avoided by routes over Flannel's gateways before Calico goes.

They have the protocol C(kernel), since BIRD learns routes of every other protocol (projectcalico/bird:sysdep/linux/netlink.c nl_parse_route)
and would tell the routers of them before the fabric was proved; and a metric by which they are known as ours.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_traces
from ansible_collections.podnet.cni.plugins.module_utils._host import commands, iproute

METRIC = 27127
"""No daemon uses this metric; among prefixes of different lengths it decides nothing."""


def read(device: str) -> list[str]:
    """Destinations of our routes over a device."""
    done = commands.run(["ip", "-json", "-4", "route", "show", "dev", device, "proto", "kernel"], check=False)
    try:
        routes = json.loads(done.stdout or "[]")
    except ValueError:
        return []
    return [iproute.full_destination(route["dst"]) for route in routes if route.get("metric") == METRIC]


def add(device: str, destinations: t.Sequence[str]) -> None:
    """Add routes, all in one process."""
    _batch([f"route replace {destination} {_words(device)}" for destination in destinations])


def add_detours(detours: t.Iterable[calico_traces.Detour]) -> None:
    """Add routes over gateways, all in one process; the gateway of an overlay is on no link."""
    _batch([f"route replace {route.destination} via {route.gateway} dev {route.device} onlink proto kernel metric {METRIC}" for route in detours])


def remove_detours(detours: t.Iterable[calico_traces.Detour]) -> None:
    """Remove routes over gateways, all in one process."""
    _batch([f"route del {route.destination} via {route.gateway} dev {route.device} proto kernel metric {METRIC}" for route in detours])


def detours(routes: t.Iterable[dict[str, t.Any]], bridge: str) -> list[calico_traces.Detour]:
    """Those of our routes that lead to other nodes."""
    ours = (route for route in routes if route["metric"] == METRIC and route["protocol"] == "kernel" and route["device"] != bridge)
    return [calico_traces.Detour(route["destination"], str(route["gateway"]), str(route["device"])) for route in ours]


def remove(device: str, destinations: t.Sequence[str]) -> None:
    """Remove routes, all in one process."""
    _batch([f"route del {destination} {_words(device)}" for destination in destinations])


def _words(device: str) -> str:
    return f"dev {device} proto kernel scope link metric {METRIC}"


def _batch(lines: t.Sequence[str]) -> None:
    if lines:
        commands.run(["ip", "-4", "-batch", "-"], stdin="\n".join(lines) + "\n")
