# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read BGP sessions from the nodes: through CalicoNodeStatus objects, and error texts from BIRD in calico-node's pods."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_resources
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_sessions import (
    Expected,
    Session,
    missing_sessions,
    parse_birdcl,
    sessions_of_status,
)
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, KubeError, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._kube.rollout import pod_problem

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

UPDATE_SECONDS = 1
POLL_SECONDS = 0.5
REPORT_SECONDS = 15.0
"""When a node has reported nothing for this long, BIRD is asked directly."""
CALICO_NODE = "calico-node"
MOST_NODES_ASKED = 10
_BIRDCL = (
    "birdcl -s /var/run/calico/bird.ctl show protocols all;"
    " test ! -S /var/run/calico/bird6.ctl || birdcl -s /var/run/calico/bird6.ctl show protocols all"
)


class StatusObjects:
    """CalicoNodeStatus objects that make calico-node of each node report its sessions each second, removed on exit.

    calico-node only writes what has changed (projectcalico/calico:node/pkg/status/reporter.go), so that C(lastUpdated) is no sign of
    life: fresh objects make it report once for certain.
    """

    def __init__(self, kube: KubeClient, api: str, peer: str, nodes: t.Iterable[str]) -> None:
        self.kube = kube
        self.api = api
        self.names = {node: f"podnet-{peer}-{node}"[:253].rstrip("-.") for node in sorted(set(nodes))}
        self.created: list[str] = []

    def __enter__(self) -> StatusObjects:
        collection = calico_resources.path_of(self.api, "CalicoNodeStatus")
        try:
            for node, name in self.names.items():
                spec = {"node": node, "classes": ["BGP"], "updatePeriodSeconds": UPDATE_SECONDS}
                document = calico_resources.document(self.api, "CalicoNodeStatus", name, spec)
                try:
                    self.kube.create(collection, document)
                except Conflict:  # left behind by a run that was killed
                    self.kube.delete(f"{collection}/{name}")
                    self.kube.create(collection, document)
                self.created.append(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *dummy: object) -> None:
        for name in self.created:
            with contextlib.suppress(NotFound):
                self.kube.delete(calico_resources.path_of(self.api, "CalicoNodeStatus", name))

    def read(self) -> tuple[list[Session], set[str]]:
        """The sessions, and the nodes that have reported."""
        names = set(self.names.values())
        statuses = [
            item
            for item in self.kube.list(calico_resources.path_of(self.api, "CalicoNodeStatus"))
            if item["metadata"]["name"] in names and (item.get("status") or {}).get("lastUpdated")
        ]
        return [session for status in statuses for session in sessions_of_status(status)], {status["spec"]["node"] for status in statuses}


def calico_pods(kube: KubeClient) -> dict[str, t.Mapping[str, t.Any]]:
    """The pod of calico-node on each node, in whatever namespace."""
    return {
        pod["spec"]["nodeName"]: pod
        for pod in kube.list("/api/v1/pods", label_selector=f"k8s-app={CALICO_NODE}")
        if pod["spec"].get("nodeName") and not pod["metadata"].get("deletionTimestamp")
    }


def ask_bird(kube: KubeClient, pods: t.Mapping[str, t.Mapping[str, t.Any]], node: str) -> tuple[list[Session], str | None]:
    """The sessions of a node as BIRD tells them, or why it could not be asked."""
    pod = pods.get(node)
    if pod is None:
        return [], "calico-node does not run there"
    try:
        output = kube.run_in_pod(pod["metadata"]["namespace"], pod["metadata"]["name"], CALICO_NODE, ["sh", "-c", _BIRDCL])
    except KubeError as exc:
        problem = pod_problem(pod)
        return [], f"calico-node is not Ready: {problem}" if problem else f"BIRD could not be asked: {exc}"
    sessions = parse_birdcl(output, node)
    if not sessions and "name" not in output:
        return [], f"BIRD does not answer: {output.strip()[:200]}"
    return sessions, None


def with_reasons(kube: KubeClient, missing: list[Session]) -> list[Session]:
    """The missing sessions with BIRD's own error texts; without rights to run birdcl the states alone have to explain."""
    pods = calico_pods(kube)
    told: dict[tuple[str, str], Session] = {}
    problems: dict[str, str] = {}
    for node in sorted({session["node"] for session in missing})[:MOST_NODES_ASKED]:
        sessions, problem = ask_bird(kube, pods, node)
        told.update({(node, session["peer"]): session for session in sessions})
        if problem:
            problems[node] = problem
    result: list[Session] = []
    for session in missing:
        better = told.get((session["node"], session["peer"]), session)
        if better["state"] is None and session["node"] in problems:
            better = t.cast(Session, {**better, "why": problems[session["node"]]})
        result.append(better)
    return result


class Outcome(t.NamedTuple):
    """What waiting came to: all expected sessions, and those that are not Established, with reasons."""

    sessions: list[Session]
    missing: list[Session]
    seconds: float


def wait_for_sessions(kube: KubeClient, api: str, peer: str, expected: t.Sequence[Expected], timeout: float) -> Outcome:
    """Wait until all expected sessions are Established, or the time is over."""
    started = time.monotonic()
    wanted = {(entry.node, entry.peer) for entry in expected}
    nodes = {entry.node for entry in expected}
    with StatusObjects(kube, api, peer, nodes) as statuses:
        asked_at = 0.0
        direct: dict[str, list[Session]] = {}
        while True:
            sessions, reported = statuses.read()
            now = time.monotonic()
            silent = nodes - reported
            if silent and now - started >= REPORT_SECONDS and now - asked_at >= REPORT_SECONDS / 3:
                asked_at = now
                pods = calico_pods(kube)
                direct = {node: ask_bird(kube, pods, node)[0] for node in silent}
            sessions += [session for node in silent for session in direct.get(node, [])]
            missing = missing_sessions(expected, sessions)
            if not missing or now - started >= timeout:
                break
            time.sleep(POLL_SECONDS)
    mine = [session for session in sessions if (session["node"], session["peer"]) in wanted]
    return Outcome(mine, with_reasons(kube, missing) if missing else [], time.monotonic() - started)
