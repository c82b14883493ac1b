# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages bring which kernel: what a distribution calls its kernels, and the one that is wanted. Pure: no input, no output.

A package manager lists packages by name and version; a kernel is known by its release, as C(uname -r) prints it. How the one follows from the
other is a matter of each distribution.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan.kernel_release import Release, compare
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import natural_key

Record = t.Mapping[str, t.Any]

DEFAULT = "default"
EXAMPLES = "give 'default', a series such as 6.12, or a release as 'uname -r' prints it"


class Unavailable(ValueError):
    """The wanted kernel is not there; the text says what is."""


class Distribution(t.NamedTuple):
    """How one family of distributions ships kernels.

    C(streams) are the lines of kernels that it has besides its default one. C(tried) tells whether the playbooks were run on it.
    """

    name: str
    title: str
    manager: str
    streams: tuple[str, ...]
    tried: bool = False


DISTRIBUTIONS: t.Mapping[str, Distribution] = {
    item.name: item
    for item in (
        Distribution("debian", "Debian", "apt", ("backports",), tried=True),
        Distribution("ubuntu", "Ubuntu", "apt", ("hwe",)),
        Distribution("el", "RHEL and its rebuilds", "dnf", ("elrepo-lt", "elrepo-ml")),
        Distribution("amzn", "Amazon Linux", "dnf", ()),
        Distribution("suse", "SUSE", "zypper", ()),
    )
}
_EL = ("rhel", "centos", "rocky", "almalinux", "ol", "fedora")
_SUSE = ("sles", "sle", "opensuse", "opensuse-leap", "opensuse-tumbleweed", "suse")
_FLAVOUR = re.compile(r"-((?:[a-z]|686(?=-pae$|$))[a-z0-9]*(?:-[a-z0-9]+)*)$")
_IMAGE = re.compile(r"linux-image-(\d+\.\d+(?:\.\d+|~rc\d+)\S*)")
_RPM = re.compile(r"kernel(?:-(ml|lt))?(\d+\.\d+)?")
_SUSE_PACKAGE = re.compile(r"kernel-(default|rt|azure|64kb)")
_SERIES = re.compile(r"\d+\.\d+(?:\.\d+)?")


def distribution_of(system: Record) -> Distribution | None:
    """The family that an C(os-release) file tells of, None for one that is not known."""
    names = [str(system.get("id") or ""), *(str(system.get("id_like") or "").split())]
    for name in names:
        if name in ("ubuntu", "debian", "amzn"):
            return DISTRIBUTIONS[name]
        if name in _EL:
            return DISTRIBUTIONS["el"]
        if name in _SUSE:
            return DISTRIBUTIONS["suse"]
    return None


def flavour_of(release: str, family: str) -> str:
    """The flavour of a kernel: C(cloud-amd64), C(generic), C(aws), C(default); of EL that of its packages: C(kernel), C(kernel-ml), C(kernel6.12)."""
    if family in ("el", "amzn"):
        if "elrepo" in release:
            # Which of the two it is cannot be seen: long-term kernels of ELRepo are older.
            return "kernel-ml"
        series = ".".join(release.split(".")[:2])
        return f"kernel{series}" if family == "amzn" and series in ("6.12", "6.18") else "kernel"
    found = _FLAVOUR.search(release)
    return found.group(1) if found else ""


class Candidate(t.NamedTuple):
    """A kernel that a package brings: C(stream) is empty for the distribution's own line."""

    release: str
    package: str
    version: str
    flavour: str
    stream: str
    installed: bool

    @property
    def key(self) -> tuple[t.Any, ...]:
        """Newer ones are greater."""
        return Release(self.release).key, natural_key(self.version)


def _debian_stream(version: str) -> str:
    return "backports" if "~bpo" in version else ""


def candidate_of(family: str, package: Record) -> Candidate | None:
    """The kernel that a package brings, None for a package that is none (a meta package, symbols for debugging, headers)."""
    name, version = str(package["name"]), str(package["version"])
    installed = bool(package.get("installed"))
    try:
        if family in ("debian", "ubuntu"):
            found = _IMAGE.fullmatch(name)
            if not found or re.search(r"-(dbg|dbgsym|unsigned)$", name):
                return None
            release = found.group(1)
            Release(release)
            return Candidate(release, name, version, flavour_of(release, family), _debian_stream(version) if family == "debian" else "", installed)
        if family in ("el", "amzn"):
            found = _RPM.fullmatch(name)
            if not found:
                return None
            release = f"{version}.{package['arch']}"
            Release(release)
            return Candidate(release, name, version, name, f"elrepo-{found.group(1)}" if found.group(1) else "", installed)
        found = _SUSE_PACKAGE.fullmatch(name)
        if not found:
            return None
        # The last number counts rebuilds of the package and is no part of the release.
        release = f"{version.rpartition('.')[0]}-{found.group(1)}"
        Release(release)
        return Candidate(release, name, version, found.group(1), "", installed)
    except ValueError:
        return None


def candidates(family: str, packages: t.Iterable[Record]) -> list[Candidate]:
    """Every kernel that is installed or can be, the newest first."""
    found = [candidate for candidate in (candidate_of(family, package) for package in packages) if candidate]
    return sorted(found, key=lambda candidate: (candidate.key, candidate.installed), reverse=True)


def meta_names(family: str, flavour: str, system: Record, stream: str) -> list[str]:
    """Packages that always depend on the newest kernel of a line, the most specific first; none where the newest package is it."""
    version = str(system.get("version_id") or "")
    if family == "debian":
        return [f"linux-image-{flavour}"]
    if family == "ubuntu":
        names = [f"linux-image-{flavour}-hwe-{version}", f"linux-image-hwe-{version}"] if stream == "hwe" else []
        # Clouds have a line that stays with the release (aws-lts-22.04 or aws-24.04) and one that rolls on.
        long_term = [] if stream or flavour == "generic" else [f"linux-image-{flavour}-lts-{version}", f"linux-image-{flavour}-{version}"]
        return names or [*long_term, f"linux-image-{flavour}"]
    return []


