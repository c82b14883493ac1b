# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the checks: C(python3 -m tooling.check [lint|sanity|unit|molecule ...]), all of them by default.

Needs nothing but Python 3.11 and the standard library: it installs the programs that are missing, makes the environments, and runs the
stages in them. The output of each stage is kept in build/checks.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator, Sequence
from pathlib import Path

from tooling import counts, environment, packages
from tooling.places import ROOT, cache_folder
from tooling.reasons import reasons
from tooling.runner import Outcome, Runner
from tooling.stages import GROUPS, TOOLS, Plan

RESULTS = ROOT / "build" / "checks"
LAST_LINE = RESULTS / "last-line.txt"


class Broken(Exception):
    """The checks cannot be run at all."""


def environments() -> tuple[dict[str, Path], dict[str, str]]:
    """The environments, and why others cannot be had: only a Python that is nowhere is such a reason."""
    found, missing = {}, {}
    for name in environment.PYTHONS:
        try:
            found[name] = environment.ensure(name)
        except environment.MissingPython as exc:
            if name == TOOLS:
                raise Broken(str(exc)) from exc
            missing[name] = str(exc)
        except subprocess.CalledProcessError as exc:
            raise Broken(f"the environment {name} cannot be made: {exc}") from exc
    return found, missing


def prepare() -> Plan:
    """Programs and environments."""
    needed = [*packages.missing(packages.PROGRAMS), *environment.missing_packages()]
    if needed:
        print(f"installing {' '.join(needed)} ...", flush=True)
        packages.install(needed)
    return Plan(*environments(), RESULTS)


def tell(outcome: Outcome) -> None:
    """One line for a stage that has ended, and its output when it has failed."""
    print(f"{outcome.word:>7}  {outcome.stage.name}: {outcome.counts.line()} in {outcome.seconds:.1f} s", flush=True)
    if outcome.word == "FAILED" and outcome.log and not outcome.stage.alone:
        print(f"---- output of {outcome.stage.name}\n{outcome.output.rstrip()}\n---- end of {outcome.stage.name}", flush=True)


def table(outcomes: Sequence[Outcome]) -> str:
    """The summary."""
    width = max(len(outcome.stage.name) for outcome in outcomes)
    lines = [f"{'stage':<{width}}  result   seconds  passed  failed  skipped"]
    for outcome in outcomes:
        passed, failed, skipped = outcome.counts[:3]
        line = f"{outcome.stage.name:<{width}}  {outcome.word:<7}  {outcome.seconds:7.1f}  {passed:6}  {failed:6}  {skipped:7}"
        lines.append(f"{line}  {outcome.note}".rstrip())
    return "\n".join(lines)


def skips(outcomes: Sequence[Outcome]) -> str:
    """What was not checked, and why."""
    lines = [f"  {outcome.stage.name}: {reason}" for outcome in outcomes for reason in outcome.counts.reasons]
    return "\n".join(["NOT CHECKED on this machine:", *lines]) if lines else ""


def whys(outcomes: Sequence[Outcome]) -> str:
    """What the stages that failed said of it."""
    lines = []
    for outcome in outcomes:
        if outcome.word == "FAILED" and outcome.log:
            lines += [f"WHY {outcome.stage.name}:", *(f"  {line}" for line in reasons(outcome.output))]
    return "\n".join(lines)


def report(outcomes: Sequence[Outcome], seconds: float) -> counts.Counts:
    """Print the summary; its last line is kept for a caller that prints more."""
    total = counts.total(outcome.counts for outcome in outcomes)
    failed = [outcome.stage.name for outcome in outcomes if outcome.counts.failed]
    print(f"\n{table(outcomes)}\n")
    for text in (whys(outcomes), skips(outcomes), f"FAILED: {', '.join(failed)} (output in {RESULTS.relative_to(ROOT)})" if failed else ""):
        if text:
            print(f"{text}\n")
    print(f"{len(outcomes)} stages in {seconds:.0f} s")
    LAST_LINE.write_text(f"{total.line()}\n", encoding="utf-8")
    print(total.line(), flush=True)
    return total


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Two runs at once would replace each other's files."""
    folder = cache_folder() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "checks", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another run of the checks to end ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def end(number: int, _frame: t.Any) -> t.NoReturn:
    """A request to end is an exception, so that the stages are ended too."""
    raise SystemExit(128 + number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when nothing failed, 1 when something did, 2 when the checks could not be run."""
    parser = argparse.ArgumentParser(prog="tooling.check", description="Run the checks.")
    parser.add_argument("groups", nargs="*", metavar="group", help=f"of {', '.join(GROUPS)} (default: all)")
    groups = parser.parse_args(arguments).groups or GROUPS
    unknown = sorted(set(groups) - set(GROUPS))
    if unknown:
        parser.error(f"no such group: {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    begin = time.monotonic()
    with only_one():
        shutil.rmtree(RESULTS, ignore_errors=True)
        RESULTS.mkdir(parents=True)
        try:
            plan = prepare()
        except (Broken, packages.MissingPackages) as exc:
            print(f"the checks cannot be run: {exc}", file=sys.stderr)
            return 2
        print(f"prepared in {time.monotonic() - begin:.1f} s", flush=True)
        total = report(Runner(plan.log, tell).run(plan.stages(groups)), time.monotonic() - begin)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
