#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flannel_uninstall
short_description: Remove Flannel's objects from a cluster
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Deletes the DaemonSet that runs flanneld, whatever it is called, and waits until all of its pods are gone. Only then nodes can be
    cleaned, since flanneld makes its device again.
  - Deletes Flannel's ConfigMap, its ServiceAccount, the bindings that name only this account and the roles that only they use, its
    namespace if nothing else is in it, and Flannel's annotations on nodes.
  - Refuses when somebody would put Flannel back, such as an addon manager or a GitOps controller, and when Flannel shares its pods with
    Calico's policy engine (Canal).
  - Before the first deletion all objects are kept in the journal (see M(podnet.cni.cni_journal)) under the name C(flannel). With this
    backup a run that was stopped finds what is left, and Flannel can be installed again.
  - The condition C(NetworkUnavailable) of nodes is left as it is, since the CNI that is active sets it.
  - Pods that still use Flannel lose their network. M(podnet.cni.cni_facts) tells which do.
  - Runs against the cluster's API, usually on the controller.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.actiongroup_kube
  - podnet.cni._kube
attributes:
  check_mode:
    support: full
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
    choices: [absent]
    default: absent
  phase:
    description:
      - V(daemonset) removes the DaemonSet and waits until its pods are gone.
      - V(rest) removes everything else, after the nodes have been cleaned.
      - V(all) does both.
    type: str
    choices: [daemonset, rest, all]
    default: all
  keep_configmap:
    description: Whether to keep Flannel's ConfigMap and with it its namespace.
    type: bool
    default: false
  ignore_owners:
    description: Consent to remove Flannel although somebody would put it back.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait until the pods, and the namespace, are gone.
    type: float
    default: 300.0
  journal_run:
    description:
      - Identifier of the run that the backup is recorded with. With it, another run that holds the lock of the journal is respected.
    type: str
seealso:
  - module: podnet.cni.flannel_remove
  - module: podnet.cni.cni_journal
"""

EXAMPLES = r"""
- name: Stop flanneld on all nodes
  podnet.cni.flannel_uninstall:
    phase: daemonset
  delegate_to: localhost
  run_once: true

- name: Clean the nodes
  podnet.cni.flannel_remove:

- name: Remove what else belongs to Flannel
  podnet.cni.flannel_uninstall:
    phase: rest
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
deleted:
  description: Objects that were deleted, or would be in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{kind: DaemonSet, namespace: kube-flannel, name: kube-flannel-ds}]
kept:
  description: Objects of Flannel that were not deleted, with the reason.
  returned: always
  type: list
  elements: dict
  sample: [{kind: Namespace, namespace: "", name: kube-flannel, why: "it holds Secret pull-secret"}]
nodes:
  description: Nodes from which Flannel's annotations were removed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [n1, n2]
backup:
  description: The deleted objects, without what the API server had added.
  returned: always
  type: list
  elements: dict
  sample: []
owners:
  description: Who would put Flannel back, with evidence and remedy.
  returned: always
  type: list
  elements: dict
  sample: []
seconds:
  description: Duration.
  returned: always
  type: float
  sample: 6.4
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._cni import flannel_cluster
from ansible_collections.podnet.cni.plugins.module_utils._kube.applying import meaningful
from ansible_collections.podnet.cni.plugins.module_utils._kube.argspec import KUBE_ARGUMENTS
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.flannel_objects import (
    belonging_to,
    conventional_objects,
    find_flannel,
    path_of,
    typed,
)
from ansible_collections.podnet.cni.plugins.module_utils._kube.namespace_contents import PROTECTED, remaining_objects
from ansible_collections.podnet.cni.plugins.module_utils._kube.pods import owner_of
from ansible_collections.podnet.cni.plugins.module_utils._kube.pods import path_of as path_of_pod
from ansible_collections.podnet.cni.plugins.module_utils._kube.removal import Failure, Removal, put_back, refuse_canal, refuse_owners, spell
from ansible_collections.podnet.cni.plugins.module_utils._run.journal import Journal, backup_key
from ansible_collections.podnet.cni.plugins.module_utils._run.journalled import run_module
from ansible_collections.podnet.cni.plugins.module_utils._run.lock import new_lock

