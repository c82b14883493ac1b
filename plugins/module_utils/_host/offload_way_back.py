# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back of C(offload_set): a program that puts features back when the change was not kept in time. It runs without the collection."""

from __future__ import annotations

import datetime
import sys
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import files, offload_record, standalone
from ansible_collections.podnet.cni.plugins.module_utils._host.way_back import WayBack

UNIT = "podnet-offload-watchdog"
PROGRAM = "offload-watchdog.pyz"
LOG = "offload-watchdog.log"
_NEEDS = (
    *(f"_host.{name}" for name in ("commands", "ethtool", "ethtool_ioctl", "ethtool_netlink", "files", "netlink_messages")),
    *(f"_host.{name}" for name in ("offload_record", "standalone", "systemd_timer", "way_back")),
    "_plan.features",
)


def _timer(folder: Path) -> WayBack:
    return WayBack(UNIT, folder / PROGRAM, sys.executable)


def arm(folder: Path, seconds: int) -> None:
    """Write the program and start the timer, or renew a timer that waits already."""
    _timer(folder).arm(seconds, standalone.archive("_host.offload_way_back", _NEEDS), str(folder))


def disarm(folder: Path) -> bool:
    """Stop the timer and remove its program; true when there was either."""
    return _timer(folder).disarm()


def main(arguments: t.Sequence[str]) -> int:
    """Put back what was not kept, and say so in the log."""
    folder = Path(arguments[0])
    pending = offload_record.read_pending(folder)
    if pending is None:
        return 0
    problems = offload_record.put_back(pending["entries"])
    try:
        offload_record.restore_file(folder / offload_record.RECORD, pending["record"])
    except OSError as exc:
        problems.append(f"{offload_record.RECORD}: {exc}")
    time = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = f"; this could not be put back: {'; '.join(problems)}" if problems else ""
    line = f"{time} the change was not kept in time: features of {', '.join(pending['entries'])} were put back{told}\n"
    sys.stdout.write(line)
    files.write_atomically(folder / LOG, line.encode())
    files.remove(folder / offload_record.PENDING)
    files.remove(folder / PROGRAM)
    return 1 if problems else 0
