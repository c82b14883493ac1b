#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flannel_restore
short_description: Put Flannel's objects back into a cluster
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Applies the objects that M(podnet.cni.flannel_uninstall) had kept in the journal (see M(podnet.cni.cni_journal)) before it deleted
    them, and waits until flanneld is Ready on every node.
  - The order is namespace, ServiceAccount, roles and bindings, ConfigMap, Flannel's annotations on nodes, and the DaemonSet at the end.
    Annotations are only given to nodes that lack them, and to nodes that are still there. They hold the MAC addresses that flanneld
    used, and it uses them again.
  - A DaemonSet of the same name that is there already becomes what the backup says.
  - When the backup has no namespace, one is made that allows privileged pods.
  - The backup stays in the journal.
  - Runs against the cluster's API, usually on the controller.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.actiongroup_kube
  - podnet.cni._kube
attributes:
  check_mode:
    support: full
    details:
      - Objects in a namespace that does not exist yet are not sent to the API, not even as a dry run.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: posix
options:
  state:
    description: There is only one state.
    type: str
    choices: [present]
    default: present
  wait:
    description: Whether to wait until flanneld is Ready on every node.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait.
    type: float
    default: 300.0
  journal_run:
    description: Identifier of a run. With it, another run that holds the lock of the journal is respected.
    type: str
seealso:
  - module: podnet.cni.flannel_uninstall
  - module: podnet.cni.cni_journal
"""

EXAMPLES = r"""
- name: Put Flannel back
  podnet.cni.flannel_restore:
    wait_timeout: 600
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
applied:
  description: Objects that were created or changed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [Namespace kube-flannel, ServiceAccount flannel, DaemonSet kube-flannel-ds]
nodes:
  description: Nodes that got Flannel's annotations back, or would in check mode.
  returned: always
  type: list
  elements: str
  sample: [n1, n2]
daemonsets:
  description: Flannel's DaemonSets and on how many nodes they should run and are Ready.
  returned: always
  type: list
  elements: dict
  sample: [{namespace: kube-flannel, name: kube-flannel-ds, desired: 3, ready: 3}]
not_ready:
  description: Why flanneld is not Ready, by node.
  returned: when the rollout did not end in time
  type: dict
  sample: {n2: "kube-flannel waits: ImagePullBackOff"}
api_calls:
  description: Requests to the cluster's API.
  returned: always
  type: int
  sample: 21
seconds:
  description: Duration.
  returned: always
  type: float
  sample: 8.1
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._cni import flannel_cluster
from ansible_collections.podnet.cni.plugins.module_utils._kube.applying import Applied, apply_object
from ansible_collections.podnet.cni.plugins.module_utils._kube.argspec import KUBE_ARGUMENTS
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import NotFound
from ansible_collections.podnet.cni.plugins.module_utils._kube.flannel_objects import path_of, typed
from ansible_collections.podnet.cni.plugins.module_utils._kube.namespace_contents import PROTECTED
from ansible_collections.podnet.cni.plugins.module_utils._kube.pods import is_terminating
from ansible_collections.podnet.cni.plugins.module_utils._kube.removal import Failure, spell
from ansible_collections.podnet.cni.plugins.module_utils._kube.rollout import RolloutFailed, wait_for_rollout
from ansible_collections.podnet.cni.plugins.module_utils._run.journal import NAME, NAMESPACE, Journal, backup_key
from ansible_collections.podnet.cni.plugins.module_utils._run.journalled import run_module
from ansible_collections.podnet.cni.plugins.module_utils._run.lock import new_lock

Object = dict[str, t.Any]
BACKUP = backup_key("flannel")
ORDER = ("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet")
PRIVILEGED = {"pod-security.kubernetes.io/enforce": "privileged"}
"""flanneld needs the node's network, as upstream's manifest has it (flannel-io/flannel:Documentation/kube-flannel.yml)."""
POLL_SECONDS = 0.5
_NOT_WANTED = ("status", "secrets")
_OF_METADATA = ("name", "namespace", "labels", "annotations")
_WRITTEN_BY_CONTROLLER = "deprecated.daemonset.template.generation"


