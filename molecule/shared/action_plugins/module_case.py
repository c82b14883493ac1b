# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module as one case of a test: in check mode, for real, and again; and looks at the lab itself in between.

It never fails because of what the module did. It writes down what happened, and molecule/shared/tests/test_cases.py judges.

Arguments: C(module) and its C(arguments); C(kind), one of

* C(change): it changes something (the default);
* C(steady): it finds everything as wanted, or only reads;
* C(preview): it would change something, and is run in check mode only;
* C(refusal): it fails, in check mode too, and its message says each of C(says);
* C(failure): the same, but only the real run can know;

and C(look_at), the places in which changes would show: C(cluster) and names of nodes. By default the place where the module runs.
"""

from __future__ import annotations

import json
import time
import typing as t

# Imported here and not when it is needed: this file is read once, and then each task is a fork.
import kubernetes
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from podnet_lab.lab import Lab
from podnet_molecule import results, snapshot

COLLECTION = "podnet.cni"
SETTLE_SECONDS = 20.0
ROUTES_SECONDS = 3.0
"""Routes reach a node that much later than the cluster has what they are made of, on a busy machine."""
PODS_SECONDS = 8.0
"""A pod that ends or is not Ready for that long stays so: it waits for what a case withholds."""
KINDS = ("change", "steady", "preview", "refusal", "failure")
FAILING = ("refusal", "failure")
KEPT = ("changed", "failed", "msg", "diff", "warnings", "deprecations", "exception")
ARGUMENTS = {
    "module": {"type": "str", "required": True},
    "arguments": {"type": "dict", "default": {}},
    "kind": {"type": "str", "choices": list(KINDS), "default": "change"},
    "says": {"type": "list", "elements": "str", "default": []},
    "look_at": {"type": "list", "elements": "str"},
}
Result = dict[str, t.Any]

assert kubernetes


class ActionModule(ActionBase):
    """The action."""

    _supports_check_mode = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        """Run the case, write its record down, and return what the module returned."""
        own: Result = super().run(tmp, task_vars)
        dummy, case = self.validate_argument_spec(argument_spec=ARGUMENTS)
        if bool(case["says"]) != (case["kind"] in FAILING):
            raise AnsibleActionFail("says: what fails has to say something, and only that does")
        host = str((task_vars or {})["inventory_hostname"])
        self._places = case["look_at"] or ["cluster" if host == "localhost" else host]
        self._lab = Lab.open(results.lab_name())
        record = {key: case[key] for key in ("module", "kind", "says", "arguments")}
        record.update(name=self._task.get_name(), host=host)
        outcome = self._steps(case, task_vars)
        moved = outcome.pop("moved")
        record.update({step: {key: result[key] for key in KEPT if key in result} for step, result in outcome.items()}, moved=moved)
        results.add_case(json.loads(json.dumps(record, default=str)))
        own.update(changed=False, **outcome)
        return own

    def _steps(self, case: Result, task_vars: t.Any) -> Result:
        """What the module returned in each step, and in C(moved) what was seen to change where nothing may."""
        before = self._settled()
        outcome: Result = {"check": self._call(case, task_vars, check=True)}
        if case["kind"] == "preview":
            return {**outcome, "moved": {"check": snapshot.difference(before, self._look())}}
        if case["kind"] != "change":
            outcome["run"] = self._call(case, task_vars, check=False)
            return {**outcome, "moved": {"run": snapshot.difference(before, self._look())}}
        moved = {"check": snapshot.difference(before, self._look())}
        outcome["run"] = self._call(case, task_vars, check=False)
        between = self._settled()
        outcome["again"] = self._call(case, task_vars, check=False)
        return {**outcome, "moved": {**moved, "again": snapshot.difference(between, self._look())}}

    def _look(self) -> snapshot.Snapshot:
        return snapshot.take(self._lab, self._places)

    def _settled(self) -> snapshot.Snapshot:
        """The lab once controllers have done what earlier changes made them do."""
        now = self._look()
        deadline = time.monotonic() + SETTLE_SECONDS
        pause = ROUTES_SECONDS if len(self._places) > 1 else 0.0
        restless, since = None, time.monotonic()
        while "cluster" in self._places and time.monotonic() < deadline:
            time.sleep(pause)
            pods = snapshot.restless_pods(self._lab)
            if pods != restless:
                restless, since = pods, time.monotonic()
            before, now = now, self._look()
            if not snapshot.difference(before, now) and (not pods or time.monotonic() - since > PODS_SECONDS):
                break
            time.sleep(0.5)
        return now

    def _call(self, case: Result, task_vars: t.Any, check: bool) -> Result:
        """Run the module as a task would; its action plugin if it has one."""
        task = self._task.copy()
        task.action = f"{COLLECTION}.{case['module']}"
        task.args = dict(case["arguments"])
        task.check_mode = check
        task.diff = True
        loader = self._shared_loader_obj.action_loader
        name = task.action if loader.has_plugin(task.action) else "ansible.legacy.normal"
        action = loader.get(
            name,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        try:
            returned: Result = action.run(task_vars=task_vars)
        except AnsibleError as error:
            returned = {"failed": True, "changed": False, "msg": str(error)}
        shown = {key: value for key, value in returned.items() if not key.startswith("_ansible")}
        return {"changed": False, "failed": False, **shown}
