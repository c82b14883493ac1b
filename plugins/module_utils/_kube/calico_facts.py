# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read Calico's resources through whichever API group the cluster serves. Changes nothing."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, NotFound

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

Object = t.Mapping[str, t.Any]
V1 = "crd.projectcalico.org/v1"
V3 = "projectcalico.org/v3"
OPERATOR = "operator.tigera.io/v1"
"""The API of Calico's operator (tigera/operator:api/v1/installation_types.go)."""


def calico_api(served: t.Collection[str]) -> str | None:
    """The group to read and write: the validated one if it is served, else Calico's own store, None without Calico.

    See projectcalico/calico:libcalico-go/lib/backend/k8s/discovery.go.
    """
    if V3 in served:
        return V3
    return V1 if V1 in served else None


def _items(kube: KubeClient, api: str, plural: str) -> list[Object]:
    """All objects of a kind, none when the kind is not served or may not be read."""
    try:
        return list(kube.list(f"/apis/{api}/{plural}"))
    except (NotFound, Forbidden):
        return []


def _named(items: t.Iterable[Object], name: str) -> dict[str, t.Any] | None:
    """The specification of the object with a name."""
    return next((dict(item.get("spec") or {}) for item in items if item["metadata"]["name"] == name), None)


def container_environment(daemonset: Object, container: str) -> dict[str, str | None]:
    """Environment of a container or init container, with None for values that come from elsewhere."""
    template = daemonset.get("spec", {}).get("template", {}).get("spec", {})
    for entry in (template.get("containers") or []) + (template.get("initContainers") or []):
        if entry["name"] == container:
            return {variable["name"]: variable.get("value") for variable in entry.get("env") or []}
    return {}


def find_calico_node(daemonsets: t.Iterable[Object]) -> Object | None:
    """The DaemonSet that runs calico-node, but not Canal's (it has flanneld beside it)."""
    for daemonset in daemonsets:
        containers = daemonset.get("spec", {}).get("template", {}).get("spec", {}).get("containers") or []
        names = {container["name"] for container in containers}
        if "calico-node" in names and not any("flannel" in name for name in names):
            return daemonset
    return None


def daemonset_facts(daemonset: Object, pods: t.Iterable[Object]) -> dict[str, t.Any]:
    """C(podnet_cluster.calico.daemonset)."""
    metadata, status = daemonset["metadata"], daemonset.get("status", {})
    containers = daemonset["spec"]["template"]["spec"]["containers"]
    image = next(container["image"] for container in containers if container["name"] == "calico-node")
    labels = daemonset["spec"].get("selector", {}).get("matchLabels") or {}
    mine = [
        pod for pod in pods if pod["namespace"] == metadata["namespace"] and all(pod["labels"].get(key) == value for key, value in labels.items())
    ]
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "image": image,
        "account": daemonset["spec"]["template"]["spec"].get("serviceAccountName") or "default",
        "desired": status.get("desiredNumberScheduled", 0),
        "ready": status.get("numberReady", 0),
        "ready_nodes": sorted(pod["node"] for pod in mine if pod["ready"] and not pod["terminating"] and pod["node"]),
        "cni_conf_name": container_environment(daemonset, "install-cni").get("CNI_CONF_NAME"),
        "backend": container_environment(daemonset, "calico-node").get("CALICO_NETWORKING_BACKEND"),
        "annotations": {key: value for key, value in (metadata.get("annotations") or {}).items() if key.startswith("podnet.cni/")},
    }


def block_facts(block: Object) -> dict[str, t.Any]:
    """One IPAM block: which node has it and how many of its addresses are in use."""
    spec = block.get("spec") or {}
    affinity = str(spec.get("affinity") or "")
    allocations = spec.get("allocations") or []
    return {
        "cidr": spec.get("cidr"),
        "node": affinity[len("host:") :] if affinity.startswith("host:") else None,
        "allocated": sum(1 for entry in allocations if entry is not None),
        "free": sum(1 for entry in allocations if entry is None),
    }


def session_facts(status: Object) -> list[dict[str, t.Any]]:
    """The BGP sessions that a CalicoNodeStatus tells (projectcalico/calico:api/pkg/apis/projectcalico/v3/nodestatus.go)."""
    node = (status.get("spec") or {}).get("node")
    bgp = (status.get("status") or {}).get("bgp") or {}
    return [
        {"node": node, "peer": peer.get("peerIP"), "type": peer.get("type"), "state": peer.get("state"), "since": peer.get("since")}
        for peer in (bgp.get("peersV4") or []) + (bgp.get("peersV6") or [])
    ]


_NOTHING: dict[str, t.Any] = {
    "api": None,
    "operator": True,
    "daemonset": None,
    "pools": [],
    "blocks": [],
    "affinities": [],
    "reservations": [],
    "bgp_configuration": None,
    "bgp_peers": [],
    "ipam_config": None,
    "sessions": [],
    "felix": None,
}
"""A cluster that only has the operator."""


def read_calico(kube: KubeClient, daemonsets: t.Iterable[Object], pods: t.Sequence[Object]) -> dict[str, t.Any] | None:
    """C(podnet_cluster.calico), None when the cluster knows nothing of Calico."""
    api = calico_api(kube.served())
    if api is None:
        # The operator's own definitions come first, those of Calico when it finds an Installation.
        return dict(_NOTHING) if OPERATOR in kube.served() else None
    daemonset = find_calico_node(daemonsets)
    blocks_api = V1 if V1 in kube.served() else api
    felix = _items(kube, api, "felixconfigurations")
    ipam_config = _named(_items(kube, api, "ipamconfigurations"), "default") if api == V3 else None
    if ipam_config is None:
        ipam_config = _named(_items(kube, blocks_api, "ipamconfigs"), "default")
    return {
        "api": api,
        "operator": OPERATOR in kube.served(),
        "daemonset": daemonset_facts(daemonset, pods) if daemonset else None,
        "pools": [{"name": item["metadata"]["name"], **item["spec"]} for item in _items(kube, api, "ippools")],
        "blocks": [block_facts(item) for item in _items(kube, blocks_api, "ipamblocks")],
        "affinities": [
            {
                "name": item["metadata"]["name"],
                "node": item["spec"].get("node"),
                "cidr": item["spec"].get("cidr"),
                "state": item["spec"].get("state"),
            }
            for item in _items(kube, blocks_api, "blockaffinities")
        ],
        "reservations": [
            {"name": item["metadata"]["name"], "cidrs": (item.get("spec") or {}).get("reservedCIDRs") or []}
            for item in _items(kube, api, "ipreservations")
        ],
        "bgp_configuration": _named(_items(kube, api, "bgpconfigurations"), "default"),
        "bgp_peers": [{"name": item["metadata"]["name"], **item["spec"]} for item in _items(kube, api, "bgppeers")],
        "ipam_config": ipam_config,
        "sessions": [session for item in _items(kube, api, "caliconodestatuses") for session in session_facts(item)],
        "felix": _named(felix, "default"),
    }
