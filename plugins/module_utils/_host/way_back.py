# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of the node's own that a timer starts unless it is disarmed before, so that the node goes back when nobody can reach it."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import commands, files, systemd_timer

LEAST_SECONDS, MOST_SECONDS = 10, 86400


def seconds_problem(seconds: int, without: str) -> str | None:
    """What is wrong with the option C(watchdog_seconds); C(without) says what 0 does."""
    if seconds == 0 or LEAST_SECONDS <= seconds <= MOST_SECONDS:
        return None
    return f"watchdog_seconds: {seconds} is out of range; give {LEAST_SECONDS} to {MOST_SECONDS}, or 0 to {without}"


def require() -> None:
    """Fail before anything changes on a node that cannot have such a timer.

    :raises CommandError: with the reason.
    """
    for program in ("systemd-run", "systemctl"):
        if not commands.find(program):
            raise commands.CommandError(f"the program {program} is missing on this node")


class WayBack(t.NamedTuple):
    """A timer with its program."""

    unit: str
    program: Path
    interpreter: str

    def arm(self, seconds: int, content: bytes, *arguments: str) -> None:
        """Write the program and start the timer, or renew a timer that waits already."""
        files.write_atomically(self.program, content, 0o700)
        systemd_timer.arm(self.unit, seconds, [self.interpreter, str(self.program), *arguments])

    def disarm(self) -> bool:
        """Stop the timer and remove its program; true when there was either."""
        armed = systemd_timer.disarm(self.unit)
        return files.remove(self.program) or armed
