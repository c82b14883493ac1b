# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take pods away from a node: evict as PodDisruptionBudgets allow, restart what belongs to the node, wait.

Eviction: kubernetes/kubernetes:pkg/registry/core/pod/storage/eviction.go. It answers 429 while a budget forbids it; that pod is tried
again on its own, the others go on.
"""

from __future__ import annotations

import concurrent.futures
import time
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._kube import pods
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, KubeError, NotFound, TooManyRequests

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

PARALLEL = 16
POLL_SECONDS = 0.3
RETRY_SECONDS = 0.5


class Refused(Exception):
    """Pods that must not be evicted without consent; nothing was changed."""


class DeadlinePassed(Exception):
    """Pods were still there when the time was over; C(blocked) says why for each."""

    def __init__(self, blocked: dict[str, str], timeout: float) -> None:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(blocked.items()))
        super().__init__(f"{len(blocked)} pod(s) were still there after {timeout:g} s: {reasons}")
        self.blocked = blocked


class Selection(t.NamedTuple):
    """The pods of a node, by what becomes of them."""

    evict: list[pods.Pod]
    stay: list[pods.Pod]


class Times(t.NamedTuple):
    """Seconds in all, and the part of it spent waiting for pods that were already told to end."""

    seconds: float
    seconds_waiting_termination: float


def list_pods(kube: KubeClient, node: str) -> list[pods.Pod]:
    """All pods of a node."""
    return list(kube.list("/api/v1/pods", field_selector=f"spec.nodeName={node}"))


def select_for_drain(node_pods: t.Iterable[pods.Pod], include_host_network: bool) -> Selection:
    """Which pods are evicted and which stay: those of DaemonSets would come back at once, those of the host's network need not move."""
    evict, stay = [], []
    for pod in node_pods:
        if pods.is_mirror(pod) or pods.is_finished(pod):
            continue
        if pods.owner_of(pod)[0] == "DaemonSet":
            if not pods.is_host_network(pod):
                stay.append(pod)
        elif not pods.is_host_network(pod) or include_host_network:
            evict.append(pod)
    return Selection(evict, stay)


def check_consent(selection: Selection, delete_emptydir_data: bool, force: bool) -> None:
    """All pods that may not be evicted, in one message.

    :raises Refused: when there is one.
    """
    problems = []
    unmanaged = [pods.name_of(pod) for pod in selection.evict if not pods.owner_of(pod)[0]]
    if unmanaged and not force:
        problems.append(f"no controller would create these pods again: {', '.join(sorted(unmanaged))}; set force to delete them all the same")
    local = [pods.name_of(pod) for pod in selection.evict if pods.uses_empty_dir(pod)]
    if local and not delete_emptydir_data:
        problems.append(f"these pods would lose their emptyDir volumes: {', '.join(sorted(local))}; set delete_emptydir_data to allow it")
    if problems:
        raise Refused(". ".join(problems))


def _evict_one(kube: KubeClient, pod: pods.Pod, deadline: float, waiting: dict[str, str]) -> bool:
    """Evict until it is accepted or the deadline passes; C(waiting) says why not yet."""
    name = pods.name_of(pod)
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]},
        "deleteOptions": {"preconditions": {"uid": pods.uid_of(pod)}},
    }
    while True:
        try:
            kube.create(pods.path_of(pod) + "/eviction", body)
        except (NotFound, Conflict) as exc:
            # Gone, or another pod of the same name: what was to be evicted is no longer there. Other conflicts are tried again.
            if isinstance(exc, NotFound) or "precondition" in str(exc):
                waiting.pop(name, None)
                return True
            waiting[name] = str(exc)
        except TooManyRequests as exc:
            waiting[name] = exc.message or "a PodDisruptionBudget forbids it"
        except KubeError as exc:
            waiting[name] = str(exc)
        else:
            waiting.pop(name, None)
            return True
        if time.monotonic() + RETRY_SECONDS >= deadline:
            return False
        time.sleep(RETRY_SECONDS)


def _delete_one(kube: KubeClient, pod: pods.Pod) -> None:
    """Delete gracefully, if it is still the same pod."""
    try:
        kube.delete(pods.path_of(pod), uid=pods.uid_of(pod))
    except (NotFound, Conflict):
        pass


