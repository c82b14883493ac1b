# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about pods: what must not or cannot be evicted, and who would notice."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import workloads
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, INFO, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Facts, Situation
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed, natural

_DRAIN = "kubernetes/kubectl:pkg/drain/filters.go"
_BUDGETS = "kubernetes/kubernetes:pkg/registry/core/pod/storage/eviction.go"
_MOST = 4


def _evicted(situation: Situation) -> list[Facts]:
    return [pod for pods in situation.pods_to_evict.values() for pod in pods]


def _subject(pods: t.Sequence[Facts]) -> str:
    return f"{'pod' if len(pods) == 1 else 'pods'} {listed(natural(map(workloads.pod_name, pods)), _MOST)}"


def _nodes(pods: t.Iterable[Facts]) -> tuple[str, ...]:
    return tuple(natural({str(pod["node"]) for pod in pods}))


def empty_dir(situation: Situation) -> t.Iterator[Finding]:
    """Pods that lose an emptyDir volume, without consent."""
    pods = [pod for pod in _evicted(situation) if pod.get("empty_dir")]
    if not pods:
        return
    consent = situation.settings.evict_emptydir
    yield Finding(
        "pod-local-data",
        INFO if consent else BLOCKER,
        _subject(pods),
        f"{count(len(pods), 'pod')} to evict with emptyDir volumes.",
        "What is in such a volume is gone when its pod leaves the node.",
        "Nothing to do: podnet_evict_emptydir is true."
        if consent
        else "If the data may be lost (mostly caches and sockets), set podnet_evict_emptydir=true; else move it to a persistent volume, or let pods "
        "move as they run (podnet_pod_move=replug).",
        _DRAIN,
        _nodes(pods),
    )


def unmanaged(situation: Situation) -> t.Iterator[Finding]:
    """Pods that no controller creates again, without consent."""
    pods = [pod for pod in _evicted(situation) if not pod.get("owner_kind")]
    if not pods:
        return
    consent = situation.settings.evict_unmanaged
    yield Finding(
        "pod-unmanaged",
        WARNING if consent else BLOCKER,
        _subject(pods),
        f"{count(len(pods), 'pod')} to evict without a controller.",
        "Nobody creates such a pod again after it is evicted.",
        "They will be gone, since podnet_evict_unmanaged is true; keep their manifests."
        if consent
        else "Put it under a Deployment, delete it, set podnet_evict_unmanaged=true and create it again afterwards, or let pods move as they run "
        "(podnet_pod_move=replug).",
        _DRAIN,
        _nodes(pods),
    )


def _is_for(budget: Facts, pod: Facts) -> bool:
    """Whether a pod is one of a budget's."""
    in_namespace = pod.get("namespace") == budget["namespace"]
    return in_namespace and workloads.selector_matches(budget.get("selector") or {}, pod.get("labels") or {})


def budgets(situation: Situation) -> t.Iterator[Finding]:
    """PodDisruptionBudgets that allow no eviction now."""
    evicted = _evicted(situation)
    for budget in situation.cluster.get("pod_disruption_budgets") or []:
        if budget.get("disruptions_allowed", 0) > 0 or not budget.get("expected_pods"):
            continue
        pods = [pod for pod in evicted if _is_for(budget, pod)]
        if not pods:
            continue
        healthy, desired, expected = (budget.get(key, 0) for key in ("current_healthy", "desired_healthy", "expected_pods"))
        never = desired >= expected
        name = f"{budget['namespace']}/{budget['name']}"
        yield Finding(
            "budget-never-allows" if never else "budget-allows-nothing-now",
            BLOCKER,
            f"PodDisruptionBudget {name}",
            f"It allows 0 disruptions: {healthy} of {expected} pods are healthy, {desired} must be. "
            f"{count(len(pods), 'pod')} of it must be evicted: {listed(natural(map(workloads.pod_name, pods)), _MOST)}.",
            "It never allows an eviction, so the node would wait until podnet_evict_timeout is over and go back."
            if never
            else "Pods of it are not healthy now, and evictions wait for them.",
            f"Run one replica more than {desired}, or lower minAvailable (raise maxUnavailable) of {name}; or let pods move as they run "
            "(podnet_pod_move=replug)."
            if never
            else "Repair the pods that are not Ready, run again.",
            _BUDGETS,
            _nodes(pods),
        )


