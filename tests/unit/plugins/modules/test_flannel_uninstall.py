# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube import removal
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import error_of
from ansible_collections.podnet.cni.plugins.module_utils._kube.removal import Failure
from ansible_collections.podnet.cni.plugins.module_utils._run.journal import Journal
from ansible_collections.podnet.cni.plugins.module_utils._run.lock import Locked, new_lock
from ansible_collections.podnet.cni.plugins.modules.flannel_uninstall import Uninstaller
from ansible_collections.podnet.cni.tests.unit.fakes import flannel

DEFAULTS = {
    "state": "absent",
    "phase": "all",
    "keep_configmap": False,
    "ignore_owners": False,
    "wait_timeout": 0.2,
    "journal_run": None,
}
NAMESPACE = "/api/v1/namespaces/kube-flannel"
DAEMONSET = "/apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds"
JOURNAL = "/api/v1/namespaces/kube-system/configmaps/podnet-cni-migration"
KINDS = ["DaemonSet", "ClusterRoleBinding", "ClusterRole", "ServiceAccount", "ConfigMap", "Namespace"]


def resource(kind, name, namespaced=True, verbs=("list",)):
    return {"kind": kind, "name": name, "namespaced": namespaced, "verbs": list(verbs)}


CORE = [
    resource("ConfigMap", "configmaps"),
    resource("Secret", "secrets"),
    resource("ServiceAccount", "serviceaccounts"),
    resource("Pod", "pods"),
    resource("Pod", "pods/log", verbs=("get",)),
    resource("Event", "events"),
    resource("Node", "nodes", namespaced=False),
    resource("Binding", "bindings", verbs=("create",)),
]
GROUPS = {"groups": [{"preferredVersion": {"groupVersion": "apps/v1"}, "versions": [{"groupVersion": "apps/v1"}]}]}


@pytest.fixture
def cluster(kube, monkeypatch):
    """A cluster that runs Flannel, and whose controllers delete the pods of a deleted DaemonSet."""
    monkeypatch.setattr(removal, "POLL_SECONDS", 0.01)
    flannel.install(kube)

    @kube.on
    def discovery(method, path, body):
        return {
            "/api/v1": {"resources": CORE},
            "/apis": GROUPS,
            "/apis/apps/v1": {"resources": [resource("DaemonSet", "daemonsets")]},
        }.get(path)

    @kube.on
    def garbage_collector(method, path, body):
        if method == "DELETE" and path == DAEMONSET and not kube.log[-1][3]:
            for pod in [key for key in kube.objects if "/pods/kube-flannel-ds" in key]:
                del kube.objects[pod]
        return

    return kube


def run(kube, check_mode=False, **params):
    return Uninstaller(kube, {**DEFAULTS, **params}, check_mode).run()


def kinds(results):
    return [item["kind"] for item in results["deleted"]]


def test_everything_goes_in_order(cluster):
    results = run(cluster)
    assert kinds(results) == KINDS
    assert results["changed"]
    assert results["kept"] == []
    assert results["nodes"] == ["n1", "n2"]
    assert cluster.objects["/api/v1/nodes/n1"]["metadata"]["annotations"] == {"node.alpha.kubernetes.io/ttl": "0"}
    assert [path for path in cluster.objects if path.endswith("flannel") or "cfg" in path or "-ds" in path] == []


def test_the_second_run_changes_nothing(cluster):
    run(cluster)
    writes = len(cluster.writes())
    results = run(cluster)
    assert not results["changed"]
    assert "diff" not in results
    assert results["backup"] == []
    assert len(cluster.writes()) == writes


def test_in_two_phases(cluster):
    first = run(cluster, phase="daemonset")
    assert kinds(first) == ["DaemonSet"]
    assert not run(cluster, phase="daemonset")["changed"]
    second = run(cluster, phase="rest")
    assert kinds(second) == KINDS[1:]
    assert second["nodes"] == ["n1", "n2"]
    assert not run(cluster, phase="rest")["changed"]


def test_other_names_and_another_prefix(kube, cluster):
    kube.objects = {}
    flannel.install(kube, "infra", "overlay", "net.example.org", ["--kube-subnet-mgr", "--kube-annotation-prefix=net.example.org"])

    @kube.on
    def garbage_collector(method, path, body):
        if method == "DELETE":
            for pod in [key for key in kube.objects if "/pods/overlay" in key]:
                del kube.objects[pod]
        return

    assert kinds(run(kube, phase="daemonset")) == ["DaemonSet"]
    results = run(kube, phase="rest")
    assert kinds(results) == KINDS[1:]
    assert kube.objects["/api/v1/nodes/n1"]["metadata"]["annotations"] == {"node.alpha.kubernetes.io/ttl": "0"}
    assert "/api/v1/namespaces/infra" not in kube.objects


