# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel settings in /proc/sys."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

ROOT = Path("/proc/sys")


def path_of(name: str) -> Path:
    """File of a setting. As sysctl(8) does, a slash in a name stands for a dot in the name of a link (C(net.ipv4.conf.flannel/1.mtu))."""
    return ROOT.joinpath(*(part.replace("/", ".") for part in name.split(".")))


def known() -> list[str]:
    """Every setting of this kernel, as a path below /proc/sys."""
    return [str((Path(folder) / name).relative_to(ROOT)) for folder, dummy, names in os.walk(ROOT) for name in names]


def read(names: t.Iterable[str]) -> dict[str, str]:
    """Values by name; settings that this kernel does not have are left out."""
    values = {}
    for name in names:
        try:
            values[name] = " ".join(path_of(name).read_text(encoding="ascii").split())
        except OSError:
            continue
    return values


def write(values: t.Mapping[str, str]) -> None:
    """Set values by name.

    :raises OSError: when the kernel refuses one.
    """
    for name, value in values.items():
        path_of(name).write_text(f"{value}\n", encoding="ascii")


def of_link(setting: str, link: str) -> str:
    """Name of an IPv4 setting of one link."""
    return f"net.ipv4.conf.{link.replace('.', '/')}.{setting}"


def of_neighbours(setting: str, link: str) -> str:
    """Name of a setting of one link's IPv4 neighbours."""
    return f"net.ipv4.neigh.{link.replace('.', '/')}.{setting}"
