# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calico's objects in a cluster, as calico.yaml installs them, on nodes that are back on Flannel."""

from __future__ import annotations

from ansible_collections.podnet.cni.tests.unit.fakes import flannel

SYSTEM = "/api/v1/namespaces/kube-system"
APPS = "/apis/apps/v1/namespaces/kube-system"
BUDGETS = "/apis/policy/v1/namespaces/kube-system/poddisruptionbudgets"
GROUP = "crd.projectcalico.org"
STORE = f"/apis/{GROUP}/v1"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
RBAC = flannel.RBAC
KINDS = {"ippools": "IPPool", "ipamblocks": "IPAMBlock", "networkpolicies": "NetworkPolicy", "bgppeers": "BGPPeer"}


def workload(name, account=None, env=()):
    """A DaemonSet or Deployment whose container has its name."""
    labels = {"k8s-app": name}
    spec = {"serviceAccountName": account or name, "containers": [{"name": name, "env": list(env)}]}
    return {
        "metadata": {"name": name, "namespace": "kube-system", "uid": f"uid-{name}", "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


def pod(name, app, kind, owner, node):
    """A pod of Calico's own."""
    reference = {"controller": True, "kind": kind, "name": owner, "uid": f"uid-{owner}"}
    return {
        "metadata": {"name": name, "namespace": "kube-system", "labels": {"k8s-app": app}, "ownerReferences": [reference]},
        "spec": {"nodeName": node, "serviceAccountName": app, "hostNetwork": True, "containers": []},
        "status": {"phase": "Running"},
    }


def condition(reason, status):
    """What a CNI wrote on a node."""
    return {"type": "NetworkUnavailable", "status": status, "reason": reason}


def user_pod(name="web", address="10.244.1.5", annotation="10.244.1.5/32", **metadata):
    """A pod with an address that Calico's plugin gave it."""
    annotations = {"cni.projectcalico.org/podIP": annotation, "cni.projectcalico.org/containerID": "abc"}
    return {
        "metadata": {"name": name, "namespace": "demo", "annotations": annotations, **metadata},
        "spec": {"nodeName": "n1", "containers": []},
        "status": {"phase": "Running", "podIP": address},
    }


def install(kube):
    """Put Calico beside Flannel, with controllers that do their part when something is deleted."""
    flannel.install(kube)
    for number in (1, 2):
        node = kube.objects[f"/api/v1/nodes/n{number}"]
        node["metadata"]["annotations"]["projectcalico.org/IPv4Address"] = f"172.30.1.1{number}/24"
        node["metadata"]["labels"] = {"projectcalico.org/node-network-during-migration": "flannel", "zone": "a"}
        node["status"] = {"conditions": [{"type": "Ready", "status": "True"}, condition("CalicoIsUp", "False")]}
        kube.add(f"{SYSTEM}/pods", pod(f"calico-node-{number}", "calico-node", "DaemonSet", "calico-node", f"n{number}"))
    reference = {"name": "CNI_CONF_NAME", "valueFrom": {"configMapKeyRef": {"name": "calico-config", "key": "cni_conf_name"}}}
    kube.add(f"{APPS}/daemonsets", workload("calico-node", env=[reference]))
    kube.add(f"{APPS}/deployments", workload("calico-kube-controllers"))
    controllers = pod("calico-kube-controllers-5-x", "calico-kube-controllers", "ReplicaSet", "calico-kube-controllers-5", "n1")
    kube.add(f"{SYSTEM}/pods", controllers)
    kube.add(f"{SYSTEM}/configmaps", {"metadata": {"name": "calico-config", "namespace": "kube-system"}})
    kube.add(f"{SYSTEM}/configmaps", {"metadata": {"name": "coredns", "namespace": "kube-system"}})
    selector = {"matchLabels": {"k8s-app": "calico-kube-controllers"}}
    kube.add(BUDGETS, {"metadata": {"name": "calico-kube-controllers", "namespace": "kube-system"}, "spec": {"selector": selector}})
    for name in ("calico-node", "calico-kube-controllers", "calico-cni-plugin"):
        kube.add(f"{SYSTEM}/serviceaccounts", {"metadata": {"name": name, "namespace": "kube-system"}})
        kube.add(f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": []})
        kube.add(f"{RBAC}/clusterrolebindings", flannel.binding(name, name, ((name, "kube-system"),)))
    for plural in KINDS:
        definition = {"metadata": {"name": f"{plural}.{GROUP}"}, "spec": {"versions": [{"schema": "x" * 1000}]}}
        kube.add(DEFINITIONS, definition)
    kube.add(f"{STORE}/ippools", {"metadata": {"name": "podnet", "uid": "u"}, "spec": {"cidr": "10.244.0.0/16"}})
    kube.add(f"{STORE}/ipamblocks", {"metadata": {"name": "10-244-1-0-27"}, "spec": {"cidr": "10.244.1.0/27"}})
    kube.add(f"{STORE}/namespaces/demo/networkpolicies", {"metadata": {"name": "deny", "namespace": "demo"}, "spec": {}})
    _serve(kube)
    _control(kube)


def _defined(kube):
    return [plural for plural in KINDS if f"{DEFINITIONS}/{plural}.{GROUP}" in kube.objects]


def _serve(kube):
    @kube.on
    def discovery(method, path, body):
        if method == "GET" and path == f"/apis/{GROUP}" and _defined(kube):
            return {"preferredVersion": {"groupVersion": f"{GROUP}/v1"}}
        if method == "GET" and path == STORE and _defined(kube):
            return {"resources": [{"name": plural, "kind": KINDS[plural], "verbs": ["list", "delete"]} for plural in _defined(kube)]}
        return None


def _control(kube):
    """Pods go with what runs them, and say so on their nodes; resources go with their definition, unless a finalizer holds them."""

    @kube.on
    def garbage_collector(method, path, body):
        if method != "DELETE" or kube.log[-1][3]:
            return None
        if path.startswith(APPS):
            for name in [name for name in kube.objects if f"/pods/{path.rsplit('/', 1)[1]}" in name]:
                node = kube.objects[f"/api/v1/nodes/{kube.objects.pop(name)['spec']['nodeName']}"]
                if path.endswith("/calico-node"):
                    node["status"]["conditions"][1] = condition("CalicoIsDown", "True")
        if path.startswith(DEFINITIONS):
            plural = path.rsplit("/", 1)[1].split(".")[0]
            resources = [name for name in kube.objects if name.startswith(STORE) and name.split("/")[-2] == plural]
            if any(kube.objects[name]["metadata"].get("finalizers") for name in resources):
                return {}
            for name in resources:
                del kube.objects[name]
        return None
