# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large a packet may be on the way to a peer, found by packets that must not be fragmented. Pure: no input, no output.

Sizes are those of whole IP packets, in bytes. That nobody answers a large packet is all that a silent hop tells, and each silence takes its
time, so that usual sizes are tried before all others (RFC 4821, section 7.3 allows any search).
"""

from __future__ import annotations

import typing as t

FIRST = {4: 128, 6: 128}
"""Bytes of the packet that shows whether a peer answers at all."""
USUAL = (576, 1280, 1350, 1370, 1380, 1400, 1410, 1420, 1430, 1440, 1442, 1450, 1454, 1460, 1472, 1480, 1492, 1500, 1550, 1600, 2000, 4000,
         4096, 4352, 4500, 8000, 8192, 8500, 8896, 8900, 8930, 8950, 8951, 8980, 9000, 9001, 9100,
         9150, 9190, 9192, 9198, 9212, 9214, 9216)  # fmt: skip
"""MTUs of networks, and of what is encapsulated in them."""


class Search:
    """Finds the largest size that passes, between one that is known to pass and the largest that may be asked for."""

    def __init__(self, passed: int, largest: int) -> None:
        self.low = passed
        self.high = max(passed, largest)
        self._next: int | None = self.high

    @property
    def size(self) -> int | None:
        """What to try next, None when C(low) is the answer."""
        if self.low >= self.high:
            return None
        if self._next is not None and self.low < self._next <= self.high:
            return self._next
        middle = (self.low + self.high + 1) // 2
        usual = [size for size in USUAL if self.low < size <= self.high]
        return min(usual, key=lambda size: abs(size - middle)) if usual else middle

    def passed(self, size: int) -> None:
        """A packet of this size was answered. If it is a usual one, it is likely the answer: one byte more would show it."""
        self.low = max(self.low, size)
        self._next = size + 1 if size in USUAL else None

    def lost(self, size: int, told: int | None = None) -> None:
        """A packet of this size was not answered; C(told) is what a router said that it could pass on, which need not be true."""
        self.high = max(self.low, min(self.high, size - 1))
        self._next = told if told is not None and self.low < told <= self.high else None


class Path(t.NamedTuple):
    """What was found out about the way to a peer."""

    address: str
    device: str
    """By which packets leave."""
    device_mtu: int
    mtu: int | None
    """Bytes of the largest packet that is answered, None when not even a small one is."""
    told_by: str | None
    """The address that said that packets are too large for it, None when they were lost without a word."""
    back: int | None
    """Bytes of the largest fragment of answers, None when they came whole. The way back carries that much, up to 7 bytes more."""

    @property
    def both_ways(self) -> int | None:
        """Bytes that get through there and back."""
        return self.mtu if self.mtu is None or self.back is None else min(self.mtu, self.back)

    def to_dict(self) -> dict[str, t.Any]:
        """As a result."""
        return dict(self._asdict())


def smallest(paths: t.Iterable[Path], devices: t.Collection[str]) -> int | None:
    """The largest packet that passes to all peers behind some devices, both ways; None when no peer answers."""
    sizes = [path.both_ways for path in paths if path.device in devices]
    return min((size for size in sizes if size is not None), default=None)
