# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.modules import calico_ipam
from ansible_collections.podnet.cni.tests.unit.fakes.kube import FakeKube

API = "/apis/crd.projectcalico.org/v1"
DEFAULTS = {
    "state": "present",
    "pool": None,
    "strict_affinity": None,
    "max_blocks_per_host": None,
    "claims": [],
    "reservations": [],
    "node_labels": False,
    "release": [],
    "ignored_interfaces": [],
    "bgp": None,
    "felix": None,
}
FULL = {
    **DEFAULTS,
    "pool": {"name": "pods", "cidr": "10.244.0.0/16", "block_size": 26, "nat_outgoing": True, "encapsulation": "none"},
    "strict_affinity": True,
    "max_blocks_per_host": 4,
    "claims": [{"node": "n1", "blocks": ["10.244.1.0/26", "10.244.1.64/26"]}, {"node": "n2", "blocks": ["10.244.2.0/26"]}],
    "reservations": [{"name": "node-addresses", "cidrs": ["10.244.2.0/31", "10.244.1.0/31"]}, {"name": "none", "cidrs": []}],
    "node_labels": True,
    "bgp": {"as_number": "1.10", "node_mesh": False},
}
LABEL = "projectcalico.org/node-network-during-migration"


@pytest.fixture
def cluster(kube):
    for name in ("n1", "n2", "n3"):
        kube.add("/api/v1/nodes", {"metadata": {"name": name, "labels": {}}})
    return kube


def run(kube, params, check_mode=False):
    return calico_ipam.Ipam(kube, params, check_mode).run()


def test_everything_at_once_and_in_order(cluster):
    results = run(cluster, FULL)
    assert results["changed"]
    kinds = [path.split("/")[4] for method, path in cluster.writes() if path.startswith(API)]
    assert kinds == ["ipamconfigs", "ipreservations", "bgpconfigurations"] + ["blockaffinities"] * 3 + ["ippools"]
    assert cluster.objects[f"{API}/ipreservations/node-addresses"]["spec"] == {"reservedCIDRs": ["10.244.1.0/31", "10.244.2.0/31"]}
    assert cluster.objects[f"{API}/blockaffinities/n1-10-244-1-0-26"]["spec"]["state"] == "pending"
    assert cluster.objects[f"{API}/ipamconfigs/default"]["spec"] == {"strictAffinity": True, "autoAllocateBlocks": True, "maxBlocksPerHost": 4}
    assert cluster.objects[f"{API}/bgpconfigurations/default"]["spec"] == {"asNumber": 65546, "nodeToNodeMeshEnabled": False}
    assert cluster.objects[f"{API}/ippools/pods"]["spec"]["blockSize"] == 26
    assert results["labelled"] == ["n1", "n2"]
    assert cluster.objects["/api/v1/nodes/n1"]["metadata"]["labels"] == {LABEL: "flannel"}
    assert results["diff"]["before"] != results["diff"]["after"]


def test_second_run_changes_nothing(cluster):
    run(cluster, FULL)
    writes = len(cluster.writes())
    results = run(cluster, FULL)
    assert not results["changed"]
    assert results["existing_claims"] == 3
    assert len(cluster.writes()) == writes


def test_check_mode_only_asks(cluster):
    results = run(cluster, FULL, check_mode=True)
    assert results["changed"]
    assert len(results["claimed"]) == 3
    assert cluster.writes() == []


def test_reservations_alone_need_few_requests(cluster):
    params = {**DEFAULTS, "reservations": [{"name": "podnet-flannel-n1", "cidrs": ["10.244.1.7/32", "10.244.1.5"]}]}
    assert run(cluster, params)["changed"]
    assert cluster.calls == 2
    assert not run(cluster, params)["changed"]
    params["reservations"][0]["cidrs"] = ["10.244.1.5/32"]
    assert run(cluster, params)["changed"]
    assert cluster.objects[f"{API}/ipreservations/podnet-flannel-n1"]["spec"] == {"reservedCIDRs": ["10.244.1.5/32"]}
    params["reservations"][0]["cidrs"] = []
    assert run(cluster, params)["changed"]
    assert not run(cluster, params)["changed"]
    assert f"{API}/ipreservations/podnet-flannel-n1" not in cluster.objects


