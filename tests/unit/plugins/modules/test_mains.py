# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last step of every module that talks to the cluster: options in, complete results out, errors as messages."""

from __future__ import annotations

import functools
import typing as t

import pytest
import yaml
from ansible_collections.podnet.cni.plugins.module_utils._kube import calico_status
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import error_of
from ansible_collections.podnet.cni.plugins.modules import calico_uninstall
from ansible_collections.podnet.cni.tests.unit.fakes import calico, flannel
from ansible_collections.podnet.cni.tests.unit.fakes.kube import FakeKube
from ansible_collections.podnet.cni.tests.unit.fakes.running import run_module
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils.cni.test_calico_manifest import documents

CALICO = "/apis/crd.projectcalico.org/v1"
PEER = {"name": "tor", "peer_ip": "172.30.1.1", "as_number": 64512}
RUN = {"state": "locked", "run": "r1"}


class Cluster(FakeKube):
    """Reports a session as soon as it is asked for one."""

    def create(self, path, body, dry_run=False):
        if path.endswith("/caliconodestatuses"):
            peer = {"peerIP": "172.30.1.1", "type": "GlobalPeer", "state": "Established", "since": "14:00"}
            body = {**body, "status": {"lastUpdated": "now", "bgp": {"peersV4": [peer]}}}
        return super().create(path, body, dry_run)

    def apply(self, path, body, field_manager="podnet.cni", force=True, dry_run=False):
        answer = super().apply(path, body, dry_run=dry_run)
        if not dry_run:
            stored = self.objects[path]
            stored["metadata"]["managedFields"] = [{"manager": "podnet.cni", "operation": "Apply", "fieldsV1": {}}]
            stored["status"] = {
                "conditions": [{"type": "Established", "status": "True"}],
                "desiredNumberScheduled": 2,
                "updatedNumberScheduled": 2,
                "numberReady": 2,
            }
        return answer


@pytest.fixture
def kube(monkeypatch):
    monkeypatch.setattr(calico_status, "POLL_SECONDS", 0.01)
    cluster = Cluster(served=("v1", "apps/v1", "policy/v1", "crd.projectcalico.org/v1"))
    flannel.install(cluster)
    monkeypatch.setattr(KubeClient, "from_module", classmethod(lambda cls, module: cluster))
    return cluster


@pytest.fixture
def call(monkeypatch):
    return functools.partial(run_module, monkeypatch)


class Case(t.NamedTuple):
    """Options that change something."""

    module: str
    options: dict[str, t.Any]


CASES = [
    Case("calico_bgp_node", {"nodes": [{"name": "n1", "cluster_id": "244.0.0.1"}, {"name": "n2", "as_number": 65000}]}),
    Case("calico_bgp_peer", PEER),
    Case("calico_bgp_peer", {**PEER, "wait": True}),
    Case(
        "calico_ipam", {"pool": {"name": "p", "cidr": "10.244.0.0/16"}, "claims": [{"node": "n1", "blocks": ["10.244.1.0/26"]}], "node_labels": True}
    ),
    Case("cni_journal", {**RUN, "data": {"started": "now"}}),
    Case("flannel_uninstall", {"wait_timeout": 5}),
    Case("node_evict", {"node": "n1", "state": "cordoned"}),
    Case("node_evict", {"node": "n1", "state": "drained"}),
]
IDS = [f"{case.module}-{number}" for number, case in enumerate(CASES)]


def let_daemonsets_end(kube):
    """Pods go with their DaemonSet."""

    @kube.on
    def hook(method, path, body):
        if method == "DELETE" and "/daemonsets/" in path:
            for name in [name for name in kube.objects if "/pods/" in name]:
                del kube.objects[name]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_results_are_complete_and_the_same_again_changes_nothing(kube, call, case):
    let_daemonsets_end(kube)
    predicted = call(case.module, check_mode=True, **case.options)
    assert predicted["changed"]
    assert kube.writes() == []
    done = call(case.module, **case.options)
    assert done["changed"]
    assert kube.writes()
    assert not call(case.module, **case.options)["changed"]
    assert not call(case.module, check_mode=True, **case.options)["changed"]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_what_the_api_refuses_is_a_message(kube, call, case):
    @kube.on
    def forbidden(method, path, body):
        raise error_of(403, "Forbidden", 'User "u" may not do this', path)

    results = call(case.module, **case.options)
    assert results["failed"]
    assert results["msg"].startswith("the cluster's API refused: /")
    assert results["msg"].endswith('User "u" may not do this')


