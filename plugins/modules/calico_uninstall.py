#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: calico_uninstall
short_description: Remove Calico's objects from a cluster
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Deletes the DaemonSet that runs calico-node and Calico's Deployments, and waits until all of their pods are gone. Only then nodes can
    be cleaned.
  - Deletes Calico's definitions and with them all of its resources, its ServiceAccounts, the bindings that name only these accounts and
    the roles that only they use, its ConfigMap, its budgets, and what Calico wrote on nodes.
  - Refuses as long as running pods have their network from Calico, when somebody would put Calico back, such as an addon manager or a
    GitOps controller, and when Calico was installed by the Tigera operator, has an API server of its own, or shares its pods with Flannel
    (Canal).
  - Before the first deletion all objects are kept in the journal (see M(podnet.cni.cni_journal)) under the name C(calico), with the
    resources that people write, such as policies, pools and peers. Records of IPAM are not kept, and definitions only by their names.
    With this backup a run that was stopped finds what is left.
  - When calico-node ends it may say that the node has no network, by the condition C(NetworkUnavailable). On nodes that run Flannel this
    condition is set to what flanneld writes, so that no taint stays.
  - Annotations of pods are left as they are, and so are definitions of other groups that Calico's manifest brings, such as
    C(policy.networking.k8s.io).
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
      - V(daemonset) removes the DaemonSet and the Deployments, and waits until their pods are gone.
      - V(rest) removes everything else, after the nodes have been cleaned.
      - V(all) does both.
    type: str
    choices: [daemonset, rest, all]
    default: all
  keep_resources:
    description: Whether to keep Calico's definitions and all of its resources.
    type: bool
    default: false
  force:
    description:
      - Consent to remove Calico although pods use it, which lose their network, although somebody would put it back, or although a node
        is away.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait until the pods, and the definitions, are gone.
    type: float
    default: 300.0
  journal_run:
    description:
      - Identifier of the run that the backup is recorded with. With it, another run that holds the lock of the journal is respected.
    type: str
seealso:
  - module: podnet.cni.calico_install
  - module: podnet.cni.cni_journal
  - module: podnet.cni.flannel_restore
"""

EXAMPLES = r"""
- name: Stop Calico on all nodes
  podnet.cni.calico_uninstall:
    phase: daemonset
  delegate_to: localhost
  run_once: true

- name: Remove what else belongs to Calico
  podnet.cni.calico_uninstall:
    phase: rest
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
deleted:
  description: Objects that were deleted, or would be in check mode. Resources go with their definitions and are not among them.
  returned: always
  type: list
  elements: dict
  sample: [{kind: DaemonSet, namespace: kube-system, name: calico-node}]
kept:
  description: Objects of Calico that were not deleted, with the reason.
  returned: always
  type: list
  elements: dict
  sample: [{kind: ConfigMap, namespace: kube-system, name: calico-config, why: "pod kube-system/tool uses it"}]
resources:
  description: How many resources of each kind were deleted with their definitions, or would be in check mode.
  returned: always
  type: dict
  sample: {IPPool: 1, IPAMBlock: 12}
nodes:
  description: Nodes from which Calico's annotations and labels were removed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [n1, n2]
conditions:
  description: Nodes whose condition C(NetworkUnavailable) was Calico's and is Flannel's now, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [n1, n2]
backup:
  description: The deleted objects, without what the API server had added; definitions by their names only.
  returned: always
  type: list
  elements: dict
  sample: []
owners:
  description: Who would put Calico back, with evidence and remedy.
  returned: always
  type: list
  elements: dict
  sample: []
api_calls:
  description: Requests to the cluster's API.
  returned: always
  type: int
  sample: 61
