# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state that the host-local IPAM plugin and the CNI library keep on a node. Pure.

Formats: containernetworking/plugins:plugins/ipam/host-local/backend/disk/backend.go (one file an address, the container id in the first
line, the interface in the second), containernetworking/cni:libcni/api.go cachedInfo.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import config_files

RESERVED_BY_US = "podnet-calico-pod"
"""Container id in the files by which host-local learns of addresses that pods of Calico have."""
TUNNEL = "podnet-calico-tunnel"
"""The same for the address of Calico's tunnel, which stays as long as Flannel and the tunnel do."""
OURS = (RESERVED_BY_US, TUNNEL)


class Lease(t.TypedDict):
    """An address that host-local has handed out."""

    address: str
    container_id: str
    interface: str


class Attachment(t.TypedDict):
    """A pod's interface as the CNI library remembers it."""

    address: str
    container_id: str
    network_name: str
    interface: str
    cni: str
    host_interfaces: list[str]


def parse_lease(file_name: str, content: str) -> Lease | None:
    """A file of host-local's folder, None for its other files (lock, last_reserved_ip.*)."""
    try:
        address = str(ipaddress.ip_address(file_name))
    except ValueError:
        return None
    lines = content.replace("\r", "").split("\n")
    return Lease(address=address, container_id=lines[0].strip(), interface=lines[1].strip() if len(lines) > 1 else "")


def _addresses(result: t.Mapping[str, t.Any]) -> list[str]:
    """Addresses of a plugin's result, of the format that has been in use since CNI 0.3 and of the one before."""
    entries = [str(entry.get("address", "")) for entry in result.get("ips") or []]
    if result.get("ip4"):
        entries.append(str(result["ip4"].get("ip", "")))
    return [address for address in (entry.split("/", 1)[0] for entry in entries) if _is_address(address)]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def parse_cached_result(content: bytes) -> list[Attachment]:
    """What one file of the CNI library's cache says; empty when it is of another kind."""
    try:
        cached = json.loads(content)
        config = json.loads(base64.b64decode(cached.get("config") or "e30="))
        plugins = config.get("plugins") or [config]
    except (ValueError, AttributeError):
        return []
    types = [str(plugin.get("type")) for plugin in plugins if isinstance(plugin, dict)]
    result = cached.get("result") or {}
    host_interfaces = [str(entry.get("name")) for entry in result.get("interfaces") or [] if isinstance(entry, dict) and not entry.get("sandbox")]
    return [
        Attachment(
            address=address,
            container_id=str(cached.get("containerId", "")),
            network_name=str(cached.get("networkName", "")),
            interface=str(cached.get("ifName", "")),
            cni=config_files.classify(types),
            host_interfaces=host_interfaces,
        )
        for address in _addresses(result)
    ]


def flannel_networks(configs: t.Iterable[config_files.CniConfig], attachments: t.Iterable[Attachment], default: str = "cbr0") -> list[str]:
    """Names of Flannel's networks, which host-local's folders have too: from configurations, from what pods were given, and the usual one."""
    found = [config["network_name"] for config in configs if config["cni"] == "flannel"]
    found += [attachment["network_name"] for attachment in attachments if attachment["cni"] == "flannel"]
    return sorted({name for name in found if name} | {default})


def live_leases(leases: t.Iterable[Lease], attachments: t.Iterable[Attachment], bridge_ports: t.Collection[str]) -> list[Lease]:
    """Leases of pods that are on Flannel's bridge; the kernel has the last word, since files may outlive their pods.

    The CNI library remembers the bridge's port of a pod. A lease that it does not know counts as long as some port is not explained.
    """
    ports_of = {(item["container_id"], item["address"]): [port for port in item["host_interfaces"] if port in bridge_ports] for item in attachments}
    unexplained = set(bridge_ports).difference(*ports_of.values())
    return [
        lease for lease in leases if lease["container_id"] not in OURS and ports_of.get((lease["container_id"], lease["address"]), list(unexplained))
    ]


def pods_by_data_plane(
    leases: t.Iterable[Lease],
    cached: t.Iterable[Attachment],
    bridge_ports: t.Collection[str],
    calico_addresses: t.Collection[str],
    flannel_network_name: str = "cbr0",
) -> dict[str, list[dict[str, str]]]:
    """The pods of a node by the data plane that they are on: on Flannel's bridge, behind an interface of Calico, or somewhere else."""
    attachments = list(cached)
    names = {(item["container_id"], item["address"]): item["network_name"] for item in attachments}
    live = [lease for lease in live_leases(leases, attachments, bridge_ports) if lease["address"] not in calico_addresses]
    flannel = [_flannel_pod(lease, names.get((lease["container_id"], lease["address"]), flannel_network_name)) for lease in live]
    calico = [_calico_pod(address, attachments) for address in sorted(calico_addresses, key=ipaddress.ip_address)]
    placed = {pod["address"] for pod in [*flannel, *calico]}
    other = [
        _pod(item)
        for item in attachments
        if item["cni"] == "other" and item["address"] not in placed and not ipaddress.ip_address(item["address"]).is_loopback
    ]
    return {"flannel": flannel, "calico": calico, "other": other}


def _flannel_pod(lease: Lease, network_name: str) -> dict[str, str]:
    return {**{key: str(value) for key, value in lease.items()}, "network_name": network_name}


def _calico_pod(address: str, attachments: t.Iterable[Attachment]) -> dict[str, str]:
    """A pod behind an interface of Calico, with what the CNI library knows of it."""
    known = next((item for item in attachments if item["address"] == address and item["cni"] == "calico"), None)
    return _pod(known) if known else {"address": address, "container_id": "", "network_name": "", "interface": ""}


def _pod(item: Attachment) -> dict[str, str]:
    return {
        "address": item["address"],
        "container_id": item["container_id"],
        "network_name": item["network_name"],
        "interface": item["interface"],
    }