def test_addresses_of_a_nodes_pods_are_reserved(cluster):
    def pod(name, address, **spec):
        item = {
            "metadata": {"name": name, "namespace": "demo"},
            "spec": {"nodeName": "n1", **spec},
            "status": {"phase": "Running", "podIP": address},
        }
        cluster.add("/api/v1/pods", item)

    pod("web", "10.244.1.9")
    pod("agent", "10.244.1.7")
    pod("proxy", "172.30.1.11", hostNetwork=True)
    pod("elsewhere", "10.244.2.5", nodeName="n2")
    pod("starting", "")
    params = {**DEFAULTS, "reservations": [{"name": "podnet-flannel-n1", "cidrs": ["10.244.1.3"], "node": "n1"}]}
    results = run(cluster, params)
    assert results["changed"]
    assert results["reserved"] == {"podnet-flannel-n1": ["10.244.1.3/32", "10.244.1.7/32", "10.244.1.9/32"]}
    assert cluster.objects[f"{API}/ipreservations/podnet-flannel-n1"]["spec"] == {"reservedCIDRs": results["reserved"]["podnet-flannel-n1"]}
    assert not run(cluster, params)["changed"]


def test_absent(cluster):
    run(cluster, FULL)
    params = {
        **DEFAULTS,
        "state": "absent",
        "reservations": [{"name": "node-addresses", "cidrs": []}, {"name": "other", "cidrs": []}],
        "node_labels": True,
    }
    assert run(cluster, params, check_mode=True)["changed"]
    assert f"{API}/ipreservations/node-addresses" in cluster.objects
    assert run(cluster, params)["changed"]
    assert f"{API}/ipreservations/node-addresses" not in cluster.objects
    assert cluster.objects["/api/v1/nodes/n1"]["metadata"]["labels"] == {}
    assert not run(cluster, params)["changed"]


FELIX = f"{API}/felixconfigurations/default"


def test_the_source_check_of_aws_is_written_and_nothing_else_of_felix(cluster):
    params = {**DEFAULTS, "felix": {"aws_source_check": "disable"}}
    results = run(cluster, params, check_mode=True)
    assert (results["changed"], cluster.writes()) == (True, [])
    results = run(cluster, params)
    assert results["diff"] == {
        "before": {"FelixConfiguration default": {}},
        "after": {"FelixConfiguration default": {"awsSrcDstCheck": "Disable"}},
    }
    assert cluster.objects[FELIX]["spec"] == {"awsSrcDstCheck": "Disable"}
    assert not run(cluster, params)["changed"]
    cluster.objects[FELIX]["spec"] = {"awsSrcDstCheck": "DoNothing", "logSeverityScreen": "Info"}
    assert run(cluster, params)["changed"]
    assert cluster.objects[FELIX]["spec"] == {"awsSrcDstCheck": "Disable", "logSeverityScreen": "Info"}
    assert [method for method, path in cluster.writes()] == ["POST", "PATCH"]


def test_felix_is_left_alone_when_nobody_asks(cluster):
    run(cluster, FULL)
    assert FELIX not in cluster.objects


CONFIGURATION = f"{API}/bgpconfigurations/default"


def test_interfaces_are_ignored_beside_those_of_others(cluster):
    cluster.add(f"{API}/bgpconfigurations", {"metadata": {"name": "default"}, "spec": {"ignoredInterfaces": ["docker*"], "asNumber": 65000}})
    params = {**DEFAULTS, "ignored_interfaces": ["flannel.*", "flannel.*"]}
    assert run(cluster, params, check_mode=True)["changed"]
    assert cluster.writes() == []
    results = run(cluster, params)
    assert results["diff"]["after"]["BGPConfiguration default"]["ignoredInterfaces"] == ["docker*", "flannel.*"]
    assert cluster.objects[CONFIGURATION]["spec"] == {"ignoredInterfaces": ["docker*", "flannel.*"], "asNumber": 65000}
    assert not run(cluster, params)["changed"]
    absent = {**params, "state": "absent"}
    assert run(cluster, absent, check_mode=True)["changed"]
    results = run(cluster, absent)
    assert results["diff"]["after"] == {"BGPConfiguration default": {"ignoredInterfaces": ["docker*"]}}
    assert cluster.objects[CONFIGURATION]["spec"] == {"ignoredInterfaces": ["docker*"], "asNumber": 65000}
    assert not run(cluster, absent)["changed"]


