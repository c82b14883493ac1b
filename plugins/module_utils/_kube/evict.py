# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take pods away from a node: evict as PodDisruptionBudgets allow, restart what belongs to the node, wait.

Eviction: kubernetes/kubernetes:pkg/registry/core/pod/storage/eviction.go. It answers 429 while a budget forbids it; that pod is tried
again on its own, the others go on.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import time
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._kube import pods
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import (
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    TooManyRequests,
)

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

PARALLEL = 16
POLL_SECONDS = 0.3
RETRY_SECONDS = 0.3
MOST_RETRY_SECONDS = 1.0
RETRY_FACTOR = 1.3
ADDRESS_SECONDS = 10.0
"""How long to wait for the address of a pod that is just being started."""


class Refused(Exception):
    """Pods that must not be evicted without consent; nothing was changed."""


class NotGone(Exception):
    """Pods were still there when the time was over, or may not be evicted at all.

    C(blocked) says why for each, C(evicted) are those of which the eviction was accepted.
    """

    def __init__(self, text: str, blocked: dict[str, str], evicted: t.Sequence[pods.Pod] = ()) -> None:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(blocked.items()))
        super().__init__(f"{len(blocked)} pod(s) {text}: {reasons}")
        self.blocked = blocked
        self.evicted = list(evicted)


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


