# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels for the guest: Debian's own packages, downloaded by apt with its signatures checked, in a folder that is a repository."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import typing as t
from pathlib import Path

from podnet_lab.cache import publish
from podnet_lab.errors import LabError
from podnet_lab.requirements import mirror
from podnet_lab.shell import run
from tooling.places import key_of

SUITE = "bookworm"
FLAVOUR = "cloud-amd64"
OLD = "6.1.0-"
NEW = "6.12."
_NAME = re.compile(r"linux-image-(\d\S*-" + FLAVOUR + r")")
_NUMBERS = re.compile(r"\d+")


class Kernels(t.NamedTuple):
    """The repository and the releases in it: the one that the machine is made with, and newer ones, the newest last."""

    folder: Path
    old: str
    new: tuple[str, ...]


def sources() -> str:
    """Where this machine gets Debian from, with the suites that have kernels."""
    main = mirror(SUITE)
    if main is None:
        raise LabError(f"apt knows no mirror of {SUITE}: set PODNET_DEBIAN_MIRROR to one")
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    lines = [f"deb [signed-by={keyring}] {main} {suite} main" for suite in (SUITE, f"{SUITE}-updates", f"{SUITE}-backports")]
    security = mirror(f"{SUITE}-security")
    return "\n".join([*lines, *([f"deb [signed-by={keyring}] {security} {SUITE}-security main"] if security else [])]) + "\n"


def apt_options(folder: Path) -> list[str]:
    """Apt with files of its own below a folder, so that what this machine has installed does not matter."""
    for name in ("lists/partial", "archives/partial", "etc/preferences.d"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "etc/sources.list").write_text(sources(), encoding="utf-8")
    (folder / "status").touch()
    pairs = {
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Dir::Etc::sourcelist": folder / "etc/sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::preferencesparts": folder / "etc/preferences.d",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    return [word for name, value in pairs.items() for word in ("-o", f"{name}={value}")]


def order(release: str) -> tuple[int, ...]:
    """Sort key: the numbers of a release."""
    return tuple(int(number) for number in _NUMBERS.findall(release))


def releases(names: str) -> list[str]:
    """Releases among the names of packages, one a line, in their order."""
    return sorted({found.group(1) for found in map(_NAME.fullmatch, names.split()) if found}, key=order)


def repository_index(folder: Path) -> str:
    """What apt wants to know of the packages in a folder."""
    entries = []
    for path in sorted(folder.glob("*.deb")):
        data = path.read_bytes()
        control = run(["dpkg-deb", "--field", path]).stdout.strip()
        entries.append(f"{control}\nFilename: ./{path.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n")
    return "\n".join(entries)


def build(folder: Path) -> None:
    """Download the newest old kernel, the two newest new ones, and what these need beside what the machine has."""
    apt = apt_options(folder / "apt")
    run(["apt-get", *apt, "update", "-qq"], timeout=600)
    found = releases(run(["apt-cache", *apt, "pkgnames", "linux-image-"]).stdout)
    old = [release for release in found if release.startswith(OLD)]
    new = [release for release in found if release.startswith(NEW)]
    if not old or len(new) < 2:
        raise LabError(f"{SUITE} has too few kernels of the flavour {FLAVOUR}: {', '.join(found)}")
    chosen = [old[-1], *new[-2:]]
    packages = folder / "packages"
    packages.mkdir()
    run(["apt-get", *apt, "download", "-qq", *(f"linux-image-{release}" for release in chosen)], cwd=packages, timeout=900)
    (packages / "Packages").write_text(repository_index(packages), encoding="utf-8")
    (packages / "Packages.gz").write_bytes(gzip.compress((packages / "Packages").read_bytes(), mtime=0))
    (folder / "kernels.json").write_text(json.dumps({"old": old[-1], "new": new[-2:]}), encoding="utf-8")


def ensure() -> Kernels:
    """The repository, downloaded once."""
    folder = publish("vm", "kernels", key_of(SUITE, Path(__file__).read_bytes()), build)
    data = json.loads((folder / "kernels.json").read_text(encoding="utf-8"))
    return Kernels(folder / "packages", data["old"], tuple(data["new"]))
