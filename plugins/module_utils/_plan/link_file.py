# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files by which systemd's udev and netplan set features of a device: settings, texts. Pure: no input, no output.

systemd.link(5); netplan's reference of C(ethernets). Only the first .link file that matches a device is used (systemd.link(5)), so ours has
to bring along what the one after it would do.
"""

from __future__ import annotations

import fnmatch
import re
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import features as of_devices

HEAD = "# Written by podnet.cni.offload_set"
BASE = "# With everything of "
SETTINGS: t.Mapping[str, tuple[str, ...]] = {
    "rx": ("ReceiveChecksumOffload",),
    "tx": ("TransmitChecksumOffload",),
    "tso": ("TCPSegmentationOffload", "TCP6SegmentationOffload"),
    "tx-tcp-segmentation": ("TCPSegmentationOffload",),
    "tx-tcp6-segmentation": ("TCP6SegmentationOffload",),
    "gso": ("GenericSegmentationOffload",),
    "gro": ("GenericReceiveOffload",),
    "rx-gro-hw": ("GenericReceiveOffloadHardware",),
    "lro": ("LargeReceiveOffload",),
    "rxvlan": ("ReceiveVLANCTAGHardwareAcceleration",),
    "txvlan": ("TransmitVLANCTAGHardwareAcceleration",),
    "rx-vlan-filter": ("ReceiveVLANCTAGFilter",),
    "tx-vlan-stag-hw-insert": ("TransmitVLANSTAGHardwareAcceleration",),
    "ntuple": ("NTupleFilter",),
}
"""Settings of systemd's by the name of the feature."""
SINCE: t.Mapping[str, int] = {
    "TCPSegmentationOffload": 232,
    "TCP6SegmentationOffload": 232,
    "GenericSegmentationOffload": 232,
    "GenericReceiveOffload": 232,
    "LargeReceiveOffload": 232,
    "ReceiveChecksumOffload": 245,
    "TransmitChecksumOffload": 245,
}
"""The version of systemd that has a setting; 250 where nothing is said."""
SINCE_OTHERS = 250
NETPLAN: t.Mapping[str, str] = {
    "ReceiveChecksumOffload": "receive-checksum-offload",
    "TransmitChecksumOffload": "transmit-checksum-offload",
    "TCPSegmentationOffload": "tcp-segmentation-offload",
    "TCP6SegmentationOffload": "tcp6-segmentation-offload",
    "GenericSegmentationOffload": "generic-segmentation-offload",
    "GenericReceiveOffload": "generic-receive-offload",
    "LargeReceiveOffload": "large-receive-offload",
}
"""Netplan's names for settings of systemd's."""

_SET = re.compile(r"\s*([A-Za-z0-9-]+)\s*[=:]\s*(yes|no|true|false)\s*")

Sections = dict[str, list[str]]


def settings(wishes: t.Mapping[str, bool], features: of_devices.Features) -> tuple[dict[str, bool], list[str]]:
    """Settings of systemd's for what is wished, and the names that it has none for."""
    found: dict[str, bool] = {}
    without = []
    for name, value in wishes.items():
        keys = SETTINGS.get(_group(of_devices.short(name), wishes, features), ())
        found.update(dict.fromkeys(keys, value))
        if not keys:
            without.append(name)
    return found, without


def _group(name: str, wishes: t.Mapping[str, bool], features: of_devices.Features) -> str:
    """The short name for a feature that is alone in its group on this device, or of which all others are to be the same."""
    if name in SETTINGS:
        return name
    for group, pattern in of_devices.GROUPS.items():
        members = [member for member in fnmatch.filter(features, pattern) if not features[member].fixed]
        if name in members and all(wishes.get(member) == wishes[name] for member in members):
            return group
    return name


def too_old(keys: t.Iterable[str], version: int) -> list[str]:
    """Settings that this version of systemd does not have."""
    return [key for key in keys if SINCE.get(key, SINCE_OTHERS) > version]


def sections(text: str) -> Sections:
    """Lines of a .link file by section, without comments."""
    found: Sections = {}
    lines: list[str] = []
    for line in (raw.strip() for raw in text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            lines = found.setdefault(line[1:-1], [])
        elif line and line[0] not in "#;":
            lines.append(line)
    return found


def base_of(text: str) -> str | None:
    """The file that one of ours brings along, None for one of others."""
    lines = text.splitlines()
    if not lines or lines[0] != HEAD:
        return None
    return next((line[len(BASE) :] for line in lines if line.startswith(BASE)), None)


def set_by(text: str) -> dict[str, bool]:
    """Features that one of our files sets, by systemd's names."""
    names = {name: name for keys in SETTINGS.values() for name in keys}
    names.update({name: key for key, name in NETPLAN.items()})
    lines = (_SET.fullmatch(line) for line in text.splitlines())
    return {names[line[1]]: line[2] in ("yes", "true") for line in lines if line and line[1] in names}


def link_text(match: t.Mapping[str, str], base: str, texts: t.Iterable[str], values: t.Mapping[str, bool]) -> str:
    """A .link file for one device with what C(base) and its additions say for it, and features on top of that."""
    carried: Sections = {"Link": []}
    for text in texts:
        for name, lines in sections(text).items():
            if name != "Match":
                carried.setdefault(name, []).extend(lines)
    carried["Link"] += [f"{key}={'yes' if value else 'no'}" for key, value in values.items()]
    blocks = [[HEAD, f"{BASE}{base}"], ["[Match]", *(f"{key}={value}" for key, value in match.items())]]
    blocks += [[f"[{name}]", *lines] for name, lines in carried.items()]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def netplan_text(identifier: str, values: t.Mapping[str, bool]) -> str:
    """A netplan file that adds to what others say of a device; keys are those of systemd's."""
    lines = [HEAD, "network:", "  version: 2", "  ethernets:", f'    "{identifier}":']
    return "\n".join([*lines, *(f"      {NETPLAN[key]}: {'true' if value else 'false'}" for key, value in values.items())]) + "\n"
