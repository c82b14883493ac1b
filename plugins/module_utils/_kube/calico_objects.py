# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what belongs to Calico in the cluster, starting from what runs its pods. Changes nothing.

Names that nothing leads to are those of projectcalico/calico:manifests/calico.yaml and manifests/calico-typha.yaml.
"""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import flannel_cluster
from ansible_collections.podnet.cni.plugins.module_utils._kube.calico_facts import find_calico_node
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import NotFound
from ansible_collections.podnet.cni.plugins.module_utils._kube.flannel_objects import objects_of_accounts, typed
from ansible_collections.podnet.cni.plugins.module_utils._kube.pods import addresses_of, is_terminating, uses_cni
from ansible_collections.podnet.cni.plugins.module_utils._kube.removal import Failure, refuse_canal, used_configmaps

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

Object = t.Mapping[str, t.Any]
GROUPS = ("crd.projectcalico.org", "projectcalico.org")
"""Groups of Calico's own definitions; releases from v3.32 can have the second one without an API server of their own."""
DEPLOYMENTS = ("calico-kube-controllers", "calico-typha")
"""Names of the containers of Calico's Deployments."""
IPAM_RECORDS = ("ipamblocks", "ipamhandles", "blockaffinities", "caliconodestatuses")
"""Resources that Calico writes for itself, and that mean nothing without its nodes."""
_ACCOUNTS = ("calico-node", "calico-kube-controllers", "calico-cni-plugin")
"""No pod uses the last one: install-cni asks for its tokens (projectcalico/calico:cni-plugin/pkg/install/install.go)."""
_POD_ANNOTATIONS = "cni.projectcalico.org"
OPERATOR = "operator.tigera.io/v1"
_TIER_ROLE = "calico-tier-getter"
"""What releases from v3.29 give to kube-controller-manager."""
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_NAMESPACE = "kube-system"


class CalicoObjects(t.NamedTuple):
    """What runs Calico's pods, and all objects that belong to Calico (these among them)."""

    workloads: list[Object]
    objects: list[Object]


def pod_spec(workload: Object) -> Object:
    """The pod specification of a DaemonSet or a Deployment."""
    return t.cast("Object", workload["spec"]["template"]["spec"])


def find_calico(kube: KubeClient, daemonsets: t.Iterable[Object], kept: t.Sequence[Object]) -> CalicoObjects:
    """Calico as it runs, or what its manifest names.

    When nothing of it runs any more and C(kept), the objects that an earlier run had found, is not empty, these are all that there can be.
    """
    node = find_calico_node(daemonsets)
    workloads = [typed(node, "apps/v1", "DaemonSet")] if node else []
    workloads += [typed(item, "apps/v1", "Deployment") for item in kube.list("/apis/apps/v1/deployments") if _is_ours(item)]
    if kept and not workloads:
        return CalicoObjects([], [])
    namespace = workloads[0]["metadata"]["namespace"] if workloads else _NAMESPACE
    accounts = {*_ACCOUNTS, *(str(pod_spec(item).get("serviceAccountName") or "default") for item in workloads)} - {"default"}
    objects = [*workloads, *objects_of_accounts(kube, namespace, sorted(accounts), namespaced=True)]
    for path, api_version, kind in _by_name(workloads, namespace):
        item = kube.get_or_none(path)
        if item:
            objects.append(typed(item, api_version, kind))
    objects += _beside_deployments(kube, namespace, [item for item in workloads if item["kind"] == "Deployment"])
    return CalicoObjects(workloads, objects)


def _is_ours(deployment: Object) -> bool:
    return any(container["name"] in DEPLOYMENTS for container in pod_spec(deployment).get("containers") or [])


def _by_name(workloads: t.Sequence[Object], namespace: str) -> t.Iterator[tuple[str, str, str]]:
    """Path, version and kind of what is known by its name."""
    configmaps = set().union(*(used_configmaps(pod_spec(item)) for item in workloads)) or {"calico-config"}
    for name in sorted(configmaps):
        yield f"/api/v1/namespaces/{namespace}/configmaps/{name}", "v1", "ConfigMap"
    yield f"{_RBAC}/clusterrolebindings/{_TIER_ROLE}", "rbac.authorization.k8s.io/v1", "ClusterRoleBinding"
    yield f"{_RBAC}/clusterroles/{_TIER_ROLE}", "rbac.authorization.k8s.io/v1", "ClusterRole"


