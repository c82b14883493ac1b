# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the playbook as a user would, from the controller's place in the lab."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

from podnet_lab.errors import LabError
from podnet_lab.lab import Lab
from podnet_lab.shell import SEARCH_PATH
from tooling.places import ROOT
from tooling.tree import synchronize

PLAYBOOK = "playbooks/migrate_to_calico.yml"
CALLBACKS = Path(__file__).parent / "callback_plugins"
RECORD_CALLBACK = "podnet_demo_record"


@dataclasses.dataclass(frozen=True)
class PlaybookRun:
    """How a run ended."""

    code: int
    seconds: float
    changed: int
    changed_tasks: tuple[str, ...]
    failed_tasks: tuple[str, ...]
    slowest_tasks: tuple[tuple[str, float], ...]
    stages: tuple[dict[str, t.Any], ...] = ()

    def as_dict(self) -> dict[str, t.Any]:
        """For JSON."""
        return dataclasses.asdict(self)


def run_playbook(
    lab: Lab, folder: Path, label: str, variables: t.Mapping[str, t.Any], tick: t.Callable[[], None], every: float = 10.0
) -> PlaybookRun:
    """Run it with its output on this terminal; C(tick) is called now and then meanwhile."""
    record = folder / f"{label}.json"
    record.unlink(missing_ok=True)
    command = [ansible_playbook(), "-i", str(lab.inventory), PLAYBOOK, "--extra-vars", json.dumps(dict(variables))]
    process = lab.popen_in("ctl", command, env=environment(record, folder / f"{label}.log"), cwd=ROOT, stdin=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=every)
                break
            tick()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    return summarize(process.returncode, json.loads(record.read_text()) if record.exists() else None)


def environment(record: Path, log: Path) -> dict[str, str]:
    """Where Ansible finds the collection and the callback, and where it writes."""
    log.unlink(missing_ok=True)
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(synchronize()),
        "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
        "ANSIBLE_CALLBACKS_ENABLED": RECORD_CALLBACK,
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
        "ANSIBLE_LOG_PATH": str(log),
        "PODNET_DEMO_RECORD": str(record),
    }
    return {**settings, "ANSIBLE_FORCE_COLOR": "true"} if sys.stdout.isatty() and "NO_COLOR" not in os.environ else settings


def ansible_playbook() -> str:
    """The program next to this Python, else on the PATH."""
    beside = Path(sys.executable).parent / "ansible-playbook"
    found = str(beside) if beside.exists() else shutil.which("ansible-playbook", path=SEARCH_PATH)
    if not found:
        raise LabError("ansible-playbook is not there: run this with 'make demo', which makes an environment that has it")
    return found


def summarize(code: int, record: t.Mapping[str, t.Any] | None) -> PlaybookRun:
    """What the callback wrote down; without it nothing is known but the exit code."""
    if record is None:
        return PlaybookRun(code or 1, 0.0, 0, (), ("the run ended before its recap",), ())
    return PlaybookRun(
        code=code,
        seconds=round(record["finished"] - record["started"], 1),
        changed=sum(counts["changed"] for counts in record["hosts"].values()),
        changed_tasks=tuple(f"{entry['host']}: {entry['task']}" for entry in record["changed"]),
        failed_tasks=tuple(f"{entry['host']}: {entry['task']}: {entry['message']}" for entry in record["failed"]),
        slowest_tasks=tuple((task["task"], task["seconds"]) for task in sorted(record["tasks"], key=lambda task: -(task["seconds"] or 0))[:10]),
        stages=stages(record["plays"], record["finished"]),
    )


def stages(plays: t.Sequence[t.Mapping[str, t.Any]], finished: float) -> tuple[dict[str, t.Any], ...]:
    """The parts of a run: plays whose names begin alike, up to a bar, are one."""
    found: list[dict[str, t.Any]] = []
    for play in plays:
        name = str(play["play"]).partition(" | ")[0]
        if not found or found[-1]["stage"] != name:
            if found:
                found[-1]["ended"] = play["began"]
            found.append({"stage": name, "began": play["began"]})
    if found:
        found[-1]["ended"] = finished
    return tuple(found)
