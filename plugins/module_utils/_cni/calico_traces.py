# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices, routes, rules and sets of a node are Calico's. Pure: readings in, selections out.

Names: projectcalico/calico:felix/rules/rule_defs.go (chains C(cali-), nft table), felix/ipsets/ipset_defs.go (sets C(cali40) and C(cali60)),
felix/dataplane/linux/int_dataplane.go (devices), node/filesystem/etc/calico/confd/templates/bird.cfg.template (blackhole routes of blocks).
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import firewall, flannel_node, flannel_traces
from ansible_collections.podnet.cni.plugins.module_utils._cni.networks import is_inside

Record = dict[str, t.Any]
PROGRAMS = ("calico", "calico-ipam")
"""CNI plugins that only Calico has; those that other networks use too stay, whoever brought them."""
TUNNELS = ("vxlan.calico", "vxlan-v6.calico", "wireguard.cali", "wg-v6.cali", "bpfin.cali", "bpfout.cali")
IPIP = "tunl0"
"""The kernel's own device of the module ipip, which cannot be deleted; Felix gives it an address and sets it up."""
_SET = re.compile(r"cali[46][0t]")
FELIX = "80"
"""Protocol of Felix's routes of VXLAN and its blackholes (projectcalico/calico:felix/config/config_params.go, DeviceRouteProtocol is 3)."""


def is_calico_set(name: str) -> bool:
    """Whether an IP set is one of Felix's."""
    return _SET.match(name) is not None


def select_devices(links: t.Iterable[Record]) -> list[str]:
    """Names of devices that Felix and Calico's CNI plugin made."""
    names = [link["ifname"] for link in links]
    return [name for name in names if name in TUNNELS or flannel_node.is_calico_interface(name)]


def select_routes(routes: t.Iterable[Record], devices: t.Collection[str]) -> tuple[list[Record], list[Record]]:
    """Calico's routes: those that go with its devices, and those of BIRD and Felix over devices of others or to nowhere."""
    by_device, others = [], []
    for route in routes:
        if route["device"] in devices:
            by_device.append(route)
        elif route["protocol"] == "bird" or (route["protocol"] == FELIX and route["type"] in ("blackhole", "unreachable", "unicast")):
            others.append(route)
    return by_device, others


def select_firewall(tables: firewall.Tables, cni_networks: t.Collection[str]) -> firewall.Firewall:
    """What is Calico's in one variant of iptables: its chains, rules that lead into them, and host ports of its pods."""
    return firewall.select(tables, "calico", lambda dummy, line: flannel_node.rule_owner(line) == "calico", cni_networks)


class Detour(t.NamedTuple):
    """A route of Flannel's to pods of another node: where it leads, and over which gateway and device."""

    destination: str
    gateway: str
    device: str


def flannel_detours(routes: t.Iterable[Record], networks: t.Iterable[str], bridge: str) -> list[Detour]:
    """Flannel's routes to the podCIDRs of other nodes (flannel-io/flannel:pkg/backend/vxlan/vxlan_network.go, pkg/backend/route_network.go)."""
    pools = [ipaddress.ip_network(network) for network in networks]
    found = []
    for route in routes:
        if route["type"] != "unicast" or not route["gateway"] or route["device"] in (None, bridge, *TUNNELS):
            continue
        if route["protocol"] != "boot" and not flannel_node.is_flannel_link(str(route["device"])):
            continue
        if flannel_traces.part_of(route["destination"], pools):
            found.append(Detour(route["destination"], route["gateway"], route["device"]))
    return found


def longer(detours: t.Iterable[Detour], prefix_length: int) -> list[Detour]:
    """The same ways in routes of this prefix length, which are preferred to those of Calico's blocks.

    :raises ValueError: when a podCIDR has a longer prefix.
    """
    found = []
    for detour in detours:
        network = ipaddress.ip_network(detour.destination)
        if network.prefixlen > prefix_length:
            raise ValueError(f"{network} has a longer prefix than /{prefix_length}")
        found += [detour._replace(destination=str(part)) for part in network.subnets(new_prefix=prefix_length)]
    return found


def is_carried(route: Record) -> bool:
    """Whether a route is BIRD's or Felix's. Through its tunnel Felix makes them with a protocol that others use as well."""
    return route["protocol"] in ("bird", FELIX) or route["device"] in TUNNELS


def uncovered(routes: t.Iterable[Record], detours: t.Collection[Detour], networks: t.Iterable[str]) -> list[str]:
    """Destinations of BIRD's and Felix's routes to other nodes' pods that no route of Flannel's leads to."""
    known = [ipaddress.ip_network(detour.destination) for detour in detours]
    pools = [ipaddress.ip_network(network) for network in networks]
    left = []
    for route in routes:
        network = ipaddress.ip_network(route["destination"])
        if route["type"] != "unicast" or not any(is_inside(network, pool) for pool in pools) or flannel_node.is_calico_interface(route["device"]):
            continue
        if not any(is_inside(network, other) for other in known):
            left.append(route["destination"])
    return left
