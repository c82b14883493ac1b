# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster after a migration without routers, as its API tells it."""

from __future__ import annotations

import ipaddress
import json
import re

from podnet_demo import leftovers
from podnet_demo.calico_state import calico_addresses, has_pod_address
from podnet_lab import router, workloads
from podnet_lab.cluster_api import ClusterApi
from podnet_lab.lab import Lab
from podnet_molecule import results

CALICO = "/apis/crd.projectcalico.org/v1"
JOURNAL = "/api/v1/namespaces/kube-system/configmaps/podnet-cni-migration"
MODE = results.mode()
VXLAN_MODE = {"cross_subnet": "CrossSubnet", "vxlan": "Always", "bgp_mesh": "Never"}
TUNNEL = "projectcalico.org/IPv4VXLANTunnelAddr"


def test_every_pod_is_on_calico(lab: Lab, api: ClusterApi) -> None:
    pods = [pod for pod in api.items("/api/v1/pods") if has_pod_address(pod)]
    routes = {node.name: calico_addresses(lab.run_in(node.name, ["ip", "-j", "route", "show"]).stdout) for node in lab.nodes}
    elsewhere = [leftovers.named([pod])[0] for pod in pods if pod["status"]["podIP"] not in routes[pod["spec"]["nodeName"]]]
    assert len(pods) >= 3 * len(lab.nodes)
    assert elsewhere == []


def test_pods_have_addresses_of_their_nodes(api: ClusterApi) -> None:
    cidrs = {node["metadata"]["name"]: ipaddress.ip_network(node["spec"]["podCIDR"]) for node in api.items("/api/v1/nodes")}
    pods = [pod for pod in api.items("/api/v1/pods") if has_pod_address(pod)]
    assert [pod["metadata"]["name"] for pod in pods if ipaddress.ip_address(pod["status"]["podIP"]) not in cidrs[pod["spec"]["nodeName"]]] == []


def test_no_address_is_given_twice_not_even_that_of_a_tunnel(api: ClusterApi) -> None:
    addresses = [pod["status"]["podIP"] for pod in api.items("/api/v1/pods") if has_pod_address(pod)]
    annotations = [node["metadata"]["annotations"] for node in api.items("/api/v1/nodes")]
    tunnels = [entry[TUNNEL] for entry in annotations if TUNNEL in entry]
    assert len(tunnels) == (len(annotations) if VXLAN_MODE[MODE] != "Never" else 0)
    assert len(set(addresses + tunnels)) == len(addresses) + len(tunnels)


def test_nothing_of_flannel_is_left(api: ClusterApi) -> None:
    assert [line for outcome in leftovers.in_cluster(api) for line in outcome.lines()] == []


def test_every_node_is_ready_and_schedulable(lab: Lab, api: ClusterApi) -> None:
    nodes = api.items("/api/v1/nodes")
    assert len(nodes) == len(lab.nodes)
    for node in nodes:
        conditions = {condition["type"]: condition["status"] for condition in node["status"]["conditions"]}
        assert (conditions["Ready"], conditions["NetworkUnavailable"]) == ("True", "False")
        assert not node["spec"].get("unschedulable")
        assert not [key for key in node["metadata"]["annotations"] if key.startswith("podnet.cni/")]


def test_the_pool_is_encapsulated_as_chosen(lab: Lab, api: ClusterApi) -> None:
    (pool,) = api.items(f"{CALICO}/ippools")
    assert pool["spec"]["cidr"] == lab.topology.pod_cidr
    assert (pool["spec"].get("vxlanMode", "Never"), pool["spec"].get("ipipMode", "Never")) == (VXLAN_MODE[MODE], "Never")


def test_the_router_knows_nothing_of_pods(lab: Lab, api: ClusterApi) -> None:
    assert api.items(f"{CALICO}/bgppeers") == []
    assert re.findall(r"^(\S+)\s+BGP\s+\S+\s+up\s+\S+\s+Established", router.control(lab.state, "show protocols"), re.MULTILINE) == []
    routes = json.loads(lab.run_in("tor", ["ip", "-j", "route", "show"]).stdout)
    pods = ipaddress.ip_network(lab.topology.pod_cidr)
    assert [route["dst"] for route in routes if route["dst"] != "default" and ipaddress.ip_network(route["dst"]).subnet_of(pods)] == []


def test_what_only_the_migration_needed_is_gone(api: ClusterApi) -> None:
    assert api.items(f"{CALICO}/ipreservations") == []
    assert api.items(f"{CALICO}/caliconodestatuses") == []
    (config,) = api.items(f"{CALICO}/ipamconfigs")
    assert config["spec"]["maxBlocksPerHost"] == 4


def test_policies_hold(lab: Lab) -> None:
    assert workloads.policy_enforced(lab)


def test_the_journal_is_closed(lab: Lab, api: ClusterApi) -> None:
    records = {key: json.loads(text) for key, text in api.get(JOURNAL)["data"].items()}
    assert records["run.json"]["finished"]
    for node in lab.nodes:
        assert records[f"node.{node.name}.json"]["phase"] == "moved"
