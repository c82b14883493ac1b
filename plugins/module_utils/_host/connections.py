# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let connections go on when their packets leave by another interface.

A masqueraded connection ends when that happens, since the kernel remembers for which interface its address was chosen
(torvalds/linux:include/net/netfilter/nf_nat.h nf_nat_oif_changed). The same connection with the same addresses does not have to: put into the
table by a program instead of by the rule, it is bound to no interface. That is how connections move between two firewalls, too
(conntrack-tools).
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_messages as messages
from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_socket

_NEW, _GET, _DELETE = 0x100, 0x101, 0x102
# linux:include/uapi/linux/netfilter/nfnetlink_conntrack.h
_ORIGINAL, _REPLY, _STATUS, _PROTOCOL_STATE, _SOURCE_NAT, _TIMEOUT, _MARK = 1, 2, 3, 4, 6, 7, 8
_DESTINATION_NAT, _ZONE, _LABELS, _FILTER, _STATUS_MASK = 13, 18, 22, 25, 26
_FILTER_OF, _FILTER_SOURCE = {_ORIGINAL: 1, _REPLY: 2}, 0x1
_ADDRESSES, _PROTOCOL = 1, 2
_SOURCE, _DESTINATION = 1, 2
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_NAT_FIRST, _NAT_LAST, _NAT_PORTS, _PORT_FIRST, _PORT_LAST = 1, 2, 3, 1, 2
_TCP_STATE, _STATE, _FLAGS_ORIGINAL, _FLAGS_REPLY = 1, 1, 4, 5
# linux:include/uapi/linux/netfilter/nf_conntrack_tcp.h SYN_SENT, SYN_RECV, ESTABLISHED
_OPEN = (1, 2, 3)
_LIBERAL = 0x8
# linux:include/uapi/linux/netfilter/nf_conntrack_common.h
_KEPT_STATUS = 0x2 | 0x4 | 0x8
_SOURCE_TRANSLATED = 0x10
_PROTOCOLS = (socket.IPPROTO_TCP, socket.IPPROTO_UDP)


class Tuple(t.NamedTuple):
    """One direction of a connection."""

    source: ipaddress.IPv4Address
    destination: ipaddress.IPv4Address
    protocol: int
    source_port: int
    destination_port: int

    @property
    def inverse(self) -> Tuple:
        """What answers would have without any translation."""
        return Tuple(self.destination, self.source, self.protocol, self.destination_port, self.source_port)


class Connection(t.NamedTuple):
    """A connection, as the kernel tells it."""

    original: Tuple
    reply: Tuple
    parts: dict[int, bytes]

    @property
    def mark(self) -> int:
        """The mark of the connection."""
        return int(struct.unpack("!I", self.parts.get(_MARK, bytes(4)))[0])

    @property
    def is_open(self) -> bool:
        """Whether it is one of TCP that begins or goes on."""
        state = dict(messages.attributes_in(_tcp_parts(self.parts.get(_PROTOCOL_STATE, b"")))).get(_STATE, b"\0")
        return self.original.protocol == socket.IPPROTO_TCP and state[0] in _OPEN


def read(question: bytes = b"") -> list[Connection]:
    """Connections of IPv4, TCP and UDP, of the namespace that this runs in; a question chooses among them, on a kernel that can.

    :raises OSError: when the kernel does not tell them.
    """
    return [connection for connection in map(_connection, _told(question)) if connection is not None]


def masqueraded(network: ipaddress.IPv4Network, own: t.Collection[ipaddress.IPv4Address]) -> list[Connection]:
    """Connections with a translated source that lead into a network.

    A rule that masquerades can choose the address that a packet of the node has already. Such a connection does not look translated and is bound
    to its interface all the same, so those from the node's C(own) addresses count as well.

    :raises OSError: when the kernel does not tell them.
    """
    found: dict[Tuple, Connection] = {}
    packed = [address.packed for address in own]
    all_told = False
    for question in (_with_status(_SOURCE_TRANSLATED), *map(_with_source, own)):
        if all_told:
            break
        for parts in _told(question):
            translated = bool(_status(parts) & _SOURCE_TRANSLATED)
            from_here = _source_of(parts) in packed
            # A kernel that cannot choose tells all connections, whatever it is asked for.
            all_told = all_told or not (translated or from_here)
            connection = _connection(parts) if translated or from_here else None
            if connection is not None and connection.reply.source in network:
                found[connection.original] = connection
    return list(found.values())


