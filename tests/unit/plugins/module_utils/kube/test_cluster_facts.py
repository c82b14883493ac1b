# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube.calico_facts import block_facts, calico_api, find_calico_node
from ansible_collections.podnet.cni.plugins.module_utils._kube.cluster_facts import read_cluster
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, error_of
from ansible_collections.podnet.cni.plugins.module_utils._run.journal import Journal, backup_key
from ansible_collections.podnet.cni.tests.unit.fakes import flannel
from ansible_collections.podnet.cni.tests.unit.fakes.kube import FakeKube

CALICO = "/apis/crd.projectcalico.org/v1"


def bare_cluster(**options):
    kube = FakeKube(**options)
    kube.objects["/version"] = {"gitVersion": "v1.37.2"}
    return kube


@pytest.fixture
def cluster():
    kube = bare_cluster(served=("v1", "apps/v1"))
    flannel.install(kube, "infra", "overlay")
    return kube


def service(name, address, ports, labels=None):
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": {"clusterIP": address, "ports": ports}}


def test_flannel_is_found_wherever_it_is(cluster):
    facts = read_cluster(cluster)
    assert facts["flannel"]["daemonset"]["namespace"] == "infra"
    assert facts["flannel"]["network"] == "10.244.0.0/16"
    found = [(item["kind"], item["name"]) for item in facts["flannel"]["objects"]]
    assert found == [
        ("DaemonSet", "overlay"),
        ("ConfigMap", "kube-flannel-cfg"),
        ("ServiceAccount", "flannel"),
        ("ClusterRoleBinding", "flannel"),
        ("ClusterRole", "flannel"),
    ]
    assert facts["calico"] is None
    assert facts["server_version"] == "v1.37.2"
    assert facts["api_calls"] == cluster.calls
    assert cluster.writes() == []


def test_the_number_of_requests_does_not_grow_with_the_cluster(cluster):
    few = read_cluster(cluster)["api_calls"]
    for number in range(50):
        cluster.add("/api/v1/nodes", flannel.node(f"more-{number}"))
    facts = read_cluster(cluster)
    assert facts["api_calls"] - few == few
    assert len(facts["nodes"]) == 52


def test_nodes(cluster):
    cluster.add(
        "/api/v1/nodes",
        {
            "metadata": {
                "name": "cp1",
                "labels": {"node-role.kubernetes.io/control-plane": ""},
                "annotations": {"projectcalico.org/IPv4Address": "172.30.1.9/24", "volumes.kubernetes.io/x": "true"},
            },
            "spec": {
                "podCIDR": "10.244.9.0/24",
                "podCIDRs": ["10.244.9.0/24", "fd00:9::/64"],
                "unschedulable": True,
                "taints": [{"key": "a"}],
            },
            "status": {
                "addresses": [
                    {"type": "Hostname", "address": "cp1"},
                    {"type": "InternalIP", "address": "172.30.1.9"},
                    {"type": "InternalIP", "address": "fd00::9"},
                ],
                "conditions": [{"type": "Ready", "status": "Unknown"}, {"type": "NetworkUnavailable", "status": "True"}],
                "nodeInfo": {"kernelVersion": "6.1.0", "operatingSystem": "linux", "kubeletVersion": "v1.37.2"},
            },
        },
    )
    node = next(node for node in read_cluster(cluster)["nodes"] if node["name"] == "cp1")
    assert node["control_plane"]
    assert not node["ready"]
    assert not node["schedulable"]
    assert node["network_unavailable"]
    assert node["pod_cidrs"] == ["10.244.9.0/24", "fd00:9::/64"]
    assert node["internal_ips"] == ["172.30.1.9", "fd00::9"]
    assert node["annotations"] == {"projectcalico.org/IPv4Address": "172.30.1.9/24"}
    assert node["flannel"] is None
    other = next(node for node in read_cluster(cluster)["nodes"] if node["name"] == "n1")
    assert other["flannel"]["vtep_mac"] == "de:a1:0a:10:12:19"
    assert other["pod_cidrs"] == ["10.244.1.0/24"]


