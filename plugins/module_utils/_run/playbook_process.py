# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook that runs a module on its own controller, so that a lock can be seen to be left behind."""

from __future__ import annotations

import getpass
import os
import socket

_PROGRAM = "ansible-playbook"


def owner() -> str:
    """Who runs this, for people."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _machine() -> str:
    """The boot of this machine and the process numbers that are valid in it; empty where that is not known."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _status(process: int) -> tuple[int, str] | None:
    """Parent and start time of a process, None when it has ended."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            words = file.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if words[0] == "Z" else (int(words[1]), words[19])


def _is_playbook(process: int) -> bool:
    try:
        with open(f"/proc/{process}/cmdline", encoding="utf-8", errors="replace") as file:
            words = file.read().split("\0")
    except OSError:
        return False
    return any(os.path.basename(word) == _PROGRAM for word in words[:3])


def current() -> str:
    """The next ansible-playbook above this process; empty when there is none.

    Its workers are copies of it with the same command line, right below it. An ansible-playbook further above is another one, which runs this
    one as a program.
    """
    machine, found = _machine(), ""
    process: int = os.getpid()
    while machine and process > 1:
        status = _status(process)
        if status is None:
            break
        if _is_playbook(process):
            found = f"{machine}/{process}/{status[1]}"
        elif found:
            break
        process = status[0]
    return found


def has_ended(token: str) -> bool:
    """Whether the process of C(current()) has ended for certain; false when that cannot be known from here."""
    machine, dummy, rest = token.rpartition("/")
    machine, dummy, process = machine.rpartition("/")
    if not machine or machine != _machine() or not process.isdigit():
        return False
    status = _status(int(process))
    return status is None or status[1] != rest
