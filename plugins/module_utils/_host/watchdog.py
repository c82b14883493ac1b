# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's way back: a timer that makes Flannel's CNI configuration the active one again, unless the change is kept before."""

from __future__ import annotations

import shlex
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni import host_local
from ansible_collections.podnet.cni.plugins.module_utils._host.way_back import WayBack

UNIT = "podnet-cni-watchdog"
SCRIPT = "cni-watchdog.sh"
LOG = "cni-watchdog.log"

_TEXT = """\
#!/bin/sh
# Written by podnet.cni.cni_switch and started by the timer {unit}.timer when nobody kept the change in time.
# Flannel's configuration is still in its place, so removing the one in front of it makes it the active one.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
copy={copy}
leases={leases}
# Calico's pods go on running: Flannel must not give their addresses to others.
mkdir -p -- "$leases"
ip -4 route show | while read -r address word device rest; do
  case "$word $device" in
    "dev cali"*) [ -e "$leases/$address" ] || printf '%s\\r\\neth0' {marker} > "$leases/$address" ;;
  esac
done
rm -f -- "$copy"
sync
echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) the change was not kept in time: $copy was removed, Flannel is active again" | tee -a {log}
rm -f -- {leftovers}
"""


def script_text(copy: Path, lease_folder: Path, log: Path, leftovers: t.Iterable[Path]) -> str:
    """A shell script that needs nothing of ours, so that it works whatever became of the collection's files."""
    return _TEXT.format(
        unit=UNIT,
        copy=shlex.quote(str(copy)),
        leases=shlex.quote(str(lease_folder)),
        marker=shlex.quote(host_local.RESERVED_BY_US),
        log=shlex.quote(str(log)),
        leftovers=" ".join(shlex.quote(str(path)) for path in leftovers),
    )


def way_back(folder: Path) -> WayBack:
    """The timer with its script."""
    return WayBack(UNIT, folder / SCRIPT, "/bin/sh")


def arm(folder: Path, seconds: int, copy: Path, lease_folder: Path, leftovers: t.Sequence[Path] = ()) -> None:
    """Write the script and start the timer, or renew a timer that waits already."""
    text = script_text(copy, lease_folder, folder / LOG, [*leftovers, folder / SCRIPT])
    way_back(folder).arm(seconds, text.encode())


def disarm(folder: Path) -> bool:
    """Stop the timer and remove its script; true when there was either."""
    return way_back(folder).disarm()
