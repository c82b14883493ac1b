# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about another mode for a cluster that is on Calico: what would cut pods off on the way from one to the other, or afterwards."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_bgp_peer_spec import parse_as_number
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_fabric import TUNNEL
from ansible_collections.podnet.cni.plugins.module_utils._plan import reflectors
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, INFO, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.modes import VXLAN_OVERHEAD
from ansible_collections.podnet.cni.plugins.module_utils._plan.rules.host import rp_filter_of
from ansible_collections.podnet.cni.plugins.module_utils._plan.switch_situation import Switch
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed, natural, node_subject, per_node

VARIABLE = "podnet_calico_routing"
STRICT = 1
_PAGE = "podnet.cni:docs/switch_routing.md"
_FELIX = "projectcalico/calico:felix/dataplane/linux/int_dataplane.go"
_ANNOUNCED = ("serviceClusterIPs", "serviceExternalIPs", "serviceLoadBalancerIPs", "prefixAdvertisements")


def _changes(situation: Switch) -> bool:
    return situation.now is not None and situation.now != situation.mode


def not_on_calico(situation: Switch) -> t.Iterator[Finding]:
    """Nodes that are not wholly on Calico, or Flannel beside it."""
    names = situation.not_on_calico()
    if names or situation.flannel:
        yield Finding(
            "switch-not-on-calico",
            BLOCKER,
            node_subject(names) if names else "DaemonSet of Flannel",
            f"{count(len(names), 'node')} not wholly on Calico; Flannel is {'still there' if situation.flannel else 'not there'}.",
            "Flannel's routes and the guard routes of the migration would win over the ways that this playbook keeps.",
            "Finish the migration first: run migrate_to_calico with the mode that it was begun with.",
            _PAGE,
            tuple(names),
        )


def unknown_mode(situation: Switch) -> t.Iterator[Finding]:
    """A pool that is led by none of the four modes."""
    if situation.now is None:
        pools = (f"{pool.get('name')} {pool.get('cidr')}" for pool in (situation.calico or {}).get("pools") or [])
        yield Finding(
            "switch-mode-unknown",
            BLOCKER,
            "IPPool",
            f"Pools: {listed(pools) or 'none'}.",
            "This playbook knows clusters with one IPv4 pool for all nodes, without IP in IP.",
            "Disable pools that no pod uses, or change the mode by hand.",
            _PAGE,
        )


def other_data_plane(situation: Switch) -> t.Iterator[Finding]:
    """Felix leads packets by other means than routes, or an operator owns the pool."""
    felix = (situation.calico or {}).get("felix") or {}
    found = [name for name in ("bpfEnabled", "wireguardEnabled") if felix.get(name)]
    found += ["vxlanEnabled"] if felix.get("vxlanEnabled") is not None else []
    found += ["the Tigera operator"] if (situation.calico or {}).get("operator") else []
    if found:
        yield Finding(
            "switch-other-data-plane",
            BLOCKER,
            "Calico",
            f"In use: {listed(found)}.",
            "eBPF and WireGuard lead packets past the routing tables that keep the ways; with vxlanEnabled Felix does not look at the pool; the "
            "operator would set the pool back.",
            "Take the field out of FelixConfiguration default if it was forgotten there; with the operator, change its Installation.",
            "projectcalico/calico:felix/calc/encapsulation_resolver.go",
        )


def affinity_not_strict(situation: Switch) -> t.Iterator[Finding]:
    """Nodes may borrow addresses of other nodes' blocks, or have done so."""
    blocks = {block["cidr"] for block in situation.blocks}
    borrowed = {
        node["name"]: route["destination"]
        for node, facts in situation.node_facts()
        for route in facts.get("routes") or []
        if route.get("gateway") and str(route["destination"]).endswith("/32") and route["destination"] not in blocks and _is_pod(situation, route)
    }
    strict = ((situation.calico or {}).get("ipam_config") or {}).get("strictAffinity") is True
    if _changes(situation) and (borrowed or not strict):
        yield Finding(
            "switch-affinity-not-strict",
            BLOCKER,
            "IPAMConfig default",
            f"strictAffinity is {str(strict).lower()}; borrowed addresses, by a node that routes to one: {per_node(borrowed) or 'none'}.",
            "The way to a block is kept while Calico's routes change. A pod that starts meanwhile with an address of another node's block would "
            "not be reached.",
            "Set strictAffinity: `calicoctl ipam configure --strictaffinity=true`; delete the pods with borrowed addresses, which get others.",
            "projectcalico/calico:libcalico-go/lib/ipam/ipam.go",
        )


