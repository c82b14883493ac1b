# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the node: read what is there, write atomically."""

from __future__ import annotations

import os
import tempfile
import typing as t
from pathlib import Path


def read_bytes(path: str | Path) -> bytes | None:
    """Content of a file, None when there is none."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def read_text(path: str | Path) -> str | None:
    """Text of a file, None when there is none."""
    data = read_bytes(path)
    return None if data is None else data.decode("utf-8", "replace")


def names(folder: str | Path) -> list[str]:
    """Sorted names in a folder, empty when there is none."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def sync_folder(folder: str | Path) -> None:
    """Make a rename in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: str | Path, content: bytes, mode: int = 0o600) -> None:
    """Readers see the old content or the new one, whatever happens meanwhile.

    The temporary file begins with a dot and has no suffix that a container runtime looks at.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".podnet", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        os.rename(temporary, target)
    except BaseException:
        remove(temporary)
        raise
    sync_folder(target.parent)


def remove(path: str | Path) -> bool:
    """Remove a file; true when there was one."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def remove_if_empty(folder: str | Path) -> bool:
    """Remove a folder that holds nothing; true when there was one."""
    try:
        os.rmdir(folder)
    except OSError:
        return False
    return True


def existing(paths: t.Iterable[str | Path]) -> list[str]:
    """Those of the paths at which there is something."""
    return [str(path) for path in paths if os.path.lexists(path)]
