# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of the molecule scenarios: order, labs, counts, and that no lab stays."""

from __future__ import annotations

import json

import pytest
from tooling import molecule
from tooling.molecule import Outcome


class Labs:
    """Stands where the runner's labs and programs are, and remembers what was asked."""

    def __init__(self, results=None, error=None):
        self.results = results or {}
        self.error = error
        self.done = []

    def scenario(self, name):
        self.done.append(name)
        if self.error == name:
            raise SystemExit(143)
        return self.results.get(name, Outcome(name, 0, 1.0, passed=3))

    def down(self):
        self.done.append("down")


def test_scenarios_share_a_lab():
    labs = Labs()
    assert all(outcome.good for outcome in molecule.run(labs, ["plan", "modules"], keep_lab=False))
    assert labs.done == ["plan", "modules", "down"]


def test_a_failure_costs_the_lab():
    labs = Labs({"plan": Outcome("plan", 1, 1.0, passed=2, failed=1)})
    outcomes = molecule.run(labs, ["plan", "modules"], keep_lab=False)
    assert labs.done == ["plan", "down", "modules", "down"]
    assert [outcome.good for outcome in outcomes] == [False, True]


def test_what_needs_a_lab_of_its_own_gets_one():
    labs = Labs()
    molecule.run(labs, ["broken", "replug", "rollback"], keep_lab=False)
    assert labs.done == ["broken", "down", "replug", "down", "rollback", "down"]


def test_the_lab_goes_down_when_the_run_is_stopped():
    labs = Labs(error="plan")
    with pytest.raises(SystemExit):
        molecule.run(labs, ["plan", "modules"], keep_lab=False)
    assert labs.done == ["plan", "down"]


def test_a_lab_can_be_kept():
    labs = Labs({"plan": Outcome("plan", 1, 1.0, failed=1)})
    molecule.run(labs, ["plan"], keep_lab=True)
    assert labs.done == ["plan"]


@pytest.mark.parametrize(
    ("outcome", "good"),
    [
        (Outcome("plan", 0, 1.0, passed=1, skipped=1), True),
        (Outcome("plan", 0, 1.0), False),
        (Outcome("plan", 1, 1.0, passed=1), False),
        (Outcome("plan", 0, 1.0, passed=1, failed=1), False),
        (Outcome("plan", 0, 1.0, passed=1, errors=1), False),
    ],
)
def test_what_is_good(outcome, good):
    assert outcome.good is good


def test_the_summary_names_what_is_not_good():
    outcomes = [Outcome("plan", 0, 10.0, passed=5), Outcome("modules", 1, 20.0, passed=3, errors=1)]
    assert molecule.summary(outcomes) == "molecule: 2 scenarios, 8 passed, 1 errors in 30 s; not good: modules"


def test_reports_are_added_up(tmp_path):
    for number, passed in ((1, 4), (2, 5)):
        (tmp_path / f"{number}.json").write_text(json.dumps({"passed": passed, "failed": 0, "errors": 0, "skipped": 1}))
    assert molecule.read_reports(tmp_path) == {"passed": 9, "failed": 0, "errors": 0, "skipped": 2}


def test_every_scenario_has_its_files():
    for name in molecule.SCENARIOS:
        assert (molecule.ROOT / "molecule" / name / "molecule.yml").exists()
    assert {path.parent.name for path in (molecule.ROOT / "molecule").glob("*/molecule.yml")} == set(molecule.SCENARIOS)


@pytest.mark.parametrize("folder", sorted(path.parent for path in (molecule.ROOT / "molecule").glob("*/molecule.yml")), ids=lambda path: path.name)
def test_who_starts_probers_also_judges_them(folder):
    text = (folder / "molecule.yml").read_text(encoding="utf-8")
    prepare = (folder / "prepare.yml").read_text(encoding="utf-8")
    if ("start-load" in prepare or "../routing/prepare.yml" in prepare) and folder.name != "faults":  # whose rows hold what its probers saw
        own = [path.read_text(encoding="utf-8") for path in folder.glob("tests*/*.py")]
        assert "verify ../shared/load" in text or any("podnet_molecule.load import" in code and "stop" in code for code in own)
