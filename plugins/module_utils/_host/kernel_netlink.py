# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the running kernel's network can do, asked in a network namespace that nobody else sees and that ends with the questions.

Needs root. Asking for a device, a queueing discipline or an expression makes the kernel load the module that has it, as a CNI would.
Numbers are those of the kernel's interface for programs (C(include/uapi/linux): netlink.h, rtnetlink.h, if_link.h, netfilter/nfnetlink.h,
netfilter/ipset/ip_set.h, netfilter/nf_tables_compat.h).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import json
import os
import socket
import struct
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import commands
from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_messages as messages

Result = tuple[t.Optional[bool], str]

_NEW_NET = 0x40000000
_NEW_LINK, _GET_RULE, _NEW_QDISC = 16, 34, 36
_LINK_NAME, _LINK_INFO, _INFO_KIND, _INFO_DATA = 3, 18, 1, 2
_SUBSYSTEM_IPSET, _SUBSYSTEM_COMPAT = 6, 11
_IPSET_TYPE, _IPSET_NO_SUCH_TYPE = 13, 4098
_ROOT, _CLSACT, _CLSACT_HANDLE = 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFF0000
_SECONDS = 5.0
_numbers = itertools.count()
FAMILIES = {"route": 0, "xfrm": 6, "netfilter": messages.NETFILTER, "generic": 16, "sock_diag": 4}
"""Netlink protocols by name."""
NFT_RULES = {
    "fib": "add rule inet podnet c fib daddr type local accept",
    "masquerade": "add chain inet podnet n { type nat hook postrouting priority 100; }; add rule inet podnet n masquerade",
    "dnat": "add chain inet podnet d { type nat hook prerouting priority -100; }; add rule inet podnet d dnat ip to 192.0.2.1",
    "ct": "add rule inet podnet c ct state established accept",
    "numgen": "add rule inet podnet c meta mark set numgen random mod 2",
    "reject": "add chain inet podnet f { type filter hook input priority 0; }; add rule inet podnet f reject",
    "vmap": "add rule inet podnet c ip daddr vmap { 192.0.2.1 : accept }",
    "interval_set": "add set inet podnet s { type ipv4_addr; flags interval; }; add rule inet podnet c ip saddr @s accept",
    "limit": "add rule inet podnet c limit rate 1/second accept",
    "log": "add rule inet podnet c log",
    "tproxy": "add chain inet podnet t { type filter hook prerouting priority -150; }; "
    "add rule inet podnet t meta l4proto tcp tproxy ip to 127.0.0.1:1",
    "socket": "add chain inet podnet k { type filter hook prerouting priority -150; }; add rule inet podnet k socket transparent 1 accept",
    "flowtable": "add flowtable inet podnet w { hook ingress priority 0; devices = { lo }; }",
    "tables": "",
}
"""Rules with one expression each, by the name that a probe has. The table C(podnet) with the chain C(c) is there."""


def _error_name(number: int) -> str:
    return errno.errorcode.get(number, str(number))


