# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of the collection is without tests, and no test is without an assertion."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
from ansible_collections.podnet.cni.plugins.modules import cni_facts

ROOT = Path(cni_facts.__file__).resolve().parents[2]
UNIT = ROOT / "tests" / "unit"
SCENARIOS = ROOT / "molecule"
PACKAGE = "ansible_collections.podnet.cni.plugins"
ASSERTING = {"raises", "warns", "fail"}
"""Functions of pytest's that fail a test."""


def names_in(folder):
    return sorted(path.stem for path in (ROOT / "plugins" / folder).glob("[!_]*.py"))


def functions_of(path):
    """The test functions of a file, those in classes too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")]


def asserting_functions(paths):
    """Names of functions that assert something, by themselves or through others of these files."""
    calls = {}
    found = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                calls.setdefault(node.name, set()).update(called_in(node))
                if any(isinstance(part, (ast.Assert, ast.Raise)) for part in ast.walk(node)) or called_in(node) & ASSERTING:
                    found.add(node.name)
    while True:
        more = {name for name, called in calls.items() if called & found} - found
        if not more:
            return found
        found |= more


def called_in(node):
    """Names of what a function calls."""
    functions = [part.func for part in ast.walk(node) if isinstance(part, ast.Call)]
    return {function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "") for function in functions}


def strings_in(path):
    """Texts and names in the code of a file."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return texts | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def files_to_test():
    """A module that an action of the same name does the work of holds its documentation only."""
    actions = names_in("action")
    return [("action", name) for name in actions] + [("modules", name) for name in names_in("modules") if name not in actions]


@pytest.mark.parametrize(("folder", "name"), files_to_test())
def test_every_module_and_action_has_a_file_with_tests(folder, name):
    path = UNIT / "plugins" / folder / f"test_{name}.py"
    assert path.exists(), f"{folder}/{name}.py has no tests: write {path.relative_to(ROOT)}"
    assert functions_of(path), f"{path.relative_to(ROOT)} has no test function"


@pytest.mark.parametrize("name", names_in("modules"))
def test_every_module_has_a_case_on_a_real_cluster(name):
    cases = [path.read_text(encoding="utf-8") for path in SCENARIOS.glob("*/cases/*.yml")]
    assert any(f"module: {name}\n" in text for text in cases), f"no case under molecule/*/cases runs {name}"


@pytest.mark.parametrize("file_name", names_in("filter"))
def test_every_filter_is_tested_and_documented(file_name):
    filters = importlib.import_module(f"{PACKAGE}.filter.{file_name}").FilterModule().filters()
    files = sorted((UNIT / "plugins" / "filter").glob("test_*.py"))
    tested = set().union(*map(strings_in, files))
    assert filters
    assert sorted(set(filters) - tested) == [], f"not named in {[path.name for path in files]}"
    assert [name for name in filters if not (ROOT / "plugins" / "filter" / f"{name}.yml").exists()] == []


def test_every_documented_filter_exists():
    filters = {name for file_name in names_in("filter") for name in importlib.import_module(f"{PACKAGE}.filter.{file_name}").FilterModule().filters()}
    assert {path.stem for path in (ROOT / "plugins" / "filter").glob("*.yml")} == filters


def test_every_test_asserts_something():
    files = sorted(UNIT.rglob("*.py"))
    asserting = asserting_functions(files)
    silent = [f"{path.relative_to(ROOT)}: {test.name}" for path in files for test in functions_of(path) if test.name not in asserting]
    assert silent == []
    assert sum(len(functions_of(path)) for path in files) > 500


def test_a_test_without_an_assertion_would_be_found(tmp_path):
    path = tmp_path / "test_sample.py"
    path.write_text(
        "def helper(): assert True\ndef test_good(): helper()\ndef test_bad(): print('ok')\ndef test_raises():\n with pytest.raises(E): f()\n"
    )
    asserting = asserting_functions([path])
    assert [test.name for test in functions_of(path) if test.name not in asserting] == ["test_bad"]