def test_pods_and_budgets(cluster):
    cluster.add(
        "/api/v1/namespaces/demo/pods",
        {
            "metadata": {
                "name": "web-1",
                "namespace": "demo",
                "labels": {"app": "web"},
                "ownerReferences": [{"controller": True, "kind": "ReplicaSet", "name": "web", "uid": "u"}],
            },
            "spec": {"nodeName": "n1", "volumes": [{"emptyDir": {}}, {"hostPath": {"path": "/x"}}]},
            "status": {"phase": "Running", "podIP": "10.244.1.5", "containerStatuses": [{"restartCount": 2}, {"restartCount": 1}]},
        },
    )
    budget = {
        "metadata": {"name": "web", "namespace": "demo"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
        "status": {"disruptionsAllowed": 1, "expectedPods": 3, "currentHealthy": 3, "desiredHealthy": 2},
    }
    cluster.add("/apis/policy/v1/namespaces/demo/poddisruptionbudgets", budget)
    cluster.add("/apis/networking.k8s.io/v1/namespaces/demo/networkpolicies", {"metadata": {"name": "web", "namespace": "demo"}, "spec": {}})
    facts = read_cluster(cluster)
    assert facts["network_policies"] == [{"namespace": "demo", "name": "web"}]
    pod = next(pod for pod in facts["pods"] if pod["name"] == "web-1")
    assert (pod["owner_kind"], pod["owner_name"], pod["ip"], pod["restarts"]) == ("ReplicaSet", "web", "10.244.1.5", 3)
    assert pod["empty_dir"]
    assert pod["host_path"]
    assert not pod["ready"]
    assert not pod["host_network"]
    assert facts["pod_disruption_budgets"][0]["min_available"] == 2
    assert facts["pod_disruption_budgets"][0]["disruptions_allowed"] == 1


def test_services(cluster):
    assert read_cluster(cluster)["services"] == {"kubernetes": None, "dns": None, "domain": "cluster.local"}
    cluster.add("/api/v1/namespaces/default/services", service("kubernetes", "10.96.0.1", [{"name": "https", "port": 443}]))
    dns = service("dns", "10.96.0.10", [{"name": "metrics", "port": 9153}, {"name": "dns", "port": 53}], {"k8s-app": "kube-dns"})
    cluster.add("/api/v1/namespaces/kube-system/services", dns)
    services = read_cluster(cluster)["services"]
    assert services["kubernetes"] == {"address": "10.96.0.1", "port": 443}
    assert services["dns"] == {"address": "10.96.0.10", "port": 53}


def test_a_user_who_may_not_read_roles_gets_the_rest(cluster):
    @cluster.on
    def forbid(method, path, body):
        if path.startswith(flannel.RBAC):
            raise error_of(403, "Forbidden", "may not", path)
        return

    objects = read_cluster(cluster)["flannel"]["objects"]
    assert [item["kind"] for item in objects] == ["DaemonSet", "ConfigMap", "ServiceAccount"]


def test_a_user_who_may_not_read_nodes_is_told(cluster):
    @cluster.on
    def forbid(method, path, body):
        if path == "/api/v1/nodes":
            raise error_of(403, "Forbidden", "may not list nodes", path)
        return

    with pytest.raises(Forbidden, match="may not list nodes"):
        read_cluster(cluster)


def test_a_cluster_without_flannel():
    assert read_cluster(bare_cluster(served=("v1",)))["flannel"] is None


def test_flannel_inside_k3s():
    kube = bare_cluster(served=("v1",))
    node = flannel.node("n1")
    node["status"] = {"nodeInfo": {"kubeletVersion": "v1.31.4+k3s1"}}
    kube.add("/api/v1/nodes", node)
    facts = read_cluster(kube)["flannel"]
    assert facts["daemonset"]["embedded"]
    assert facts["backend"]["type"] == "vxlan"


@pytest.mark.parametrize(
    ("served", "api"),
    [
        ({"v1"}, None),
        ({"v1", "crd.projectcalico.org/v1"}, "crd.projectcalico.org/v1"),
        ({"projectcalico.org/v3"}, "projectcalico.org/v3"),
        ({"crd.projectcalico.org/v1", "projectcalico.org/v3"}, "projectcalico.org/v3"),
    ],
)
def test_calicos_api(served, api):
    assert calico_api(served) == api


def test_calico():
    kube = bare_cluster()
    container = {"name": "calico-node", "image": "calico/node:v3.28.5", "env": [{"name": "CALICO_NETWORKING_BACKEND", "value": "bird"}]}
    install = {"name": "install-cni", "env": [{"name": "CNI_CONF_NAME", "value": "99-podnet-calico.conflist"}]}
    kube.add(
        "/apis/apps/v1/namespaces/kube-system/daemonsets",
        {
            "metadata": {"name": "calico-node", "namespace": "kube-system"},
            "spec": {
                "selector": {"matchLabels": {"k8s-app": "calico-node"}},
                "template": {"spec": {"containers": [container], "initContainers": [install]}},
            },
            "status": {"desiredNumberScheduled": 2, "numberReady": 1},
        },
    )
    pod = {
        "metadata": {"name": "calico-node-a", "namespace": "kube-system", "labels": {"k8s-app": "calico-node"}},
        "spec": {"nodeName": "n1", "hostNetwork": True},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    kube.add("/api/v1/namespaces/kube-system/pods", pod)

    def resource(plural, name, spec, **more):
        kube.add(f"{CALICO}/{plural}", {"metadata": {"name": name}, "spec": spec, **more})

    resource("ippools", "pods", {"cidr": "10.244.0.0/16", "blockSize": 26})
    resource("ipamblocks", "10-244-1-0-26", {"cidr": "10.244.1.0/26", "affinity": "host:n1", "allocations": [0, None, None, 1]})
    resource("blockaffinities", "n1-10-244-1-0-26", {"cidr": "10.244.1.0/26", "node": "n1", "state": "confirmed"})
    resource("ipreservations", "podnet", {"reservedCIDRs": ["10.244.1.0/31"]})
    resource("bgpconfigurations", "default", {"asNumber": 64512})
    resource("bgppeers", "tor-a", {"peerIP": "172.30.1.1", "asNumber": 64512})
    resource("ipamconfigs", "default", {"strictAffinity": True})
    peers = {"peersV4": [{"peerIP": "172.30.1.1", "type": "NodePeer", "state": "Established", "since": "16:00"}]}
    resource("caliconodestatuses", "n1", {"node": "n1"}, status={"bgp": peers})
    calico = read_cluster(kube)["calico"]
    assert calico["api"] == "crd.projectcalico.org/v1"
    assert calico["daemonset"]["cni_conf_name"] == "99-podnet-calico.conflist"
    assert calico["daemonset"]["backend"] == "bird"
    assert (calico["daemonset"]["desired"], calico["daemonset"]["ready"], calico["daemonset"]["ready_nodes"]) == (2, 1, ["n1"])
    assert calico["pools"] == [{"name": "pods", "cidr": "10.244.0.0/16", "blockSize": 26}]
    assert calico["blocks"] == [{"cidr": "10.244.1.0/26", "node": "n1", "allocated": 2, "free": 2}]
    assert calico["affinities"][0]["state"] == "confirmed"
    assert calico["reservations"] == [{"name": "podnet", "cidrs": ["10.244.1.0/31"]}]
    assert calico["bgp_configuration"] == {"asNumber": 64512}
    assert calico["bgp_peers"][0]["peerIP"] == "172.30.1.1"
    assert calico["ipam_config"] == {"strictAffinity": True}
    assert calico["sessions"] == [{"node": "n1", "peer": "172.30.1.1", "type": "NodePeer", "state": "Established", "since": "16:00"}]
    assert calico["felix"] is None
    assert kube.writes() == []
    json.dumps(calico)


def test_canal_is_not_taken_for_calico():
    daemonset = flannel.daemonset("canal")
    daemonset["spec"]["template"]["spec"]["containers"].append({"name": "calico-node", "image": "calico/node"})
    assert find_calico_node([daemonset]) is None


def test_a_block_of_no_node():
    assert block_facts({"spec": {"cidr": "10.244.1.0/26"}}) == {"cidr": "10.244.1.0/26", "node": None, "allocated": 0, "free": 0}


def test_a_flannel_that_was_removed_is_told_as_long_as_its_backup_is_there(cluster):
    assert read_cluster(cluster)["flannel_backup"] is None
    objects = [{"kind": "DaemonSet", **flannel.daemonset()}, {"kind": "ConfigMap", **flannel.configmap()}]
    Journal(cluster).write({backup_key("flannel"): {"objects": objects}})
    facts = read_cluster(cluster)["flannel_backup"]
    assert (facts["daemonset"], facts["network"]) == ("kube-flannel/kube-flannel-ds", "10.244.0.0/16")

    @cluster.on
    def forbidden(method, path, body):
        if path.endswith("/configmaps/podnet-cni-migration"):
            raise error_of(403, "Forbidden", "may not get configmaps", path)

    assert read_cluster(cluster)["flannel_backup"] is None