def test_the_rest_is_refused_while_flanneld_runs(cluster):
    with pytest.raises(Failure, match="phase: DaemonSet kube-flannel/kube-flannel-ds still runs flanneld.*use phase=daemonset first"):
        run(cluster, phase="rest")
    assert cluster.writes() == []


def test_a_daemonset_that_was_put_back_is_told_with_its_writer(cluster):
    kept = cluster.objects[DAEMONSET]
    run(cluster, phase="daemonset")
    fields = [{"manager": "helper", "operation": "Update", "time": "2026-01-01T00:00:00Z", "fieldsV1": {}}]
    fields += [{"manager": "kube-controller-manager", "subresource": "status", "time": "2026-01-03T00:00:00Z"}]
    fields += [{"manager": "argocd-controller", "operation": "Apply", "time": "2026-01-02T00:00:00Z", "fieldsV1": {}}]
    metadata = {**kept["metadata"], "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": fields}
    cluster.objects[DAEMONSET] = {**kept, "metadata": metadata}
    with pytest.raises(Failure, match="there again after it was removed, created 2026-01-01T00:00:00Z and written by argocd-controller, helper: "):
        run(cluster, phase="rest")
    assert not [write for write in cluster.writes()[2:] if write[0] == "DELETE"]


def test_a_daemonset_that_is_put_back_meanwhile_is_not_waited_for(cluster):
    kept = cluster.objects[DAEMONSET]
    fields = [{"manager": "argocd-controller", "operation": "Apply", "time": "2026-01-02T00:00:00Z", "fieldsV1": {}}]
    metadata = {**kept["metadata"], "uid": "uid-of-the-next", "creationTimestamp": "2026-01-02T00:00:00Z", "managedFields": fields}

    @cluster.on
    def gitops(method, path, body):
        gone = method == "GET" and path == DAEMONSET and DAEMONSET not in cluster.objects
        return {**kept, "kind": "DaemonSet", "metadata": metadata} if gone else None

    with pytest.raises(
        Failure, match="kube-flannel-ds is there again after it was removed, created .* written by argocd-controller: .* then run again"
    ):
        run(cluster, phase="daemonset", wait_timeout=3600)


def test_the_backup_is_in_the_journal_before_the_first_deletion(cluster):
    results = run(cluster, phase="daemonset", journal_run="r1")
    writes = cluster.writes()
    assert writes[0] == ("POST", JOURNAL.rsplit("/", 1)[0])
    assert writes[1] == ("DELETE", DAEMONSET)
    backup = Journal(cluster).read().backup["flannel"]
    assert backup["run"] == "r1"
    assert {item["kind"] for item in backup["objects"]} == set(KINDS)
    assert sorted(backup["node_annotations"]) == ["n1", "n2"]
    daemonset = results["backup"][0]
    assert daemonset["apiVersion"] == "apps/v1"
    assert "status" not in daemonset
    assert not {"uid", "resourceVersion", "managedFields"} & set(daemonset["metadata"])


def test_without_a_backup_nothing_is_deleted(cluster):
    @cluster.on
    def forbid(method, path, body):
        if method == "POST":
            raise error_of(403, "Forbidden", "may not create configmaps", path)
        return

    with pytest.raises(Exception, match="may not create configmaps"):
        run(cluster)
    assert DAEMONSET in cluster.objects


def test_what_is_left_is_found_by_its_usual_names_when_the_daemonset_went_before(cluster):
    del cluster.objects[DAEMONSET]
    for pod in [key for key in cluster.objects if "/pods/" in key]:
        del cluster.objects[pod]
    assert kinds(run(cluster)) == KINDS[1:]


def test_pods_that_do_not_end_are_told(cluster):
    cluster.hooks.pop()
    with pytest.raises(Failure, match="still there: kube-flannel/kube-flannel-ds-1 on node n1, .*node is away") as caught:
        run(cluster, wait_timeout=0.05)
    assert "bring the node back" in str(caught.value)
    assert f"{NAMESPACE}/configmaps/kube-flannel-cfg" in cluster.objects


def test_the_daemonset_is_deleted_in_the_foreground(cluster):
    deletions = []
    delete = cluster.delete
    cluster.delete = lambda path, **options: deletions.append((path, options.get("propagation"))) or delete(path, **options)
    run(cluster, phase="daemonset")
    assert deletions == [(DAEMONSET, "Foreground")]


def test_owners_are_refused_before_anything_changes(cluster):
    cluster.objects[DAEMONSET]["metadata"]["labels"]["addonmanager.kubernetes.io/mode"] = "Reconcile"
    with pytest.raises(Failure, match="would be put back.*addon manager's folder.*ignore_owners"):
        run(cluster)
    assert cluster.writes() == []
    results = run(cluster, ignore_owners=True)
    assert kinds(results) == KINDS
    assert results["owners"][0]["kind"] == "addon-manager"