def wanted(item: t.Mapping[str, t.Any]) -> Object:
    """An object of the backup as it is to be applied: without what only the API server and its controllers write.

    A ServiceAccount names Secrets of tokens that are gone, and what a namespace's specification has are finalizers.
    """
    metadata = {key: value for key, value in item["metadata"].items() if key in _OF_METADATA and value}
    if "annotations" in metadata:
        metadata["annotations"] = {key: value for key, value in metadata["annotations"].items() if key != _WRITTEN_BY_CONTROLLER}
    result = {key: value for key, value in item.items() if key not in _NOT_WANTED}
    if item["kind"] == "Namespace":
        result.pop("spec", None)
    return {**result, "metadata": metadata}


def objects_to_apply(record: t.Mapping[str, t.Any]) -> list[Object]:
    """What a backup holds, in the order to apply it, with a namespace for all that lives in one.

    :raises Failure: when there is no DaemonSet of Flannel's in it.
    """
    objects = [wanted(item) for item in record.get("objects") or [] if item.get("kind") in ORDER]
    if not flannel_cluster.find_daemonsets(item for item in objects if item["kind"] == "DaemonSet"):
        raise Failure(
            f"the journal has no backup of Flannel's DaemonSet (ConfigMap {NAMESPACE}/{NAME}, key {BACKUP}), so nothing can be put back. Install "
            "Flannel's manifest instead, with the network that the nodes' podCIDRs are part of, and the backend, VNI and port that it had"
        )
    there = {item["metadata"]["name"] for item in objects if item["kind"] == "Namespace"}
    needed = {item["metadata"].get("namespace", "") for item in objects} - {"", *PROTECTED} - there
    objects += [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(PRIVILEGED)}} for name in sorted(needed)]
    return sorted(objects, key=lambda item: ORDER.index(item["kind"]))


