# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A conversation with the kernel by netlink: a request, and all that it answers (RFC 3549; linux:include/uapi/linux/netlink.h)."""

from __future__ import annotations

import os
import socket
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_messages as messages

ROUTE, GENERIC = 0, 16
"""Protocols."""
Request = tuple[int, int, bytes]
"""A kind, flags and a body."""
_SECONDS = 5.0
_BUFFER = 1 << 20


class Netlink:
    """A connection of one protocol. It belongs to the network namespace in which it was made, wherever it is used."""

    def __init__(self, protocol: int) -> None:
        """Connect.

        :raises OSError: when the kernel has no such protocol.
        """
        self.link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self.link.settimeout(_SECONDS)
        self.link.bind((0, 0))

    def close(self) -> None:
        """End it."""
        self.link.close()

    def ask(self, kind: int, flags: int, body: bytes) -> list[bytes]:
        """What the kernel answers, until it says that it is done.

        :raises OSError: when it refuses.
        """
        return list(self.each(kind, flags, body))

    def each(self, kind: int, flags: int, body: bytes) -> t.Iterator[bytes]:
        """The same, one answer after the other, for long tables.

        :raises OSError: when the kernel refuses.
        """
        self.link.send(messages.request(kind, flags | messages.ACKNOWLEDGE, body))
        yield from self._answers()

    def ask_together(self, *requests: Request) -> list[int]:
        """Requests in one datagram, which the kernel carries out one after the other, also after one that it refused; each one's error or 0."""
        self.link.send(b"".join(messages.request(kind, flags | messages.ACKNOWLEDGE, body) for kind, flags, body in requests))
        return [self._error() for dummy in requests]

    def transact(self, requests: t.Iterable[Request]) -> None:
        """A batch of netfilter's, of which the kernel carries out all or nothing (linux:net/netfilter/nfnetlink.c nfnetlink_rcv_batch).

        It has answered when the sending is over, and says nothing when all is well.

        :raises OSError: when the kernel refuses; the first reason.
        """
        self.link.send(b"".join(messages.request(*request) for request in requests))
        self.link.settimeout(0)
        try:
            code = self._error()
        except BlockingIOError:
            return
        finally:
            self.link.settimeout(_SECONDS)
        raise OSError(code, os.strerror(code))

    def _error(self) -> int:
        """The number of the error that the kernel answers, 0 for none."""
        while True:
            for answered, payload in messages.messages_of(self.link.recv(_BUFFER)):
                if answered == messages.ERROR:
                    return messages.error_of(payload)

    def _answers(self) -> t.Iterator[bytes]:
        while True:
            for answered, payload in messages.messages_of(self.link.recv(_BUFFER)):
                if answered == messages.DONE:
                    return
                if answered == messages.ERROR:
                    code = messages.error_of(payload)
                    if code:
                        raise OSError(code, os.strerror(code))
                    return
                yield payload
