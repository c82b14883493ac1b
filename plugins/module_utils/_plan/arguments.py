# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From facts and a plan to the arguments of the modules that carry it out. Pure: no input, no output."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_resources import TUNNEL_ANNOTATION

Facts = t.Mapping[str, t.Any]


class MatchedNodes(t.TypedDict):
    """Inventory hosts found to be nodes of the cluster: facts and host by node name."""

    facts: dict[str, Facts]
    hosts: dict[str, str]


def match_nodes(cluster: Facts, hosts: t.Sequence[str], hostvars: t.Mapping[str, Facts]) -> MatchedNodes:
    """Say which inventory host is which node.

    By C(podnet_node_name) if the inventory sets it, else by the inventory name, the host name that the host has, or the address by
    which Ansible reaches it, in this order. A host that is no node keeps its inventory name as key, so that the preflight can tell.

    :raises ValueError: when two hosts are the same node.
    """
    names = {node["name"] for node in cluster.get("nodes", [])}
    by_address = {address: node["name"] for node in cluster.get("nodes", []) for address in node.get("internal_ips", [])}
    facts: dict[str, Facts] = {}
    matched: dict[str, str] = {}
    for host in hosts:
        variables = hostvars[host]
        node_facts = (variables.get("ansible_facts") or {}).get("podnet_node")
        name = variables.get("podnet_node_name")
        if not name:
            candidates = [host, (node_facts or {}).get("hostname")]
            name = next((candidate for candidate in candidates if candidate in names), None)
            name = name or by_address.get(str(variables.get("ansible_host", host)), host)
        if matched.setdefault(name, host) != host:
            raise ValueError(
                f"hosts: {matched[name]} and {host} of the inventory are both node {name}, and each node is moved once; leave one out of the "
                "group, or set podnet_node_name of the one that is another node"
            )
        if node_facts:
            facts[name] = node_facts
    return MatchedNodes(facts=facts, hosts=matched)


def block_claims(plan: Facts, tunnels: bool = False) -> list[dict[str, t.Any]]:
    """The claims of C(calico_ipam): all blocks inside a node's podCIDR, for each node of the plan.

    With C(tunnels) those that may be there before Calico has given an address to the tunnel of every node: of a node without one the block
    alone that it is to be from, since Calico's IPAM takes every block that it looks at.
    """

    def of_node(node: Facts) -> list[str]:
        waits = tunnels and node.get("tunnel") and not node["tunnel"]["present"]
        return [node["tunnel"]["block"]] if waits else list(node["blocks"])

    return [{"node": node["name"], "blocks": of_node(node)} for node in plan["nodes"]]


def tunnel_problems(plan: Facts, cluster: Facts) -> list[str]:
    """What is wrong with the addresses of the nodes' tunnels, after calico-node has started: one text for each node, with a remedy."""
    given = {node["name"]: (node.get("annotations") or {}).get(TUNNEL_ANNOTATION) for node in cluster.get("nodes") or []}
    problems = []
    for node in plan["nodes"]:
        wanted, found = node["tunnel"]["address"], given.get(node["name"])
        if found is None:
            problems.append(
                f"{node['name']}: Calico has not given its tunnel an address (annotation {TUNNEL_ANNOTATION}); look at the log of calico-node there"
            )
        elif found != wanted:
            problems.append(
                f"{node['name']}: Calico's tunnel has {found} instead of {wanted}, which is not kept from Flannel; delete the annotation "
                f"{TUNNEL_ANNOTATION} of the node and the IPAM allocation of {found} (calicoctl ipam release --ip={found}), then restart calico-node"
            )
    return problems


BROUGHT_BY_CALICO = ("bandwidth", "portmap", "tuning")
"""Plugins of Calico's image that its installer writes and that Flannel does without, unless its configuration names them
(projectcalico/calico:cni-plugin/pkg/install/install.go)."""


def plugins_of_calico(node: Facts, before: t.Collection[str], known: bool = True) -> list[str]:
    """The CNI plugins of a node that came with Calico and that no other CNI configuration uses.

    C(node) are its facts, C(before) the names of the plugins that it had before; without C(known) nothing tells that, and nobody's file is
    taken away.
    """
    used = {plugin for config in node.get("cni_configs") or [] if config.get("cni") != "calico" for plugin in config.get("plugin_types") or []}
    present = {program["name"] for program in node.get("cni_plugins") or []}
    return sorted(name for name in BROUGHT_BY_CALICO if known and name in present and name not in before and name not in used)


def probe_targets(nodes: t.Iterable[Facts]) -> list[dict[str, str]]:
    """The targets of C(calico_fabric_probe): one unused pod address for each of the nodes."""
    return [{"node": node["name"], "address": node["probe_address"]} for node in nodes if node.get("probe_address")]


def node_reservation(node_name: str) -> str:
    """Name of the IPReservation that keeps the addresses of a node's remaining Flannel pods."""
    return f"podnet-flannel-{node_name}"


def migration_reservations(plan: Facts) -> list[dict[str, t.Any]]:
    """Every IPReservation that only the migration needs, for C(calico_ipam) with C(state=absent)."""
    names = ["podnet-flannel-node-addresses"] + [node_reservation(node["name"]) for node in plan["nodes"]]
    return [{"name": name, "cidrs": []} for name in names]


def service_checks(cluster: Facts, kind: str) -> list[dict[str, t.Any]]:
    """The checks of C(cni_probe) that every cluster allows: the API server's Service (C(tcp)), cluster DNS (C(dns)).

    :raises ValueError: for another kind.
    """
    services = cluster.get("services") or {}
    if kind == "tcp":
        api = services.get("kubernetes")
        return [{"name": "API server by its Service", "address": api["address"], "port": api["port"]}] if api else []
    if kind == "dns":
        dns = services.get("dns")
        name = f"kubernetes.default.svc.{services.get('domain') or 'cluster.local'}"
        return [{"server": dns["address"], "name": name}] if dns else []
    raise ValueError(f"kind: '{kind}' is no kind of check; use tcp or dns")


def vxlan_packets(before: t.Iterable[Facts], after: t.Iterable[Facts]) -> int:
    """Packets that Flannel's VXLAN devices received and sent between two readings of C(podnet_node.vxlan)."""

    def count(devices: t.Iterable[Facts]) -> dict[str, int]:
        return {
            device["name"]: int(device.get("rx_packets") or 0) + int(device.get("tx_packets") or 0)
            for device in devices
            if str(device["name"]).startswith("flannel")
        }

    first = count(before)
    return sum(max(0, packets - first.get(name, 0)) for name, packets in count(after).items())


def findings_line(findings: t.Iterable[Facts]) -> str:
    """The findings that block, as one line for an error message: what, why, remedy."""
    blockers = [finding for finding in findings if finding["severity"] == "blocker"]
    return " ".join(
        f"[{finding['id']}] {finding['subject']}: {finding['evidence']} {finding['why']} Remedy: {finding['remedy']}" for finding in blockers
    )
