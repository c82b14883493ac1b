# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of C(make test): what each runs, where, and how its tests are counted."""

from __future__ import annotations

import dataclasses
import os
import typing as t
from collections.abc import Mapping, Sequence
from pathlib import Path

from tooling import counts, environment
from tooling.places import ROOT, cache_folder, tree_folder
from tooling.tree import COLLECTION, synchronize

TOOLS = "core-2.19"
"""The environment that also has the linters and molecule."""
GROUPS = ("lint", "sanity", "unit", "molecule")

Count = t.Callable[[int, Path], counts.Counts]
"""From the exit code and the file with the output."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """A program that checks something."""

    name: str
    command: Sequence[str]
    folder: Path = ROOT
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    count: Count = lambda code, dummy: counts.of_program(code)
    limit: float = 900.0
    """Seconds after which it has failed."""
    alone: bool = False
    """Whether it needs the machine for itself; its output is then shown as it comes."""
    missing: str = ""
    """Why it cannot run here."""


def report_of(log: Path) -> Path:
    """Where pytest writes its report, beside its output."""
    return log.with_suffix(".xml")


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


class Plan:
    """Makes the stages; environments are those that can be had, with the reason for each that cannot."""

    def __init__(self, environments: Mapping[str, Path], missing: Mapping[str, str], logs: Path) -> None:
        self.environments = environments
        self.missing = missing
        self.logs = logs

    def stages(self, groups: Sequence[str]) -> list[Stage]:
        """The stages of these groups, in their order."""
        makers = {"lint": self.lint, "sanity": self.sanity, "unit": self.unit, "molecule": self.molecule}
        return [stage for group in GROUPS if group in groups for stage in makers[group]()]

    def lint(self) -> list[Stage]:
        """What reads the sources only."""
        tree = synchronize(tree_folder("lint"))
        folder = tree / COLLECTION
        variables = {
            **self._variables(TOOLS),
            "ANSIBLE_ACTION_PLUGINS": str(folder / "molecule" / "shared" / "action_plugins"),
            "ANSIBLE_COLLECTIONS_PATH": str(tree),
            "ANSIBLE_HOME": str(cache_folder() / "ansible-home"),
            "RUFF_CACHE_DIR": str(cache_folder() / "lint" / "ruff"),
            "NO_COLOR": "1",
        }
        mypy = ["mypy", "--cache-dir", str(cache_folder() / "lint" / "mypy")]
        plugins = [*mypy, "--python-version", "3.10", "-p", "ansible_collections.podnet.cni.plugins"]
        rest = [
            *mypy,
            "--python-version",
            "3.11",
            "-p",
            "tooling",
            "-p",
            "podnet_lab",
            "-p",
            "podnet_demo",
            "-p",
            "podnet_molecule",
            "-p",
            "podnet_faults",
            "-p",
            "podnet_vm",
            "-p",
            "prober",
        ]
        rest_path = os.pathsep.join(str(part) for part in (tree, folder / "tests", folder / "tests" / "lab"))
        documentation = ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs", "dependent", "."]
        return [
            Stage("lint: ruff check", ["ruff", "check"], folder, variables),
            Stage("lint: ruff format", ["ruff", "format", "--check"], folder, variables),
            Stage("lint: mypy, collection", plugins, folder, {**variables, "MYPYPATH": str(tree)}),
            Stage("lint: mypy, lab and tooling", rest, folder, {**variables, "MYPYPATH": rest_path}),
            Stage("lint: yamllint", ["yamllint", "--strict", "."], folder, variables),
            Stage("lint: shellcheck", ["shellcheck", ".ci/run"], folder, variables),
            Stage("lint: ansible-lint", ["ansible-lint", "--offline"], folder, variables),
            Stage("lint: changelog", ["antsibull-changelog", "lint"], folder, variables),
            Stage("lint: plugin documentation", documentation, folder, variables),
            Stage("lint: generated documentation", ["python", "-m", "tooling.docs", "--check"], ROOT, variables),
            Stage("lint: artifact", ["python", "-m", "tooling.artifact", str(tree)], ROOT, variables),
        ]

    def sanity(self) -> list[Stage]:
        """All that ansible-test knows, on the oldest and the newest ansible-core, and the oldest Python of a target."""

        def count(dummy: int, log: Path) -> counts.Counts:
            return counts.of_sanity(_read(log))

        found = []
        for name in reversed(environment.PYTHONS):  # the newest takes longest
            command = ["python", "-m", "tooling.sanity", name, "--tree", str(synchronize(tree_folder(name)))]
            stage = Stage(f"sanity: {name}", command, ROOT, self._variables(name), count, missing=self.missing.get(name, ""))
            found.append(stage)
            if name == environment.newest():
                title = "sanity: targets with Python " + ".".join(map(str, environment.OLDEST_TARGET))
                missing = stage.missing or environment.missing_python((environment.OLDEST_TARGET,))
                found.append(dataclasses.replace(stage, name=title, command=[*command, "--target"], missing=missing))
        return found

    def unit(self) -> list[Stage]:
        """Unit tests on every ansible-core."""
        found = []
        for name in environment.PYTHONS:
            tree = synchronize(tree_folder(name))
            log = self.log(f"unit: {name}")
            command = ["python", "-m", "pytest", "-q", "-rs", f"--junit-xml={report_of(log)}", "tests/unit"]
            variables = {**self._variables(name), "ANSIBLE_COLLECTIONS_PATH": str(tree), "PYTHONPATH": str(tree)}
            found.append(
                Stage(
                    f"unit: {name}",
                    command,
                    tree / COLLECTION,
                    variables,
                    lambda dummy, log: counts.of_pytest(report_of(log)),
                    missing=self.missing.get(name, ""),
                )
            )
        return found

    def molecule(self) -> list[Stage]:
        """Scenarios on real clusters, one at a time."""
        variables = self._variables(TOOLS)
        del variables["ANSIBLE_CONFIG"]  # the lab has its own
        return [
            Stage(
                "molecule",
                ["python", "-m", "tooling.molecule"],
                ROOT,
                variables,
                lambda dummy, log: counts.of_molecule(_read(log)),
                limit=4800.0,
                alone=True,
            )
        ]

    def log(self, stage_name: str) -> Path:
        """The file with the output of a stage."""
        return self.logs / f"{''.join(char if char.isalnum() or char in '.-' else '_' for char in stage_name)}.log"

    def _variables(self, name: str) -> dict[str, str]:
        """What programs of an environment are run with; the user's own settings of Ansible have no say."""
        path = [str(self.environments[name])] if name in self.environments else []
        return {
            "PATH": os.pathsep.join([*path, os.environ["PATH"], "/usr/sbin", "/sbin"]),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT / "tests" / "lab")]),
            "PYTHONUNBUFFERED": "1",
            "ANSIBLE_CONFIG": str(ROOT / "tests" / "tooling" / "ansible.cfg"),
        }