seconds:
  description: Duration.
  returned: always
  type: float
  sample: 14.2
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._cni import flannel_cluster
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_bgp_node import REFLECTOR_LABEL
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_manifest import object_path
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_resources import MIGRATION_LABEL
from ansible_collections.podnet.cni.plugins.module_utils._kube import network_condition
from ansible_collections.podnet.cni.plugins.module_utils._kube.applying import meaningful
from ansible_collections.podnet.cni.plugins.module_utils._kube.argspec import KUBE_ARGUMENTS
from ansible_collections.podnet.cni.plugins.module_utils._kube.calico_objects import (
    CalicoObjects,
    Resources,
    find_calico,
    pods_on_calico,
    read_resources,
    refuse_other_installations,
)
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.cluster_facts import condition, utc_now
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError
from ansible_collections.podnet.cni.plugins.module_utils._kube.pods import name_of, uid_of
from ansible_collections.podnet.cni.plugins.module_utils._kube.removal import Failure, Removal, refuse_owners, spell
from ansible_collections.podnet.cni.plugins.module_utils._run.journal import Journal, JournalError, backup_key
from ansible_collections.podnet.cni.plugins.module_utils._run.journalled import run_module
from ansible_collections.podnet.cni.plugins.module_utils._run.lock import new_lock

Object = t.Mapping[str, t.Any]
BACKUP = backup_key("calico")
ANNOTATIONS = "projectcalico.org/"
SETTLE_SECONDS = 6.0
"""The manifest gives calico-node no time to end, so its pod is gone from the API before kubelet runs what says that the node has no network:
within its two seconds of grace, in a request that takes two seconds at most (projectcalico/calico:node/pkg/lifecycle/shutdown/shutdown.go)."""
LOOK_SECONDS = 1.0
MOST_NAMED = 5
FULL = 413
"""HTTP status of a request that is too large."""
ORDER = ("ClusterRoleBinding", "RoleBinding", "ClusterRole", "Role", "ServiceAccount", "ConfigMap", "PodDisruptionBudget", "Service")


