# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes' routes and BGP sessions say about the way to other nodes' pods. Pure: no input, no output."""

from __future__ import annotations

import functools
import ipaddress
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_fabric import TUNNEL
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_sessions import ESTABLISHED, explain
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, Finding, ordered
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import listed, natural, node_subject

Facts = t.Mapping[str, t.Any]
BIRD = "bird"
FELIX = "80"
"""Protocol of Felix's routes to pods of other nodes of the subnet, for pools with VXLAN (felix/dataplane/linux/vxlan_mgr.go)."""
_FAULTS = ("unreachable", "prohibit")
"""Route types that BIRD installs for a next hop that it cannot resolve. Its blackholes are normal: for the node's own blocks."""
_RESOLUTION = "projectcalico/bird:nest/rt-table.c"
_MOST = 4


def _ipv4_routes(node: Facts) -> list[Facts]:
    return [route for route in node.get("routes") or [] if route.get("table", "main") == "main" and ":" not in route["destination"]]


class Routes:
    """The IPv4 routes of a node's main table, to be asked many times: a cluster has as many destinations as nodes and blocks."""

    def __init__(self, node: Facts) -> None:
        self._best: dict[tuple[int, int], Facts] = {}
        for route in _ipv4_routes(node):
            key = _key(route["destination"])
            if key not in self._best or _rank(route) > _rank(self._best[key]):
                self._best[key] = route
        self._lengths = sorted({length for length, dummy in self._best}, reverse=True)

    def best(self, destination: str) -> Facts | None:
        """The route that the node takes to an address or a block: the longest prefix, and of equal ones as C(_rank) says."""
        longest, bits = _key(destination)
        for length in self._lengths:
            route = self._best.get((length, bits >> (longest - length))) if length <= longest else None
            if route is not None:
                return route
        return None


@functools.lru_cache(maxsize=65536)  # all nodes have routes to the same destinations
def _key(destination: str) -> tuple[int, int]:
    """Prefix length and the bits of a prefix."""
    network = ipaddress.IPv4Network(destination, strict=False)
    return network.prefixlen, int(network.network_address) >> (32 - network.prefixlen)


def _rank(route: Facts) -> int:
    """Of equal prefixes a direct link wins, then BIRD's, as in BIRD's own table."""
    direct = route.get("protocol") == "kernel" and not route.get("gateway")
    return 2 if direct else int(route.get("protocol") in (BIRD, FELIX))


def exported_node_subnets(cluster: Facts, nodes: t.Mapping[str, Facts]) -> t.Iterator[Finding]:
    """Nodes that reach other nodes by a route that BGP brought.

    BIRD refuses to resolve the next hop of a BGP route by another BGP route and installs C(unreachable) instead.
    """
    addresses = {address: node["name"] for node in cluster.get("nodes") or [] for address in node.get("internal_ips") or [] if ":" not in address}
    learned: dict[str, dict[str, list[str]]] = {}
    for name, facts in nodes.items():
        routes_of_node = Routes(facts)
        for address, other in addresses.items():
            route = routes_of_node.best(address) if other != name else None
            if route and route.get("protocol") == BIRD:
                text = str(route["destination"]) + (f" via {route['gateway']}" if route.get("gateway") else "")
                learned.setdefault(name, {}).setdefault(text, []).append(other)
    if not learned:
        return
    first = natural(learned)[0]
    routes = (f"{text} ({listed(natural(others), _MOST)})" for text, others in sorted(learned[first].items()))
    yield Finding(
        "router-exports-node-subnets",
        BLOCKER,
        node_subject(learned),
        f"{first} has BGP routes to the addresses of other nodes: {listed(routes, _MOST)}.",
        "The router exports the node subnets as well as pod routes. BIRD on the nodes then resolves next hops through BGP itself and "
        "installs unreachable routes for the pods of other nodes: a total outage.",
        "On the router, export pod routes only to the nodes, for example in BIRD 2: `export where net ~ [ POD_NETWORK+ ];`. The nodes reach "
        "each other by their own routes as before.",
        _RESOLUTION,
        tuple(natural(learned)),
    )


def unreachable_routes(nodes: t.Mapping[str, Facts]) -> t.Iterator[Finding]:
    """Routes whose next hop BIRD could not resolve."""
    for name in natural(nodes):
        routes = [route for route in _ipv4_routes(nodes[name]) if route.get("protocol") == BIRD and route.get("type") in _FAULTS]
        if routes:
            yield Finding(
                "route-unreachable",
                BLOCKER,
                node_subject([name]),
                f"{listed((_route_text(route) for route in routes), _MOST)}.",
                "BIRD could not resolve the next hop of these routes, so every packet from this node to these pods is refused, and the "
                "longer prefix wins over Flannel's working route.",
                "Let the router keep the next hop of the announcing node and export pod routes only; `birdcl show route all` in calico-node "
                "shows the next hop that failed.",
                _RESOLUTION,
                (name,),
            )


