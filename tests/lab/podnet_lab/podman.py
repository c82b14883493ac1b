# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""podman with storage, settings and locks of its own, so that the user's containers are not touched."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import subprocess
from pathlib import Path

from podnet_lab.errors import LabError
from podnet_lab.process import tail
from podnet_lab.requirements import cgroup_mode
from podnet_lab.shell import SEARCH_PATH, run

CGROUPS = Path("/sys/fs/cgroup")
CAP_SYS_RESOURCE = 24
CPU_FACTOR = 3
"""All nodes share one cgroup; without this they would get as much of a busy machine as one other process."""

CONTAINERS_CONF = """\
# Written by the lab.
[containers]
{ulimits}

[engine]
runtime = "{runtime}"
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
tmp_dir = "{runroot}/tmp"
"""

STORAGE_CONF = """\
# Written by the lab.
[storage]
driver = "overlay"
graphroot = "{root}"
runroot = "{runroot}"
"""


class Podman:
    """One private podman for a lab."""

    def __init__(self, name: str, state: Path) -> None:
        self.root = state / "podman"
        self.storage = self.root / "storage"
        # podman refuses a long path here, and it belongs on a file system that a reboot empties.
        self.runroot = Path("/run/podnet-lab") / name
        self.cgroup_parent = f"/podnet-lab-{name}"

    def prepare(self) -> None:
        """Write the settings."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.runroot.mkdir(parents=True, exist_ok=True)
        limits = current_limits()
        ulimits = f"default_ulimits = {json.dumps(limits)}" if limits else ""
        conf = CONTAINERS_CONF.format(ulimits=ulimits, runtime=choose_runtime(), runroot=self.runroot)
        (self.root / "containers.conf").write_text(conf)
        (self.root / "storage.conf").write_text(STORAGE_CONF.format(root=self.storage, runroot=self.runroot))

    @property
    def env(self) -> dict[str, str]:
        """Where podman finds its settings."""
        return {
            "CONTAINERS_CONF": str(self.root / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.root / "storage.conf"),
        }

    def command(self, *words: str | Path) -> list[str]:
        """The full command line of a podman call."""
        return ["podman", *(str(word) for word in words)]

    def run(self, *words: str | Path, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Call podman to its end."""
        return run(self.command(*words), check=check, env=self.env, timeout=timeout)

    def start(self, log: Path, *words: str | Path) -> None:
        """Call podman to start a container. Its monitor keeps inherited pipes open, so the output goes to a file."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as output:
            done = subprocess.run(
                self.command(*words),
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env, "PATH": SEARCH_PATH},
                timeout=120,
            )
        if done.returncode:
            raise LabError(f"podman {words[0]} failed; the end of {log}:\n{tail(log)}")

    def containers(self) -> dict[str, str]:
        """State of every container of the lab by its name."""
        if not (self.root / "containers.conf").exists():
            return {}
        done = self.run("ps", "--all", "--format", "json", check=False)
        if done.returncode:
            return {}
        return {entry["Names"][0]: str(entry["State"]) for entry in json.loads(done.stdout or "[]")}

    def pid(self, container: str) -> int:
        """The pid of a container's init as this machine sees it; 0 when it does not run."""
        done = self.run("inspect", "--format", "{{.State.Pid}}", container, check=False)
        return int(done.stdout.strip() or 0) if done.returncode == 0 else 0

    def remove(self, container: str) -> None:
        """Kill and remove a container, if there is one. A node's disk is thrown away, so it need not shut down."""
        self.run("rm", "--force", "--time", "0", "--ignore", container, check=False)

    def remove_all(self) -> None:
        """Remove every container, the storage and what containers leave in the cgroup trees."""
        for container in self.containers():
            self.remove(container)
        unmount_below(self.storage)
        unmount_below(self.runroot)
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.runroot, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.runroot.parent.rmdir()
        self.remove_cgroups()

    def favour_nodes(self) -> None:
        """Let the nodes have most of the processors when the machine has other things to do."""
        name = self.cgroup_parent.lstrip("/")
        for file, default in ((CGROUPS / "cpu" / name / "cpu.shares", 1024), (CGROUPS / name / "cpu.weight", 100)):
            if file.exists():
                file.write_text(str(default * CPU_FACTOR))

    def remove_cgroups(self) -> None:
        """Remove the lab's own cgroups in every tree, deepest first; kubelet's stay behind when a node is killed."""
        for tree in [CGROUPS, *CGROUPS.glob("*")]:
            top = tree / self.cgroup_parent.lstrip("/")
            if not top.is_dir():
                continue
            folders = [Path(path) for path, _names, _files in os.walk(top, topdown=False)]
            for folder in folders:
                with contextlib.suppress(OSError):
                    folder.rmdir()


def choose_runtime() -> str:
    """Crun where cgroup v2 is in use; on the older trees runc, because crun refuses the mixture of both."""
    if cgroup_mode() == "v2" and shutil.which("crun", path=SEARCH_PATH):
        return "crun"
    return "runc"


def current_limits() -> list[str]:
    """The limits for containers: podman's own, unless this process lacks CAP_SYS_RESOURCE and can't raise them."""
    status = Path("/proc/self/status").read_text()
    effective = int(status.split("CapEff:")[1].split()[0], 16)
    if effective & 1 << CAP_SYS_RESOURCE:
        return []
    limits = []
    for name, number, most in (("nofile", resource.RLIMIT_NOFILE, 1048576), ("nproc", resource.RLIMIT_NPROC, 20000)):
        hard = resource.getrlimit(number)[1]
        value = most if hard == resource.RLIM_INFINITY else min(hard, most)
        limits.append(f"{name}={value}:{value}")
    return limits


def mounts_below(folder: Path) -> list[str]:
    """Every mount point in a folder, the last mounted first."""
    prefix = f"{folder}/"
    points: list[str] = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        point = _unescape(line.split()[1])
        if point == str(folder) or point.startswith(prefix):
            points.append(point)
    return points[::-1]


def unmount_below(folder: Path) -> None:
    """Unmount everything in a folder."""
    for point in mounts_below(folder):
        if run(["umount", point], check=False).returncode:
            run(["umount", "--lazy", point], check=False)


def _unescape(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
