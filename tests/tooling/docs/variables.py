# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the variables that a user sets, from the argument specification of the role that reads them."""

from __future__ import annotations

import json
import typing as t

import yaml

from tooling.docs.markup import escape, sentence
from tooling.places import ROOT

SPECIFICATION = ROOT / "roles" / "preflight" / "meta" / "argument_specs.yml"
NO_DEFAULT = "-"

Option = t.Mapping[str, t.Any]


def options() -> dict[str, Option]:
    """Every variable with its specification."""
    loaded = yaml.safe_load(SPECIFICATION.read_text(encoding="utf-8"))
    return t.cast("dict[str, Option]", loaded["argument_specs"]["main"]["options"])


def table() -> str:
    """Variable, type, default, meaning; keys of a variable that is a list of dictionaries follow it."""
    rows = ["| variable | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, option in options().items():
        rows.append(_row(f"`{name}`", option))
        rows += [_row(f"&nbsp;&nbsp;`{key}`", inner) for key, inner in (option.get("options") or {}).items()]
    return "\n".join(rows)


def _row(name: str, option: Option) -> str:
    kind = str(option["type"]) + (f" of {option['elements']}" if option.get("elements") else "")
    text = sentence(option["description"])
    if option.get("choices"):
        text += f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}."
    return f"| {name} | {kind} | {_default(option)} | {text} |"


def _default(option: Option) -> str:
    if option.get("required"):
        return "(required)"
    if option.get("default") in (None, ""):
        return NO_DEFAULT
    value = option["default"]
    if isinstance(value, str) and "://" in value:  # would be wider than the rest of the table
        return f"[.../{'/'.join(value.split('/')[-3:])}]({value})"
    return f"`{escape(value if isinstance(value, str) else json.dumps(value))}`"