def _is_pod(situation: Switch, route: t.Mapping[str, t.Any]) -> bool:
    address = str(route["destination"]).split("/", 1)[0]
    return any(pod.get("ip") == address and not pod.get("host_network") for pod in situation.pods)


def several_subnets(situation: Switch) -> t.Iterator[Finding]:
    """A mesh of nodes that are not on one link."""
    subnets = collections.Counter(situation.subnets.values())
    if _changes(situation) and situation.mode.node_mesh and len(subnets) > 1:
        yield Finding(
            "switch-several-subnets",
            BLOCKER,
            VARIABLE,
            f"It is '{situation.mode.name}', and the nodes are in {len(subnets)} subnets: {listed(natural(subnets), 4)}.",
            "Without a tunnel and without BGP, the routers between the subnets do not know where pods are, and drop their packets.",
            "Set podnet_calico_routing to cross_subnet, or to bgp with the routers as peers.",
            "projectcalico/calico:confd/etc/calico/confd/templates/bird.cfg.template",
        )


def peers_missing(situation: Switch) -> t.Iterator[Finding]:
    """BGP without a router to speak it with."""
    if _changes(situation) and situation.mode.peers and not situation.settings.bgp_peers and not situation.peers:
        yield Finding(
            "switch-no-peers",
            BLOCKER,
            "podnet_bgp_peers",
            f"No router is given, and {VARIABLE} is '{situation.mode.name}'.",
            "Nobody would tell the nodes the way to each other's pods.",
            "Give the routers in podnet_bgp_peers, or another mode.",
            _PAGE,
        )


def bgp_not_simple(situation: Switch) -> t.Iterator[Finding]:
    """Route reflectors, AS numbers that differ, or another one than Calico has."""
    settings = situation.settings
    own = situation.bgp_configuration.get("asNumber")
    found = []
    if reflectors.existing(situation) or reflectors.foreign(situation) or reflectors.is_wanted(situation):
        found.append("route reflectors among the nodes")
    if settings.zone_as_numbers:
        found.append("podnet_bgp_zone_as_numbers")
    try:
        wanted = parse_as_number(settings.as_number)
        found += ["routers of another AS"] if any(parse_as_number(peer.get("as_number")) != wanted for peer in settings.bgp_peers) else []
        found += [f"podnet_bgp_as_number {wanted} beside {own} of BGPConfiguration default"] if own and parse_as_number(own) != wanted else []
    except ValueError as exc:
        found.append(f"an AS number that is none ({exc})")
    if _changes(situation) and found:
        yield Finding(
            "switch-bgp-not-simple",
            BLOCKER,
            "BGP",
            f"There are {listed(found)}.",
            "While both ways are there, nodes of another AS than their routers would announce the blocks of other nodes as well, and a change of "
            "reflectors or AS numbers ends sessions that carry the pods. This playbook does not know an order of steps for that.",
            "Take the setting back, or make podnet_bgp_as_number the AS number that Calico has; else change the mode by hand, in a maintenance "
            "window.",
            "projectcalico/calico:confd/etc/calico/confd/templates/bird_ipam.cfg.template",
        )


def services_announced(situation: Switch) -> t.Iterator[Finding]:
    """BGP announces more than pods, and would end."""
    fields = [name for name in _ANNOUNCED if situation.bgp_configuration.get(name)]
    if _changes(situation) and situation.mode.tunnel and fields:
        yield Finding(
            "switch-services-announced",
            BLOCKER,
            "BGPConfiguration default",
            f"It has {listed(fields)}.",
            f"With {VARIABLE}={situation.mode.name} nodes do not speak BGP, and nobody would announce these addresses any more.",
            "Announce them by other means first and remove the fields, or stay with a mode that has BGP.",
            _PAGE,
        )