def in_series(release: str, series: str) -> bool:
    """Whether a release is of a series such as C(6.12) or C(6.12.107)."""
    wanted = [int(part) for part in series.split(".")]
    return list(Release(release).numbers[: len(wanted)]) == wanted


def _newest(found: t.Sequence[Candidate]) -> Candidate:
    """The newest release; of several packages of it the one that is installed, else the newest."""
    release = max(found, key=lambda candidate: candidate.key).release
    same = [item for item in found if item.release == release]
    return max([item for item in same if item.installed] or same, key=lambda candidate: candidate.key)


def choose(family: str, state: Record, wanted: str, flavour: str = "", stream: str = DEFAULT) -> Candidate:
    """The kernel that is wanted of those that a host has or can get.

    C(state) has C(system), C(running), C(packages) and C(metas), the packages that metas depend on by their names. A release that is installed
    without a package, such as one that somebody built, can be had too: it is among C(installed).

    :raises Unavailable: when there is none, with what there is.
    """
    running = str(state["running"])
    flavour = flavour or flavour_of(running, family)
    line = "" if stream == DEFAULT else stream
    known = candidates(family, state["packages"])
    exact = [item for item in known if item.release == wanted]
    if exact:
        return _newest(exact)
    if wanted in state.get("installed", ()):
        return Candidate(wanted, "", "", flavour_of(wanted, family), "", True)
    if wanted not in ("", DEFAULT) and not _SERIES.fullmatch(wanted):
        raise Unavailable(f"kernel_upgrade_kernel: '{wanted}' is neither installed nor in a repository of this host; {_there(known, flavour)}")
    if family in ("el", "amzn") and line:
        flavour = f"kernel-{line.rpartition('-')[2]}"
    of_line = [item for item in known if item.flavour == flavour and (not line or item.stream in (line, "") or family == "ubuntu")]
    if line and family != "ubuntu":
        of_line = [item for item in of_line if item.stream == line]
    if _SERIES.fullmatch(wanted):
        of_series = [item for item in of_line if in_series(item.release, wanted)]
        if not of_series:
            raise Unavailable(f"kernel_upgrade_kernel: no kernel {wanted} of the flavour {flavour} is to be had{_of(line)}; {_there(known, flavour)}")
        return _newest(of_series)
    by_meta = _by_meta(family, state, flavour, stream, of_line) if not line or family == "ubuntu" else None
    if by_meta:
        return by_meta
    if family == "ubuntu" and line:
        raise Unavailable(f"kernel_upgrade_stream: there is no {line} line for the flavour {flavour}; {_there(known, flavour)}")
    of_line = [item for item in of_line if item.stream == line]
    if family == "debian" and not line:
        # Without the package that tells which series is the release's own, stay in the one that runs.
        of_line = [item for item in of_line if in_series(item.release, ".".join(running.split(".")[:2]))]
    if not of_line:
        raise Unavailable(f"no kernel of the flavour {flavour} is to be had{_of(line)}; {_there(known, flavour)}")
    return _newest(of_line)


def _by_meta(family: str, state: Record, flavour: str, stream: str, found: t.Sequence[Candidate]) -> Candidate | None:
    metas: Record = state.get("metas") or {}
    for name in meta_names(family, flavour, state["system"], "" if stream == DEFAULT else stream):
        chosen = [item for item in found if item.package in metas.get(name, ())]
        if chosen:
            return _newest(chosen)
    return None


def _of(stream: str) -> str:
    return f" in {stream}" if stream else ""


def _there(known: t.Sequence[Candidate], flavour: str) -> str:
    """What can be had, for an error: of the flavour first."""
    same = [item.release for item in known if item.flavour == flavour] or [item.release for item in known]
    names = list(dict.fromkeys(same))[:8]
    return f"there are {', '.join(names)}" if names else "its package manager lists no kernel at all (is a repository enabled that has them?)"


def to_install(family: str, state: Record, candidate: Candidate) -> list[str]:
    """Packages for the package manager, each with its exact version: the kernel, and what is installed beside the running kernel.

    Modules that are in a package of their own (linux-modules-extra, kernel-modules-extra) and headers are brought along where the running
    kernel has them, since a CNI or a driver may need them.
    """
    running, release = str(state["running"]), candidate.release
    have = {(str(item["name"]), str(item["version"])) for item in state["packages"] if item.get("installed")}
    there = [(str(item["name"]), str(item["version"])) for item in state["packages"]]
    wanted = [(candidate.package, candidate.version)]
    if family in ("debian", "ubuntu"):
        for prefix in ("linux-modules-extra-", "linux-headers-"):
            if any(name == prefix + running for name, dummy in have):
                versions = [version for name, version in there if name == prefix + release]
                wanted += [(prefix + release, candidate.version if candidate.version in versions else versions[0])] if versions else []
        return [f"{name}={version}" for name, version in wanted if (name, version) not in have]
    if family in ("el", "amzn"):
        machine = release.rpartition(".")[2]
        names = [f"{candidate.package}-{part}" for part in ("modules-extra", "devel")]
        wanted += [(name, candidate.version) for name in names if any(known == name for known, dummy in have) and (name, candidate.version) in there]
        return [f"{name}-{version}.{machine}" for name, version in wanted if (name, version) not in have]
    return [f"{name}={version}" for name, version in wanted if (name, version) not in have]


def is_older(release: str, than: str) -> bool:
    """Whether one release comes before another one."""
    return compare(release, "<", than)
