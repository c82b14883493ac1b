# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube import evict
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import error_of
from ansible_collections.podnet.cni.plugins.modules import node_evict
from ansible_collections.podnet.cni.plugins.modules.node_evict import CORDONED_BY, Evictor, Failure

NODE = "/api/v1/nodes/n1"
DEFAULTS = {
    "node": "n1",
    "addresses": [],
    "timeout": 0.3,
    "delete_emptydir_data": False,
    "force": False,
    "include_host_network": False,
    "linger_seconds": 0.0,
    "patience": None,
}


def pod(name, owner="ReplicaSet", address="10.244.1.5", ready=True, **spec):
    item = {
        "metadata": {"name": name, "namespace": "demo"},
        "spec": {"nodeName": "n1", **spec},
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}] if address else [],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }
    if owner:
        item["metadata"]["ownerReferences"] = [{"controller": True, "kind": owner, "name": f"{owner}-of-{name}", "uid": f"owner-{name}"}]
    return item


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(evict, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(evict, "RETRY_SECONDS", 0.01)


@pytest.fixture
def cluster(kube):
    """A node whose pods end as soon as they are evicted or deleted."""
    kube.add("/api/v1/nodes", {"metadata": {"name": "n1"}, "spec": {}})

    @kube.on
    def evicted(method, path, body):
        if method == "POST" and path.endswith("/eviction"):
            kube.objects.pop(path[: -len("/eviction")])
            return {"status": "Success"}
        return None

    return kube


def put(kube, *pods):
    for item in pods:
        kube.add("/api/v1/namespaces/demo/pods", item)


def run(kube, state, check_mode=False, **params):
    return Evictor(kube, {**DEFAULTS, **params, "state": state}, check_mode).run()


def names(pods):
    return [item["name"] for item in pods]


def test_the_node_must_exist(cluster):
    with pytest.raises(Failure, match="node: the cluster has no node 'n9'; use a name"):
        Evictor(cluster, {**DEFAULTS, "node": "n9", "state": "cordoned"}, False)


def test_cordon_and_uncordon(cluster):
    first = run(cluster, "cordoned")
    assert first["changed"]
    assert first["cordoned"]
    assert first["diff"]["after"]["unschedulable"] is True
    assert cluster.objects[NODE]["spec"]["unschedulable"] is True
    assert cluster.objects[NODE]["metadata"]["annotations"] == {CORDONED_BY: "true"}
    assert not run(cluster, "cordoned")["changed"]
    assert run(cluster, "schedulable")["changed"]
    assert "unschedulable" not in cluster.objects[NODE]["spec"]
    assert cluster.objects[NODE]["metadata"]["annotations"] == {}
    assert not run(cluster, "schedulable")["changed"]


def test_the_cordon_of_somebody_else_stays(cluster):
    cluster.objects[NODE]["spec"]["unschedulable"] = True
    put(cluster, pod("web"))
    assert run(cluster, "drained")["cordoned"]
    results = run(cluster, "schedulable")
    assert not results["changed"]
    assert results["cordoned"]
    assert cluster.objects[NODE]["spec"]["unschedulable"] is True


def test_a_mark_that_was_left_behind_goes(cluster):
    """Else the next cordon of somebody else would be taken for ours."""
    cluster.objects[NODE]["metadata"]["annotations"] = {CORDONED_BY: "true"}
    assert run(cluster, "schedulable")["changed"]
    assert cluster.objects[NODE]["metadata"]["annotations"] == {}


def test_drain_takes_what_moves_and_tells_what_stays(cluster):
    finished = pod("job")
    finished["status"]["phase"] = "Succeeded"
    mirror = pod("static", owner="Node")
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    put(
        cluster,
        pod("web"),
        pod("agent", "DaemonSet", "10.244.1.7"),
        pod("proxy", "DaemonSet", "172.30.1.11", hostNetwork=True),
        pod("edge", hostNetwork=True),
        finished,
        mirror,
    )
    results = run(cluster, "drained")
    assert names(results["evicted"]) == ["web"]
    assert results["remaining"] == [
        {"namespace": "demo", "name": "agent", "uid": "uid-agent", "address": "10.244.1.7", "owner": "DaemonSet/DaemonSet-of-agent"}
    ]
    assert results["changed"]
    assert results["cordoned"]
    assert results["seconds"] >= results["seconds_waiting_termination"] >= 0
    assert "/api/v1/namespaces/demo/pods/edge" in cluster.objects
    again = run(cluster, "drained")
    assert not again["changed"]
    assert names(again["remaining"]) == ["agent"]


def test_pods_of_the_host_network_only_when_asked(cluster):
    put(cluster, pod("edge", hostNetwork=True), pod("proxy", "DaemonSet", hostNetwork=True))
    assert names(run(cluster, "drained", include_host_network=True)["evicted"]) == ["edge"]


def test_a_pod_that_was_placed_during_the_cordon_is_evicted_too(cluster):
    put(cluster, pod("web"))
    late = [pod("late")]

    @cluster.on
    def placed(method, path, body):
        if method == "POST" and late:
            put(cluster, late.pop())
        return

    cluster.hooks.reverse()
    assert names(run(cluster, "drained")["evicted"]) == ["web", "late"]


def test_consent_is_asked_for_all_at_once_before_anything_changes(cluster):
    put(cluster, pod("web"), pod("alone", owner=None), pod("cache", volumes=[{"name": "x", "emptyDir": {}}]))
    with pytest.raises(Failure) as caught:
        run(cluster, "drained")
    text = str(caught.value)
    assert all(word in text for word in ("nothing was changed", "demo/alone", "set force", "demo/cache", "set delete_emptydir_data"))
    assert cluster.writes() == []
    results = run(cluster, "drained", force=True, delete_emptydir_data=True)
    assert sorted(names(results["evicted"])) == ["alone", "cache", "web"]


def test_check_mode_evicts_nothing(cluster):
    put(cluster, pod("web"), pod("agent", "DaemonSet"))
    results = run(cluster, "drained", check_mode=True)
    assert results["changed"]
    assert results["cordoned"]
    assert names(results["evicted"]) == ["web"]
    assert names(results["remaining"]) == ["agent"]
    assert results["diff"]["before"] == {"unschedulable": False, "pods": ["web"]}
    assert cluster.writes() == []


def budget(times):
    """Refuse evictions so many times."""
    left = [times]

    def refuse(method, path, body):
        if path.endswith("/eviction") and left[0]:
            left[0] -= 1
            raise error_of(429, "TooManyRequests", "The disruption budget web needs 2 healthy pods and has 2 currently", path, 0.0)
        return

    return refuse


def test_a_budget_is_waited_for(cluster):
    put(cluster, pod("web"))
    cluster.hooks.insert(0, budget(3))
    assert names(run(cluster, "drained")["evicted"]) == ["web"]


def test_pods_that_a_budget_holds_back_are_left_for_later(cluster):
    put(cluster, pod("web", address="10.244.1.7"), pod("db", address="10.244.1.8"))
    cluster.hooks.insert(0, lambda method, path, body: budget(-1)(method, path, body) if "/web/" in path else None)
    results = run(cluster, "drained", timeout=5.0, patience=0.0)
    assert names(results["evicted"]) == ["db"]
    assert [(item["name"], item["address"]) for item in results["remaining"]] == [("web", "10.244.1.7")]
    assert list(results["blocked"]) == ["demo/web"]
    assert results["cordoned"]
    cluster.hooks.pop(0)
    assert names(run(cluster, "recycled", addresses=["10.244.1.7"])["recycled"]) == ["web"]
    assert "/api/v1/namespaces/demo/pods/web" not in cluster.objects


def test_patience_that_is_long_enough_leaves_nothing(cluster):
    put(cluster, pod("web"))
    cluster.hooks.insert(0, budget(2))
    results = run(cluster, "drained", timeout=5.0, patience=4.0)
    assert (names(results["evicted"]), results["remaining"], results["blocked"]) == (["web"], [], {})


def test_patience_as_long_as_the_time_is_none(cluster):
    put(cluster, pod("web"))
    cluster.hooks.insert(0, budget(-1))
    with pytest.raises(Failure, match="could not be evicted in time"):
        run(cluster, "drained", timeout=0.1, patience=0.1)


def test_pods_that_come_while_others_wait_are_evicted_too(cluster):
    put(cluster, pod("web", address="10.244.1.7"))
    late = [pod("late", address="10.244.1.9")]

    def scheduled(method, path, body):
        if path.endswith("/web/eviction") and late:
            put(cluster, late.pop())
        return budget(-1)(method, path, body) if "/web/" in path else None

    cluster.hooks.insert(0, scheduled)
    results = run(cluster, "drained", timeout=5.0, patience=0.0)
    assert names(results["remaining"]) == ["web"]
    assert "late" in names(results["evicted"])


def test_a_budget_that_never_allows_is_told_and_the_cordon_undone(cluster):
    put(cluster, pod("web"), pod("free"))
    cluster.hooks.insert(0, lambda method, path, body: budget(1)(method, path, body) if "/web/" in path else None)
    with pytest.raises(Failure, match="1 pod.s. could not be evicted in time .0 s.: demo/web: The disruption budget web needs 2") as caught:
        run(cluster, "drained")
    results = caught.value.results
    assert list(results["blocked"]) == ["demo/web"]
    assert names(results["evicted"]) == ["free"]
    assert results["changed"]
    assert not results["cordoned"]
    assert "unschedulable" not in cluster.objects[NODE]["spec"]


def test_a_node_that_was_cordoned_before_stays_so_after_a_failure(cluster):
    run(cluster, "cordoned")
    put(cluster, pod("web"))
    cluster.hooks.insert(0, budget(-1))
    with pytest.raises(Failure):
        run(cluster, "drained")
    assert cluster.objects[NODE]["spec"]["unschedulable"] is True


def test_what_is_forbidden_is_not_tried_until_the_deadline(cluster):
    put(cluster, pod("web"))

    @cluster.on
    def forbid(method, path, body):
        if path.endswith("/eviction"):
            raise error_of(403, "Forbidden", "user may not create pods/eviction", path)
        return

    cluster.hooks.reverse()
    with pytest.raises(Failure, match="may not be evicted .*user may not create pods/eviction"):
        run(cluster, "drained", timeout=600.0)


def test_a_pod_that_does_not_end_is_told_with_its_finalizers(kube):
    kube.add("/api/v1/nodes", {"metadata": {"name": "n1"}, "spec": {}})
    stuck = pod("stuck")
    stuck["metadata"].update(deletionTimestamp="2026-11-24T00:00:00Z", finalizers=["example.org/hold"])
    put(kube, stuck)
    with pytest.raises(Failure, match=r"were still there after 0 s: demo/stuck: has finalizers example.org/hold"):
        run(kube, "drained")
    assert not [path for method, path in kube.writes() if path.endswith("/eviction")]


def test_an_eviction_of_a_pod_that_has_gone_counts(cluster):
    put(cluster, pod("web"))

    @cluster.on
    def gone(method, path, body):
        if path.endswith("/eviction"):
            assert body["deleteOptions"]["preconditions"] == {"uid": "uid-web"}
            del cluster.objects["/api/v1/namespaces/demo/pods/web"]
            raise error_of(409, "Conflict", "the UID in the Precondition does not match", path)
        return

    cluster.hooks.reverse()
    assert names(run(cluster, "drained")["evicted"]) == ["web"]


def replace_daemons(kube, ready=True):
    """The DaemonSet controller: a new pod for each one that is deleted."""

    def hook(method, path, body):
        if method == "DELETE":
            kube.objects.pop(path)
            put_new = pod(path.rsplit("/", 1)[1], "DaemonSet", "10.244.1.90", ready)
            put_new["metadata"]["uid"] = "new"
            put(kube, put_new)
            return {}
        return None

    kube.hooks.insert(0, hook)


def test_recycle_restarts_only_pods_with_the_addresses(cluster):
    put(cluster, pod("agent", "DaemonSet", "10.244.1.7"), pod("other", "DaemonSet", "10.244.1.8"), pod("web", address="10.244.1.9"))
    replace_daemons(cluster)
    results = run(cluster, "recycled", addresses=["10.244.1.7", "10.244.1.9", "10.244.1.200"])
    assert sorted(names(results["recycled"])) == ["agent", "web"]
    assert results["changed"]
    assert cluster.objects["/api/v1/namespaces/demo/pods/agent"]["metadata"]["uid"] == "new"
    assert cluster.objects["/api/v1/namespaces/demo/pods/other"]["metadata"]["uid"] == "uid-other"
    assert not run(cluster, "recycled", addresses=["10.244.1.7"])["changed"]


def test_recycle_without_addresses_asks_nothing(cluster):
    assert not run(cluster, "recycled")["changed"]
    assert [method for method, *rest in cluster.log] == ["GET"]


def test_recycle_in_check_mode(cluster):
    put(cluster, pod("agent", "DaemonSet", "10.244.1.7"))
    results = run(cluster, "recycled", check_mode=True, addresses=["10.244.1.7"])
    assert names(results["recycled"]) == ["agent"]
    assert cluster.writes() == []


def test_recycle_waits_for_a_ready_replacement(cluster):
    put(cluster, pod("agent", "DaemonSet", "10.244.1.7"))
    replace_daemons(cluster, ready=False)
    with pytest.raises(Failure, match="its DaemonSet has no Ready pod on n1 again") as caught:
        run(cluster, "recycled", addresses=["10.244.1.7"])
    assert names(caught.value.results["recycled"]) == ["agent"]
    assert list(caught.value.results["blocked"]) == ["demo/agent"]


def test_recycle_waits_for_the_address_of_a_pod_that_is_being_started(cluster):
    put(cluster, pod("agent", "DaemonSet", ""))
    replace_daemons(cluster)
    lists = []

    @cluster.on
    def started(method, path, body):
        if path == "/api/v1/pods":
            lists.append(path)
            if len(lists) == 3:
                put(cluster, pod("agent", "DaemonSet", "10.244.1.7"))
        return

    assert names(run(cluster, "recycled", addresses=["10.244.1.7"])["recycled"]) == ["agent"]


@pytest.fixture
def slow_cluster(kube):
    """A node whose pods are told to end and stay as long as their grace period lasts: longer than any test."""
    kube.add("/api/v1/nodes", {"metadata": {"name": "n1"}, "spec": {}})

    @kube.on
    def evicted(method, path, body):
        if method == "POST" and path.endswith("/eviction"):
            item = kube.objects[path[: -len("/eviction")]]
            item["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z", deletionGracePeriodSeconds=item["spec"].get("grace", 30))
            return {"status": "Success"}
        return None

    return kube


def test_pods_that_end_soon_are_not_waited_for(slow_cluster):
    put(slow_cluster, pod("web", address="10.244.1.7"), pod("agent", "DaemonSet", "10.244.1.8"))
    results = run(slow_cluster, "drained", linger_seconds=30.0)
    assert names(results["evicted"]) == ["web"]
    assert sorted((item["name"], item["address"]) for item in results["remaining"]) == [("agent", "10.244.1.8"), ("web", "10.244.1.7")]


def test_pods_that_end_late_are_waited_for(slow_cluster):
    put(slow_cluster, pod("web", address="10.244.1.7"), pod("batch", address="10.244.1.9", grace=31))
    with pytest.raises(Failure, match=r"demo/batch: does not terminate \(its grace period is 31 s\)") as caught:
        run(slow_cluster, "drained", linger_seconds=30.0)
    assert list(caught.value.results["blocked"]) == ["demo/batch"]


def test_recycle_waits_for_pods_that_are_ending_and_does_not_call_them_restarted(slow_cluster):
    put(slow_cluster, pod("web", address="10.244.1.7"))
    run(slow_cluster, "drained", linger_seconds=30.0)
    with pytest.raises(Failure, match="demo/web: does not terminate"):
        run(slow_cluster, "recycled", addresses=["10.244.1.7"])
    del slow_cluster.objects["/api/v1/namespaces/demo/pods/web"]
    results = run(slow_cluster, "recycled", addresses=["10.244.1.7"])
    assert results["recycled"] == []
    assert not results["changed"]


def test_times_must_be_durations(monkeypatch):
    class Module:
        params = {**DEFAULTS, "state": "cordoned", "timeout": 0}

        def fail_json(self, msg):
            raise SystemExit(msg)

    monkeypatch.setattr(node_evict, "AnsibleModule", lambda **dummy: Module())
    with pytest.raises(SystemExit, match="timeout: 0 is not a duration; give seconds greater than 0"):
        node_evict.main()
