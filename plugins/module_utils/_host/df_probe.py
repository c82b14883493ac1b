# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large packets to a peer may be, by pings that must not be fragmented (ip(7), IP_PMTUDISC_PROBE: what the kernel has learned before does
not count).

A peer's answer is as large as what it answers. It may be fragmented: the largest fragment then tells of the way back (IP_RECVFRAGSIZE).
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.podnet.cni.plugins.module_utils._host import rtnetlink, tcp_probe
from ansible_collections.podnet.cni.plugins.module_utils._plan import path_mtu

TRIES = 3
"""Packets of a size before it counts as lost."""
_ROUNDS = 3
_AT_ONCE = 16
_HEADERS = {4: 28, 6: 48}
"""Bytes of IP and ICMP before the payload (RFC 792; RFC 4443)."""
# linux:include/uapi/linux/in.h and in6.h, which Python does not name; errqueue.h for what comes with an error.
_DISCOVER = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}
_PROBE = 3
_ERRORS = {4: (socket.IPPROTO_IP, 11), 6: (socket.IPPROTO_IPV6, 25)}
_FRAGMENTS = {4: (socket.IPPROTO_IP, 25), 6: (socket.IPPROTO_IPV6, 77)}
_ERROR_QUEUE = 0x2000
_ERROR = struct.Struct("=IBBBBII")
_BY_ICMP = (2, 3)


class _Told(t.NamedTuple):
    """What a router said: the largest packet that it passes on."""

    mtu: int
    by: str


class Pinger:
    """Pings to one peer."""

    def __init__(self, address: str, timeout: float) -> None:
        """C(timeout) is in seconds, for all tries of one size."""
        self.version = ipaddress.ip_address(address).version
        self.address = address
        self.timeout = timeout
        self.back: int | None = None
        self.told: _Told | None = None
        self._sequence = 0
        six = self.version == 6
        self.raw = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
        self.raw.setsockopt(*_DISCOVER[self.version], _PROBE)
        self.raw.setsockopt(*_ERRORS[self.version], 1)
        with contextlib.suppress(OSError):
            self.raw.setsockopt(*_FRAGMENTS[self.version], 1)
        self.identifier = (os.getpid() ^ (id(self) >> 4)) & 0xFFFF

    def __enter__(self) -> Pinger:
        self.raw.connect((self.address, 0))
        return self

    def __exit__(self, *dummy: object) -> None:
        self.raw.close()

    def answered(self, size: int) -> bool:
        """Whether a packet of this size is answered; what a router says of it is in C(told)."""
        self.told = None
        for dummy in range(TRIES):
            try:
                self.raw.send(self._packet(size))
            except OSError as exc:
                if exc.errno != errno.EMSGSIZE:
                    return False
                if not self._read_error():
                    # Larger than the device takes.
                    return False
            if self._wait(size, time.monotonic() + self.timeout / TRIES):
                return True
            if self.told:
                return False
        return False

    def _packet(self, size: int) -> bytes:
        six = self.version == 6
        self._sequence = (self._sequence + 1) & 0xFFFF
        head = struct.pack(">BBHHH", 128 if six else 8, 0, 0, self.identifier, self._sequence)
        body = head + bytes(size - _HEADERS[self.version])
        if six:
            return body
        return body[:2] + struct.pack(">H", tcp_probe.checksum(body + bytes(len(body) % 2))) + body[4:]

    def _wait(self, size: int, until: float) -> bool:
        while True:
            left = until - time.monotonic()
            if left <= 0:
                return False
            self.raw.settimeout(left)
            try:
                data, ancillary, dummy, dummy2 = self.raw.recvmsg(65536, 256)
            except socket.timeout:
                return False
            except OSError:
                if self._read_error():
                    return False
                continue
            if self._is_answer(data, size):
                self._note_fragments(ancillary)
                return True

    def _is_answer(self, data: bytes, size: int) -> bool:
        start = 0 if self.version == 6 else (data[0] & 0x0F) * 4
        if len(data) - start != size - _HEADERS[self.version] + 8:
            return False
        kind, dummy, dummy2, identifier = struct.unpack_from(">BBHH", data, start)
        return bool(kind == (129 if self.version == 6 else 0) and identifier == self.identifier)

    def _note_fragments(self, ancillary: t.Iterable[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if (level, kind) == _FRAGMENTS[self.version]:
                size = int(struct.unpack_from("=i", data)[0])
                self.back = size if self.back is None else min(self.back, size)

    def _read_error(self) -> bool:
        """Take what routers said; true when one said that a packet was too large."""
        self.raw.settimeout(0)
        try:
            dummy, ancillary, dummy2, dummy3 = self.raw.recvmsg(512, 512, _ERROR_QUEUE)
        except OSError:
            return False
        for level, kind, data in ancillary:
            if (level, kind) != _ERRORS[self.version]:
                continue
            number, origin, dummy4, dummy5, dummy6, mtu, dummy7 = _ERROR.unpack_from(data)
            if number == errno.EMSGSIZE and origin in _BY_ICMP:
                self.told = _Told(mtu, _offender(data[_ERROR.size :]))
                return True
        return False


def _offender(address: bytes) -> str:
    """The address in a C(struct sockaddr)."""
    family = struct.unpack_from("=H", address)[0]
    if family == socket.AF_INET6:
        return socket.inet_ntop(socket.AF_INET6, address[8:24])
    return socket.inet_ntop(socket.AF_INET, address[4:8])


def measure(address: str, timeout: float, devices: t.Mapping[int, rtnetlink.Device]) -> path_mtu.Path:
    """The largest packet that a peer answers, up to what the device takes by which it is sent; C(devices) are those of the node by index.

    :raises OSError: when no route leads there.
    """
    with rtnetlink.Links() as links:
        device = devices.get(links.device_to(address))
    if device is None:
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
    with Pinger(address, timeout) as pinger:
        first = path_mtu.FIRST[pinger.version]
        # The first packet may have to wait until neighbours are known.
        if not any(pinger.answered(first) for dummy in range(_ROUNDS)):
            return path_mtu.Path(address, device.name, device.mtu, None, None, None)
        search = path_mtu.Search(first, min(device.mtu, 65535))
        told_by = None
        while search.size is not None:
            size = search.size
            if pinger.answered(size):
                search.passed(size)
            else:
                search.lost(size, pinger.told.mtu if pinger.told else None)
                told_by = pinger.told.by if pinger.told else told_by
        return path_mtu.Path(address, device.name, device.mtu, search.low, told_by, pinger.back)


def measure_all(addresses: t.Sequence[str], timeout: float) -> list[path_mtu.Path]:
    """The same of several peers at a time."""
    if not addresses:
        return []
    # Read once, not for each peer: a node has a link for each of its pods.
    devices = {device.ifindex: device for device in rtnetlink.read_devices()}
    with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(addresses))) as pool:
        return list(pool.map(lambda address: measure(address, timeout, devices), addresses))
