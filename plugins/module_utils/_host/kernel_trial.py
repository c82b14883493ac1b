# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back of a machine that is started with a new kernel: units on disk, so that they are there after the reboot, and only on trial.

What brings it back is told in C(docs/kernel_upgrade.md). This file has the timer: it reboots the machine when nobody has kept the kernel in
time. A boot on trial is known by a word on the kernel's command line, so the timer does nothing in any other boot.
"""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import commands, files
from ansible_collections.podnet.cni.plugins.module_utils._plan.kernel_entries import MARK
from ansible_collections.podnet.cni.plugins.module_utils._plan.kernel_release import Release

UNIT = "podnet-kernel-return"
UNITS = "etc/systemd/system"
MANAGER = "etc/systemd/system.conf.d/90-podnet-kernel.conf"
FOLDER = "etc/podnet"
SCRIPT = f"{FOLDER}/kernel-return.sh"
STATE = f"{FOLDER}/kernel-trial.json"
LOG = "var/lib/podnet/kernel-return.log"
RECORD = "var/lib/podnet/kernel.json"
WATCHDOG = "dev/watchdog0"
SOFTDOG_UNIT = "podnet-kernel-softdog"
SHUTDOWN_SECONDS = 120
"""A shutdown that takes longer hangs, and is ended by force."""

# It neither waits for other units nor is it stopped by them: a machine that hangs on its way up has to come back too.
_HEAD = """\
# Written by podnet.cni.kernel_boot; removed when the kernel is kept.
[Unit]
Description={description}
DefaultDependencies=no
IgnoreOnIsolate=yes
ConditionKernelCommandLine={mark}
"""
_TIMER = """\

[Timer]
OnBootSec={seconds}
AccuracySec=1s

[Install]
WantedBy=sysinit.target
"""
_SERVICE = """\

[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/sh /{script}
"""
_SCRIPT = """\
#!/bin/sh
# Written by podnet.cni.kernel_boot and started by {unit}.timer when nobody kept the kernel in time.
# The boot loader starts the kernel before this one by default, so a reboot is the way back.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
text="$(date -u +%Y-%m-%dT%H:%M:%SZ) $(uname -r) was not kept within {seconds} s of the boot: reboot"
echo "podnet.cni: $text" > /dev/kmsg
mkdir -p /{log_folder} && echo "$text" >> /{log}
sync
systemctl --no-block reboot
sleep {shutdown}
# The shutdown hangs.
for key in s u b; do
  echo "$key" > /proc/sysrq-trigger
  sleep 2
done
"""
# By name, which also loads a driver that autoload is forbidden for, as distributions do for watchdogs.
_SOFTDOG = """\
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'modprobe softdog'

[Install]
WantedBy=sysinit.target
"""
_MANAGER = """\
# Written by podnet.cni.kernel_boot; removed when the kernel is kept.
[Manager]
RuntimeWatchdogSec={seconds}
"""


class Watchdog(t.NamedTuple):
    """The watchdog that systemd serves on trial: after how many seconds without a sign of life it resets, and whether it is the kernel's own one."""

    seconds: int = 0
    soft: bool = False


def texts(seconds: int, watchdog: Watchdog) -> dict[str, str]:
    """Files of the way back by their paths."""
    found = {
        f"{UNITS}/{UNIT}.timer": _HEAD.format(description="Time for the kernel on trial to be kept", mark=MARK) + _TIMER.format(seconds=seconds),
        f"{UNITS}/{UNIT}.service": _HEAD.format(description="Go back to the kernel before", mark=MARK) + _SERVICE.format(script=SCRIPT),
        SCRIPT: _SCRIPT.format(unit=UNIT, seconds=seconds, log=LOG, log_folder=LOG.rpartition("/")[0], shutdown=SHUTDOWN_SECONDS),
    }
    if watchdog.seconds:
        found[MANAGER] = _MANAGER.format(seconds=watchdog.seconds)
    if watchdog.seconds and watchdog.soft:
        found[f"{UNITS}/{SOFTDOG_UNIT}.service"] = _HEAD.format(description="A watchdog for the kernel on trial", mark=MARK) + _SOFTDOG
    return found


def _links(names: t.Iterable[str]) -> dict[str, str]:
    """Links that enable units, and where they lead."""
    wanted = [name for name in names if name.endswith((f"{UNIT}.timer", f"{SOFTDOG_UNIT}.service"))]
    return {f"{UNITS}/sysinit.target.wants/{name.rpartition('/')[2]}": f"/{name}" for name in wanted}


def arm(root: Path, state: t.Mapping[str, t.Any], seconds: int, watchdog: Watchdog) -> None:
    """Write the units, for the next boot."""
    _remove(root)
    found = texts(seconds, watchdog)
    for name, text in found.items():
        files.write_atomically(root / name, text.encode(), 0o644)
    for name, target in _links(found).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)
    files.write_atomically(root / STATE, (json.dumps(state, indent=2) + "\n").encode(), 0o644)


