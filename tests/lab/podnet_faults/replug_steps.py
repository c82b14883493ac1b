# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Catches cni_replug on a node at a stage that may last for milliseconds: it is let run for a moment and looked at, again and again."""

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


def under_way(root: Path) -> list[tuple[str, str]]:
    """Stage and address of each pod that is under way on the node with this root; C(begun) when its plugin has not made an interface yet."""
    found = []
    for path in sorted((root / RECORDS).glob("[!.]*.json")):
        with contextlib.suppress(OSError, ValueError):
            content = json.loads(path.read_text(encoding="utf-8"))
            address = content["pod"]["result"]["ips"][0]["address"].partition("/")[0]
            found.append((content["stage"] if content["result"] else "begun", address))
    return found


def stages(root: Path) -> list[str]:
    """The stages alone."""
    return [stage for stage, dummy in under_way(root)]


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
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def caught(root: Path, pids: Collection[int], *wanted: str) -> Iterator[list[tuple[str, str]]]:
    """These processes of the module stand still at a moment when there are pods of the node at all of these stages; C(under_way) of that moment.

    :raises LabError: when they end before.
    """
    until = time.monotonic() + MOST_SECONDS
    while pids and all(map(command_line, pids)) and time.monotonic() < until:
        with stopped(pids):
            found = under_way(root)
            if set(wanted) <= {stage for stage, dummy in found} and all(map(command_line, pids)):
                yield found
                return
        time.sleep(STEP_SECONDS)
    raise LabError(f"cni_replug ended, or went on, without a pod at the stage {' and another at '.join(wanted)}; processes of modules: {pids}")


def end_at(root: Path, pids: Collection[int], stage: str) -> str:
    """SIGKILL for these processes of the module once a pod of the node with this root is at this stage; the stages at which they have left its pods.

    :raises LabError: when they end before.
    """
    with caught(root, pids, stage) as found:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return told(name for name, dummy in found)


def next_of(found: Iterable[tuple[str, str]]) -> str:
    """The address of a pod that is prepared while another one is cut: all that are prepared together were looked at before the first cut."""
    return min(address for stage, address in found if stage == "prepared")
