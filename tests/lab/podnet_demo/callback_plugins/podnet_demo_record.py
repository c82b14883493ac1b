# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes down what a run of a playbook changed, as JSON, for programs that would otherwise read the recap."""

from __future__ import annotations

DOCUMENTATION = r"""
name: podnet_demo_record
type: notification
short_description: Write down what a run changed
description:
  - At the end of the run, writes the counts of each host, the tasks that changed or failed, and the time each task took, as JSON.
options:
  file:
    description: Where to write. Nothing is written when this is empty.
    env:
      - name: PODNET_DEMO_RECORD
    type: path
    default: ''
"""

import json  # noqa: E402 - Ansible wants the documentation first
import os  # noqa: E402
import time  # noqa: E402
import typing as t  # noqa: E402

from ansible.plugins.callback import CallbackBase  # noqa: E402


class CallbackModule(CallbackBase):
    """Collects results and writes them once."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "podnet_demo_record"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, display: t.Any = None, options: t.Any = None) -> None:
        super().__init__(display=display, options=options)
        self.started = time.time()
        self.changed: list[dict[str, t.Any]] = []
        self.failed: list[dict[str, t.Any]] = []
        self.tasks: list[dict[str, t.Any]] = []
        self.plays: list[dict[str, t.Any]] = []

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        """A play begins, or its next batch."""
        self.plays.append({"play": play.get_name(), "began": time.time()})

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:  # noqa: ARG002 - Ansible's interface
        """A task begins, so the one before it has ended."""
        self._end_task()
        self.tasks.append({"task": task.get_name(), "began": time.time(), "seconds": None})

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Remember what changed."""
        if result._result.get("changed"):
            self.changed.append(self._entry(result))

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Remember what failed."""
        if not ignore_errors:
            self.failed.append({**self._entry(result), "message": str(result._result.get("msg", ""))[:2000]})

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """Remember who was out of reach."""
        self.failed.append({**self._entry(result), "message": str(result._result.get("msg", "unreachable"))[:2000]})

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Write everything down."""
        self._end_task()
        path = self.get_option("file")
        if not path:
            return
        record = {
            "started": self.started,
            "finished": time.time(),
            "hosts": {host: stats.summarize(host) for host in sorted(stats.processed)},
            "changed": self.changed,
            "failed": self.failed,
            "plays": self.plays,
            "tasks": self.tasks,
        }
        temporary = f"{path}.new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
        os.replace(temporary, path)

    def _end_task(self) -> None:
        if self.tasks and self.tasks[-1]["seconds"] is None:
            self.tasks[-1]["seconds"] = round(time.time() - self.tasks[-1]["began"], 3)

    @staticmethod
    def _entry(result: t.Any) -> dict[str, t.Any]:
        return {"host": result._host.get_name(), "task": result._task.get_name()}
