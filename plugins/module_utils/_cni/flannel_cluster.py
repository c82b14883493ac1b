# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Flannel looks like in a cluster. Pure: API objects in, facts out.

Flannel is recognized by what it runs and mounts, never by its name, since every distribution calls it otherwise. Formats:
flannel-io/flannel:Documentation/kube-flannel.yml, Documentation/configuration.md, pkg/backend/vxlan/vxlan.go.
"""

from __future__ import annotations

import json
import re
import typing as t

Object = t.Mapping[str, t.Any]

ANNOTATION_PREFIX = "flannel.alpha.coreos.com"
DEFAULT_VNI = 1
DEFAULT_PORT = 8472
"""The kernel's port for VXLAN when Flannel's configuration names none (Linux)."""


def pod_template(daemonset: Object) -> Object:
    """The pod specification of a DaemonSet."""
    return t.cast("Object", daemonset.get("spec", {}).get("template", {}).get("spec", {}))


def command_words(container: Object) -> list[str]:
    """The words that a container is started with."""
    return [str(word) for word in (container.get("command") or []) + (container.get("args") or [])]


def is_flanneld(container: Object) -> bool:
    """Whether a container runs flanneld: by its command, else by the name of its image."""
    words = command_words(container)
    if any(word.rsplit("/", 1)[-1] == "flanneld" or "flanneld " in word for word in words):
        return True
    image = str(container.get("image", "")).rsplit("/", 1)[-1].split(":", 1)[0].split("@", 1)[0]
    return image == "flannel" and not words


def find_daemonsets(daemonsets: t.Iterable[Object]) -> list[Object]:
    """The DaemonSets that run flanneld, the one with most pods first: older manifests have one for each architecture."""
    found = [item for item in daemonsets if any(is_flanneld(container) for container in pod_template(item).get("containers") or [])]
    return sorted(found, key=lambda item: -int(item.get("status", {}).get("desiredNumberScheduled", 0)))


def flanneld_container(daemonset: Object) -> Object:
    """The container that runs flanneld."""
    return next(container for container in pod_template(daemonset)["containers"] if is_flanneld(container))


def mounted_configmaps(daemonset: Object) -> list[str]:
    """Names of the ConfigMaps that its pods mount, in the order of the volumes."""
    return [volume["configMap"]["name"] for volume in pod_template(daemonset).get("volumes") or [] if volume.get("configMap")]


def is_canal(daemonset: Object) -> bool:
    """Whether flanneld shares its pods with Calico's policy engine (projectcalico/calico:manifests/canal.yaml)."""
    images = [str(container.get("image", "")) for container in pod_template(daemonset).get("containers") or []]
    return any("calico" in image and "node" in image for image in images)


def parse_json(text: str | None) -> dict[str, t.Any]:
    """An object written as JSON; empty when it is none."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def backend_of(net_conf: Object) -> dict[str, t.Any]:
    """The backend of a net-conf.json with Flannel's defaults filled in."""
    raw = net_conf.get("Backend") or {}
    return {
        "type": str(raw.get("Type") or "udp"),
        "vni": int(raw.get("VNI") or DEFAULT_VNI),
        "port": int(raw.get("Port") or DEFAULT_PORT),
        "direct_routing": bool(raw.get("DirectRouting", False)),
        "learning": bool(raw.get("Learning", False)),
        "gbp": bool(raw.get("GBP", False)),
        "mac_prefix": raw.get("MacPrefix"),
        "raw": dict(raw),
    }


def option_values(words: t.Sequence[str], option: str) -> list[str]:
    """Values of a command-line option in Go's style: C(-o v), C(--o v), C(--o=v)."""
    values = []
    for index, word in enumerate(words):
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or name != option:
            continue
        if equals:
            values.append(value)
        elif index + 1 < len(words) and not words[index + 1].startswith("-"):
            values.append(words[index + 1])
        else:
            values.append("true")
    return values


def is_set(words: t.Sequence[str], option: str) -> bool:
    """Whether a switch is on."""
    values = option_values(words, option)
    return bool(values) and values[-1] != "false"


def annotation_prefix(daemonset: Object) -> str:
    """Prefix of what flanneld writes on nodes."""
    return (option_values(command_words(flanneld_container(daemonset)), "kube-annotation-prefix") or [ANNOTATION_PREFIX])[-1]


