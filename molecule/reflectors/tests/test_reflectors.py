# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Route reflectors among the nodes: who they are, who has sessions with whom, and that packets do not go through them."""

from __future__ import annotations

import ipaddress
import json
import typing as t

import pytest
from podnet_demo import leftovers
from podnet_lab import router
from podnet_lab.cluster_api import ClusterApi
from podnet_lab.lab import Lab
from testinfra.host import Host

testinfra_hosts = ["ansible://kube_node"]
CALICO = "/apis/crd.projectcalico.org/v1"
JOURNAL = "/api/v1/namespaces/kube-system/configmaps/podnet-cni-migration"
LABEL = "podnet.cni/route-reflector"
CLUSTER_ID = "projectcalico.org/RouteReflectorClusterID"
REFLECTORS = ["n1", "n2"]


@pytest.fixture(scope="module")
def facts(host: Host) -> dict[str, t.Any]:
    """What cni_facts reads on the node."""
    read = host.ansible("podnet.cni.cni_facts", check=False)
    return t.cast("dict[str, t.Any]", read["ansible_facts"]["podnet_node"])


def test_two_nodes_are_reflectors_and_have_the_same_cluster_id(api: ClusterApi) -> None:
    nodes = {node["metadata"]["name"]: node["metadata"] for node in api.items("/api/v1/nodes")}
    assert sorted(name for name, metadata in nodes.items() if LABEL in metadata["labels"]) == REFLECTORS
    ids = {name: metadata["annotations"][CLUSTER_ID] for name, metadata in nodes.items() if CLUSTER_ID in metadata["annotations"]}
    assert sorted(ids) == REFLECTORS
    assert len(set(ids.values())) == 1


def test_they_are_the_only_peers(api: ClusterApi) -> None:
    (peer,) = api.items(f"{CALICO}/bgppeers")
    assert peer["metadata"]["name"] == "podnet-route-reflectors"
    assert peer["spec"] == {"nodeSelector": "all()", "peerSelector": f"has({LABEL})"}
    assert api.get(f"{CALICO}/bgpconfigurations/default")["spec"]["nodeToNodeMeshEnabled"] is False


def test_the_router_has_no_session(lab: Lab) -> None:
    assert "Established" not in router.control(lab.state, "show protocols")


def test_they_were_moved_last_and_not_together(api: ClusterApi) -> None:
    batches = json.loads(api.get(JOURNAL)["data"]["run.json"])["plan"]["batches"]
    assert [name for batch in batches for name in batch][-len(REFLECTORS) :] == REFLECTORS
    assert not any(set(REFLECTORS) <= set(batch) for batch in batches)


def test_a_node_has_sessions_with_the_reflectors_and_they_with_all(facts: dict[str, t.Any], host: Host, lab: Lab) -> None:
    own = host.check_output("hostname")
    others = {node.name: node.address for node in lab.nodes if node.name != own}
    wanted = {address for name, address in others.items() if own in REFLECTORS or name in REFLECTORS}
    assert {session["peer"]: session["state"] for session in facts["bgp_sessions"]} == dict.fromkeys(wanted, "Established")


def test_packets_go_to_the_node_itself(facts: dict[str, t.Any], host: Host, api: ClusterApi) -> None:
    own = host.check_output("hostname")
    nodes = {ipaddress.ip_network(node["spec"]["podCIDR"]): node for node in api.items("/api/v1/nodes")}
    learned = [route for route in facts["routes"] if route["protocol"] == "bird" and route["type"] == "unicast"]
    seen = set()
    for route in learned:
        (owner,) = [node for cidr, node in nodes.items() if ipaddress.ip_network(route["destination"]).subnet_of(cidr)]
        (address,) = [entry["address"] for entry in owner["status"]["addresses"] if entry["type"] == "InternalIP"]
        assert (route["gateway"], route["hops"]) == (address, []), route
        seen.add(owner["metadata"]["name"])
    assert seen == {node["metadata"]["name"] for node in nodes.values()} - {own}


def test_no_trace_of_flannel(lab: Lab) -> None:
    assert leftovers.as_lines(leftovers.find(lab)) == []
