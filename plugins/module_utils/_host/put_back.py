# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was there before a change, in files of the collection's own, and how files and settings of others get it again."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import commands, files


class Setup(t.TypedDict):
    """What set up a device."""

    files: dict[str, str | None]
    """Texts of files by path, None for those that were not there."""
    commands: dict[str, list[str]]
    """What to run after that, by what it is about."""


def nothing() -> Setup:
    """Nothing that has to be put back."""
    return Setup(files={}, commands={})


def write(path: Path, content: t.Any) -> None:
    """Write something as JSON; nothing is worth no file."""
    if content:
        files.write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())
    else:
        files.remove(path)


def read(path: Path) -> t.Any:
    """What was written, None when nothing was."""
    text = files.read_text(path)
    return json.loads(text) if text else None


def restore_file(path: Path, text: str | None) -> None:
    """Give a file the text that it had."""
    if text is None:
        files.remove(path)
    else:
        files.write_atomically(path, text.encode(), path.stat().st_mode & 0o7777 if path.exists() else 0o644)


def restore_setup(setup: Setup) -> list[str]:
    """Put files back, then run what makes them count; what could not be."""
    problems = []
    for path, text in setup["files"].items():
        try:
            restore_file(Path(path), text)
        except OSError as exc:
            problems.append(f"{path}: {exc.strerror or exc}")
    for words in setup["commands"].values():
        try:
            commands.run(words)
        except commands.CommandError as exc:
            problems.append(str(exc))
    return problems


def told(problems: t.Sequence[str]) -> str:
    """How it went to put everything back, for a message."""
    return f"this could not be put back: {'; '.join(problems)}" if problems else "everything was put back"