def _ask(protocol: int, kind: int, flags: int, body: bytes) -> int:
    """The error that the kernel answers, 0 for none.

    :raises OSError: when there is no such protocol, or no answer.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as link:
        link.settimeout(_SECONDS)
        link.bind((0, 0))
        link.send(messages.request(kind, flags, body))
        for answered, payload in messages.messages_of(link.recv(65536)):
            return messages.error_of(payload) if answered == messages.ERROR and payload else 0
    raise OSError(errno.EIO, "the kernel's answer was cut off")


def _asked(protocol: int, kind: int, flags: int, body: bytes, yes: t.Container[int], no: t.Container[int]) -> Result:
    try:
        code = _ask(protocol, kind, flags, body)
    except OSError as exc:
        code = exc.errno or errno.EIO
        return (False if code in (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT) else None), f"netlink: {_error_name(code)}"
    if code == 0 or code in yes:
        return True, "the kernel accepts it"
    return (False if code in no else None), f"the kernel says {_error_name(code)}"


def link(kind: str) -> Result:
    """Whether a device of a kind can be made."""
    data = {
        "vxlan": messages.attribute(1, struct.pack("=I", 4711)) + messages.attribute(15, struct.pack(">H", 4789)),
        "geneve": messages.attribute(6, b""),
    }.get(kind, b"")
    info = messages.text(_INFO_KIND, kind) + (messages.nested(_INFO_DATA, data) if data else b"")
    # A name of its own: a name that is taken is refused before the kernel looks at the kind. What is there already then is an equal device.
    body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + messages.text(_LINK_NAME, f"podnet{next(_numbers)}") + messages.nested(_LINK_INFO, info)
    return _asked(
        socket.NETLINK_ROUTE, _NEW_LINK, messages.ACKNOWLEDGE | messages.CREATE | messages.EXCLUSIVE, body, (errno.EEXIST,), (errno.EOPNOTSUPP,)
    )


def qdisc(kind: str) -> Result:
    """Whether the loopback device can have a queueing discipline."""
    parent, handle = (_CLSACT, _CLSACT_HANDLE) if kind == "clsact" else (_ROOT, 0)
    body = struct.pack("=BxxxiIII", 0, socket.if_nametoindex("lo"), handle, parent, 0) + messages.text(1, kind)
    return _asked(socket.NETLINK_ROUTE, _NEW_QDISC, messages.ACKNOWLEDGE | messages.CREATE, body, (), (errno.ENOENT, errno.EOPNOTSUPP))


def policy_routing() -> Result:
    """Whether there are routing rules (C(CONFIG_IP_MULTIPLE_TABLES))."""
    body = struct.pack("=B11x", socket.AF_INET)
    return _asked(socket.NETLINK_ROUTE, _GET_RULE, messages.DUMP, body, (), (errno.EOPNOTSUPP, errno.EAFNOSUPPORT))


def ipset(kind: str) -> Result:
    """Whether there are IP sets of a type, such as C(hash:ip)."""
    body = messages.generic(socket.AF_INET) + messages.attribute(1, b"\6") + messages.text(3, kind) + messages.attribute(5, bytes([socket.AF_INET]))
    return _asked(FAMILIES["netfilter"], _SUBSYSTEM_IPSET << 8 | _IPSET_TYPE, 0, body, (), (_IPSET_NO_SUCH_TYPE, errno.EINVAL))


def xtables(kind: str, name: str) -> Result:
    """Whether iptables has a match (C(xt_match)) or a target (C(xt_target)), asked by way of nf_tables.

    A kernel without that way says nothing about the legacy one.
    """
    body = messages.generic(socket.AF_INET) + messages.text(1, name) + messages.attribute(2, bytes(4))
    body += messages.attribute(3, struct.pack(">I", 1 if kind == "xt_target" else 0))
    return _asked(FAMILIES["netfilter"], _SUBSYSTEM_COMPAT << 8, 0, body, (errno.EPROTONOSUPPORT,), (errno.ENOENT,))


def netlink(name: str) -> Result:
    """Whether there is a netlink protocol."""
    if name not in FAMILIES:
        return None, f"this protocol is not asked for; known are {', '.join(FAMILIES)}"
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, FAMILIES[name]).close()
    except OSError as exc:
        return (False if exc.errno == errno.EPROTONOSUPPORT else None), f"the kernel says {_error_name(exc.errno or 0)}"
    return True, "the kernel has it"


def nft(name: str) -> Result:
    """Whether a rule with an expression can be loaded, by the node's own nft."""
    if name not in NFT_RULES:
        return None, f"this expression is not asked for; known are {', '.join(NFT_RULES)}"
    if not commands.find("nft"):
        return None, "the node has no nft to ask with"
    script = "\n".join(["add table inet podnet", "add chain inet podnet c", *NFT_RULES[name].split("; add "), "delete table inet podnet"])
    script = "\n".join(line if line.startswith(("add", "delete")) else f"add {line}" for line in script.splitlines() if line)
    try:
        done = commands.run(["nft", "-f", "-"], stdin=f"{script}\n", check=False, timeout=_SECONDS)
    except commands.CommandError as exc:
        return None, str(exc)
    said = (done.stderr.strip().splitlines() or [""])[0]
    if not done.returncode:
        return True, "the kernel accepts it"
    missing = any(words in said for words in ("No such file or directory", "Operation not supported", "Protocol not supported"))
    return (False if missing else None), f"nft said '{said}'"


_ASK: t.Mapping[str, t.Callable[[t.Sequence[str]], Result]] = {
    "link": lambda words: link(words[1]),
    "qdisc": lambda words: qdisc(words[1]),
    "policy_routing": lambda dummy: policy_routing(),
    "ipset": lambda words: ipset(words[1]),
    "xt_match": lambda words: xtables(*words),
    "xt_target": lambda words: xtables(*words),
    "netlink": lambda words: netlink(words[1]),
    "nft": lambda words: nft(words[1]),
}
NAMES = tuple(_ASK)


def _answer(name: str) -> Result:
    try:
        words = name.split()
        return _ASK[words[0]](words)
    except (OSError, struct.error, IndexError) as exc:
        return None, str(exc)


def _child(names: t.Sequence[str], pipe: int) -> None:
    """Ask in a new network namespace; every answer is unknown where that cannot be made."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NET):
        reason = f"no network namespace for the question: {_error_name(ctypes.get_errno())}"
        answers: dict[str, Result] = dict.fromkeys(names, (None, reason))
    else:
        answers = {name: _answer(name) for name in names}
    with os.fdopen(pipe, "w", encoding="utf-8") as stream:
        json.dump(answers, stream)


def ask(names: t.Sequence[str]) -> dict[str, Result]:
    """Answers to probes by their names, such as C(link vxlan). The questions are asked in a child, so that nothing of it stays."""
    if not names:
        return {}
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(BaseException):
            os.close(reading)
            _child(names, writing)
            code = 0
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stream:
        text = stream.read()
    os.waitpid(child, 0)
    if not text:
        return dict.fromkeys(names, (None, "the process that asked has ended without an answer"))
    return {name: (found[0], found[1]) for name, found in json.loads(text).items()}
