# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube import removal, rollout
from ansible_collections.podnet.cni.plugins.module_utils._kube.removal import Failure
from ansible_collections.podnet.cni.plugins.module_utils._run.journal import Journal, backup_key
from ansible_collections.podnet.cni.plugins.module_utils._run.lock import Locked, new_lock
from ansible_collections.podnet.cni.plugins.modules import flannel_restore, flannel_uninstall
from ansible_collections.podnet.cni.plugins.modules.flannel_restore import Restorer
from ansible_collections.podnet.cni.tests.unit.fakes import flannel

DEFAULTS = {"state": "present", "wait": True, "wait_timeout": 0.3, "journal_run": None}
NAMESPACE = "/api/v1/namespaces/kube-flannel"
DAEMONSET = "/apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds"
JOURNAL = "/api/v1/namespaces/kube-system/configmaps/podnet-cni-migration"
APPLIED = [
    "Namespace kube-flannel",
    "ServiceAccount flannel",
    "ClusterRole flannel",
    "ClusterRoleBinding flannel",
    "ConfigMap kube-flannel-cfg",
    "DaemonSet kube-flannel-ds",
]
RUNS = {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberReady": 2}


@pytest.fixture
def cluster(kube, monkeypatch):
    """A cluster from which flannel_uninstall has removed Flannel, and whose controllers start what is applied."""
    for module in (removal, rollout, flannel_restore):
        monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    flannel.install(kube)
    kube.objects[NAMESPACE]["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "privileged", "team": "net"}
    kube.objects[f"{NAMESPACE}/serviceaccounts/flannel"]["secrets"] = [{"name": "flannel-token-1"}]
    kube.objects[DAEMONSET]["metadata"]["annotations"] = {"deprecated.daemonset.template.generation": "3", "note": "ours"}
    for path in [path for path in kube.objects if "/pods/" in path]:
        del kube.objects[path]
    options = {"phase": "all", "keep_configmap": False, "ignore_owners": False, "wait_timeout": 0.2, "journal_run": None}
    kube.on(lambda method, path, body: {"groups": []} if path == "/apis" else None)
    kube.on(lambda method, path, body: {"resources": []} if path == "/api/v1" else None)
    flannel_uninstall.Uninstaller(kube, options, False).run()
    for name in ("configmaps/kube-root-ca.crt", "serviceaccounts/default"):  # which the cluster's controllers remove
        del kube.objects[f"{NAMESPACE}/{name}"]
    assert [path for path in kube.objects if "kube-flannel" in path] == []
    del kube.log[:]
    apply = kube.apply

    def with_controllers(path, body, dry_run=False, **options):
        answer = apply(path, body, dry_run=dry_run, **options)
        if not dry_run:
            kube.objects[path]["metadata"]["managedFields"] = [{"manager": "podnet.cni", "operation": "Apply", "fieldsV1": {}}]
            kube.objects[path].setdefault("status", RUNS)
        return answer

    kube.apply = with_controllers
    return kube


def run(kube, check_mode=False, **params):
    return Restorer(kube, {**DEFAULTS, **params}, check_mode).run()


def edit_backup(kube, change):
    journal = Journal(kube)
    record = copy.deepcopy(journal.record(backup_key("flannel")))
    change(record)
    journal.write({backup_key("flannel"): record})


def test_everything_comes_back_in_order(cluster):
    results = run(cluster)
    assert results["applied"] == APPLIED
    assert results["nodes"] == ["n1", "n2"]
    assert results["daemonsets"] == [{"namespace": "kube-flannel", "name": "kube-flannel-ds", "desired": 2, "ready": 2}]
    assert results["api_calls"] == cluster.calls
    assert cluster.objects["/api/v1/nodes/n1"]["metadata"]["annotations"]["flannel.alpha.coreos.com/backend-type"] == "vxlan"
    assert cluster.objects[NAMESPACE]["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "privileged", "team": "net"}
    assert cluster.writes()[-1] == ("APPLY", DAEMONSET)
    assert Journal(cluster).read().backup["flannel"]["objects"]


def test_what_only_the_server_writes_is_not_sent(cluster):
    def change(record):
        for item in record["objects"]:
            item["metadata"].update(finalizers=["foregroundDeletion"], deletionTimestamp="then", ownerReferences=[{"kind": "X", "name": "gone"}])
            item["status"] = {"numberReady": 1}
            if item["kind"] == "Namespace":
                item["spec"] = {"finalizers": ["kubernetes"]}

    edit_backup(cluster, change)
    run(cluster)
    sent = {path: body for method, path, body, dummy in cluster.log if method == "APPLY"}
    assert len(sent) == 6
    for path, body in sent.items():
        assert set(body["metadata"]) <= {"name", "namespace", "labels", "annotations"}, path
        assert "status" not in body
    assert "secrets" not in sent[f"{NAMESPACE}/serviceaccounts/flannel"]
    assert "spec" not in sent[NAMESPACE]
    assert sent[DAEMONSET]["metadata"]["annotations"] == {"note": "ours"}


def test_the_second_run_changes_nothing(cluster):
    run(cluster)
    writes = len(cluster.writes())
    results = run(cluster)
    assert not results["changed"]
    assert results["applied"] == []
    assert results["nodes"] == []
    assert "diff" not in results
    assert len(cluster.writes()) == writes


def test_only_what_a_node_lacks_is_written(cluster):
    key = "flannel.alpha.coreos.com/public-ip"
    cluster.objects["/api/v1/nodes/n1"]["metadata"]["annotations"][key] = "172.30.9.9"
    del cluster.objects["/api/v1/nodes/n2"]
    assert run(cluster)["nodes"] == ["n1"]
    annotations = cluster.objects["/api/v1/nodes/n1"]["metadata"]["annotations"]
    assert annotations[key] == "172.30.9.9"
    assert len([name for name in annotations if name.startswith("flannel")]) == 4


def test_a_backup_without_a_namespace_gets_one_that_allows_flanneld(cluster):
    edit_backup(cluster, lambda record: record.update(objects=[item for item in record["objects"] if item["kind"] != "Namespace"]))
    assert run(cluster)["applied"] == APPLIED
    assert cluster.objects[NAMESPACE]["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "privileged"}


def test_the_systems_namespaces_are_not_made(cluster):
    def change(record):
        record["objects"] = [item for item in record["objects"] if item["kind"] != "Namespace"]
        for item in record["objects"]:
            if "namespace" in item["metadata"]:
                item["metadata"]["namespace"] = "kube-system"

    edit_backup(cluster, change)
    assert run(cluster)["applied"] == APPLIED[1:]


@pytest.mark.parametrize("change", [lambda record: record.update(objects=[]), lambda record: record.clear()], ids=["no objects", "nothing"])
def test_without_a_backup_nothing_is_put_back(cluster, change):
    edit_backup(cluster, change)
    del cluster.log[:]
    with pytest.raises(Failure, match="ConfigMap kube-system/podnet-cni-migration, key backup.flannel.json.*Install Flannel's manifest instead"):
        run(cluster)
    assert cluster.writes() == []


def test_without_a_journal_nothing_is_put_back(kube):
    with pytest.raises(Failure, match=r"no backup of Flannel's DaemonSet"):
        run(kube)


def test_another_flannel_is_refused(cluster):
    cluster.add("/apis/apps/v1/namespaces/infra/daemonsets", flannel.daemonset("overlay", "infra"))
    with pytest.raises(Failure, match="infra/overlay runs flanneld already.*kube-flannel/kube-flannel-ds beside it.*Keep the one"):
        run(cluster)
    assert cluster.writes() == []


def test_a_daemonset_that_differs_becomes_that_of_the_backup(cluster):
    other = flannel.daemonset(words=["--kube-subnet-mgr"])
    other["status"] = RUNS
    cluster.add("/apis/apps/v1/namespaces/kube-flannel/daemonsets", other)
    results = run(cluster)
    assert results["applied"][-1] == "DaemonSet kube-flannel-ds"
    container = cluster.objects[DAEMONSET]["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["--ip-masq", "--kube-subnet-mgr"]


def test_what_is_being_deleted_is_waited_for(cluster):
    cluster.add("/api/v1/namespaces", {"metadata": {"name": "kube-flannel", "deletionTimestamp": "now"}})
    asked = []

    @cluster.on
    def controller(method, path, body):
        if method == "GET" and path == NAMESPACE:
            asked.append(path)
            if len(asked) == 3:
                del cluster.objects[NAMESPACE]

    assert run(cluster)["applied"] == APPLIED
    assert len(asked) > 3


def test_what_stays_although_it_was_deleted_is_told(cluster):
    cluster.add("/api/v1/namespaces", {"metadata": {"name": "kube-flannel", "deletionTimestamp": "now"}})
    with pytest.raises(Failure, match=r"Namespace kube-flannel was deleted before and is still there after 0.05 s.*Run again"):
        run(cluster, wait_timeout=0.05)
    assert cluster.writes() == []


def not_ready(kube):
    apply = kube.apply

    def without_pods(path, body, dry_run=False, **options):
        answer = apply(path, body, dry_run=dry_run, **options)
        kube.objects[path]["status"] = {**RUNS, "numberReady": 1}
        return answer

    kube.apply = without_pods
    status = {"phase": "Pending", "containerStatuses": [{"name": "kube-flannel", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}
    kube.add(f"{NAMESPACE}/pods", {**flannel.pod("kube-flannel-ds-2", node="n2"), "status": status})


def test_who_is_not_ready_is_told(cluster):
    not_ready(cluster)
    restorer = Restorer(cluster, {**DEFAULTS, "wait_timeout": 0.05}, False)
    with pytest.raises(Failure, match="kube-flannel-ds is Ready on 1 of 2 nodes.*node n2: kube-flannel waits: ImagePullBackOff"):
        restorer.run()
    assert restorer.results["not_ready"] == {"n2": "kube-flannel waits: ImagePullBackOff"}
    assert restorer.results["daemonsets"][0]["ready"] == 1
    assert restorer.results["applied"] == APPLIED


def test_without_waiting(cluster):
    not_ready(cluster)
    assert run(cluster, wait=False)["daemonsets"][0]["ready"] == 1


def test_daemonsets_for_other_architectures_are_not_waited_for(cluster):
    def change(record):
        other = copy.deepcopy(next(item for item in record["objects"] if item["kind"] == "DaemonSet"))
        other["metadata"]["name"] = "kube-flannel-ds-arm"
        record["objects"].append(other)

    edit_backup(cluster, change)
    apply = cluster.apply

    def with_none(path, body, dry_run=False, **options):
        answer = apply(path, body, dry_run=dry_run, **options)
        if path.endswith("-arm"):
            cluster.objects[path]["status"] = {}
        return answer

    cluster.apply = with_none
    assert [item["desired"] for item in run(cluster)["daemonsets"]] == [2, 0]


def test_check_mode_tells_the_same_and_sends_nothing_into_a_namespace_that_is_not_there(cluster):
    predicted = run(cluster, check_mode=True)
    assert cluster.writes() == []
    assert [path for method, path, dummy, dry_run in cluster.log if method == "APPLY" and path.startswith((NAMESPACE + "/", "/apis/apps"))] == []
    done = run(cluster)
    for key in ("changed", "applied", "nodes"):
        assert predicted[key] == done[key]
    assert predicted["diff"]["after"]["node_annotations"] == done["diff"]["after"]["node_annotations"]
    assert predicted["daemonsets"][0]["desired"] == 0


def test_the_lock_of_another_run_is_respected(cluster):
    new_lock(cluster, "r1", False).acquire()
    with pytest.raises(Locked, match="run 'r1'"):
        run(cluster, journal_run="r2")
    assert run(cluster, journal_run="r1")["changed"]