@pytest.mark.parametrize(
    ("module", "options", "words"),
    [
        ("calico_bgp_node", {"nodes": [{"name": "n1"}]}, "nodes[0]: 'n1' has no settings"),
        ("calico_bgp_node", {"nodes": [{"name": "n7", "as_number": 65000}]}, "nodes: 'n7' is no node of the cluster"),
        ("calico_bgp_peer", {**PEER, "peer_ip": "router"}, "peer_ip: 'router'"),
        ("calico_bgp_peer", {**PEER, "state": "absent", "wait": True}, "wait: 'true' has no meaning with state=absent"),
        ("calico_bgp_peer", {**PEER, "wait_timeout": 0}, "wait_timeout: 0.0 is not a duration"),
        ("calico_ipam", {"pool": {"name": "p", "cidr": "10.244.0.1/16"}}, "pool.cidr: '10.244.0.1/16' is not a CIDR"),
        ("calico_ipam", {"max_blocks_per_host": 4}, "max_blocks_per_host: it needs strict_affinity"),
        ("calico_install", {"manifest": "/nowhere/calico.yaml"}, "manifest: '/nowhere/calico.yaml' could not be read: No such file or directory"),
        ("calico_install", {"manifest": "x", "veth_mtu": 9}, "veth_mtu: 9 is not an MTU"),
        ("cni_journal", {"state": "locked"}, "run: '' does not say which run this is"),
        ("calico_uninstall", {"wait_timeout": 0}, "wait_timeout: 0.0 is not a duration"),
        ("flannel_restore", {"wait_timeout": 0}, "wait_timeout: 0.0 is not a duration"),
        ("flannel_restore", {}, "the journal has no backup of Flannel's DaemonSet"),
        ("flannel_uninstall", {"wait_timeout": 0}, "wait_timeout: 0.0 is not a duration"),
        ("node_evict", {"node": "n1", "state": "drained", "timeout": 0}, "timeout: 0.0 is not a duration"),
        ("node_evict", {"node": "n7", "state": "drained"}, "node: the cluster has no node 'n7'"),
    ],
)
def test_bad_options_end_the_module_before_anything_is_written(kube, call, module, options, words):
    results = call(module, **options)
    assert results["failed"]
    assert words in results["msg"]
    assert kube.writes() == []


@pytest.mark.parametrize("module", ["calico_bgp_peer", "calico_ipam"])
def test_a_cluster_without_calico_is_told(kube, call, module):
    kube._served = {"v1", "apps/v1"}
    results = call(module, **next(case.options for case in CASES if case.module == module))
    assert results["failed"]
    assert "podnet.cni.calico_install" in results["msg"]


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "calico.yaml"
    path.write_text(yaml.safe_dump_all(documents()))
    return str(path)


