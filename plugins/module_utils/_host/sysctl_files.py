# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of sysctl.d(5) as they are on a host."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import files
from ansible_collections.podnet.cni.plugins.module_utils._plan import sysctl_files as of_files

FOLDERS = ("etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d", "lib/sysctl.d")
LEGACY = "etc/sysctl.conf"


def in_order(own: Path, root: Path) -> dict[str, Path]:
    """The files that are read at the start of the system, by name in their order. Of one name, the first folder's is read; C(own) is the first."""
    found: dict[str, Path] = {}
    for folder in reversed([own, *(root / folder for folder in FOLDERS)]):
        found.update({name: folder / name for name in files.names(folder) if name.endswith(".conf")})
    return {name: found[name] for name in sorted(found)}


def hidden(name: str, own: Path, root: Path) -> str | None:
    """A file of the same name in another folder, which would not be read any more."""
    others = (root / folder / name for folder in FOLDERS)
    return next((str(path) for path in others if path.exists() and path.resolve() != (own / name).resolve()), None)


def after(name: str, own: Path, root: Path) -> list[of_files.Setting]:
    """What files set that are read later than one of this name."""
    later = [path for other, path in in_order(own, root).items() if other > name]
    return [setting for path in later for setting in of_files.parse(str(path), files.read_text(path) or "")]


def legacy(own: Path, root: Path) -> list[of_files.Setting]:
    """What /etc/sysctl.conf sets, where only C(sysctl --system) reads it and systemd does not."""
    path = root / LEGACY
    linked = any(other.resolve() == path.resolve() for other in in_order(own, root).values())
    return [] if linked else of_files.parse(str(path), files.read_text(path) or "")


def loaded_at_start(module: str, root: Path) -> bool:
    """Whether a module is part of the kernel, or loaded before the files are read."""
    if not (root / "sys/module" / module / "initstate").exists():
        return True
    folders = [root / folder.replace("sysctl.d", "modules-load.d") for folder in FOLDERS]
    texts = [files.read_text(folder / name) or "" for folder in folders for name in files.names(folder)]
    return any(line.strip().replace("-", "_") == module for text in texts for line in text.splitlines())
