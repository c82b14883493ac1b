# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What files say of a kernel, that of this machine or one below a folder: its release, its configuration, its modules."""

from __future__ import annotations

import gzip
import lzma
import os
import re
import typing as t
import zlib
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import files
from ansible_collections.podnet.cni.plugins.module_utils._plan.kernel_release import Release

_CONFIG_HEADER = re.compile(r"^# Linux/\S+ (\S+) Kernel Configuration$", re.MULTILINE)
_SET = re.compile(r"^(CONFIG_\w+)=(.*)$", re.MULTILINE)
_NOT_SET = re.compile(r"^# (CONFIG_\w+) is not set$", re.MULTILINE)
_IMAGE = re.compile(r"(?:vmlinuz|vmlinux|config|System\.map|kernel)-(\d+\.\d+.*)")
_MODULE = re.compile(r"([^/]+)\.ko(?:\.(?:gz|xz|zst))?")


MACHINES = {
    "CONFIG_X86_64": "x86_64",
    "CONFIG_X86_32": "i686",
    "CONFIG_ARM64": "aarch64",
    "CONFIG_ARM": "armv7l",
    "CONFIG_PPC64": "ppc64le",
    "CONFIG_S390": "s390x",
    "CONFIG_RISCV": "riscv64",
    "CONFIG_MIPS": "mips",
    "CONFIG_LOONGARCH": "loongarch64",
}
"""What a kernel is built for by the option that says so, as C(uname -m) names it."""


class NotFound(Exception):
    """There is no such kernel, or a file cannot be read; the text names the option and the remedy."""


def read_config(path: Path) -> str | None:
    """The text of a configuration, unpacked if it is compressed; None when there is none that can be read."""
    data = files.read_bytes(path)
    try:
        if data and data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        elif data and data[:6] == b"\xfd7zXZ\0":
            data = lzma.decompress(data)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return None
    return data.decode("utf-8", "replace") if data else None


def parse_config(text: str) -> dict[str, str]:
    """All options: C(y), C(m), C(n) for one that says so, or a value. An option that is not mentioned is not in it."""
    options = {name: value.strip('"') for name, value in _SET.findall(text)}
    options.update(dict.fromkeys(_NOT_SET.findall(text), "n"))
    return options


def machine_of(options: t.Mapping[str, str]) -> str:
    """What a configuration is for, empty when it does not tell."""
    return next((machine for option, machine in MACHINES.items() if options.get(option) == "y"), "")


def config_release(text: str) -> str | None:
    """The version in the head of a configuration."""
    found = _CONFIG_HEADER.search(text)
    return found.group(1) if found else None


def config_paths(root: Path, release: str, running: bool) -> list[Path]:
    """Where the configuration of a kernel may be, the most trusted place first."""
    places = [
        root / "boot" / f"config-{release}",
        root / f"config-{release}",
        root / "usr/lib/modules" / release / "config",
        root / "lib/modules" / release / "config",
        root / "usr/lib/kernel" / f"config-{release}",
        root / "lib/modules" / release / "build/.config",
        root / "usr/src" / f"linux-headers-{release}" / ".config",
    ]
    return [root / "proc/config.gz", *places] if running else places


def find_config(root: Path, release: str, running: bool) -> tuple[str, dict[str, str]]:
    """Path and options of the first configuration that there is, empty without one."""
    for path in config_paths(root, release, running):
        text = read_config(path)
        if text and "CONFIG_" in text:
            return str(path), parse_config(text)
    return "", {}


def module_folder(root: Path, release: str) -> Path | None:
    """The folder of a kernel's modules."""
    for name in ("lib/modules", "usr/lib/modules"):
        folder = root / name / release
        if (folder / "modules.dep").exists() or (folder / "kernel").is_dir():
            return folder
    return None


def module_names(text: str) -> set[str]:
    """Names of modules in C(modules.dep) or C(modules.builtin), with underscores."""
    paths = (line.partition(":")[0].strip() for line in text.splitlines())
    found = (_MODULE.fullmatch(path.rpartition("/")[2]) for path in paths)
    return {match.group(1).replace("-", "_") for match in found if match}


def installed_modules(folder: Path) -> set[str]:
    """Names of the modules below a folder, by the index that depmod makes, or by the files where it has not run yet."""
    index = files.read_text(folder / "modules.dep")
    if index is None:
        index = "\n".join(name for dummy, dummy2, names in os.walk(folder) for name in names)
    return module_names(index)


def find_modules(root: Path, release: str, running: bool) -> tuple[str, set[str]]:
    """Where modules were found, and those that are there, loaded or built in. Where there is no folder only what is loaded is known."""
    folder = module_folder(root, release)
    names = set(files.names("/sys/module")) if running else set()
    if folder:
        names |= installed_modules(folder) | module_names(files.read_text(folder / "modules.builtin") or "")
    return str(folder) if folder else "", names


def releases_below(root: Path) -> list[str]:
    """Kernels of a file system or of a boot folder, the newest first."""
    found = {path.name for name in ("lib/modules", "usr/lib/modules") for path in _folders(root / name)}
    for folder in (root, root / "boot"):
        found |= {match.group(1) for match in map(_IMAGE.fullmatch, files.names(folder)) if match}
    known = []
    for name in found:
        try:
            known.append(Release(name))
        except ValueError:
            continue
    return [release.text for release in sorted(known, reverse=True)]


def _folders(folder: Path) -> t.Iterator[Path]:
    return (folder / name for name in files.names(folder) if os.path.isdir(folder / name))


def choose_release(root: Path, wanted: str) -> tuple[str, list[str]]:
    """The kernel to judge, and the others that are there.

    :raises NotFound: when there is none, or not the wanted one.
    """
    if not root.is_dir():
        raise NotFound(f"root: '{root}' is no folder; give the root of a mounted file system, or its boot folder")
    found = releases_below(root)
    if not found:
        raise NotFound(f"root: no kernel is below '{root}'; give a root that has boot/config-RELEASE, boot/vmlinuz-RELEASE or lib/modules/RELEASE")
    if wanted and wanted not in found:
        raise NotFound(f"kernel: '{wanted}' is not below '{root}', there are {', '.join(found)}")
    chosen = wanted or found[0]
    return chosen, [name for name in found if name != chosen]
