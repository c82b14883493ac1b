# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab is like at one moment, line by line, so that two moments can be compared.

Left out is only what changes by itself: what kubelets tell of nodes and of containers that have ended, Leases, Events, counters, and
neighbours that were learnt.
"""

from __future__ import annotations

import hashlib
import json
import time
import typing as t
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from podnet_lab.cluster_api import ApiRefusal, ClusterApi, Object
from podnet_lab.lab import Lab

Snapshot = dict[str, list[str]]
"""Sections such as C(n1 routes), each a sorted list of lines."""

NODE_SCRIPT = Path(__file__).with_name("node_snapshot.sh")
SECTION = "== "
READ_WHOLE = ("Node", "Pod")
"""Kinds of which the kubelet writes the status whenever it likes."""
RESTLESS_GROUPS = ("events.k8s.io", "coordination.k8s.io", "metrics.k8s.io")
RESTLESS = ("events", "componentstatuses", "bindings")
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
BUSY = 429
STORAGE_SECONDS = 10.0
OWN_LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
# It follows from spec.unschedulable, a moment later.
FOLLOWING_TAINTS = ("node.kubernetes.io/unschedulable",)


def take(lab: Lab, places: Iterable[str] | None = None) -> Snapshot:
    """The lab now: the cluster's objects and all nodes, or only some C(places), C(cluster) and names of nodes."""
    wanted = list(places) if places is not None else ["cluster", *(node.name for node in lab.nodes)]
    with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
        parts = list(pool.map(lambda place: _cluster(lab) if place == "cluster" else _node(lab, place), wanted))
    return {section: lines for part in parts for section, lines in part.items()}


def difference(before: Snapshot, after: Snapshot) -> list[str]:
    """What went (-) and what came (+), with the section of each line."""
    found = []
    for section in sorted({*before, *after}):
        old, new = before.get(section, []), after.get(section, [])
        found += [f"{section}: - {line}" for line in old if line not in new]
        found += [f"{section}: + {line}" for line in new if line not in old]
    return found


def save(snapshot: Snapshot, path: Path) -> None:
    """Keep it for a later step."""
    path.write_text(json.dumps(snapshot, indent=1), encoding="utf-8")


def load(path: Path) -> Snapshot:
    """What was kept by an earlier step."""
    return t.cast(Snapshot, json.loads(path.read_text(encoding="utf-8")))


# The cluster


def _cluster(lab: Lab) -> Snapshot:
    with lab.api() as api:
        objects = [line for path, kind in resources(api) if kind not in READ_WHOLE for line in lines_of(kind, listed(api, path, METADATA))]
        pods = [line for pod in listed(api, "/api/v1/pods") for line in pod_lines(pod)]
        nodes = [line for node in listed(api, "/api/v1/nodes") for line in node_lines(node)]
        locks = [line for lease in listed(api, OWN_LEASE) for line in lock_lines(lease)]
    parts = {"objects": objects, "pods": pods, "nodes": nodes, "locks": locks}
    return {f"cluster {name}": sorted(lines) for name, lines in parts.items()}


def resources(api: ClusterApi) -> list[tuple[str, str]]:
    """Path and kind of everything that can be listed, in the preferred version of each group."""
    found = []
    for root in ("/api", "/apis"):
        for group in json.loads(api.request("GET", root, accept=DISCOVERY))["items"] or []:
            name = group["metadata"].get("name", "")
            version = group["versions"][0]
            prefix = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
            found += [
                (f"{prefix}/{resource['resource']}", resource["responseKind"]["kind"])
                for resource in version.get("resources", [])
                if "list" in resource["verbs"] and name not in RESTLESS_GROUPS and resource["resource"] not in RESTLESS
            ]
    return found


def listed(api: ClusterApi, path: str, accept: str = "application/json") -> list[Object]:
    """The objects of a collection; none when its definition has just been removed, and again while it is just being made."""
    deadline = time.monotonic() + STORAGE_SECONDS
    while True:
        try:
            return json.loads(api.request("GET", path, accept=accept))["items"] or []
        except ApiRefusal as error:
            if error.status == 404:
                return []
            if error.status != BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def lines_of(kind: str, items: Iterable[Object]) -> list[str]:
    """One line for each object, which is another one after any write."""
    return [f"{kind} {full_name(item)} version {item['metadata'].get('resourceVersion')}{last_writer(item)}" for item in items]


