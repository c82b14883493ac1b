# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What features of devices, and files that set them, were like before a change, so that all of it can be put back."""

from __future__ import annotations

import errno
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import ethtool
from ansible_collections.podnet.cni.plugins.module_utils._host import put_back as setups
from ansible_collections.podnet.cni.plugins.module_utils._plan.features import Features


class Entry(setups.Setup):
    """What one device was like."""

    features: dict[str, bool]
    """What was wanted of each feature, by the kernel's name."""


Entries = dict[str, Entry]


def merged(first: Entries, second: Entries) -> Entries:
    """Both; of what is in both, the first."""
    found: Entries = {}
    for interface in [*first, *(name for name in second if name not in first)]:
        parts = [entries[interface] for entries in (second, first) if interface in entries]
        found[interface] = Entry(features={}, files={}, commands={})
        for part in parts:
            found[interface]["features"].update(part["features"])
            found[interface]["files"].update(part["files"])
            found[interface]["commands"].update(part["commands"])
    return found


def of_features(before: t.Mapping[str, Features], names: t.Mapping[str, t.Iterable[str]]) -> Entries:
    """Entries with what is wanted of features now."""
    return {
        interface: Entry(features={name: before[interface][name].wanted for name in some}, files={}, commands={}) for interface, some in names.items()
    }


def put_back(entries: Entries) -> list[str]:
    """Put everything back; what could not be. A device that is gone has nothing to be put back."""
    problems = []
    for interface, entry in entries.items():
        try:
            if entry["features"]:
                ethtool.write(interface, entry["features"])
        except OSError as exc:
            if exc.errno != errno.ENODEV:
                problems.append(f"features of {interface}: {exc.strerror or exc}")
        problems += setups.restore_setup(entry)
    return problems
