#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_evict
short_description: Cordon a node, evict its pods as their budgets allow, restart what stays, and uncordon it
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Takes pods that use the CNI away from one node, in parallel, each tried again as its PodDisruptionBudget allows, until one deadline.
  - Pods of the host's network are left alone, since the CNI has no part in them, and so are static and finished pods. Pods of
    DaemonSets stay for O(state=recycled).
  - A node that somebody else had cordoned is not uncordoned.
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
  node:
    description: Name of the node.
    type: str
    required: true
  state:
    description:
      - V(cordoned) keeps new pods away.
      - V(drained) does that, evicts, and waits until the evicted pods are gone. When the time is over it makes the node schedulable
        again if it was this module that had cordoned it, and fails with the reason of each pod that is still there.
      - V(recycled) restarts the pods that have one of O(addresses), waits until they are gone, those that are ending already too, and
        until their DaemonSets are Ready on the node again.
      - V(schedulable) lets new pods come again, unless somebody else had cordoned the node.
    type: str
    choices: [cordoned, drained, recycled, schedulable]
    required: true
  addresses:
    description: Addresses of the pods to restart, for O(state=recycled). Addresses that no pod of the node has are passed over.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds that O(state=drained) or O(state=recycled) may take, waiting for budgets and for pods to end.
    type: float
    default: 300.0
  linger_seconds:
    description:
      - Grace period in seconds up to which O(state=drained) does not wait for evicted pods to end. They are then among RV(remaining),
        and O(state=recycled) with their addresses waits for them.
      - With V(0) it waits for all.
    type: float
    default: 0.0
  patience:
    description:
      - Seconds that O(state=drained) waits for budgets. Pods that may not be evicted yet after that are left. They are then among
        RV(remaining), RV(blocked) says why, and O(state=recycled) with their addresses evicts them, while it restarts the others.
      - Without it, it waits for all budgets until O(timeout).
    type: float
  delete_emptydir_data:
    description: Consent to evict pods that lose an emptyDir volume.
    type: bool
    default: false
  force:
    description: Consent to evict pods that no controller would create again.
    type: bool
    default: false
  include_host_network:
    description: Whether to evict pods of the host's network too.
    type: bool
    default: false
seealso:
  - module: kubernetes.core.k8s_drain
"""

EXAMPLES = r"""
- name: Take the pods away
  podnet.cni.node_evict:
    node: n1
    state: drained
    timeout: 600
  delegate_to: localhost
  register: evicted

- name: Restart what stayed, once the node has its new network
  podnet.cni.node_evict:
    node: n1
    state: recycled
    addresses: "{{ evicted.remaining | map(attribute='address') }}"
  delegate_to: localhost

- name: Let pods come again
  podnet.cni.node_evict:
    node: n1
    state: schedulable
  delegate_to: localhost
"""

RETURN = r"""
cordoned:
  description: Whether the node is unschedulable now.
  returned: always
  type: bool
evicted:
  description: Pods that were evicted, or would be in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{namespace: demo, name: web-7d4b9-x2x, uid: 3a1f, address: 10.244.1.7, owner: ReplicaSet/web-7d4b9}]
recycled:
  description: Pods that were restarted, or would be in check mode.
  returned: always
  type: list
  elements: dict
  sample: []
remaining:
  description: Pods that use the CNI and are still on the node with O(state=drained). Those of DaemonSets, and with O(linger_seconds) those
    that are ending.
  returned: always
  type: list
  elements: dict
  sample: [{namespace: demo, name: agent-5hk, uid: 9c22, address: 10.244.1.5, owner: DaemonSet/agent}]
blocked:
  description: Pods that were still there when the time was over, or were left after O(patience), with the reason of each.
  returned: always
  type: dict
  sample: {}
seconds:
  description: Duration of eviction or restart.
  returned: always
  type: float
  sample: 5.2
seconds_waiting_termination:
  description: The part of RV(seconds) that was spent waiting for pods that had been told to end.
  returned: always
  type: float
  sample: 3.1
"""

import contextlib
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._kube import evict, pods
from ansible_collections.podnet.cni.plugins.module_utils._kube.argspec import KUBE_ARGUMENTS
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError, NotFound

CORDONED_BY = "podnet.cni/cordoned"
"""Annotation on a node that this module cordoned; without it the cordon is somebody else's."""


