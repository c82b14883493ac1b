# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the steps of a scenario leave what a later step judges. Molecule runs each step as a program of its own."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

Record = dict[str, t.Any]


def folder() -> Path:
    """The scenario's folder, which molecule names in the environment."""
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


def lab_name() -> str:
    """The lab that the scenario uses."""
    return os.environ["PODNET_LAB"]


def mode() -> str:
    """The way of routing that a scenario C(routing_*) is named after."""
    return os.environ["MOLECULE_SCENARIO_NAME"].removeprefix("routing_")


def cases_file() -> Path:
    """Records of module runs, one JSON object a line."""
    return folder() / "module-cases.jsonl"


def add_case(record: Record) -> None:
    """Append the record of one case."""
    with open(cases_file(), "a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def read_cases() -> list[Record]:
    """All records, none before the first case has run."""
    path = cases_file()
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
