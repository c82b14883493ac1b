# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages of programs that checks and lab need: which are missing, and their installation."""

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t

PROGRAMS: t.Mapping[str, str] = {
    "bpftool": "bpftool",
    "git": "git",
    "ip": "iproute2",
    "ipset": "ipset",
    "iptables-nft-restore": "iptables",
    "nft": "nftables",
    "shellcheck": "shellcheck",
}
"""What the checks call, apart from what comes with their Python environments, and the package that holds it."""


class MissingPackages(Exception):
    """Packages are missing and could not be installed; the text says how to get them."""


def missing(programs: t.Mapping[str, str]) -> list[str]:
    """Packages of the programs that are not there; folders of the administrator count even if the PATH lacks them."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return sorted({package for program, package in programs.items() if not shutil.which(program, path=path)})


def install(packages: t.Sequence[str]) -> None:
    """Install Debian packages, as root on a system that has apt; elsewhere say what is missing."""
    if not packages:
        return
    remedy = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if not shutil.which("apt-get"):
        raise MissingPackages(f"these Debian packages or their like are missing: {', '.join(packages)}; install them with your package manager")
    if os.geteuid():
        raise MissingPackages(f"these packages are missing, and only root can install them: {', '.join(packages)}; run: sudo {remedy}")
    # Services of these packages (bird, podman's timers) must not start on the machine itself.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MissingPackages(f"'{' '.join(command)}' failed, try it by hand: {remedy}\n{done.stderr[-2000:]}")
