# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep host-local from handing out addresses that pods of Calico have: for its allocator, a file is an address in use."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni import host_local
from ansible_collections.podnet.cni.plugins.module_utils._host import files


def reserved(folder: Path, owner: str = host_local.RESERVED_BY_US) -> list[str]:
    """Addresses that we keep from a network for an C(owner)."""
    parsed = (host_local.parse_lease(name, files.read_text(folder / name) or "") for name in files.names(folder))
    return [lease["address"] for lease in parsed if lease and lease["container_id"] == owner]


def owner_of(folder: Path, address: str) -> str | None:
    """Container id of an address that is in use, None for a free one."""
    lease = host_local.parse_lease(address, files.read_text(folder / address) or "") if (folder / address).exists() else None
    return lease["container_id"] if lease else None


def take(folder: Path, address: str, owner: str) -> bool:
    """Take an address as host-local does for a pod, unless it is in use (containernetworking/plugins: plugins/ipam/host-local/backend/disk)."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with open(folder / address, "x", encoding="ascii", newline="") as file:
            file.write(f"{owner}\r\neth0")
    except FileExistsError:
        return False
    return True


def release(folder: Path, addresses: t.Iterable[str]) -> None:
    """Let a network have addresses again."""
    for address in addresses:
        files.remove(folder / address)


def differs(folder: Path, addresses: t.Collection[str]) -> bool:
    """Whether keeping exactly these addresses from a network would change anything."""
    return bool(_missing(folder, addresses) or _surplus(folder, addresses))


def reserve(folder: Path, addresses: t.Collection[str]) -> None:
    """Keep exactly these addresses from a network, beside those in use."""
    for address in _missing(folder, addresses):
        files.write_atomically(folder / address, f"{host_local.RESERVED_BY_US}\r\neth0".encode())
    release(folder, _surplus(folder, addresses))


def _missing(folder: Path, addresses: t.Collection[str]) -> list[str]:
    return [address for address in addresses if not (folder / address).exists()]


def _surplus(folder: Path, addresses: t.Collection[str]) -> list[str]:
    return [address for address in reserved(folder) if address not in addresses]