_OWNER_MARKS = (
    # kind, in labels or annotations, key (a prefix when it ends with *), remedy
    ("addon-manager", "addonmanager.kubernetes.io/mode", "remove {cni}'s manifest from the addon manager's folder on the control plane"),
    ("argocd", "argocd.argoproj.io/*", "remove {cni} from the Argo CD application, or turn off its automatic sync"),
    ("flux", "kustomize.toolkit.fluxcd.io/*", "remove {cni} from the Flux Kustomization, or suspend it"),
    ("flux", "helm.toolkit.fluxcd.io/*", "remove the Flux HelmRelease of {cni}, or suspend it"),
    ("rke", "rke.cattle.io/*", "set the network plugin of the cluster's configuration to none"),
    ("k3s", "objectset.rio.cattle.io/*", "remove {cni}'s manifest from the server's manifests folder"),
)
_HELM_REMEDY = "its release must not be upgraded any more: afterwards remove the release record with helm uninstall --keep-history"


def owners_of(objects: t.Iterable[Object], cni: str = "Flannel") -> list[dict[str, str]]:
    """Who would put a CNI back after it is removed, with what shows it and what to do about it.

    A Helm release does not put anything back by itself, so it is told with kind C(helm) and does not count as one that does.
    """
    owners: list[dict[str, str]] = []

    def add(kind: str, evidence: str, remedy: str) -> None:
        if not any(owner["kind"] == kind for owner in owners):
            owners.append({"kind": kind, "evidence": evidence, "remedy": remedy})

    for item in objects:
        metadata = item.get("metadata", {})
        who = f"{item.get('kind', 'object')} {metadata.get('namespace', '')}/{metadata.get('name')}"
        marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
        for kind, key, remedy in _OWNER_MARKS:
            for mark, value in marks.items():
                if mark == key or (key.endswith("*") and mark.startswith(key[:-1])):
                    add(kind, f"{who} has {mark}={value}", remedy.format(cni=cni))
        if "meta.helm.sh/release-name" in marks:
            add("helm", f"{who} belongs to the Helm release {marks['meta.helm.sh/release-name']}", _HELM_REMEDY)
        for reference in metadata.get("ownerReferences") or []:
            add(
                "owner-reference",
                f"{who} is owned by {reference['kind']} {reference['name']}",
                f"change {reference['kind']} {reference['name']}",
            )
    return owners


def facts_of(daemonset: Object, configmap: Object | None, objects: t.Sequence[Object]) -> dict[str, t.Any]:
    """C(podnet_cluster.flannel): see the documentation of M(podnet.cni.cni_facts)."""
    metadata = daemonset["metadata"]
    container = flanneld_container(daemonset)
    words = command_words(container)
    data = (configmap or {}).get("data") or {}
    net_conf = parse_json(data.get("net-conf.json"))
    cni_conf_name = next((key for key in ("cni-conf.json", "cni-conf.conflist") if key in data), None)
    status = daemonset.get("status", {})
    return {
        "daemonset": {
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata.get("uid"),
            "image": container.get("image"),
            "images": sorted({str(c.get("image")) for c in pod_template(daemonset).get("containers") or []}),
            "desired": status.get("desiredNumberScheduled", 0),
            "ready": status.get("numberReady", 0),
            "labels": metadata.get("labels") or {},
            "selector": daemonset["spec"].get("selector", {}).get("matchLabels") or {},
            "embedded": False,
        },
        "configmap": {"namespace": configmap["metadata"]["namespace"], "name": configmap["metadata"]["name"]} if configmap else None,
        "net_conf": net_conf,
        "network": net_conf.get("Network"),
        "ipv6_network": net_conf.get("IPv6Network") if net_conf.get("EnableIPv6") else None,
        "backend": backend_of(net_conf),
        "enable_nftables": bool(net_conf.get("EnableNFTables", False)),
        "cni_conf": parse_json(data.get(cni_conf_name)) if cni_conf_name else {},
        "cni_conf_name": cni_conf_name,
        "kube_subnet_manager": is_set(words, "kube-subnet-mgr"),
        "interface_args": option_values(words, "iface") + option_values(words, "iface-regex"),
        "ip_masq": is_set(words, "ip-masq"),
        "annotation_prefix": annotation_prefix(daemonset),
        "canal": is_canal(daemonset),
        "owners": owners_of(objects),
        "objects": [
            {
                "api_version": item.get("apiVersion", ""),
                "kind": item.get("kind", ""),
                "namespace": item["metadata"].get("namespace", ""),
                "name": item["metadata"]["name"],
            }
            for item in objects
        ],
    }


