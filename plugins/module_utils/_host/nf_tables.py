# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of nf_tables with one base chain, by netlink, so that a node needs no program for it (linux:include/uapi/linux/netfilter/nf_tables.h).

Only for IPv4, and only the expressions that this collection uses.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_messages as messages
from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_socket

# linux:include/uapi/linux/netfilter/nfnetlink.h
_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
# linux:include/uapi/linux/netfilter/nf_tables.h: nf_tables_msg_types
_NEW_TABLE, _GET_TABLE, _DELETE_TABLE, _NEW_CHAIN, _GET_CHAIN, _NEW_RULE, _GET_RULE = (_SUBSYSTEM << 8 | kind for kind in (0, 1, 2, 3, 4, 6, 7))
_APPEND = 0x800
_TABLE_NAME, _TABLE_FLAGS = 1, 2
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_TYPE = 1, 3, 4, 5, 7
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_RULE_TABLE, _RULE_CHAIN, _RULE_EXPRESSIONS, _RULE_USER_DATA = 1, 2, 4, 7
_ELEMENT, _EXPRESSION_NAME, _EXPRESSION_DATA, _VALUE = 1, 1, 2, 1
_REGISTER = struct.pack("!I", 1)
_NETWORK_HEADER, _SOURCE_OFFSET, _DESTINATION_OFFSET = 1, 12, 16
_MARK, _OUT_NAME = 3, 7
_NAME_LENGTH = 16
_ACCEPT = struct.pack("!I", 1)
# linux:include/uapi/linux/netfilter/nf_nat.h; a kernel tells the first one also where it was not given.
_WITH_ADDRESS, _FULLY_RANDOM = 0x1, 0x10
# netfilter.org/libnftnl:include/libnftnl/udata.h
_COMMENT = 0
_LACKING = (errno.ENOENT, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT)


class Unsupported(Exception):
    """What the kernel lacks; the text has the remedy."""


class Expression(t.NamedTuple):
    """A part of a rule, with its attributes."""

    name: str
    attributes: dict[int, bytes]


class Rule(t.NamedTuple):
    """A rule. C(nft list) shows the comment, of at most 127 bytes."""

    comment: str
    expressions: tuple[Expression, ...]


class Chain(t.NamedTuple):
    """A base chain."""

    name: str
    kind: str
    hook: int
    """linux:include/uapi/linux/netfilter.h nf_inet_hooks"""
    priority: int


class Table(t.NamedTuple):
    """A table."""

    name: str
    chain: Chain
    rules: tuple[Rule, ...]


class Found(t.NamedTuple):
    """What is in a table that is there."""

    chain: Chain | None
    """None when it is not as this collection makes them."""
    rules: tuple[Rule, ...]


# Expressions


def _numbers(*values: int) -> list[bytes]:
    return [struct.pack("!I", value) for value in values]


def _expression(name: str, *values: tuple[int, bytes]) -> Expression:
    return Expression(name, dict(values))


def _data(value: bytes) -> bytes:
    return messages.attribute(_VALUE, value)


def _compare(value: bytes, equal: bool) -> Expression:
    return _expression("cmp", (1, _REGISTER), (2, struct.pack("!I", 0 if equal else 1)), (3, _data(value)))


def _bits(mask: bytes) -> Expression:
    return _expression("bitwise", (1, _REGISTER), (2, _REGISTER), (3, struct.pack("!I", len(mask))), (4, _data(mask)), (5, _data(bytes(len(mask)))))


def _load(key: int) -> Expression:
    return _expression("meta", (1, _REGISTER), (2, struct.pack("!I", key)))


def leaves_by(device: str) -> list[Expression]:
    """C(oifname)."""
    return [_load(_OUT_NAME), _compare(device.encode().ljust(_NAME_LENGTH, b"\0"), True)]


def _address_in(offset: int, network: ipaddress.IPv4Network, inside: bool) -> list[Expression]:
    base, where, length = _numbers(_NETWORK_HEADER, offset, 4)
    loaded = _expression("payload", (1, _REGISTER), (2, base), (3, where), (4, length))
    return [loaded, _bits(network.netmask.packed), _compare(network.network_address.packed, inside)]


