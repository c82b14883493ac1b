# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes become route reflectors, and what the peers of all nodes are then. Pure: no input, no output.

Reflectors take the place of a mesh between the nodes: every node has a session with each of them. Next hops stay the nodes, so reflectors carry
no packets of others, and whatever carries packets between two nodes has to know the way to their pods. Nodes that reach each other without a
router need nobody else. Routers between nodes must learn the routes too: from the reflectors, which is what a peer without a selector means then.
"""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_bgp_node
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_bgp_peer_spec import parse_as_number
from ansible_collections.podnet.cni.plugins.module_utils._plan.routing import Routes
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Facts, Situation
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import natural_key

Peer = dict[str, t.Any]
LEAST = 2
MOST = 3
"""One a zone, up to this many: each one more is a session more on every node, and a copy more of every route."""


def is_wanted(situation: Situation) -> bool:
    """Whether the user wants route reflectors."""
    return situation.settings.route_reflectors != "off"


def is_usable(node: Facts) -> bool:
    """Whether a node can reflect: Calico's BGP runs on Linux only, and a node that is not Ready may not run it."""
    return node.get("operating_system") in (None, "linux") and bool(node.get("ready"))


def existing(situation: Situation) -> list[str]:
    """Nodes that a run has made route reflectors."""
    return [node["name"] for node in situation.cluster_nodes if calico_bgp_node.REFLECTOR_LABEL in (node.get("labels") or {})]


def foreign(situation: Situation) -> dict[str, str]:
    """Nodes that somebody else has made route reflectors, with their cluster id."""
    ours = existing(situation)
    ids = {node["name"]: (node.get("annotations") or {}).get(calico_bgp_node.CLUSTER_ID) for node in situation.cluster_nodes}
    return {name: str(cluster_id) for name, cluster_id in ids.items() if cluster_id and name not in ours}


def chosen(situation: Situation) -> list[str]:
    """Names of the route reflectors, as people count; empty without reflectors, and when they cannot be chosen."""
    setting = situation.settings.route_reflectors
    if setting == "off":
        return []
    if setting != "auto":
        known = {node["name"] for node in situation.cluster_nodes}
        return sorted(dict.fromkeys(name for name in setting if name in known), key=natural_key)
    return _automatic(situation)


def _automatic(situation: Situation) -> list[str]:
    """Those that are reflectors already, and from the zones that have fewest of them, until there are enough.

    Of a zone, control planes come first, since they are not what an autoscaler takes away; then the order is that of the names, so that a second
    run chooses the same.
    """
    usable = {node["name"]: node for node in situation.cluster_nodes if is_usable(node)}
    names = [name for name in existing(situation) if name in usable]
    zones = {situation.zone_of(node) for node in usable.values()}
    number = len(names) if len(names) >= LEAST else max(LEAST, min(MOST, len(zones)))
    while len(names) < min(number, len(usable)):
        taken = [situation.zone_of(usable[name]) for name in names]

        def order(node: Facts, taken: list[str] = taken) -> tuple[t.Any, ...]:
            zone = situation.zone_of(node)
            return (taken.count(zone), natural_key(zone), not node.get("control_plane"), natural_key(str(node["name"])))

        names.append(min((node for name, node in usable.items() if name not in names), key=order)["name"])
    return sorted(names, key=natural_key)


def as_number_of(situation: Situation, node: Facts) -> t.Any:
    """The AS number of a node: that of its zone, the one that it has in Calico already, or that of all nodes."""
    of_zone = situation.settings.zone_as_numbers.get(situation.zone_of(node))
    annotated = (node.get("annotations") or {}).get(calico_bgp_node.AS_NUMBER)
    return next(value for value in (of_zone, annotated, situation.settings.as_number) if value is not None)


def labelled(situation: Situation) -> list[Facts]:
    """The nodes of the cluster with the label that reflectors are going to have, for selectors."""
    names = set(chosen(situation))
    label = {calico_bgp_node.REFLECTOR_LABEL: calico_bgp_node.REFLECTOR_VALUE}
    return [{**node, "labels": {**(node.get("labels") or {}), **label}} if node["name"] in names else node for node in situation.cluster_nodes]


def peers(situation: Situation) -> list[Peer]:
    """The peers to write, as options of M(podnet.cni.calico_bgp_peer): the user's, and the reflectors.

    With reflectors, a peer without C(node) and C(node_selector) is for the reflectors only. Outside of their AS BIRD puts itself in as the next
    hop, which would lead the packets for all pods through the reflectors, so such a peer keeps the next hops.
    """
    given = [dict(peer) for peer in situation.settings.bgp_peers]
    if not chosen(situation):
        return given
    for peer in given:
        if not peer.get("node") and not peer.get("node_selector"):
            peer["node_selector"] = calico_bgp_node.REFLECTORS
        if peer.get("keep_original_next_hop") is None and _is_outside(situation, peer):
            peer["keep_original_next_hop"] = True
    return [*given, {"name": calico_bgp_node.PEER, "node_selector": "all()", "peer_selector": calico_bgp_node.REFLECTORS}]


def _is_outside(situation: Situation, peer: Facts) -> bool:
    """Whether a peer has another AS than the reflectors."""
    names = chosen(situation)
    try:
        own = {parse_as_number(as_number_of(situation, node)) for node in situation.cluster_nodes if node["name"] in names}
        return parse_as_number(peer.get("as_number")) not in own
    except ValueError:
        return False


def node_settings(situation: Situation) -> list[dict[str, t.Any]]:
    """What M(podnet.cni.calico_bgp_node) has to set: for each node that is a reflector, or whose zone has an AS of its own."""
    names = chosen(situation)
    settings = []
    for node in situation.cluster_nodes:
        entry = {"name": node["name"]}
        of_zone = situation.settings.zone_as_numbers.get(situation.zone_of(node))
        if of_zone is not None:
            entry["as_number"] = of_zone
        if node["name"] in names:
            entry["cluster_id"] = calico_bgp_node.SHARED_CLUSTER_ID
        if len(entry) > 1:
            settings.append(entry)
    return settings


def behind_routers(situation: Situation) -> list[tuple[str, str, str]]:
    """Pairs of nodes that reach each other through a router, with the router, as far as the nodes' routes tell it: one pair for each node."""
    addresses = {node["name"]: node.get("internal_ip") for node in situation.cluster_nodes if node.get("internal_ip")}
    found = []
    for name, facts in ((node["name"], facts) for node, facts in situation.node_facts()):
        routes = Routes(facts)
        for other, address in addresses.items():
            route = routes.best(str(address)) if other != name and ":" not in str(address) else None
            if route is not None and route.get("gateway"):
                found.append((name, other, str(route["gateway"])))
                break
    return found
