# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the MTU of a link last over restarts, with what sets it up: NetworkManager, netplan, systemd-networkd, or ifupdown."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import commands, device_setup, files
from ansible_collections.podnet.cni.plugins.module_utils._host.device_setup import IN_FORCE_NOW, Change, Refused

_NETWORK_FOLDERS = ("etc/systemd/network", "run/systemd/network", "usr/local/lib/systemd/network", "usr/lib/systemd/network", "lib/systemd/network")
_HEAD = "# Written by podnet.cni.mtu_set"
_BY_NETPLAN = re.compile(r"(?:10-netplan-(.+)\.network|netplan-(.+)\.nmconnection)")
_SECTIONS: t.Mapping[str, str] = {"bond": "bonds", "bridge": "bridges", "vlan": "vlans"}
"""Of netplan's file, by the kind of the device; all others are C(ethernets)."""
_DROP_IN = "50-podnet-mtu.conf"


def plan(interface: str, kind: str, value: int, root: Path = Path("/")) -> Change:
    """What would make an MTU last.

    :raises Refused: when nothing of this host can.
    """
    profile = device_setup.network_manager_profile(interface, root)
    network = _network_file(interface, root)
    for path in (profile.path if profile else "", network or ""):
        found = _BY_NETPLAN.fullmatch(Path(path).name)
        if found:
            return _netplan(interface, found[1] or found[2], kind, value, root)
    if profile and profile.on_disk:
        return _network_manager(interface, profile.uuid, value)
    if network:
        return _networkd(interface, Path(network).name, value, root)
    lines = device_setup.ifupdown_lines(interface, root) if commands.find("ifup") else None
    if lines is not None:
        return _ifupdown(interface, lines, value, root)
    raise Refused(
        f"persistent: nothing that is known here sets up {interface}: neither NetworkManager, netplan, systemd-networkd nor ifupdown (it does not "
        f"in containers); set it where the link is set up, or {IN_FORCE_NOW}"
    )


def _network_manager(interface: str, profile: str, value: int) -> Change:
    section = "infiniband" if device_setup.network_manager_value(profile, "connection.type") == "infiniband" else "802-3-ethernet"
    key = f"{section}.mtu"
    before = device_setup.network_manager_value(profile, key)
    if before is None:
        raise Refused(f"persistent: NetworkManager sets up {interface} and has no setting {key}; {IN_FORCE_NOW}")
    return device_setup.of_profile(profile, [device_setup.Setting(key, str(value), before)])


def _netplan(interface: str, identifier: str, kind: str, value: int, root: Path) -> Change:
    folder = root / "etc/netplan"
    path = folder / f"90-podnet-mtu-{interface}.yaml"
    for name in files.names(folder):
        if name > path.name and name.endswith(".yaml") and re.search(r"(?m)^\s*[\"']?mtu[\"']?\s*:", files.read_text(folder / name) or ""):
            raise Refused(f"persistent: '{folder / name}' is read after '{path.name}' and sets an MTU; change it there, or give it an earlier name")
    lines = [_HEAD, "network:", "  version: 2", f"  {_SECTIONS.get(kind, 'ethernets')}:", f'    "{identifier}":', f"      mtu: {value}"]
    return device_setup.of_files({path: "\n".join(lines) + "\n"}, 0o600, [["netplan", "generate"]])


def _links(root: Path) -> dict[str, str]:
    """The .network file of each link that systemd-networkd looks after, by the link's index (sd-network's files)."""
    folder = root / "run/systemd/netif/links"
    found = {}
    for index in files.names(folder):
        values = dict(line.split("=", 1) for line in (files.read_text(folder / index) or "").splitlines() if "=" in line)
        if values.get("NETWORK_FILE"):
            found[index] = values["NETWORK_FILE"]
    return found


def _network_file(interface: str, root: Path) -> str | None:
    index = (files.read_text(root / "sys/class/net" / interface / "ifindex") or "").strip()
    return _links(root).get(index)


def _networkd(interface: str, name: str, value: int, root: Path) -> Change:
    sharing = sum(Path(path).name == name for path in _links(root).values())
    if sharing > 1:
        raise Refused(
            f"persistent: '{name}' of systemd-networkd sets up {sharing} links, of which {interface} is one; give {interface} a .network file of its "
            f"own, or {IN_FORCE_NOW}"
        )
    for folder in _NETWORK_FOLDERS:
        for other in files.names(root / folder / f"{name}.d"):
            text = files.read_text(root / folder / f"{name}.d" / other) or ""
            if other > _DROP_IN and other.endswith(".conf") and re.search(r"(?m)^\s*MTUBytes\s*=", text):
                raise Refused(f"persistent: '/{folder}/{name}.d/{other}' is read later and sets MTUBytes; change it there")
    path = root / _NETWORK_FOLDERS[0] / f"{name}.d" / _DROP_IN
    return device_setup.of_files({path: f"{_HEAD}\n[Link]\nMTUBytes={value}\n"}, 0o644)


def _ifupdown(interface: str, lines: t.Iterable[device_setup.Line], value: int, root: Path) -> Change:
    """A script that ifupdown runs when a link has come up: not all of its methods have an option for the MTU (interfaces(5))."""
    for line in lines:
        words = line.text.split()
        if words == ["mtu", str(value)]:
            return device_setup.of_files({}, 0o755)
        if "mtu" in words:
            raise Refused(
                f"persistent: line {line.number} of '{line.path}' sets the MTU of {interface} when it comes up ('{line.text}'); change it there"
            )
    # run-parts(8) passes over names with dots.
    path = root / "etc/network/if-up.d" / f"podnet-mtu-{interface.replace('.', '_')}"
    text = f'#!/bin/sh\n{_HEAD}\n[ "$IFACE" = "{interface}" ] || exit 0\nexec ip link set dev "$IFACE" mtu {value}\n'
    return device_setup.of_files({path: text}, 0o755)