def test_a_helm_release_is_told_but_does_not_hinder(cluster):
    cluster.objects[DAEMONSET]["metadata"]["annotations"] = {"meta.helm.sh/release-name": "flannel"}
    results = run(cluster)
    assert results["changed"]
    assert results["owners"][0]["kind"] == "helm"


def test_canal_is_refused(cluster):
    containers = cluster.objects[DAEMONSET]["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "calico-node", "image": "quay.io/calico/node:v3.28.5"})
    with pytest.raises(Failure, match="Canal.*replace Canal as a whole"):
        run(cluster, ignore_owners=True)
    assert cluster.writes() == []


def test_the_configmap_is_kept_when_asked(cluster):
    results = run(cluster, keep_configmap=True)
    assert kinds(results) == KINDS[:4]
    assert [(item["kind"], item["why"]) for item in results["kept"]] == [
        ("ConfigMap", "keep_configmap is set"),
        ("Namespace", "it holds ConfigMap kube-flannel-cfg"),
    ]
    assert not run(cluster, keep_configmap=True)["changed"]


def test_what_others_use_is_kept(cluster):
    other = {
        "metadata": {"name": "tool", "namespace": "kube-flannel"},
        "spec": {"serviceAccountName": "flannel", "containers": [{"envFrom": [{"configMapRef": {"name": "kube-flannel-cfg"}}]}]},
    }
    cluster.add(f"{NAMESPACE}/pods", other)
    results = run(cluster)
    assert kinds(results) == KINDS[:3]
    assert {item["kind"]: item["why"] for item in results["kept"]} == {
        "ServiceAccount": "pod kube-flannel/tool uses it",
        "ConfigMap": "pod kube-flannel/tool uses it",
        "Namespace": "it holds ConfigMap kube-flannel-cfg, ServiceAccount flannel, Pod tool",
    }


def test_a_role_that_others_have_and_their_bindings_are_kept(cluster):
    cluster.add(f"{flannel.RBAC}/clusterrolebindings", flannel.binding("shared", "flannel", (("flannel", "kube-flannel"), ("x", "y"))))
    results = run(cluster)
    assert kinds(results) == ["DaemonSet", "ClusterRoleBinding", "ServiceAccount", "ConfigMap", "Namespace"]
    assert f"{flannel.RBAC}/clusterroles/flannel" in cluster.objects
    assert f"{flannel.RBAC}/clusterrolebindings/shared" in cluster.objects


def test_a_namespace_with_something_else_is_kept(cluster):
    cluster.add(f"{NAMESPACE}/secrets", {"metadata": {"name": "pull", "namespace": "kube-flannel"}, "type": "Opaque"})
    token = {"metadata": {"name": "flannel-token", "namespace": "kube-flannel"}, "type": "kubernetes.io/service-account-token"}
    cluster.add(f"{NAMESPACE}/secrets", token)
    results = run(cluster)
    assert results["kept"] == [{"kind": "Namespace", "namespace": "", "name": "kube-flannel", "why": "it holds Secret pull"}]
    assert NAMESPACE in cluster.objects


def test_a_namespace_that_cannot_be_read_fully_is_kept(cluster):
    @cluster.on
    def away(method, path, body):
        if path == "/apis/apps/v1":
            raise error_of(503, "ServiceUnavailable", "the server is away", path)
        return

    cluster.hooks.reverse()
    assert "cannot be read" in run(cluster)["kept"][0]["why"]


def test_the_systems_namespaces_are_never_deleted(kube, cluster):
    kube.objects = {}
    flannel.install(kube, "kube-system", "kube-flannel-ds")

    @kube.on
    def garbage_collector(method, path, body):
        if method == "DELETE":
            for pod in [key for key in kube.objects if "/pods/kube-flannel" in key]:
                del kube.objects[pod]
        return

    assert kinds(run(kube)) == KINDS[:5]


def test_check_mode_tells_the_same_and_deletes_nothing(cluster):
    results = run(cluster, check_mode=True)
    assert kinds(results) == KINDS
    assert results["nodes"] == ["n1", "n2"]
    assert results["diff"]["before"]["objects"][0] == "DaemonSet kube-flannel/kube-flannel-ds"
    assert results["diff"]["after"] == {"objects": [], "node_annotations": {}}
    assert cluster.writes() == []
    assert DAEMONSET in cluster.objects


def test_the_lock_of_another_run_is_respected(cluster):
    new_lock(cluster, "r1", False).acquire()
    with pytest.raises(Locked, match="run 'r1'"):
        run(cluster, journal_run="r2")
    assert DAEMONSET in cluster.objects
    assert run(cluster, journal_run="r1")["changed"]


def test_a_cluster_without_flannel_stays_as_it_is(kube):
    kube.add("/api/v1/nodes", {"metadata": {"name": "n1"}})
    results = run(kube)
    assert not results["changed"]
    assert kube.writes() == []