def _remove(root: Path) -> list[str]:
    """Remove every file, whatever the others say; those that were there."""
    every = texts(1, Watchdog(1, True))
    names = [STATE, *_links(every), *every]
    return [name for name in names if files.remove(root / name)]


def disarm(root: Path) -> bool:
    """Stop the timer and remove everything; true when there was anything."""
    live = root == Path("/") and commands.find("systemctl") is not None
    if live:
        # First of all: from here on nothing reboots the machine.
        commands.run(["systemctl", "stop", f"{UNIT}.timer", f"{UNIT}.service"], check=False)
    gone = _remove(root)
    for folder in (FOLDER, MANAGER.rpartition("/")[0]):
        files.remove_if_empty(root / folder)
    if gone and live:
        commands.run(["systemctl", "daemon-reload"], check=False)
        if MANAGER in gone:
            _let_watchdog_go(f"{UNITS}/{SOFTDOG_UNIT}.service" in gone)
    return bool(gone)


def _let_watchdog_go(soft: bool) -> None:
    """Have systemd close the watchdog that it serves, as it would after a reboot."""
    words = ["busctl", "set-property", "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]
    commands.run([*words, "RuntimeWatchdogUSec", "t", "0"], check=False)
    if soft:
        commands.run(["systemctl", "stop", f"{SOFTDOG_UNIT}.service"], check=False)
        commands.run(["modprobe", "--remove", "softdog"], check=False)


def on_trial(root: Path) -> bool:
    """Whether this boot is a trial."""
    return any(word.partition("=")[0] == MARK for word in (files.read_text(root / "proc/cmdline") or "").split())


def _json(path: Path) -> dict[str, t.Any]:
    try:
        found = json.loads(files.read_text(path) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read(root: Path = Path("/")) -> dict[str, t.Any]:
    """What is known of a trial: whether one was begun, whether this boot is one, and what the timer wrote.

    A kernel that was kept still has the word on its command line until the next boot, and is on trial no more.
    """
    state = _json(root / STATE)
    armed = (root / STATE).exists()
    log = (files.read_text(root / LOG) or "").splitlines()
    return {"armed": armed, "on_trial": armed and on_trial(root), "log": log[-5:], **state}


def record(root: Path, previous: str, release: str) -> None:
    """Remember which kernel ran before this one, for the way back later; going back is no reason to forget it."""
    if previous and Release(previous) < Release(release):
        files.write_atomically(root / RECORD, (json.dumps({"release": release, "previous": previous}) + "\n").encode(), 0o644)


def read_record(root: Path = Path("/")) -> dict[str, t.Any]:
    """The kernel that was kept last, and the one before."""
    return _json(root / RECORD)


def watchdog_state(root: Path = Path("/")) -> dict[str, t.Any]:
    """The watchdog that there is, with its identity, and whether something uses it."""
    identity = (files.read_text(root / "sys/class/watchdog/watchdog0/identity") or "").strip()
    state = (files.read_text(root / "sys/class/watchdog/watchdog0/state") or "").strip()
    return {"device": (root / WATCHDOG).exists(), "identity": identity, "active": state == "active"}
