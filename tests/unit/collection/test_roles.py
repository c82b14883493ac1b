# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles and their argument specifications say the same: what is used is documented, what is documented is used, and defaults agree."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.podnet.cni.plugins.modules import cni_facts

ROOT = Path(cni_facts.__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
PUBLIC = "preflight"
"""The role whose specification has the variables that users set; those of the other roles follow them."""
FOLLOWING = [name for name in ROLES if name != PUBLIC]
FACTS = {"podnet_cluster", "podnet_node"}
BY_NAME = {"podnet_node_name"}
"""Read through hostvars by a filter."""
WORD = re.compile(r"(?<![.\w])[a-z][a-z0-9]*_[a-z0-9_]+")
DEFAULT = re.compile(r"\b(podnet_\w+) \| default\(")
SETTING_KEYS = {"register", "loop_var", "index_var"}
CONSTANTS = {"true": True, "false": False}


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def values_in(data):
    """All keys and values of YAML data as text."""
    if isinstance(data, dict):
        return [text for item in data.items() for part in item for text in values_in(part)]
    if isinstance(data, list):
        return [text for item in data for text in values_in(item)]
    return [data] if isinstance(data, str) else []


def words_in(data):
    """What may be a variable, other than what is an attribute of something."""
    return {word for text in values_in(data) for word in WORD.findall(text)}


def set_in(data):
    """Variables that tasks and plays set themselves."""
    found = set()
    if isinstance(data, list):
        return found.union(*map(set_in, data))
    if isinstance(data, dict):
        for key, value in data.items():
            if key in SETTING_KEYS:
                found.add(value)
            elif key in ("vars", "ansible.builtin.set_fact"):
                found.update(value)
            if isinstance(value, (dict, list)):
                found |= set_in(value)
    return found


def included_in(data):
    """Files of tasks that tasks include."""
    if isinstance(data, list):
        return set().union(*map(included_in, data))
    if isinstance(data, dict):
        own = {value for key, value in data.items() if key in ("ansible.builtin.include_tasks", "ansible.builtin.import_tasks")}
        return own.union(*(included_in(value) for value in data.values()))
    return set()


class Role:
    """What the files of a role say."""

    def __init__(self, name):
        self.name = name
        self.folder = ROOT / "roles" / name
        self.spec = load(self.folder / "meta" / "argument_specs.yml")["argument_specs"]
        self.defaults = load(self.folder / "defaults" / "main.yml")
        self.tasks = {path.name: load(path) for path in (self.folder / "tasks").glob("*.yml")}

    def used_from(self, file_name):
        """Defaults that matter to an entry point, through other defaults too."""
        files = {file_name}
        while True:
            more = set().union(*(included_in(self.tasks[name]) for name in files)) - files
            if not more:
                break
            files |= more
        return self.closure(set().union(*(words_in(self.tasks[name]) for name in files)))

    def closure(self, words):
        """The defaults among these words, and those that their values need."""
        found = words & set(self.defaults)
        while True:
            more = set().union(*(words_in(self.defaults[name]) for name in found)) & set(self.defaults) - found
            if not more:
                return found
            found |= more

    def followed_by(self, name):
        """The users' variables that a default depends on."""
        return {word for part in self.closure({name}) for word in words_in(self.defaults[part]) if word.startswith("podnet_")}


def literals(text):
    """Users' variables with the values that stand in for them; None for an expression, which is no constant default."""
    for found in DEFAULT.finditer(text):
        name, rest = found.group(1), text[found.end() :]
        depth, end = 1, 0
        while depth:
            depth += {"(": 1, ")": -1}.get(rest[end], 0)
            end += 1
        inner = rest[: end - 1]
        if inner in CONSTANTS:
            yield name, CONSTANTS[inner]
        elif inner != "omit":
            try:
                yield name, ast.literal_eval(inner)
            except (ValueError, SyntaxError):
                yield name, None


@pytest.fixture(scope="module", params=ROLES)
def role(request):
    return Role(request.param)


@pytest.fixture(scope="module")
def options():
    return Role(PUBLIC).spec["main"]["options"]


@pytest.fixture(scope="module")
def sources():
    """Everything that may use or set a variable."""
    paths = [*(ROOT / "playbooks").glob("*.yml"), *(ROOT / "roles").glob("*/defaults/*.yml"), *(ROOT / "roles").glob("*/tasks/*.yml")]
    assert len(paths) > len(ROLES)
    return {str(path.relative_to(ROOT)): load(path) for path in paths}


def test_every_role_has_a_page(role):
    page = (role.folder / "README.md").read_text(encoding="utf-8")
    assert page.startswith(f"# podnet.cni.{role.name}\n")


def test_every_entry_point_has_tasks_and_a_specification(role):
    inner = set().union(*map(included_in, role.tasks.values()))
    assert {f"{name}.yml" for name in role.spec} == set(role.tasks) - inner


def test_names_begin_with_the_role(role):
    names = [*role.defaults, *set().union(*map(set_in, role.tasks.values()))]
    assert [name for name in names if not name.startswith(f"{role.name}_")] == []


@pytest.mark.parametrize("role", FOLLOWING, indirect=True)
def test_options_are_what_the_tasks_of_an_entry_point_use(role):
    documented = {name: set(entry.get("options") or {}) for name, entry in role.spec.items()}
    assert documented == {name: role.used_from(f"{name}.yml") for name in role.spec}
    assert set().union(*documented.values()) == set(role.defaults)


@pytest.mark.parametrize("role", FOLLOWING, indirect=True)
def test_descriptions_tell_which_variables_an_option_follows(role):
    told = {}
    for entry in role.spec.values():
        for name, option in (entry.get("options") or {}).items():
            told.setdefault(name, set()).update(re.findall(r"C\((podnet_\w+)\)", str(option["description"])))
    set_by_playbook = {name for path in (ROOT / "playbooks").glob("*.yml") for name in set_in(load(path))}
    assert told == {name: role.followed_by(name) - set_by_playbook for name in told}


def test_every_variable_that_is_used_is_documented(options, sources):
    set_somewhere = set().union(*map(set_in, sources.values())) | FACTS
    unknown = {
        f"{name}: {word}"
        for name, data in sources.items()
        for word in words_in(data)
        if word.startswith("podnet_") and word not in options and word not in set_somewhere
    }
    assert unknown == set()


def test_every_documented_variable_is_used(options, sources):
    used = set().union(*map(words_in, sources.values()))
    assert all(name.startswith("podnet_") for name in options)
    assert [name for name in options if name not in used and name not in BY_NAME] == []


def test_a_user_cannot_set_what_a_playbook_sets(options, sources):
    assert set(options) & set().union(*map(set_in, sources.values())) == set()


def test_defaults_are_those_of_the_specification(options, sources):
    found = [(where, *item) for where, data in sources.items() for text in values_in(data) for item in literals(text) if item[0] in options]
    assert len(found) > 20
    assert [item for item in found if not agrees(item[2], options[item[1]])] == []


def agrees(value, option):
    """Whether a value that stands in for a variable is its documented default."""
    return (value or None) == (option.get("default") or None)


def test_a_default_in_words_is_found_in_the_code():
    text = "{{ podnet_a | default([1, '10%']) | f + podnet_b | default(false) | bool + podnet_c | default(omit) + podnet_d | default(x | f('y')) }}"
    assert list(literals(text)) == [("podnet_a", [1, "10%"]), ("podnet_b", False), ("podnet_d", None)]
