# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Molecule scenarios on labs: C(python3 -m tooling.molecule [scenario...]), with PYTHONPATH=tests:tests/lab.

Brings up the lab that a scenario needs, one at a time, runs molecule in the place of its controller, and takes the lab down at the end,
also after a failure or a signal. Scenarios that leave the lab as it was share one.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator, Sequence
from pathlib import Path

from tooling import environment
from tooling.places import ROOT, cache_folder
from tooling.tree import synchronize

ENVIRONMENT = "core-2.19"
LAB = "podnet-molecule"
RESULTS = ROOT / "build" / "molecule"
WORDS = ("passed", "failed", "errors", "skipped")
PYTHON_PATH = f"{ROOT / 'tests'}:{ROOT / 'tests' / 'lab'}"

SCENARIOS = {
    "plan": "default",
    "modules": "default",
    "migrate": "default",
    "bad_router": "bad-router",
    "broken": "default",
    "replug": "default",
    "rollback": "default",
    "routing_cross_subnet": "default",
    "routing_vxlan": "default",
    "routing_bgp_mesh": "one-zone",
    "switch_routing": "default",
    "faults": "default",
    "reflectors": "one-subnet",
    "reflectors_routed": "ebgp-one-as",
    "ebgp": "ebgp",
}
"""The topology of each scenario, in the order in which they can follow each other on one lab, or need a new one."""
LONG = (
    "rollback",
    "routing_cross_subnet",
    "routing_vxlan",
    "routing_bgp_mesh",
    "switch_routing",
    "faults",
    "reflectors",
    "reflectors_routed",
    "ebgp",
)
"""Only run when they are named: C(make test-faults)."""
ALONE = ("replug",)
"""Need a lab of their own: one on which nothing has moved yet, and nobody else wants the pods that it leaves, which may not be evicted."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a scenario ended."""

    name: str
    code: int
    seconds: float
    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    @property
    def good(self) -> bool:
        """Whether all of it passed, and there was something to pass."""
        return not self.code and not self.failed and not self.errors and self.passed > 0

    def counts(self) -> str:
        """As pytest tells it; a scenario that fails outside of its tests counts as an error."""
        return ", ".join(f"{getattr(self, word)} {word}" for word in WORDS if getattr(self, word)) or "nothing ran"


def read_reports(folder: Path) -> dict[str, int]:
    """Sums of the counts that molecule/conftest.py wrote for each step that verifies."""
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return {word: sum(report[word] for report in reports) for word in WORDS}


class Runner:
    """Runs scenarios and keeps the lab that they need."""

    def __init__(self, bin_folder: Path, name: str) -> None:
        self.bin = bin_folder
        self.lab = name
        self.topology: str | None = None
        """Of the lab that is up, None without one."""
        self.variables = {
            **os.environ,
            "PYTHONPATH": PYTHON_PATH,
            "PATH": f"{bin_folder}:{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin",
            "ANSIBLE_HOME": str(cache_folder() / "ansible-home"),
            "ANSIBLE_COLLECTIONS_PATH": str(synchronize()),
            "PODNET_LAB": name,
            "MOLECULE_COMMAND_BORDERS": "false",
        }

    def podnet_lab(self, *words: str) -> int:
        """Run the lab's command line."""
        command = [str(self.bin / "python"), "-m", "podnet_lab", "--name", self.lab, *words]
        return subprocess.run(command, cwd=ROOT, env=self.variables, check=False).returncode

    def up(self, topology: str) -> bool:
        """Bring up a lab of this topology, unless it is up."""
        if self.topology == topology:
            return True
        if self.topology is not None:
            self.down()
        self.topology = topology
        return self.podnet_lab("--topology", topology, "up") == 0

    def down(self) -> None:
        """Take the lab down."""
        self.topology = None
        if self.podnet_lab("down"):
            sys.exit(f"the lab {self.lab} could not be taken down")

    def scenario(self, name: str) -> Outcome:
        """Run one scenario on its lab."""
        begin = time.monotonic()
        folder = RESULTS / name
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "reports").mkdir(parents=True)
        code = self._molecule(name, folder) if self.up(SCENARIOS[name]) else 1
        counts = read_reports(folder / "reports")
        if code and not counts["failed"] and not counts["errors"]:
            counts["errors"] = 1
        return Outcome(name, code, time.monotonic() - begin, **counts)

    def _molecule(self, name: str, folder: Path) -> int:
        state = cache_folder() / "labs" / self.lab
        variables = {
            **self.variables,
            "MOLECULE_EPHEMERAL_DIRECTORY": str(folder / "state"),
            "PODNET_LAB_STATE": str(state),
            "PODNET_MOLECULE_REPORTS": str(folder / "reports"),
        }
        words = [str(self.bin / "molecule"), "test", "--scenario-name", name, "--destroy", "never"]
        command = [str(self.bin / "python"), "-m", "podnet_lab", "--name", self.lab, "exec", "--", *words]
        return subprocess.run(command, cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, check=False).returncode


@contextlib.contextmanager
def signals_end() -> Iterator[None]:
    """A request to end is an exception, so that what has to be done at the end is done."""

    def end(number: int, _frame: t.Any) -> t.NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(runner: Runner, names: Sequence[str], keep_lab: bool) -> list[Outcome]:
    """Run the scenarios; after a failure the next one gets a new lab, since the old one may be in any state."""
    outcomes: list[Outcome] = []
    try:
        for name in names:
            if outcomes and outcomes[-1].good and {name, outcomes[-1].name}.intersection(ALONE) and not keep_lab:
                runner.down()
            outcome = runner.scenario(name)
            outcomes.append(outcome)
            print(f"molecule {name}: {outcome.counts()} in {outcome.seconds:.0f} s", flush=True)
            if not outcome.good and not keep_lab:
                runner.down()
    finally:
        if not keep_lab:
            runner.down()
    return outcomes


def summary(outcomes: Sequence[Outcome]) -> str:
    """All scenarios in one line."""
    total = Outcome(
        "all",
        max(outcome.code for outcome in outcomes),
        sum(outcome.seconds for outcome in outcomes),
        *(sum(getattr(outcome, word) for outcome in outcomes) for word in WORDS),
    )
    bad = [outcome.name for outcome in outcomes if not outcome.good]
    return f"molecule: {len(outcomes)} scenarios, {total.counts()} in {total.seconds:.0f} s" + (f"; not good: {', '.join(bad)}" if bad else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when everything passed."""
    parser = argparse.ArgumentParser(prog="tooling.molecule", description="Run molecule scenarios on labs.")
    parser.add_argument(
        "scenarios", nargs="*", choices=[[], *SCENARIOS], metavar="scenario", help=f"of {', '.join(SCENARIOS)} (default: all but {', '.join(LONG)})"
    )
    parser.add_argument("--keep-lab", action="store_true", help="leave the lab up, and use one that is up as it is")
    parser.add_argument("--lab", default=LAB, help="name of the lab (default: %(default)s)")
    options = parser.parse_args(arguments)
    names = [name for name in SCENARIOS if (name in options.scenarios if options.scenarios else name not in LONG)]
    with signals_end():
        runner = Runner(environment.ensure(ENVIRONMENT), options.lab)
        if not options.keep_lab:
            runner.down()
        outcomes = run(runner, names, options.keep_lab)
    print(summary(outcomes))
    return 0 if all(outcome.good for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
