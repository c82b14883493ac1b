# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make features of a device last over restarts, with what sets up the device: NetworkManager, netplan, or systemd's udev."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import commands, files, offload_record
from ansible_collections.podnet.cni.plugins.module_utils._plan import features as of_devices
from ansible_collections.podnet.cni.plugins.module_utils._plan import link_file

LINK_FOLDERS = ("etc/systemd/network", "run/systemd/network", "usr/local/lib/systemd/network", "usr/lib/systemd/network", "lib/systemd/network")
_NETPLAN_LINK = re.compile(r"10-netplan-(.+)\.link")
_IN_FORCE_NOW = "set persistent=false and set it again after each restart"
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


class Refused(Exception):
    """Why features cannot be made persistent, and what to do."""


class Change(t.NamedTuple):
    """What makes features last: nothing when they do already."""

    files: dict[str, str]
    mode: int
    commands: list[list[str]]
    before: offload_record.Entry
    """What puts it back."""

    @property
    def needed(self) -> bool:
        """Whether there is something to do."""
        return bool(self.files or self.commands)


def plan(interface: str, wishes: t.Mapping[str, bool], features: of_devices.Features, root: Path = Path("/")) -> Change:
    """What would make wishes last.

    :raises Refused: when nothing of this host can.
    """
    profile = _network_manager_profile(interface, root)
    if profile:
        return _network_manager(interface, profile, wishes)
    properties = _udev_properties(interface, root)
    _refuse_ifupdown(interface, root)
    values, without = link_file.settings(wishes, features)
    if without:
        raise Refused(
            f"persistent: systemd has no setting for {', '.join(without)}, so that {interface} would lose it with a restart; {_IN_FORCE_NOW}"
        )
    used = properties["ID_NET_LINK_FILE"]
    netplan = _NETPLAN_LINK.fullmatch(Path(used).name)
    if netplan:
        return _netplan(interface, netplan[1], values, root)
    return _link(interface, properties, used, values, root)


def apply(change: Change) -> None:
    """Make it so, or leave everything as it was."""
    try:
        for path, text in change.files.items():
            files.write_atomically(path, text.encode(), change.mode)
        for words in change.commands:
            commands.run(words)
    except (OSError, commands.CommandError):
        offload_record.put_back({"": change.before})
        raise


def _change(texts: t.Mapping[Path, str], mode: int, after: t.Sequence[t.Sequence[str]] = ()) -> Change:
    """Files that are not like that yet, and what is to be run after files were written or put back."""
    before = {str(path): files.read_text(path) for path in texts}
    missing = {str(path): text for path, text in texts.items() if before[str(path)] != text}
    entry = offload_record.Entry(features={}, files={path: before[path] for path in missing}, commands={})
    if missing:
        entry["commands"] = {" ".join(words): list(words) for words in after}
    return Change(missing, mode, [list(words) for words in after] if missing else [], entry)


# systemd's udev


def _udev_properties(interface: str, root: Path) -> dict[str, str]:
    """What udev found out about a device."""
    index = files.read_text(root / "sys/class/net" / interface / "ifindex")
    text = files.read_text(root / "run/udev/data" / f"n{(index or '').strip()}") or ""
    found = dict(line[2:].split("=", 1) for line in text.splitlines() if line.startswith("E:") and "=" in line)
    if "ID_NET_LINK_FILE" not in found:
        raise Refused(
            f"persistent: nothing that is known here sets up {interface}: NetworkManager has no profile for it, and udev did not see it (it does "
            f"not run in containers); {_IN_FORCE_NOW}"
        )
    return found


def _systemd_version() -> int:
    words = commands.run(["systemctl", "--version"]).stdout.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def _link(interface: str, properties: t.Mapping[str, str], used: str, values: t.Mapping[str, bool], root: Path) -> Change:
    old = link_file.too_old(values, _systemd_version())
    if old:
        raise Refused(f"persistent: systemd of this host is too old for {', '.join(old)}; {_IN_FORCE_NOW}")
    base = link_file.base_of(files.read_text(_below(root, used)) or "") or used
    text = files.read_text(_below(root, base))
    if text is None:
        raise Refused(
            f"persistent: '{base}', by which udev set up {interface}, is not there any more; start udev again (systemctl restart systemd-udevd)"
        )
    ours = root / LINK_FOLDERS[0] / f"05-podnet-offload-{interface}.link"
    values = {**link_file.set_by(files.read_text(ours) or ""), **values}
    return _change({ours: link_file.link_text(_match(interface, properties, root), base, [text, *_additions(base, root)], values)}, 0o644)


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
        raise Refused(f"persistent: netplan sets up {interface} and has no key for {', '.join(unknown)}; {_IN_FORCE_NOW}")
    path = root / "etc/netplan" / f"90-podnet-offload-{interface}.yaml"
    values = {**link_file.set_by(files.read_text(path) or ""), **values}
    return _change({path: link_file.netplan_text(identifier, values)}, 0o600, [["netplan", "generate"]])


# ifupdown


def _refuse_ifupdown(interface: str, root: Path) -> None:
    """Ifupdown changes nothing of what udev set, unless it is told to."""
    folder = root / "etc/network"
    for path in (folder / "interfaces", *(folder / "interfaces.d" / name for name in files.names(folder / "interfaces.d"))):
        stanza = ""
        for number, line in enumerate((files.read_text(path) or "").splitlines(), start=1):
            words = line.split()
            if words and words[0] in ("iface", "auto", "allow-hotplug", "mapping", "source", "source-directory"):
                stanza = words[1] if words[0] == "iface" and len(words) > 1 else ""
            elif stanza == interface and words and (words[0].startswith("offload-") or "ethtool" in line) and not words[0].startswith("#"):
                raise Refused(
                    f"persistent: line {number} of '{path}' sets features of {interface} when it comes up ('{line.strip()}'); change it there"
                )


# NetworkManager


def _network_manager_profile(interface: str, root: Path) -> str | None:
    """The profile on disk by which NetworkManager sets up a device, None when it does not."""
    if not (root / "run/NetworkManager").exists() or not commands.find("nmcli"):
        return None
    shown = commands.run(["nmcli", "--get-values", "GENERAL.CON-UUID", "device", "show", interface], check=False).stdout.strip()
    if not shown or shown == "--":
        return None
    for line in commands.run(["nmcli", "--get-values", "UUID,FILENAME", "connection", "show"]).stdout.splitlines():
        uuid, dummy, path = line.partition(":")
        # What it only follows, as a device of a CNI, and what netplan wrote for it, is in /run.
        if uuid == shown and path and not path.startswith("/run/"):
            return uuid
    return None


def _network_manager(interface: str, profile: str, wishes: t.Mapping[str, bool]) -> Change:
    entry = offload_record.Entry(features={}, files={}, commands={})
    change = []
    for name, value in wishes.items():
        short = of_devices.short(name)
        key = f"ethtool.feature-{_NETWORK_MANAGER.get(short, short)}"
        done = commands.run(["nmcli", "--get-values", key, "connection", "show", profile], check=False)
        if done.returncode:
            raise Refused(f"persistent: NetworkManager sets up {interface} and has no setting {key}; {_IN_FORCE_NOW}")
        before = done.stdout.strip()
        if before != of_devices.word(value):
            change.append(["nmcli", "connection", "modify", profile, key, of_devices.word(value)])
            entry["commands"][f"{profile} {key}"] = ["nmcli", "connection", "modify", profile, key, before]
    return Change({}, 0o600, change, entry)
