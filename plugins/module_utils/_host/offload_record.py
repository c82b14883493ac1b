# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What features of devices, and files that set them, were like before a change, so that all of it can be put back."""

from __future__ import annotations

import errno
import json
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import commands, ethtool, files
from ansible_collections.podnet.cni.plugins.module_utils._plan.features import Features

RECORD = "offload.json"
"""What was there before the first change that was kept."""
PENDING = "offload-pending.json"
"""What was there before changes that are not kept yet, and these."""


class Entry(t.TypedDict):
    """What one device was like."""

    features: dict[str, bool]
    """What was wanted of each feature, by the kernel's name."""
    files: dict[str, str | None]
    """Texts of files by path, None for those that were not there."""
    commands: dict[str, list[str]]
    """What to run after that, by what it is about."""


Entries = dict[str, Entry]


class Pending(t.TypedDict):
    """Changes that are not kept yet."""

    entries: Entries
    record: str | None
    """Text of the record before them."""
    wishes: dict[str, dict[str, bool]]
    """What was set, by device and the name that was given."""
    persistent: bool
    """Whether it is to last over restarts."""


def read_record(folder: Path) -> Entries:
    """The record, empty without one."""
    text = files.read_text(folder / RECORD)
    return t.cast(Entries, json.loads(text)) if text else {}


def read_pending(folder: Path) -> Pending | None:
    """Changes that are not kept yet."""
    text = files.read_text(folder / PENDING)
    return t.cast(Pending, json.loads(text)) if text else None


def write(path: Path, content: t.Any) -> None:
    """Write one of the two; nothing is worth no file."""
    if content:
        files.write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())
    else:
        files.remove(path)


def merged(first: Entries, second: Entries) -> Entries:
    """Both; of what is in both, the first."""
    found: Entries = {}
    for interface in [*first, *(name for name in second if name not in first)]:
        parts = [entries[interface] for entries in (second, first) if interface in entries]
        found[interface] = Entry(features={}, files={}, commands={})
        for part in parts:
            found[interface]["features"].update(part["features"])
            found[interface]["files"].update(part["files"])
            found[interface]["commands"].update(part["commands"])
    return found


def of_features(before: t.Mapping[str, Features], names: t.Mapping[str, t.Iterable[str]]) -> Entries:
    """Entries with what is wanted of features now."""
    return {
        interface: Entry(features={name: before[interface][name].wanted for name in some}, files={}, commands={}) for interface, some in names.items()
    }


def put_back(entries: Entries) -> list[str]:
    """Put everything back; what could not be. A device that is gone has nothing to be put back."""
    problems = []
    for interface, entry in entries.items():
        try:
            if entry["features"]:
                ethtool.write(interface, entry["features"])
        except OSError as exc:
            if exc.errno != errno.ENODEV:
                problems.append(f"features of {interface}: {exc.strerror or exc}")
        for path, text in entry["files"].items():
            try:
                restore_file(Path(path), text)
            except OSError as exc:
                problems.append(f"{path}: {exc.strerror or exc}")
        for words in entry["commands"].values():
            try:
                commands.run(words)
            except commands.CommandError as exc:
                problems.append(str(exc))
    return problems


def restore_file(path: Path, text: str | None) -> None:
    """Give a file the text that it had."""
    if text is None:
        files.remove(path)
    else:
        files.write_atomically(path, text.encode(), path.stat().st_mode & 0o7777 if path.exists() else 0o644)
