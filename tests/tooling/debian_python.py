# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python of another Debian release, beside the system's, for machines that have no other way to it.

Debian 12 has Python 3.11, the newest ansible-core wants 3.12, and modules must run on 3.9. Apt resolves and verifies the packages of the
release that has the version, as if nothing were installed; they are only unpacked, into the cache, with the C library of their own. The
system's apt and dpkg don't learn of them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tooling import packages
from tooling.places import cache_folder, key_of

SUITES = {(3, 9): "bullseye", (3, 13): "trixie"}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PATCHELF = {"patchelf": "patchelf"}


class NotHere(Exception):
    """It cannot be had on this machine; the text says why."""


def ensure(version: tuple[int, int]) -> str:
    """The interpreter, unpacked when it is not there yet."""
    suite = SUITES[version]
    folder = cache_folder() / "pythons" / f"{suite}-{key_of(Path(__file__).read_bytes())}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _check_machine(version)
            print(f"unpacking Python {version[0]}.{version[1]} of Debian {suite} ...", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(prefix=f".{suite}-", dir=folder.parent) as temporary:
                root = Path(temporary) / "root"
                _unpack(suite, f"python{version[0]}.{version[1]}-venv", Path(temporary) / "apt", root)
                # The places of its libraries are written into it, so they are those that it has in the end.
                _relocate(root, folder, version)
                root.rename(folder)
    return str(folder / "usr" / "bin" / f"python{version[0]}.{version[1]}")


def make_environment(python: str, folder: Path) -> None:
    """A virtual environment with pip, for any interpreter."""
    places = list(Path(python).parents)
    unpacked = cache_folder() / "pythons" in places
    subprocess.run([python, "-m", "venv", *(["--without-pip"] if unpacked else []), str(folder)], check=True)
    if unpacked:  # Debian's ensurepip looks for pip below the system's /usr
        (wheel,) = (places[1] / "share" / "python-wheels").glob("pip-*.whl")
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-index", str(wheel)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(wheel)})


def mirror_of(targets: str) -> str | None:
    """Where Debian itself is, among the lines "ORIGIN COMPONENT CODENAME URL" of C(apt-get indextargets)."""
    for line in targets.splitlines():
        words = line.split()
        if len(words) == 4 and words[:2] == ["Debian", "main"] and "-" not in words[2]:
            return words[3]
    return None


def mirror() -> str:
    """Where apt gets Debian from: C(PODNET_DEBIAN_MIRROR), or what it is configured with, which it knows once it has lists.

    :raises NotHere: when neither tells.
    """
    command = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)", "Created-By: Packages"]
    told = os.environ.get("PODNET_DEBIAN_MIRROR") or mirror_of(_run(command).stdout)
    if not told:
        _run(["apt-get", "update", "-qq"])
        told = mirror_of(_run(command).stdout)
    if not told:
        raise NotHere("apt does not know a mirror of Debian: give one with PODNET_DEBIAN_MIRROR")
    return told


def _check_machine(version: tuple[int, int]) -> None:
    what = f"Python {version[0]}.{version[1]} of Debian {SUITES[version]}"
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb") or not KEYRING.exists():
        raise NotHere(f"{what} can be unpacked only where there are apt-get, dpkg-deb and {KEYRING}")
    try:
        packages.install(packages.missing(PATCHELF))
    except packages.MissingPackages as exc:
        raise NotHere(f"{what}: {exc}") from exc


def _unpack(suite: str, package: str, apt: Path, root: Path) -> None:
    """Download a package with all that it needs, and unpack them."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n")
    options = {
        "Dir::Etc::sourcelist": str(apt / "sources.list"),
        "Dir::Etc::sourceparts": "-",
        "Dir::State": str(apt / "state"),
        "Dir::State::status": str(apt / "status"),
        "Dir::Cache": str(apt / "cache"),
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",  # the user of apt's downloads may not read the cache
    }
    words = ["apt-get", "-qq", *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]
    _run([*words, "update"])
    _run([*words, "-y", "--download-only", "install", package])
    for archive in sorted((apt / "cache" / "archives").glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(archive), str(root)])


def _relocate(root: Path, target: Path, version: tuple[int, int]) -> None:
    """Make the interpreter use the C library and all other libraries that were unpacked with it."""
    folders = [path for path in (*root.glob("usr/lib/*-linux-gnu"), *root.glob("lib/*-linux-gnu")) if path.is_dir()]
    (loader,) = {path for folder in folders for path in folder.glob("ld-linux-*.so.*")}
    search = os.pathsep.join(str(target / folder.relative_to(root)) for folder in folders)
    program = root / "usr" / "bin" / f"python{version[0]}.{version[1]}"
    command = ["patchelf", "--set-interpreter", str(target / loader.relative_to(root)), "--force-rpath", "--set-rpath", search]
    _run([*command, str(program)])


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    if done.returncode:
        raise NotHere(f"'{' '.join(command)}' failed: {done.stderr[-2000:]}")
    return done