def tunnel_without_address(situation: Switch) -> t.Iterator[Finding]:
    """Nodes that have no address left for a tunnel."""
    if not _changes(situation) or not situation.mode.tunnel or (situation.now and situation.now.tunnel):
        return
    config = (situation.calico or {}).get("ipam_config") or {}
    most = config.get("maxBlocksPerHost")
    claimed = collections.Counter(str(entry.get("node")) for entry in (situation.calico or {}).get("affinities") or [])
    free: collections.Counter[str] = collections.Counter()
    for block in situation.blocks:
        free[block["node"]] += int(block.get("free") or 0)
    full = [node["name"] for node in situation.cluster_nodes if not free[node["name"]] and most and claimed[node["name"]] >= int(most)]
    if full:
        yield Finding(
            "switch-no-tunnel-address",
            BLOCKER,
            node_subject(full),
            f"All addresses of its {most} blocks are in use.",
            "A tunnel takes one address of its node, and calico-node does not start without it.",
            "Raise maxBlocksPerHost (IPAMConfig default), or move a pod away from the node.",
            "projectcalico/calico:node/pkg/allocateip/allocateip.go",
            tuple(full),
        )


def no_probe_address(situation: Switch) -> t.Iterator[Finding]:
    """Nodes on which the new way cannot be proved."""
    bare = [node["name"] for node in situation.cluster_nodes if situation.probe_address(node["name"]) is None]
    if _changes(situation) and bare:
        yield Finding(
            "switch-no-probe-address",
            BLOCKER,
            node_subject(bare),
            "It has no block with a free address.",
            "The new way is proved between free addresses of the nodes before a packet of a pod takes it.",
            "Start a pod on the node, so that it claims a block, or move one away.",
            "podnet.cni:plugins/modules/calico_fabric_probe.py",
            tuple(bare),
        )


def reverse_path_filter(situation: Switch) -> t.Iterator[Finding]:
    """The kernel would drop packets that come in by another link than the way back leads over."""
    strict: dict[str, str] = {}
    for node, facts in situation.node_facts():
        names = [name for name in (TUNNEL, (situation.links.get(node["name"]) or {}).get("name")) if name]
        found = [name for name in names if rp_filter_of(facts, name)[0] == STRICT]
        if found:
            strict[node["name"]] = listed(found)
    both = situation.now is not None and (situation.now.tunnel or situation.mode.tunnel)
    if _changes(situation) and both and strict:
        yield Finding(
            "switch-rp-filter-strict",
            BLOCKER,
            node_subject(strict),
            f"rp_filter is 1 (strict), as far as it is known, for {per_node(strict)}.",
            "Nodes take the new way one after the other, and old connections keep the old one, so that packets go through the tunnel one way and "
            "natively the other; a strict filter drops them.",
            "Set it to 2 (loose) on the node: `sysctl -w net.ipv4.conf.all.rp_filter=2`, and in /etc/sysctl.d.",
            "torvalds/linux:Documentation/networking/ip-sysctl.rst",
            tuple(strict),
        )


def no_nftables(situation: Switch) -> t.Iterator[Finding]:
    """Nodes without the program that tells old connections from new ones."""
    names = [node["name"] for node, facts in situation.node_facts() if {"nft", "systemd-run", "ip"} & set(facts.get("missing_tools") or [])]
    if _changes(situation) and names:
        yield Finding(
            "switch-tools-missing",
            BLOCKER,
            node_subject(names),
            "ip, nft or systemd-run is missing.",
            "They lead packets by tables of their own, tell old connections from new ones, and take all that away when nobody can reach the node.",
            "Install iproute2, nftables and systemd.",
            "podnet.cni:plugins/modules/route_guard.py",
            tuple(names),
        )


def long_connections(situation: Switch) -> t.Iterator[Finding]:
    """Connections that end with the tunnel."""
    if _changes(situation) and situation.now and situation.now.tunnel and not situation.mode.tunnel:
        yield Finding(
            "switch-long-connections",
            WARNING,
            "cluster",
            "Programs on the nodes themselves that connect to addresses of pods, not to a Service, do so from the tunnel's address.",
            "That address goes with the tunnel, and with it what still comes from it. Such connections keep the tunnel for podnet_drain_seconds, "
            "while new ones go natively; what is older then ends, and has to be opened anew. All others go on.",
            "Set podnet_drain_seconds to the longest time that such a connection may last.",
            "torvalds/linux:net/ipv4/route.c",
        )


