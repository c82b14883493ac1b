# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster after the migration, as its API and the router tell it."""

from __future__ import annotations

import ipaddress
import json
import re

from podnet_demo import leftovers
from podnet_demo.calico_state import calico_addresses, has_pod_address, owners
from podnet_lab import router, workloads
from podnet_lab.cluster_api import ClusterApi
from podnet_lab.lab import Lab

CALICO = "/apis/crd.projectcalico.org/v1"
JOURNAL = "/api/v1/namespaces/kube-system/configmaps/podnet-cni-migration"
LOCK = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/podnet-cni-migration"


def test_every_pod_is_on_calico(lab: Lab, api: ClusterApi) -> None:
    pods = [pod for pod in api.items("/api/v1/pods") if has_pod_address(pod)]
    routes = {node.name: calico_addresses(lab.run_in(node.name, ["ip", "-j", "route", "show"]).stdout) for node in lab.nodes}
    elsewhere = [leftovers.named([pod])[0] for pod in pods if pod["status"]["podIP"] not in routes[pod["spec"]["nodeName"]]]
    assert len(pods) >= 3 * len(lab.nodes)
    assert elsewhere == []


def test_every_address_is_in_calicos_books(api: ClusterApi) -> None:
    pods = [pod for pod in api.items("/api/v1/pods") if has_pod_address(pod)]
    assert {f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in pods} <= set(owners(api.items(f"{CALICO}/ipamblocks")))
    for node in api.items("/api/v1/nodes"):
        cidr = ipaddress.ip_network(node["spec"]["podCIDR"])
        own = [pod["status"]["podIP"] for pod in pods if pod["spec"]["nodeName"] == node["metadata"]["name"]]
        assert [address for address in own if ipaddress.ip_address(address) not in cidr] == []


def test_nothing_of_flannel_is_left(api: ClusterApi) -> None:
    assert [line for outcome in leftovers.in_cluster(api) for line in outcome.lines()] == []


def test_every_node_is_ready_and_schedulable(lab: Lab, api: ClusterApi) -> None:
    nodes = api.items("/api/v1/nodes")
    assert len(nodes) == len(lab.nodes)
    for node in nodes:
        conditions = {condition["type"]: condition["status"] for condition in node["status"]["conditions"]}
        assert conditions["Ready"] == "True"
        assert conditions["NetworkUnavailable"] == "False"
        assert not node["spec"].get("unschedulable")
        assert not [key for key in node["metadata"]["annotations"] if key.startswith("podnet.cni/")]


def test_the_router_has_a_session_with_every_node(lab: Lab) -> None:
    sessions = re.findall(r"^(\S+)\s+BGP\s+\S+\s+up\s+\S+\s+Established", router.control(lab.state, "show protocols"), re.MULTILINE)
    details = router.control(lab.state, "show protocols all")
    assert len(sessions) == len(lab.nodes)
    assert {node.address for node in lab.nodes} <= set(re.findall(r"Neighbor address:\s+(\S+)", details))


def test_the_pool_is_not_encapsulated(lab: Lab, api: ClusterApi) -> None:
    (pool,) = api.items(f"{CALICO}/ippools")
    assert pool["spec"]["cidr"] == lab.topology.pod_cidr
    assert pool["spec"].get("vxlanMode", "Never") == "Never"
    assert pool["spec"].get("ipipMode", "Never") == "Never"


def test_what_only_the_migration_needed_is_gone(api: ClusterApi) -> None:
    assert api.items(f"{CALICO}/ipreservations") == []
    assert api.items(f"{CALICO}/caliconodestatuses") == []


def test_policies_hold(lab: Lab) -> None:
    assert workloads.policy_enforced(lab)


def test_the_journal_is_closed(lab: Lab, api: ClusterApi) -> None:
    records = {key: json.loads(text) for key, text in api.get(JOURNAL)["data"].items()}
    assert records["run.json"]["finished"]
    for node in lab.nodes:
        assert records[f"node.{node.name}.json"]["phase"] == "moved"


def test_the_lock_is_free(api: ClusterApi) -> None:
    assert api.get_or_none(LOCK) is None
