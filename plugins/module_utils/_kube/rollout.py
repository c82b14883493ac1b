# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until a DaemonSet runs everywhere, and say what is wrong with the pods that do not."""

from __future__ import annotations

import time
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

Object = t.Mapping[str, t.Any]
POLL_SECONDS = 0.5
_EVENTS_SHOWN = 2


class RolloutFailed(Exception):
    """The time was over; the text names each pod that is not Ready and why. C(pods) has the reasons by node."""

    def __init__(self, message: str, pods: t.Mapping[str, str]) -> None:
        super().__init__(message)
        self.pods = dict(pods)


def is_rolled_out(daemonset: Object) -> bool:
    """Whether every node that should have a pod has a Ready one of the newest template."""
    status = daemonset.get("status") or {}
    desired = status.get("desiredNumberScheduled", 0)
    return bool(
        status.get("observedGeneration", 0) >= daemonset["metadata"].get("generation", 0)
        and desired > 0
        and status.get("updatedNumberScheduled", 0) == desired
        and status.get("numberReady", 0) == desired
    )


def is_ready(pod: Object) -> bool:
    """Whether a pod serves and is not about to end."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def pod_problem(pod: Object) -> str | None:
    """Why a pod is not Ready by its own status, None when it is."""
    if is_ready(pod):
        return None
    status = pod.get("status") or {}
    problems = []
    for container in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
        state = container.get("state") or {}
        waiting, ended = state.get("waiting"), state.get("terminated")
        last = (container.get("lastState") or {}).get("terminated")
        if waiting and waiting.get("reason") != "PodInitializing":
            problems.append(f"{container['name']} waits: {waiting.get('reason')} {waiting.get('message') or ''}".strip())
        elif ended and ended.get("exitCode"):
            problems.append(f"{container['name']} ended with code {ended['exitCode']}: {ended.get('message') or ended.get('reason')}")
        elif "running" in state and not container.get("ready"):
            problems.append(f"{container['name']} runs but is not ready")
        if last and last.get("exitCode"):
            problems.append(f"{container['name']} was restarted {container.get('restartCount', 0)} times, last with code {last['exitCode']}")
    unscheduled = [item for item in status.get("conditions") or [] if item["type"] == "PodScheduled" and item["status"] == "False"]
    problems += [f"not scheduled: {condition.get('message')}" for condition in unscheduled]
    return "; ".join(problems) or f"phase {status.get('phase', 'unknown')}"


def warnings_of(kube: KubeClient, namespace: str, pod_name: str) -> list[str]:
    """The newest warnings about a pod, such as a failed probe with its output."""
    selector = f"involvedObject.name={pod_name},type=Warning"
    events = list(kube.list(f"/api/v1/namespaces/{namespace}/events", field_selector=selector))
    events.sort(key=lambda event: str(event.get("lastTimestamp") or event["metadata"].get("creationTimestamp")))
    return [f"{event.get('reason')}: {str(event.get('message')).strip()}" for event in events[-_EVENTS_SHOWN:]]


def pod_problems(kube: KubeClient, daemonset: Object) -> dict[str, str]:
    """For each node with a pod of the DaemonSet that is not Ready: why."""
    namespace = daemonset["metadata"]["namespace"]
    labels = (daemonset["spec"].get("selector") or {}).get("matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    problems: dict[str, str] = {}
    for pod in kube.list(f"/api/v1/namespaces/{namespace}/pods", label_selector=selector):
        problem = pod_problem(pod)
        if problem:
            events = "; ".join(warnings_of(kube, namespace, pod["metadata"]["name"]))
            node = pod["spec"].get("nodeName") or pod["metadata"]["name"]
            problems[node] = problem + (f" ({events})" if events else "")
    return problems


def wait_for_rollout(kube: KubeClient, path: str, timeout: float) -> Object:
    """The DaemonSet at C(path) once it runs everywhere.

    :raises RolloutFailed: when the time is over.
    """
    deadline = time.monotonic() + timeout
    while True:
        daemonset = kube.get(path)
        if is_rolled_out(daemonset):
            return daemonset
        if time.monotonic() >= deadline:
            break
        time.sleep(POLL_SECONDS)
    status, name = daemonset.get("status") or {}, daemonset["metadata"]["name"]
    problems = pod_problems(kube, daemonset)
    told = "; ".join(f"node {node}: {problem}" for node, problem in sorted(problems.items()))
    raise RolloutFailed(
        f"DaemonSet {name} is Ready on {status.get('numberReady', 0)} of {status.get('desiredNumberScheduled', 0)} nodes "
        f"after {timeout:g} s. {told or 'Its controller has not created all pods: look at the events of the DaemonSet'}",
        problems,
    )
