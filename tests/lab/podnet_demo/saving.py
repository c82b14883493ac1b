# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fewer bytes on the wire are worth for a given monthly bill. No I/O."""

from __future__ import annotations

import dataclasses
import typing as t

DEFAULT_MONTHLY_BILL = 12000.0

COUNTS = (
    "Traffic between zones that is billed by the byte. The share saved is that of the IP bytes which the capture on the router showed for the same"
    " payload before and after: the 50 bytes of VXLAN headers that each packet no longer carries, and the larger packets that fit without them."
)
LEAVES_OUT = (
    "Traffic that stays inside a zone, traffic to nodes, Services and load balancers that Flannel did not encapsulate, charges by the hour, discounts"
    " and volume tiers, and CPU time. Traffic made of small packets saves more than large transfers, so the large transfers"
    " are the careful estimate; your own mix lies between the rows."
)


@dataclasses.dataclass(frozen=True)
class Saving:
    """The saving for one kind of traffic."""

    traffic: str
    bytes_before: float
    bytes_after: float
    monthly_bill: float
    share: float
    monthly: float
    yearly: float

    def as_dict(self) -> dict[str, t.Any]:
        """For JSON."""
        return dataclasses.asdict(self)


def saving(traffic: str, bytes_before: float, bytes_after: float, monthly_bill: float = DEFAULT_MONTHLY_BILL) -> Saving:
    """The part of a bill by bytes that is gone when one payload byte costs C(bytes_after) instead of C(bytes_before) bytes.

    A negative saving is told as it is.
    """
    for name, value in (("bytes_before", bytes_before), ("bytes_after", bytes_after)):
        if value < 1:
            raise ValueError(f"{name} is {value}: one byte of payload needs at least one byte on the wire")
    if monthly_bill < 0:
        raise ValueError(f"monthly_bill is {monthly_bill}: give what inter-zone traffic costs a month, 0 or more")
    share = 1 - bytes_after / bytes_before
    monthly = monthly_bill * share
    return Saving(traffic, bytes_before, bytes_after, monthly_bill, share, monthly, monthly * 12)
