#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cni_journal
short_description: Journal and lock of a migration, kept in the cluster
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - The journal is the ConfigMap C(podnet-cni-migration) in the namespace C(kube-system). Every node has a key of its own, so that nodes
    that are moved at the same time do not overwrite each other's records. Records of more than 32 KiB are compressed.
  - The lock is the Lease of the same name. Only one run holds it. It expires when it is not renewed, and every O(state=written) renews it.
  - A lock that was left behind by a playbook on this machine whose process has ended is taken over at once, with a warning.
  - Runs against the cluster's API, usually on the controller.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.actiongroup_kube
  - podnet.cni._kube
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - Renewing the lock and the time of a record are not counted as changes.
  platform:
    support: full
    platforms: posix
options:
  state:
    description:
      - V(read) returns the journal and who holds the lock.
      - V(locked) takes the lock for O(run) and puts O(data) into the record of the run.
      - V(written) writes the record of O(node), or of the run when no node is given, and O(backup), and renews the lock.
      - V(unlocked) puts O(data) into the record of the run and releases the lock.
      - V(absent) removes journal and lock.
    type: str
    choices: [read, locked, written, unlocked, absent]
    required: true
  run:
    description:
      - Identifier of the run. Required by all states but V(read) and V(absent).
    type: str
  node:
    description: Name of the node that the record is about.
    type: str
  phase:
    description: What the node or the run has reached, such as V(moved).
    type: str
  data:
    description:
      - What to record. The record of a node is replaced, so it holds what its last run did. Into the record of the run the keys are added.
    type: dict
    default: {}
  backup:
    description: Objects to keep, by name. Names have letters, digits, C(-), C(_) and C(.).
    type: dict
    default: {}
  lock_seconds:
    description:
      - Seconds after which the lock expires when it is not renewed. It must be longer than any step of a run.
      - Without it a renewal keeps the duration, and a new lock expires after 1800 seconds.
    type: int
  force_unlock:
    description: Consent to take or to remove the lock of another run.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Take the lock
  podnet.cni.cni_journal:
    state: locked
    run: 20261124T150000Z
    data:
      started: "2026-11-24T15:00:00Z"
  delegate_to: localhost

- name: Record that a node was moved
  podnet.cni.cni_journal:
    state: written
    run: 20261124T150000Z
    node: n1
    phase: moved
    data:
      seconds: 4.7
  delegate_to: localhost

- name: Read the journal
  podnet.cni.cni_journal:
    state: read
  delegate_to: localhost
  register: journal

- name: Release the lock
  podnet.cni.cni_journal:
    state: unlocked
    run: 20261124T150000Z
  delegate_to: localhost
"""

RETURN = r"""
exists:
  description: Whether there is a journal.
  returned: always
  type: bool
  sample: true
run:
  description: Record of the run with its identifier, what was recorded, and C(history) of the runs before.
  returned: always
  type: dict
  sample: {run: 20261124T150000Z, started: "2026-11-24T15:00:00Z", history: []}
nodes:
  description: Records of nodes by name, with run, phase and time.
  returned: always
  type: dict
  sample: {n1: {run: 20261124T150000Z, phase: moved, at: "2026-11-24T15:01:00Z", seconds: 4.7}}
backup:
  description: Objects that were kept, by name.
  returned: with O(state=read)
  type: dict
  sample: {}
lock:
  description: Who holds the lock, with times and whether it has expired. None when nobody does.
  returned: always
  type: dict
  sample:
    run: 20261124T150000Z
    owner: root@controller
    renewed: "2026-11-24T15:01:00.000000Z"
    age_seconds: 2
    duration_seconds: 1800
    expired: false
