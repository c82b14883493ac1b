# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices, routes and rules of a node are Flannel's. Pure: readings in, selections out."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import firewall, flannel_node
from ansible_collections.podnet.cni.plugins.module_utils._cni.networks import is_inside

Record = dict[str, t.Any]


CALICO_TUNNELS = (".calico", ".cali")
"""Ends of the names of Calico's tunnels. Felix's routes over C(vxlan.calico) lead to podCIDRs by a gateway with the protocol that netlink gives, too
(projectcalico/calico:felix/dataplane/linux/vxlan_mgr.go of v3.28)."""


class Network(t.NamedTuple):
    """Flannel's network and this node's part of it, of one address family."""

    family: str
    network: str
    pod_cidr: str | None


def networks_of(subnet_env: t.Mapping[str, str] | None) -> list[Network]:
    """Flannel's networks by C(subnet.env)."""
    found = []
    for family, infix in (("ip", ""), ("ip6", "IPV6_")):
        network = (subnet_env or {}).get(f"FLANNEL_{infix}NETWORK")
        subnet = (subnet_env or {}).get(f"FLANNEL_{infix}SUBNET")
        if network:
            found.append(Network(family, network, str(ipaddress.ip_interface(subnet).network) if subnet else None))
    return found


def select_firewall(tables: firewall.Tables, family: str, networks: t.Iterable[Network], cni_networks: t.Collection[str]) -> firewall.Firewall:
    """What is Flannel's in one variant: its chains, rules that lead into them, rules of old versions, and host ports of its pods."""
    known = next((network for network in networks if network.family == family), None)

    def is_ours(chain: str, line: str) -> bool:
        return flannel_node.is_flannel_rule(chain, line, family, known and known.network, known and known.pod_cidr)

    return firewall.select(tables, "flannel", is_ours, cni_networks)


def select_devices(links: t.Iterable[Record], bridge: str, further: t.Collection[str]) -> list[str]:
    """Names of Flannel's devices, the bridge last."""
    names = [link["ifname"] for link in links]
    own = [name for name in names if name != bridge and (flannel_node.is_flannel_link(name) or name in further)]
    return own + [name for name in names if name == bridge]


def select_routes(routes: t.Iterable[Record], devices: t.Collection[str], networks: t.Iterable[Network]) -> tuple[list[Record], list[Record]]:
    """Flannel's routes: those that go with its devices, and those of its own that it makes to a node in the same subnet.

    The latter (flannel-io/flannel:pkg/backend/route_network.go) lead to podCIDRs by a gateway, with the protocol that netlink gives.
    """
    pools = [ipaddress.ip_network(network.network) for network in networks]
    by_device: list[Record] = []
    direct: list[Record] = []
    for route in routes:
        if route["device"] in devices:
            by_device.append(route)
        elif str(route["device"]).endswith(CALICO_TUNNELS):
            continue
        elif route["type"] == "unicast" and route["gateway"] and route["protocol"] == "boot" and part_of(route["destination"], pools):
            direct.append(route)
    return by_device, direct


def part_of(destination: str, pools: t.Iterable[t.Any]) -> bool:
    """Whether a route leads to a part of one of these networks, not to all of it."""
    network = ipaddress.ip_network(destination, strict=False)
    return any(network != pool and is_inside(network, pool) for pool in pools)


def route_text(route: Record) -> str:
    """A route as iproute2 writes it."""
    words = [route["destination"]] if route["type"] == "unicast" else [route["type"], route["destination"]]
    words += ["via", route["gateway"]] if route["gateway"] else []
    words += ["dev", route["device"]] if route["device"] else []
    words += ["proto", route["protocol"]]
    words += ["metric", str(route["metric"])] if route["metric"] else []
    words += ["table", route["table"]] if route["table"] != "main" else []
    return " ".join([*words, *(route["flags"] if "onlink" in route["flags"] else [])])
