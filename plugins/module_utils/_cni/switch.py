# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files make Calico or Flannel the CNI of a node. Pure: configurations in, names out."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import config_files

NAMES = ("10-calico.conflist", "00-podnet-calico.conflist")
"""Names for the copy of Calico's configuration; the first is the one that Calico itself uses."""

Configs = t.Sequence[config_files.CniConfig]


def file_name(path: str) -> str:
    """Last part of a path."""
    return path.rsplit("/", 1)[-1]


def cni_of(config: config_files.CniConfig | None) -> str | None:
    """C(flannel), C(calico), C(cilium), C(other), or None without a configuration."""
    return config["cni"] if config else None


def name_for_copy(configs: Configs) -> str | None:
    """A name that makes the copy the first one of all, valid or not; None when none does."""
    return config_files.name_before((file_name(config["path"]) for config in configs), NAMES)


def in_front_of_flannel(configs: Configs) -> list[config_files.CniConfig]:
    """Calico's valid configurations that keep Flannel's from being the active one; empty without a configuration of Flannel's."""
    flannel = next((config for config in configs if config["valid"] and config["cni"] == "flannel"), None)
    if flannel is None:
        return []
    ahead = configs[: configs.index(flannel)]
    return [config for config in ahead if config["valid"] and config["cni"] == "calico"]


def without(configs: Configs, paths: t.Collection[str]) -> config_files.CniConfig | None:
    """What would be active without some files."""
    return config_files.active(config for config in configs if config["path"] not in paths)


def final_moves(configs: Configs, source: str) -> tuple[tuple[str, str] | None, list[str]]:
    """What makes an end of the migration's own file names: a rename, and files to remove. Neither changes what the active one says.

    The copy gets Calico's usual name unless that is taken; the source goes once another file is active.
    """
    active = config_files.active(configs)
    if active is None or active["cni"] != "calico" or active["path"] == source:
        return None, []
    folder = active["path"][: -len(file_name(active["path"]))]
    usual = folder + NAMES[0]
    removed = [config["path"] for config in configs if config["path"] == source]
    if active["path"] != folder + NAMES[1]:
        return None, removed
    if any(config["path"] == usual for config in configs):
        after = without(configs, [active["path"], *removed])
        return (None, [active["path"], *removed]) if after and after["path"] == usual and after["cni"] == "calico" else (None, removed)
    renamed: config_files.CniConfig = {**active, "path": usual}
    rest = [config for config in configs if config["path"] not in (active["path"], *removed)]
    first = config_files.active([*rest, renamed])
    return ((active["path"], usual), removed) if first and first["path"] == usual else (None, removed)
