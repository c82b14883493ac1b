# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Long-running programs with pid files, ended only after their identity was checked."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from podnet_lab.errors import LabError
from podnet_lab.shell import environment


def command_line(pid: int) -> list[str]:
    """The arguments of a running process, empty when there is none (or it is a zombie)."""
    try:
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [word.decode(errors="replace") for word in data.split(b"\0") if word]


class Daemon:
    """One program in one network namespace: pid file, log file, start, stop."""

    def __init__(self, name: str, netns: str, command: Sequence[str | Path], run: Path, logs: Path) -> None:
        self.name = name
        self.netns = netns
        self.command = [str(word) for word in command]
        self.folder = run
        self.pid_file = run / f"{name}.pid"
        self.log = logs / f"{name}.log"

    def pid(self) -> int | None:
        """The pid of the running program, None when the pid file is missing or names another process."""
        try:
            record = json.loads(self.pid_file.read_text())
            pid, command = int(record["pid"]), list(record["command"])
            same_folder = Path(os.readlink(f"/proc/{pid}/cwd")) == self.folder.resolve()
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return pid if same_folder and command == command_line(pid)[-len(command) :] else None

    def start(self) -> bool:
        """Start it unless it runs; true when it was started."""
        if self.pid() is not None:
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.netns}", "--", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.folder,
                env=environment(),
            )
        temporary = self.pid_file.with_suffix(".new")
        temporary.write_text(json.dumps({"pid": process.pid, "command": self.command}))
        temporary.rename(self.pid_file)
        return True

    def stop(self, grace: float = 20.0) -> None:
        """End it and wait until it is gone; remove the pid file."""
        pid = self.pid()
        if pid is not None:
            end_process(pid, grace)
        self.pid_file.unlink(missing_ok=True)

    def require_alive(self) -> None:
        """Complain with the end of the log when it is not running."""
        if self.pid() is None:
            raise LabError(f"{self.name} is not running; the end of {self.log}:\n{tail(self.log)}")


def end_process(pid: int, grace: float) -> None:
    """SIGTERM, then SIGKILL after C(grace) seconds; returns when the process is gone."""
    for sign, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            if not command_line(pid):
                return
            time.sleep(0.05)
    raise LabError(f"process {pid} ({' '.join(command_line(pid))}) does not end, not even on SIGKILL")


def processes_in(namespaces: Iterable[str]) -> dict[int, str]:
    """Every process whose network namespace is one of these, by pid: its command line."""
    wanted = set()
    for netns in namespaces:
        with contextlib.suppress(OSError):
            status = os.stat(f"/run/netns/{netns}")
            wanted.add((status.st_dev, status.st_ino))
    found: dict[int, str] = {}
    own = os.stat("/proc/self/ns/net")
    wanted.discard((own.st_dev, own.st_ino))
    if not wanted:
        return found
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            status = os.stat(entry / "ns" / "net")
            if (status.st_dev, status.st_ino) in wanted:
                found[int(entry.name)] = " ".join(command_line(int(entry.name)))
    return found


def end_processes_in(namespaces: Iterable[str], grace: float = 5.0) -> list[str]:
    """End what still runs in these network namespaces (they are the lab's own); returns what was ended."""
    names = list(namespaces)
    ended: list[str] = []
    for sign, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        rest = processes_in(names)
        if not rest:
            break
        ended += [line for line in rest.values() if line and line not in ended]
        for pid in rest:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and processes_in(names):
            time.sleep(0.1)
    return ended


def tail(path: Path, size: int = 1500) -> str:
    """The end of a text file."""
    try:
        return path.read_text(errors="replace")[-size:]
    except OSError:
        return "(no such file)"
