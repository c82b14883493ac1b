# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a cluster once, in pages: C(podnet_cluster) of M(podnet.cni.cni_facts). Changes nothing."""

from __future__ import annotations

import datetime
import ipaddress
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import flannel_cluster
from ansible_collections.podnet.cni.plugins.module_utils._kube import pods as kube_pods
from ansible_collections.podnet.cni.plugins.module_utils._kube.calico_facts import read_calico
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._kube.flannel_objects import find_flannel
from ansible_collections.podnet.cni.plugins.module_utils._run.journal import Journal, JournalError, backup_key

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

Object = t.Mapping[str, t.Any]
Facts = dict[str, t.Any]
CALICO_ANNOTATION_PREFIX = "projectcalico.org"
_CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master", "node-role.kubernetes.io/controlplane")


def utc_now() -> str:
    """The time in UTC as in RFC 3339."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(item: Object, kind: str) -> str | None:
    """Status of a condition: C(True), C(False), C(Unknown), or None when the object has none of this kind."""
    for entry in item.get("status", {}).get("conditions") or []:
        if entry.get("type") == kind:
            return t.cast("str | None", entry.get("status"))
    return None


def node_facts(node: Object, flannel_prefix: str) -> Facts:
    """One entry of C(podnet_cluster.nodes)."""
    metadata, spec, status = node["metadata"], node.get("spec", {}), node.get("status", {})
    labels = metadata.get("labels") or {}
    annotations = metadata.get("annotations") or {}
    info = status.get("nodeInfo") or {}
    addresses = [entry["address"] for entry in status.get("addresses") or [] if entry["type"] == "InternalIP"]
    ours = (flannel_prefix, CALICO_ANNOTATION_PREFIX, "podnet.cni")
    return {
        "name": metadata["name"],
        "uid": metadata.get("uid"),
        "ready": condition(node, "Ready") == "True",
        "schedulable": not spec.get("unschedulable", False),
        "pod_cidr": spec.get("podCIDR"),
        "pod_cidrs": spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else []),
        "provider_id": spec.get("providerID"),
        "internal_ip": addresses[0] if addresses else None,
        "internal_ips": addresses,
        "operating_system": info.get("operatingSystem"),
        "os_image": info.get("osImage"),
        "kernel": info.get("kernelVersion"),
        "runtime": info.get("containerRuntimeVersion"),
        "kubelet": info.get("kubeletVersion"),
        "labels": labels,
        "annotations": {key: value for key, value in annotations.items() if key.split("/", 1)[0] in ours},
        "flannel": flannel_cluster.node_facts(annotations, flannel_prefix),
        "control_plane": any(label in labels for label in _CONTROL_PLANE_LABELS),
        "network_unavailable": condition(node, "NetworkUnavailable") == "True",
        "taints": spec.get("taints") or [],
    }


def pod_facts(pod: Object) -> Facts:
    """One entry of C(podnet_cluster.pods)."""
    kind, name, dummy = kube_pods.owner_of(pod)
    return {
        "namespace": pod["metadata"].get("namespace"),
        "name": pod["metadata"]["name"],
        "uid": kube_pods.uid_of(pod),
        "node": pod.get("spec", {}).get("nodeName"),
        "ip": kube_pods.address_of(pod) or None,
        "host_network": kube_pods.is_host_network(pod),
        "phase": pod.get("status", {}).get("phase"),
        "ready": kube_pods.is_ready(pod),
        "terminating": kube_pods.is_terminating(pod),
        "owner_kind": kind or None,
        "owner_name": name or None,
        "empty_dir": kube_pods.uses_empty_dir(pod),
        "host_path": any("hostPath" in volume for volume in pod.get("spec", {}).get("volumes") or []),
        "restarts": sum(entry.get("restartCount", 0) for entry in pod.get("status", {}).get("containerStatuses") or []),
        "mirror": kube_pods.is_mirror(pod),
        "labels": pod["metadata"].get("labels") or {},
    }


def budget_facts(budget: Object) -> Facts:
    """One entry of C(podnet_cluster.pod_disruption_budgets)."""
    spec, status = budget.get("spec", {}), budget.get("status", {})
    return {
        "namespace": budget["metadata"].get("namespace"),
        "name": budget["metadata"]["name"],
        "selector": spec.get("selector") or {},
        "min_available": spec.get("minAvailable"),
        "max_unavailable": spec.get("maxUnavailable"),
        "disruptions_allowed": status.get("disruptionsAllowed", 0),
        "expected_pods": status.get("expectedPods", 0),
        "current_healthy": status.get("currentHealthy", 0),
        "desired_healthy": status.get("desiredHealthy", 0),
    }


def policy_facts(policy: Object) -> Facts:
    """One entry of C(podnet_cluster.network_policies)."""
    return {"namespace": policy["metadata"].get("namespace"), "name": policy["metadata"]["name"]}


def read_services(kube: KubeClient) -> Facts:
    """Addresses of the two Services that every cluster has: the API server and cluster DNS (None when not found)."""
    api = kube.get_or_none("/api/v1/namespaces/default/services/kubernetes")
    dns = next(iter(kube.list("/api/v1/namespaces/kube-system/services", label_selector="k8s-app=kube-dns")), None)

    def where(service: Object | None, port: str) -> Facts | None:
        spec = (service or {}).get("spec", {})
        address = spec.get("clusterIP")
        try:
            ipaddress.IPv4Address(address)
        except ValueError:
            return None
        numbers = [entry["port"] for entry in spec.get("ports") or [] if entry.get("name") == port] or [
            entry["port"] for entry in spec.get("ports") or []
        ]
        return {"address": address, "port": numbers[0]} if numbers else None

    return {"kubernetes": where(api, "https"), "dns": where(dns, "dns"), "domain": "cluster.local"}


def read_flannel_backup(kube: KubeClient) -> Facts | None:
    """What the journal has of a Flannel that was removed; None without a backup, and for whoever may not read the journal."""
    try:
        return flannel_cluster.backup_facts(Journal(kube).record(backup_key("flannel")))
    except (Forbidden, JournalError):
        return None


def read_cluster(kube: KubeClient) -> Facts:
    """Everything that the preflight judges about the cluster.

    :raises KubeError: when something that every user of this module must be allowed to read can't be read.
    """
    version = kube.get("/version")
    daemonsets = list(kube.list("/apis/apps/v1/daemonsets"))
    flannel = find_flannel(kube, daemonsets)
    flannel_facts = flannel_cluster.facts_of(flannel.daemonsets[0], flannel.configmap, flannel.objects) if flannel else None
    prefix = flannel_facts["annotation_prefix"] if flannel_facts else flannel_cluster.ANNOTATION_PREFIX
    nodes = [node_facts(node, prefix) for node in kube.list("/api/v1/nodes")]
    flannel_facts = flannel_facts or flannel_cluster.embedded_facts(nodes)
    pods = [pod_facts(pod) for pod in kube.list("/api/v1/pods")]
    try:
        budgets = [budget_facts(budget) for budget in kube.list("/apis/policy/v1/poddisruptionbudgets")]
    except NotFound:
        budgets = []
    return {
        "server_version": version.get("gitVersion"),
        "gathered_at": utc_now(),
        "flannel": flannel_facts,
        "flannel_backup": read_flannel_backup(kube),
        "nodes": sorted(nodes, key=lambda node: str(node["name"])),
        "pods": pods,
        "pod_disruption_budgets": budgets,
        "network_policies": [policy_facts(policy) for policy in kube.list("/apis/networking.k8s.io/v1/networkpolicies")],
        "services": read_services(kube),
        "calico": read_calico(kube, daemonsets, pods),
        "api_calls": kube.calls,
    }