class Failure(Exception):
    """What the module fails with, and the results that it returns all the same."""

    def __init__(self, message: str, **results: t.Any) -> None:
        super().__init__(message)
        self.results = results


def describe(pod: pods.Pod) -> dict[str, str]:
    """A pod in the module's results."""
    kind, name, dummy = pods.owner_of(pod)
    return {
        "namespace": pod["metadata"].get("namespace", ""),
        "name": pod["metadata"]["name"],
        "uid": pods.uid_of(pod),
        "address": pods.address_of(pod),
        "owner": f"{kind}/{name}" if kind else "",
    }


class Evictor:
    """Carries out one state for one node."""

    def __init__(self, kube: KubeClient, params: t.Mapping[str, t.Any], check_mode: bool) -> None:
        self.kube = kube
        self.params = params
        self.check_mode = check_mode
        self.path = f"/api/v1/nodes/{params['node']}"
        try:
            self.node = kube.get(self.path)
        except NotFound as exc:
            raise Failure(f"node: the cluster has no node '{params['node']}'; use a name that `kubectl get nodes` shows") from exc
        self.was_cordoned = bool(self.node.get("spec", {}).get("unschedulable"))
        self.results: dict[str, t.Any] = {
            "changed": False,
            "cordoned": self.was_cordoned,
            "evicted": [],
            "recycled": [],
            "remaining": [],
            "blocked": {},
            "seconds": 0.0,
            "seconds_waiting_termination": 0.0,
        }

    @property
    def ours(self) -> bool:
        """Whether this module cordoned the node."""
        return CORDONED_BY in (self.node["metadata"].get("annotations") or {})

    def cordon(self) -> bool:
        """Keep new pods away; true when the node was schedulable."""
        if self.was_cordoned:
            return False
        patch = {"metadata": {"annotations": {CORDONED_BY: "true"}}, "spec": {"unschedulable": True}}
        self.kube.merge_patch(self.path, patch, dry_run=self.check_mode)
        self._cordoned(True)
        return True

    def uncordon(self) -> None:
        """Let new pods come again and take our mark away."""
        patch = {"metadata": {"annotations": {CORDONED_BY: None}}, "spec": {"unschedulable": None}}
        self.kube.merge_patch(self.path, patch, dry_run=self.check_mode)
        self._cordoned(False)

    def _cordoned(self, cordoned: bool) -> None:
        self.results["cordoned"] = cordoned
        self.results["changed"] = True

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results."""
        getattr(self, f"run_{self.params['state']}")()
        if self.results["cordoned"] != self.was_cordoned or self.results["evicted"] or self.results["recycled"]:
            before = {
                "unschedulable": self.was_cordoned,
                "pods": [pod["name"] for pod in self.results["evicted"] + self.results["recycled"]],
            }
            self.results["diff"] = {"before": before, "after": {"unschedulable": self.results["cordoned"], "pods": []}}
        return self.results

    def run_cordoned(self) -> None:
        """State cordoned."""
        self.cordon()

    def run_schedulable(self) -> None:
        """State schedulable."""
        if self.ours:
            self.uncordon()

    def run_drained(self) -> None:
        """State drained. The list is read again after the cordon: the scheduler may have been quicker."""
        selection = self._selection()
        try:
            self._check_consent(selection)
        except evict.Refused as exc:
            raise Failure(f"node {self.params['node']} was not drained, nothing was changed: {exc}") from exc
        cordoned_now = self.cordon()
        if not self.check_mode:
            selection = self._selection() if cordoned_now else selection
            try:
                selection = self._drain(selection)
            except (evict.NotGone, evict.Refused, KubeError) as exc:
                self._undo_cordon(cordoned_now)
                raise Failure(f"node {self.params['node']} was not drained: {exc}", **self._so_far("evicted", exc)) from exc
        else:
            self.results["evicted"] = [describe(pod) for pod in selection.evict]
        self.results["changed"] = self.results["changed"] or bool(self.results["evicted"])
        self.results["remaining"] = [describe(pod) for pod in selection.stay]

    def _selection(self) -> evict.Selection:
        return evict.select_for_drain(evict.list_pods(self.kube, self.params["node"]), self.params["include_host_network"])

    def _drain(self, selection: evict.Selection) -> evict.Selection:
        """Evict until only pods are left that stay or may linger, which are returned."""
        deadline = time.monotonic() + self.params["timeout"]
        linger = self.params["linger_seconds"]
        told: dict[str, pods.Pod] = {}
        while selection.evict:
            self._check_consent(selection)
            left = max(0.0, deadline - time.monotonic())
            drained = evict.drain(self.kube, self.params["node"], selection.evict, left, linger, self.params["patience"])
            self._add_times(drained.times)
            told.update((pods.uid_of(pod), pod) for pod in selection.evict if pods.uid_of(pod) not in drained.waiting)
            self.results["evicted"] = [describe(pod) for pod in told.values()]
            self.results["blocked"] = {
                pods.name_of(pod): drained.waiting[uid] for pod in selection.evict if (uid := pods.uid_of(pod)) in drained.waiting
            }
            selection = self._selection()
            if all(self._may_stay(pod, told, drained.waiting) for pod in selection.evict):
                return evict.Selection([], selection.stay + selection.evict)
        return selection

    def _may_stay(self, pod: pods.Pod, told: t.Container[str], waiting: t.Container[str]) -> bool:
        """Whether a pod that is still there ends soon, or was left on purpose."""
        linger = self.params["linger_seconds"]
        return pods.uid_of(pod) in waiting or bool(linger and pods.uid_of(pod) in told and evict.lingers(pod, linger))

    def run_recycled(self) -> None:
        """State recycled."""
        addresses = self.params["addresses"]
        found = evict.wait_for_addresses(self.kube, self.params["node"], addresses, self.params["timeout"]) if addresses else []
        targets = evict.select_by_address(found, addresses)
        if targets and not self.check_mode:
            try:
                self._add_times(evict.recycle(self.kube, self.params["node"], targets, self.params["timeout"]))
            except evict.NotGone as exc:
                raise Failure(f"pods of node {self.params['node']} were not restarted: {exc}", **self._so_far("recycled", exc)) from exc
        self.results["recycled"] = [describe(pod) for pod in targets if not pods.is_terminating(pod)]
        self.results["changed"] = bool(self.results["recycled"])

    def _check_consent(self, selection: evict.Selection) -> None:
        evict.check_consent(selection, self.params["delete_emptydir_data"], self.params["force"])

    def _undo_cordon(self, cordoned_now: bool) -> None:
        """After a failure; that the node stays cordoned must not hide the failure."""
        if cordoned_now:
            with contextlib.suppress(KubeError):
                self.uncordon()

    def _so_far(self, key: str, exc: Exception) -> dict[str, t.Any]:
        """The results of a failure: what blocks, and which pods are told to end all the same."""
        told = self.results[key] + [describe(pod) for pod in getattr(exc, "evicted", [])]
        changed = bool(told) or self.results["cordoned"] != self.was_cordoned
        return {**self.results, key: told, "changed": changed, "blocked": getattr(exc, "blocked", {})}

    def _add_times(self, times: evict.Times) -> None:
        for key, seconds in times._asdict().items():
            self.results[key] = round(self.results[key] + seconds, 3)


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["cordoned", "drained", "recycled", "schedulable"], "required": True},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": 300.0},
            "linger_seconds": {"type": "float", "default": 0.0},
            "patience": {"type": "float"},
            "delete_emptydir_data": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            "include_host_network": {"type": "bool", "default": False},
            **KUBE_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    if module.params["timeout"] <= 0:
        module.fail_json(msg=f"timeout: {module.params['timeout']} is not a duration; give seconds greater than 0")
    if module.params["linger_seconds"] < 0:
        module.fail_json(msg=f"linger_seconds: {module.params['linger_seconds']} is not a duration; give seconds, or 0 to wait for all pods")
    if (module.params["patience"] or 0) < 0:
        module.fail_json(msg=f"patience: {module.params['patience']} is not a duration; give seconds, or leave it out to wait for all budgets")
    kube = KubeClient.from_module(module)
    try:
        results = Evictor(kube, module.params, module.check_mode).run()
    except Failure as exc:
        module.fail_json(msg=str(exc), **exc.results)
    except KubeError as exc:
        module.fail_json(msg=f"the cluster's API refused: {exc}")
    module.exit_json(**results)


if __name__ == "__main__":
    main()
