# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts C(podnet_node): one reading of a node's kernel and files that changes nothing."""

from __future__ import annotations

import datetime
import itertools
import platform
import socket
import typing as t
from collections import Counter

from ansible_collections.podnet.cni.plugins.module_utils._cni import config_files, flannel_node, host_local
from ansible_collections.podnet.cni.plugins.module_utils._host import bird, cni_state, commands, iproute, netfilter, sysctl, systemd_timer, watchdog

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Record = dict[str, t.Any]

TOOLS = ("ip", "bridge", "nft", "iptables-save", "systemctl", "systemd-run")
SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.default.rp_filter",
    "net.ipv4.neigh.default.gc_thresh3",
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv6.conf.all.forwarding",
    "net.bridge.bridge-nf-call-iptables",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_max",
)


def collect_node_facts(module: AnsibleModule) -> Record:
    """Read the node, or fail with the reason."""
    try:
        return read_node(cni_state.Places.of(module.params))
    except commands.CommandError as exc:
        module.fail_json(msg=f"the node cannot be read: {exc}")
        raise


def read_node(places: cni_state.Places) -> Record:
    """Everything that C(podnet_node) holds."""
    links = iproute.read_links()
    routes = iproute.read_routes()
    vxlan = [facts for facts in map(iproute.vxlan_facts, links) if facts]
    bridge = iproute.bridge_facts(links, flannel_node.BRIDGE)
    missing = [tool for tool in TOOLS if not commands.find(tool)]
    return {
        "hostname": socket.gethostname(),
        "gathered_at": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "links": [iproute.link_facts(link) for link in links],
        "vxlan": vxlan,
        "cni0": bridge,
        "cali_interfaces": [
            {"name": link["ifname"], "mtu": link.get("mtu"), "operstate": link.get("operstate")}
            for link in links
            if flannel_node.is_calico_interface(link["ifname"])
        ],
        "fdb": iproute.read_fdb([device["name"] for device in vxlan]) if "bridge" not in missing else [],
        "neighbors": iproute.read_neighbors(),
        "routes": routes,
        "routes_by_protocol": dict(Counter(route["protocol"] for route in routes)),
        "bgp_sessions": bird.read_sessions(socket.gethostname()),
        "subnet_env": cni_state.read_subnet_env(places),
        "sysctls": sysctl.read([*SYSCTLS, *(sysctl.of_link("rp_filter", device["name"]) for device in vxlan)]),
        "watchdog": {"unit": watchdog.UNIT, **systemd_timer.read(watchdog.UNIT)._asdict()},
        "missing_tools": missing,
        **_files(places, bridge, routes),
        **_firewall(),
    }


def _files(places: cni_state.Places, bridge: Record | None, routes: t.Iterable[Record]) -> Record:
    """The part that files tell: configurations, plugins, pods, addresses."""
    configs = cni_state.read_configs(places)
    active = config_files.active(configs)
    leases = cni_state.read_leases(places)
    attachments = list(itertools.chain.from_iterable(cni_state.read_attachments(places).values()))
    networks = host_local.flannel_networks(configs, attachments)
    return {
        "active_cni": active
        and {
            "cni": active["cni"],
            "network_name": active["network_name"],
            "config_file": active["path"],
            "plugin_types": active["plugin_types"],
        },
        "cni_configs": configs,
        "cni_plugins": cni_state.read_programs(places),
        "pods": host_local.pods_by_data_plane(
            [lease for network in networks for lease in leases.get(network, [])],
            attachments,
            bridge["ports"] if bridge else (),
            iproute.calico_pod_addresses(routes),
            networks[0],
        ),
        "ipam": {
            "host_local": [
                {"network": network, "directory": str(places.leases / network), "addresses": addresses} for network, addresses in leases.items()
            ]
        },
    }


def _firewall() -> Record:
    """The part that the firewall tells: what Flannel and Calico have there."""
    chains: list[Record] = []
    rules: list[Record] = []
    for dummy, ruleset in netfilter.read_rulesets():
        for table, contents in ruleset.tables.items():
            place = {"backend": ruleset.backend, "family": ruleset.family, "table": table}
            for chain, lines in contents.items():
                owner = flannel_node.chain_owner(chain)
                if owner:
                    chains.append({"owner": owner, **place, "chain": chain, "rules": len(lines)})
                    continue
                owners = ((flannel_node.rule_owner(line), line) for line in lines)
                rules += [{"owner": who, **place, "chain": chain, "rule": line} for who, line in owners if who]
    tables = [{**table, "owner": flannel_node.NFT_TABLE_OWNERS.get(table["name"])} for table in netfilter.read_nft_tables()]
    return {"leftover_chains": chains, "leftover_rules": rules, "nft_tables": [table for table in tables if table["owner"]]}
