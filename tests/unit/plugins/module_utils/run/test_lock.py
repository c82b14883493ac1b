# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock under races; M(podnet.cni.cni_journal) has the rest."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, error_of
from ansible_collections.podnet.cni.plugins.module_utils._run import lock
from ansible_collections.podnet.cni.plugins.module_utils._run.lock import Lock, Locked

COLLECTION = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
LEASE = f"{COLLECTION}/podnet-cni-migration"
BEGIN = datetime.datetime(2026, 11, 24, 15, 0, 0, tzinfo=datetime.timezone.utc)


def new(kube, run, at=0, ended=(), seconds=None, dry_run=False):
    """A lock as a run sees it some seconds later; C(ended) are the processes that are known to have ended."""
    return Lock(
        kube, run, f"{run}@host", f"process-{run}", seconds, lambda process: process in ended, lambda: BEGIN + datetime.timedelta(seconds=at), dry_run
    )


def refuse(kube, method, error, times=1):
    """Let some requests fail."""
    left = [times]

    @kube.on
    def hook(asked, path, body):
        if asked == method and left[0]:
            left[0] -= 1
            raise error_of(*error, path)


def test_a_lock_belongs_to_one_run_until_it_is_released(kube):
    assert new(kube, "r1").acquire()
    assert not new(kube, "r1", 10).acquire()
    with pytest.raises(Locked):
        new(kube, "r2", 20).acquire()
    assert new(kube, "r1", 30).release()
    assert not new(kube, "r1", 30).release()
    assert new(kube, "r2", 40).acquire()
    assert new(kube, "r2", 40).holder().owner == "r2@host"


def test_a_renewal_moves_the_end_but_not_the_beginning(kube):
    new(kube, "r1", seconds=60).acquire()
    new(kube, "r1", 50).renew()
    holder = new(kube, "r1", 100).holder()
    assert (holder.age, holder.duration, holder.expired) == (50, 60, False)
    assert holder.acquired == "2026-11-24T15:00:00.000000Z"
    assert new(kube, "r1", 111).holder().expired


def test_a_run_whose_lock_was_taken_over_may_not_write_any_more(kube):
    new(kube, "r1", seconds=60).acquire()
    late = new(kube, "r2", 61)
    assert late.acquire()
    assert late.taken_over.run == "r1"
    with pytest.raises(Locked, match="run 'r2' of r2@host holds it, renewed 9 s ago"):
        new(kube, "r1", 70).renew()


def test_the_lock_of_a_playbook_that_is_known_to_have_ended_does_not_count(kube):
    new(kube, "r1").acquire()
    late = new(kube, "r2", 5, ended={"process-r1"})
    late.refuse_others(late.holder())
    assert late.release()
    assert LEASE not in kube.objects


def test_without_any_lock_a_renewal_does_nothing(kube):
    new(kube, "r1").renew()
    assert kube.writes() == []


def test_a_renewal_at_the_same_moment_as_another_of_the_same_run_is_enough(kube):
    new(kube, "r1").acquire()
    refuse(kube, "PUT", (409, "Conflict", "the object has been modified"))
    new(kube, "r1", 10).renew()
    assert new(kube, "r1", 10).holder().age == 10


@pytest.mark.parametrize("error", [(409, "Conflict", "modified"), (404, "NotFound", "gone")])
def test_a_lock_that_changes_meanwhile_is_read_again(kube, error):
    new(kube, "r1", seconds=1).acquire()
    refuse(kube, "PUT", error, times=4)
    assert new(kube, "r2", 10).acquire()


def test_a_lock_that_never_stays_the_same_ends_with_the_error(kube):
    new(kube, "r1", seconds=1).acquire()
    refuse(kube, "PUT", (409, "Conflict", "modified"), times=9)
    with pytest.raises(Conflict):
        new(kube, "r2", 10).acquire()
    assert new(kube, "r2", 10).holder().run == "r1"


def test_a_lock_that_is_gone_when_it_is_to_be_released_was_not_held(kube):
    new(kube, "r1").acquire()
    refuse(kube, "DELETE", (404, "NotFound", "gone"))
    assert not new(kube, "r1").release()


def test_only_with_force_the_lock_of_another_is_released(kube):
    new(kube, "r1").acquire()
    with pytest.raises(Locked, match="set force_unlock"):
        new(kube, "r2", 5).release()
    assert new(kube, "r2", 5).release(force=True)


def test_a_dry_run_takes_nothing(kube):
    assert new(kube, "r1", dry_run=True).acquire()
    assert LEASE not in kube.objects
    new(kube, "r1").acquire()
    assert new(kube, "r1", dry_run=True).release()
    assert LEASE in kube.objects


@pytest.mark.parametrize("spec", [None, {}, {"holderIdentity": ""}])
def test_a_lease_without_holder_is_free(kube, spec):
    kube.add(COLLECTION, {"metadata": {"name": "podnet-cni-migration"}, "spec": spec})
    assert new(kube, "r1").holder() is None
    assert new(kube, "r1").acquire()


def test_a_lease_that_kubectl_made_counts_as_expired_when_it_has_no_times(kube):
    kube.add(COLLECTION, {"metadata": {"name": "podnet-cni-migration"}, "spec": {"holderIdentity": "by hand"}})
    holder = new(kube, "r1").holder()
    assert (holder.owner, holder.expired) == ("unknown", True)
    assert new(kube, "r1").acquire()


@pytest.mark.parametrize(
    ("text", "year"), [("2026-11-24T15:00:00.123456Z", 2026), ("2026-11-24T15:00:00Z", 2026), ("yesterday", 1970), ("", 1970), (None, 1970)]
)
def test_times_of_leases(text, year):
    assert lock.parse_time(text).year == year


def test_times_are_written_as_they_are_read():
    when = datetime.datetime(2026, 11, 24, 16, 0, 0, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    assert lock.parse_time(lock.micro_time(when)) == when


def test_a_lock_of_this_process_names_its_owner(kube):
    mine = lock.new_lock(kube, "r1", False)
    assert mine.acquire()
    assert "@" in kube.objects[LEASE]["metadata"]["annotations"]["podnet.cni/owner"]
    assert mine.holder().duration == 1800


def test_the_age_is_judged_by_the_clock_of_the_api_server(kube):
    lock.new_lock(kube, "r1", False).acquire()
    kube.objects[LEASE]["metadata"]["annotations"][lock.PROCESS] = ""
    with pytest.raises(Locked):
        lock.new_lock(kube, "r2", False).acquire()
    kube.clock_offset = 3601.0
    holder = lock.new_lock(kube, "r2", False).holder()
    assert holder.expired
    assert 3590 < holder.age < 3700