class Restorer:
    """Applies Flannel's objects."""

    def __init__(self, kube: KubeClient, params: t.Mapping[str, t.Any], check_mode: bool) -> None:
        self.kube = kube
        self.params = params
        self.check_mode = check_mode
        self.deadline = time.monotonic() + params["wait_timeout"]
        self.applied: list[Applied] = []
        self.annotations: dict[str, dict[str, str]] = {}
        """What nodes lack."""
        self.results: dict[str, t.Any] = {"changed": False, "applied": [], "nodes": [], "daemonsets": []}

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results."""
        begin = time.monotonic()
        if self.params["journal_run"]:
            new_lock(self.kube, self.params["journal_run"], self.check_mode).renew()
        record = Journal(self.kube).record(BACKUP) or {}
        objects = objects_to_apply(record)
        self._refuse_another(objects)
        if not self.check_mode:
            self._wait_for_deletions(objects)
        daemonsets = [item for item in objects if item["kind"] == "DaemonSet"]
        for item in objects:
            if item["kind"] != "DaemonSet":
                self._apply(item)
        self._annotate(record.get("node_annotations") or {})
        for item in daemonsets:
            self._apply(item)
        self._sum_up()
        self._roll_out(daemonsets)
        self.results["api_calls"] = self.kube.calls
        self.results["seconds"] = round(time.monotonic() - begin, 3)
        return self.results

    def _refuse_another(self, objects: t.Iterable[Object]) -> None:
        """Two daemons of Flannel on one node would fight about its device and its subnet."""
        ours = {path_of(item) for item in objects if item["kind"] == "DaemonSet"}
        for daemonset in flannel_cluster.find_daemonsets(self.kube.list("/apis/apps/v1/daemonsets")):
            item = typed(daemonset, "apps/v1", "DaemonSet")
            if path_of(item) not in ours:
                names = ", ".join(sorted(path.split("/")[-3] + "/" + path.rsplit("/", 1)[1] for path in ours))
                raise Failure(
                    f"{spell(item)} runs flanneld already, and the backup would put {names} beside it. Keep the one that is there, then there is "
                    "nothing to restore, or remove it with podnet.cni.flannel_uninstall"
                )

    def _wait_for_deletions(self, objects: t.Iterable[Object]) -> None:
        """What is being deleted would go after it was applied: wait until it is gone."""
        for item in objects:
            if item["kind"] not in ("Namespace", "DaemonSet"):
                continue
            while True:
                current = self.kube.get_or_none(path_of(item))
                if current is None or not is_terminating(current):
                    break
                if time.monotonic() >= self.deadline:
                    raise Failure(
                        f"{spell(item)} was deleted before and is still there after {self.params['wait_timeout']:g} s; its conditions and its pods "
                        "tell what it waits for. Run again when it is gone"
                    )
                time.sleep(POLL_SECONDS)

    def _apply(self, item: Object) -> None:
        missing = Applied(f"{item['kind']} {item['metadata']['name']}", True, {}, item)
        namespaces = {result.after["metadata"]["name"] for result in self.applied if result.after["kind"] == "Namespace" and not result.before}
        if self.check_mode and item["metadata"].get("namespace") in namespaces:
            self.applied.append(missing)
            return
        try:
            self.applied.append(apply_object(self.kube, path_of(item), item, self.check_mode))
        except NotFound:
            if not self.check_mode:
                raise
            self.applied.append(missing)

    def _annotate(self, kept: t.Mapping[str, t.Mapping[str, str]]) -> None:
        for node in self.kube.list("/api/v1/nodes"):
            name = node["metadata"]["name"]
            current = node["metadata"].get("annotations") or {}
            lacking = {key: value for key, value in kept.get(name, {}).items() if key not in current}
            if lacking:
                self.kube.merge_patch(f"/api/v1/nodes/{name}", {"metadata": {"annotations": lacking}}, dry_run=self.check_mode)
                self.annotations[name] = lacking

    def _sum_up(self) -> None:
        changed = [result for result in self.applied if result.changed]
        self.results["applied"] = [result.name for result in changed]
        self.results["nodes"] = list(self.annotations)
        self.results["changed"] = bool(changed or self.annotations)
        if self.results["changed"]:
            self.results["diff"] = {
                "before": {"objects": {result.name: result.before for result in changed}, "node_annotations": {}},
                "after": {"objects": {result.name: result.after for result in changed}, "node_annotations": self.annotations},
            }

    def _roll_out(self, daemonsets: t.Sequence[Object]) -> None:
        """Wait where a DaemonSet is meant for nodes: older manifests have one for each architecture."""
        paths = [path_of(item) for item in daemonsets]
        waited: t.Collection[str] = ()
        if self.params["wait"] and not self.check_mode:
            waited = self._meant_for_nodes(paths) or paths[:1]
        for item, path in zip(daemonsets, paths):
            try:
                if path in waited:
                    wait_for_rollout(self.kube, path, max(self.deadline - time.monotonic(), 0.0))
            except RolloutFailed as exc:
                self.results["not_ready"] = exc.pods
                raise Failure(str(exc)) from exc
            finally:
                status = (self.kube.get_or_none(path) or {}).get("status") or {}
                self.results["daemonsets"].append(
                    {
                        "namespace": item["metadata"]["namespace"],
                        "name": item["metadata"]["name"],
                        "desired": status.get("desiredNumberScheduled", 0),
                        "ready": status.get("numberReady", 0),
                    }
                )

    def _meant_for_nodes(self, paths: t.Iterable[str]) -> list[str]:
        """The DaemonSets that should run anywhere, once their controller has counted."""
        found = []
        for path in paths:
            while True:
                daemonset = self.kube.get(path)
                status = daemonset.get("status") or {}
                counted = status.get("observedGeneration", 0) >= daemonset["metadata"].get("generation", 0)
                if counted or time.monotonic() >= self.deadline:
                    break
                time.sleep(POLL_SECONDS)
            if status.get("desiredNumberScheduled", 0):
                found.append(path)
        return found


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present"], "default": "present"},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "float", "default": 300.0},
            "journal_run": {"type": "str"},
            **KUBE_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    run_module(module, Restorer)


if __name__ == "__main__":
    main()
