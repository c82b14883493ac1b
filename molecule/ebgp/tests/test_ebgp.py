# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""eBGP: an AS for each zone and one for the router, with a password; next hops, and that both sides want the password."""

from __future__ import annotations

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
AS_NUMBER = "projectcalico.org/ASNumber"
CONNECT = "import socket; socket.create_connection(('{address}', 179), 2)"


@pytest.fixture(scope="module")
def facts(host: Host) -> dict[str, t.Any]:
    """What cni_facts reads on the node."""
    read = host.ansible("podnet.cni.cni_facts", check=False)
    return t.cast("dict[str, t.Any]", read["ansible_facts"]["podnet_node"])


def test_every_node_has_the_as_number_of_its_zone(lab: Lab, api: ClusterApi) -> None:
    numbers = {node["metadata"]["name"]: node["metadata"]["annotations"][AS_NUMBER] for node in api.items("/api/v1/nodes")}
    assert numbers == {node.name: str(zone.as_number) for zone in lab.topology.zones for node in zone.nodes}
    assert len({*numbers.values(), str(lab.topology.router.as_number)}) == 3


def test_the_router_has_a_session_with_every_node_and_its_as(lab: Lab) -> None:
    details = router.control(lab.state, "show protocols all")
    assert len(re.findall(r"BGP state:\s+Established", details)) == len(lab.nodes)
    # What waits for a whole range of neighbours has an AS too, but no address.
    told = set(re.findall(r"Neighbor address:\s+(\S+)\s+Neighbor AS:\s+(\d+)", details))
    assert {(node.address, str(zone.as_number)) for zone in lab.topology.zones for node in zone.nodes} <= told


def test_paths_have_the_as_of_the_zone(lab: Lab) -> None:
    text = router.control(lab.state, "show route all")
    paths = [path.strip() for path in re.findall(r"BGP.as_path:\s+(.+)", text)]
    assert {path.split()[-1] for path in paths} == {str(zone.as_number) for zone in lab.topology.zones}


def test_sessions_as_the_node_tells_them(facts: dict[str, t.Any], host: Host, lab: Lab) -> None:
    own = next(node for node in lab.nodes if node.name == host.check_output("hostname"))
    assert [(session["peer"], session["state"]) for session in facts["bgp_sessions"]] == [(own.gateway, "Established")]


def test_next_hops_are_the_router_or_a_node_on_the_same_link(facts: dict[str, t.Any], host: Host, lab: Lab) -> None:
    own = next(node for node in lab.nodes if node.name == host.check_output("hostname"))
    neighbours = {node.address for node in lab.nodes if node.zone == own.zone and node.name != own.name}
    learned = [route for route in facts["routes"] if route["protocol"] == "bird" and route["type"] == "unicast"]
    gateways = {route["gateway"] for route in learned}
    assert gateways == {own.gateway, *neighbours}


def test_peers_name_the_secret_and_not_the_password(lab: Lab, api: ClusterApi) -> None:
    peers = api.items(f"{CALICO}/bgppeers")
    assert len(peers) == len(lab.topology.zones)
    for peer in peers:
        assert peer["spec"]["password"] == {"secretKeyRef": {"name": "bgp-password", "key": "router"}}
        assert lab.topology.router.password not in str(peer)


def test_without_the_password_the_router_does_not_answer(host: Host, lab: Lab) -> None:
    own = next(node for node in lab.nodes if node.name == host.check_output("hostname"))
    done = host.run("python3 -c %s", CONNECT.format(address=own.gateway))
    assert done.rc == 1
    assert "timed out" in done.stderr


def test_no_trace_of_flannel(lab: Lab) -> None:
    assert leftovers.as_lines(leftovers.find(lab)) == []
