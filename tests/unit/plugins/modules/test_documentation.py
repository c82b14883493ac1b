# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of every module: what it states, that its examples can be run, and that its results are what it says."""

from __future__ import annotations

import importlib
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.podnet.cni.plugins.action import cni_show as action
from ansible_collections.podnet.cni.tests.unit.fakes import documentation

FOLDER = Path(documentation.module_of("cni_facts").__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
ATTRIBUTES = ("check_mode", "diff_mode", "idempotent", "platform")
PREFIX = "podnet.cni."
PLACEHOLDERS: dict[str, t.Any] = {"str": "text", "raw": "text", "path": "/path", "list": [], "dict": {}, "int": 1, "float": 1.0, "bool": True}


class Called(Exception):
    """A module's main function has asked for its options."""


def arguments_of(name, monkeypatch):
    """What a module gives to AnsibleModule."""
    if name == "cni_show":
        return {"argument_spec": action.ARGUMENTS, "supports_check_mode": True}

    def called(**arguments):
        raise Called(arguments)

    module = documentation.module_of(name)
    monkeypatch.setattr(module, "AnsibleModule", called)
    with pytest.raises(Called) as caught:
        module.main()
    return caught.value.args[0]


def examples():
    """Every task of every example: module in whose documentation it is, its own module, arguments."""
    found = []
    for name in NAMES:
        entries = yaml.safe_load(documentation.module_of(name).EXAMPLES)
        for task in [task for entry in entries for task in entry.get("tasks", [entry])]:
            found += [pytest.param(key[len(PREFIX) :], task[key] or {}, id=f"{name}: {task['name']}") for key in task if key.startswith(PREFIX)]
    return found


def filled(value, option):
    """A value with something of the right type where a template stands."""
    if isinstance(value, str) and "{{" in value:
        return PLACEHOLDERS[option.get("type", "str")]
    if isinstance(value, dict) and "options" in option:
        return {key: filled(item, option["options"].get(key, {})) for key, item in value.items()}
    if isinstance(value, list) and "options" in option:
        return [filled(item, {"type": "dict", "options": option["options"]}) for item in value]
    return value


@pytest.mark.parametrize(("name", "arguments"), examples())
def test_examples_can_be_run_as_they_are_written(name, arguments, monkeypatch):
    given = arguments_of(name, monkeypatch)
    spec = given.pop("argument_spec")
    for other in ("supports_check_mode", "add_file_common_args", "no_log"):
        given.pop(other, None)
    values = {key: filled(value, spec.get(key, {})) for key, value in arguments.items()}
    validated = ArgumentSpecValidator(spec, **given).validate(values)
    assert validated.error_messages == []
    if "{{" not in str(arguments):
        assert problems(documentation.module_of(name), validated.validated_parameters) in (None, [])


def problems(module, parameters):
    """What a module says of its options before it does anything."""
    if hasattr(module, "wanted_spec"):
        module.wanted_spec(parameters)  # raises
    check = getattr(module, "option_problem", getattr(module, "option_problems", None))
    return check(parameters) if check else None


def test_every_module_has_examples():
    assert {parameter.values[0] for parameter in examples()} >= set(NAMES)


def documented(name):
    """Options and attributes of a module with those of its fragments, as Ansible merges them: the module's own words win."""
    text = yaml.safe_load(documentation.module_of(name).DOCUMENTATION)
    merged: dict[str, t.Any] = {"options": {}, "attributes": {}}
    for source in [*map(fragment, text.get("extends_documentation_fragment", [])), text]:
        for part in merged:
            for key, value in source.get(part, {}).items():
                merged[part][key] = {**merged[part].get(key, {}), **value}
    return merged


def fragment(name):
    """A documentation fragment by the name that modules use."""
    file_name, dummy, part = name[len(PREFIX) :].partition(".")
    module = importlib.import_module(f"ansible_collections.podnet.cni.plugins.doc_fragments.{file_name}")
    return yaml.safe_load(getattr(module.ModuleDocFragment, part.upper() or "DOCUMENTATION"))


@pytest.mark.parametrize("name", NAMES)
def test_every_module_states_what_it_supports(name, monkeypatch):
    attributes = documented(name)["attributes"]
    assert [key for key in ATTRIBUTES if "support" not in attributes.get(key, {})] == []
    assert attributes["platform"]["platforms"]
    supports = arguments_of(name, monkeypatch)["supports_check_mode"]
    assert (attributes["check_mode"]["support"] != "none") == supports


@pytest.mark.parametrize("name", NAMES)
def test_every_module_that_talks_to_the_cluster_is_in_the_action_group(name):
    group = yaml.safe_load((FOLDER.parent.parent / "meta" / "runtime.yml").read_text(encoding="utf-8"))["action_groups"]["kube"]
    text = documented(name)
    assert ("kubeconfig" in text["options"]) == (name in group) == ("action_group" in text["attributes"])


def entries(returns, where=""):
    """Every entry of RETURN, those inside others too."""
    for key, entry in returns.items():
        yield f"{where}{key}", entry
        yield from entries(entry.get("contains", {}), f"{where}{key}.")


@pytest.mark.parametrize("name", NAMES)
def test_what_a_module_returns_is_described_and_samples_are_of_that_type(name):
    returns = documentation.returns_of(name)
    assert returns
    for where, entry in entries(returns):
        assert {"description", "returned", "type"} <= set(entry), where
        assert ("elements" in entry) == (entry["type"] == "list"), where
        if "sample" in entry:
            assert documentation.differences({"sample": entry["sample"]}, {"sample": entry}) == [], where


RETURNS = {
    "pods": {"returned": "always", "type": "list", "elements": "dict", "contains": {"name": {"returned": "always", "type": "str"}}},
    "seconds": {"returned": "always", "type": "float"},
    "count": {"returned": "success", "type": "int"},
}


@pytest.mark.parametrize(
    ("results", "difference"),
    [
        ({"pods": [], "seconds": 1, "more": 1}, "more is not documented"),
        ({"pods": [{"name": "a", "uid": "b"}], "seconds": 1.5}, "pods[].uid is not documented"),
        ({"pods": ["a"], "seconds": 1.5}, "pods holds 'a', not dict"),
        ({"pods": [{"name": 1}], "seconds": 1.5}, "pods[].name is 1, not str"),
        ({"pods": {}, "seconds": 1.5}, "pods is {}, not list"),
        ({"seconds": True}, "seconds is True, not float"),
        ({"count": 1.5}, "count is 1.5, not int"),
    ],
)
def test_results_that_are_not_as_documented_are_found(results, difference):
    assert documentation.differences(results, RETURNS)[0] == difference


def test_results_that_are_missing_are_found():
    assert documentation.missing({"pods": []}, RETURNS) == ["seconds is not returned"]
    assert documentation.differences({"pods": [{"name": None}], "seconds": 0.5}, RETURNS) == []
