# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes and sessions that would cut pods off, on facts of a real cluster."""

from __future__ import annotations

import ipaddress
import time

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import routing
from ansible_collections.podnet.cni.tests.unit.fixtures.facts import Lab, moved_lab, route
from hypothesis import given
from hypothesis import strategies as st


def findings(lab, names=None):
    return routing.routing_findings(lab.cluster, {name: lab.nodes[name] for name in names or lab.nodes})


def missing(lab, severity="blocker"):
    return list(routing.missing_block_routes(lab.cluster, lab.nodes, severity))


def drop_routes(lab, node, destination):
    facts = lab.nodes[node]
    facts["routes"] = [entry for entry in facts["routes"] if entry["destination"] != destination]


def session(node, state, **values):
    return {"node": node, "peer": "172.30.1.1", "type": "GlobalPeer", "state": state, "since": None, **values}


def test_a_sound_cluster_has_no_findings_before_and_after():
    assert findings(Lab()) == []
    assert findings(moved_lab()) == []
    assert missing(moved_lab()) == []


def test_a_router_that_exports_the_node_subnets_is_refused_with_that_reason():
    lab = Lab()
    lab.nodes["n1"]["routes"] += [route("172.30.2.0/24", "172.30.1.1", "bird"), route("172.30.1.0/24", "172.30.1.1", "bird")]
    (found,) = findings(lab)
    assert (found.id, found.severity, found.subject, found.nodes) == ("router-exports-node-subnets", "blocker", "node n1", ("n1",))
    assert found.evidence == "n1 has BGP routes to the addresses of other nodes: 172.30.2.0/24 via 172.30.1.1 (n2, n3)."
    assert "The router exports the node subnets" in found.why


def test_every_node_that_has_such_routes_is_named():
    lab = Lab()
    lab.nodes["n2"]["routes"].append(route("172.30.1.11/32", "172.30.2.1", "bird"))
    lab.nodes["n3"]["routes"].append(route("172.30.1.11/32", None, "bird", type="unreachable"))
    assert [(found.id, found.subject) for found in findings(lab)] == [
        ("route-unreachable", "node n3"),
        ("router-exports-node-subnets", "nodes n2, n3"),
    ]


def test_bgp_may_repeat_the_subnet_of_the_nodes_own_link():
    lab = Lab()
    lab.nodes["n2"]["routes"].append(route("172.30.2.0/24", "172.30.2.1", "bird"))
    assert findings(lab) == []


@pytest.mark.parametrize("kind", ["unreachable", "prohibit"])
def test_routes_whose_next_hop_was_not_resolved(kind):
    lab = moved_lab()
    lab.nodes["n2"]["routes"].append(route("10.244.0.0/26", None, "bird", type=kind))
    (found,) = findings(lab)
    assert (found.id, found.severity, found.nodes) == ("route-unreachable", "blocker", ("n2",))
    assert found.evidence == f"{kind} 10.244.0.0/26 proto bird."


def test_blackholes_of_the_nodes_own_blocks_and_routes_of_others_are_normal():
    lab = moved_lab()
    lab.nodes["n2"]["routes"] += [
        route("10.9.0.0/16", None, "boot", type="unreachable"),
        route("10.8.0.0/16", None, "bird", type="unreachable", table="7"),
    ]
    assert [entry for entry in lab.nodes["n2"]["routes"] if entry["type"] == "blackhole"]
    assert findings(lab) == []


def test_sessions_that_are_down_are_told_with_the_reason():
    lab = moved_lab()
    lab.calico["sessions"] = [
        session("n1", "Established"),
        session("n2", "Active", since="2026-11-24", info="Connection refused"),
        session("n3", None),
    ]
    first, second = findings(lab)
    assert (first.id, first.severity, first.nodes) == ("bgp-session-down", "blocker", ("n2",))
    assert first.evidence.startswith("The session with 172.30.1.1 is Active since 2026-11-24: nothing answers on the router's BGP port")
    assert "is not known: BIRD has no such session yet" in second.evidence
    assert findings(lab, ["n1"]) == []


def test_a_block_without_a_route_is_missing_on_every_node_but_its_own():
    lab = moved_lab()
    for name in ("n2", "n3"):
        drop_routes(lab, name, "10.244.0.0/26")
    found = missing(lab, "warning")
    assert [(item.subject, item.severity, item.evidence) for item in found] == [
        ("node n2", "warning", "No BGP route to 10.244.0.0/26 of n1."),
        ("node n3", "warning", "No BGP route to 10.244.0.0/26 of n1."),
    ]


def test_a_block_without_pods_needs_no_route():
    lab = moved_lab()
    lab.calico["blocks"][0]["allocated"] = 0
    for name in ("n2", "n3"):
        drop_routes(lab, name, "10.244.0.0/26")
    assert missing(lab) == []


def test_a_route_that_is_unreachable_is_no_route():
    lab = moved_lab()
    drop_routes(lab, "n2", "10.244.0.0/26")
    lab.nodes["n2"]["routes"].append(route("10.244.0.0/26", None, "bird", type="unreachable"))
    assert [item.nodes for item in missing(lab)] == [("n2",)]


def test_an_aggregate_counts_unless_flannel_has_a_longer_route():
    lab = moved_lab()
    drop_routes(lab, "n2", "10.244.0.0/26")
    lab.nodes["n2"]["routes"].append(route("10.244.0.0/25", "172.30.2.1", "bird"))
    assert missing(lab) == []
    lab.nodes["n2"]["routes"][-1]["destination"] = "10.244.0.0/16"
    assert [item.nodes for item in missing(lab)] == [("n2",)]


