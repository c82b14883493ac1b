# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that nobody reads, and values that none of them can have. Pure: no input, no output.

Ansible passes over a misspelled variable in silence, and says of a wrong type what its own code thinks of it.
"""

from __future__ import annotations

import difflib
import ipaddress
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import batches, settings

Option = t.Mapping[str, t.Any]
PREFIX = "podnet_"
_FACTS = {"podnet_cluster", "podnet_node"}
"""Facts of this collection; a fact cache brings them back as variables."""
OF_A_HOST = ("podnet_node_name",)
"""Read for each node; all others are read for the controller."""
ROLLBACK_ONLY = ("podnet_return_nodes",)
SWITCH_ONLY = ("podnet_drain_seconds",)
LEAST = {
    "podnet_drain_seconds": 0,
    "podnet_evict_timeout": 1,
    "podnet_fabric_timeout": 1,
    "podnet_probe_timeout": 1,
    "podnet_quiet_packets": 0,
    "podnet_quiet_seconds": 0,
    "podnet_settle_seconds": 0,
    "podnet_wait_timeout": 1,
    "podnet_watchdog_seconds": 0,
}
"""What the modules take at least, which would be noticed in the middle of the run only."""
WATCHDOG = (10, 86400)
_TRUE = ("yes", "on", "1", "true", "t", "y")
_FALSE = ("no", "off", "0", "false", "f", "n")


def unknown_variables(names: t.Iterable[str], known: t.Iterable[str], prefix: str = PREFIX) -> list[str]:
    """A sentence with the remedy for each of the C(names) that begins like a variable of this collection, but is none of the C(known)."""
    options = sorted(set(known))
    return [_sentence(name, options, prefix) for name in sorted(set(names)) if name.startswith(prefix) and name not in options and name not in _FACTS]


def _sentence(name: str, options: list[str], prefix: str) -> str:
    # Without what all of them begin with, which would make any two look alike.
    close = difflib.get_close_matches(name[len(prefix) :], [option[len(prefix) :] for option in options if option.startswith(prefix)], n=1)
    remedy = f"did you mean {prefix}{close[0]}?" if close else f"use one of {', '.join(options)}"
    return f"{name} is no variable of this playbook and would have no effect; {remedy}"


def variable_problems(
    given: t.Mapping[str, t.Any], options: t.Mapping[str, Option], on_nodes: t.Iterable[str] | None = None, direction: str = "calico"
) -> list[str]:
    """A sentence with the remedy for each variable that is misspelled, in the wrong place, or has a value that it cannot have.

    C(given) are the variables of the controller, C(options) their specification (roles/preflight/meta/argument_specs.yml), C(on_nodes) the
    names of variables that nodes have.
    """
    names = {name for name in on_nodes or () if name.startswith(PREFIX)}
    problems = unknown_variables([*given, *names], options)
    problems += [
        f"{name} is set for nodes only, but the controller reads it; set it for the group all, or with -e"
        for name in sorted(names - set(given) - set(OF_A_HOST) - _FACTS)
        if name in options
    ]
    for name, value in sorted(given.items()):
        if name in options:
            problems += value_problems(name, value, options[name])
    if direction == "switch":
        # The default of a migration is no wish of anybody's here.
        problems += (
            []
            if given.get("podnet_calico_routing")
            else ["podnet_calico_routing is not set, and there is no mode to switch to by default; give bgp, bgp_mesh, cross_subnet or vxlan"]
        )
    else:
        problems += [
            f"{name}: '{given[name]}' has a meaning for switch_routing only. Leave it out" for name in SWITCH_ONLY if given.get(name) is not None
        ]
    if direction != "flannel":
        problems += [
            f"{name}: '{given[name]}' has a meaning for rollback_to_flannel only; here it is about all nodes all the same. Leave it out"
            for name in ROLLBACK_ONLY
            if given.get(name)
        ]
    if direction == "switch":
        problems += _switch_together(given)
    return problems or _together(given)


def value_problems(name: str, value: t.Any, option: Option) -> list[str]:
    """What is wrong with the value of one variable, or of a key in it."""
    if value is None:
        return [f"{name} has no value; give one, or leave it out"]
    kind, elements = option.get("type", "str"), option.get("elements")
    if kind == "list" and not isinstance(value, (list, tuple)):
        return [f"{name}: '{value}' is no list; give {_list_example(option)}"]
    if kind == "list":
        inner = {**option, "type": elements or "raw"}
        return [problem for index, item in enumerate(value) for problem in value_problems(f"{name}[{index}]", item, inner)]
    if kind == "dict":
        return _dict_problems(name, value, option.get("options") or {})
    if kind == "int":
        return _number_problems(name, value)
    if kind == "bool" and str(value).lower() not in (*_TRUE, *_FALSE):
        return [f"{name}: '{value}' is neither true nor false; give one of the two"]
    if kind in ("str", "path") and isinstance(value, (list, tuple, dict)):
        return [f"{name}: '{value}' is no text; give one text"]
    choices = option.get("choices") or []
    if choices and value not in choices:
        close = difflib.get_close_matches(str(value), choices, n=1) or [choice for choice in choices if choice.lower() == str(value).lower()]
        return [f"{name}: '{value}' is no choice; {f'did you mean {close[0]}?' if close else 'use one of ' + ', '.join(choices)}"]
    if name == "podnet_serial":
        try:
            batches.parse_serial(value)
        except batches.InvalidSerial as exc:
            return [str(exc)]
    if name == "podnet_route_reflectors":
        try:
            settings.parse_route_reflectors(value)
        except settings.InvalidSettings as exc:
            return [str(exc)]
    return []


def _list_example(option: Option) -> str:
    keys = ", ".join(key for key, inner in (option.get("options") or {}).items() if inner.get("required"))
    return f"a list of entries with {keys}, each a line that begins with '-'" if keys else "a list such as [first, second]"


def _dict_problems(name: str, value: t.Any, options: t.Mapping[str, Option]) -> list[str]:
    if not isinstance(value, dict):
        keys = ", ".join(key for key, inner in options.items() if inner.get("required"))
        return [f"{name}: '{value}' has no keys; give {f'an entry with {keys}' if keys else 'keys and values'}"]
    if not options:
        return []
    problems = []
    for key in sorted(set(map(str, value)) - set(options)):
        close = difflib.get_close_matches(key, options, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"use {', '.join(options)}"
        problems.append(f"{name}: {key} is no key of it; {remedy}")
    if not problems:
        problems += [
            f"{name}: {key} is missing; it needs {key}" for key, inner in options.items() if inner.get("required") and value.get(key) is None
        ]
    for key, inner in options.items():
        if value.get(key) is not None:
            problems += value_problems(f"{name}.{key}", value[key], inner)
    return problems


def _number_problems(name: str, value: t.Any) -> list[str]:
    try:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValueError
        number = int(value)
    except (TypeError, ValueError):
        return [f"{name}: '{value}' is no whole number; give one such as {max(LEAST.get(name, 0), 60)}"]
    if name in LEAST and number < LEAST[name]:
        return [f"{name}: {number} is too little; give {LEAST[name]} or more"]
    if name == "podnet_watchdog_seconds" and number and not WATCHDOG[0] <= number <= WATCHDOG[1]:
        return [f"{name}: {number} is out of range; give {WATCHDOG[0]} to {WATCHDOG[1]} seconds, or 0 to switch without a timer"]
    return []


def _switch_together(given: t.Mapping[str, t.Any]) -> list[str]:
    """The timer of a node must not take its guard away while the node still waits for routes."""
    watchdog, settle = given.get("podnet_watchdog_seconds", 300), given.get("podnet_settle_seconds", 60)
    try:
        short = 0 < int(watchdog) <= int(settle)
    except (TypeError, ValueError):  # told as a value that is no number
        return []
    if not short:
        return []
    problem = (
        f"podnet_watchdog_seconds: {watchdog} is not more than podnet_settle_seconds ({settle}): the node would give its way up while it still waits "
        "for the routes of the other mode; give more, or lower podnet_settle_seconds"
    )
    return [problem]


def _together(given: t.Mapping[str, t.Any]) -> list[str]:
    """Values that are right by themselves, and what is in lists of checks."""
    problems = []
    watchdog, probe = int(given.get("podnet_watchdog_seconds", 300)), int(given.get("podnet_probe_timeout", 30))
    if 0 < watchdog <= probe:
        problems.append(
            f"podnet_watchdog_seconds: {watchdog} is not more than podnet_probe_timeout ({probe}): the node would go back while it is still being "
            "checked; give more, or lower podnet_probe_timeout"
        )
    for name, key in (("podnet_probe_tcp", "address"), ("podnet_probe_dns", "server")):
        for index, check in enumerate(given.get(name) or []):
            try:
                ipaddress.IPv4Address(check[key])
            except ValueError:
                problems.append(f"{name}[{index}].{key}: '{check[key]}' is no IPv4 address; give one such as 10.96.0.1")
    for index, address in enumerate(given.get("podnet_replug_reach") or []):
        try:
            ipaddress.IPv4Address(address)
        except ValueError:
            problems.append(f"podnet_replug_reach[{index}]: '{address}' is no IPv4 address; give one such as 192.0.2.1")
    for index, check in enumerate(given.get("podnet_probe_tcp") or []):
        if not 1 <= int(check["port"]) <= 65535:
            problems.append(f"podnet_probe_tcp[{index}].port: {check['port']} is no port; give a number from 1 to 65535")
    return problems