def backup_facts(record: t.Any) -> dict[str, t.Any] | None:
    """C(podnet_cluster.flannel_backup): what the record of M(podnet.cni.flannel_uninstall) can put back, None without a DaemonSet in it."""
    objects: list[Object] = (record or {}).get("objects") or []
    daemonsets = find_daemonsets(item for item in objects if item["kind"] == "DaemonSet")
    if not daemonsets:
        return None
    metadata = daemonsets[0]["metadata"]
    data: dict[str, str] = {}
    for item in objects:
        if item["kind"] == "ConfigMap" and "net-conf.json" in (item.get("data") or {}):
            data = item["data"]
            break
    net_conf = parse_json(data.get("net-conf.json"))
    return {
        "daemonset": f"{metadata['namespace']}/{metadata['name']}",
        "network": net_conf.get("Network"),
        "backend_type": backend_of(net_conf)["type"] if data else None,
        "cni_config_names": cni_config_names(daemonsets[0]),
    }


_CNI_FOLDER = "cni/net.d"
_STATEMENT = re.compile(r"[;&|\n]+")
_CONFIG_NAME = r"/+([A-Za-z0-9_-][A-Za-z0-9_.-]*\.(?:conf|conflist|json))(?![A-Za-z0-9_.-])"


def cni_config_names(daemonset: Object) -> list[str]:
    """Names of the CNI configurations that its containers write, as far as their words tell: what they copy into the runtime's folder."""
    spec = pod_template(daemonset)
    volumes = {volume["name"] for volume in spec.get("volumes") or [] if _CNI_FOLDER in str((volume.get("hostPath") or {}).get("path", ""))}
    names: list[str] = []
    for container in (spec.get("initContainers") or []) + (spec.get("containers") or []):
        folders = [str(mount["mountPath"]).rstrip("/") for mount in container.get("volumeMounts") or [] if mount["name"] in volumes]
        for folder in folders:
            names += _written_to(folder, command_words(container))
    return sorted(set(names))


def _written_to(folder: str, words: t.Sequence[str]) -> list[str]:
    """Names of files that a command, or a shell script that is one of its words, puts into a folder."""
    scripts = [word for word in words if any(blank in word for blank in " \n;")] or [" ".join(words)]
    names = []
    for statement in (part.split() for script in scripts for part in _STATEMENT.split(script)):
        if not statement or statement[0].rsplit("/", 1)[-1] == "rm":
            continue
        if statement[-1].strip("\"'").rstrip("/") == folder and len(statement) > 2:
            names.append(statement[-2].strip("\"'").rsplit("/", 1)[-1])
        names += re.findall(re.escape(folder) + _CONFIG_NAME, " ".join(statement))[-1:]
    return names


def embedded_facts(nodes: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any] | None:
    """C(podnet_cluster.flannel) of a distribution that runs Flannel inside its own agent, None for any other.

    k3s does so: there is no ConfigMap, the backend is an option of its server, and what C(daemonset) names is its agent, which runs on
    every node (k3s-io/k3s:pkg/agent/flannel/flannel.go). C(nodes) are those of C(podnet_cluster.nodes).
    """
    found = [node for node in nodes if "+k3s" in str(node.get("kubelet")) and node.get("flannel")]
    if not found:
        return None
    evidence = f"node {found[0]['name']} runs {found[0]['kubelet']}, and its agent wrote Flannel's annotations"
    remedy = "start the k3s servers with --flannel-backend=none and --disable-network-policy, which ends Flannel on every node at once"
    return {
        "daemonset": {
            "namespace": "k3s",
            "name": "agent",
            "uid": None,
            "image": None,
            "images": [],
            "desired": len(found),
            "ready": sum(1 for node in found if node.get("ready")),
            "labels": {},
            "selector": {},
            "embedded": True,
        },
        "configmap": None,
        "net_conf": {},
        "network": None,
        "ipv6_network": None,
        "backend": backend_of({"Backend": {"Type": found[0]["flannel"]["backend_type"]}}),
        "enable_nftables": False,
        "cni_conf": {},
        "cni_conf_name": None,
        "kube_subnet_manager": True,
        "interface_args": [],
        "ip_masq": True,
        "annotation_prefix": ANNOTATION_PREFIX,
        "canal": False,
        "owners": [{"kind": "k3s", "evidence": evidence, "remedy": remedy}],
        "objects": [],
    }


def node_facts(annotations: t.Mapping[str, str], prefix: str) -> dict[str, t.Any] | None:
    """What flanneld wrote on a Node (flannel-io/flannel:pkg/subnet/kube/annotations.go), None when it wrote nothing."""
    if f"{prefix}/backend-type" not in annotations:
        return None
    data = parse_json(annotations.get(f"{prefix}/backend-data"))
    return {
        "backend_type": annotations.get(f"{prefix}/backend-type"),
        "backend_data": data,
        "vtep_mac": str(data["VtepMAC"]).lower() if data.get("VtepMAC") else None,
        "public_ip": annotations.get(f"{prefix}/public-ip"),
        "kube_subnet_manager": annotations.get(f"{prefix}/kube-subnet-manager") == "true",
    }