def test_interfaces_and_settings_are_one_write(cluster):
    run(cluster, {**FULL, "ignored_interfaces": ["flannel.*"]})
    assert [path for dummy, path in cluster.writes() if "bgpconfigurations" in path] == [f"{API}/bgpconfigurations"]
    assert cluster.objects[CONFIGURATION]["spec"] == {"asNumber": 65546, "nodeToNodeMeshEnabled": False, "ignoredInterfaces": ["flannel.*"]}
    run(cluster, {**DEFAULTS, "state": "absent", "ignored_interfaces": ["flannel.*"]})
    assert "ignoredInterfaces" not in cluster.objects[CONFIGURATION]["spec"]


def test_nothing_to_stop_ignoring(cluster):
    assert not run(cluster, {**DEFAULTS, "state": "absent", "ignored_interfaces": ["flannel.*"]})["changed"]


@pytest.mark.parametrize("name", ["*", "", "a" * 16, "eth0 eth1", "eth/0"])
def test_an_interface_that_is_none_is_refused(name):
    (problem,) = calico_ipam.option_problems({**DEFAULTS, "ignored_interfaces": [name]})
    assert problem.startswith(f"ignored_interfaces: '{name}' is no name of an interface; give")


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        ({"metadata": {"name": "pods"}, "spec": {"cidr": "10.244.0.0/16", "blockSize": 24}}, "block size 24, not 10.244.0.0/16 and 26"),
        ({"metadata": {"name": "pods"}, "spec": {"cidr": "10.0.0.0/16"}}, "exists with cidr 10.0.0.0/16"),
        ({"metadata": {"name": "default-ipv4-ippool"}, "spec": {"cidr": "10.244.0.0/17"}}, "overlaps with IPPool default-ipv4-ippool"),
    ],
)
def test_other_pools_are_refused_before_any_write(cluster, pool, words):
    cluster.add(f"{API}/ippools", pool)
    with pytest.raises(calico_ipam.Failure) as caught:
        run(cluster, FULL)
    assert words in str(caught.value)
    assert cluster.writes() == []


def test_pools_elsewhere_do_not_matter(cluster):
    cluster.add(f"{API}/ippools", {"metadata": {"name": "other"}, "spec": {"cidr": "10.99.0.0/16"}})
    cluster.add(f"{API}/ippools", {"metadata": {"name": "six"}, "spec": {"cidr": "fd00::/48"}})
    assert run(cluster, FULL)["changed"]


def test_a_pool_with_encapsulation_is_changed(cluster):
    run(cluster, FULL)
    cluster.objects[f"{API}/ippools/pods"]["spec"]["ipipMode"] = "Always"
    results = run(cluster, FULL)
    assert list(results["diff"]["after"]) == ["IPPool pods"]
    assert cluster.objects[f"{API}/ippools/pods"]["spec"]["ipipMode"] == "Never"


def test_blocks_of_others_are_refused_before_any_write(cluster):
    cluster.add(f"{API}/ipamblocks", {"metadata": {"name": "b"}, "spec": {"cidr": "10.244.1.0/26", "affinity": "host:n3"}})
    with pytest.raises(calico_ipam.Failure, match="belongs to n3, not to n1"):
        run(cluster, FULL)
    assert cluster.writes() == []


def test_unknown_nodes_are_refused(cluster):
    with pytest.raises(calico_ipam.Failure, match="'n9' is no node of the cluster; it has n1, n2, n3"):
        run(cluster, {**FULL, "claims": [{"node": "n9", "blocks": []}]})