def _wait_gone(kube: KubeClient, node: str, uids: set[str], deadline: float) -> list[pods.Pod]:
    """Those of the pods that are still there at the deadline, none when all have gone before."""
    while True:
        left = [pod for pod in list_pods(kube, node) if pods.uid_of(pod) in uids and not pods.is_finished(pod)]
        if not left or time.monotonic() + POLL_SECONDS >= deadline:
            return left
        time.sleep(POLL_SECONDS)


def drain(kube: KubeClient, node: str, evict: t.Sequence[pods.Pod], timeout: float) -> Times:
    """Evict pods and wait until they are gone.

    :raises DeadlinePassed: when some are still there after C(timeout) seconds.
    """
    begin = time.monotonic()
    deadline = begin + timeout
    waiting: dict[str, str] = {}
    candidates = [pod for pod in evict if not pods.is_terminating(pod)]
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        accepted = list(pool.map(lambda pod: _evict_one(kube, pod, deadline, waiting), candidates))
    all_accepted = time.monotonic()
    if not all(accepted):
        raise DeadlinePassed(dict(waiting), timeout)
    left = _wait_gone(kube, node, {pods.uid_of(pod) for pod in evict}, deadline) if evict else []
    if left:
        raise DeadlinePassed({pods.name_of(pod): _why_still_there(pod) for pod in left}, timeout)
    end = time.monotonic()
    return Times(end - begin, end - all_accepted)


def _why_still_there(pod: pods.Pod) -> str:
    """Why a pod that was told to end has not ended."""
    finalizers = pod["metadata"].get("finalizers")
    if finalizers:
        return f"has finalizers {', '.join(finalizers)}"
    grace = pod["metadata"].get("deletionGracePeriodSeconds")
    return f"does not terminate (its grace period is {grace} s)" if grace is not None else "was not told to end"


def select_by_address(node_pods: t.Iterable[pods.Pod], addresses: t.Collection[str]) -> list[pods.Pod]:
    """Pods on the CNI's network that have one of the addresses."""
    wanted = set(addresses)
    return [pod for pod in node_pods if pods.uses_cni(pod) and pods.address_of(pod) in wanted]


def recycle(kube: KubeClient, node: str, targets: t.Sequence[pods.Pod], timeout: float) -> Times:
    """Restart pods: delete those of DaemonSets, evict the others; wait until they are gone and the DaemonSets are Ready on the node again.

    :raises DeadlinePassed: when this is not so after C(timeout) seconds.
    """
    begin = time.monotonic()
    deadline = begin + timeout
    daemons = [pod for pod in targets if pods.owner_of(pod)[0] == "DaemonSet"]
    others = [pod for pod in targets if pods.owner_of(pod)[0] != "DaemonSet"]
    waiting: dict[str, str] = {}
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        deleted = pool.map(lambda pod: _delete_one(kube, pod), daemons)
        accepted = list(pool.map(lambda pod: _evict_one(kube, pod, deadline, waiting), others))
        list(deleted)
    if not all(accepted):
        raise DeadlinePassed(dict(waiting), timeout)
    told = time.monotonic()
    owners = {pods.owner_of(pod)[2]: pods.name_of(pod) for pod in daemons}
    uids = {pods.uid_of(pod) for pod in targets}
    gone_at = None if targets else told
    while True:
        current = list_pods(kube, node) if targets else []
        left = [pod for pod in current if pods.uid_of(pod) in uids and not pods.is_finished(pod)]
        if not left and gone_at is None:
            gone_at = time.monotonic()
        ready = {pods.owner_of(pod)[2] for pod in current if pods.is_ready(pod) and not pods.is_terminating(pod)}
        absent = {owner: name for owner, name in owners.items() if owner not in ready}
        if not left and not absent:
            break
        if time.monotonic() + POLL_SECONDS >= deadline:
            blocked = {pods.name_of(pod): _why_still_there(pod) for pod in left}
            blocked.update({name: f"its DaemonSet has no Ready pod on {node} again" for name in absent.values()})
            raise DeadlinePassed(blocked, timeout)
        time.sleep(POLL_SECONDS)
    return Times(time.monotonic() - begin, (gone_at or told) - told)
