# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import json

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_manifest as manifest

NETWORK = {"name": "k8s-pod-network", "plugins": [{"type": "calico", "mtu": 0, "ipam": {"type": "calico-ipam"}}, {"type": "portmap"}]}


def documents():
    """A manifest of the shape of upstream's."""
    node = {
        "name": "calico-node",
        "image": "docker.io/calico/node:v3.28.5",
        "env": [
            {"name": "DATASTORE_TYPE", "value": "kubernetes"},
            {"name": "CALICO_IPV4POOL_IPIP", "value": "Always"},
            {"name": "CALICO_IPV4POOL_CIDR", "value": "192.168.0.0/16"},
            {"name": "FELIX_DEFAULTENDPOINTTOHOSTACTION", "value": "ACCEPT"},
        ],
        "livenessProbe": {"exec": {"command": ["/bin/calico-node", "-felix-live", "-bird-live"]}},
        "readinessProbe": {"exec": {"command": ["/bin/calico-node", "-felix-ready", "-bird-ready"]}},
        "volumeMounts": [{"name": "cni-net-dir", "mountPath": "/host/etc/cni/net.d"}],
    }
    upgrade = {"name": "upgrade-ipam", "image": "docker.io/calico/cni:v3.28.5", "volumeMounts": [{"name": "host-local-net-dir", "mountPath": "/x"}]}
    install = {
        "name": "install-cni",
        "image": "docker.io/calico/cni:v3.28.5",
        "env": [{"name": "CNI_CONF_NAME", "value": "10-calico.conflist"}],
        "volumeMounts": [{"name": "cni-net-dir", "mountPath": "/host/etc/cni/net.d"}],
    }
    pod = {"containers": [node], "initContainers": [upgrade, install], "volumes": [{"name": "cni-net-dir"}, {"name": "host-local-net-dir"}]}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "calico-node", "namespace": "kube-system"},
            "spec": {"template": {"spec": pod}},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "calico-config", "namespace": "kube-system"},
            "data": {"calico_backend": "bird", "veth_mtu": "0", "cni_network_config": json.dumps(NETWORK).replace('"mtu": 0', '"mtu": __CNI_MTU__')},
        },
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "ippools.crd.projectcalico.org", "creationTimestamp": None},
            "spec": {"versions": [{"name": "v1", "schema": {"long": "text"}}]},
            "status": {"conditions": []},
        },
        None,
    ]


def environment(result, group, name):
    daemonset = next(document for document in result.documents if document["kind"] == "DaemonSet")
    container = next(entry for entry in daemonset["spec"]["template"]["spec"][group] if entry["name"] == name)
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def test_what_changes():
    before = documents()
    result = manifest.transform(before, manifest.Settings())
    assert before == documents(), "the input is not touched"
    node = environment(result, "containers", "calico-node")
    assert node["NO_DEFAULT_POOLS"] == "true"
    assert node["CALICO_IPV4POOL_IPIP"] == node["CALICO_IPV4POOL_VXLAN"] == "Never"
    assert "CALICO_IPV4POOL_CIDR" not in node
    assert node["IP_AUTODETECTION_METHOD"] == "kubernetes-internal-ip"
    assert node["FELIX_DEFAULTENDPOINTTOHOSTACTION"] == "ACCEPT"
    installer = environment(result, "initContainers", "install-cni")
    assert installer["SKIP_CNI_BINARIES"] == "flannel,host-local"
    assert installer["CNI_CONF_NAME"] == {"configMapKeyRef": {"name": "calico-config", "key": "cni_conf_name"}}
    assert installer["CNI_OLD_CONF_NAME"] == installer["CNI_CONF_NAME"]
    config = next(document for document in result.documents if document["kind"] == "ConfigMap")
    assert config["data"]["cni_conf_name"] == "99-podnet-calico.conflist"
    daemonset = next(document for document in result.documents if document["kind"] == "DaemonSet")
    assert [volume["name"] for volume in daemonset["spec"]["template"]["spec"]["volumes"]] == ["cni-net-dir"]
    assert any("upgrade-ipam is removed" in change for change in result.changes)


def test_the_last_step_only_changes_the_config_map():
    beside = manifest.transform(documents(), manifest.Settings())
    final = manifest.transform(documents(), manifest.Settings(cni_config_name=manifest.FINAL_NAME))
    different = [one["kind"] for one, other in zip(beside.documents, final.documents) if one != other]
    assert different == ["ConfigMap"]


