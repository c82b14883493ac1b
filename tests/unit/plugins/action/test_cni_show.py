# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cni_show as ansible-playbook runs it: against a host that does not exist, since it must not even connect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.podnet.cni.plugins.action import cni_show

ROOT = Path(cni_show.__file__).parents[5]
PROGRESS = {"position": 3, "total": 12, "node": "n3", "zone": "b", "phase": "evict"}


class Run:
    """A playbook with one task, and what came of it."""

    def __init__(self, folder, *options, **arguments):
        result = {"name": "Keep the result", "ansible.builtin.copy": {"content": "{{ shown | to_json }}", "dest": str(folder / "result")}}
        tasks = [
            {"name": "Show", "podnet.cni.cni_show": arguments, "register": "shown", "ignore_errors": True},
            {**result, "delegate_to": "localhost", "check_mode": False, "vars": {"ansible_connection": "local"}},
        ]
        playbook = folder / "playbook.yml"
        playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT),
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_STDOUT_CALLBACK": "default",
            "ANSIBLE_NOCOLOR": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, "-m", "ansible", "playbook", "-i", "nowhere.invalid,", *options, str(playbook)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)
        self.printed = done.stdout
        assert done.returncode == 0, done.stdout + done.stderr
        self.result = json.loads((folder / "result").read_text())


@pytest.fixture
def run(tmp_path):
    return lambda *options, **arguments: Run(tmp_path, *options, **arguments)


def test_a_text_is_printed_line_by_line_as_it_is(run):
    table = '+----+\n| a  |\n+----+\n"quoted" \\n {braces}'
    shown = run(text=table)
    assert f"\n{table}\n" in shown.printed
    assert shown.result["lines"] == table.split("\n")
    assert (shown.result["changed"], shown.result["seconds"]) == (False, None)


def test_progress_is_one_line_with_what_a_prober_has_seen(run, tmp_path):
    (tmp_path / "probe.json").write_text('{"requests": 4120, "failed": 0}')
    shown = run("--check", progress={**PROGRESS, "seconds": 1.25}, probe_file=str(tmp_path / "probe.json"))
    line = "[node  3 of 12] n3 (zone b)  evict     1.2 s  failures so far: 0 of 4,120 requests"
    assert shown.result["lines"] == [line]
    assert f"\n{line}\n" in shown.printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "one of the following is required: text, progress"),
        ({"text": "a", "progress": PROGRESS}, "parameters are mutually exclusive: text|progress"),
        ({"progress": {"position": 1, "total": 2, "node": "n1"}}, "missing required arguments: phase found in progress"),
        ({"progress": {**PROGRESS, "position": "first"}}, "position"),
        ({"progress": {**PROGRESS, "seconds": 1, "since": 5}}, "progress: seconds and since exclude each other; give the one or the other"),
        ({"text": "a", "level": "loud"}, "value of level must be one of: info, warning, got: loud"),
        ({"text": "a", "texts": "b"}, "texts"),
    ],
)
def test_bad_arguments_fail_with_the_reason(run, arguments, words):
    shown = run(**arguments)
    assert shown.result["failed"]
    assert words in shown.result["msg"]


def test_a_duration_runs_since_the_time_that_an_earlier_task_returned():
    since = cni_show.ActionModule._elapsed
    assert since({"seconds": None, "since": None}, 100.0) is None
    assert since({"seconds": 1.5, "since": None}, 100.0) == 1.5
    assert since({"seconds": None, "since": 90.0}, 100.0) == 10.0
    assert since({"seconds": None, "since": 101.0}, 100.0) == 0.0


@pytest.mark.parametrize(
    ("content", "counters"),
    [
        (None, None),
        ("", None),
        ('{"failed": 0', None),
        ("[]", None),
        ("{}", None),
        ('{"failed": "x"}', None),
        ('{"failed": 3}', {"failed": 3, "requests": None}),
        ('{"failed": 0, "requests": 12, "more": 1}', {"failed": 0, "requests": 12}),
    ],
)
def test_a_probers_file_that_is_missing_or_just_being_written_says_nothing(tmp_path, content, counters):
    path = tmp_path / "probe.json"
    if content is not None:
        path.write_text(content)
    assert cni_show.read_probe(str(path)) == counters
    assert cni_show.read_probe(None) is None


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\nb\n", ["a", "b"]),
        ("", [""]),
        (["a\nb", "c"], ["a", "b", "c"]),
        (["a", "", "b"], ["a", "", "b"]),
        ([None, 7], ["", "7"]),
        (3.5, ["3.5"]),
    ],
)
def test_lines_of_texts_and_lists(text, lines):
    assert cni_show.lines_of(text) == lines
