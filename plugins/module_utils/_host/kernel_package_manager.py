# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package managers of the host: which kernels they have and can get, and the installation of exactly these packages."""

from __future__ import annotations

import re
import typing as t
from xml.etree import ElementTree

from ansible_collections.podnet.cni.plugins.module_utils._host import commands

Package = dict[str, t.Any]
LIST_SECONDS = 180.0
INSTALL_SECONDS = 3600.0
LOCK_SECONDS = 300
"""How long to wait for another installation, such as one of unattended-upgrades, to end."""
_APT_NAMES = ("linux-image-", "linux-headers-", "linux-modules-extra-")
_APT = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
_RPM_NAMES = re.compile(r"kernel(?:-(?:ml|lt))?(?:\d+\.\d+)?(?:-(?:modules-extra|devel))?")
_RPM_FORMAT = "%{name}\t%{version}-%{release}\t%{arch}\n"
_META = re.compile(r"linux-image-(?!\d+\.\d+\.\d)\S+")
_DEPENDENCY = re.compile(r"linux-(?:image|modules)-[^\s,]+")


class Manager:
    """What every package manager can do."""

    name = ""

    def refresh(self) -> None:
        """Read the repositories anew."""
        raise NotImplementedError

    def packages(self) -> list[Package]:
        """Packages of kernels and what belongs to them, with C(name), C(version), C(arch), C(installed)."""
        raise NotImplementedError

    def metas(self) -> dict[str, list[str]]:
        """Packages that depend on the newest kernel of a line, with the packages of kernels that they depend on."""
        return {}

    def install(self, packages: t.Sequence[str]) -> None:
        """Install exactly these, each with its version as this package manager writes it."""
        raise NotImplementedError

    def remove(self, packages: t.Sequence[str]) -> None:
        """Remove packages, named as for C(install)."""
        raise NotImplementedError


def parse_madison(text: str) -> list[tuple[str, str]]:
    """Names and versions of C(apt-cache madison)."""
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    return list(dict.fromkeys((row[0], row[1]) for row in rows if len(row) >= 3 and row[2].rstrip().endswith("Packages")))


def parse_dpkg(text: str) -> list[tuple[str, str]]:
    """Names and versions of packages that are wholly installed, of C(dpkg-query) with tabs."""
    rows = [line.split("\t") for line in text.splitlines()]
    return [(row[0], row[1]) for row in rows if len(row) >= 3 and row[2] == "installed"]


def parse_depends(text: str) -> dict[str, list[str]]:
    """Packages of kernels that others depend on, of C(apt-cache show)."""
    found: dict[str, list[str]] = {}
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(" "))
        if "Package" in fields:
            found.setdefault(fields["Package"], []).extend(_DEPENDENCY.findall(fields.get("Depends", "")))
    return found