def from_address(address: ipaddress.IPv4Address) -> list[Connection]:
    """Connections that began at an address.

    :raises OSError: when the kernel does not tell them.
    """
    # A kernel that cannot choose tells all connections, whatever it is asked for.
    return [connection for connection in read(_with_source(address)) if connection.original.source == address]


def release(addresses: t.Collection[str]) -> int:
    """Make connections that lead to some addresses independent of their interface; how many there are."""
    found: list[Connection] = []
    for address in map(ipaddress.IPv4Address, addresses):
        # A kernel that cannot choose tells all connections, whatever it is asked for.
        found += [connection for connection in read(_with_source(address, _REPLY)) if connection.reply.source == address]
    return make_independent(found)


def make_independent(found: t.Iterable[Connection]) -> int:
    """Make connections independent of their interface; how many there are.

    Each is deleted and made again in one message, so that hardly any packet comes between. One that has ended meanwhile is left.

    :raises OSError: when the kernel refuses.
    """
    kernel = netlink_socket.Netlink(messages.NETFILTER)
    try:
        return sum(_make_again(kernel, connection) for connection in found)
    finally:
        kernel.close()


def _told(question: bytes) -> t.Iterator[dict[int, bytes]]:
    """Attributes of each connection; those of a question choose among them, on a kernel that knows them."""
    kernel = netlink_socket.Netlink(messages.NETFILTER)
    try:
        for answer in kernel.each(_GET, messages.DUMP, messages.generic(socket.AF_INET) + question):
            yield messages.attributes_of(answer)
    finally:
        kernel.close()


def _with_status(status: int) -> bytes:
    return b"".join(messages.attribute(kind, struct.pack("!I", status)) for kind in (_STATUS, _STATUS_MASK))


def _with_source(address: ipaddress.IPv4Address, direction: int = _ORIGINAL) -> bytes:
    flags = messages.attribute(_FILTER_OF[direction], struct.pack("=I", _FILTER_SOURCE))
    return messages.nested(direction, messages.nested(_ADDRESSES, messages.attribute(_SOURCE, address.packed))) + messages.nested(_FILTER, flags)


def _make_again(kernel: netlink_socket.Netlink, connection: Connection) -> bool:
    create = _request(_NEW, messages.CREATE | messages.EXCLUSIVE, _creation(connection), connection)
    delete, delete_answering = (_request(_DELETE, 0, _tuple(_ORIGINAL, way), connection) for way in connection[:2])
    deleted, created = kernel.ask_together(delete, create)
    if not deleted and created == errno.EEXIST:  # a packet came between, and made a connection of its own
        created = kernel.ask_together(delete, delete_answering, create)[-1]
    if deleted == errno.ENOENT:
        return False
    if deleted or created:
        raise OSError(deleted or created, os.strerror(deleted or created))
    return True


def _request(kind: int, flags: int, body: bytes, connection: Connection) -> netlink_socket.Request:
    zone = messages.attribute(_ZONE, connection.parts[_ZONE]) if _ZONE in connection.parts else b""
    return kind, flags, messages.generic(socket.AF_INET) + body + zone


def _status(parts: dict[int, bytes]) -> int:
    return int(struct.unpack("!I", parts.get(_STATUS, bytes(4)))[0])


