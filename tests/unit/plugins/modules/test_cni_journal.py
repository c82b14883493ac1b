# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import error_of
from ansible_collections.podnet.cni.plugins.module_utils._run.journal import JournalError
from ansible_collections.podnet.cni.plugins.module_utils._run.lock import Locked
from ansible_collections.podnet.cni.plugins.modules.cni_journal import Keeper, option_problem

CONFIGMAP = "/api/v1/namespaces/kube-system/configmaps/podnet-cni-migration"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/podnet-cni-migration"
DEFAULTS = {
    "run": None,
    "node": None,
    "phase": None,
    "data": {},
    "backup": {},
    "lock_seconds": None,
    "force_unlock": False,
}
BEGIN = datetime.datetime(2026, 11, 24, 15, 0, 0, tzinfo=datetime.timezone.utc)


class Clock:
    seconds = 0

    def __call__(self):
        return BEGIN + datetime.timedelta(seconds=self.seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def call(kube, clock):
    def run(state, check_mode=False, **params):
        return Keeper(kube, {**DEFAULTS, **params, "state": state}, check_mode, clock).run()

    return run


def test_nothing_is_there_at_first(call, kube):
    results = call("read")
    assert results == {"changed": False, "exists": False, "run": {}, "nodes": {}, "backup": {}, "lock": None}
    assert kube.writes() == []


def test_a_run_from_lock_to_unlock(call, clock):
    locked = call("locked", run="r1", data={"started": "now", "plan": {"nodes": []}})
    assert locked["changed"]
    assert locked["lock"]["run"] == "r1"
    assert locked["lock"]["duration_seconds"] == 1800
    assert locked["run"] == {"run": "r1", "started": "now", "plan": {"nodes": []}, "at": "2026-11-24T15:00:00Z"}
    clock.seconds = 60
    assert call("written", run="r1", node="n1", phase="moved", data={"seconds": 4.5})["changed"]
    done = call("unlocked", run="r1", data={"finished": "then"})
    assert done["changed"]
    assert done["lock"] is None
    read = call("read")
    assert read["nodes"] == {"n1": {"run": "r1", "phase": "moved", "seconds": 4.5, "at": "2026-11-24T15:01:00Z"}}
    assert read["run"]["finished"] == "then"
    assert read["run"]["plan"] == {"nodes": []}


def test_the_same_again_changes_nothing_but_renews(call, kube, clock):
    call("locked", run="r1", data={"started": "now"}, lock_seconds=600)
    call("written", run="r1", node="n1", data={"seconds": 4.5})
    clock.seconds = 500
    assert not call("locked", run="r1", data={"started": "now"}, lock_seconds=600)["changed"]
    again = call("written", run="r1", node="n1", data={"seconds": 4.5})
    assert not again["changed"]
    assert "diff" not in again
    assert again["lock"]["age_seconds"] == 0
    assert again["lock"]["duration_seconds"] == 600
    assert again["nodes"]["n1"]["at"] == "2026-11-24T15:00:00Z"
    call("unlocked", run="r1")
    assert not call("unlocked", run="r1")["changed"]


def test_nodes_do_not_overwrite_each_other(call, kube):
    call("written", run="r1", node="n1", phase="moved")
    call("written", run="r1", node="n2", phase="failed")
    patch = [body for method, path, body, dummy in kube.log if method == "PATCH"][-1]
    assert list(patch["data"]) == ["node.n2.json"]
    assert {name: record["phase"] for name, record in call("read")["nodes"].items()} == {"n1": "moved", "n2": "failed"}


def test_a_new_run_keeps_the_history_of_the_one_before(call):
    call("locked", run="r1", data={"started": "a", "plan": "long"})
    call("unlocked", run="r1", data={"finished": "b"})
    record = call("locked", run="r2", data={"started": "c"})["run"]
    assert record["run"] == "r2"
    assert record["history"] == [{"run": "r1", "started": "a", "finished": "b"}]
    assert "plan" not in record


def test_another_run_is_refused_with_owner_and_age(call, clock):
    call("locked", run="r1")
    clock.seconds = 90
    for state in ("locked", "written", "unlocked", "absent"):
        with pytest.raises(Locked, match=r"run 'r1' of .+@.+ holds it, renewed 90 s ago.*expires in 1710 s, or set force_unlock"):
            call(state, run="r2")


def test_a_lock_that_has_expired_is_taken_over(kube, clock):
    Keeper(kube, {**DEFAULTS, "run": "r1", "state": "locked"}, False, clock).run()
    clock.seconds = 1801
    keeper = Keeper(kube, {**DEFAULTS, "run": "r2", "state": "locked"}, False, clock)
    assert keeper.run()["lock"]["run"] == "r2"
    assert keeper.lock.taken_over.run == "r1"
    assert kube.objects[LEASE]["spec"]["leaseTransitions"] == 2


def test_a_lock_whose_playbook_has_ended_is_taken_over(kube, clock):
    Keeper(kube, {**DEFAULTS, "run": "r1", "state": "locked"}, False, clock).run()
    kube.objects[LEASE]["metadata"]["annotations"]["podnet.cni/process"] = "here/1/2"
    keeper = Keeper(kube, {**DEFAULTS, "run": "r2", "state": "locked"}, False, clock)
    keeper.lock._has_ended = lambda process: process == "here/1/2"
    assert keeper.run()["lock"]["run"] == "r2"


def test_a_lock_is_taken_by_force(call):
    call("locked", run="r1")
    results = call("locked", run="r2", force_unlock=True)
    assert results["lock"]["run"] == "r2"
    assert results["diff"]["before"]["lock"] == "r1"


def test_two_at_the_same_moment_do_not_both_get_it(kube, clock):
    keeper = Keeper(kube, {**DEFAULTS, "run": "r1", "state": "locked"}, False, clock)
    others = [Keeper(kube, {**DEFAULTS, "run": "r2", "state": "locked"}, False, clock)]

    @kube.on
    def meanwhile(method, path, body):
        if method == "POST" and others:
            others.pop().run()
        return

    with pytest.raises(Locked, match="run 'r2'"):
        keeper.run()


def test_check_mode_writes_nothing(call, kube):
    results = call("locked", check_mode=True, run="r1", data={"started": "now"})
    assert results["changed"]
    assert results["exists"]
    assert kube.writes() == []
    call("locked", run="r1")
    writes = len(kube.writes())
    results = call("absent", check_mode=True, run="r1")
    assert results["changed"]
    assert not results["exists"]
    assert len(kube.writes()) == writes


def test_absent_removes_both(call, kube):
    call("locked", run="r1")
    call("unlocked", run="r1")
    assert call("absent")["changed"]
    assert CONFIGMAP not in kube.objects
    assert LEASE not in kube.objects
    assert not call("absent")["changed"]


def test_large_records_are_compressed_and_small_ones_can_be_read(call, kube):
    plan = {"nodes": [{"name": f"node-{number}", "blocks": ["10.244.0.0/26"] * 4} for number in range(1000)]}
    call("written", run="r1", data={"plan": plan}, backup={"flannel": {"objects": []}})
    configmap = kube.objects[CONFIGMAP]
    assert list(configmap["data"]) == ["backup.flannel.json"]
    assert len(configmap["binaryData"]["run.json.gz"]) < 20000
    assert call("read")["run"]["plan"] == plan
    assert not call("written", run="r1", data={"plan": plan})["changed"]
    call("written", run="r1", data={"plan": {}})
    assert "run.json" in kube.objects[CONFIGMAP]["data"]
    assert kube.objects[CONFIGMAP]["binaryData"] == {}
    assert call("read")["backup"] == {"flannel": {"objects": []}}


def test_a_name_that_is_no_key_is_refused(call):
    with pytest.raises(JournalError, match="'backup.a/b.json' is no name for a record; use letters"):
        call("written", run="r1", backup={"a/b": {}})


def test_a_full_journal_tells_the_remedy(call, kube):
    call("written", run="r1", node="n1")

    @kube.on
    def full(method, path, body):
        if method == "PATCH":
            raise error_of(422, "Invalid", "Too long: must have at most 1048576 bytes", path)
        return

    with pytest.raises(JournalError, match="Too long.*state=absent"):
        call("written", run="r1", node="n2")


def test_a_journal_that_was_edited_is_told(call, kube):
    call("written", run="r1", node="n1")
    kube.objects[CONFIGMAP]["data"]["node.n1.json"] = "{"
    with pytest.raises(JournalError, match="key node.n1.json is not readable.*state=absent"):
        call("read")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"state": "locked"}, ["run:", "does not say which run"]),
        ({"state": "written", "run": "r", "lock_seconds": 0}, ["lock_seconds: 0", "greater than 0"]),
        ({"state": "locked", "run": "r", "node": "n1"}, ["node: 'n1'", "state=written"]),
        ({"state": "read", "data": {"a": 1}}, ["data:", "state=read", "leave data out"]),
        ({"state": "absent", "backup": {"a": 1}}, ["backup:", "leave backup out"]),
    ],
)
def test_bad_options_are_named_with_remedy(params, words):
    problem = option_problem({**DEFAULTS, **params})
    assert problem
    assert all(word in problem for word in words)


def test_good_options_have_no_problem():
    assert option_problem({**DEFAULTS, "state": "written", "run": "r", "node": "n1", "data": {"a": 1}}) is None
    assert option_problem({**DEFAULTS, "state": "read"}) is None