def comes_from_outside(network: ipaddress.IPv4Network) -> list[Expression]:
    """C(ip saddr !=)."""
    return _address_in(_SOURCE_OFFSET, network, False)


def goes_into(network: ipaddress.IPv4Network) -> list[Expression]:
    """C(ip daddr)."""
    return _address_in(_DESTINATION_OFFSET, network, True)


def has_mark(mark: int) -> list[Expression]:
    """C(meta mark and MARK != 0). Marks have the byte order of the host."""
    return [_load(_MARK), _bits(struct.pack("=I", mark)), _compare(bytes(4), False)]


def clear_mark(mark: int) -> list[Expression]:
    """C(meta mark set mark and not MARK)."""
    (key,) = _numbers(_MARK)
    return [_load(_MARK), _bits(struct.pack("=I", ~mark & 0xFFFFFFFF)), _expression("meta", (2, key), (3, _REGISTER))]


def source_becomes(address: ipaddress.IPv4Address) -> list[Expression]:
    """C(snat to ADDRESS fully-random)."""
    kind, family, flags = _numbers(0, socket.AF_INET, _WITH_ADDRESS | _FULLY_RANDOM)
    value = _expression("immediate", (1, _REGISTER), (2, _data(address.packed)))
    return [value, _expression("nat", (1, kind), (2, family), (3, _REGISTER), (7, flags))]


# Tables


def read(name: str) -> Found | None:
    """A table, None for one that is not there.

    :raises Unsupported: when the kernel has no nf_tables.
    :raises OSError: when it does not tell.
    """
    with _kernel() as kernel:
        try:
            (answer,) = kernel.ask(_GET_TABLE, 0, _body(messages.text(_TABLE_NAME, name)))
        except OSError as exc:
            if exc.errno == errno.ENOENT:
                return None
            # A subsystem of netfilter's that is missing is EINVAL, unlike in a batch (linux:net/netfilter/nfnetlink.c nfnetlink_rcv_msg).
            raise (_unsupported(exc) if exc.errno == errno.EINVAL else exc) from exc
        flags = messages.attributes_of(answer).get(_TABLE_FLAGS, bytes(4))
        answers = kernel.ask(_GET_RULE, messages.DUMP, _body(messages.text(_RULE_TABLE, name)))
        found = [messages.attributes_of(answer) for answer in answers]
        rules = [parts for parts in found if _text(parts[_RULE_TABLE]) == name]
        chains = {_text(parts[_RULE_CHAIN]) for parts in rules}
        chain = _read_chain(kernel, name, chains) if len(chains) == 1 and not any(flags) else None
        return Found(chain, tuple(_read_rule(parts) for parts in rules))


def same(found: Found | None, wanted: Table) -> bool:
    """Whether a table that was read is a wanted one. The kernel tells more attributes of an expression than it has to be told."""
    if found is None or found.chain != wanted.chain or len(found.rules) != len(wanted.rules):
        return False
    pairs = zip(found.rules, wanted.rules)
    return all(
        [part.name for part in ours.expressions] == [part.name for part in told.expressions]
        and all(part.attributes.items() <= other.attributes.items() for part, other in zip(ours.expressions, told.expressions))
        for told, ours in pairs
    )


def replace(table: Table) -> None:
    """Put a table in the place of what has its name, in one step.

    :raises Unsupported: when the kernel lacks something for it.
    :raises OSError: when it refuses.
    """
    name = messages.text(_TABLE_NAME, table.name)
    # Made first so that there is something to delete, as a table that is missing would end the batch.
    requests = [(_NEW_TABLE, messages.CREATE, name), (_DELETE_TABLE, 0, name), (_NEW_TABLE, messages.CREATE, name)]
    requests.append((_NEW_CHAIN, messages.CREATE, _chain(table.name, table.chain)))
    requests += [(_NEW_RULE, messages.CREATE | _APPEND, _rule(table.name, table.chain.name, rule)) for rule in table.rules]
    _carry_out(requests)


def remove(name: str) -> None:
    """Remove a table that is there.

    :raises OSError: when the kernel refuses.
    """
    _carry_out([(_DELETE_TABLE, 0, messages.text(_TABLE_NAME, name))])


