# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a peer answers pings and TCP: that only the first gets through is what wrong checksums look like."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
import struct
import termios
import time
import typing as t

_POLL_SECONDS = 0.02
_PING_SECONDS = 1.0
_ECHO, _ECHO_REPLY, _ECHO_V6, _ECHO_REPLY_V6 = 8, 0, 128, 129


class Peer(t.NamedTuple):
    """Where to and how."""

    address: str
    port: int
    source: str | None
    payload: int
    """Bytes to send after the connection is there."""
    timeout: float

    @property
    def family(self) -> socket.AddressFamily:
        """IPv4 or IPv6."""
        return socket.AF_INET6 if ipaddress.ip_address(self.address).version == 6 else socket.AF_INET


class Answer(t.NamedTuple):
    """What came of it."""

    works: bool
    detail: str


def connect(peer: Peer) -> Answer:
    """Connect, and have the peer's kernel acknowledge the payload.

    A peer that refuses has been reached too: its kernel looks at the checksum before it answers (RFC 9293, section 3.1).
    """
    with socket.socket(peer.family, socket.SOCK_STREAM) as stream:
        stream.settimeout(peer.timeout)
        try:
            if peer.source:
                stream.bind((peer.source, 0))
            stream.connect((peer.address, peer.port))
            if peer.payload:
                return _send(stream, peer)
        except ConnectionRefusedError:
            return Answer(True, "the peer answers that nothing listens there")
        except socket.timeout:
            return Answer(False, f"no connection within {peer.timeout:g} s")
        except OSError as exc:
            return Answer(False, (exc.strerror or str(exc)).lower())
    return Answer(True, "connected")


def _send(stream: socket.socket, peer: Peer) -> Answer:
    deadline = time.monotonic() + peer.timeout
    view = memoryview(bytes(peer.payload))
    stream.setblocking(False)
    left = len(view)
    while left or _unacknowledged(stream):
        if time.monotonic() > deadline:
            return Answer(
                False, f"connected, but {left + _unacknowledged(stream)} of {peer.payload} bytes not acknowledged within {peer.timeout:g} s"
            )
        try:
            left -= stream.send(view[peer.payload - left :]) if left else 0
        except BlockingIOError:
            pass
        except ConnectionError:
            # It ended the connection on what it had read: the bytes have come through.
            break
        time.sleep(_POLL_SECONDS)
    return Answer(True, f"connected, {peer.payload - left} bytes were taken")


def _unacknowledged(stream: socket.socket) -> int:
    """Bytes that the peer has not acknowledged yet (tcp(7), SIOCOUTQ)."""
    number: int = struct.unpack("=i", fcntl.ioctl(stream.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
    return number


def ping(peer: Peer) -> bool:
    """Whether one of some pings is answered. Their checksum is the kernel's work, whatever the device promises."""
    six = peer.family == socket.AF_INET6
    with socket.socket(peer.family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP) as raw:
        if peer.source:
            raw.bind((peer.source, 0))
        identifier = os.getpid() & 0xFFFF
        deadline = time.monotonic() + peer.timeout
        sequence = 0
        while time.monotonic() < deadline:
            sequence += 1
            try:
                raw.sendto(_echo(six, identifier, sequence), (peer.address, 0))
            except OSError:
                return False
            if _answered(raw, six, identifier, min(deadline, time.monotonic() + _PING_SECONDS)):
                return True
    return False


def _answered(raw: socket.socket, six: bool, identifier: int, until: float) -> bool:
    while time.monotonic() < until:
        raw.settimeout(max(_POLL_SECONDS, until - time.monotonic()))
        try:
            data = raw.recv(2048)
        except socket.timeout:
            return False
        start = 0 if six else (data[0] & 0x0F) * 4
        is_reply = len(data) >= start + 8 and data[start] == (_ECHO_REPLY_V6 if six else _ECHO_REPLY)
        if is_reply and struct.unpack_from(">H", data, start + 4)[0] == identifier:
            return True
    return False


def _echo(six: bool, identifier: int, sequence: int) -> bytes:
    """A request; of IPv6 the kernel makes the checksum."""
    body = struct.pack(">BBHHH", _ECHO_V6 if six else _ECHO, 0, 0, identifier, sequence)
    if six:
        return body
    return body[:2] + struct.pack(">H", checksum(body)) + body[4:]


def checksum(data: bytes) -> int:
    """The internet's checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