class Apt(Manager):
    """Debian and Ubuntu."""

    name = "apt"

    def refresh(self) -> None:
        commands.run(["apt-get", "update", "-q"], timeout=LIST_SECONDS, environment=_APT)

    def _names(self) -> list[str]:
        return [
            name
            for prefix in _APT_NAMES
            for name in commands.run(["apt-cache", "pkgnames", prefix], timeout=LIST_SECONDS).stdout.split()
            if not re.search(r"-(dbg|dbgsym|unsigned)$|^linux-image-unsigned-", name)
        ]

    def packages(self) -> list[Package]:
        words = ["dpkg-query", "--show", "--showformat=${Package}\t${Version}\t${db:Status-Status}\n", *(f"{name}*" for name in _APT_NAMES)]
        here = parse_dpkg(commands.run(words, check=False).stdout)
        names = sorted(self._names())
        there = parse_madison(commands.run(["apt-cache", "madison", *names], timeout=LIST_SECONDS).stdout) if names else []
        every = dict.fromkeys([*here, *there])
        return [{"name": name, "version": version, "arch": "", "installed": (name, version) in here} for name, version in every]

    def metas(self) -> dict[str, list[str]]:
        names = sorted(name for name in self._names() if _META.fullmatch(name))
        if not names:
            return {}
        return parse_depends(commands.run(["apt-cache", "show", "--no-all-versions", *names], timeout=LIST_SECONDS, check=False).stdout)

    def install(self, packages: t.Sequence[str]) -> None:
        words = ["apt-get", "install", "--yes", "-q", "--no-install-recommends", "--no-remove", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}",
                 "-o", "Dpkg::Options::=--force-confold", *packages]  # fmt: skip
        commands.run(words, timeout=INSTALL_SECONDS, environment=_APT)

    def remove(self, packages: t.Sequence[str]) -> None:
        names = [package.partition("=")[0] for package in packages]
        commands.run(
            ["apt-get", "purge", "--yes", "-q", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", *names], timeout=INSTALL_SECONDS, environment=_APT
        )


def parse_rpm(text: str) -> list[tuple[str, str, str]]:
    """Name, version with release, and architecture, of lines with tabs."""
    rows = [line.strip().split("\t") for line in text.splitlines()]
    return [(row[0], row[1], row[2]) for row in rows if len(row) == 3 and _RPM_NAMES.fullmatch(row[0])]


class Dnf(Manager):
    """RHEL and its rebuilds, Fedora, Amazon Linux."""

    name = "dnf"

    def refresh(self) -> None:
        commands.run(["dnf", "--quiet", "makecache"], timeout=LIST_SECONDS)

    def packages(self) -> list[Package]:
        here = parse_rpm(commands.run(["rpm", "--query", "--all", "--queryformat", _RPM_FORMAT, "kernel*"]).stdout)
        names = sorted({"kernel", "kernel-ml", "kernel-lt", "kernel-modules-extra", "kernel-devel", *(name for name, dummy, dummy2 in here)})
        words = ["dnf", "--quiet", "repoquery", "--available", "--queryformat", _RPM_FORMAT, *names, "kernel6.*"]
        there = parse_rpm(commands.run(words, timeout=LIST_SECONDS).stdout)
        every = dict.fromkeys([*here, *there])
        return [{"name": name, "version": version, "arch": arch, "installed": (name, version, arch) in here} for name, version, arch in every]

    def install(self, packages: t.Sequence[str]) -> None:
        commands.run(["dnf", "--assumeyes", "--quiet", "install", *packages], timeout=INSTALL_SECONDS)

    def remove(self, packages: t.Sequence[str]) -> None:
        commands.run(["dnf", "--assumeyes", "--quiet", "remove", *packages], timeout=INSTALL_SECONDS)


def parse_zypper(text: str) -> list[Package]:
    """Packages of C(zypper --xmlout search --details)."""
    try:
        tree = ElementTree.fromstring(text)  # noqa: S314 - the host's own package manager
    except ElementTree.ParseError:
        return []
    rows = [item.attrib for item in tree.iter("solvable") if item.get("kind") == "package"]
    found: dict[tuple[str, str, str], bool] = {}
    for row in rows:
        key = (row.get("name", ""), row.get("edition", ""), row.get("arch", ""))
        found[key] = found.get(key, False) or row.get("status") == "installed"
    return [{"name": name, "version": version, "arch": arch, "installed": installed} for (name, version, arch), installed in found.items()]


class Zypper(Manager):
    """SUSE."""

    name = "zypper"

    def refresh(self) -> None:
        commands.run(["zypper", "--non-interactive", "--quiet", "refresh"], timeout=LIST_SECONDS)

    def packages(self) -> list[Package]:
        names = ["kernel-default", "kernel-rt", "kernel-azure", "kernel-64kb"]
        words = ["zypper", "--non-interactive", "--xmlout", "search", "--details", "--match-exact", "--type", "package", *names]
        return parse_zypper(commands.run(words, timeout=LIST_SECONDS, check=False).stdout)

    def install(self, packages: t.Sequence[str]) -> None:
        # --oldpackage: a release that was asked for may be older than one that is installed.
        commands.run(["zypper", "--non-interactive", "--quiet", "install", "--oldpackage", "--no-recommends", *packages], timeout=INSTALL_SECONDS)

    def remove(self, packages: t.Sequence[str]) -> None:
        commands.run(["zypper", "--non-interactive", "--quiet", "remove", *packages], timeout=INSTALL_SECONDS)


def find() -> Manager | None:
    """The package manager of this host, None when it is not one of those that are known."""
    for manager, program in ((Apt(), "apt-get"), (Dnf(), "dnf"), (Zypper(), "zypper")):
        if commands.find(program):
            return manager
    return None
