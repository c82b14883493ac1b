# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the CNI library remembers of a pod's interface, and what of it a pod takes along to another network. Pure.

Format: containernetworking/cni:libcni/api.go cachedInfo; file names by C(getCacheFilePath) there. What plugins get:
containernetworking/cni:SPEC.md, section 3 and 4.
"""

from __future__ import annotations

import base64
import json
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import config_files

Record = dict[str, t.Any]
_POD_NAMESPACE, _POD_NAME = "K8S_POD_NAMESPACE", "K8S_POD_NAME"
KIND = "cniCacheV1"


class Remembered(t.NamedTuple):
    """A pod's interface, as the CNI library remembers it."""

    container_id: str
    interface: str
    network_name: str
    cni: str
    address: str
    """The IPv4 address, empty without one."""
    namespace: str
    name: str
    netns: str
    """Path of the network namespace; older versions of the library do not tell it."""
    host_interfaces: tuple[str, ...]
    content: Record
    """All that the file holds."""

    @property
    def pod(self) -> str:
        """How people name it."""
        return f"{self.namespace}/{self.name}" if self.name else self.container_id

    @property
    def config(self) -> Record:
        """The list of plugins that it got its network from."""
        return as_list(json.loads(base64.b64decode(self.content["config"])))


def parse(content: bytes) -> Remembered | None:
    """What one file says, None when it is of another kind."""
    try:
        cached = json.loads(content)
        config = json.loads(base64.b64decode(cached["config"]))
        result = cached.get("result") or {}
        arguments = {str(key): str(value) for key, value in cached.get("cniArgs") or []}
        plugins = [str(plugin.get("type")) for plugin in as_list(config)["plugins"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Remembered(
        container_id=str(cached.get("containerId", "")),
        interface=str(cached.get("ifName", "")),
        network_name=str(cached.get("networkName", "")),
        cni=config_files.classify(plugins),
        address=next(iter(addresses(result)), ""),
        namespace=arguments.get(_POD_NAMESPACE, ""),
        name=arguments.get(_POD_NAME, ""),
        netns=str(cached.get("netns") or ""),
        host_interfaces=tuple(node_ends(result)),
        content=cached,
    )


def as_list(config: Record) -> Record:
    """A configuration as a list of plugins, also one of the kind that has one plugin only."""
    if isinstance(config.get("plugins"), list):
        return config
    return {"name": config.get("name"), "cniVersion": config.get("cniVersion", "0.1.0"), "plugins": [config]}


def file_name(network_name: str, container_id: str, interface: str) -> str:
    """The file's name in the folder of the library's cache."""
    return f"{network_name}-{container_id}-{interface}"


def with_network(remembered: Remembered, config: Record, result: Record, netns: str) -> bytes:
    """The file of the same pod and interface in another network."""
    content = {
        **remembered.content,
        "kind": KIND,
        "config": base64.b64encode(json.dumps(config).encode()).decode(),
        "networkName": config["name"],
        "result": result,
    }
    if netns:
        content["netns"] = netns
    return json.dumps(content).encode()


def environment(remembered: Remembered, command: str, netns: str, programs: str, extra: t.Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that a plugin gets."""
    arguments = {str(key): str(value) for key, value in remembered.content.get("cniArgs") or []}
    arguments.update(extra or {})
    return {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": remembered.container_id,
        "CNI_NETNS": netns,
        "CNI_IFNAME": remembered.interface,
        "CNI_ARGS": ";".join(f"{key}={value}" for key, value in arguments.items()),
        "CNI_PATH": programs,
    }


def plugin_input(plugin: Record, config: Record, arguments: t.Mapping[str, t.Any], previous: Record | None) -> Record:
    """What the runtime gives to one plugin of a list: its part, the list's name and version, the result so far, and what it can make use of."""
    given = {key: value for key, value in plugin.items() if key != "capabilities"}
    able = [name for name, enabled in (plugin.get("capabilities") or {}).items() if enabled]
    runtime = {name: arguments[name] for name in able if name in arguments}
    if runtime:
        given["runtimeConfig"] = runtime
    given.update(name=config["name"], cniVersion=config.get("cniVersion", "0.1.0"))
    if previous is not None:
        given["prevResult"] = previous
    return given


def in_namespace(result: Record, netns: str) -> Record:
    """The result of a plugin that worked in another namespace than the one that the interface is in now."""
    interfaces = [{**entry, "sandbox": netns} if entry.get("sandbox") else dict(entry) for entry in result.get("interfaces") or []]
    return {**result, "interfaces": interfaces} if "interfaces" in result else dict(result)


def node_ends(result: Record) -> list[str]:
    """Names of the interfaces on the node's side in a plugin's result; a bridge is one of them."""
    return [str(entry.get("name")) for entry in result.get("interfaces") or [] if not entry.get("sandbox")]


def addresses(result: Record) -> list[str]:
    """IPv4 addresses in a plugin's result."""
    entries = [str(entry.get("address", "")).split("/", 1)[0] for entry in result.get("ips") or []]
    return [entry for entry in entries if "." in entry]
