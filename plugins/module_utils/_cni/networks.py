# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which network is part of which, of either address family. Pure."""

from __future__ import annotations

import ipaddress
import typing as t

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


def is_inside(inner: Network, outer: Network) -> bool:
    """Whether all addresses of one network are in the other; never across families."""
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
