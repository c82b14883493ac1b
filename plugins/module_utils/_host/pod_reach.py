# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses a pod reaches over one of its interfaces, by ICMP echoes from its own namespace (RFC 792; raw(7), ip(7)).

The echoes to an address are one flow, with one identifier before and after a move: Calico applies NetworkPolicies to what begins, Flannel to
nothing, so that an echo of its own could be forbidden afterwards though every way is right. What has been answered once may go on.
"""

from __future__ import annotations

import os
import random
import socket
import struct
import time
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import namespaces, tcp_probe

_ECHO, _REPLY = 8, 0
# linux:include/uapi/linux/icmp.h ICMP_FILTER, which Python does not name; a bit that is set keeps messages of that type away.
_FILTER = (255, 1)
_ONLY_REPLIES = 0xFFFFFFFF & ~(1 << _REPLY)
# linux:include/uapi/linux/in.h IP_PKTINFO: the index of the interface by which a packet came, first in a struct in_pktinfo.
_CAME_BY = (socket.IPPROTO_IP, 8)
_AGAIN_SECONDS = 0.2
"""After which an echo that was not answered is sent again: one may be lost while neighbours are asked for."""
_LENGTH = 56
"""Bytes of the payload, as ping(8) has them."""


class Echoes:
    """Echoes from a pod. The socket belongs to its namespace, wherever it is used."""

    def __init__(self, namespace: namespaces.Namespace, source: str) -> None:
        """C(source) is the pod's address.

        :raises OSError: when the namespace is gone, or does not have the address.
        """
        self.raw = namespaces.inside(namespace, lambda: _connect(source))
        self.identifier = random.getrandbits(16)
        # Tells the answers from those that a program of the pod waits for.
        self.payload = os.urandom(_LENGTH)
        self._sequence = 0

    def close(self) -> None:
        """Let go of the namespace."""
        self.raw.close()

    def answered(self, addresses: t.Sequence[str], device: int, seconds: float) -> list[str]:
        """Those of some addresses whose answers come by an interface; all are asked at once, so that C(seconds) is the time for all."""
        first, until = self._sequence + 1, time.monotonic() + seconds
        missing = set(addresses)
        while missing and time.monotonic() < until:
            self._send(missing)
            missing -= self._receive(missing, device, first, min(until, time.monotonic() + _AGAIN_SECONDS))
        return [address for address in addresses if address not in missing]

    def _send(self, addresses: t.Iterable[str]) -> None:
        self._sequence += 1
        packet = self._packet(0)
        packet = self._packet(tcp_probe.checksum(packet))
        self.raw.settimeout(0)
        for address in sorted(addresses):
            try:
                self.raw.sendto(packet, (address, 0))
            except OSError:
                # No route yet, or none at all: not answered.
                continue

    def _packet(self, checksum: int) -> bytes:
        return struct.pack(">BBHHH", _ECHO, 0, checksum, self.identifier, self._sequence & 0xFFFF) + self.payload

    def _receive(self, addresses: t.Collection[str], device: int, first: int, until: float) -> set[str]:
        """Those that answer an echo which is not older than the C(first)."""
        found: set[str] = set()
        while len(found) < len(addresses):
            # What has come already counts, however late this program got to look.
            self.raw.settimeout(max(0.0, until - time.monotonic()))
            try:
                data, ancillary, dummy, peer = self.raw.recvmsg(512, 64)
            except (socket.timeout, BlockingIOError):
                break
            if peer[0] in addresses and _device(ancillary) == device and self._is_answer(data, first):
                found.add(peer[0])
        return found

    def _is_answer(self, data: bytes, first: int) -> bool:
        answer = data[(data[0] & 0x0F) * 4 :]
        if len(answer) != 8 + _LENGTH or answer[8:] != self.payload:
            return False
        kind, dummy, dummy2, identifier, sequence = struct.unpack_from(">BBHHH", answer)
        return bool(kind == _REPLY and identifier == self.identifier and sequence >= first)


def _connect(source: str) -> socket.socket:
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    try:
        raw.setsockopt(*_FILTER, struct.pack("=I", _ONLY_REPLIES))
        raw.setsockopt(*_CAME_BY, 1)
        raw.bind((source, 0))
    except OSError:
        raw.close()
        raise
    return raw


def _device(ancillary: t.Iterable[tuple[int, int, bytes]]) -> int | None:
    """The index of the interface by which a packet came."""
    return next((int(struct.unpack_from("=i", data)[0]) for level, kind, data in ancillary if (level, kind) == _CAME_BY), None)
