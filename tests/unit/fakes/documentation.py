# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module's documentation promises, to hold its results against."""

from __future__ import annotations

import importlib
import typing as t

import yaml

Returns = t.Mapping[str, t.Mapping[str, t.Any]]
PACKAGE = "ansible_collections.podnet.cni.plugins.modules"
OF_ANSIBLE = {"changed", "diff", "failed", "msg", "exception", "invocation", "warnings", "deprecations"}
"""Keys that every module may return."""
TYPES = {
    "bool": (bool,),
    "dict": (dict,),
    "float": (float, int),
    "int": (int,),
    "list": (list, tuple),
    "str": (str,),
}


def module_of(name: str) -> t.Any:
    """A module of the collection."""
    return importlib.import_module(f"{PACKAGE}.{name}")


def returns_of(name: str) -> Returns:
    """What RETURN of a module says."""
    return yaml.safe_load(module_of(name).RETURN)


def differences(results: t.Mapping[str, t.Any], returns: Returns, where: str = "") -> list[str]:
    """How results differ from what RETURN says of them: keys that it does not have, and values of another type. None is of any type."""
    found = []
    for key, value in results.items():
        if key not in returns:
            found.append(f"{where}{key} is not documented")
            continue
        documented = returns[key]
        if value is not None and not _is_of_type(value, documented["type"]):
            found.append(f"{where}{key} is {value!r}, not {documented['type']}")
        elif isinstance(value, dict) and "contains" in documented:
            found += differences(value, documented["contains"], f"{where}{key}.")
        elif isinstance(value, (list, tuple)) and value:
            found += _differences_of_items(value, documented, f"{where}{key}")
    return found


def _differences_of_items(items: t.Iterable[t.Any], documented: t.Mapping[str, t.Any], where: str) -> list[str]:
    found = [f"{where} holds {item!r}, not {documented['elements']}" for item in items if not _is_of_type(item, documented["elements"])]
    if "contains" in documented and not found:
        for item in items:
            found += differences(item, documented["contains"], f"{where}[].")
    return found


def _is_of_type(value: t.Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "bool") == isinstance(value, bool)


def missing(results: t.Mapping[str, t.Any], returns: Returns, where: str = "") -> list[str]:
    """Keys that RETURN says are always returned, and are not."""
    found = [f"{where}{key} is not returned" for key, documented in returns.items() if documented["returned"] == "always" and key not in results]
    for key, value in results.items():
        if isinstance(value, dict) and "contains" in returns.get(key, {}):
            found += missing(value, returns[key]["contains"], f"{where}{key}.")
    return found


def check_results(name: str, results: t.Mapping[str, t.Any], complete: bool = False) -> None:
    """Hold results against RETURN; with C(complete) also for what is missing."""
    returns = returns_of(name)
    own = {key: value for key, value in results.items() if key not in OF_ANSIBLE}
    found = differences(own, returns) + (missing(own, returns) if complete else [])
    assert not found, f"{name}: {'; '.join(found)}"