def full_name(item: Object) -> str:
    """Namespace and name."""
    metadata = item["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


def last_writer(item: Object) -> str:
    """Who wrote the object last, to find the culprit."""
    entries = [entry for entry in item["metadata"].get("managedFields") or [] if entry.get("time")]
    if not entries:
        return ""
    last = max(entries, key=lambda entry: str(entry["time"]))
    return f" by {last.get('manager')} at {last['time']}"


def pod_lines(pod: Object) -> list[str]:
    """A pod without what its kubelet tells of containers that have ended; none when it is told to end."""
    metadata, status = pod["metadata"], pod.get("status", {})
    if metadata.get("deletionTimestamp"):
        return []
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions") or []}
    own = {"labels": metadata.get("labels"), "annotations": metadata.get("annotations"), "spec": pod["spec"]}
    digest = hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:12]
    restarts = [container["restartCount"] for container in status.get("containerStatuses") or []]
    state = f"{status.get('phase')} ready {conditions.get('Ready')} address {status.get('podIP')} restarts {restarts}"
    return [f"{full_name(pod)} {metadata['uid']} content {digest} {state}"]


def restless_pods(lab: Lab) -> list[str]:
    """Pods that are about to become others: they end, or they are not Ready yet."""
    with lab.api() as api:
        return sorted(f"{full_name(pod)} {pod['metadata']['uid']}" for pod in listed(api, "/api/v1/pods") if is_restless(pod))


def is_restless(pod: Object) -> bool:
    """Whether a pod ends, or neither has finished nor is Ready."""
    status = pod.get("status", {})
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in status.get("conditions") or [])
    return bool(pod["metadata"].get("deletionTimestamp")) or not (ready or status.get("phase") in ("Succeeded", "Failed"))


def node_lines(node: Object) -> list[str]:
    """A node without the heartbeat of its kubelet."""
    name = node["metadata"]["name"]
    spec = {key: value for key, value in node["spec"].items() if key != "taints"}
    taints = [taint for taint in node["spec"].get("taints") or [] if taint["key"] not in FOLLOWING_TAINTS]
    conditions = {condition["type"]: condition["status"] for condition in node.get("status", {}).get("conditions") or []}
    parts: Mapping[str, t.Any] = {
        **{f"label {key}": value for key, value in (node["metadata"].get("labels") or {}).items()},
        **{f"annotation {key}": value for key, value in (node["metadata"].get("annotations") or {}).items()},
        **{f"spec {key}": value for key, value in spec.items()},
        "taints": sorted(json.dumps(taint, sort_keys=True) for taint in taints if "timeAdded" not in taint),
        **{f"condition {key}": value for key, value in conditions.items()},
    }
    return [f"{name} {key}: {json.dumps(value, sort_keys=True)}" for key, value in parts.items()]


def lock_lines(lease: Object) -> list[str]:
    """A Lease of the collection's, without the time of its renewal."""
    name = lease["metadata"]["name"]
    return [f"Lease {name} held by {lease['spec'].get('holderIdentity')}"] if name.startswith("podnet") else []


# A node


def _node(lab: Lab, name: str) -> Snapshot:
    text = lab.run_in(name, ["sh", "-s"], stdin=NODE_SCRIPT.read_text(encoding="utf-8")).stdout
    return {f"{name} {section}": lines for section, lines in parse_sections(text).items()}


def parse_sections(text: str) -> Snapshot:
    """The sections of the script's output."""
    sections: dict[str, set[str]] = {}
    current: set[str] = set()
    for line in text.splitlines():
        if line.startswith(SECTION):
            current = sections.setdefault(line[len(SECTION) :].strip(), set())
        elif line.strip():
            current.add(line.rstrip())
    return {name: sorted(lines) for name, lines in sections.items()}