class Evictions:
    """Evictions that run at the same time, each tried again until it is accepted or the deadline passes."""

    def __init__(self, kube: KubeClient, deadline: float) -> None:
        self._kube = kube
        self._deadline = deadline
        self._forbidden = threading.Event()
        self.waiting: dict[str, str] = {}
        """Why a pod is not evicted yet, by its name."""

    def run(self, targets: t.Sequence[pods.Pod]) -> list[pods.Pod]:
        """The pods of which the eviction was accepted."""
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            accepted = list(pool.map(self._evict, targets))
        return [pod for pod, done in zip(targets, accepted) if done]

    @property
    def hopeless(self) -> bool:
        """Whether a pod may not be evicted, however long one waits."""
        return self._forbidden.is_set()

    @property
    def text(self) -> str:
        """What is wrong with the pods that wait, for C(NotGone)."""
        return "may not be evicted" if self.hopeless else "could not be evicted in time"

    def _evict(self, pod: pods.Pod) -> bool:
        name, pause = pods.name_of(pod), RETRY_SECONDS
        while not self._forbidden.is_set():
            reason, wait = self._try(pod)
            if reason is None:
                self.waiting.pop(name, None)
                return True
            self.waiting[name] = reason
            pause = max(pause, wait)
            if time.monotonic() + pause >= self._deadline:
                return False
            self._forbidden.wait(pause)
            pause = min(pause * RETRY_FACTOR, MOST_RETRY_SECONDS)
        self.waiting.setdefault(name, "was not tried")
        return False

    def _try(self, pod: pods.Pod) -> tuple[str | None, float]:
        """Why the pod was not evicted, None when it was or is gone, and how long the API server asks to wait."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]},
            "deleteOptions": {"preconditions": {"uid": pods.uid_of(pod)}},
        }
        try:
            self._kube.create(pods.path_of(pod) + "/eviction", body)
        except NotFound:
            return None, 0.0
        except Conflict as exc:
            # Another pod of the same name: what was to be evicted is no longer there. Other conflicts are tried again.
            return (None if "precondition" in str(exc).lower() else str(exc)), 0.0
        except TooManyRequests as exc:
            return exc.message or "a PodDisruptionBudget forbids it", exc.retry_after
        except (Forbidden, Invalid) as exc:  # will not become possible by waiting
            self._forbidden.set()
            return str(exc), 0.0
        except KubeError as exc:
            return str(exc), 0.0
        return None, 0.0


def _delete_one(kube: KubeClient, pod: pods.Pod) -> None:
    """Delete gracefully, if it is still the same pod."""
    with contextlib.suppress(NotFound, Conflict):
        kube.delete(pods.path_of(pod), uid=pods.uid_of(pod))


def _wait_gone(kube: KubeClient, node: str, uids: set[str], deadline: float, linger: float) -> list[pods.Pod]:
    """Those of the pods that are still there at the deadline, none when all have gone before or may linger."""
    while True:
        there = [pod for pod in list_pods(kube, node) if pods.uid_of(pod) in uids and not pods.is_finished(pod)]
        left = [pod for pod in there if not (linger and lingers(pod, linger))]
        if not left or time.monotonic() + POLL_SECONDS >= deadline:
            return left
        time.sleep(POLL_SECONDS)


def lingers(pod: pods.Pod, longest: float) -> bool:
    """Whether a pod was told to end, and will have within C(longest) seconds unless it hangs."""
    return pods.is_terminating(pod) and float(pod["metadata"].get("deletionGracePeriodSeconds") or 0) <= longest


class Drained(t.NamedTuple):
    """How long it took, and why pods that were left wait, by their uid."""

    times: Times
    waiting: dict[str, str]


def drain(kube: KubeClient, node: str, evict: t.Sequence[pods.Pod], timeout: float, linger: float = 0.0, patience: float | None = None) -> Drained:
    """Evict pods and wait until they are gone, but not for those that end within C(linger) seconds.

    Pods that may not be evicted yet after C(patience) seconds are left; without it they count as not gone.

    :raises NotGone: when some are still there after C(timeout) seconds.
    """
    begin = time.monotonic()
    deadline = begin + timeout
    budgets_until = deadline if patience is None else min(begin + patience, deadline)
    leaves = budgets_until < deadline
    evictions = Evictions(kube, budgets_until)
    candidates = [pod for pod in evict if not pods.is_terminating(pod)]
    accepted = evictions.run(candidates)
    all_accepted = time.monotonic()
    if len(accepted) < len(candidates) and (evictions.hopeless or not leaves):
        raise NotGone(f"{evictions.text} ({timeout:.0f} s)", evictions.waiting, accepted)
    waiting = {pods.uid_of(pod): evictions.waiting[pods.name_of(pod)] for pod in candidates if pods.name_of(pod) in evictions.waiting}
    uids = {pods.uid_of(pod) for pod in evict} - set(waiting)
    left = _wait_gone(kube, node, uids, deadline, linger) if uids else []
    if left:
        raise NotGone(f"were still there after {timeout:.0f} s", {pods.name_of(pod): _why_still_there(pod) for pod in left}, accepted)
    end = time.monotonic()
    return Drained(Times(end - begin, end - all_accepted), waiting)


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
    return [pod for pod in node_pods if pods.uses_cni(pod) and wanted.intersection(pods.addresses_of(pod))]


def wait_for_addresses(kube: KubeClient, node: str, addresses: t.Collection[str], seconds: float) -> list[pods.Pod]:
    """The pods of a node, read again as long as one that is just being started may have one of the addresses."""
    deadline = time.monotonic() + min(seconds, ADDRESS_SECONDS)
    while True:
        current = list_pods(kube, node)
        starting = [pod for pod in current if pods.uses_cni(pod) and not pods.addresses_of(pod) and not pods.is_terminating(pod)]
        known = {address for pod in current for address in pods.addresses_of(pod)}
        if not starting or known.issuperset(addresses) or time.monotonic() + POLL_SECONDS >= deadline:
            return current
        time.sleep(POLL_SECONDS)


def recycle(kube: KubeClient, node: str, targets: t.Sequence[pods.Pod], timeout: float) -> Times:
    """Restart pods: delete those of DaemonSets, evict the others; wait until they are gone and the DaemonSets are Ready on the node again.

    :raises NotGone: when this is not so after C(timeout) seconds.
    """
    begin = time.monotonic()
    deadline = begin + timeout
    daemons = [pod for pod in targets if pods.owner_of(pod)[0] == "DaemonSet"]
    others = [pod for pod in targets if pods.owner_of(pod)[0] != "DaemonSet" and not pods.is_terminating(pod)]
    evictions = Evictions(kube, deadline)
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        deletions = [pool.submit(_delete_one, kube, pod) for pod in daemons]
        accepted = evictions.run(others)
        for deletion in deletions:
            deletion.result()
    if len(accepted) < len(others):
        raise NotGone(f"{evictions.text} ({timeout:.0f} s)", evictions.waiting, daemons + accepted)
    told = time.monotonic()
    gone = _wait_recycled(kube, node, targets, deadline)
    if isinstance(gone, dict):
        raise NotGone(f"were not there again after {timeout:.0f} s", gone, daemons + accepted)
    return Times(time.monotonic() - begin, gone - told)


def _wait_recycled(kube: KubeClient, node: str, targets: t.Sequence[pods.Pod], deadline: float) -> float | dict[str, str]:
    """When the last of the pods was gone, once the DaemonSets among their owners are Ready; at the deadline why this is not so, by pod."""
    owners = {pods.owner_of(pod)[2]: pods.name_of(pod) for pod in targets if pods.owner_of(pod)[0] == "DaemonSet"}
    uids = {pods.uid_of(pod) for pod in targets}
    gone_at: float | None = None
    while True:
        current = list_pods(kube, node)
        now = time.monotonic()
        left = [pod for pod in current if pods.uid_of(pod) in uids and not pods.is_finished(pod)]
        gone_at = now if gone_at is None and not left else gone_at
        ready = {pods.owner_of(pod)[2] for pod in current if pods.is_ready(pod) and not pods.is_terminating(pod)}
        absent = [name for owner, name in owners.items() if owner not in ready]
        if gone_at is not None and not absent:
            return gone_at
        if now + POLL_SECONDS >= deadline:
            blocked = dict.fromkeys(absent, f"its DaemonSet has no Ready pod on {node} again")
            return {**blocked, **{pods.name_of(pod): _why_still_there(pod) for pod in left}}
        time.sleep(POLL_SECONDS)