def test_twice_is_the_same():
    once = manifest.transform(documents(), manifest.Settings())
    twice = manifest.transform(once.documents, manifest.Settings())
    assert twice.documents == once.documents
    assert twice.changes == []


def test_definitions_come_first_without_fields_of_the_server():
    result = manifest.transform(documents(), manifest.Settings())
    assert [document["kind"] for document in result.documents] == ["CustomResourceDefinition", "ConfigMap", "DaemonSet"]
    assert result.documents[0] == manifest.definitions(documents())[0]
    assert "status" not in result.documents[0]
    assert "creationTimestamp" not in result.documents[0]["metadata"]


def test_settings():
    settings = manifest.Settings(
        veth_mtu=1450, images={"docker.io/calico/node:v3.28.5": "mirror/node:1"}, environment={"FELIX_LOGSEVERITYSCREEN": "Warning"}
    )
    result = manifest.transform(documents(), settings)
    assert environment(result, "containers", "calico-node")["FELIX_LOGSEVERITYSCREEN"] == "Warning"
    assert "image docker.io/calico/node:v3.28.5 is mirror/node:1" in result.changes
    assert "ConfigMap calico-config: veth_mtu is '1450'" in result.changes
    with pytest.raises(manifest.ManifestError, match="images: 'other' is not an image"):
        manifest.transform(documents(), manifest.Settings(images={"other": "x"}))


def broken(change):
    result = copy.deepcopy(documents())
    change(result)
    return result


def pod(items):
    return items[0]["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda items: items.clear(), "empty"),
        (lambda items: items.append("text"), "not a Kubernetes object"),
        (
            lambda items: items.append({"apiVersion": "operator.tigera.io/v1", "kind": "Installation", "metadata": {"name": "default"}}),
            "Tigera operator",
        ),
        (lambda items: items[0]["metadata"].update(name="canal"), "Canal"),
        (lambda items: pod(items)["containers"].append({"name": "kube-flannel"}), "Canal"),
        (lambda items: items.pop(1), "no ConfigMap calico-config"),
        (lambda items: items[0]["metadata"].update(name="other"), "no DaemonSet calico-node"),
        (lambda items: pod(items)["initContainers"].pop(), "no initContainers entry install-cni"),
        (lambda items: pod(items)["containers"][0]["env"][0].update(value="etcdv3"), "datastore is 'etcdv3'"),
        (lambda items: pod(items)["containers"][0]["env"].append({"name": "FELIX_BPFENABLED", "value": "True"}), "eBPF"),
        (lambda items: pod(items)["containers"][0].pop("livenessProbe"), "bird-live"),
        (lambda items: items[1]["data"].pop("cni_network_config"), "policy-only"),
        (lambda items: items[1]["data"].update(cni_network_config="{"), "not a CNI configuration list"),
        (lambda items: items[1]["data"].update(cni_network_config='{"plugins": [{"type": "flannel"}]}'), "calico-ipam"),
        (lambda items: items.append({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}}), "not known"),
    ],
)
def test_other_shapes_are_refused_with_a_remedy(change, words):
    with pytest.raises(manifest.ManifestError) as caught:
        manifest.transform(broken(change), manifest.Settings())
    assert words in str(caught.value)
    assert "use" in str(caught.value) or "migrate" in str(caught.value)


def test_manifest_without_definitions():
    with pytest.raises(manifest.ManifestError, match="no CustomResourceDefinition"):
        manifest.definitions(documents()[:2])


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "ns"}}, "/api/v1/namespaces/ns/configmaps/c"),
        (
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}},
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/r",
        ),
    ],
)
def test_paths(document, path):
    assert manifest.object_path(document) == path


def test_without_bird_its_probes_go_and_a_second_time_changes_nothing():
    found = manifest.transform(documents(), manifest.Settings(backend="vxlan"))
    config = next(item for item in found.documents if item["kind"] == "ConfigMap")
    assert config["data"]["calico_backend"] == "vxlan"
    daemonset = next(item for item in found.documents if item["kind"] == "DaemonSet")
    container = daemonset["spec"]["template"]["spec"]["containers"][0]
    for probe in ("livenessProbe", "readinessProbe"):
        words = [str(word) for word in container[probe]["exec"]["command"]]
        assert any("felix" in word for word in words) and not any("bird" in word for word in words)
    assert "calico-node: livenessProbe does not look at BIRD" in found.changes