@pytest.mark.parametrize("flannel_is_there", [True, False])
def test_a_default_route_from_bgp_is_a_way_only_once_flannels_routes_are_gone(flannel_is_there):
    lab = moved_lab() if flannel_is_there else moved_lab().remove_flannel()
    drop_routes(lab, "n2", "10.244.0.0/26")
    drop_routes(lab, "n2", "0.0.0.0/0")
    lab.nodes["n2"]["routes"].append(route("0.0.0.0/0", "172.30.2.1", "bird"))
    assert [item.nodes for item in missing(lab)] == ([("n2",)] if flannel_is_there else [])


def test_the_longest_prefix_wins_and_of_equal_ones_the_direct_link():
    node = {
        "routes": [
            route("0.0.0.0/0", "10.0.0.1", "boot"),
            route("10.0.0.0/24", None, "kernel", device="eth0"),
            route("10.0.0.0/24", "10.0.0.1", "bird"),
            route("10.1.0.0/24", "10.0.0.2", "boot"),
            route("10.1.0.0/24", "10.0.0.1", "bird"),
            route("10.2.0.0/16", "10.0.0.3", "bird", table="200"),
        ]
    }
    routes = routing.Routes(node)
    assert routes.best("10.0.0.7")["protocol"] == "kernel"
    assert routes.best("10.1.0.7")["protocol"] == "bird"
    assert routes.best("10.1.0.0/26")["protocol"] == "bird"
    assert routes.best("10.1.0.0/16")["destination"] == "0.0.0.0/0"
    assert routes.best("10.2.0.7")["destination"] == "0.0.0.0/0"
    assert routing.Routes({"routes": node["routes"][1:]}).best("9.9.9.9") is None
    assert routing.Routes({}).best("9.9.9.9") is None


NETWORKS = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(lambda pair: str(ipaddress.IPv4Network(pair, strict=False)))


@given(st.lists(st.one_of(NETWORKS, st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "0.0.0.0/0"])), max_size=12), NETWORKS)
def test_the_best_route_is_the_longest_of_those_that_hold_the_destination(destinations, wanted):
    found = routing.Routes({"routes": [route(destination, "10.9.9.9", "boot") for destination in destinations]}).best(wanted)
    holding = [network for network in map(ipaddress.IPv4Network, destinations) if ipaddress.IPv4Network(wanted).subnet_of(network)]
    longest = max((network.prefixlen for network in holding), default=None)
    assert (found and ipaddress.IPv4Network(found["destination"]).prefixlen) == longest


def big_cluster(number):
    """Nodes that each have a route to every other node's podCIDR and to its four blocks."""
    lab = moved_lab()
    template, facts = lab.node("n3"), lab.nodes["n3"]
    cidrs = {f"m{index}": f"10.{64 + index // 256}.{index % 256}.0/24" for index in range(number)}
    blocks = [(str(block), name) for name, cidr in cidrs.items() for block in ipaddress.IPv4Network(cidr).subnets(new_prefix=26)]
    routes = facts["routes"] + [route(cidr, "172.30.1.9", "boot") for cidr in cidrs.values()]
    routes += [route(block, "172.30.2.1", "bird") for block, dummy in blocks]
    for index, name in enumerate(cidrs):
        address = f"172.31.{index // 256}.{index % 256}"
        lab.cluster["nodes"].append({**template, "name": name, "internal_ips": [address]})
        lab.nodes[name] = {**facts, "routes": routes}
    lab.calico["blocks"] += [{"cidr": block, "node": name, "allocated": 1, "free": 63} for block, name in blocks]
    return lab


def test_many_nodes_are_judged_in_seconds():
    """Work that grows with nodes times nodes times routes would take minutes here, and hours for 500 nodes."""
    lab = big_cluster(200)
    began = time.process_time()
    assert findings(lab) == []
    assert [item.nodes for item in missing(lab)] == [("n1",), ("n2",), ("n3",)]
    assert time.process_time() - began < 20


def tunnelled(mode, protocol="boot"):
    """All nodes on Calico, with routes of Felix's over its tunnel instead of BIRD's."""
    lab = moved_lab()
    lab.calico["pools"][0]["vxlanMode"] = mode
    for facts in lab.nodes.values():
        for entry in facts["routes"]:
            if entry["protocol"] == "bird":
                entry.update(protocol=protocol, device=entry["device"] and "vxlan.calico")
    return lab


@pytest.mark.parametrize("protocol", ["boot", "80"])
@pytest.mark.parametrize("mode", ["Always", "CrossSubnet"])
def test_routes_of_felix_are_what_a_pool_with_vxlan_needs(mode, protocol):
    assert missing(tunnelled(mode, protocol)) == []
    assert routing.routes_of_calico(tunnelled(mode, protocol).nodes["n1"]) == routing.routes_of_calico(moved_lab().nodes["n1"]) == 2
    assert [item.id for item in missing(moved_lab())] == []
    lab = moved_lab()
    lab.calico["pools"][0]["vxlanMode"] = mode
    assert {item.id for item in missing(lab)} == {"block-route-of-felix-missing"}
    lab = tunnelled(mode)
    lab.calico["pools"][0]["vxlanMode"] = "Never"
    assert {item.id for item in missing(lab)} == {"block-route-missing"}


def test_a_route_over_the_nodes_own_link_is_right_between_nodes_of_one_subnet_only():
    for mode, expected in (("CrossSubnet", []), ("Always", ["n3"])):
        lab = tunnelled(mode)
        for entry in lab.nodes["n3"]["routes"]:
            if entry["destination"] == "10.244.1.0/26":
                entry.update(protocol="80", device="eth0", gateway="172.30.2.12")
        assert [name for item in missing(lab) for name in item.nodes] == expected
        assert all("10.244.1.0/26 of n2" in item.evidence for item in missing(lab))