def _beside_deployments(kube: KubeClient, namespace: str, deployments: t.Sequence[Object]) -> t.Iterator[Object]:
    """Budgets of Calico's Deployments, and the Services in front of them."""
    templates = [item["spec"]["template"]["metadata"].get("labels") or {} for item in deployments]
    for budget in kube.list(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"):
        selector = (budget.get("spec", {}).get("selector") or {}).get("matchLabels") or {}
        by_name = not deployments and budget["metadata"]["name"] in DEPLOYMENTS
        if by_name or any(_selects(selector, labels) for labels in templates):
            yield typed(budget, "policy/v1", "PodDisruptionBudget")
    for service in kube.list(f"/api/v1/namespaces/{namespace}/services") if templates else []:
        if any(_selects(service.get("spec", {}).get("selector") or {}, labels) for labels in templates):
            yield typed(service, "v1", "Service")


def _selects(selector: t.Mapping[str, str], labels: t.Mapping[str, str]) -> bool:
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


# -- what speaks against removing it


def refuse_other_installations(kube: KubeClient, daemonsets: t.Iterable[Object]) -> None:
    """Refuse what was not installed by C(calico.yaml).

    :raises Failure: for Canal, for the Tigera operator, and for an API server of Calico's.
    """
    for daemonset in flannel_cluster.find_daemonsets(daemonsets):
        refuse_canal(typed(daemonset, "apps/v1", "DaemonSet"))
    if OPERATOR in kube.served():
        installations = [item["metadata"]["name"] for item in kube.list(f"/apis/{OPERATOR}/installations")]
        if installations:
            raise Failure(
                f"Calico belongs to the Tigera operator (Installation {', '.join(installations)}), which would put it back; remove it with the "
                "operator, by deleting the Installation, then run again for what is left"
            )
    if f"{GROUPS[1]}/v3" in kube.served():
        service = (kube.get(f"/apis/apiregistration.k8s.io/v1/apiservices/v3.{GROUPS[1]}").get("spec") or {}).get("service")
        if service:
            raise Failure(
                f"APIService v3.{GROUPS[1]} leads to Calico's own API server (Service {service.get('namespace')}/{service.get('name')}), which was "
                "not installed with calico.yaml and would not work any more; remove it first, with the manifest that it was installed with"
            )


def pods_on_calico(pods: t.Iterable[Object]) -> list[Object]:
    """Pods that run with an address that Calico's plugin gave them.

    Its deletion empties the address in the annotation and leaves the container
    (projectcalico/calico:libcalico-go/lib/backend/k8s/resources/workloadendpoint.go). An address that is not the pod's own any more is that
    of an earlier sandbox.
    """
    return [pod for pod in pods if uses_cni(pod) and not is_terminating(pod) and _is_on_calico(pod)]


def _is_on_calico(pod: Object) -> bool:
    annotations = pod["metadata"].get("annotations") or {}
    address = annotations.get(f"{_POD_ANNOTATIONS}/podIP")
    if address is None:
        return bool(annotations.get(f"{_POD_ANNOTATIONS}/containerID"))
    now = addresses_of(pod)
    return bool(address) and (not now or address.split("/")[0] in now)


# -- definitions and resources


class Resources(t.NamedTuple):
    """Everything of one kind of Calico's."""

    definition: str
    path: str
    kind: str
    items: list[Object]

    def path_of(self, item: Object) -> str:
        """Path of one of the items."""
        root, plural = self.path.rsplit("/", 1)
        namespace = item["metadata"].get("namespace")
        return f"{root}/namespaces/{namespace}/{plural}/{item['metadata']['name']}" if namespace else f"{self.path}/{item['metadata']['name']}"

    @property
    def is_by_people(self) -> bool:
        """Whether somebody would miss these."""
        return self.path.rsplit("/", 1)[1] not in IPAM_RECORDS


def read_resources(kube: KubeClient) -> list[Resources]:
    """All resources of Calico's groups in the version that the API prefers."""
    found = []
    for group in GROUPS:
        about = kube.get_or_none(f"/apis/{group}")
        if about is None:
            continue
        version = about["preferredVersion"]["groupVersion"]
        kinds = (kube.get_or_none(f"/apis/{version}") or {}).get("resources") or []
        listed = [kind for kind in kinds if "/" not in kind["name"] and "list" in kind.get("verbs", [])]
        found += [_read_kind(kube, group, version, kind) for kind in listed]
    return found


def _read_kind(kube: KubeClient, group: str, version: str, kind: Object) -> Resources:
    path = f"/apis/{version}/{kind['name']}"
    try:
        items = [typed(item, version, kind["kind"]) for item in kube.list(path)]
    except NotFound:  # its definition is being deleted
        items = []
    return Resources(f"{kind['name']}.{group}", path, kind["kind"], items)
