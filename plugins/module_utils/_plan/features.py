# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of network devices (offloads): names, what may be asked of a device, what came of it. Pure: no input, no output."""

from __future__ import annotations

import difflib
import fnmatch
import typing as t


class Feature(t.NamedTuple):
    """What a kernel says of one feature of a device (linux:Documentation/networking/netdev-features.rst)."""

    wanted: bool
    """What was asked for, by default or by an administrator."""
    active: bool
    """What is in force: less than what is wanted, when something that it needs is off."""
    changeable: bool
    """Whether the driver lets it be changed, C(hw) in the kernel's words."""
    fixed: bool
    """Whether it stays as it is, since it is not changeable or never changes."""


Features = t.Mapping[str, Feature]

GROUPS: t.Mapping[str, str] = {
    "rx": "rx-checksum",
    "tx": "tx-checksum-*",
    "sg": "tx-scatter-gather*",
    "tso": "tx-tcp*-segmentation",
    "ufo": "tx-udp-fragmentation",
    "gso": "tx-generic-segmentation",
    "gro": "rx-gro",
    "lro": "rx-lro",
    "rxvlan": "rx-vlan-hw-parse",
    "txvlan": "tx-vlan-hw-insert",
    "ntuple": "rx-ntuple-filter",
    "rxhash": "rx-hashing",
}
"""Short names that ethtool(8) has, and which of the kernel's features each is for."""

HEADINGS: t.Mapping[str, str] = {
    "rx-checksumming": "rx",
    "tx-checksumming": "tx",
    "scatter-gather": "sg",
    "tcp-segmentation-offload": "tso",
    "udp-fragmentation-offload": "ufo",
    "generic-segmentation-offload": "gso",
    "generic-receive-offload": "gro",
    "large-receive-offload": "lro",
    "rx-vlan-offload": "rxvlan",
    "tx-vlan-offload": "txvlan",
    "ntuple-filters": "ntuple",
    "receive-hashing": "rxhash",
}
"""What C(ethtool -k) prints for the same."""


class Refused(ValueError):
    """Why a feature cannot be set, with the remedy."""


def word(value: bool) -> str:
    """C(on) or C(off), as ethtool says it."""
    return "on" if value else "off"


def short(name: str) -> str:
    """A name as option: what C(ethtool -k) prints is taken for the short name."""
    return HEADINGS.get(name, name)


def members(name: str, features: Features) -> list[str]:
    """The kernel's names of what a name is for, in the kernel's order.

    :raises Refused: when the kernel has no such feature.
    """
    pattern = GROUPS.get(name, name)
    found = fnmatch.filter(features, pattern)
    if not found:
        near = difflib.get_close_matches(name, [*GROUPS, *features], n=3, cutoff=0.5)
        remedy = f"did you mean {', '.join(near)}?" if near else "use a short name of ethtool's, such as tso, or a name of the kernel's"
        raise Refused(f"features: '{name}' is none that this kernel knows; {remedy}")
    return found


def request(interface: str, wishes: t.Mapping[str, bool], features: Features) -> dict[str, bool]:
    """What to ask the kernel for, by its own names. A name of one feature goes before the name of a group.

    :raises Refused: when the device cannot have it.
    """
    found: dict[str, bool] = {}
    for name, value in sorted(wishes.items(), key=lambda wish: short(wish[0]) not in GROUPS):
        found.update(dict.fromkeys(_settable(interface, short(name), value, features), value))
    return found


def _settable(interface: str, name: str, value: bool, features: Features) -> list[str]:
    among = members(name, features)
    free = [member for member in among if not features[member].fixed]
    stuck = [member for member in among if features[member].fixed and features[member].active != value]
    # A device has one of several ways to the same: to turn a group on takes those that it has, to turn it off takes all.
    possible = bool(free) or any(features[member].active for member in among) if value else not stuck
    if not possible:
        which = f"'{name}'" if stuck == [name] else f"'{name}' ({', '.join(stuck)})"
        raise Refused(
            f"features: {which} of {interface} is fixed: its driver has it {word(not value)} and does not let it be changed; leave it out for "
            f"{interface}, or set it on the device below or above that has it"
        )
    return free


def to_write(asked: t.Mapping[str, bool], features: Features) -> dict[str, bool]:
    """Those that are not wanted as asked."""
    return {name: value for name, value in asked.items() if features[name].wanted != value}


def unmet(wishes: t.Mapping[str, bool], features: Features) -> list[str]:
    """Names of what is not in force although it was asked for: something that it needs is off, or the driver changed its mind."""
    found = []
    for name, value in wishes.items():
        states = [features[member].active for member in members(short(name), features)]
        if not (any(states) if value else not any(states)):
            found.append(name)
    return found


def as_dict(feature: Feature) -> dict[str, bool]:
    """A feature as a result: what is wanted, what is in force, what the hardware or the driver can."""
    return {"wanted": feature.wanted, "active": feature.active, "hw": feature.changeable, "fixed": feature.fixed}


def text_of(feature: Feature) -> str:
    """A feature for a difference."""
    if feature.wanted == feature.active:
        return word(feature.active)
    return f"{word(feature.active)} ({word(feature.wanted)} is wanted)"


def different(before: Features, after: Features) -> list[str]:
    """Features that are not as they were."""
    return [name for name in after if name in before and (before[name].wanted, before[name].active) != (after[name].wanted, after[name].active)]
