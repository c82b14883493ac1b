# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube import removal
from ansible_collections.podnet.cni.plugins.module_utils._kube.calico_objects import pods_on_calico
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError
from ansible_collections.podnet.cni.plugins.module_utils._kube.removal import Failure
from ansible_collections.podnet.cni.plugins.module_utils._run.journal import Journal
from ansible_collections.podnet.cni.plugins.module_utils._run.lock import Locked, new_lock
from ansible_collections.podnet.cni.plugins.modules import calico_uninstall
from ansible_collections.podnet.cni.plugins.modules.calico_uninstall import Uninstaller
from ansible_collections.podnet.cni.tests.unit.fakes import calico, flannel

DEFAULTS = {"state": "absent", "phase": "all", "keep_resources": False, "force": False, "wait_timeout": 0.3, "journal_run": None}
DAEMONSET = f"{calico.APPS}/daemonsets/calico-node"
WORKLOADS = ["DaemonSet", "Deployment"]
REST = ["ClusterRoleBinding"] * 3 + ["ClusterRole"] * 3 + ["ServiceAccount"] * 3 + ["ConfigMap", "PodDisruptionBudget"]
DEFINITIONS = ["CustomResourceDefinition"] * 4
NODE = "/api/v1/nodes/n1"


@pytest.fixture
def cluster(kube, monkeypatch):
    """Nodes that are back on Flannel, with Calico beside it."""
    monkeypatch.setattr(removal, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(calico_uninstall, "SETTLE_SECONDS", 0.03)
    monkeypatch.setattr(calico_uninstall, "LOOK_SECONDS", 0.01)
    calico.install(kube)
    return kube


def run(kube, check_mode=False, **params):
    return Uninstaller(kube, {**DEFAULTS, **params}, check_mode).run()


def kinds(results):
    return [item["kind"] for item in results["deleted"]]


def network(kube, node="n1"):
    entry = next(entry for entry in kube.objects[f"/api/v1/nodes/{node}"]["status"]["conditions"] if entry["type"] == "NetworkUnavailable")
    return entry["status"], entry["reason"]


def test_everything_goes_in_order(cluster):
    results = run(cluster)
    assert kinds(results) == [*WORKLOADS, *DEFINITIONS, *REST]
    assert results["changed"]
    assert results["kept"] == []
    assert results["resources"] == {"IPPool": 1, "IPAMBlock": 1, "NetworkPolicy": 1}
    assert results["nodes"] == ["n1", "n2"]
    assert [path for path in cluster.objects if "calico" in path] == []
    assert f"{calico.SYSTEM}/configmaps/coredns" in cluster.objects


def test_flannel_stays(cluster):
    before = {path for path in cluster.objects if "flannel" in path}
    run(cluster)
    assert before == {path for path in cluster.objects if "flannel" in path}
    assert "/apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds" in cluster.objects
    assert f"{calico.RBAC}/clusterroles/flannel" in cluster.objects
    assert "flannel.alpha.coreos.com/backend-data" in cluster.objects[NODE]["metadata"]["annotations"]


def test_what_calico_wrote_on_nodes_is_gone_and_the_rest_stays(cluster):
    run(cluster)
    metadata = cluster.objects[NODE]["metadata"]
    assert [key for key in metadata["annotations"] if "calico" in key] == []
    assert metadata["labels"] == {"zone": "a"}


def test_the_second_run_changes_nothing_with_few_requests(cluster):
    run(cluster)
    writes = len(cluster.writes())
    before = cluster.calls
    results = run(cluster)
    assert not results["changed"]
    assert "diff" not in results
    assert results["backup"] == []
    assert len(cluster.writes()) == writes
    assert cluster.calls - before < 30


def test_in_two_phases(cluster):
    first = run(cluster, phase="daemonset")
    assert kinds(first) == WORKLOADS
    assert first["conditions"] == ["n1", "n2"]
    assert first["nodes"] == []
    assert not run(cluster, phase="daemonset")["changed"]
    second = run(cluster, phase="rest")
    assert kinds(second) == [*DEFINITIONS, *REST]
    assert second["nodes"] == ["n1", "n2"]
    assert second["conditions"] == []
    assert not run(cluster, phase="rest")["changed"]


def test_a_node_that_was_told_to_have_no_network_has_one_again(cluster):
    run(cluster, phase="daemonset")
    assert network(cluster) == ("False", "FlannelIsUp")


def test_what_is_written_after_the_pod_is_gone_is_corrected_too(cluster):
    late = []

    @cluster.on
    def shutdown(method, path, body):
        if method == "PATCH" and path == f"{NODE}/status" and not late:
            late.append(path)
        elif method == "GET" and path == "/api/v1/nodes" and len(late) == 1:
            late.append(path)
            cluster.objects[NODE]["status"]["conditions"][1] = calico.condition("CalicoIsDown", "True")

    results = run(cluster, phase="daemonset")
    assert len(late) == 2
    assert network(cluster) == ("False", "FlannelIsUp")
    assert results["conditions"] == ["n1", "n2"]


def test_a_node_without_flannel_keeps_what_is_said_of_it(cluster):
    cluster.objects[NODE]["metadata"]["annotations"] = {}
    assert run(cluster, phase="daemonset")["conditions"] == ["n2"]
    assert network(cluster) == ("True", "CalicoIsDown")


def test_the_rest_is_refused_while_calico_runs(cluster):
    with pytest.raises(Failure, match="phase: DaemonSet kube-system/calico-node and Deployment .* use phase=daemonset first"):
        run(cluster, phase="rest")
    assert cluster.writes() == []


@pytest.mark.parametrize("phase", ["daemonset", "rest", "all"])
def test_pods_on_calico_are_refused_before_anything_changes(cluster, phase):
    if phase == "rest":
        for path in [path for path in cluster.objects if path.startswith(calico.APPS)]:
            del cluster.objects[path]
    for number in range(7):
        cluster.add("/api/v1/namespaces/demo/pods", calico.user_pod(f"web-{number}"))
    with pytest.raises(Failure, match="7 running pods .* demo/web-0 on node n1, .* and 2 more.*rollback_to_flannel.*force"):
        run(cluster, phase=phase)
    assert cluster.writes() == []
    assert run(cluster, phase=phase, force=True)["changed"]


@pytest.mark.parametrize(
    ("pod", "found"),
    [
        (calico.user_pod(), True),
        (calico.user_pod(annotation=""), False),
        (calico.user_pod(address="10.244.1.77"), False),
        (calico.user_pod(address=""), True),
        (calico.user_pod(annotations={"cni.projectcalico.org/containerID": "abc"}), True),
        (calico.user_pod(annotations={}), False),
        (calico.user_pod(deletionTimestamp="now"), False),
        ({**calico.user_pod(), "spec": {"hostNetwork": True}}, False),
        ({**calico.user_pod(), "status": {"phase": "Succeeded", "podIP": "10.244.1.5"}}, False),
    ],
    ids=["runs", "was deleted", "has another address", "starts", "older release", "Flannel", "ends", "host", "finished"],
)
def test_which_pods_have_their_network_from_calico(pod, found):
    assert bool(pods_on_calico([pod])) is found


def test_a_node_that_is_away_is_named(cluster):
    cluster.objects[NODE]["status"]["conditions"][0]["status"] = "Unknown"
    with pytest.raises(Failure, match="not Ready: n1.* bring the nodes back, or remove them.* force"):
        run(cluster)
    assert cluster.writes() == []
    assert run(cluster, force=True)["changed"]


def test_pods_that_do_not_end_are_told(cluster):
    cluster.hooks.pop()
    with pytest.raises(Failure, match="still there: kube-system/calico-node-1 on node n1, .*node is away"):
        run(cluster, wait_timeout=0.05)
    assert f"{calico.SYSTEM}/configmaps/calico-config" in cluster.objects


def test_owners_are_refused(cluster):
    cluster.objects[DAEMONSET]["metadata"]["labels"]["addonmanager.kubernetes.io/mode"] = "Reconcile"
    with pytest.raises(Failure, match="would be put back.*remove Calico's manifest from the addon manager's folder.*set force"):
        run(cluster)
    assert cluster.writes() == []
    assert run(cluster, force=True)["owners"][0]["kind"] == "addon-manager"


def test_canal_is_refused(cluster):
    containers = cluster.objects["/apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds"]["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "calico-node", "image": "quay.io/calico/node:v3.28.5"})
    with pytest.raises(Failure, match="Canal.*replace Canal as a whole"):
        run(cluster, force=True)
    assert cluster.writes() == []


def test_the_operator_is_refused(cluster):
    cluster.served().add("operator.tigera.io/v1")
    assert run(cluster, check_mode=True)["changed"]
    cluster.add("/apis/operator.tigera.io/v1/installations", {"metadata": {"name": "default"}})
    with pytest.raises(Failure, match=r"Tigera operator \(Installation default\).*deleting the Installation"):
        run(cluster, force=True)
    assert cluster.writes() == []


def test_an_api_server_of_calico_is_refused(cluster):
    cluster.served().add("projectcalico.org/v3")
    service = {"metadata": {"name": "v3.projectcalico.org"}, "spec": {"service": {"namespace": "calico-apiserver", "name": "calico-api"}}}
    path = "/apis/apiregistration.k8s.io/v1/apiservices"
    cluster.add(path, service)
    with pytest.raises(Failure, match="Service calico-apiserver/calico-api.*remove it first"):
        run(cluster)
    cluster.add(path, {"metadata": {"name": "v3.projectcalico.org"}, "spec": {}})
    assert run(cluster, check_mode=True)["changed"]


def test_the_backup_is_in_the_journal_before_the_first_deletion(cluster):
    run(cluster, phase="daemonset", journal_run="r1")
    assert [method for method, dummy in cluster.writes()][:2] == ["POST", "DELETE"]
    backup = Journal(cluster).read().backup["calico"]
    assert backup["run"] == "r1"
    assert sorted(item["kind"] for item in backup["objects"]) == sorted([*WORKLOADS, *REST])
    assert {item["resource"]["kind"] for item in backup["resources"]} == {"IPPool", "NetworkPolicy"}
    assert [item["path"] for item in backup["resources"] if item["resource"]["kind"] == "NetworkPolicy"] == [
        f"{calico.STORE}/namespaces/demo/networkpolicies/deny"
    ]
    assert backup["definitions"] == sorted(f"{plural}.{calico.GROUP}" for plural in calico.KINDS)
    assert backup["node_annotations"]["n1"] == {"projectcalico.org/IPv4Address": "172.30.1.11/24"}
    assert backup["node_labels"]["n2"] == {"projectcalico.org/node-network-during-migration": "flannel"}
    assert "x" * 1000 not in json.dumps(backup)
    assert "uid" not in backup["resources"][0]["resource"]["metadata"]


def test_a_backup_that_does_not_fit_is_told_and_nothing_is_deleted(cluster):
    @cluster.on
    def full(method, path, body):
        if method == "POST":
            raise KubeError(413, "RequestEntityTooLarge", "limit is 3145728", path)

    with pytest.raises(Failure, match="does not fit into the journal, mostly because of its 2 resources.*Save the resources yourself"):
        run(cluster)
    assert DAEMONSET in cluster.objects


def test_resources_of_an_earlier_backup_are_not_told_any_more_once_calico_runs_again(cluster):
    run(cluster)
    calico.install(cluster)
    del cluster.objects[f"{calico.STORE}/ippools/podnet"]
    run(cluster, phase="daemonset")
    assert [item["resource"]["kind"] for item in Journal(cluster).read().backup["calico"]["resources"]] == ["NetworkPolicy"]


def test_a_run_that_was_stopped_goes_on(cluster):
    @cluster.on
    def stop(method, path, body):
        if method == "DELETE" and path.endswith("/clusterroles/calico-node"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(cluster)
    cluster.hooks.pop()
    results = run(cluster)
    assert kinds(results).count("ClusterRole") >= 1
    assert "ClusterRoleBinding" not in kinds(results)
    assert [path for path in cluster.objects if "calico" in path] == []


def test_finalizers_of_resources_do_not_hold_their_definition(cluster):
    cluster.objects[f"{calico.STORE}/ippools/podnet"]["metadata"]["finalizers"] = ["example.org/hold"]
    assert run(cluster)["resources"]["IPPool"] == 1
    assert f"{calico.DEFINITIONS}/ippools.{calico.GROUP}" not in cluster.objects


def test_a_definition_that_stays_is_told(cluster):
    @cluster.on
    def hold(method, path, body):
        return {} if method == "DELETE" and "/ippools." in path else None

    with pytest.raises(Failure, match="CustomResourceDefinition ippools.crd.projectcalico.org is still there 0.05 s.*finalizers"):
        run(cluster, wait_timeout=0.05)
    assert f"{calico.SYSTEM}/configmaps/calico-config" in cluster.objects


def test_resources_are_kept_when_asked(cluster):
    results = run(cluster, keep_resources=True)
    assert kinds(results) == [*WORKLOADS, *REST]
    assert {item["why"] for item in results["kept"]} == {"keep_resources is set"}
    assert len(results["kept"]) == 4
    assert f"{calico.STORE}/ippools/podnet" in cluster.objects
    assert not run(cluster, keep_resources=True)["changed"]


def test_what_others_use_is_kept(cluster):
    other = {
        "metadata": {"name": "tool", "namespace": "kube-system"},
        "spec": {
            "hostNetwork": True,
            "serviceAccountName": "calico-node",
            "containers": [{"envFrom": [{"configMapRef": {"name": "calico-config"}}]}],
        },
    }
    cluster.add(f"{calico.SYSTEM}/pods", other)
    results = run(cluster)
    assert [(item["kind"], item["why"]) for item in results["kept"]] == [
        ("ServiceAccount", "pod kube-system/tool uses it"),
        ("ConfigMap", "pod kube-system/tool uses it"),
    ]


def test_roles_of_namespaces_go_with_their_account_and_those_of_others_stay(cluster):
    roles = f"{calico.RBAC}/namespaces/kube-system"
    cluster.add(f"{roles}/roles", {"metadata": {"name": "passwords", "namespace": "kube-system"}})
    binding = flannel.binding("passwords", "passwords", (("calico-node", "kube-system"),))
    binding["roleRef"]["kind"] = "Role"
    binding["metadata"]["namespace"] = "kube-system"
    cluster.add(f"{roles}/rolebindings", binding)
    cluster.add(f"{calico.RBAC}/clusterrolebindings", flannel.binding("shared", "calico-node", (("x", "y"),)))
    results = run(cluster)
    names = [(item["kind"], item["name"]) for item in results["deleted"]]
    assert ("RoleBinding", "passwords") in names
    assert ("Role", "passwords") in names
    assert ("ClusterRole", "calico-node") not in names


def test_typha_and_what_newer_releases_bring(cluster):
    cluster.add(f"{calico.APPS}/deployments", calico.workload("calico-typha", "calico-node"))
    service = {"metadata": {"name": "calico-typha", "namespace": "kube-system"}, "spec": {"selector": {"k8s-app": "calico-typha"}}}
    cluster.add(f"{calico.SYSTEM}/services", service)
    cluster.add(f"{calico.RBAC}/clusterroles", {"metadata": {"name": "calico-tier-getter"}})
    cluster.add(f"{calico.RBAC}/clusterrolebindings", flannel.binding("calico-tier-getter", "calico-tier-getter", (("x", "y"),)))
    names = [(item["kind"], item["name"]) for item in run(cluster)["deleted"]]
    for kind in ("ClusterRole", "ClusterRoleBinding"):
        assert (kind, "calico-tier-getter") in names
    assert ("Deployment", "calico-typha") in names
    assert ("Service", "calico-typha") in names


@pytest.mark.parametrize("phase", ["daemonset", "all"])
def test_check_mode_tells_the_same_and_changes_nothing(cluster, phase):
    predicted = run(cluster, check_mode=True, phase=phase)
    assert cluster.writes() == []
    done = run(cluster, phase=phase)
    for key in ("changed", "deleted", "kept", "resources", "nodes", "conditions", "owners", "diff"):
        assert predicted[key] == done[key], key
    assert predicted["diff"]["before"]["objects"][0] == "DaemonSet kube-system/calico-node"


def test_the_lock_of_another_run_is_respected(cluster):
    new_lock(cluster, "r1", False).acquire()
    with pytest.raises(Locked, match="run 'r1'"):
        run(cluster, journal_run="r2")
    assert DAEMONSET in cluster.objects
    assert run(cluster, journal_run="r1")["changed"]


def test_a_cluster_without_calico_stays_as_it_is(kube):
    flannel.install(kube)
    results = run(kube)
    assert not results["changed"]
    assert kube.writes() == []
