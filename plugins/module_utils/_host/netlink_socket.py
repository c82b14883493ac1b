# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A conversation with the kernel by netlink: a request, and all that it answers (RFC 3549; linux:include/uapi/linux/netlink.h)."""

from __future__ import annotations

import os
import socket

from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_messages as messages

ROUTE, GENERIC = 0, 16
"""Protocols."""
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
        self.link.send(messages.request(kind, flags | messages.ACKNOWLEDGE, body))
        answers: list[bytes] = []
        while True:
            for answered, payload in messages.messages_of(self.link.recv(_BUFFER)):
                if answered == messages.DONE:
                    return answers
                if answered == messages.ERROR:
                    code = messages.error_of(payload)
                    if code:
                        raise OSError(code, os.strerror(code))
                    return answers
                answers.append(payload)
