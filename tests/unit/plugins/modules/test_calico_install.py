# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube import rollout
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import error_of
from ansible_collections.podnet.cni.plugins.modules import calico_install
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils.cni.test_calico_manifest import documents

DAEMONSET = "/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ippools.crd.projectcalico.org"
CONFIG = "/api/v1/namespaces/kube-system/configmaps/calico-config"
PARAMS = {
    "manifest": "calico.yaml",
    "sha256": None,
    "state": "beside",
    "stage": "all",
    "cni_config_name": "99-podnet-calico.conflist",
    "images": {},
    "ip_autodetection_method": "kubernetes-internal-ip",
    "veth_mtu": 0,
    "backend": "bird",
    "env": {},
    "wait": True,
    "wait_timeout": 1.0,
}


@pytest.fixture
def cluster(kube, monkeypatch):
    monkeypatch.setattr(rollout, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(calico_install, "POLL_SECONDS", 0.01)
    plain = kube.apply

    def apply(path, body, field_manager="podnet.cni", force=True, dry_run=False):
        answer = plain(path, body, dry_run=dry_run)
        if not dry_run:
            stored = kube.objects[path]
            stored["metadata"]["managedFields"] = [{"manager": "podnet.cni", "operation": "Apply", "fieldsV1": {}}]
            if body["kind"] == "CustomResourceDefinition":
                stored["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
            if body["kind"] == "DaemonSet":
                stored["status"] = {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberReady": 2}
        return answer

    kube.apply = apply
    return kube


def run(kube, check_mode=False, **options):
    return calico_install.Installer(kube, {**PARAMS, **options}, check_mode).run(documents())


def test_definitions_first_then_the_rest_then_nothing(cluster):
    assert run(cluster, stage="crds")["applied"] == ["CustomResourceDefinition ippools.crd.projectcalico.org"]
    assert list(cluster.objects) == [CRD]
    results = run(cluster)
    assert results["applied"] == ["ConfigMap calico-config", "DaemonSet calico-node"]
    assert results["daemonset"] == {"desired": 2, "ready": 2, "updated": 2}
    writes = len(cluster.writes())
    results = run(cluster)
    assert not results["changed"]
    assert len(cluster.writes()) == writes


def test_the_last_step_restarts_nothing(cluster):
    run(cluster)
    results = run(cluster, state="final")
    assert results["applied"] == ["ConfigMap calico-config"]
    assert cluster.objects[CONFIG]["data"]["cni_conf_name"] == "10-calico.conflist"
    assert not run(cluster, state="final")["changed"]


def test_only_the_name_of_the_configuration(cluster):
    run(cluster)
    run(cluster, state="final")
    predicted = run(cluster, check_mode=True, stage="name", state="beside")
    assert cluster.objects[CONFIG]["data"]["cni_conf_name"] == "10-calico.conflist"
    results = run(cluster, stage="name", state="beside")
    assert predicted["changes"] == results["changes"] == ["ConfigMap calico-config: cni_conf_name is '99-podnet-calico.conflist'"]
    assert results["applied"] == ["ConfigMap calico-config"]
    assert cluster.objects[CONFIG]["data"]["cni_conf_name"] == "99-podnet-calico.conflist"
    assert not run(cluster, stage="name", state="beside")["changed"]


def test_the_name_of_a_calico_that_is_not_there_or_of_another_installation(cluster):
    with pytest.raises(calico_install.Failure, match="no DaemonSet runs calico-node.*use stage=all"):
        run(cluster, stage="name")
    run(cluster)
    installer = cluster.objects[DAEMONSET]["spec"]["template"]["spec"]["initContainers"][0]
    installer["env"] = [{"name": "CNI_CONF_NAME", "value": "10-calico.conflist"}]
    with pytest.raises(calico_install.Failure, match="does not take CNI_CONF_NAME from a ConfigMap.*stage=all with the manifest"):
        run(cluster, stage="name")


def test_check_mode(cluster):
    results = run(cluster, check_mode=True)
    assert results["changed"]
    assert len(results["applied"]) == 3
    assert cluster.objects == {}


def test_diff_leaves_schemas_out(cluster):
    after = run(cluster)["diff"]["after"]["CustomResourceDefinition ippools.crd.projectcalico.org"]
    assert after["spec"]["versions"] == [{"name": "v1"}]


def test_pods_that_do_not_come_are_explained(cluster):
    run(cluster)
    cluster.objects[DAEMONSET]["status"]["numberReady"] = 1
    cluster.objects[DAEMONSET]["spec"]["selector"] = {"matchLabels": {"k8s-app": "calico-node"}}
    status = {"initContainerStatuses": [{"name": "install-cni", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}
    pods = "/api/v1/namespaces/kube-system/pods"
    cluster.add(pods, {"metadata": {"name": "p", "labels": {"k8s-app": "calico-node"}}, "spec": {"nodeName": "n2"}, "status": status})
    event = {"metadata": {"name": "e"}, "involvedObject": {"name": "p"}, "type": "Warning", "reason": "Failed", "message": "pull failed"}
    cluster.add("/api/v1/namespaces/kube-system/events", event)
    with pytest.raises(calico_install.Failure) as caught:
        run(cluster, wait_timeout=0.02)
    assert "Ready on 1 of 2 nodes" in str(caught.value)
    assert "node n2: install-cni waits: ImagePullBackOff no such image (Failed: pull failed)" in str(caught.value)
    assert list(caught.value.results["not_ready"]) == ["n2"]
    assert run(cluster, wait=False)["daemonset"]["ready"] == 1


def test_a_refused_object_is_named(cluster):
    @cluster.on
    def strict(method, path, body):
        if method == "APPLY" and body["kind"] == "DaemonSet":
            raise error_of(400, "BadRequest", 'unknown field "spec.x"', path)

    with pytest.raises(calico_install.Failure) as caught:
        run(cluster)
    assert "refused DaemonSet calico-node" in str(caught.value)
    assert "field_validation" in str(caught.value)


def test_parts_of_other_managers_are_told():
    wanted = {"metadata": {"name": "calico-node"}, "spec": {"template": {"spec": {"containers": [{"name": "calico-node", "env": [{"name": "A"}]}]}}}}
    containers = [{"name": "calico-node", "env": [{"name": "A"}, {"name": "CALICO_IPV4POOL_CIDR"}]}, {"name": "other"}]
    first, second = calico_install.foreign_parts(wanted, {"spec": {"template": {"spec": {"containers": containers}}}})
    assert "CALICO_IPV4POOL_CIDR" in first
    assert "container other" in second


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sha256": "abc"}, ["sha256: 'abc'", "64 hexadecimal"]),
        ({"cni_config_name": "../x.conflist"}, ["cni_config_name: '../x.conflist'"]),
        ({"cni_config_name": "99-calico.json"}, ["cni_config_name"]),
        ({"ip_autodetection_method": "eth0"}, ["ip_autodetection_method: 'eth0'", "interface=REGEX"]),
        ({"veth_mtu": 100}, ["veth_mtu: 100", "576"]),
        ({"env": {"A B": 1}}, ["env: 'A B'"]),
        ({"wait_timeout": 0}, ["wait_timeout: 0"]),
    ],
)
def test_bad_options_are_named_with_value_and_remedy(change, words):
    problem = calico_install.option_problem({**PARAMS, **change})
    assert problem and all(word in problem for word in words)
    assert calico_install.option_problem(PARAMS) is None


def test_reading_the_manifest(tmp_path):
    path = tmp_path / "calico.yaml"
    path.write_text("a: 1\n---\nb: 2\n")
    text = calico_install.read_manifest(str(path), hashlib.sha256(path.read_bytes()).hexdigest().upper(), 1)
    assert calico_install.parse_manifest(text, str(path)) == [{"a": 1}, {"b": 2}]
    for source, sha256, words in (
        (str(tmp_path / "none"), None, "No such file"),
        (str(path), "0" * 64, "has checksum"),
        ("ftp://example.net/calico.yaml", None, "https://"),
        ("http://127.0.0.1:9/calico.yaml", None, "download the file"),
    ):
        with pytest.raises(calico_install.Failure) as caught:
            calico_install.read_manifest(source, sha256, 1)
        assert words in str(caught.value)
    with pytest.raises(calico_install.Failure, match="is not YAML"):
        calico_install.parse_manifest(b"{", "calico.yaml")
