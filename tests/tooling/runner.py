# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run stages, two at a time where they allow it, each with its output in a file of its own."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import signal
import subprocess
import threading
import time
import typing as t
from collections.abc import Callable, Sequence
from pathlib import Path

from tooling.counts import Counts, judged
from tooling.stages import Stage

LANES = 2
GRACE = 120.0
"""Seconds that a stage has to clean up after it was told to end."""
POLL = 0.1


class Outcome(t.NamedTuple):
    """How a stage ended."""

    stage: Stage
    counts: Counts
    seconds: float
    log: Path | None = None
    note: str = ""

    @property
    def output(self) -> str:
        """What it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log else ""

    @property
    def word(self) -> str:
        """The result in a word."""
        if self.stage.missing:
            return "NOT RUN"
        return "FAILED" if self.counts.failed else "ok"


def not_run(stage: Stage) -> Outcome:
    """A stage that cannot run here is one that was skipped."""
    return Outcome(stage, Counts(skipped=1, reasons=(stage.missing,)), 0.0, note=stage.missing)


class Runner:
    """Runs stages and tells how each ended."""

    def __init__(self, log_of: Callable[[str], Path], tell: Callable[[Outcome], None]) -> None:
        self._log_of = log_of
        self._tell = tell
        self._stop = threading.Event()

    def run(self, stages: Sequence[Stage]) -> list[Outcome]:
        """Run all; the results in the order of the stages."""
        found: dict[str, Outcome] = {}
        together = [stage for stage in stages if not stage.alone]
        try:
            with concurrent.futures.ThreadPoolExecutor(LANES) as lanes:
                try:
                    for outcome in lanes.map(self._one, together):
                        found[outcome.stage.name] = outcome
                except BaseException:
                    self._stop.set()  # else leaving the block waits for what still runs
                    raise
            for stage in stages:
                if stage.alone:
                    found[stage.name] = self._one(stage)
        finally:
            self._stop.set()
        return [found[stage.name] for stage in stages]

    def _one(self, stage: Stage) -> Outcome:
        outcome = not_run(stage) if stage.missing else self._execute(stage)
        self._tell(outcome)
        return outcome

    def _execute(self, stage: Stage) -> Outcome:
        log = self._log_of(stage.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        begin = time.monotonic()
        variables = {**os.environ, **stage.variables}
        # A file, not a pipe: a program left behind by a stage would keep a pipe open, and this would wait for it.
        with open(log, "wb") as output:
            try:
                process = subprocess.Popen(
                    list(stage.command),
                    cwd=stage.folder,
                    env=variables,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as exc:
                output.write(f"{stage.command[0]} cannot be run: {exc}\n".encode())
                return Outcome(stage, Counts(failed=1), 0.0, log, str(exc))
            note = self._wait(process, stage, log, begin + stage.limit)
        seconds = time.monotonic() - begin
        return Outcome(stage, judged(stage.count(process.returncode, log), process.returncode), seconds, log, note)

    def _wait(self, process: subprocess.Popen[bytes], stage: Stage, log: Path, deadline: float) -> str:
        """Wait for the end; why it was ended, empty when it ended by itself."""
        shown = 0
        try:
            while process.poll() is None:
                if self._stop.wait(POLL):
                    return "stopped"
                if time.monotonic() >= deadline:
                    return f"did not end within {stage.limit:.0f} s"
                if stage.alone:
                    shown = show(log, shown)
        finally:
            if process.poll() is None:
                end(process)
            if stage.alone:
                show(log, shown)
        return ""


def show(log: Path, offset: int) -> int:
    """Print what was added to a file since; how much there is now."""
    with open(log, "rb") as file:
        file.seek(offset)
        added = file.read()
    print(added.decode(errors="replace"), end="", flush=True)
    return offset + len(added)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a stage and what it started: first as a request, so that it can clean up."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
