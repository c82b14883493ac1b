# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flannel's objects in a cluster, by the names that upstream or somebody else gives them."""

from __future__ import annotations

import json

PREFIX = "flannel.alpha.coreos.com"
NET_CONF = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def daemonset(name="kube-flannel-ds", namespace="kube-flannel", words=None, account="flannel", configmap="kube-flannel-cfg", desired=2):
    """A DaemonSet that runs flanneld."""
    container = {
        "name": "kube-flannel",
        "image": "ghcr.io/flannel-io/flannel:v0.27.4",
        "command": ["/opt/bin/flanneld"],
        "args": ["--ip-masq", "--kube-subnet-mgr"] if words is None else words,
    }
    spec = {
        "hostNetwork": True,
        "serviceAccountName": account,
        "containers": [container],
        "volumes": [{"name": "run", "hostPath": {"path": "/run/flannel"}}, {"name": "cfg", "configMap": {"name": configmap}}],
    }
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": {"app": "flannel"}},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": {"spec": spec}},
        "status": {"desiredNumberScheduled": desired, "numberReady": desired},
    }


def configmap(name="kube-flannel-cfg", namespace="kube-flannel", net_conf=None):
    """A ConfigMap with Flannel's network."""
    data = {
        "net-conf.json": json.dumps(net_conf or NET_CONF),
        "cni-conf.json": json.dumps({"name": "cbr0", "plugins": [{"type": "flannel"}]}),
    }
    return {"metadata": {"name": name, "namespace": namespace}, "data": data}


def pod(name, owner="kube-flannel-ds", namespace="kube-flannel", node="n1"):
    """A pod of the DaemonSet."""
    reference = {"controller": True, "kind": "DaemonSet", "name": owner, "uid": f"uid-{owner}"}
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": owner}, "ownerReferences": [reference]},
        "spec": {"nodeName": node, "serviceAccountName": "flannel", "hostNetwork": True, "containers": []},
    }


def binding(name="flannel", role="flannel", subjects=(("flannel", "kube-flannel"),)):
    """A ClusterRoleBinding of ServiceAccounts."""
    return {
        "metadata": {"name": name},
        "roleRef": {"kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace} for account, namespace in subjects],
    }


def node(name, mac="de:a1:0a:10:12:19", prefix=PREFIX):
    """A node with what flanneld wrote on it."""
    annotations = {
        f"{prefix}/backend-data": json.dumps({"VNI": 1, "VtepMAC": mac}),
        f"{prefix}/backend-type": "vxlan",
        f"{prefix}/kube-subnet-manager": "true",
        f"{prefix}/public-ip": "172.30.1.11",
        "node.alpha.kubernetes.io/ttl": "0",
    }
    return {"metadata": {"name": name, "annotations": annotations, "labels": {}}, "spec": {"podCIDR": "10.244.1.0/24"}, "status": {}}


def install(kube, namespace="kube-flannel", name="kube-flannel-ds", prefix=PREFIX, words=None):
    """Put Flannel into a cluster of two nodes."""
    kube.add("/api/v1/namespaces", {"metadata": {"name": namespace}})
    kube.add(f"/apis/apps/v1/namespaces/{namespace}/daemonsets", daemonset(name, namespace, words))
    kube.add(f"/api/v1/namespaces/{namespace}/configmaps", configmap(namespace=namespace))
    kube.add(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "kube-root-ca.crt", "namespace": namespace}})
    kube.add(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "flannel", "namespace": namespace}})
    kube.add(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default", "namespace": namespace}})
    kube.add(f"{RBAC}/clusterrolebindings", binding(subjects=(("flannel", namespace),)))
    kube.add(f"{RBAC}/clusterroles", {"metadata": {"name": "flannel"}, "rules": []})
    for number in (1, 2):
        kube.add("/api/v1/nodes", node(f"n{number}", prefix=prefix))
        kube.add(f"/api/v1/namespaces/{namespace}/pods", pod(f"{name}-{number}", name, namespace, f"n{number}"))
