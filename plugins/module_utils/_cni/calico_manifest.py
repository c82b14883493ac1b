# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From upstream's calico.yaml to Calico that stays beside another CNI until it is told otherwise. Pure: no input, no output.

Reads projectcalico/calico:manifests/calico.yaml of any version whose shape is known; refuses every other shape with a remedy. Environment
variables of the installer are those of projectcalico/calico:cni-plugin/pkg/install/install.go.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import typing as t

Object = dict[str, t.Any]
BESIDE_NAME = "99-podnet-calico.conflist"
FINAL_NAME = "10-calico.conflist"
NAME_KEY = "cni_conf_name"
"""Key of the ConfigMap that holds the name of the CNI configuration: a change of a ConfigMap restarts no pod, a change of the DaemonSet
restarts calico-node, and with it BIRD, on every node."""
FLANNEL_PROGRAMS = "flannel,host-local"
"""Programs that Flannel's pods are made with; Calico's image carries copies and its installer would overwrite them."""
_REMEDY = "use manifests/calico.yaml of a release of projectcalico/calico"
BACKENDS = ("bird", "vxlan")
"""What calico-node runs beside Felix: BIRD, or nothing for pools with VXLAN (projectcalico/calico:node/filesystem/etc/rc.local)."""
_BIRD_CHECKS = ("bird-live", "bird-ready")
_ORDER = ("Namespace", "CustomResourceDefinition", "PriorityClass", "ServiceAccount", "Secret", "ConfigMap", "ClusterRole", "ClusterRoleBinding")
_ORDER_LAST = ("DaemonSet", "Deployment")
_PLURALS = {
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Namespace"): "namespaces",
    ("v1", "Secret"): "secrets",
    ("v1", "Service"): "services",
    ("v1", "ServiceAccount"): "serviceaccounts",
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): "customresourcedefinitions",
    ("apps/v1", "DaemonSet"): "daemonsets",
    ("apps/v1", "Deployment"): "deployments",
    ("networking.k8s.io/v1", "NetworkPolicy"): "networkpolicies",
    ("policy/v1", "PodDisruptionBudget"): "poddisruptionbudgets",
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): "clusterroles",
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): "clusterrolebindings",
    ("rbac.authorization.k8s.io/v1", "Role"): "roles",
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): "rolebindings",
    ("scheduling.k8s.io/v1", "PriorityClass"): "priorityclasses",
}
_CLUSTER_WIDE = {"Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "PriorityClass"}


class ManifestError(ValueError):
    """Why a manifest cannot be used; the text has the remedy."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the manifest is changed to."""

    cni_config_name: str = BESIDE_NAME
    ip_autodetection_method: str = "kubernetes-internal-ip"
    veth_mtu: int = 0
    backend: str = "bird"
    images: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    environment: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


class Transformed(t.NamedTuple):
    """The documents in the order to apply them, and what was changed, in words."""

    documents: list[Object]
    changes: list[str]


def object_path(document: t.Mapping[str, t.Any]) -> str:
    """REST path of an object of the manifest.

    :raises ManifestError: for a kind that no known manifest has.
    """
    api, kind, metadata = document["apiVersion"], document["kind"], document["metadata"]
    plural = _PLURALS.get((api, kind))
    if plural is None:
        raise ManifestError(f"manifest: {kind} of {api} ({metadata.get('name')}) is not known to this module; {_REMEDY}")
    root = "/api/v1" if api == "v1" else f"/apis/{api}"
    scope = "" if kind in _CLUSTER_WIDE else f"/namespaces/{metadata.get('namespace', 'default')}"
    return f"{root}{scope}/{plural}/{metadata['name']}"


def is_definition(document: t.Mapping[str, t.Any]) -> bool:
    """Whether an object is a CustomResourceDefinition."""
    return bool(document["kind"] == "CustomResourceDefinition")


def _rank(document: Object) -> int:
    kind = document["kind"]
    if kind in _ORDER:
        return _ORDER.index(kind)
    if kind in _ORDER_LAST:
        return 100 + _ORDER_LAST.index(kind)
    return 50


def _check_shape(documents: t.Sequence[t.Any]) -> list[Object]:
    """The objects of the manifest.

    :raises ManifestError: when it is not Calico's own manifest for the Kubernetes API as datastore, with BGP.
    """
    objects: list[Object] = [document for document in documents if document is not None]
    for document in objects:
        if not isinstance(document, dict) or not all(key in document for key in ("apiVersion", "kind", "metadata")):
            raise ManifestError(f"manifest: it holds something that is not a Kubernetes object; {_REMEDY}")
    if not objects:
        raise ManifestError(f"manifest: it is empty; {_REMEDY}")
    groups = {document["apiVersion"].split("/")[0] for document in objects}
    names = {(document["kind"], document["metadata"].get("name")) for document in objects}
    if "operator.tigera.io" in groups or ("Deployment", "tigera-operator") in names:
        raise ManifestError(
            "manifest: it installs Calico through the Tigera operator, which would write its own CNI configuration at once; "
            "use manifests/calico.yaml instead, the operator can take the installation over after the migration"
        )
    for document in objects:
        if document["kind"] == "DaemonSet":
            _refuse_flannel(document)
    return objects


def _refuse_flannel(daemonset: Object) -> None:
    containers = daemonset["spec"]["template"]["spec"].get("containers") or []
    names = {container["name"] for container in containers}
    if daemonset["metadata"]["name"] == "canal" or any("flannel" in name for name in names):
        raise ManifestError("manifest: it is Canal (Calico's policy on Flannel's network), not Calico's own network; use manifests/calico.yaml")


def _one(objects: t.Sequence[Object], kind: str, name: str) -> Object:
    for document in objects:
        if document["kind"] == kind and document["metadata"].get("name") == name:
            return document
    raise ManifestError(f"manifest: it has no {kind} {name}; {_REMEDY}")


def _container(daemonset: Object, group: str, name: str) -> Object:
    for container in daemonset["spec"]["template"]["spec"].get(group) or []:
        if container["name"] == name:
            return t.cast("Object", container)
    raise ManifestError(f"manifest: DaemonSet {daemonset['metadata']['name']} has no {group} entry {name}; {_REMEDY}")


def _plain_value(container: Object, name: str) -> str | None:
    """The value of an environment variable that is written in the manifest."""
    for variable in container.get("env") or []:
        if variable["name"] == name:
            return t.cast("str | None", variable.get("value"))
    return None


def _set_variable(container: Object, name: str, value: str | Object, changes: list[str]) -> None:
    """Set an environment variable to a value or to where it comes from."""
    wanted: Object = {"name": name, "value": value} if isinstance(value, str) else {"name": name, "valueFrom": value}
    environment: list[Object] = container.setdefault("env", [])
    for position, variable in enumerate(environment):
        if variable["name"] == name:
            if variable != wanted:
                environment[position] = wanted
                changes.append(f"{container['name']}: {name} is {_shown(value)}")
            return
    environment.append(wanted)
    changes.append(f"{container['name']}: {name} is {_shown(value)}")


def _shown(value: str | Object) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    reference = value["configMapKeyRef"]
    return f"key {reference['key']} of ConfigMap {reference['name']}"


def name_reference(daemonset: t.Mapping[str, t.Any]) -> Object | None:
    """C(name) and C(key) of the ConfigMap that a DaemonSet takes the name of its CNI configuration from, None when it does not."""
    installers = [entry for entry in daemonset["spec"]["template"]["spec"].get("initContainers") or [] if entry["name"] == "install-cni"]
    variables = (installers[0].get("env") or []) if installers else []
    source = next((variable.get("valueFrom") for variable in variables if variable["name"] == "CNI_CONF_NAME"), None)
    return t.cast("Object | None", (source or {}).get("configMapKeyRef"))


def _set_key(config: Object, key: str, value: str, changes: list[str]) -> None:
    data: Object = config.setdefault("data", {})
    if data.get(key) != value:
        data[key] = value
        changes.append(f"ConfigMap {config['metadata']['name']}: {key} is '{value}'")


def _check_node_container(container: Object) -> None:
    """Refuse data planes and datastores that the migration does not know."""
    datastore = _plain_value(container, "DATASTORE_TYPE")
    if datastore != "kubernetes":
        raise ManifestError(f"manifest: the datastore is '{datastore}', not the Kubernetes API; {_REMEDY}, not calico-etcd.yaml")
    if str(_plain_value(container, "FELIX_BPFENABLED")).lower() == "true":
        raise ManifestError("manifest: it turns the eBPF data plane on; migrate with manifests/calico.yaml and turn it on afterwards")
    command = [str(word) for probe in ("livenessProbe", "readinessProbe") for word in _probe_command(container, probe)]
    for check in _BIRD_CHECKS:
        if not any(word.lstrip("-") == check for word in command):
            raise ManifestError(f"manifest: calico-node's probes do not look at BIRD ({check} is missing), so BGP is not meant to run; {_REMEDY}")


def _probe_command(container: Object, probe: str) -> list[t.Any]:
    return ((container.get(probe) or {}).get("exec") or {}).get("command") or []


def _check_cni_config(config: Object) -> None:
    """Refuse CNI configurations whose addresses do not come from Calico's IPAM."""
    text = (config.get("data") or {}).get("cni_network_config")
    if not text:
        raise ManifestError(f"manifest: ConfigMap {config['metadata']['name']} has no cni_network_config; {_REMEDY}, not calico-policy-only.yaml")
    try:
        plugins = json.loads(text.replace("__CNI_MTU__", "0"))["plugins"]
        types = [(plugin["type"], (plugin.get("ipam") or {}).get("type")) for plugin in plugins]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ManifestError(f"manifest: cni_network_config is not a CNI configuration list: {exc}; {_REMEDY}") from exc
    if ("calico", "calico-ipam") not in types:
        raise ManifestError(f"manifest: cni_network_config does not use the calico plugin with calico-ipam; {_REMEDY}")


def _without_bird(container: Object, changes: list[str]) -> None:
    """Probes of a calico-node without BIRD, as projectcalico/calico:manifests/calico-vxlan.yaml has them."""
    for probe in ("livenessProbe", "readinessProbe"):
        command = _probe_command(container, probe)
        kept = [word for word in command if str(word).lstrip("-") not in _BIRD_CHECKS]
        if kept != command:
            container[probe]["exec"]["command"] = kept
            changes.append(f"{container['name']}: {probe} does not look at BIRD")


def _pools_by_others(container: Object, changes: list[str]) -> None:
    """calico-node must not make a default pool, and never one with encapsulation.

    See projectcalico/calico:node/pkg/lifecycle/startup/startup.go: with NO_DEFAULT_POOLS it stops when a pool's CIDR is set as well.
    """
    kept = []
    for variable in container.get("env") or []:
        if variable["name"].startswith(("CALICO_IPV4POOL_", "CALICO_IPV6POOL_")) and not variable["name"].endswith(("_IPIP", "_VXLAN")):
            changes.append(f"{container['name']}: {variable['name']} is removed")
        else:
            kept.append(variable)
    container["env"] = kept
    _set_variable(container, "NO_DEFAULT_POOLS", "true", changes)
    _set_variable(container, "CALICO_IPV4POOL_IPIP", "Never", changes)
    _set_variable(container, "CALICO_IPV4POOL_VXLAN", "Never", changes)


def _remove_upgrade(daemonset: Object, changes: list[str]) -> None:
    """Leave out the init container that takes over addresses of host-local.

    It looks at the folder of a network called k8s-pod-network. If Flannel's network has that name, it would make Calico unavailable in
    the whole cluster for a moment, delete the programs calico and host-local on the node, and turn Flannel's addresses into Calico's
    (projectcalico/calico:cni-plugin/pkg/upgrade/migrate.go).
    """
    spec = daemonset["spec"]["template"]["spec"]
    containers = [container for container in spec.get("initContainers") or [] if container["name"] != "upgrade-ipam"]
    if len(containers) == len(spec.get("initContainers") or []):
        return
    spec["initContainers"] = containers
    changes.append("calico-node: init container upgrade-ipam is removed")
    mounted = {mount["name"] for container in containers + (spec.get("containers") or []) for mount in container.get("volumeMounts") or []}
    spec["volumes"] = [volume for volume in spec.get("volumes") or [] if volume["name"] in mounted]


def _pod_specs(objects: t.Iterable[Object]) -> t.Iterator[Object]:
    for document in objects:
        if document["kind"] in ("DaemonSet", "Deployment"):
            yield document["spec"]["template"]["spec"]


def _containers(objects: t.Iterable[Object]) -> t.Iterator[Object]:
    for spec in _pod_specs(objects):
        yield from (spec.get("initContainers") or []) + (spec.get("containers") or [])


def _override_images(objects: t.Sequence[Object], images: t.Mapping[str, str], changes: list[str]) -> None:
    present = sorted({container["image"] for container in _containers(objects)})
    for image in images:
        if image not in present:
            raise ManifestError(f"images: '{image}' is not an image of the manifest; use one of {', '.join(present)}")
    for container in _containers(objects):
        if container["image"] in images:
            container["image"] = images[container["image"]]
    changes += [f"image {image} is {replacement}" for image, replacement in images.items()]


def _without_server_fields(document: Object) -> Object:
    """The object without fields that only the API server writes and that generators leave in manifests."""
    document.pop("status", None)
    if document["metadata"].get("creationTimestamp", "") is None:
        del document["metadata"]["creationTimestamp"]
    return document


def transform(documents: t.Sequence[t.Any], settings: Settings) -> Transformed:
    """Change the documents of an upstream manifest.

    :raises ManifestError: when the manifest has another shape, or a setting does not fit it.
    """
    objects = [_without_server_fields(copy.deepcopy(document)) for document in _check_shape(documents)]
    changes: list[str] = []
    config = _one(objects, "ConfigMap", "calico-config")
    daemonset = _one(objects, "DaemonSet", "calico-node")
    node = _container(daemonset, "containers", "calico-node")
    installer = _container(daemonset, "initContainers", "install-cni")
    _check_node_container(node)
    _check_cni_config(config)

    _set_key(config, "calico_backend", settings.backend, changes)
    if settings.backend != "bird":
        _without_bird(node, changes)
    _set_key(config, "veth_mtu", str(settings.veth_mtu), changes)
    _set_key(config, NAME_KEY, settings.cni_config_name, changes)
    reference = {"configMapKeyRef": {"name": config["metadata"]["name"], "key": NAME_KEY}}
    _set_variable(installer, "CNI_CONF_NAME", reference, changes)
    # Else it removes 10-calico.conflist when its own file has another name, and so makes Flannel the CNI of a node that was moved, whenever
    # calico-node starts there (projectcalico/calico:cni-plugin/pkg/install/install.go).
    _set_variable(installer, "CNI_OLD_CONF_NAME", reference, changes)
    _set_variable(installer, "SKIP_CNI_BINARIES", FLANNEL_PROGRAMS, changes)
    _remove_upgrade(daemonset, changes)
    _pools_by_others(node, changes)
    _set_variable(node, "IP_AUTODETECTION_METHOD", settings.ip_autodetection_method, changes)
    for name, value in settings.environment.items():
        _set_variable(node, name, value, changes)
    _override_images(objects, settings.images, changes)
    for document in objects:
        object_path(document)
    return Transformed(sorted(objects, key=_rank), changes)


def definitions(documents: t.Sequence[t.Any]) -> list[Object]:
    """The CustomResourceDefinitions of a manifest.

    :raises ManifestError: when it has none, or is not a manifest.
    """
    found = [_without_server_fields(copy.deepcopy(document)) for document in _check_shape(documents) if is_definition(document)]
    if not found:
        raise ManifestError(f"manifest: it has no CustomResourceDefinition; {_REMEDY}")
    return found
