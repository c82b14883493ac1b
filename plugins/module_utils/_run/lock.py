# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time: a Lease in the cluster, as leader election uses them (kubernetes/api:coordination/v1/types.go).

A run that was stopped leaves its lock behind. It is taken over when it has expired, and at once when the playbook that holds it is
known to have ended: it ran on this machine, and its process is gone.
"""

from __future__ import annotations

import contextlib
import datetime
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._run import playbook_process

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

Lease = dict[str, t.Any]
DEFAULT_SECONDS = 1800
NAMESPACE = "kube-system"
NAME = "podnet-cni-migration"
OWNER = "podnet.cni/owner"
PROCESS = "podnet.cni/process"
_TRIES = 5


def utc_now() -> datetime.datetime:
    """The time."""
    return datetime.datetime.now(datetime.timezone.utc)


class Locked(Exception):
    """Another run holds the lock; the text says who, since when, and what to do."""


class Holder(t.NamedTuple):
    """Who holds the lock."""

    run: str
    owner: str
    process: str
    acquired: str
    renewed: str
    age: float
    """Seconds since it was renewed."""
    duration: float
    """Seconds after which it expires unless it is renewed."""

    @property
    def expired(self) -> bool:
        """Whether it counts no more."""
        return self.age > self.duration

    def facts(self) -> dict[str, t.Any]:
        """The holder in a module's results."""
        return {
            "run": self.run,
            "owner": self.owner,
            "acquired": self.acquired,
            "renewed": self.renewed,
            "age_seconds": round(self.age),
            "duration_seconds": self.duration,
            "expired": self.expired,
        }


def micro_time(when: datetime.datetime) -> str:
    """A time as Leases have it."""
    return when.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str | None) -> datetime.datetime:
    """A time of a Lease; the beginning of all times when there is none."""
    for form in ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.datetime.strptime(text or "", form).replace(tzinfo=datetime.timezone.utc)
        except ValueError:
            continue
    return datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def holder_of(lease: t.Mapping[str, t.Any] | None, now: datetime.datetime) -> Holder | None:
    """Who holds a Lease, None when nobody does."""
    spec = (lease or {}).get("spec") or {}
    if not lease or not spec.get("holderIdentity"):
        return None
    annotations = lease["metadata"].get("annotations") or {}
    return Holder(
        run=spec["holderIdentity"],
        owner=annotations.get(OWNER, "unknown"),
        process=annotations.get(PROCESS, ""),
        acquired=spec.get("acquireTime") or "",
        renewed=spec.get("renewTime") or "",
        age=(now - parse_time(spec.get("renewTime"))).total_seconds(),
        duration=float(spec.get("leaseDurationSeconds") or 0),
    )


class Lock:
    """The Lease, for one run."""

    def __init__(
        self,
        kube: KubeClient,
        run: str,
        owner: str,
        process: str,
        seconds: int | None,
        has_ended: t.Callable[[str], bool],
        now: t.Callable[[], datetime.datetime],
        dry_run: bool = False,
    ) -> None:
        self._kube = kube
        self._run = run
        self._annotations = {OWNER: owner, PROCESS: process}
        self._seconds = seconds
        self._has_ended = has_ended
        self._now = now
        self._dry_run = dry_run
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
        self._path = f"{self._collection}/{NAME}"
        self.taken_over: Holder | None = None
        """Whose lock was taken over, for a warning."""

    def holder(self) -> Holder | None:
        """Who holds it now."""
        return holder_of(self._kube.get_or_none(self._path), self._now())

    def _ours(self, holder: Holder | None) -> bool:
        return holder is not None and holder.run == self._run

    def _abandoned(self, holder: Holder) -> bool:
        return holder.expired or self._has_ended(holder.process)

    def refuse_others(self, holder: Holder | None) -> None:
        """Nobody but this run may hold it.

        :raises Locked: when somebody else does.
        """
        if holder is None or self._ours(holder) or self._abandoned(holder):
            return
        raise Locked(
            f"run: '{self._run}' does not have the lock (Lease {NAMESPACE}/{NAME}): run '{holder.run}' of {holder.owner} holds it, renewed "
            f"{holder.age:.0f} s ago. Wait until that run has ended; if it was stopped, the lock expires in "
            f"{max(0.0, holder.duration - holder.age):.0f} s, or set force_unlock to take it now"
        )

    def acquire(self, force: bool = False) -> bool:
        """Take or renew the lock; whether it was not held before.

        :raises Locked: when somebody else holds it.
        """
        for attempt in range(_TRIES):
            lease = self._kube.get_or_none(self._path)
            now = self._now()
            holder = holder_of(lease, now)
            if not force:
                self.refuse_others(holder)
            try:
                self._write(lease, holder, now)
            except (Conflict, NotFound):
                if attempt == _TRIES - 1:
                    raise
                continue
            if holder is not None and not self._ours(holder):
                self.taken_over = holder
            return not self._ours(holder)
        raise AssertionError("not reached")

    def _write(self, lease: Lease | None, holder: Holder | None, now: datetime.datetime) -> None:
        spec = dict((lease or {}).get("spec") or {})
        seconds = self._seconds or spec.get("leaseDurationSeconds") or DEFAULT_SECONDS
        spec.update(holderIdentity=self._run, leaseDurationSeconds=seconds, renewTime=micro_time(now))
        if not self._ours(holder):
            spec.update(acquireTime=micro_time(now), leaseTransitions=int(spec.get("leaseTransitions") or 0) + 1)
        body: Lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "annotations": self._annotations},
            "spec": spec,
        }
        if lease is None:
            self._kube.create(self._collection, body, dry_run=self._dry_run)
        else:
            body["metadata"]["resourceVersion"] = lease["metadata"]["resourceVersion"]
            self._kube.replace(self._path, body, dry_run=self._dry_run)

    def renew(self) -> None:
        """Keep the lock if this run has it. Nothing happens when nobody has it.

        :raises Locked: when somebody else has it.
        """
        lease = self._kube.get_or_none(self._path)
        now = self._now()
        holder = holder_of(lease, now)
        self.refuse_others(holder)
        if not self._ours(holder):
            return
        with contextlib.suppress(Conflict):  # another host of the same run renewed it at this moment
            self._write(lease, holder, now)

    def release(self, force: bool = False) -> bool:
        """Give the lock up; whether it was held.

        :raises Locked: when somebody else holds it.
        """
        lease = self._kube.get_or_none(self._path)
        holder = holder_of(lease, self._now())
        if lease is None or holder is None:
            return False
        if not force:
            self.refuse_others(holder)
        try:
            self._kube.delete(self._path, uid=lease["metadata"].get("uid"), dry_run=self._dry_run)
        except NotFound:
            return False
        return True


def new_lock(kube: KubeClient, run: str, dry_run: bool, seconds: int | None = None, now: t.Callable[[], datetime.datetime] | None = None) -> Lock:
    """The lock for a run of the playbook that this process belongs to; without C(seconds) a renewal keeps the duration.

    Without C(now) its age is judged by the API server's clock, since controllers whose clocks differ may share a cluster.
    """

    def server_now() -> datetime.datetime:
        return utc_now() + datetime.timedelta(seconds=kube.clock_offset)

    return Lock(kube, run, playbook_process.owner(), playbook_process.current(), seconds, playbook_process.has_ended, now or server_now, dry_run)
