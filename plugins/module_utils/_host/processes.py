# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of this node."""

from __future__ import annotations

import os
from pathlib import Path


def named(name: str, proc: Path = Path("/proc")) -> list[int]:
    """Numbers of the processes with a name that use this node's own network."""
    try:
        network = os.readlink(proc / "self" / "ns" / "net")
    except OSError:
        network = ""
    found = []
    for entry in os.scandir(proc):
        if not entry.name.isdigit():
            continue
        try:
            with open(os.path.join(entry.path, "comm"), encoding="utf-8", errors="replace") as file:
                if file.read().strip() == name and os.readlink(os.path.join(entry.path, "ns", "net")) == network:
                    found.append(int(entry.name))
        except OSError:
            continue
    return sorted(found)