def _carry_out(requests: t.Iterable[netlink_socket.Request]) -> None:
    subsystem = struct.pack("!BBH", socket.AF_UNSPEC, 0, _SUBSYSTEM)
    batch = [(kind, flags, _body(body)) for kind, flags, body in requests]
    with _kernel() as kernel:
        try:
            kernel.transact([(_BATCH_BEGIN, 0, subsystem), *batch, (_BATCH_END, 0, subsystem)])
        except OSError as exc:
            raise (_unsupported(exc) if exc.errno in _LACKING else exc) from exc


@contextlib.contextmanager
def _kernel() -> t.Iterator[netlink_socket.Netlink]:
    try:
        kernel = netlink_socket.Netlink(messages.NETFILTER)
    except OSError as exc:
        raise (_unsupported(exc) if exc.errno in _LACKING else exc) from exc
    try:
        yield kernel
    finally:
        kernel.close()


def _unsupported(exc: OSError) -> Unsupported:
    return Unsupported(
        f"kernel: {os.uname().release} has no nf_tables with NAT for IPv4 ({exc.strerror}); load its modules nf_tables, nft_chain_nat and nft_nat, "
        "or boot a kernel with CONFIG_NF_TABLES, CONFIG_NF_TABLES_IPV4 and CONFIG_NFT_NAT"
    )


def _body(attributes: bytes) -> bytes:
    return messages.generic(socket.AF_INET) + attributes


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")


def _chain(table: str, chain: Chain) -> bytes:
    hook = messages.attribute(_HOOK_NUMBER, struct.pack("!I", chain.hook)) + messages.attribute(_HOOK_PRIORITY, struct.pack("!i", chain.priority))
    body = messages.text(_CHAIN_TABLE, table) + messages.text(_CHAIN_NAME, chain.name) + messages.nested(_CHAIN_HOOK, hook)
    return body + messages.attribute(_CHAIN_POLICY, _ACCEPT) + messages.text(_CHAIN_TYPE, chain.kind)


def _read_chain(kernel: netlink_socket.Netlink, table: str, names: t.Iterable[str]) -> Chain | None:
    (name,) = names
    (answer,) = kernel.ask(_GET_CHAIN, 0, _body(messages.text(_CHAIN_TABLE, table) + messages.text(_CHAIN_NAME, name)))
    parts = messages.attributes_of(answer)
    hook = dict(messages.attributes_in(parts.get(_CHAIN_HOOK, b"")))
    if _HOOK_NUMBER not in hook or parts.get(_CHAIN_POLICY) != _ACCEPT:
        return None
    (number,), (priority,) = struct.unpack("!I", hook[_HOOK_NUMBER]), struct.unpack("!i", hook[_HOOK_PRIORITY])
    return Chain(name, _text(parts[_CHAIN_TYPE]), number, priority)


def _rule(table: str, chain: str, rule: Rule) -> bytes:
    comment = rule.comment.encode() + b"\0"
    body = messages.text(_RULE_TABLE, table) + messages.text(_RULE_CHAIN, chain)
    body += messages.nested(_RULE_EXPRESSIONS, b"".join(_element(expression) for expression in rule.expressions))
    return body + messages.attribute(_RULE_USER_DATA, bytes([_COMMENT, len(comment)]) + comment)


def _element(expression: Expression) -> bytes:
    data = b"".join(messages.attribute(kind, value) for kind, value in expression.attributes.items())
    return messages.nested(_ELEMENT, messages.text(_EXPRESSION_NAME, expression.name) + messages.nested(_EXPRESSION_DATA, data))


def _read_rule(parts: dict[int, bytes]) -> Rule:
    user_data = parts.get(_RULE_USER_DATA, b"")
    comment = _text(user_data[2 : 2 + user_data[1]]) if user_data[:1] == bytes([_COMMENT]) and len(user_data) > 1 else ""
    elements = (dict(messages.attributes_in(element)) for dummy, element in messages.attributes_in(parts.get(_RULE_EXPRESSIONS, b"")))
    return Rule(
        comment,
        tuple(Expression(_text(part[_EXPRESSION_NAME]), dict(messages.attributes_in(part.get(_EXPRESSION_DATA, b"")))) for part in elements),
    )