class Uninstaller:
    """Removes what belongs to Calico."""

    def __init__(self, kube: KubeClient, params: t.Mapping[str, t.Any], check_mode: bool) -> None:
        self.kube = kube
        self.params = params
        self.check_mode = check_mode
        self.journal = Journal(kube, check_mode)
        self.results: dict[str, t.Any] = {
            "changed": False,
            "deleted": [],
            "kept": [],
            "resources": {},
            "nodes": [],
            "conditions": [],
            "backup": [],
            "owners": [],
        }
        self.removal = Removal(kube, self.results, object_path, params["wait_timeout"], check_mode)
        self.calico = CalicoObjects([], [])
        self.known: dict[str, Object] = {}
        """All objects of Calico by path, among them those that are gone already."""
        self.resources: list[Resources] = []
        self.pods: list[Object] = []
        self.own_pods: set[str] = set()
        """Uids of Calico's own pods, at the beginning."""
        self.written: dict[str, dict[str, dict[str, str]]] = {}
        """Annotations and labels of Calico by node."""
        self._flannel_prefix = flannel_cluster.ANNOTATION_PREFIX
        self._looked_at = 0.0

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results. All reasons to refuse are looked for before the first deletion."""
        begin = time.monotonic()
        if self.params["journal_run"]:
            new_lock(self.kube, self.params["journal_run"], self.check_mode).renew()
        self._find()
        nodes = list(self.kube.list("/api/v1/nodes"))
        self._refuse(nodes)
        self.resources = read_resources(self.kube)
        self.written = {node["metadata"]["name"]: found for node in nodes for found in [written_on(node)] if found}
        self._back_up()
        if self.params["phase"] != "rest":
            self._remove_workloads()
        if self.params["phase"] != "daemonset":
            self._remove_rest()
        self._sum_up()
        self.results["api_calls"] = self.kube.calls
        self.results["seconds"] = round(time.monotonic() - begin, 3)
        return self.results

    def _find(self) -> None:
        """Calico as it runs, as the backup of an earlier run has it, or as upstream's manifest names it."""
        daemonsets = list(self.kube.list("/apis/apps/v1/daemonsets"))
        refuse_other_installations(self.kube, daemonsets)
        flannel = flannel_cluster.find_daemonsets(daemonsets)
        if flannel:
            self._flannel_prefix = flannel_cluster.annotation_prefix(flannel[0])
        kept = (self.journal.record(BACKUP) or {}).get("objects") or []
        self.calico = find_calico(self.kube, daemonsets, kept)
        self.own_pods = {uid_of(pod) for workload in self.calico.workloads for pod in self.removal.pods_of(workload)}
        self.known = {object_path(item): item for item in [*kept, *self.calico.objects]}
        self.results["owners"] = flannel_cluster.owners_of(self.calico.objects, "Calico")

    def _refuse(self, nodes: t.Sequence[Object]) -> None:
        self.pods = list(self.kube.list("/api/v1/pods"))
        if self.params["phase"] == "rest" and self.calico.workloads:
            running = " and ".join(spell(item) for item in self.calico.workloads)
            raise Failure(f"phase: {running} still run Calico, which needs the rest; use phase=daemonset first, or phase=all")
        if self.params["force"]:
            return
        refuse_owners("Calico", self.results["owners"], "force")
        using = pods_on_calico(self.pods)
        if using:
            names = ", ".join(f"{name_of(pod)} on node {pod['spec'].get('nodeName')}" for pod in using[:MOST_NAMED])
            more = f" and {len(using) - MOST_NAMED} more" if len(using) > MOST_NAMED else ""
            raise Failure(
                f"Calico was not removed, because {len(using)} running pods have their network from it: {names}{more}. Bring their nodes back "
                "first, with the playbook podnet.cni.rollback_to_flannel. Or set force to remove it all the same: these pods lose their network"
            )
        away = {node["metadata"]["name"] for node in nodes if condition(node, "Ready") != "True"} & self._nodes_with_calico()
        if away and self.params["phase"] != "rest":
            raise Failure(
                f"Calico was not removed, because these nodes run calico-node and are not Ready: {', '.join(sorted(away))}. Nobody could tell "
                "whether it has ended there: bring the nodes back, or remove them from the cluster. Or set force to go on without them"
            )

    def _nodes_with_calico(self) -> set[str]:
        """Where calico-node runs now."""
        daemonsets = [item for item in self.calico.workloads if item["kind"] == "DaemonSet"]
        return {pod["spec"].get("nodeName", "") for daemonset in daemonsets for pod in self.removal.pods_of(daemonset)}

    def _back_up(self) -> None:
        """Keep everything in the journal, added to what an earlier run kept. As long as Calico runs, all of its resources are there."""
        earlier = self.journal.record(BACKUP) or {}
        objects = {path: meaningful(item) for path, item in self.known.items()}
        by_people = {kind.path_of(item): meaningful(item) for kind in self.resources if kind.is_by_people for item in kind.items}
        before = {} if self.calico.workloads else {item["path"]: item["resource"] for item in earlier.get("resources") or []}
        resources = [{"path": path, "resource": item} for path, item in {**before, **by_people}.items()]
        wanted = {
            "run": self.params["journal_run"] or "",
            "objects": list(objects.values()),
            "resources": resources,
            "definitions": sorted({*(earlier.get("definitions") or []), *(kind.definition for kind in self.resources)}),
            "node_annotations": {**(earlier.get("node_annotations") or {}), **{node: part["annotations"] for node, part in self.written.items()}},
            "node_labels": {**(earlier.get("node_labels") or {}), **{node: part["labels"] for node, part in self.written.items()}},
        }
        changed = {key: value for key, value in wanted.items() if key != "run"} != {key: value for key, value in earlier.items() if key != "run"}
        if changed and any(value for key, value in wanted.items() if key != "run"):
            self._write(wanted, len(resources))

    def _write(self, record: dict[str, t.Any], number: int) -> None:
        try:
            self.journal.write({BACKUP: record})
        except (JournalError, KubeError) as exc:
            if isinstance(exc, KubeError) and exc.status != FULL:
                raise
            raise Failure(
                f"the backup of Calico does not fit into the journal, mostly because of its {number} resources, and nothing was removed ({exc}). "
                "Save the resources yourself (kubectl get -o yaml) and delete those that are not needed any more, then run again"
            ) from exc

    def _sum_up(self) -> None:
        results = self.results
        results["changed"] = any(results[key] for key in ("deleted", "nodes", "conditions"))
        if results["changed"]:
            removed = [f"{item['kind']} {item['namespace']}/{item['name']}".replace(" /", " ") for item in results["deleted"]]
            written = {node: self.written[node] for node in results["nodes"]}
            results["diff"] = {
                "before": {"objects": removed, "resources": results["resources"], "nodes": written, "calico_conditions": results["conditions"]},
                "after": {"objects": [], "resources": {}, "nodes": {}, "calico_conditions": []},
            }

    # -- what runs pods

    def _remove_workloads(self) -> None:
        self.removal.delete_workloads(self.calico.workloads, self._look_at_conditions)
        if self.calico.workloads and not self.check_mode:
            settled = time.monotonic() + SETTLE_SECONDS
            while time.monotonic() < settled:
                time.sleep(LOOK_SECONDS)
                self._look_at_conditions()
        self._take_conditions_over(set())

    def _look_at_conditions(self) -> None:
        """Now and then, since all nodes are read."""
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._take_conditions_over(self._nodes_with_calico())
            self._looked_at = time.monotonic()

    def _take_conditions_over(self, running: t.Collection[str]) -> None:
        """Say for Flannel that nodes have a network, where calico-node had the last word and does not run any more."""
        for node in self.kube.list("/api/v1/nodes"):
            name = node["metadata"]["name"]
            on_flannel = flannel_cluster.node_facts(node["metadata"].get("annotations") or {}, self._flannel_prefix) is not None
            if name in running or not on_flannel or not network_condition.is_calicos(node):
                continue
            self.kube.strategic_patch(f"/api/v1/nodes/{name}/status", network_condition.by_flannel(utc_now()), dry_run=self.check_mode)
            if name not in self.results["conditions"]:
                self.results["conditions"].append(name)

    # -- everything else

    def _remove_rest(self) -> None:
        self._remove_definitions()
        items = sorted((item for item in self.known.values() if item["kind"] in ORDER), key=lambda item: ORDER.index(item["kind"]))
        pods: dict[str, list[Object]] = {}
        for pod in self.pods:
            if uid_of(pod) not in self.own_pods:
                pods.setdefault(pod["metadata"].get("namespace", ""), []).append(pod)
        self.removal.delete_rest(items, pods, {})
        for node, found in self.written.items():
            patch = {"metadata": {part: dict.fromkeys(keys) for part, keys in found.items() if keys}}
            self.kube.merge_patch(f"/api/v1/nodes/{node}", patch, dry_run=self.check_mode)
            self.results["nodes"].append(node)
        self._take_conditions_over(set())

    def _remove_definitions(self) -> None:
        """The definitions, with all resources; what would hold up a resource is taken away first."""
        definitions = [definition(kind.definition) for kind in self.resources]
        if self.params["keep_resources"]:
            for item in definitions:
                self.removal.keep(item, "keep_resources is set")
            return
        for kind in self.resources:
            for item in kind.items:
                if item["metadata"].get("finalizers"):
                    self.kube.merge_patch(kind.path_of(item), {"metadata": {"finalizers": None}}, dry_run=self.check_mode)
            if kind.items:
                self.results["resources"][kind.kind] = len(kind.items)
        for item in definitions:
            self.removal.delete(item)
        for item in definitions if not self.check_mode else []:
            self._wait_until_gone(object_path(item), spell(item))
        for group in sorted({item["metadata"]["name"].split(".", 1)[1] for item in definitions}) if not self.check_mode else []:
            self._wait_until_gone(f"/apis/{group}", f"API group {group}")

    def _wait_until_gone(self, path: str, what: str) -> None:
        while self.kube.get_or_none(path) is not None:
            self.removal.pause(
                f"{what} is still there {self.params['wait_timeout']:g} s after the deletion of Calico's definitions; what it waits for is in its "
                f"conditions, or in the finalizers of a resource of it (kubectl get --raw {path}). Remove that, then run again"
            )


def definition(name: str) -> Object:
    """A CustomResourceDefinition by its name."""
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name}}


def written_on(node: Object) -> dict[str, dict[str, str]] | None:
    """Annotations and labels of Calico on a node, None when there are none."""
    metadata = node["metadata"]
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key.startswith(ANNOTATIONS)}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key in (MIGRATION_LABEL, REFLECTOR_LABEL)}
    return {"annotations": annotations, "labels": labels} if annotations or labels else None


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["absent"], "default": "absent"},
            "phase": {"type": "str", "choices": ["daemonset", "rest", "all"], "default": "all"},
            "keep_resources": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            "wait_timeout": {"type": "float", "default": 300.0},
            "journal_run": {"type": "str"},
            **KUBE_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    run_module(module, Uninstaller)


if __name__ == "__main__":
    main()
