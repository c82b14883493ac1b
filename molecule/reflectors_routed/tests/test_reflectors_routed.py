# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Route reflectors behind a router of another AS: it hears of all pods from two nodes, and sends packets to the node that has the pod."""

from __future__ import annotations

import ipaddress
import json
import re
import typing as t

import pytest
from podnet_demo import leftovers
from podnet_lab import router
from podnet_lab.cluster_api import ClusterApi
from podnet_lab.lab import Lab
from testinfra.host import Host

testinfra_hosts = ["ansible://kube_node"]
CALICO = "/apis/crd.projectcalico.org/v1"
REFLECTORS = ["n1", "n2"]


@pytest.fixture(scope="module")
def facts(host: Host) -> dict[str, t.Any]:
    """What cni_facts reads on the node."""
    read = host.ansible("podnet.cni.cni_facts", check=False)
    return t.cast("dict[str, t.Any]", read["ansible_facts"]["podnet_node"])


def owner_of(lab: Lab, api: ClusterApi, destination: str) -> str:
    """The address of the node whose podCIDR a route is inside of."""
    network = ipaddress.ip_network(destination)
    (name,) = [node["metadata"]["name"] for node in api.items("/api/v1/nodes") if network.subnet_of(ipaddress.ip_network(node["spec"]["podCIDR"]))]
    return next(node.address for node in lab.nodes if node.name == name)


def test_the_router_has_sessions_with_the_reflectors_only(lab: Lab) -> None:
    details = router.control(lab.state, "show protocols all")
    assert len(re.findall(r"BGP state:\s+Established", details)) == len(REFLECTORS)
    addresses = {node.address for node in lab.nodes if node.name in REFLECTORS}
    assert addresses <= set(re.findall(r"Neighbor address:\s+(\S+)", details))


def test_the_router_sends_packets_to_the_node_that_has_the_pod(lab: Lab, api: ClusterApi) -> None:
    routes = json.loads(lab.run_in("tor", ["ip", "-j", "route", "show", "proto", "bird"]).stdout)
    pods = [route for route in routes if ipaddress.ip_network(route["dst"]).subnet_of(ipaddress.ip_network(lab.topology.pod_cidr))]
    assert {route["gateway"] for route in pods} == {node.address for node in lab.nodes}
    assert [route for route in pods if route["gateway"] != owner_of(lab, api, route["dst"])] == []


def test_peers_of_the_router_keep_next_hops(api: ClusterApi) -> None:
    peers = {peer["metadata"]["name"]: peer["spec"] for peer in api.items(f"{CALICO}/bgppeers")}
    assert sorted(peers) == ["podnet-route-reflectors", "tor-a", "tor-b"]
    assert [peers[name]["keepOriginalNextHop"] for name in ("tor-a", "tor-b")] == [True, True]


def test_sessions_as_the_node_tells_them(facts: dict[str, t.Any], host: Host, lab: Lab) -> None:
    own = next(node for node in lab.nodes if node.name == host.check_output("hostname"))
    wanted = {node.address for node in lab.nodes if node.name != own.name and {node.name, own.name} & set(REFLECTORS)}
    wanted |= {own.gateway} if own.name in REFLECTORS else set()
    assert {session["peer"]: session["state"] for session in facts["bgp_sessions"]} == dict.fromkeys(wanted, "Established")


def test_nodes_send_packets_to_the_node_or_to_the_router_on_the_way(facts: dict[str, t.Any], host: Host, lab: Lab, api: ClusterApi) -> None:
    own = next(node for node in lab.nodes if node.name == host.check_output("hostname"))
    zone = {node.address: node.zone for node in lab.nodes}
    learned = [route for route in facts["routes"] if route["protocol"] == "bird" and route["type"] == "unicast"]
    assert len(learned) >= len(lab.nodes) - 1
    for route in learned:
        owner = owner_of(lab, api, route["destination"])
        assert (route["gateway"], route["hops"]) == (owner if zone[owner] == own.zone else own.gateway, []), route


def test_no_trace_of_flannel(lab: Lab) -> None:
    assert leftovers.as_lines(leftovers.find(lab)) == []
