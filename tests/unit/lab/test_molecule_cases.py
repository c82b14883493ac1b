# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cases of the molecule scenarios cover every module: what it changes, what it leaves, and bad input."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from podnet_vm import catalogue

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
READERS = {"cni_facts", "cni_probe", "cni_show", "kernel_check", "kernel_state", "node_ready"}
# Nothing brings Flannel back once they have run: the scenario migrate runs them by the playbook, and checks the result.
RUN_BY_THE_PLAYBOOK = {"calico_uninstall", "flannel_remove", "flannel_uninstall"}
# It has nothing to put back before the migration, and afterwards would put it back for real.
ONLY_FORETOLD = {"flannel_restore"}
# The lab's nodes are containers, which have no kernel of their own: the virtual machine runs them by the playbook, and looks at the result.
RUN_ON_THE_MACHINE = {"kernel_boot", "kernel_install"}


def cases() -> list[dict[str, t.Any]]:
    files = (ROOT / "molecule").glob("*/cases/*.yml")
    tasks = [task for path in files for task in yaml.safe_load(path.read_text(encoding="utf-8"))]
    return [task["module_case"] for task in tasks if "module_case" in task]


def kinds(module: str) -> set[str]:
    return {case.get("kind", "change") for case in cases() if case["module"] == module}


def test_only_modules_that_exist():
    assert MODULES
    assert {case["module"] for case in cases()} == set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_bad_input(module):
    assert "refusal" in kinds(module)


@pytest.mark.parametrize("module", MODULES)
def test_check_mode_and_second_run(module):
    if module in READERS:
        assert "steady" in kinds(module)
    elif module in RUN_BY_THE_PLAYBOOK:
        assert {"preview", "steady"} <= kinds(module)
    elif module in ONLY_FORETOLD:
        assert "preview" in kinds(module)
    elif module in RUN_ON_THE_MACHINE:
        tasks = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "roles" / "kernel_upgrade" / "tasks").glob("*.yml"))
        assert f"podnet.cni.{module}:" in tasks
        assert {case.id for case in catalogue.CASES if case.playbook == catalogue.UPGRADE} >= {"upgrade", "again"}
    else:
        assert "change" in kinds(module)


@pytest.mark.parametrize("scenario", ["plan", "modules", "migrate", "bad_router", "broken", "replug"])
def test_names_are_unique_in_a_scenario(scenario):
    files = (ROOT / "molecule" / scenario).glob("cases/*.yml")
    tasks = [task for path in files for task in yaml.safe_load(path.read_text(encoding="utf-8")) if "module_case" in task]
    titles = [(task["module_case"]["module"], task["name"]) for task in tasks]
    assert len(titles) == len(set(titles))