def test_calico_is_installed_from_a_file_once(kube, call, manifest):
    predicted = call("calico_install", manifest=manifest, check_mode=True)
    assert kube.writes() == []
    done = call("calico_install", manifest=manifest)
    assert predicted["applied"] == done["applied"] == ["CustomResourceDefinition ippools.crd.projectcalico.org", *done["applied"][1:]]
    assert done["daemonset"] == {"desired": 2, "ready": 2, "updated": 2}
    assert not call("calico_install", manifest=manifest)["changed"]
    assert call("calico_install", manifest=manifest, stage="crds")["changed"] is False


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("{", {}, "is not YAML"),
        ("kind: ConfigMap\n", {"sha256": "0" * 64}, "sha256: the manifest '"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", {}, "it has no ConfigMap calico-config"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_told(kube, call, tmp_path, content, options, words):
    path = tmp_path / "calico.yaml"
    path.write_text(content)
    results = call("calico_install", manifest=str(path), **options)
    assert results["failed"]
    assert words in results["msg"]
    assert kube.writes() == []


def test_a_rollout_that_does_not_end_tells_the_nodes(kube, call, manifest):
    plain = kube.apply

    def apply(path, body, **options):
        answer = plain(path, body, **options)
        if body["kind"] == "DaemonSet":
            kube.objects[path]["status"]["numberReady"] = 1
        return answer

    kube.apply = apply
    pod = {"metadata": {"name": "calico-node-x", "namespace": "kube-system", "labels": {"k8s-app": "calico-node"}}, "spec": {"nodeName": "n2"}}
    kube.add("/api/v1/namespaces/kube-system/pods", {**pod, "status": {"phase": "Pending"}})
    results = call("calico_install", manifest=manifest, wait_timeout=0.1)
    assert results["failed"]
    assert results["not_ready"] == {"n2": "phase Pending"}
    assert "node n2: phase Pending" in results["msg"]


def test_what_the_api_refuses_of_a_manifest_is_told_with_what_was_applied(kube, call, manifest):
    @kube.on
    def refused(method, path, body):
        if method == "APPLY" and body["kind"] == "DaemonSet":
            raise error_of(422, "Invalid", "unknown field spec.x", path)

    results = call("calico_install", manifest=manifest)
    assert "the cluster's API refused DaemonSet calico-node: unknown field spec.x" in results["msg"]
    assert results["applied"][0] == "CustomResourceDefinition ippools.crd.projectcalico.org"


def test_a_lock_that_was_taken_over_is_a_warning(kube, call):
    call("cni_journal", **RUN, lock_seconds=1)
    kube.objects[next(name for name in kube.objects if "/leases/" in name)]["spec"]["renewTime"] = "2026-01-01T00:00:00.000000Z"
    results = call("cni_journal", state="locked", run="r2")
    assert "the lock of run 'r1' of " in str(results["warnings"])
    assert call("cni_journal", **RUN)["msg"].startswith("run: 'r1' does not have the lock")


def test_a_peer_that_selects_no_node_fails_with_what_was_done(kube, call):
    results = call("calico_bgp_peer", **PEER, node_selector="zone == 'x'", wait=True)
    assert results["failed"]
    assert "node_selector: 'zone == 'x'' selects no node" in results["msg"]
    assert results["spec"]["nodeSelector"] == "zone == 'x'"


def test_a_peer_without_any_session_to_wait_for_is_a_warning(kube, call):
    results = call("calico_bgp_peer", name="reflectors", peer_selector="has(route-reflector)", wait=True)
    assert "BGPPeer reflectors asks for no session that can be waited for" in str(results["warnings"])


def test_owners_that_would_put_flannel_back_are_returned_with_the_failure(kube, call):
    path = "/apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds"
    kube.objects[path]["metadata"]["labels"]["addonmanager.kubernetes.io/mode"] = "Reconcile"
    results = call("flannel_uninstall")
    assert results["failed"]
    assert "it would be put back" in results["msg"]
    assert results["owners"]
    assert results["deleted"] == []


def test_calico_goes_and_flannel_comes_back(kube, call, monkeypatch):
    calico.install(kube)
    for name, seconds in (("SETTLE_SECONDS", 0.02), ("LOOK_SECONDS", 0.01)):
        monkeypatch.setattr(calico_uninstall, name, seconds)
    assert call("calico_uninstall", check_mode=True)["changed"]
    assert kube.writes() == []
    done = call("calico_uninstall")
    assert done["changed"]
    assert not call("calico_uninstall")["changed"]
    let_daemonsets_end(kube)
    assert call("flannel_uninstall", keep_configmap=True)["changed"]
    assert call("flannel_restore", check_mode=True)["changed"]
    assert call("flannel_restore")["daemonsets"][0]["ready"] == 2
    assert not call("flannel_restore")["changed"]


@pytest.mark.parametrize("module", ["calico_uninstall", "flannel_restore"])
def test_what_the_api_refuses_of_the_way_back_is_a_message(kube, call, module):
    @kube.on
    def forbidden(method, path, body):
        raise error_of(403, "Forbidden", 'User "u" may not do this', path)

    assert call(module)["msg"].startswith("the cluster's API refused: /")