def _route_text(route: Facts) -> str:
    return f"{route['type']} {route['destination']} proto {route['protocol']}"


def down_sessions(cluster: Facts, nodes: t.Iterable[str]) -> t.Iterator[Finding]:
    """BGP sessions that are not Established, as far as the cluster tells any."""
    wanted = set(nodes)
    for session in (cluster.get("calico") or {}).get("sessions") or []:
        if session.get("node") not in wanted or session.get("state") == ESTABLISHED:
            continue
        why = session.get("why") or explain(session.get("state"), session.get("info"))
        since = f" since {session['since']}" if session.get("since") else ""
        yield Finding(
            "bgp-session-down",
            BLOCKER,
            node_subject([session["node"]]),
            f"The session with {session.get('peer')} is {session.get('state') or 'not known'}{since}: {why}.",
            "Without it the node neither announces its blocks to this router nor learns the way to others'.",
            f"Check the router's configuration for {session['node']} and TCP port 179 both ways; `birdcl show protocols all` in calico-node "
            "shows the last error.",
            "projectcalico/calico:api/pkg/apis/projectcalico/v3/nodestatus.go",
            (str(session["node"]),),
        )


def _vxlan_mode(cluster: Facts, block: str) -> str:
    """The C(vxlanMode) of the pool that a block is part of."""
    network = ipaddress.ip_network(block)
    for pool in (cluster.get("calico") or {}).get("pools") or []:
        if pool.get("cidr") and ":" not in pool["cidr"] and network.subnet_of(ipaddress.IPv4Network(pool["cidr"])):  # type: ignore[arg-type]
            return str(pool.get("vxlanMode") or "Never")
    return "Never"


def _is_usable(route: Facts | None, vxlan_mode: str) -> bool:
    """Whether a route is by whom routes of such a pool are made, and leads to where they lead."""
    if route is None or route.get("type") in _FAULTS:
        return False
    if vxlan_mode == "Never":
        return route.get("protocol") == BIRD
    return route.get("device") == TUNNEL or (vxlan_mode == "CrossSubnet" and route.get("protocol") == FELIX)


def routes_of_calico(node: Facts) -> int:
    """How many routes to pods of other nodes are by BIRD or Felix."""
    return sum(
        1
        for route in _ipv4_routes(node)
        if route.get("type") not in ("blackhole", *_FAULTS) and (route.get("protocol") in (BIRD, FELIX) or route.get("device") == TUNNEL)
    )


def missing_block_routes(cluster: Facts, nodes: t.Mapping[str, Facts], severity: str) -> t.Iterator[Finding]:
    """Blocks with pods that a node has no route of Calico's to, or a longer one of somebody else's that wins, such as Flannel's.

    So a default route that BGP brings is no route to a block as long as Flannel has one.
    """
    blocks = [
        (str(block["cidr"]), str(block["node"]), _vxlan_mode(cluster, str(block["cidr"])))
        for block in (cluster.get("calico") or {}).get("blocks") or []
        if block.get("node") and block.get("allocated") and ":" not in block["cidr"]
    ]
    for name in natural(nodes):
        routes = Routes(nodes[name])
        missing = [(block, owner, mode) for block, owner, mode in blocks if owner != name and not _is_usable(routes.best(block), mode)]
        by_bird = [f"{block} of {owner}" for block, owner, mode in missing if mode == "Never"]
        by_felix = [f"{block} of {owner}" for block, owner, mode in missing if mode != "Never"]
        if by_bird:
            yield Finding(
                "block-route-missing",
                severity,
                node_subject([name]),
                f"No BGP route to {listed(by_bird, _MOST)}.",
                "Packets to these pods still go through Flannel, and would go nowhere without it.",
                "Check the sessions of both nodes, and that the router sends the routes of one node to the others (route reflector client).",
                "projectcalico/calico:confd/etc/calico/confd/templates/bird_ipam.cfg.template",
                (name,),
            )
        if by_felix:
            yield Finding(
                "block-route-of-felix-missing",
                severity,
                node_subject([name]),
                f"No route of Felix's to {listed(by_felix, _MOST)}.",
                "Packets to these pods still go through Flannel, and would go nowhere without it.",
                "Check that the nodes have the annotation projectcalico.org/IPv4VXLANTunnelAddr, and look at the log of calico-node on this node.",
                "projectcalico/calico:felix/dataplane/linux/vxlan_mgr.go",
                (name,),
            )


def routing_findings(cluster: Facts, nodes: t.Mapping[str, Facts]) -> list[Finding]:
    """What forbids to move pods to these nodes, or to go on."""
    found = [*exported_node_subnets(cluster, nodes), *unreachable_routes(nodes), *down_sessions(cluster, nodes)]
    return ordered(found)