Object = t.Mapping[str, t.Any]
BACKUP = backup_key("flannel")
WHAT_ELSE = ("ClusterRoleBinding", "ClusterRole", "ServiceAccount", "ConfigMap")


class Uninstaller:
    """Removes what belongs to Flannel."""

    def __init__(self, kube: KubeClient, params: t.Mapping[str, t.Any], check_mode: bool) -> None:
        self.kube = kube
        self.params = params
        self.check_mode = check_mode
        self.journal = Journal(kube, check_mode)
        self.daemonsets: list[Object] = []
        self.known: dict[str, Object] = {}
        """All objects of Flannel by path, among them those that are gone already."""
        self.results: dict[str, t.Any] = {"changed": False, "deleted": [], "kept": [], "nodes": [], "backup": [], "owners": []}
        self.removal = Removal(kube, self.results, path_of, params["wait_timeout"], check_mode)
        self.annotations: dict[str, dict[str, str]] = {}
        self.removed_before = False

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results. All reasons to refuse are looked for before the first deletion."""
        begin = time.monotonic()
        if self.params["journal_run"]:
            new_lock(self.kube, self.params["journal_run"], self.check_mode).renew()
        self._find()
        self._refuse()
        self.annotations = self._node_annotations()
        self._back_up()
        if self.params["phase"] != "rest":
            self.removal.delete_workloads(self.daemonsets)
        if self.params["phase"] != "daemonset":
            self._remove_rest()
        self.results["changed"] = bool(self.results["deleted"] or self.results["nodes"])
        if self.results["changed"]:
            removed = [f"{item['kind']} {item['namespace']}/{item['name']}".replace(" /", " ") for item in self.results["deleted"]]
            before = {"objects": removed, "node_annotations": {node: self.annotations[node] for node in self.results["nodes"]}}
            self.results["diff"] = {"before": before, "after": {"objects": [], "node_annotations": {}}}
        self.results["seconds"] = round(time.monotonic() - begin, 3)
        return self.results

    def _find(self) -> None:
        """Flannel as it runs, as the backup of an earlier run has it, or as upstream's manifest names it."""
        kept = (self.journal.record(BACKUP) or {}).get("objects") or []
        self.removed_before = any(item["kind"] == "DaemonSet" for item in kept)
        found = find_flannel(self.kube, self.kube.list("/apis/apps/v1/daemonsets"))
        if found:
            self.daemonsets = found.daemonsets
            objects = found.objects
        elif kept:
            objects = kept + belonging_to(self.kube, [item for item in kept if item["kind"] == "DaemonSet"]).objects
        else:
            objects = conventional_objects(self.kube)
        self.known = {path_of(item): item for item in objects}
        self.results["owners"] = flannel_cluster.owners_of(objects if found else [])

    def _refuse(self) -> None:
        for daemonset in self.daemonsets:
            refuse_canal(daemonset)
            if self.params["phase"] == "rest":
                raise Failure(self._running(daemonset))
        if not self.params["ignore_owners"]:
            refuse_owners("Flannel", self.results["owners"], "ignore_owners")

    def _running(self, daemonset: Object) -> str:
        """Why the rest cannot be removed yet."""
        if not self.removed_before:
            return f"phase: {spell(daemonset)} still runs flanneld, which needs the rest; use phase=daemonset first, or phase=all"
        return f"phase: {put_back(daemonset)}; then use phase=daemonset, or phase=all."

    def _node_annotations(self) -> dict[str, dict[str, str]]:
        """What Flannel wrote on each node."""
        daemonsets = [item for item in self.known.values() if item["kind"] == "DaemonSet"]
        prefixes = tuple({f"{flannel_cluster.annotation_prefix(item)}/" for item in daemonsets} or {f"{flannel_cluster.ANNOTATION_PREFIX}/"})
        found = {}
        for node in self.kube.list("/api/v1/nodes"):
            annotations = node["metadata"].get("annotations") or {}
            ours = {key: value for key, value in annotations.items() if key.startswith(prefixes)}
            if ours:
                found[node["metadata"]["name"]] = ours
        return found

    def _back_up(self) -> None:
        """Keep everything in the journal, added to what an earlier run kept."""
        earlier = self.journal.record(BACKUP) or {}
        objects = {path_of(item): item for item in earlier.get("objects") or []}
        objects.update((path, meaningful(item)) for path, item in {**self.known, **self._namespaces()}.items())
        annotations = {**(earlier.get("node_annotations") or {}), **self.annotations}
        wanted = {"run": self.params["journal_run"] or "", "objects": list(objects.values()), "node_annotations": annotations}
        changed = {key: value for key, value in wanted.items() if key != "run"} != {key: value for key, value in earlier.items() if key != "run"}
        if changed and (objects or annotations):
            self.journal.write({BACKUP: wanted})

    def _namespaces(self) -> dict[str, Object]:
        """The namespaces that may be deleted, by path: their labels say what pods in them may do."""
        names = {item["metadata"].get("namespace", "") for item in self.known.values()} - {"", *PROTECTED}
        found = {f"/api/v1/namespaces/{name}": self.kube.get_or_none(f"/api/v1/namespaces/{name}") for name in sorted(names)}
        return {
            path: typed(namespace, "v1", "Namespace")
            for path, namespace in found.items()
            if namespace and not namespace["metadata"].get("deletionTimestamp")
        }

    # -- everything else

    def _remove_rest(self) -> None:
        items = sorted((item for item in self.known.values() if item["kind"] in WHAT_ELSE), key=lambda item: WHAT_ELSE.index(item["kind"]))
        namespaces = {item["metadata"]["namespace"] for item in self.known.values() if item["metadata"].get("namespace")}
        pods = {namespace: self._other_pods(namespace) for namespace in namespaces}
        self.removal.delete_rest(items, pods, {"ConfigMap": "keep_configmap is set"} if self.params["keep_configmap"] else {})
        for node in self.annotations:
            patch = {"metadata": {"annotations": dict.fromkeys(self.annotations[node])}}
            self.kube.merge_patch(f"/api/v1/nodes/{node}", patch, dry_run=self.check_mode)
            self.results["nodes"].append(node)
        for namespace in sorted(namespaces - set(PROTECTED)):
            self._remove_namespace(namespace)

    def _other_pods(self, namespace: str) -> list[Object]:
        """Pods of a namespace that are not Flannel's own."""
        uids = {daemonset["metadata"].get("uid") for daemonset in self.daemonsets}
        return [pod for pod in self.kube.list(f"/api/v1/namespaces/{namespace}/pods") if owner_of(pod)[2] not in uids]

    def _remove_namespace(self, name: str) -> None:
        found = self.kube.get_or_none(f"/api/v1/namespaces/{name}")
        if found is None:
            return
        namespace = typed(found, "v1", "Namespace")
        if not namespace["metadata"].get("deletionTimestamp"):
            remaining = remaining_objects(self.kube, name, self._paths_gone() if self.check_mode else ())
            if remaining:
                self.removal.keep(namespace, f"it holds {', '.join(remaining)}")
                return
            self.removal.delete(namespace)
        while not self.check_mode and self.kube.get_or_none(f"/api/v1/namespaces/{name}") is not None:
            self.removal.pause(
                f"Namespace {name} was deleted, but is still there after {self.params['wait_timeout']:g} s; "
                f"its conditions tell what it waits for (kubectl get namespace {name} -o yaml)"
            )

    def _paths_gone(self) -> set[str]:
        """In check mode: what would not be there any more."""
        pods = [path_of_pod(pod) for daemonset in self.daemonsets for pod in self.removal.pods_of(daemonset)]
        kept = {path_of({**item, "metadata": item}) for item in self.results["kept"]}
        return {*self.known, *pods} - kept


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["absent"], "default": "absent"},
            "phase": {"type": "str", "choices": ["daemonset", "rest", "all"], "default": "all"},
            "keep_configmap": {"type": "bool", "default": False},
            "ignore_owners": {"type": "bool", "default": False},
            "wait_timeout": {"type": "float", "default": 300.0},
            "journal_run": {"type": "str"},
            **KUBE_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    run_module(module, Uninstaller)


if __name__ == "__main__":
    main()
