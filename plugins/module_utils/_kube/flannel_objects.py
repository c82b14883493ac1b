# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the objects in the cluster that belong to Flannel, starting from its DaemonSets. Changes nothing."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import flannel_cluster
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

Object = t.Mapping[str, t.Any]
_RBAC = "rbac.authorization.k8s.io/v1"
_COLLECTIONS = {
    "DaemonSet": "/apis/apps/v1/namespaces/{namespace}/daemonsets",
    "ConfigMap": "/api/v1/namespaces/{namespace}/configmaps",
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "ClusterRoleBinding": f"/apis/{_RBAC}/clusterrolebindings",
    "ClusterRole": f"/apis/{_RBAC}/clusterroles",
    "Namespace": "/api/v1/namespaces",
}


class FlannelObjects(t.NamedTuple):
    """Flannel's DaemonSets, the ConfigMap with its network, and all objects that belong to it (these among them)."""

    daemonsets: list[Object]
    configmap: Object | None
    objects: list[Object]


def path_of(item: Object) -> str:
    """Path of an object of the kinds that belong to Flannel."""
    collection = _COLLECTIONS[item["kind"]].format(namespace=item["metadata"].get("namespace", ""))
    return f"{collection}/{item['metadata']['name']}"


def typed(item: Object, api_version: str, kind: str) -> Object:
    """An item of a list with what it is, which lists do not say."""
    return {"apiVersion": api_version, "kind": kind, **item}


def find_flannel(kube: KubeClient, daemonsets: t.Iterable[Object]) -> FlannelObjects | None:
    """Flannel among all DaemonSets of the cluster, None when none of them runs flanneld."""
    found = [typed(daemonset, "apps/v1", "DaemonSet") for daemonset in flannel_cluster.find_daemonsets(daemonsets)]
    return belonging_to(kube, found) if found else None


def belonging_to(kube: KubeClient, daemonsets: list[Object]) -> FlannelObjects:
    """What belongs to Flannel's DaemonSets, which need not exist any more."""
    configmaps: dict[str, Object] = {}
    others: dict[str, Object] = {}
    for daemonset in daemonsets:
        namespace = daemonset["metadata"]["namespace"]
        for name in flannel_cluster.mounted_configmaps(daemonset):
            configmap = kube.get_or_none(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
            if configmap and "net-conf.json" in (configmap.get("data") or {}):
                item = typed(configmap, "v1", "ConfigMap")
                configmaps[path_of(item)] = item
        account = flannel_cluster.pod_template(daemonset).get("serviceAccountName")
        if account and account != "default":
            others.update((path_of(item), item) for item in objects_of_accounts(kube, namespace, [account]))
    first = next(iter(configmaps.values()), None)
    return FlannelObjects(daemonsets, first, [*daemonsets, *configmaps.values(), *others.values()])


def objects_of_accounts(kube: KubeClient, namespace: str, accounts: t.Collection[str], namespaced: bool = False) -> list[Object]:
    """ServiceAccounts, the bindings that name nothing else, and the roles that only these bindings use.

    With C(namespaced) also those of namespaces, not only those of the cluster. Whoever may not read RBAC objects gets what can be read.
    Without an account its bindings are found all the same.
    """
    objects: list[Object] = []
    for account in accounts:
        found = kube.get_or_none(f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}")
        if found:
            objects.append(typed(found, "v1", "ServiceAccount"))
    try:
        bindings = [typed(binding, _RBAC, "ClusterRoleBinding") for binding in kube.list(f"/apis/{_RBAC}/clusterrolebindings")]
        if namespaced:
            bindings += [typed(binding, _RBAC, "RoleBinding") for binding in kube.list(f"/apis/{_RBAC}/rolebindings")]
    except Forbidden:
        return objects
    ours = [binding for binding in bindings if _names_only(binding, namespace, accounts)]
    shared = {_role_path(binding) for binding in bindings if binding not in ours}
    objects += ours
    for path in sorted({_role_path(binding) for binding in ours} - shared):
        role = kube.get_or_none(path)
        if role and "kubernetes.io/bootstrapping" not in (role["metadata"].get("labels") or {}):
            objects.append(typed(role, _RBAC, "Role" if "/namespaces/" in path else "ClusterRole"))
    return objects


def _role_path(binding: Object) -> str:
    """Path of the role that a binding gives."""
    reference = binding["roleRef"]
    if reference.get("kind") == "Role":
        return f"/apis/{_RBAC}/namespaces/{binding['metadata']['namespace']}/roles/{reference['name']}"
    return f"/apis/{_RBAC}/clusterroles/{reference['name']}"


def _names_only(binding: Object, namespace: str, accounts: t.Collection[str]) -> bool:
    """Whether a binding gives its role to these ServiceAccounts and nobody else."""
    subjects = binding.get("subjects") or []
    return bool(subjects) and all(
        subject.get("kind") == "ServiceAccount" and subject.get("name") in accounts and subject.get("namespace") == namespace for subject in subjects
    )


def conventional_objects(kube: KubeClient) -> list[Object]:
    """What is there under the names of upstream's manifest (flannel-io/flannel:Documentation/kube-flannel.yml), when no DaemonSet leads to it."""
    objects: list[Object] = []
    for namespace in ("kube-flannel", "kube-system"):
        configmap = kube.get_or_none(f"/api/v1/namespaces/{namespace}/configmaps/kube-flannel-cfg")
        if configmap and "net-conf.json" in (configmap.get("data") or {}):
            objects.append(typed(configmap, "v1", "ConfigMap"))
        objects += objects_of_accounts(kube, namespace, ["flannel"])
    return objects
