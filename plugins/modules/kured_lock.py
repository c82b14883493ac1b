#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kured_lock
short_description: Keep kured from rebooting nodes meanwhile
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - kured reboots one node at a time and holds a lock for it, an annotation of its DaemonSet. This module takes that lock, so that kured
    reboots no node while somebody else takes nodes out of service, and waits while a node has it that kured reboots.
  - kured is found by what DaemonSets run, its options for the lock by their arguments. Without a kured nothing is done.
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
      - Taking a lock again that O(owner) has renews it once half of its time is over, which is not counted as a change.
  platform:
    support: full
    platforms: posix
options:
  state:
    description:
      - V(locked) takes the lock.
      - V(unlocked) gives it up. Nothing happens when O(owner) does not have it.
    type: str
    choices: [locked, unlocked]
    required: true
  owner:
    description: Who takes the lock. kured shows it in its log as the node that it waits for.
    type: str
    required: true
  ttl_seconds:
    description: Seconds after which the lock expires if nobody gives it up.
    type: int
    default: 7200
  timeout:
    description: Seconds to wait for a node that has the lock.
    type: float
    default: 600.0
"""

EXAMPLES = r"""
- name: Keep kured from rebooting nodes
  podnet.cni.kured_lock:
    state: locked
    owner: podnet.cni/20261128T090000Z
  delegate_to: localhost

- name: Let it go on
  podnet.cni.kured_lock:
    state: unlocked
    owner: podnet.cni/20261128T090000Z
  delegate_to: localhost
"""

RETURN = r"""
kured:
  description: The DaemonSets that keep a lock of kured's, as C(namespace/name).
  returned: success
  type: list
  elements: str
  sample: [kube-system/kured]
waited_seconds:
  description: How long another node had the lock.
  returned: success
  type: float
  sample: 0.0
"""

import datetime
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._kube import kured
from ansible_collections.podnet.cni.plugins.module_utils._kube.argspec import KUBE_ARGUMENTS
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, KubeError

POLL_SECONDS = 5.0


class Failure(Exception):
    """What the module fails with."""


class Keeper:
    """Carries out one state."""

    def __init__(self, kube: KubeClient, params: t.Mapping[str, t.Any], check_mode: bool, sleep: t.Callable[[float], None] = time.sleep) -> None:
        self.kube = kube
        self.params = params
        self.check_mode = check_mode
        self.sleep = sleep

    def now(self) -> datetime.datetime:
        """The time by the API server's clock."""
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.kube.clock_offset)

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results."""
        begin, waited, changed = time.monotonic(), 0.0, False
        before: dict[str, list[str]] = {}
        after: dict[str, list[str]] = {}
        places = kured.find(self.kube)
        for place in places:
            name = "/".join(place.path.split("/")[i] for i in (5, 7))
            before[name] = [held.owner for held in kured.holders(place.value, self.now())]
            done, seconds = self._lock(place, begin) if self.params["state"] == "locked" else (self._unlock(place), 0.0)
            changed, waited = changed or done, waited + seconds
            after[name] = [self.params["owner"]] if self.params["state"] == "locked" else ([] if done else before[name])
        results: dict[str, t.Any] = {"changed": changed, "kured": sorted(before), "waited_seconds": round(waited, 1)}
        if changed:
            results["diff"] = {"before": before, "after": after}
        return results

    def _read(self, place: kured.Kured) -> kured.Kured:
        metadata = self.kube.get(place.path)["metadata"]
        value = (metadata.get("annotations") or {}).get(place.annotation, "")
        return place._replace(value=value, version=str(metadata.get("resourceVersion", "")))

    def _write(self, place: kured.Kured, value: str | None) -> None:
        """Others may write at the same time: only what was read is replaced."""
        patch = {"metadata": {"resourceVersion": place.version, "annotations": {place.annotation: value}}}
        self.kube.merge_patch(place.path, patch, dry_run=self.check_mode)

    def _lock(self, place: kured.Kured, begin: float) -> tuple[bool, float]:
        """Take it once nobody else has it; whether it was not this run's before, and the seconds that others had it."""
        deadline = begin + self.params["timeout"]
        since = time.monotonic()
        while True:
            held = kured.holders(place.value, self.now())
            others = [item for item in held if not kured.is_ours(item, self.params["owner"])]
            if held and not others and self._lasts(held):
                return False, time.monotonic() - since
            if not others:
                try:
                    self._write(place, kured.lock_text(self.params["owner"], self.params["ttl_seconds"], self.now(), place.value))
                    return not held, time.monotonic() - since
                except Conflict:
                    place = self._read(place)
                    continue
            if self.check_mode or time.monotonic() >= deadline:
                who = ", ".join(f"{item.owner} (since {item.created or 'unknown'})" for item in others)
                raise Failure(
                    f"kured has its lock ({place.path}) for {who} after {self.params['timeout']:g} s. Wait until it has rebooted that node, or, "
                    f"if the node is gone, remove the annotation {place.annotation}"
                )
            self.sleep(POLL_SECONDS)
            place = self._read(place)

    def _lasts(self, held: t.Sequence[kured.Held]) -> bool:
        """Whether more than half of the time of this run's lock is left, so that it need not be renewed yet."""
        soon = self.now() + datetime.timedelta(seconds=self.params["ttl_seconds"] / 2)
        return all(not item.expires or datetime.datetime.fromisoformat(item.expires) > soon for item in held)

    def _unlock(self, place: kured.Kured) -> bool:
        """Give it up if it is this run's."""
        while any(kured.is_ours(item, self.params["owner"]) for item in kured.holders(place.value, self.now())):
            try:
                self._write(place, None)
                return True
            except Conflict:
                place = self._read(place)
        return False


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["locked", "unlocked"], "required": True},
            "owner": {"type": "str", "required": True},
            "ttl_seconds": {"type": "int", "default": 7200},
            "timeout": {"type": "float", "default": 600.0},
            **KUBE_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    if module.params["ttl_seconds"] < 60:
        module.fail_json(msg=f"ttl_seconds: {module.params['ttl_seconds']} would let kured go on before a node has rebooted; give 60 or more")
    if module.params["timeout"] < 0:
        module.fail_json(msg=f"timeout: {module.params['timeout']} is not a duration; give seconds, or 0 not to wait")
    try:
        results = Keeper(KubeClient.from_module(module), module.params, module.check_mode).run()
    except Failure as exc:
        module.fail_json(msg=str(exc))
    except KubeError as exc:
        module.fail_json(msg=f"the cluster's API refused: {exc}")
    module.exit_json(**results)


if __name__ == "__main__":
    main()
