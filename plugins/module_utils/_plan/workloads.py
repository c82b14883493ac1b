# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods and the workloads that they belong to. Pure: no input, no output."""

from __future__ import annotations

import typing as t

Facts = t.Mapping[str, t.Any]


class Workload(t.NamedTuple):
    """What creates pods, as people name it; a Deployment rather than its ReplicaSet, whose name changes with each rollout."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def pod_name(pod: Facts) -> str:
    """C(namespace/name)."""
    return f"{pod.get('namespace')}/{pod['name']}"


def is_finished(pod: Facts) -> bool:
    """It will not run again."""
    return pod.get("phase") in ("Succeeded", "Failed")


def is_on_pod_network(pod: Facts) -> bool:
    """It runs, or will, on the network that the CNI gives."""
    return not (pod.get("host_network") or pod.get("mirror") or is_finished(pod))


def workload_of(pod: Facts) -> Workload | None:
    """The workload of a pod, None for a pod that nothing would create again."""
    kind, name = pod.get("owner_kind"), pod.get("owner_name")
    if not kind or not name:
        return None
    digest = (pod.get("labels") or {}).get("pod-template-hash")
    if kind == "ReplicaSet" and digest and str(name).endswith(f"-{digest}"):
        return Workload("Deployment", str(pod.get("namespace")), str(name)[: -len(digest) - 1])
    return Workload(str(kind), str(pod.get("namespace")), str(name))


def by_workload(pods: t.Iterable[Facts]) -> dict[Workload, list[Facts]]:
    """Running pods of each workload, those of the host's network included, since they too must be Ready again."""
    found: dict[Workload, list[Facts]] = {}
    for pod in pods:
        workload = workload_of(pod)
        if workload and not is_finished(pod) and not pod.get("mirror"):
            found.setdefault(workload, []).append(pod)
    return found


def to_evict(pods: t.Iterable[Facts], node: str) -> list[Facts]:
    """The pods that leave a node; those of DaemonSets would come back at once and are restarted instead."""
    return [pod for pod in pods if pod.get("node") == node and is_on_pod_network(pod) and pod.get("owner_kind") != "DaemonSet"]


def to_restart(pods: t.Iterable[Facts], node: str) -> list[Facts]:
    """The pods that are restarted where they are."""
    return [pod for pod in pods if pod.get("node") == node and is_on_pod_network(pod) and pod.get("owner_kind") == "DaemonSet"]


def ready_counts(pods: t.Iterable[Facts]) -> list[dict[str, t.Any]]:
    """Number of Ready pods of each workload that lives on; Jobs end by themselves and are left out."""
    return [
        {**workload._asdict(), "ready": sum(1 for pod in members if pod.get("ready"))}
        for workload, members in sorted(by_workload(pods).items())
        if workload.kind != "Job"
    ]


def selector_matches(selector: Facts, labels: t.Mapping[str, str]) -> bool:
    """Whether a LabelSelector of the API matches labels; an empty one matches everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression_matches(expression, labels) for expression in selector.get("matchExpressions") or [])


def _expression_matches(expression: Facts, labels: t.Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or []
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    return bool((key in labels) == (operator == "Exists"))
