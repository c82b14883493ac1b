# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of a network device, by netlink or, on an older kernel, by the ioctl. No program is needed."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import ethtool_ioctl, ethtool_netlink
from ansible_collections.podnet.cni.plugins.module_utils._plan.features import Feature


def read(interface: str) -> dict[str, Feature]:
    """Every feature of a device.

    :raises OSError: when there is no such device.
    """
    try:
        return ethtool_netlink.read(interface)
    except ethtool_netlink.Missing:
        return ethtool_ioctl.read(interface)


def write(interface: str, values: t.Mapping[str, bool]) -> None:
    """Ask for features; what comes of it has to be read.

    :raises OSError: when the kernel refuses.
    """
    try:
        ethtool_netlink.write(interface, values)
    except ethtool_netlink.Missing:
        ethtool_ioctl.write(interface, values)
