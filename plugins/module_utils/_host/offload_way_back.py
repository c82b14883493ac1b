# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back of C(offload_set): a program that puts features back when the change was not kept in time. It runs without the collection."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import offload_record, two_phases

KIND = two_phases.Kind(
    name="offload",
    what="features",
    merged=offload_record.merged,
    put_back=offload_record.put_back,
    program="_host.offload_way_back",
    needs=(
        *(f"_host.{name}" for name in ("ethtool", "ethtool_ioctl", "ethtool_netlink", "netlink_messages", "netlink_socket", "offload_record")),
        "_plan.features",
    ),
)


def main(arguments: t.Sequence[str]) -> int:
    """Put back what was not kept, and say so in the log."""
    return two_phases.put_back_what_waits(Path(arguments[0]), KIND)
