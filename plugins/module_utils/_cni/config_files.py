# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which CNI configuration a runtime uses, and what it is. Pure: file contents in, records out.

The runtime takes the first file by name among those that end in .conf, .conflist or .json
(containerd/go-cni:opts.go loadFromConfDir, containernetworking/cni:libcni/conf.go ConfFiles). CRI-O passes an invalid file over; containerd
has no network at all while an invalid file comes first, so whoever adds a file has to sort it before all others.
"""

from __future__ import annotations

import hashlib
import json
import typing as t

SUFFIXES = (".conf", ".conflist", ".json")

# The plugin type that tells a CNI; the first match in this order counts.
_CNI_BY_TYPE = (("calico", "calico"), ("cilium-cni", "cilium"), ("flannel", "flannel"))


class CniConfig(t.TypedDict):
    """One configuration file."""

    path: str
    cni: str
    network_name: str | None
    cni_version: str | None
    plugin_types: list[str]
    sha256: str
    valid: bool
    error: str | None


def classify(plugin_types: t.Collection[str]) -> str:
    """C(calico), C(cilium), C(flannel) or C(other)."""
    return next((cni for plugin, cni in _CNI_BY_TYPE if plugin in plugin_types), "other")


def parse(path: str, content: bytes) -> CniConfig:
    """What a configuration file says; C(valid) is false with the reason in C(error) when the runtime passes it over."""
    record = CniConfig(
        path=path,
        cni="other",
        network_name=None,
        cni_version=None,
        plugin_types=[],
        sha256=hashlib.sha256(content).hexdigest(),
        valid=False,
        error=None,
    )
    try:
        config = json.loads(content)
    except ValueError as exc:
        record["error"] = f"no JSON: {exc}"
        return record
    if not isinstance(config, dict):
        record["error"] = "no JSON object"
        return record
    plugins = plugins_of(path, config)
    types = [str(plugin["type"]) for plugin in plugins if plugin.get("type")]
    record["network_name"] = config.get("name")
    record["cni_version"] = config.get("cniVersion")
    record["plugin_types"] = types
    record["cni"] = classify(types)
    if not plugins:
        record["error"] = "no plugin"
    elif len(types) < len(plugins):
        record["error"] = "a plugin has no type"
    elif not isinstance(config.get("name"), str) or not config["name"]:
        record["error"] = "no name"
    else:
        record["valid"] = True
    return record


def plugins_of(path: str, config: t.Mapping[str, t.Any]) -> list[t.Mapping[str, t.Any]]:
    """The plugins of a configuration, in their order; anything that is no object counts as a plugin without a type."""
    if not path.endswith(".conflist"):
        return [config]
    plugins = config.get("plugins")
    return [plugin if isinstance(plugin, dict) else {} for plugin in plugins] if isinstance(plugins, list) else []


def programs_of(path: str, content: bytes) -> list[str]:
    """Programs that a valid configuration needs in the plugins' folder: its plugins, and the address managers that they call."""
    needed: list[str] = []
    for plugin in plugins_of(path, json.loads(content)):
        ipam = plugin.get("ipam")
        types = [plugin.get("type"), ipam.get("type") if isinstance(ipam, dict) else None]
        needed += [str(name) for name in types if name and name not in needed]
    return needed


def kubeconfig_of(path: str, content: bytes) -> str | None:
    """The kubeconfig that a plugin of a valid configuration names."""
    for plugin in plugins_of(path, json.loads(content)):
        kubernetes = plugin.get("kubernetes")
        if isinstance(kubernetes, dict) and kubernetes.get("kubeconfig"):
            return str(kubernetes["kubeconfig"])
    return None


def is_config_name(name: str) -> bool:
    """Whether the runtime looks at a file of this name."""
    return name.endswith(SUFFIXES)


def active(configs: t.Iterable[CniConfig]) -> CniConfig | None:
    """The one that the runtime uses: the first valid one by file name."""
    return next((config for config in sorted(configs, key=lambda c: c["path"].rsplit("/", 1)[-1]) if config["valid"]), None)


def name_before(existing: t.Iterable[str], preferred: t.Sequence[str] = ("10-calico.conflist", "00-podnet-calico.conflist")) -> str | None:
    """The first of the preferred file names that sorts before all existing ones, None when none does."""
    names = list(existing)
    return next((name for name in preferred if all(name < other for other in names)), None)
