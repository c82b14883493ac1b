# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches: how many nodes are moved at a time. Pure: no input, no output."""

from __future__ import annotations

import json
import re
import typing as t

Size = t.Union[int, str]
DEFAULT: tuple[Size, ...] = (1, "10%", "25%")
LARGEST = 100_000
_EXAMPLES = "give a number (1), a percentage ('10%') or a list of them ([1, '10%', '25%'])"


class InvalidSerial(ValueError):
    """What is wrong with the sizes of batches, and what to give instead."""


def _refuse(part: t.Any, why: str) -> InvalidSerial:
    return InvalidSerial(f"podnet_serial: '{part}' {why}; {_EXAMPLES}")


def _parse_one(part: t.Any) -> Size:
    """One size, a number or a percentage."""
    if isinstance(part, bool) or part is None:
        raise _refuse(part, "is no size of a batch")
    if isinstance(part, float):
        if not part.is_integer():
            raise _refuse(part, "is no whole number of nodes")
        part = int(part)
    text = str(part).strip().strip("'\"").strip()
    percentage = re.fullmatch(r"\+?([0-9]+(?:\.[0-9]+)?)\s*%", text)
    if percentage:
        if "." in percentage.group(1):  # pct_to_int of Ansible ends with an error of Python's
            raise _refuse(text, "is no whole percentage, which is all that Ansible's serial takes")
        value = int(percentage.group(1))
        if not 1 <= value <= 100:
            raise _refuse(text, "is no percentage of the nodes from 1 to 100")
        return f"{value}%"
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise _refuse(text, "is neither a number nor a percentage")
    if int(text) < 1:
        raise _refuse(text, "is less than one node (100% stands for all at once)")
    if int(text) > LARGEST:  # Ansible counts up to it, however few nodes there are
        raise _refuse(text, "is more nodes than a cluster can have (100% stands for all at once)")
    return int(text)


def parse_serial(value: t.Any) -> list[Size]:
    """Sizes of batches as C(serial) wants them, from whatever a person, a survey of AWX or an inventory gives.

    :raises InvalidSerial: with value and remedy.
    """
    if isinstance(value, str):
        value = _from_text(value)
    parts = list(value) if isinstance(value, (list, tuple)) else [value]
    if not parts:
        raise _refuse("[]", "holds no size")
    return [_parse_one(part) for part in parts]


def _from_text(text: str) -> t.Any:
    """A list written as JSON, as Python or YAML writes it, or with commas only."""
    stripped = text.strip()
    if not stripped:
        raise _refuse(text, "is empty")
    try:
        return json.loads(stripped)
    except ValueError:
        pass
    if stripped.startswith("[") != stripped.endswith("]"):
        raise _refuse(text, "has only one of the brackets of a list")
    inner = stripped[1:-1] if stripped.startswith("[") else stripped
    return re.split(r"[,;\n]", inner.rstrip(", \n"))


def size_of(size: Size, total: int) -> int:
    """Nodes in a batch; a percentage is rounded down, to one at least (ansible/ansible:lib/ansible/utils/helpers.py pct_to_int)."""
    if isinstance(size, int):
        return size
    return int(float(size.rstrip("%")) / 100 * total) or 1


def split(names: t.Sequence[str], serial: t.Sequence[Size], apart: t.Collection[str] = ()) -> list[list[str]]:
    """The batches of a play with this C(serial); its last size is used again until no node is left.

    See ansible/ansible:lib/ansible/executor/playbook_executor.py _get_serialized_batches. A batch that would hold all of C(apart), if these are
    several, ends before the last of them.
    """
    batches: list[list[str]] = []
    rest = list(names)
    while rest:
        size = size_of(serial[min(len(batches), len(serial) - 1)], len(names))
        batch = rest[:size]
        if len(apart) > 1 and set(apart) <= set(batch):
            batch = batch[: max(batch.index(name) for name in apart)]
        batches.append(batch)
        rest = rest[len(batch) :]
    return batches
