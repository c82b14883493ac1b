# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.util
import json
import types
from pathlib import Path

from podnet_demo import playbook


def load_callback() -> types.ModuleType:
    path = playbook.CALLBACKS / f"{playbook.RECORD_CALLBACK}.py"
    spec = importlib.util.spec_from_file_location(playbook.RECORD_CALLBACK, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Result:
    def __init__(self, host: str, task: str, **values: object) -> None:
        self._host = types.SimpleNamespace(get_name=lambda: host)
        self._task = types.SimpleNamespace(get_name=lambda: task)
        self._result = values


class Stats:
    processed = {"n1": 1, "localhost": 1}

    def summarize(self, host: str) -> dict[str, int]:
        return {"ok": 3, "changed": 1 if host == "n1" else 0, "failures": 0}


def test_the_callback_writes_what_a_run_changed(tmp_path: Path) -> None:
    callback = load_callback().CallbackModule()
    target = tmp_path / "record.json"
    callback.get_option = lambda name: str(target)
    for name in ("Move | One batch", "Move | One batch", "Finish | The nodes"):
        callback.v2_playbook_on_play_start(types.SimpleNamespace(get_name=lambda name=name: name))
    callback.v2_playbook_on_task_start(types.SimpleNamespace(get_name=lambda: "Switch"), False)
    callback.v2_runner_on_ok(Result("n1", "Switch", changed=True))
    callback.v2_runner_on_ok(Result("n1", "Read", changed=False))
    callback.v2_runner_on_failed(Result("n1", "Gate", msg="no"))
    callback.v2_runner_on_failed(Result("n1", "Ignored", msg="no"), ignore_errors=True)
    callback.v2_playbook_on_stats(Stats())
    run = playbook.summarize(2, json.loads(target.read_text()))
    assert (run.code, run.changed) == (2, 1)
    assert run.changed_tasks == ("n1: Switch",)
    assert run.failed_tasks == ("n1: Gate: no",)
    assert run.slowest_tasks[0][0] == "Switch"
    assert [stage["stage"] for stage in run.stages] == ["Move", "Finish"]
    assert run.stages[0]["ended"] == run.stages[1]["began"] <= run.stages[1]["ended"]


def test_a_run_without_a_record_is_no_success() -> None:
    run = playbook.summarize(0, None)
    assert run.code != 0
    assert run.failed_tasks