def _creation(connection: Connection) -> bytes:
    """All that a connection is, with the translation told instead of the rule that made it."""
    original, reply, parts = connection
    body = _tuple(_ORIGINAL, original) + _tuple(_REPLY, original.inverse)
    body += messages.attribute(_STATUS, struct.pack("!I", _status(parts) & _KEPT_STATUS))
    body += messages.attribute(_TIMEOUT, parts[_TIMEOUT])
    for kind in (_MARK, _LABELS):
        if kind in parts:
            body += messages.attribute(kind, parts[kind])
    if (reply.source, reply.source_port) != (original.destination, original.destination_port):
        body += _nat(_DESTINATION_NAT, reply.source, reply.source_port)
    if (reply.destination, reply.destination_port) != (original.source, original.source_port):
        body += _nat(_SOURCE_NAT, reply.destination, reply.destination_port)
    if _PROTOCOL_STATE in parts and original.protocol == socket.IPPROTO_TCP:
        body += _tcp_state(parts[_PROTOCOL_STATE])
    return body


def _tuple(kind: int, way: Tuple) -> bytes:
    addresses = messages.attribute(_SOURCE, way.source.packed) + messages.attribute(_DESTINATION, way.destination.packed)
    protocol = messages.attribute(_NUMBER, bytes([way.protocol]))
    protocol += messages.attribute(_SOURCE_PORT, struct.pack("!H", way.source_port))
    protocol += messages.attribute(_DESTINATION_PORT, struct.pack("!H", way.destination_port))
    return messages.nested(kind, messages.nested(_ADDRESSES, addresses) + messages.nested(_PROTOCOL, protocol))


def _nat(kind: int, address: ipaddress.IPv4Address, port: int) -> bytes:
    ports = messages.attribute(_PORT_FIRST, struct.pack("!H", port)) + messages.attribute(_PORT_LAST, struct.pack("!H", port))
    body = messages.attribute(_NAT_FIRST, address.packed) + messages.attribute(_NAT_LAST, address.packed)
    return messages.nested(kind, body + messages.nested(_NAT_PORTS, ports))


def _tcp_state(data: bytes) -> bytes:
    """The state of a TCP connection. Which window each side has is not told, so that the kernel must not mind it."""
    parts = []
    for kind, value in messages.attributes_in(_tcp_parts(data)):
        if kind in (_FLAGS_ORIGINAL, _FLAGS_REPLY):
            flags = value[0] | _LIBERAL
            parts.append(messages.attribute(kind, bytes([flags, flags])))
        else:
            parts.append(messages.attribute(kind, value))
    return messages.nested(_PROTOCOL_STATE, messages.nested(_TCP_STATE, b"".join(parts)))


def _tcp_parts(data: bytes) -> bytes:
    return dict(messages.attributes_in(data)).get(_TCP_STATE, b"")


def _connection(parts: dict[int, bytes]) -> Connection | None:
    ways = [_parse(parts.get(kind, b"")) for kind in (_ORIGINAL, _REPLY)]
    if ways[0] is None or ways[1] is None or _STATUS not in parts or _TIMEOUT not in parts:
        return None
    return Connection(ways[0], ways[1], parts)


def _source_of(parts: dict[int, bytes]) -> bytes:
    """The address that began a connection, found without parsing all of it."""
    outer = dict(messages.attributes_in(parts.get(_ORIGINAL, b"")))
    return dict(messages.attributes_in(outer.get(_ADDRESSES, b""))).get(_SOURCE, b"")


def _parse(data: bytes) -> Tuple | None:
    outer = dict(messages.attributes_in(data))
    addresses = dict(messages.attributes_in(outer.get(_ADDRESSES, b"")))
    protocol = dict(messages.attributes_in(outer.get(_PROTOCOL, b"")))
    number = protocol.get(_NUMBER, b"\0")[0]
    if number not in _PROTOCOLS or len(addresses.get(_SOURCE, b"")) != 4:
        return None
    ports = (int(struct.unpack("!H", protocol[kind])[0]) for kind in (_SOURCE_PORT, _DESTINATION_PORT))
    return Tuple(ipaddress.IPv4Address(addresses[_SOURCE]), ipaddress.IPv4Address(addresses[_DESTINATION]), number, *ports)
