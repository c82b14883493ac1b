# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends cni_replug on a node at a stage that may last for milliseconds: it is let run for a moment and looked at, again and again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from podnet_lab.errors import LabError
from podnet_lab.process import command_line

RECORDS = "var/lib/podnet/replug"
"""Of pods that are under way, a file each."""
STEP_SECONDS = 0.0005
"""For which the module goes on between two looks; a cut takes about ten times as long."""
MOST_SECONDS = 90.0


def stages(root: Path) -> list[str]:
    """The stage of each pod that is under way on the node with this root; C(begun) when its plugin has not made an interface yet."""
    found = []
    for path in sorted((root / RECORDS).glob("[!.]*.json")):
        with contextlib.suppress(OSError, ValueError):
            content = json.loads(path.read_text(encoding="utf-8"))
            found.append(content["stage"] if content["result"] else "begun")
    return found


def told(found: Iterable[str]) -> str:
    """Stages in words."""
    found = list(found)
    return ", ".join(f"{found.count(stage)} {stage}" for stage in ("begun", "prepared", "cut", "moved") if stage in found)


def modules(init: int) -> list[int]:
    """Processes of modules on the node with this init process: a Python that reads its program from standard input, as with pipelining."""
    found = []
    with contextlib.suppress(OSError):
        space = os.readlink(f"/proc/{init}/ns/pid")
        for process in Path("/proc").glob("[0-9]*"):
            words = command_line(int(process.name))
            with contextlib.suppress(OSError):
                if len(words) == 1 and "python" in words[0] and os.readlink(process / "ns" / "pid") == space:
                    found.append(int(process.name))
    return found


@contextlib.contextmanager
def stopped(pids: Iterable[int]) -> Iterator[None]:
    """Nobody of these does anything meanwhile."""
    pids = list(pids)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def end_at(root: Path, pids: Collection[int], stage: str) -> str:
    """SIGKILL for these processes of the module once a pod of the node with this root is at this stage; the stages at which they have left its pods.

    :raises LabError: when they end before.
    """
    until = time.monotonic() + MOST_SECONDS
    while pids and all(map(command_line, pids)) and time.monotonic() < until:
        try:
            with stopped(pids):
                found = stages(root)
                if stage in found:
                    for pid in pids:
                        os.kill(pid, signal.SIGKILL)
                    return told(found)
        except ProcessLookupError:
            break
        time.sleep(STEP_SECONDS)
    raise LabError(f"cni_replug ended, or went on, without a pod at the stage {stage}; processes of modules: {pids}")
