# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module is ended at the stage that was asked for, with real processes that stand for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from podnet_faults import replug_steps
from podnet_lab.errors import LabError

# Each stage lasts for 50 ms.
PROGRAM = """
import json, os, time
path = {path!r}
for result, stage in ({{}}, "prepared"), ({{"ips": []}}, "prepared"), ({{"ips": []}}, "cut"), ({{"ips": []}}, "moved"):
    with open(path + ".new", "w") as file:
        json.dump({{"stage": stage, "result": result, "pod": {pod!r}}}, file)
    os.replace(path + ".new", path)
    time.sleep(0.05)
os.remove(path)
"""


def pod(address="10.244.1.5"):
    """What the CNI library remembers of a pod, as it is in a record."""
    return {"result": {"ips": [{"address": f"{address}/24"}]}}


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / replug_steps.RECORDS
    found.mkdir(parents=True)
    return found


@pytest.fixture
def module(folder):
    """Starts as Ansible does it with pipelining: the program comes over standard input."""
    started = []

    def start(name="a.json"):
        process = subprocess.Popen([sys.executable], stdin=subprocess.PIPE)
        started.append(process)
        process.stdin.write(PROGRAM.format(path=str(folder / name), pod=pod()).encode())
        process.stdin.close()
        end = time.monotonic() + 10
        while not (folder / name).exists():
            assert time.monotonic() < end
            time.sleep(0.001)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("stage", ["begun", "prepared", "cut", "moved"])
def test_a_module_is_ended_at_a_stage(tmp_path, folder, module, stage):
    process = module()
    assert replug_steps.end_at(tmp_path, [process.pid], stage) == f"1 {stage}"
    assert process.wait(5) == -9
    assert replug_steps.stages(tmp_path) == [stage]
    assert len(os.listdir(folder)) == 1


def test_a_module_that_ends_before_is_told(tmp_path, module):
    process = module()
    with pytest.raises(LabError, match="without a pod at the stage never"):
        replug_steps.end_at(tmp_path, [process.pid], "never")


def write(folder, name, stage, address):
    (folder / f"{name}.json").write_text(json.dumps({"stage": stage, "result": {"ips": []}, "pod": pod(address)}))


def test_a_module_stands_still_while_pods_are_at_two_stages(tmp_path, folder, module):
    write(folder, "b", "prepared", "10.244.1.7")
    write(folder, "c", "prepared", "10.244.1.6")
    process = module()
    with replug_steps.caught(tmp_path, [process.pid], "cut", "prepared") as found:
        assert sorted(found) == [("cut", "10.244.1.5"), ("prepared", "10.244.1.6"), ("prepared", "10.244.1.7")]
        time.sleep(0.1)
        assert replug_steps.under_way(tmp_path) == found
    assert replug_steps.next_of(found) == "10.244.1.6"
    assert process.wait(5) == 0


def test_a_module_that_never_has_pods_at_two_stages_is_told(tmp_path, module):
    process = module()
    with (
        pytest.raises(LabError, match="without a pod at the stage cut and another at prepared"),
        replug_steps.caught(tmp_path, [process.pid], "cut", "prepared"),
    ):
        pass


def test_stages_are_told_in_order(tmp_path, folder):
    for name, stage in (("a", "moved"), ("b", "prepared"), ("c", "prepared"), ("d", "cut")):
        (folder / f"{name}.json").write_text(json.dumps({"stage": stage, "result": {"ips": []}, "pod": pod()}))
    (folder / ".e.json").write_text("{}")
    (folder / "half.json").write_text("{")
    assert replug_steps.told(replug_steps.stages(tmp_path)) == "2 prepared, 1 cut, 1 moved"
    assert replug_steps.told([]) == ""


def test_processes_of_modules_are_found_by_their_namespace(module):
    process = module()
    assert process.pid in replug_steps.modules(os.getpid())
    assert process.pid not in replug_steps.modules(0)