def policies_of_nodes(situation: Switch) -> t.Iterator[Finding]:
    """NetworkPolicies that let nodes in may not know what a node's own packets will come from."""
    policies = situation.cluster.get("network_policies") or []
    if _changes(situation) and policies and situation.mode.tunnel and situation.now and not situation.now.tunnel:
        yield Finding(
            "switch-policies-nodes",
            WARNING,
            count(len(policies), "NetworkPolicy", "NetworkPolicies"),
            "Each node gets an address for its tunnel, one of its blocks.",
            "What a node itself sends to pods of other nodes through the tunnel comes from this address, also what kube-proxy masquerades, such as "
            "requests to a NodePort. Policies that let nodes in by the addresses of their links forbid it.",
            "Let the blocks of the nodes in for the time of the switch; afterwards the annotation projectcalico.org/IPv4VXLANTunnelAddr tells the "
            "address.",
            "projectcalico/calico:felix/rules/static.go",
        )


def mtu_shrinks(situation: Switch) -> t.Iterator[Finding]:
    """Pods keep an MTU that does not fit the new way."""
    path = situation.path_mtu
    names = {str(pod["ip"]): f"{pod['namespace']}/{pod['name']}" for pod in situation.pods if pod.get("ip") and not pod.get("host_network")}
    large = {
        names.get(address, address): mtu
        for node in situation.cluster_nodes
        for address, mtu in situation.pod_mtus(node["name"]).items()
        if path is not None and mtu > path
    }
    if _changes(situation) and situation.mode.tunnel and large:
        yield Finding(
            "switch-mtu-shrinks",
            WARNING,
            count(len(large), "pod"),
            f"MTU of pods: {per_node(large)}. What fits through the tunnel is {path}.",
            "A pod keeps the MTU that it was started with. Its node tells it by ICMP that packets to other nodes must be smaller: TCP adapts after "
            "its first full packet, UDP without path MTU discovery is fragmented. Where policies or firewalls drop ICMP 'fragmentation needed', "
            "full packets are lost and connections hang.",
            "Let ICMP type 3 code 4 pass, and restart these pods when it suits you: pods that start after the switch have the smaller MTU.",
            _FELIX,
        )


def mtu_grows(situation: Switch) -> t.Iterator[Finding]:
    """New pods get a larger MTU than old ones."""
    leaves = _changes(situation) and situation.now is not None and situation.now.tunnel and not situation.mode.tunnel
    if leaves:
        yield Finding(
            "switch-mtu-grows",
            INFO,
            "cluster",
            f"Pods that start after the switch have an MTU that is {VXLAN_OVERHEAD} larger; pods that run keep theirs.",
            "TCP uses the smaller of both. Large UDP packets from new pods to old ones fit the link, and the old pod's interface takes them.",
            "Nothing to do; restart pods when it suits you, to get the larger MTU.",
            _FELIX,
        )


def untried(situation: Switch) -> t.Iterator[Finding]:
    """A playbook whose scenario has not passed in the lab."""
    yield Finding(
        "setting-untried",
        WARNING if situation.settings.allow_untried else BLOCKER,
        "switch_routing",
        f"To be led by {situation.settings.routing}.",
        "It has led a cluster under load from each of three modes to the next in the lab. When Felix gives up the routes of a tunnel, it has the "
        "kernel forget the connections of the first address of each block; those of pods that have such an address, through Services, were lost.",
        "Leave it as it is; or carry it out where such connections may be lost, with podnet_allow_untried=true.",
        "projectcalico/calico:felix/routetable/route_table.go",
    )


RULES = (
    untried,
    not_on_calico,
    unknown_mode,
    other_data_plane,
    affinity_not_strict,
    several_subnets,
    peers_missing,
    bgp_not_simple,
    services_announced,
    tunnel_without_address,
    no_probe_address,
    reverse_path_filter,
    no_nftables,
    long_connections,
    policies_of_nodes,
    mtu_shrinks,
    mtu_grows,
)