"""

import datetime
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._kube.argspec import KUBE_ARGUMENTS
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError
from ansible_collections.podnet.cni.plugins.module_utils._run import journal as run_journal
from ansible_collections.podnet.cni.plugins.module_utils._run.lock import Locked, new_lock, utc_now

Record = dict[str, t.Any]


def without_time(record: t.Any) -> t.Any:
    """A record as far as it counts for whether it has changed."""
    return {key: value for key, value in record.items() if key != "at"} if isinstance(record, dict) else record


class Keeper:
    """Carries out one state."""

    def __init__(
        self, kube: KubeClient, params: t.Mapping[str, t.Any], check_mode: bool, now: t.Callable[[], datetime.datetime] | None = None
    ) -> None:
        self.params = params
        self.now = now or utc_now
        self.journal = run_journal.Journal(kube, check_mode)
        self.lock = new_lock(kube, params["run"] or "", check_mode, params["lock_seconds"], now)
        self.results: dict[str, t.Any] = {"changed": False}
        self.before: Record = {}
        self.after: Record = {}

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results."""
        getattr(self, f"run_{self.params['state']}")()
        contents, holder = self.journal.read(), self.lock.holder()
        self.results.update(exists=contents.exists, run=contents.run, nodes=contents.nodes, lock=holder.facts() if holder else None)
        if self.params["state"] == "read":
            self.results["backup"] = contents.backup
        if self.before != self.after:
            self.results["diff"] = {"before": self.before, "after": self.after}
        return self.results

    def run_read(self) -> None:
        """State read."""

    def run_locked(self) -> None:
        """State locked."""
        if self.lock.acquire(self.params["force_unlock"]):
            self._lock_changed("free" if self.lock.taken_over is None else self.lock.taken_over.run, self.params["run"])
        self._write(self._records())

    def run_written(self) -> None:
        """State written."""
        self.lock.renew()
        self._write(self._records())

    def run_unlocked(self) -> None:
        """State unlocked. The record first: without the lock somebody else may write."""
        self.lock.refuse_others(None if self.params["force_unlock"] else self.lock.holder())
        if self.params["data"] or self.params["phase"] or self.params["backup"]:
            self._write(self._records())
        if self.lock.release(self.params["force_unlock"]):
            self._lock_changed(self.params["run"], "free")

    def run_absent(self) -> None:
        """State absent."""
        holder = self.lock.holder()
        self.lock.refuse_others(None if self.params["force_unlock"] else holder)
        if self.lock.release(force=True):
            self._lock_changed(holder.run if holder else "free", "free")
        if self.journal.remove():
            self.results["changed"] = True
            self.before["journal"], self.after["journal"] = "present", "absent"

    def _lock_changed(self, before: str, after: str) -> None:
        self.results["changed"] = True
        self.before["lock"], self.after["lock"] = before, after

    def _records(self) -> dict[str, t.Any]:
        """The wanted records by key."""
        data, run, node = self.params["data"], self.params["run"], self.params["node"]
        if self.params["phase"]:
            data = {**data, "phase": self.params["phase"]}
        records: dict[str, t.Any] = {run_journal.backup_key(name): value for name, value in self.params["backup"].items()}
        if node:
            records[run_journal.node_key(node)] = {**data, "run": run}
        else:
            records[run_journal.RUN_KEY] = run_journal.next_run(self.journal.record(run_journal.RUN_KEY) or {}, run, data)
        return records

    def _write(self, records: t.Mapping[str, t.Any]) -> None:
        """Write the records that are not so yet."""
        changes = {}
        for key, wanted in records.items():
            current = self.journal.record(key)
            if without_time(current) == without_time(wanted):
                continue
            self.before[key], self.after[key] = current, wanted
            is_record = not key.startswith("backup.")
            changes[key] = {**wanted, "at": self.now().strftime("%Y-%m-%dT%H:%M:%SZ")} if is_record else wanted
        if changes:
            self.journal.write(changes)
            self.results["changed"] = True


def option_problem(params: t.Mapping[str, t.Any]) -> str | None:
    """What is wrong with the options, with the remedy."""
    state = params["state"]
    if state in ("locked", "written", "unlocked") and not params["run"]:
        return f"run: '{params['run'] or ''}' does not say which run this is; give the same text in every task of a run, such as its start time"
    if params["lock_seconds"] is not None and params["lock_seconds"] <= 0:
        return f"lock_seconds: {params['lock_seconds']} is not a duration; give seconds greater than 0"
    if params["node"] and state != "written":
        return f"node: '{params['node']}' is only recorded with state=written; leave node out with state={state}"
    for option in ("data", "backup"):
        if params[option] and state in ("read", "absent"):
            return f"{option}: nothing is recorded with state={state}; leave {option} out, or use state=written"
    return None


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["read", "locked", "written", "unlocked", "absent"], "required": True},
            "run": {"type": "str"},
            "node": {"type": "str"},
            "phase": {"type": "str"},
            "data": {"type": "dict", "default": {}},
            "backup": {"type": "dict", "default": {}},
            "lock_seconds": {"type": "int"},
            "force_unlock": {"type": "bool", "default": False},
            **KUBE_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    problem = option_problem(module.params)
    if problem:
        module.fail_json(msg=problem)
    keeper = Keeper(KubeClient.from_module(module), module.params, module.check_mode)
    try:
        results = keeper.run()
    except (Locked, run_journal.JournalError) as exc:
        module.fail_json(msg=str(exc))
    except KubeError as exc:
        module.fail_json(msg=f"the cluster's API refused: {exc}")
    if keeper.lock.taken_over:
        left = keeper.lock.taken_over
        module.warn(f"the lock of run '{left.run}' of {left.owner} was taken over; it was renewed {left.age:.0f} s ago")
    module.exit_json(**results)


if __name__ == "__main__":
    main()
