# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages are run for real, as small programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from tooling import check, runner
from tooling.counts import Counts
from tooling.runner import Outcome, Runner
from tooling.stages import GROUPS, Plan, Stage


def python(code, **more):
    return {"command": [sys.executable, "-c", code], **more}


@pytest.fixture
def run(tmp_path):
    def call(*stages):
        told = []
        outcomes = Runner(lambda name: tmp_path / "logs" / f"{name}.log", told.append).run(stages)
        assert {outcome.stage.name for outcome in told} == {outcome.stage.name for outcome in outcomes}
        return outcomes

    return call


def test_results_keep_the_order_of_the_stages(run, tmp_path):
    slow = Stage("slow", **python("import time; time.sleep(0.4); print('done')"), folder=tmp_path)
    bad = Stage("bad", **python("import sys; print('why'); sys.exit(3)"), folder=tmp_path)
    outcomes = run(slow, bad)
    assert [(outcome.stage.name, outcome.word) for outcome in outcomes] == [("slow", "ok"), ("bad", "FAILED")]
    assert [outcome.log.read_text() for outcome in outcomes] == ["done\n", "why\n"]
    assert outcomes[0].seconds >= 0.4


def test_two_at_a_time_and_those_that_want_it_alone(run, tmp_path):
    code = "import sys, time, pathlib; b = time.time(); time.sleep(0.5); pathlib.Path(sys.argv[1]).write_text(f'{b} {time.time()}')"
    names = ["a", "b", "c", "alone"]
    stages = [Stage(name, [sys.executable, "-c", code, name], tmp_path, alone=name == "alone") for name in names]
    assert [outcome.word for outcome in run(stages[3], *stages[:3])] == ["ok"] * 4
    times = {name: tuple(map(float, (tmp_path / name).read_text().split())) for name in names}
    assert times["b"][0] < times["a"][1] and times["a"][0] < times["b"][1]
    assert times["c"][0] >= min(times["a"][1], times["b"][1])
    assert times["alone"][0] >= max(times[name][1] for name in "abc")


def test_variables_and_folder_are_those_of_the_stage(run, tmp_path):
    stage = Stage("x", **python("import os; print(os.environ['WORD'], os.getcwd())"), folder=tmp_path, variables={"WORD": "here"})
    (outcome,) = run(stage)
    assert outcome.log.read_text() == f"here {tmp_path}\n"


def test_a_program_that_is_missing_is_a_failure(run, tmp_path):
    (outcome,) = run(Stage("x", ["podnet-no-such-program"], tmp_path))
    assert outcome.word == "FAILED" and "cannot be run" in outcome.log.read_text()


def test_a_stage_that_cannot_run_here_is_skipped_and_says_so(run, tmp_path, capsys):
    (outcome,) = run(Stage("x", ["podnet-no-such-program"], tmp_path, missing="no Python 3.99 was found"))
    assert outcome.word == "NOT RUN" and outcome.counts == Counts(0, 0, 1, ("no Python 3.99 was found",))
    assert "NOT CHECKED on this machine:\n  x: no Python 3.99 was found" in check.skips([outcome])


def test_what_does_not_end_is_ended_with_all_that_it_started(run, tmp_path):
    code = "import os, subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
    (outcome,) = run(Stage("x", **python(code), folder=tmp_path, limit=0.8))
    assert outcome.word == "FAILED" and outcome.note == "did not end within 1 s"
    deadline = time.monotonic() + 5
    while is_running(int(outcome.log.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(int(outcome.log.read_text()))


def is_running(process):
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_left_behind_holds_nobody_up(run, tmp_path):
    code = "import subprocess; print(subprocess.Popen(['sleep', '30'], start_new_session=True).pid)"
    begin = time.monotonic()
    (outcome,) = run(Stage("x", **python(code), folder=tmp_path))
    os.kill(int(outcome.log.read_text()), signal.SIGKILL)
    assert outcome.word == "ok" and time.monotonic() - begin < 20


def test_the_output_of_a_stage_alone_is_shown_as_it_comes(run, tmp_path, capsys):
    run(Stage("x", **python("print('first', flush=True); import time; time.sleep(0.3); print('last')"), folder=tmp_path, alone=True))
    assert capsys.readouterr().out == "first\nlast\n"


def test_a_stop_ends_what_runs_and_starts_nothing_more(tmp_path):
    stages = [
        Stage(f"s{number}", **python("import time, sys; open(sys.argv[1], 'w').close(); time.sleep(60)"), folder=tmp_path) for number in range(4)
    ]
    stages = [Stage(stage.name, [*stage.command, stage.name], tmp_path) for stage in stages]
    running = Runner(lambda name: tmp_path / "logs" / name, lambda outcome: None)
    thread = threading.Thread(target=running.run, args=(stages,))
    thread.start()
    deadline = time.monotonic() + 20
    while not ((tmp_path / "s0").exists() and (tmp_path / "s1").exists()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running._stop.set()
    thread.join(20)
    assert not thread.is_alive()


def test_the_summary_tells_all_and_ends_with_the_counts(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(check, "RESULTS", check.ROOT / "build" / "checks")
    monkeypatch.setattr(check, "LAST_LINE", tmp_path / "last-line.txt")
    outcomes = [
        Outcome(Stage("unit", []), Counts(40, 0, 1, ("needs root",)), 2.0),
        Outcome(Stage("lint: x", []), Counts(0, 1), 0.5),
    ]
    assert check.report(outcomes, 3.0) == Counts(40, 1, 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "40 passed, 1 failed, 1 skipped" == (tmp_path / "last-line.txt").read_text().strip()
    assert "  unit: needs root" in lines and any(line.startswith("FAILED: lint: x ") for line in lines)
    assert any(line.split() == ["unit", "ok", "2.0", "40", "0", "1"] for line in lines)


def test_an_unknown_group_is_refused(capsys):
    with pytest.raises(SystemExit) as error:
        check.main(["units"])
    assert error.value.code == 2
    assert "no such group: units; there are lint, sanity, unit, molecule" in capsys.readouterr().err


def test_files_of_stages_have_plain_names(tmp_path):
    names = ["lint: ruff check", "sanity: core-2.19", "molecule"]
    assert [Plan({}, {}, tmp_path).log(name).name for name in names] == ["lint__ruff_check.log", "sanity__core-2.19.log", "molecule.log"]


def test_a_second_run_waits_for_the_first(tmp_path, monkeypatch):
    monkeypatch.setenv("PODNET_CACHE", str(tmp_path))
    code = "from tooling import check\nwith check.only_one(): print('second')"
    variables = {**os.environ, "PYTHONPATH": str(check.ROOT / "tests")}
    with check.only_one():
        second = subprocess.Popen([sys.executable, "-c", code], env=variables, stdout=subprocess.PIPE, text=True)
        assert second.stdout.readline().startswith("waiting for another run")
        assert second.poll() is None
    assert second.communicate(timeout=20)[0] == "second\n"
    assert second.returncode == 0


def test_groups_are_in_the_order_in_which_they_run():
    assert GROUPS == ("lint", "sanity", "unit", "molecule")
    assert runner.LANES == 2