def test_the_newer_group():
    kube = FakeKube(served=("v1", "projectcalico.org/v3"))
    kube.add("/api/v1/nodes", {"metadata": {"name": "n1"}})
    fields = {"deleted": {"type": "boolean"}, "type": {"type": "string"}}
    schema = {"openAPIV3Schema": {"properties": {"spec": {"properties": fields}}}}
    definition = {"metadata": {"name": "blockaffinities.projectcalico.org"}, "spec": {"versions": [{"schema": schema}]}}
    kube.add("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    run(kube, {**FULL, "claims": [{"node": "n1", "blocks": ["10.244.1.0/26"]}]})
    spec = kube.objects["/apis/projectcalico.org/v3/blockaffinities/n1-10-244-1-0-26"]["spec"]
    assert (spec["type"], spec["deleted"]) == ("host", False)
    assert "/apis/projectcalico.org/v3/ipamconfigurations/default" in kube.objects


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pool": {"name": "pods", "cidr": "10.244.0.1/16", "block_size": 26}}, ["pool.cidr", "10.244.0.1/16"]),
        ({"pool": {"name": "pods", "cidr": "10.244.0.0/16", "block_size": 33}}, ["pool.block_size: 33", "20 to 32"]),
        ({"pool": {"name": "pods", "cidr": "10.244.0.0/24", "block_size": 22}}, ["pool.block_size: 22", "24 or more"]),
        ({"pool": {"name": "P", "cidr": "10.244.0.0/16", "block_size": 26}}, ["pool.name: 'P'"]),
        ({"claims": [{"node": "n1", "blocks": ["10.9.0.0/26"]}]}, ["not inside the pool"]),
        ({"claims": [{"node": "n1", "blocks": ["10.244.1.0/24"]}]}, ["give blocks of /26"]),
        ({"claims": [{"node": "n1", "blocks": ["x"]}]}, ["'x' is not a CIDR"]),
        (
            {"claims": [{"node": "n1", "blocks": ["10.244.1.0/26"]}, {"node": "n2", "blocks": ["10.244.1.0/26"]}]},
            ["claimed for n1 and n2"],
        ),
        ({"reservations": [{"name": "r", "cidrs": ["10.244.1.1/31"]}]}, ["reservations.cidrs of r", "10.244.1.1/31"]),
        ({"max_blocks_per_host": -1}, ["max_blocks_per_host: -1"]),
        ({"strict_affinity": False}, ["set strict_affinity: true"]),
        ({"bgp": {"as_number": 1.1, "node_mesh": False}}, ["bgp.as_number: '1.1'", "quotes"]),
        ({"state": "absent"}, ["pool", "leave pool out with state=absent", "claims"]),
    ],
)
def test_bad_options_are_named_with_value_and_remedy(change, words):
    told = "; ".join(calico_ipam.option_problems({**FULL, **change}))
    assert all(word in told for word in words), told


def test_good_options():
    assert calico_ipam.option_problems(FULL) == []
    assert calico_ipam.option_problems(DEFAULTS) == []


def test_a_plain_false_that_the_api_leaves_out_is_no_change(cluster):
    params = {**DEFAULTS, "pool": {**FULL["pool"], "nat_outgoing": False}}
    assert run(cluster, params)["changed"]
    del cluster.objects[f"{API}/ippools/pods"]["spec"]["natOutgoing"]
    assert not run(cluster, params)["changed"]
    assert run(cluster, {**DEFAULTS, "pool": FULL["pool"]})["changed"]


def test_a_mesh_that_nobody_decided_is_on_and_is_turned_off(cluster):
    cluster.add(f"{API}/bgpconfigurations", {"metadata": {"name": "default"}, "spec": {"asNumber": 64512}})
    assert run(cluster, {**DEFAULTS, "bgp": {"as_number": 64512, "node_mesh": False}})["changed"]
    assert cluster.objects[f"{API}/bgpconfigurations/default"]["spec"]["nodeToNodeMeshEnabled"] is False


def block(kube, cidr, node, *allocations):
    name = cidr.replace(".", "-").replace("/", "-")
    kube.add(f"{API}/ipamblocks", {"metadata": {"name": name}, "spec": {"cidr": cidr, "affinity": f"host:{node}", "allocations": list(allocations)}})
    spec = {"cidr": cidr, "node": node, "state": "confirmed"}
    kube.add(f"{API}/blockaffinities", {"metadata": {"name": f"{node}-{name}"}, "spec": spec})


def test_empty_blocks_of_a_node_are_given_back_and_stay_claimed(cluster):
    block(cluster, "10.244.1.0/26", "n1", None, None)
    block(cluster, "10.244.1.64/26", "n1", None, 0)
    block(cluster, "10.244.2.0/26", "n2", None, None)
    params = {**DEFAULTS, "release": ["n1"]}
    predicted = run(cluster, params, check_mode=True)
    assert f"{API}/ipamblocks/10-244-1-0-26" in cluster.objects
    results = run(cluster, params)
    assert results["released"] == predicted["released"] == [{"node": "n1", "block": "10.244.1.0/26"}]
    assert results["diff"]["before"] == {"blocks": {"n1": ["10.244.1.0/26"]}}
    assert sorted(path for path in cluster.objects if "ipamblocks" in path) == [f"{API}/ipamblocks/10-244-1-64-26", f"{API}/ipamblocks/10-244-2-0-26"]
    states = {path.rsplit("/", 1)[1]: item["spec"]["state"] for path, item in cluster.objects.items() if "blockaffinities" in path}
    assert states == {"n1-10-244-1-0-26": "pending", "n1-10-244-1-64-26": "confirmed", "n2-10-244-2-0-26": "confirmed"}
    assert not run(cluster, params)["changed"]
