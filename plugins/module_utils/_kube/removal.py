# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delete the objects of a CNI from the cluster, keep a record of them, and wait until their pods are gone."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import flannel_cluster
from ansible_collections.podnet.cni.plugins.module_utils._kube.applying import meaningful, writers
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import NotFound
from ansible_collections.podnet.cni.plugins.module_utils._kube.pods import name_of, owner_of

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

Object = t.Mapping[str, t.Any]
POLL_SECONDS = 0.5


class Failure(Exception):
    """Why nothing, or nothing more, was removed; the text has the remedy."""


def identity(item: Object) -> dict[str, str]:
    """An object in a module's results."""
    return {"kind": item["kind"], "namespace": item["metadata"].get("namespace", ""), "name": item["metadata"]["name"]}


def spell(item: Object) -> str:
    """An object for people."""
    namespace = item["metadata"].get("namespace")
    return f"{item['kind']} {namespace + '/' if namespace else ''}{item['metadata']['name']}"


def put_back(item: Object) -> str:
    """What there is to say of an object that was removed and is there again."""
    return (
        f"{spell(item)} is there again after it was removed, created {item['metadata'].get('creationTimestamp')} and written by "
        f"{', '.join(writers(item)) or 'an unknown client'}: a tool puts it back. Make that tool (GitOps, an addon manager, a script) leave it out"
    )


def used_configmaps(spec: Object) -> set[str]:
    """Names of the ConfigMaps that the pods of a specification mount or have environment from."""
    names = [(volume.get("configMap") or {}).get("name") for volume in spec.get("volumes") or []]
    for container in (spec.get("containers") or []) + (spec.get("initContainers") or []):
        names += [(source.get("configMapRef") or {}).get("name") for source in container.get("envFrom") or []]
        names += [((entry.get("valueFrom") or {}).get("configMapKeyRef") or {}).get("name") for entry in container.get("env") or []]
    return {name for name in names if name}


def refuse_owners(what: str, owners: t.Iterable[t.Mapping[str, str]], consent: str) -> None:
    """Refuse to remove what somebody would put back.

    :raises Failure: unless there are none; a Helm release does nothing by itself.
    """
    told = "; ".join(f"{owner['evidence']}: {owner['remedy']}" for owner in owners if owner["kind"] != "helm")
    if told:
        raise Failure(f"{what} was not removed, because it would be put back. {told}. Or set {consent} to remove it all the same")


def refuse_canal(daemonset: Object) -> None:
    """Refuse to remove what runs in the same pods as the other CNI.

    :raises Failure: when Flannel shares its pods with Calico's policy engine.
    """
    if flannel_cluster.is_canal(daemonset):
        raise Failure(
            f"{spell(daemonset)} runs Flannel and Calico's policy engine in the same pods (Canal), and deleting it would remove both; "
            "replace Canal as a whole, following its documentation"
        )


class Removal:
    """Deletes objects. C(results) are those of a module: C(deleted), C(kept) and C(backup) are filled in."""

    def __init__(self, kube: KubeClient, results: dict[str, t.Any], path_of: t.Callable[[Object], str], timeout: float, check_mode: bool) -> None:
        self.kube = kube
        self.results = results
        self.path_of = path_of
        self.timeout = timeout
        self.check_mode = check_mode
        self._deadline = time.monotonic() + timeout

    def delete(self, item: Object, propagation: str = "Background") -> bool:
        """Delete an object; whether it was still there."""
        try:
            self.kube.delete(self.path_of(item), propagation=propagation, dry_run=self.check_mode)
        except NotFound:
            return False
        self.results["deleted"].append(identity(item))
        self.results["backup"].append(meaningful(item))
        return True

    def keep(self, item: Object, why: str) -> None:
        """Tell that an object stays."""
        self.results["kept"].append({**identity(item), "why": why})

    def delete_rest(self, items: t.Iterable[Object], pods: t.Mapping[str, t.Iterable[Object]], kept: t.Mapping[str, str]) -> None:
        """Delete what is still there and what no pod uses.

        C(pods) are those of others by namespace, C(kept) has reasons to keep all objects of a kind.
        """
        for item in items:
            if self.kube.get_or_none(self.path_of(item)) is None:
                continue
            why = kept.get(item["kind"]) or _use_of(item, pods.get(item["metadata"].get("namespace", ""), []))
            if why:
                self.keep(item, why)
            else:
                self.delete(item)

    # -- what runs pods

    def delete_workloads(self, workloads: t.Sequence[Object], meanwhile: t.Callable[[], None] | None = None) -> None:
        """Delete DaemonSets and Deployments and wait until their pods are gone; C(meanwhile) is called now and then.

        In the foreground: they remain until their last pod is gone, so that a run that was stopped waits on.

        :raises Failure: when the time is over, or somebody has put a workload back.
        """
        for workload in workloads:
            self.delete(workload, "Foreground")
        for workload in workloads if not self.check_mode else []:
            while True:
                pods = self.pods_of(workload)
                if meanwhile:
                    meanwhile()
                if self._is_gone(workload) and not pods:
                    break
                self.pause(self._still_there(workload, pods))

    def _is_gone(self, workload: Object) -> bool:
        """Whether there is no object of this name any more.

        :raises Failure: when there is another one.
        """
        now = self.kube.get_or_none(self.path_of(workload))
        if now is not None and now["metadata"].get("uid") != workload["metadata"].get("uid"):
            raise Failure(f"{put_back(now)}, then run again. Its pods, which are new, run beside what is there")
        return now is None

    def pods_of(self, workload: Object) -> list[Object]:
        """Pods of a DaemonSet, or of the ReplicaSets of a Deployment."""
        metadata = workload["metadata"]
        labels = workload["spec"].get("selector", {}).get("matchLabels") or {}
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        pods = self.kube.list(f"/api/v1/namespaces/{metadata['namespace']}/pods", label_selector=selector)
        if workload["kind"] == "Deployment":
            return [pod for pod in pods if owner_of(pod)[0] == "ReplicaSet" and owner_of(pod)[1].startswith(f"{metadata['name']}-")]
        return [pod for pod in pods if owner_of(pod)[2] == metadata.get("uid")]

    def pause(self, problem: str) -> None:
        """Wait a moment.

        :raises Failure: with the problem when the time is over.
        """
        if time.monotonic() >= self._deadline:
            raise Failure(problem)
        time.sleep(POLL_SECONDS)

    def _still_there(self, workload: Object, pods: t.Sequence[Object]) -> str:
        where = ", ".join(f"{name_of(pod)} on node {pod['spec'].get('nodeName')}" for pod in pods) or "none that is listed"
        return (
            f"{spell(workload)} was deleted, but after {self.timeout:g} s these pods of it are still there: {where}. "
            "A pod does not end while its node is away: bring the node back, or remove it from the cluster, then run again"
        )


def _use_of(item: Object, pods: t.Iterable[Object]) -> str | None:
    """Which pod uses a ConfigMap or a ServiceAccount."""
    name = item["metadata"]["name"]
    for pod in pods:
        spec = pod.get("spec", {})
        if item["kind"] == "ConfigMap" and name in used_configmaps(spec):
            return f"pod {name_of(pod)} uses it"
        if item["kind"] == "ServiceAccount" and spec.get("serviceAccountName") == name:
            return f"pod {name_of(pod)} uses it"
    return None
