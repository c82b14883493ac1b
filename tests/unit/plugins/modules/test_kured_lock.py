# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube import kured
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import error_of
from ansible_collections.podnet.cni.plugins.modules.kured_lock import Failure, Keeper
from ansible_collections.podnet.cni.tests.unit.fakes.running import run_module

COLLECTION = "/apis/apps/v1/namespaces/kube-system/daemonsets"
PATH = f"{COLLECTION}/kured"
OWNER = "podnet.cni/r1"
DEFAULTS = {"state": "locked", "owner": OWNER, "ttl_seconds": 7200, "timeout": 0.0}
NOW = datetime.datetime(2026, 11, 28, 12, tzinfo=datetime.timezone.utc)
NODE_LOCK = '{"nodeID":"n2","metadata":{"unschedulable":false},"created":"2026-11-28T11:59:00.123456789Z","TTL":0}'


def daemonset(value=None, arguments=(), name="kured"):
    annotation = next((word.partition("=")[2] for word in arguments if "lock-annotation" in word), kured.ANNOTATION)
    return {
        "metadata": {"name": name, "namespace": "kube-system", "annotations": {annotation: value} if value else {}},
        "spec": {"template": {"spec": {"containers": [{"image": "ghcr.io/kubereboot/kured:1.17.1", "command": ["/usr/bin/kured"],
                                                       "args": list(arguments)}]}}},
    }  # fmt: skip


def other():
    return {
        "metadata": {"name": "agent", "namespace": "kube-system"},
        "spec": {"template": {"spec": {"containers": [{"image": "agent:1", "command": ["/agent"]}]}}},
    }


@pytest.fixture
def cluster(kube):
    kube.add(COLLECTION, other())
    kube.add(COLLECTION, daemonset())
    return kube


def keep(kube, check=False, sleep=lambda seconds: None, **params):
    return Keeper(kube, {**DEFAULTS, **params}, check, sleep).run()


def lock_of(kube, annotation=kured.ANNOTATION):
    return (kube.objects[PATH]["metadata"].get("annotations") or {}).get(annotation)


def test_a_cluster_without_kured(kube):
    kube.add(COLLECTION, other())
    assert keep(kube) == {"changed": False, "kured": [], "waited_seconds": 0.0}
    assert kube.writes() == []


def test_the_lock_is_taken_as_kured_would_and_given_back(cluster):
    assert keep(cluster)["changed"]
    lock = json.loads(lock_of(cluster))
    assert (lock["nodeID"], lock["TTL"], lock["metadata"]) == (OWNER, 7200 * 10**9, {"unschedulable": False})
    assert not keep(cluster)["changed"]
    assert keep(cluster, state="unlocked")["changed"]
    assert lock_of(cluster) is None
    assert not keep(cluster, state="unlocked")["changed"]


def test_check_mode_takes_nothing(cluster):
    results = keep(cluster, check=True)
    assert (results["changed"], lock_of(cluster)) == (True, None)
    assert results["diff"] == {"before": {"kube-system/kured": []}, "after": {"kube-system/kured": [OWNER]}}


def test_a_node_that_is_being_rebooted_is_waited_for(kube):
    kube.add(COLLECTION, daemonset(NODE_LOCK))
    with pytest.raises(Failure, match="kured has its lock .* for n2 "):
        keep(kube)
    assert json.loads(lock_of(kube))["nodeID"] == "n2"

    def sleep(seconds):
        kube.objects[PATH]["metadata"]["annotations"] = {}

    assert keep(kube, sleep=sleep, timeout=30)["changed"]


def test_the_lock_of_another_is_not_given_back(kube):
    kube.add(COLLECTION, daemonset(NODE_LOCK))
    assert not keep(kube, state="unlocked")["changed"]
    assert lock_of(kube) == NODE_LOCK


def test_a_kured_with_names_of_its_own(kube):
    kube.add(COLLECTION, daemonset(arguments=["--ds-name=kured", "--ds-namespace=kube-system", "--lock-annotation=example.org/lock"]))
    keep(kube)
    assert json.loads(lock_of(kube, "example.org/lock"))["nodeID"] == OWNER


def test_where_several_nodes_may_reboot_all_places_are_taken(kube):
    several = json.dumps({"maxOwners": 2, "locks": []})
    kube.add(COLLECTION, daemonset(several))
    keep(kube)
    lock = json.loads(lock_of(kube))
    assert (lock["maxOwners"], [entry["nodeID"] for entry in lock["locks"]]) == (2, [OWNER, f"{OWNER}#1"])
    assert not keep(kube)["changed"]
    assert keep(kube, state="unlocked")["changed"]


def test_somebody_who_was_quicker_is_seen(cluster):
    quicker = [True]

    @cluster.on
    def conflict(method, path, body):
        if method == "PATCH" and quicker.pop() if quicker else False:
            cluster.objects[PATH]["metadata"]["annotations"] = {kured.ANNOTATION: NODE_LOCK}
            raise error_of(409, "Conflict", "the object has been modified", path)

    with pytest.raises(Failure, match="n2"):
        keep(cluster)
    assert lock_of(cluster) == NODE_LOCK


@pytest.mark.parametrize(
    ("value", "owners"),
    [
        ("", []),
        (NODE_LOCK, ["n2"]),
        ('{"nodeID":"n2","created":"2026-11-28T10:00:00Z","TTL":1800000000000}', []),
        ('{"nodeID":"n2","created":"2026-11-28T11:45:00Z","TTL":1800000000000}', ["n2"]),
        ('{"maxOwners":2,"locks":[{"nodeID":"n2","created":"2026-11-28T11:45:00Z","TTL":0},{"nodeID":"n3"}]}', ["n2", "n3"]),
        ('{"maxOwners":2,"locks":null}', []),
        ("no JSON", ["somebody unknown"]),
        ("[1]", ["somebody unknown"]),
    ],
)
def test_who_has_the_lock(value, owners):
    assert [held.owner for held in kured.holders(value, NOW)] == owners


def test_what_it_returns_is_documented(monkeypatch, cluster):
    monkeypatch.setattr(KubeClient, "from_module", classmethod(lambda cls, module: cluster))
    assert run_module(monkeypatch, "kured_lock", state="locked", owner=OWNER)["kured"] == ["kube-system/kured"]
    assert "ttl_seconds: 5" in run_module(monkeypatch, "kured_lock", state="locked", owner=OWNER, ttl_seconds=5)["msg"]
    assert "timeout: -1" in run_module(monkeypatch, "kured_lock", state="locked", owner=OWNER, timeout=-1)["msg"]
