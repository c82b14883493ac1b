# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IP sets of the kernel over netlink, since a node need not have the program ipset: Calico brings its own in its image.

Numbers and attributes: linux:include/uapi/linux/netfilter/ipset/ip_set.h.
"""

from __future__ import annotations

import os
import socket
import struct
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_messages

LOADED = Path("/sys/module/ip_set")
"""A request for sets would load the module, so none is made without it."""
_SUBSYSTEM = 6 << 8
_DESTROY, _LIST = 3, 7
_ATTRIBUTE_PROTOCOL, _ATTRIBUTE_NAME, _ATTRIBUTE_FLAGS = 1, 2, 6
_FLAG_NAMES_ONLY = 1 << 1
_MINIMUM_PROTOCOL = 6
_BUFFER = 1 << 16
_SECONDS = 10.0


def names() -> list[str]:
    """Names of all sets in this network namespace; empty when the kernel has no sets loaded.

    :raises OSError: when the kernel refuses.
    """
    if not LOADED.exists():
        return []
    flags = netlink_messages.attribute(_ATTRIBUTE_FLAGS | netlink_messages.NET_BYTEORDER, struct.pack(">I", _FLAG_NAMES_ONLY))
    answers = _exchange(_LIST, flags, netlink_messages.DUMP)
    found = (netlink_messages.attributes_of(payload).get(_ATTRIBUTE_NAME) for payload in answers)
    return sorted(name.rstrip(b"\0").decode() for name in found if name)


def destroy(name: str) -> None:
    """Destroy a set with its members.

    :raises OSError: when a rule still uses it (EBUSY), or there is none of this name (ENOENT).
    """
    for dummy in _exchange(_DESTROY, netlink_messages.text(_ATTRIBUTE_NAME, name), netlink_messages.ACKNOWLEDGE):
        pass


def _exchange(command: int, attributes: bytes, flags: int) -> t.Iterator[bytes]:
    """Send a request; the payloads of the answers, until the kernel says that this was all."""
    version = netlink_messages.attribute(_ATTRIBUTE_PROTOCOL, bytes([_MINIMUM_PROTOCOL]))
    body = netlink_messages.generic(socket.AF_INET) + version + attributes
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink_messages.NETFILTER) as kernel:
        kernel.settimeout(_SECONDS)
        kernel.sendto(netlink_messages.request(_SUBSYSTEM | command, flags, body), (0, 0))
        while True:
            for kind, answer in netlink_messages.messages_of(kernel.recv(_BUFFER)):
                if kind == netlink_messages.DONE:
                    return
                if kind == netlink_messages.ERROR:
                    code = netlink_messages.error_of(answer)
                    if code:
                        raise OSError(code, os.strerror(code))
                    return
                yield answer
