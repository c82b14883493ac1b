# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of sysctl.d(5): names of settings, which file has the last word. Pure: no input, no output."""

from __future__ import annotations

import difflib
import fnmatch
import re
import typing as t

HEAD = "# Written by podnet.cni.sysctl_set, which puts back what was there before with state=absent."
FILE_NAME = re.compile(r"[0-9]{2}-[A-Za-z0-9_.-]+")
_SWAP = str.maketrans("./", "/.")

MODULES: t.Mapping[str, str] = {
    "net/bridge/": "br_netfilter",
    "net/netfilter/nf_conntrack": "nf_conntrack",
    "net/nf_conntrack": "nf_conntrack",
    "net/netfilter/nf_flowtable": "nf_flow_table",
    "net/ipv4/vs/": "ip_vs",
    "net/ipv6/": "ipv6",
    "net/mpls/": "mpls_router",
    "net/sctp/": "sctp",
    "sunrpc/": "sunrpc",
    "fs/nfs/": "lockd",
}
"""Modules that bring settings, by the beginning of their paths."""
_OF_DEVICE = re.compile(r"net/ipv[46]/(?:conf|neigh)/([^/]+)/.+")


class Setting(t.NamedTuple):
    """One line that sets something."""

    path: str
    value: str
    file: str
    line: int

    @property
    def is_pattern(self) -> bool:
        """Whether it is for all settings that are like it."""
        return any(sign in self.path for sign in "*?[")


class Override(t.NamedTuple):
    """A line of another file that has the last word on one of our settings."""

    key: str
    setting: Setting
    certain: bool
    """A pattern gives way to the name of one setting with systemd, and does not with C(sysctl --system) of procps."""


def path_of(key: str) -> str:
    """The path below /proc/sys. The first separator decides which of the two it is (sysctl.d(5))."""
    first = next((sign for sign in key if sign in "./"), "/")
    return key.translate(_SWAP) if first == "." else key


def dotted(path: str) -> str:
    """The name with dots for a path."""
    return path.translate(_SWAP)


def is_name(key: str) -> bool:
    """Whether it can be the name of a setting."""
    parts = path_of(key).split("/")
    return len(parts) > 1 and all(part not in ("", ".", "..") and not any(sign.isspace() or sign in "*?[=#" for sign in part) for part in parts)


def same(one: str, other: str) -> bool:
    """Whether two values are the same to the kernel."""
    first, second = one.split(), other.split()
    return len(first) == len(second) and all(_number(part) == _number(with_it) for part, with_it in zip(first, second))


def _number(word: str) -> int | str:
    return int(word) if re.fullmatch(r"-?[0-9]+", word) else word


def text_of(values: t.Mapping[str, str]) -> str:
    """A file for settings."""
    return "\n".join([HEAD, *(f"{key} = {value}" for key, value in values.items())]) + "\n"


def parse(file: str, text: str) -> list[Setting]:
    """What the lines of a file set."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        key, equals, value = line.strip().partition("=")
        if equals and key and key[0] not in "#;":
            found.append(Setting(path_of(key.strip().lstrip("-").strip()), " ".join(value.split()), file, number))
    return found


def overrides(values: t.Mapping[str, str], later: t.Sequence[Setting]) -> list[Override]:
    """Lines of later files that give settings another value, the last of each."""
    found = []
    for key, value in values.items():
        path = path_of(key)
        named = [setting for setting in later if setting.path == path]
        like_it = [setting for setting in later if setting.is_pattern and fnmatch.fnmatchcase(path, setting.path)]
        last = (named or like_it)[-1:]
        found += [Override(key, setting, bool(named)) for setting in last if not same(setting.value, value)]
    return found


def unknown(key: str, known: t.Collection[str], devices: t.Collection[str]) -> str:
    """Why a kernel does not have a setting, and what to do."""
    path = path_of(key)
    device = _OF_DEVICE.fullmatch(path)
    if device and device[1] not in devices:
        return f"there is no device '{device[1]}' on this host; it has {', '.join(sorted(devices)[:8])}"
    near = [dotted(other) for other in difflib.get_close_matches(path, known, n=3, cutoff=0.8)]
    hint = f"did you mean {' or '.join(near)}?" if near else "look for it with 'sysctl --all'"
    module = module_of(path)
    if module and not any(module_of(other) == module for other in known):
        return f"load the module {module}, which has it (modprobe {module}), and name it in /etc/modules-load.d, since sysctl.d is read early"
    return f"this kernel does not know it; {hint}"


def module_of(path: str) -> str | None:
    """The module that brings a setting, None for what is always there."""
    return next((module for start, module in MODULES.items() if path.startswith(start)), None)
