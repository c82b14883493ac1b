# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build results, kept outside the clone and keyed by what they are built from."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
import time
import typing as t
from pathlib import Path

from tooling.places import cache_folder, key_of

__all__ = ["cache_folder", "key_of", "lab_folder", "publish", "say"]

TEMPORARY = "building-"

_begin = time.monotonic()


def say(text: str) -> None:
    """A line of progress with the seconds since the program started."""
    print(f"[{time.monotonic() - _begin:6.1f} s] {text}", flush=True)


def lab_folder(name: str) -> Path:
    """Everything that a running lab needs and C(down) removes."""
    return cache_folder() / "labs" / name


@contextlib.contextmanager
def exclusive(name: str) -> t.Iterator[None]:
    """Only one process at a time builds the thing called C(name)."""
    folder = cache_folder() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / name, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def publish(kind: str, name: str, key: str, build: t.Callable[[Path], None]) -> Path:
    """The folder C(KIND/NAME-KEY) of the cache, made by C(build) in a temporary place and renamed when it is whole."""
    folder = cache_folder() / kind / f"{name}-{key}"
    if folder.exists():
        return folder
    with exclusive(f"{kind}-{name}"):
        if folder.exists():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left_over in folder.parent.glob(f".{name}-{TEMPORARY}*"):  # of a process that was killed: the lock is ours now
            shutil.rmtree(left_over, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{name}-{TEMPORARY}", dir=folder.parent))
        try:
            begin = time.monotonic()
            say(f"building {name} ...")
            build(temporary)
            temporary.chmod(0o755)
            temporary.rename(folder)
            say(f"built {name} in {time.monotonic() - begin:.0f} s")
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder
