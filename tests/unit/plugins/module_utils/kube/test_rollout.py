# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube import rollout


def daemonset(**status):
    counts = {"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": 3}
    return {"metadata": {"name": "d", "namespace": "ns", "generation": 2}, "spec": {}, "status": {**counts, **status}}


def test_rolled_out():
    assert rollout.is_rolled_out(daemonset())


@pytest.mark.parametrize("status", [{"observedGeneration": 1}, {"updatedNumberScheduled": 2}, {"numberReady": 2}, {"desiredNumberScheduled": 0}])
def test_not_rolled_out(status):
    assert not rollout.is_rolled_out(daemonset(**status))


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}}, "c waits: CrashLoopBackOff back-off"),
        ({"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}, "c ended with code 1: Error"),
        ({"state": {"running": {}}, "ready": False}, "c runs but is not ready"),
        ({"state": {}, "lastState": {"terminated": {"exitCode": 2}}, "restartCount": 4}, "restarted 4 times, last with code 2"),
    ],
)
def test_why_a_pod_is_not_ready(container, words):
    pod = {"metadata": {"name": "p"}, "status": {"containerStatuses": [{"name": "c", **container}]}}
    assert words in rollout.pod_problem(pod)


def test_other_reasons():
    assert rollout.pod_problem({"metadata": {}, "status": {"phase": "Pending"}}) == "phase Pending"
    condition = {"type": "PodScheduled", "status": "False", "message": "no node fits"}
    assert rollout.pod_problem({"metadata": {}, "status": {"conditions": [condition]}}) == "not scheduled: no node fits"
    ready = {"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert rollout.pod_problem(ready) is None
    assert rollout.pod_problem({**ready, "metadata": {"deletionTimestamp": "now"}}) is not None


def test_a_missing_pod_is_told(kube):
    kube.objects["/path"] = daemonset(numberReady=0)
    with pytest.raises(rollout.RolloutFailed, match="Ready on 0 of 3 nodes after 0.01 s. Its controller has not created all pods"):
        rollout.wait_for_rollout(kube, "/path", 0.01)
