# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A timer of systemd's that runs a script once unless it is disarmed before: the node goes back by itself when nobody can reach it.

Transient units: systemd.io systemd-run(1). They live in /run and are gone after a reboot.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import commands


class Timer(t.NamedTuple):
    """Whether a timer waits, and the seconds that are left, None if it does not or systemd does not tell."""

    armed: bool
    seconds_left: int | None


def read(unit: str) -> Timer:
    """The timer of this name."""
    if not commands.find("systemctl"):
        return Timer(False, None)
    done = commands.run(["systemctl", "show", f"{unit}.timer", "--property=ActiveState,NextElapseUSecMonotonic"], check=False)
    values = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if values.get("ActiveState") != "active":
        return Timer(False, None)
    elapses = parse_timespan(values.get("NextElapseUSecMonotonic", ""))
    return Timer(True, None if elapses is None else max(0, round(elapses - time.monotonic())))


_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "day": 86400.0, "days": 86400.0, "w": 604800.0,
          "week": 604800.0, "weeks": 604800.0, "month": 2629800.0, "months": 2629800.0, "y": 31557600.0, "year": 31557600.0,
          "years": 31557600.0}  # fmt: skip


def parse_timespan(text: str) -> float | None:
    """Seconds of a time span as systemd prints it, such as C(1h 2min 3.5s) (systemd.time(7)); None for anything else."""
    total = 0.0
    words = text.split()
    for word in words:
        number = word.rstrip("abcdefghijklmnopqrstuvwxyz")
        unit = word[len(number) :]
        try:
            total += float(number) * _UNITS[unit]
        except (KeyError, ValueError):
            return None
    return total if words else None


def arm(unit: str, seconds: int, command: t.Sequence[str]) -> None:
    """Run C(command) in C(seconds), once; a timer of this name that is armed already is replaced."""
    disarm(unit)
    words = ["systemd-run", f"--unit={unit}", f"--on-active={seconds}s", "--timer-property=AccuracySec=1s", "--collect", "--quiet"]
    commands.run([*words, *command])


def disarm(unit: str) -> bool:
    """Stop the timer for good, and what it started if that still runs; true when it was waiting."""
    armed = read(unit).armed
    if armed or commands.find("systemctl"):
        commands.run(["systemctl", "stop", f"{unit}.timer", f"{unit}.service"], check=False)
        commands.run(["systemctl", "reset-failed", f"{unit}.timer", f"{unit}.service"], check=False)
    return armed
