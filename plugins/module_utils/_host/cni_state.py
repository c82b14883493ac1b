# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of a node say about its CNI: configurations, plugins, leases of host-local, the CNI library's cache."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni import config_files, flannel_node, host_local
from ansible_collections.podnet.cni.plugins.module_utils._host import files

OPTIONS: dict[str, dict[str, t.Any]] = {
    "bridge": {"type": "str", "default": "cni0"},
    "cni_config_dir": {"type": "path", "default": "/etc/cni/net.d"},
    "cni_bin_dir": {"type": "path", "default": "/opt/cni/bin"},
    "cni_state_dir": {"type": "path", "default": "/var/lib/cni"},
}
"""Options of modules that work on a node's pods; documented in the fragment C(podnet.cni._cni)."""


class Places(t.NamedTuple):
    """Folders of a node's CNI, which are options of the modules."""

    config: Path = Path("/etc/cni/net.d")
    programs: Path = Path("/opt/cni/bin")
    state: Path = Path("/var/lib/cni")
    flannel: Path = Path("/run/flannel")

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> Places:
        """From a module's options; a folder that it has no option for is the usual one."""
        usual = cls()
        return cls(
            Path(params.get("cni_config_dir") or usual.config),
            Path(params.get("cni_bin_dir") or usual.programs),
            Path(params.get("cni_state_dir") or usual.state),
            Path(params.get("flannel_run_dir") or usual.flannel),
        )

    @property
    def leases(self) -> Path:
        """Folder of host-local's folders, one a network."""
        return self.state / "networks"

    @property
    def caches(self) -> tuple[Path, Path]:
        """Folders of the CNI library's cache; older versions used the second one."""
        return self.state / "results", self.state / "cache" / "results"


def read_configs(places: Places) -> list[config_files.CniConfig]:
    """All configurations that the runtime looks at, in its order."""
    found = []
    for name in files.names(places.config):
        path = places.config / name
        content = files.read_bytes(path) if config_files.is_config_name(name) else None
        if content is not None:
            found.append(config_files.parse(str(path), content))
    return found


def read_programs(places: Places) -> list[dict[str, t.Any]]:
    """Plugins that are installed."""
    try:
        entries = sorted(os.scandir(places.programs), key=lambda entry: entry.name)
    except OSError:
        return []
    return [{"name": entry.name, "path": entry.path, "size": entry.stat().st_size} for entry in entries if entry.is_file()]


def read_leases(places: Places) -> dict[str, list[host_local.Lease]]:
    """Addresses that host-local has handed out, by network."""
    leases: dict[str, list[host_local.Lease]] = {}
    for network in files.names(places.leases):
        folder = places.leases / network
        if folder.is_dir():
            parsed = (host_local.parse_lease(name, files.read_text(folder / name) or "") for name in files.names(folder))
            leases[network] = [lease for lease in parsed if lease]
    return leases


def cache_files(places: Places) -> t.Iterator[Path]:
    """Files of the CNI library's cache."""
    for folder in places.caches:
        yield from (folder / name for name in files.names(folder))


def read_attachments(places: Places) -> dict[str, list[host_local.Attachment]]:
    """What the CNI library remembers, by the path of its file."""
    return {str(path): read_attachments_of(path) for path in cache_files(places)}


def read_attachments_of(path: Path) -> list[host_local.Attachment]:
    """What one file of the CNI library's cache says."""
    return host_local.parse_cached_result(files.read_bytes(path) or b"")


def read_subnet_env(places: Places) -> dict[str, str] | None:
    """Flannel's C(subnet.env)."""
    text = files.read_text(places.flannel / "subnet.env")
    return None if text is None else flannel_node.parse_subnet_env(text)
