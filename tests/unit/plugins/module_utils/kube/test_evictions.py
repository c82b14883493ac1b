# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evictions that the API does not simply accept; M(podnet.cni.node_evict) has the rest."""

from __future__ import annotations

import time

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube import errors, evict
from hypothesis import given
from hypothesis import strategies as st

TWO_BUDGETS = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(evict, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(evict, "RETRY_SECONDS", 0.01)


def pod(name, owner="ReplicaSet", **spec):
    owners = [{"controller": True, "kind": owner, "name": "o", "uid": "o"}] if owner else []
    return {
        "metadata": {"name": name, "namespace": "demo", "uid": f"uid-{name}", "ownerReferences": owners},
        "spec": {"nodeName": "n1", **spec},
        "status": {"phase": "Running"},
    }


def answers(kube, *replies):
    """What the API says to evictions, the last one for ever: errors by status, reason and message, or success."""
    left = list(replies)

    @kube.on
    def hook(method, path, body):
        if method != "POST":
            return None
        reply = left.pop(0) if len(left) > 1 else left[0]
        if reply is None:
            return {"status": "Success"}
        raise errors.error_of(*reply[:3], path, *reply[3:])


def run(kube, *pods, seconds=0.2):
    evictions = evict.Evictions(kube, time.monotonic() + seconds)
    return [item["metadata"]["name"] for item in evictions.run(pods)], evictions


def test_what_the_server_cannot_do_now_is_tried_again(kube):
    answers(kube, (500, "InternalError", "etcd is away"), (409, "Conflict", "try again"), (429, "TooManyRequests", "a budget", 0.0), None)
    accepted, evictions = run(kube, pod("a"), seconds=5)
    assert (accepted, evictions.waiting) == (["a"], {})
    assert kube.calls == 4


def test_the_last_reason_is_told_when_the_time_is_over(kube):
    answers(kube, (500, "InternalError", TWO_BUDGETS))
    accepted, evictions = run(kube, pod("a"))
    assert accepted == []
    assert evictions.waiting == {"demo/a": f"/api/v1/namespaces/demo/pods/a/eviction: {TWO_BUDGETS}"}
    assert evictions.text == "could not be evicted in time"


def test_a_pod_that_was_replaced_by_another_of_its_name_counts_as_evicted(kube):
    answers(kube, (409, "Conflict", "Precondition failed: UID in precondition: uid-a, UID in object meta: other"))
    assert run(kube, pod("a"))[0] == ["a"]


def test_one_that_is_forbidden_stops_the_others_that_wait(kube):
    @kube.on
    def hook(method, path, body):
        if "/a/" in path:
            raise errors.error_of(403, "Forbidden", "no right to create pods/eviction", path)
        raise errors.error_of(429, "TooManyRequests", "a budget", path, 0.0)

    began = time.monotonic()
    accepted, evictions = run(kube, pod("a"), pod("b"), seconds=30)
    assert time.monotonic() - began < 10
    assert accepted == []
    assert set(evictions.waiting) == {"demo/a", "demo/b"}
    assert evictions.text == "may not be evicted"


PODS = st.builds(
    lambda name, owner, host, mirror, phase: {
        "metadata": {
            "name": name,
            "namespace": "demo",
            "ownerReferences": [{"controller": True, "kind": owner, "name": "o"}] if owner else [],
            "annotations": {"kubernetes.io/config.mirror": "x"} if mirror else {},
        },
        "spec": {"hostNetwork": host},
        "status": {"phase": phase},
    },
    st.text(alphabet="ab", min_size=1, max_size=3),
    st.sampled_from(["DaemonSet", "ReplicaSet", "Job", None]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["Running", "Pending", "Succeeded", "Failed"]),
)


@given(st.lists(PODS, max_size=8), st.booleans())
def test_each_pod_is_evicted_or_stays_or_is_none_of_our_business(pods, include_host_network):
    selection = evict.select_for_drain(pods, include_host_network)
    chosen = [*map(id, selection.evict), *map(id, selection.stay)]
    assert len(chosen) == len(set(chosen))
    for item in pods:
        daemon = item["metadata"]["ownerReferences"][:1] and item["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet"
        over = item["metadata"]["annotations"] or item["status"]["phase"] in ("Succeeded", "Failed")
        host = item["spec"]["hostNetwork"]
        assert (id(item) in map(id, selection.evict)) == (not over and not daemon and (include_host_network or not host))
        assert (id(item) in map(id, selection.stay)) == (not over and bool(daemon) and not host)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0, errors.Unreachable),
        (400, errors.Invalid),
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (410, errors.KubeError),
        (413, errors.KubeError),
        (422, errors.Invalid),
        (429, errors.TooManyRequests),
        (500, errors.Unreachable),
        (503, errors.Unreachable),
    ],
)
def test_errors_by_status(status, kind):
    error = errors.error_of(status, "Reason", "", "/path")
    assert error.__class__ == kind
    assert str(error) == "/path: Reason"
    assert str(errors.error_of(status, "", "", "/path")) == f"/path: {status}"
    assert str(errors.error_of(status, "Reason", "what happened", "/path")) == "/path: what happened"


@pytest.mark.parametrize(("asked", "waits"), [(None, 1.0), (0.0, 0.0), (7.5, 7.5)])
def test_how_long_the_server_asks_to_wait(asked, waits):
    assert errors.error_of(429, "", "", "/path", asked).retry_after == waits
