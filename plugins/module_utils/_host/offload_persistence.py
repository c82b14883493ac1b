# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make features of a device last over restarts, with what sets up the device: NetworkManager, netplan, or systemd's udev."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import commands, device_setup, files
from ansible_collections.podnet.cni.plugins.module_utils._host.device_setup import IN_FORCE_NOW, Change, Refused
from ansible_collections.podnet.cni.plugins.module_utils._plan import features as of_devices
from ansible_collections.podnet.cni.plugins.module_utils._plan import link_file

LINK_FOLDERS = ("etc/systemd/network", "run/systemd/network", "usr/local/lib/systemd/network", "usr/lib/systemd/network", "lib/systemd/network")
_NETPLAN_LINK = re.compile(r"10-netplan-(.+)\.link")
_PERMANENT_ADDRESS = "0"
"""C(addr_assign_type) of a device whose address is its own (linux:Documentation/ABI/testing/sysfs-class-net)."""

# NetworkManager's names of what it has no name of the kernel's for (libnm, nm-ethtool-utils.h).
_NETWORK_MANAGER = {
    "rx-checksum": "rx",
    "tx-generic-segmentation": "gso",
    "rx-gro": "gro",
    "rx-lro": "lro",
    "rx-hashing": "rxhash",
    "rx-ntuple-filter": "ntuple",
    "rx-vlan-hw-parse": "rxvlan",
    "tx-vlan-hw-insert": "txvlan",
}


def plan(interface: str, wishes: t.Mapping[str, bool], features: of_devices.Features, root: Path = Path("/")) -> Change:
    """What would make wishes last.

    :raises Refused: when nothing of this host can.
    """
    profile = device_setup.network_manager_profile(interface, root)
    if profile and profile.on_disk:
        return _network_manager(interface, profile.uuid, wishes)
    properties = _udev_properties(interface, root)
    _refuse_ifupdown(interface, root)
    values, without = link_file.settings(wishes, features)
    if without:
        raise Refused(
            f"persistent: systemd has no setting for {', '.join(without)}, so that {interface} would lose it with a restart; {IN_FORCE_NOW}"
        )
    used = properties["ID_NET_LINK_FILE"]
    netplan = _NETPLAN_LINK.fullmatch(Path(used).name)
    if netplan:
        return _netplan(interface, netplan[1], values, root)
    return _link(interface, properties, used, values, root)


# systemd's udev


def _udev_properties(interface: str, root: Path) -> dict[str, str]:
    """What udev found out about a device."""
    index = files.read_text(root / "sys/class/net" / interface / "ifindex")
    text = files.read_text(root / "run/udev/data" / f"n{(index or '').strip()}") or ""
    found = dict(line[2:].split("=", 1) for line in text.splitlines() if line.startswith("E:") and "=" in line)
    if "ID_NET_LINK_FILE" not in found:
        raise Refused(
            f"persistent: nothing that is known here sets up {interface}: NetworkManager has no profile for it, and udev did not see it (it does "
            f"not run in containers); {IN_FORCE_NOW}"
        )
    return found


def _systemd_version() -> int:
    words = commands.run(["systemctl", "--version"]).stdout.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def _link(interface: str, properties: t.Mapping[str, str], used: str, values: t.Mapping[str, bool], root: Path) -> Change:
    old = link_file.too_old(values, _systemd_version())
    if old:
        raise Refused(f"persistent: systemd of this host is too old for {', '.join(old)}; {IN_FORCE_NOW}")
    base = link_file.base_of(files.read_text(_below(root, used)) or "") or used
    text = files.read_text(_below(root, base))
    if text is None:
        raise Refused(
            f"persistent: '{base}', by which udev set up {interface}, is not there any more; start udev again (systemctl restart systemd-udevd)"
        )
    ours = root / LINK_FOLDERS[0] / f"05-podnet-offload-{interface}.link"
    values = {**link_file.set_by(files.read_text(ours) or ""), **values}
    return device_setup.of_files(
        {ours: link_file.link_text(_match(interface, properties, root), base, [text, *_additions(base, root)], values)}, 0o644
    )


def _match(interface: str, properties: t.Mapping[str, str], root: Path) -> dict[str, str]:
    """What tells this device from all others before it has its name. The names of virtual devices are given to them by who makes them."""
    if "ID_PATH" not in properties:
        return {"OriginalName": interface}
    device = root / "sys/class/net" / interface
    address = (files.read_text(device / "address") or "").strip()
    own = (files.read_text(device / "addr_assign_type") or "").strip() == _PERMANENT_ADDRESS
    return {**({"MACAddress": address} if own and address else {}), "Path": properties["ID_PATH"]}


def _additions(base: str, root: Path) -> list[str]:
    """Texts of the files that add to a .link file, in the order of their names; the first folder that has a name wins."""
    found: dict[str, Path] = {}
    for folder in reversed(LINK_FOLDERS):
        place = root / folder / f"{Path(base).name}.d"
        found.update({name: place / name for name in files.names(place) if name.endswith(".conf")})
    return [files.read_text(found[name]) or "" for name in sorted(found)]


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


# netplan


def _netplan(interface: str, identifier: str, values: t.Mapping[str, bool], root: Path) -> Change:
    unknown = [key for key in values if key not in link_file.NETPLAN]
    if unknown:
        raise Refused(f"persistent: netplan sets up {interface} and has no key for {', '.join(unknown)}; {IN_FORCE_NOW}")
    path = root / "etc/netplan" / f"90-podnet-offload-{interface}.yaml"
    values = {**link_file.set_by(files.read_text(path) or ""), **values}
    return device_setup.of_files({path: link_file.netplan_text(identifier, values)}, 0o600, [["netplan", "generate"]])


# ifupdown


def _refuse_ifupdown(interface: str, root: Path) -> None:
    """Ifupdown changes nothing of what udev set, unless it is told to."""
    for line in device_setup.ifupdown_lines(interface, root) or []:
        if line.text.startswith("offload-") or "ethtool" in line.text:
            raise Refused(
                f"persistent: line {line.number} of '{line.path}' sets features of {interface} when it comes up ('{line.text}'); change it there"
            )


# NetworkManager


def _network_manager(interface: str, profile: str, wishes: t.Mapping[str, bool]) -> Change:
    settings = []
    for name, value in wishes.items():
        short = of_devices.short(name)
        key = f"ethtool.feature-{_NETWORK_MANAGER.get(short, short)}"
        before = device_setup.network_manager_value(profile, key)
        if before is None:
            raise Refused(f"persistent: NetworkManager sets up {interface} and has no setting {key}; {IN_FORCE_NOW}")
        settings.append(device_setup.Setting(key, of_devices.word(value), before))
    return device_setup.of_profile(profile, settings)