def several_budgets(situation: Situation) -> t.Iterator[Finding]:
    """Pods of several PodDisruptionBudgets, which the API never evicts."""
    found: list[Facts] = []
    names: set[str] = set()
    budgets_of_cluster = situation.cluster.get("pod_disruption_budgets") or []
    for pod in _evicted(situation):
        mine = [budget for budget in budgets_of_cluster if budget.get("expected_pods") and _is_for(budget, pod)]
        if len(mine) > 1:
            found.append(pod)
            names.update(f"{budget['namespace']}/{budget['name']}" for budget in mine)
    if found:
        yield Finding(
            "pod-several-budgets",
            BLOCKER,
            _subject(found),
            f"{count(len(found), 'pod')} to evict, of more than one PodDisruptionBudget: {listed(natural(names), _MOST)}.",
            "The API refuses to evict such a pod, so the node would wait until podnet_evict_timeout is over and go back.",
            "Narrow the selectors so that each pod has one budget, delete the budgets that are not needed, or let pods move as they run "
            "(podnet_pod_move=replug).",
            _BUDGETS,
            _nodes(found),
        )


def policies(situation: Situation) -> t.Iterator[Finding]:
    """NetworkPolicies, which Flannel passes over and Calico enforces."""
    names = [f"{policy['namespace']}/{policy['name']}" for policy in situation.cluster.get("network_policies") or []]
    if names and not situation.calico:
        yield Finding(
            "network-policies-begin",
            WARNING,
            count(len(names), "NetworkPolicy", "NetworkPolicies"),
            f"Flannel does not enforce {listed(natural(names), _MOST)}; Calico will.",
            "They apply to each pod from the moment it is on Calico. Traffic that they forbid, and that nobody missed so far, is then dropped.",
            "Read them once more, and delete those that are not meant.",
            "kubernetes/website:content/en/docs/concepts/services-networking/network-policies.md",
        )


def single_replicas(situation: Situation) -> t.Iterator[Finding]:
    """Workloads with one pod only."""
    evicted = {pod.get("uid") for pod in _evicted(situation)}
    names = [
        str(workload)
        for workload, pods in workloads.by_workload(situation.pods).items()
        if len(pods) == 1 and pods[0].get("uid") in evicted and workload.kind not in ("DaemonSet", "Job")
    ]
    if names:
        yield Finding(
            "workload-single-replica",
            WARNING,
            count(len(names), "workload"),
            f"One pod only: {listed(natural(names))}.",
            "While that pod is restarted on another node nobody answers for it, with or without a migration.",
            "Scale it to 2 replicas for the time of the migration if its users must not notice.",
            "kubernetes/website:content/en/docs/concepts/workloads/pods/disruptions.md",
        )


def replicas_together(situation: Situation) -> t.Iterator[Finding]:
    """Workloads whose pods are all on one node."""
    evicted = {pod.get("uid") for pod in _evicted(situation)}
    names = {}
    for workload, pods in workloads.by_workload(situation.pods).items():
        places = {pod.get("node") for pod in pods}
        if len(pods) > 1 and len(places) == 1 and workload.kind not in ("DaemonSet", "Job") and all(pod.get("uid") in evicted for pod in pods):
            names[f"{workload} on {places.pop()} ({len(pods)})"] = pods
    if names:
        yield Finding(
            "workload-on-one-node",
            WARNING,
            count(len(names), "workload"),
            f"All replicas on one node: {listed(natural(names))}.",
            "They are evicted together unless a PodDisruptionBudget holds them back; and if they are bound to the node (nodeSelector, local "
            "volume), their successors cannot start while it is cordoned and a budget never lets the last one go.",
            "Spread the replicas over nodes (topologySpreadConstraints) and give the workload a PodDisruptionBudget.",
            "kubernetes/website:content/en/docs/concepts/scheduling-eviction/topology-spread-constraints.md",
            _nodes(pod for pods in names.values() for pod in pods),
        )


def not_ready(situation: Situation) -> t.Iterator[Finding]:
    """Pods that are not Ready before anything begins."""
    if not situation.to_move:
        return
    pods = [
        pod
        for pod in situation.pods
        if not pod.get("ready") and not workloads.is_finished(pod) and not pod.get("terminating") and pod.get("owner_kind") != "Job"
    ]
    if pods:
        yield Finding(
            "pod-not-ready",
            WARNING,
            _subject(pods),
            f"{count(len(pods), 'pod')} not Ready before anything was changed.",
            "Afterwards nobody can tell whether the migration broke them. The gates only ask for what was Ready before.",
            "Repair them first if they matter.",
            "podnet.cni:roles/gate",
        )


RULES = (empty_dir, unmanaged, budgets, several_budgets, policies, single_replicas, replicas_together, not_ready)
