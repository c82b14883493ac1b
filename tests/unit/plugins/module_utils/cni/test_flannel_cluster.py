# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._cni import flannel_cluster
from ansible_collections.podnet.cni.tests.unit.fakes import flannel


@pytest.mark.parametrize(
    ("container", "found"),
    [
        ({"command": ["/opt/bin/flanneld"]}, True),
        ({"command": ["/bin/sh", "-c", "exec /opt/bin/flanneld --ip-masq"]}, True),
        ({"args": ["flanneld"]}, True),
        ({"image": "registry.example.org/mirror/flannel:v0.25.1"}, True),
        ({"image": "registry.example.org:5000/flannel@sha256:abc"}, True),
        ({"image": "docker.io/flannel/flannel-cni-plugin:v1.4.1", "command": ["cp"]}, False),
        ({"image": "docker.io/flannel/flannel:v0.25.1", "command": ["cp"]}, False),
        ({"image": "calico/node", "command": ["start_runit"]}, False),
        ({}, False),
    ],
)
def test_flanneld_is_known_by_what_it_runs(container, found):
    assert flannel_cluster.is_flanneld(container) is found


def test_the_daemonset_with_most_pods_comes_first():
    arm, amd = flannel.daemonset("ds-arm", desired=0), flannel.daemonset("ds-amd64", desired=3)
    other = {"metadata": {"name": "kube-proxy"}, "spec": {"template": {"spec": {"containers": [{"name": "x", "command": ["kube-proxy"]}]}}}}
    assert flannel_cluster.find_daemonsets([other, arm, amd]) == [amd, arm]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"Type": "vxlan"}, {"type": "vxlan", "vni": 1, "port": 8472, "direct_routing": False, "learning": False, "gbp": False}),
        ({"Type": "vxlan", "VNI": 4096, "Port": 4789, "DirectRouting": True}, {"vni": 4096, "port": 4789, "direct_routing": True}),
        ({"Type": "host-gw"}, {"type": "host-gw"}),
        ({}, {"type": "udp"}),
        (None, {"type": "udp"}),
    ],
)
def test_the_backend_has_flannels_defaults(raw, expected):
    backend = flannel_cluster.backend_of({"Backend": raw})
    assert {key: backend[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("words", "option", "values"),
    [
        (["--iface=eth0", "-iface", "eth1", "--iface-regex=e.*"], "iface", ["eth0", "eth1"]),
        (["--ip-masq", "--kube-subnet-mgr"], "ip-masq", ["true"]),
        (["--ip-masq=false"], "ip-masq", ["false"]),
        (["ip-masq"], "ip-masq", []),
    ],
)
def test_options_are_read_as_go_reads_them(words, option, values):
    assert flannel_cluster.option_values(words, option) == values


@pytest.mark.parametrize(
    ("metadata", "kind", "words"),
    [
        ({"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}, "addon-manager", "addon manager's folder"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "net:apps/DaemonSet:x/y"}}, "argocd", "automatic sync"),
        ({"labels": {"argocd.argoproj.io/instance": "net"}}, "argocd", "Argo CD application"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "net"}}, "flux", "Kustomization"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "net"}}, "flux", "HelmRelease"),
        ({"annotations": {"objectset.rio.cattle.io/owner-name": "flannel"}}, "k3s", "manifests folder"),
        ({"annotations": {"meta.helm.sh/release-name": "flannel"}}, "helm", "helm uninstall"),
        ({"ownerReferences": [{"kind": "NetworkAddon", "name": "net"}]}, "owner-reference", "change NetworkAddon net"),
    ],
)
def test_who_would_put_flannel_back(metadata, kind, words):
    item = flannel.daemonset()
    item["metadata"].update(metadata)
    owners = flannel_cluster.owners_of([{"kind": "DaemonSet", **item}])
    assert [owner["kind"] for owner in owners] == [kind]
    assert "DaemonSet kube-flannel/kube-flannel-ds" in owners[0]["evidence"]
    assert words in owners[0]["remedy"]


def test_nobody_puts_upstreams_manifest_back():
    assert flannel_cluster.owners_of([flannel.daemonset(), flannel.configmap()]) == []


def test_facts_of_flannel_under_other_names():
    words = ["--kube-subnet-mgr", "--iface=bond0", "--kube-annotation-prefix=net.example.org"]
    daemonset = flannel.daemonset("overlay", "infra", words)
    configmap = flannel.configmap(
        "overlay-net", "infra", {"Network": "10.0.0.0/8", "EnableNFTables": True, "Backend": {"Type": "vxlan", "Port": 4789}}
    )
    facts = flannel_cluster.facts_of(daemonset, configmap, [])
    assert facts["daemonset"]["namespace"] == "infra"
    assert facts["configmap"] == {"namespace": "infra", "name": "overlay-net"}
    assert facts["network"] == "10.0.0.0/8"
    assert facts["backend"]["port"] == 4789
    assert facts["enable_nftables"]
    assert facts["interface_args"] == ["bond0"]
    assert facts["annotation_prefix"] == "net.example.org"
    assert facts["kube_subnet_manager"]
    assert not facts["ip_masq"]
    assert not facts["canal"]
    assert facts["cni_conf"]["name"] == "cbr0"


def test_facts_without_a_readable_configmap():
    facts = flannel_cluster.facts_of(flannel.daemonset(), None, [])
    assert facts["configmap"] is None
    assert facts["network"] is None
    broken = flannel.configmap()
    broken["data"]["net-conf.json"] = "{"
    assert flannel_cluster.facts_of(flannel.daemonset(), broken, [])["net_conf"] == {}


def test_canal_is_known():
    daemonset = flannel.daemonset("canal", "kube-system")
    daemonset["spec"]["template"]["spec"]["containers"].append({"name": "calico-node", "image": "quay.io/calico/node:v3.28.5"})
    assert flannel_cluster.is_canal(daemonset)


