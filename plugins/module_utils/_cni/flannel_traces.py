# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices, routes and rules of a node are Flannel's, and the text that removes or restores rules. Pure: readings in, selections out."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import flannel_node

Record = dict[str, t.Any]
Tables = t.Mapping[str, t.Mapping[str, t.Sequence[str]]]


class Network(t.NamedTuple):
    """Flannel's network and this node's part of it, of one address family."""

    family: str
    network: str
    pod_cidr: str | None


class Rule(t.NamedTuple):
    """A rule with its position in its chain, counted from 1."""

    table: str
    chain: str
    position: int
    text: str


class Firewall(t.NamedTuple):
    """What is Flannel's in one variant of iptables: chains with their rules, by table, and rules in chains of others."""

    chains: dict[str, dict[str, list[str]]]
    rules: list[Rule]


def networks_of(subnet_env: t.Mapping[str, str] | None) -> list[Network]:
    """Flannel's networks by C(subnet.env)."""
    found = []
    for family, infix in (("ip", ""), ("ip6", "IPV6_")):
        network = (subnet_env or {}).get(f"FLANNEL_{infix}NETWORK")
        subnet = (subnet_env or {}).get(f"FLANNEL_{infix}SUBNET")
        if network:
            found.append(Network(family, network, str(ipaddress.ip_interface(subnet).network) if subnet else None))
    return found


def select_firewall(tables: Tables, family: str, networks: t.Iterable[Network], cni_networks: t.Collection[str]) -> Firewall:
    """What is Flannel's in one variant: its chains, rules that lead into them, rules of old versions, and host ports of its pods."""
    known = next((network for network in networks if network.family == family), None)
    found = Firewall({}, [])
    for table, chains in tables.items():
        host_ports: set[str] = set()
        for chain, lines in chains.items():
            if flannel_node.chain_owner(chain) == "flannel":
                found.chains.setdefault(table, {})[chain] = list(lines)
                continue
            for position, line in enumerate(lines, 1):
                target = flannel_node.host_port_chain(line, cni_networks)
                if target:
                    host_ports.add(target)
                if target or flannel_node.is_flannel_rule(chain, line, family, known and known.network, known and known.pod_cidr):
                    found.rules.append(Rule(table, chain, position, line))
        for chain in sorted(host_ports & set(chains)):
            found.chains.setdefault(table, {})[chain] = list(chains[chain])
    return found


def by_table(firewall: Firewall) -> list[Firewall]:
    """A selection, table by table: each changes at once, all of them do not."""
    return [
        Firewall({table: firewall.chains.get(table, {})}, [rule for rule in firewall.rules if rule.table == table]) for table in _tables(firewall)
    ]


def _tables(firewall: Firewall) -> list[str]:
    return sorted({*firewall.chains, *(rule.table for rule in firewall.rules)})


def removal_text(firewall: Firewall) -> str:
    """Input of iptables-restore with C(--noflush) that removes a selection."""
    lines: list[str] = []
    for table in _tables(firewall):
        chains = firewall.chains.get(table, {})
        lines.append(f"*{table}")
        lines += [f"-D {rule.chain} {rule.text}" for rule in firewall.rules if rule.table == table]
        lines += [f"-F {chain}" for chain in chains]
        lines += [f"-X {chain}" for chain in chains]
        lines.append("COMMIT")
    return "".join(f"{line}\n" for line in lines)


def restoration_text(firewall: Firewall) -> str:
    """Input of iptables-restore with C(--noflush) that puts a selection back, each rule where it was."""
    lines: list[str] = []
    for table in _tables(firewall):
        chains = firewall.chains.get(table, {})
        lines.append(f"*{table}")
        lines += [f":{chain} - [0:0]" for chain in chains]
        lines += [f"-A {chain} {text}" for chain, texts in chains.items() for text in texts]
        lines += [f"-I {rule.chain} {rule.position} {rule.text}" for rule in firewall.rules if rule.table == table]
        lines.append("COMMIT")
    return "".join(f"{line}\n" for line in lines)


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
        elif route["type"] == "unicast" and route["gateway"] and route["protocol"] == "boot" and _inside(route["destination"], pools):
            direct.append(route)
    return by_device, direct


def _inside(destination: str, pools: t.Iterable[t.Any]) -> bool:
    network = ipaddress.ip_network(destination, strict=False)
    return any(network.version == pool.version and network != pool and network.subnet_of(pool) for pool in pools)


def route_text(route: Record) -> str:
    """A route as iproute2 writes it."""
    words = [route["destination"]] if route["type"] == "unicast" else [route["type"], route["destination"]]
    words += ["via", route["gateway"]] if route["gateway"] else []
    words += ["dev", route["device"]] if route["device"] else []
    words += ["proto", route["protocol"]]
    words += ["metric", str(route["metric"])] if route["metric"] else []
    words += ["table", route["table"]] if route["table"] != "main" else []
    return " ".join([*words, *(route["flags"] if "onlink" in route["flags"] else [])])