def test_what_flanneld_wrote_on_a_node():
    annotations = flannel.node("n1", mac="DE:A1:0A:10:12:19")["metadata"]["annotations"]
    facts = flannel_cluster.node_facts(annotations, flannel.PREFIX)
    assert facts["vtep_mac"] == "de:a1:0a:10:12:19"
    assert facts["backend_type"] == "vxlan"
    assert facts["kube_subnet_manager"]
    assert flannel_cluster.node_facts({}, flannel.PREFIX) is None
    host_gw = {f"{flannel.PREFIX}/backend-type": "host-gw", f"{flannel.PREFIX}/backend-data": "null"}
    assert flannel_cluster.node_facts(host_gw, flannel.PREFIX)["vtep_mac"] is None


def test_flannel_inside_k3s_is_known():
    node = {"name": "n1", "kubelet": "v1.31.4+k3s1", "flannel": {"backend_type": "vxlan"}}
    facts = flannel_cluster.embedded_facts([node])
    assert facts["daemonset"]["embedded"]
    assert facts["owners"][0]["kind"] == "k3s"
    assert "v1.31.4+k3s1" in facts["owners"][0]["evidence"]
    assert "--flannel-backend=none" in facts["owners"][0]["remedy"]
    assert flannel_cluster.embedded_facts([{**node, "kubelet": "v1.31.4"}]) is None
    assert flannel_cluster.embedded_facts([{**node, "flannel": None}]) is None


def test_embedded_facts_have_every_key_of_the_others():
    node = {"name": "n1", "kubelet": "v1.31.4+k3s1", "flannel": {"backend_type": "vxlan"}}
    embedded = flannel_cluster.embedded_facts([node])
    usual = flannel_cluster.facts_of(flannel.daemonset(), flannel.configmap(), [])
    assert set(embedded) == set(usual)
    assert set(embedded["daemonset"]) == set(usual["daemonset"])


FOLDER = "/etc/cni/net.d"


def installer(words, group="initContainers", mount=FOLDER, host=FOLDER):
    """Flannel's DaemonSet with a container that mounts the runtime's folder."""
    daemonset = flannel.daemonset()
    spec = daemonset["spec"]["template"]["spec"]
    spec["volumes"].append({"name": "cni", "hostPath": {"path": host}})
    spec.setdefault(group, []).append({"name": "install", "command": words, "volumeMounts": [{"name": "cni", "mountPath": mount}]})
    return daemonset


@pytest.mark.parametrize(
    ("daemonset", "names"),
    [
        (installer(["cp", "-f", "/etc/kube-flannel/cni-conf.json", f"{FOLDER}/10-flannel.conflist"]), ["10-flannel.conflist"]),
        (installer(["cp", "/etc/kube-flannel/cni-conf.json", f"{FOLDER}/"]), ["cni-conf.json"]),
        (installer(["cp", "/x.json", "/host/net.d/05-a.conf"], mount="/host/net.d", host="/etc/rancher/cni/net.d"), ["05-a.conf"]),
        (
            installer(
                ["/bin/sh", "-c", f"set -e -x; cp -f /cfg/cni-conf.json {FOLDER}/10-flannel.conf; while true; do sleep 3600; done"], "containers"
            ),
            ["10-flannel.conf"],
        ),
        (
            installer(["sh", "-c", f"rm -f {FOLDER}/10-old.conf && cp /a {FOLDER}/.tmp.conflist\nmv {FOLDER}/.tmp.conflist {FOLDER}/20-b.conflist"]),
            ["20-b.conflist"],
        ),
        (installer(["sh", "-c", f"cat /a > {FOLDER}/a.conf.tmp"]), []),
        (installer(["cp", "/a", f"{FOLDER}/10-flannel.conflist"], host="/tmp"), []),
        (installer(["/install-cni.sh"]), []),
        (flannel.daemonset(), []),
    ],
    ids=["upstream", "into the folder", "another mount", "older script", "moved", "temporary", "not the runtime's", "program", "nothing"],
)
def test_which_cni_configuration_its_containers_write(daemonset, names):
    assert flannel_cluster.cni_config_names(daemonset) == names


def test_a_backup_tells_what_it_can_put_back():
    daemonset = {"apiVersion": "apps/v1", "kind": "DaemonSet", **installer(["cp", "/a", f"{FOLDER}/10-flannel.conflist"])}
    configmap = {"apiVersion": "v1", "kind": "ConfigMap", **flannel.configmap()}
    assert flannel_cluster.backup_facts({"objects": [configmap, daemonset]}) == {
        "daemonset": "kube-flannel/kube-flannel-ds",
        "network": "10.244.0.0/16",
        "backend_type": "vxlan",
        "cni_config_names": ["10-flannel.conflist"],
    }
    alone = flannel_cluster.backup_facts({"objects": [daemonset]})
    assert (alone["network"], alone["backend_type"]) == (None, None)


@pytest.mark.parametrize("record", [None, {}, {"objects": []}, {"objects": [{"kind": "ConfigMap", **flannel.configmap()}]}])
def test_a_backup_without_a_daemonset_is_none(record):
    assert flannel_cluster.backup_facts(record) is None


def test_the_remedy_names_the_cni():
    item = {"kind": "DaemonSet", "metadata": {"name": "calico-node", "namespace": "kube-system", "labels": {"argocd.argoproj.io/instance": "net"}}}
    assert flannel_cluster.owners_of([item], "Calico")[0]["remedy"].startswith("remove Calico from the Argo CD application")
    assert flannel_cluster.owners_of([item])[0]["remedy"].startswith("remove Flannel from the Argo CD application")
