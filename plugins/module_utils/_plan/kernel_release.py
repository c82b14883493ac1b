# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of the Linux kernel as C(uname -r) prints them: what they say, and their order. Pure: no input, no output.

A release is the version of upstream, and behind it whatever the vendor likes. C(5.9) comes before C(5.10), C(5.15.0-rc3) before C(5.15.0), and
C(4.18.0-553.el8) before C(4.18.0-553.8.1.el8).
"""

from __future__ import annotations

import functools
import operator
import re
import typing as t

_NUMBERS = re.compile(r"\s*(\d+)\.(\d+)(?:\.(\d+))?(?:\.(\d+))?")
# Upstream and Debian; Fedora; Ubuntu's builds of upstream's kernels.
_CANDIDATES = (re.compile(r"[-~]rc(\d+)"), re.compile(r"-0\.rc(\d+)(?=\.)"), re.compile(r"-\d+rc(\d+)(?=-)"))
_DEBIAN_BACKPORT = re.compile(r"-0\.(?:bpo|deb\d+)\.(\d+)")
_BUILD = re.compile(r"[-.](\d+(?:\.\d+)*)")
_FAMILIES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("elrepo", re.compile(r"elrepo")),
    ("uek", re.compile(r"\d+uek\b|\.uek")),
    ("el", re.compile(r"\.el\d+")),
    ("amzn", re.compile(r"\.amzn\d+")),
    ("fedora", re.compile(r"\.fc\d+")),
    ("azurelinux", re.compile(r"\.(azl|cm)\d")),
    ("wsl", re.compile(r"microsoft")),
    ("proxmox", re.compile(r"-pve$")),
    ("talos", re.compile(r"-talos$")),
    ("flatcar", re.compile(r"-(flatcar|coreos)")),
    ("raspios", re.compile(r"[+-]rpt|-v[78]l?\+?$")),
    (
        "debian",
        re.compile(r"\+deb\d+|-0\.(bpo|deb\d+)\.|[-~](rc\d+-)?(\d+-)?(rt-|cloud-)?(amd64|arm64|armmp(-lpae)?|686(-pae)?|powerpc64le|s390x|riscv64)$"),
    ),
    (
        "ubuntu",
        re.compile(r"-\d+(rc\d+)?-(generic|lowlatency|realtime|virtual|kvm|aws|azure|gcp|gke|gkeop|ibm|oracle|oem|raspi|fips|nvidia|intel|xilinx)"),
    ),
    ("suse", re.compile(r"-(default|preempt)$")),
    ("cos", re.compile(r"^\+$")),
)
_FROZEN = ("el", "suse", "uek")
"""Vendors that keep the version of upstream that they began with, whatever they take over later."""
_OPERATORS: t.Mapping[str, t.Callable[[t.Any, t.Any], bool]] = {
    "==": operator.eq,
    "=": operator.eq,
    "eq": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "ne": operator.ne,
    "<": operator.lt,
    "lt": operator.lt,
    "<=": operator.le,
    "le": operator.le,
    ">": operator.gt,
    "gt": operator.gt,
    ">=": operator.ge,
    "ge": operator.ge,
}
OPERATORS = tuple(_OPERATORS)
_CONSTRAINT = re.compile(r"\s*(>=|<=|==|!=|<|>)\s*(\S+)\s*")


def _stripped(numbers: t.Iterable[int]) -> tuple[int, ...]:
    """Without zeros at the end, which make no difference: 553 is 553.0."""
    kept = list(numbers)
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)


@functools.total_ordering
class Release:
    """A release, comparable with others.

    C(numbers) are those of upstream with zeros for what is not told, always four: major, minor, patch, and a fourth that some vendors add.
    C(candidate) is the number of a release candidate, None for a release. C(build) are the vendor's numbers behind the first dash, in their
    order, such as C((553, 8, 1)). C(family) names the vendor where the text shows it, and is empty else.

    :raises ValueError: for a text that does not begin with two numbers.
    """

    def __init__(self, text: str) -> None:
        found = _NUMBERS.match(text) if isinstance(text, str) else None
        if not found:
            raise ValueError(f"kernel release: '{text}' does not begin with a version; give what 'uname -r' prints, such as 5.10.0-28-amd64")
        self.text = text.strip()
        parts = [int(part or 0) for part in found.groups()]
        self.numbers = (parts[0], parts[1], parts[2], parts[3])
        self.rest = text[found.end() :].strip()
        self.candidate, behind = self._read_candidate()
        self.build = self._read_build(behind)
        self.family = next((name for name, pattern in _FAMILIES if pattern.search(self.rest)), "")

    def _read_candidate(self) -> tuple[int | None, str]:
        for pattern in _CANDIDATES:
            found = pattern.match(self.rest)
            if found:
                return int(found.group(1)), self.rest[found.end() :]
        return None, self.rest

    @staticmethod
    def _read_build(rest: str) -> tuple[int, ...]:
        backport = _DEBIAN_BACKPORT.match(rest)
        if backport:
            return (0, int(backport.group(1)))
        found = _BUILD.match(rest[rest.find("-") :] if rest.startswith("+") and "-" in rest else rest)
        return tuple(int(part) for part in found.group(1).split(".")) if found else ()

    @property
    def key(self) -> tuple[t.Any, ...]:
        """What the order goes by: upstream's numbers, candidates before their release, the vendor's numbers."""
        return (self.numbers, (0, self.candidate) if self.candidate is not None else (1, 0), _stripped(self.build))

    @property
    def upstream(self) -> tuple[int, int, int] | None:
        """Upstream's version with the patch level, None where the vendor's release hides that."""
        by_abi = self.family == "ubuntu" or (self.family == "debian" and "+deb" not in self.rest)
        hidden = self.family in _FROZEN or (by_abi and not self.numbers[2])
        return None if hidden else self.numbers[:3]

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Release) else NotImplemented

    def __lt__(self, other: Release) -> bool:
        return bool(self.key < other.key)

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"Release('{self.text}')"


def compare(left: str, sign: str, right: str) -> bool:
    """Whether two releases are in that relation.

    :raises ValueError: when one of them is no release, or C(sign) no relation.
    """
    if sign not in _OPERATORS:
        raise ValueError(f"operator: '{sign}' is no comparison; use one of {', '.join(OPERATORS)}")
    return _OPERATORS[sign](Release(left), Release(right))


class Constraint:
    """Relations that must all hold, such as C(>=5.10,<5.12), over releases or over dotted numbers.

    :raises ValueError: for a text that is none.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts: list[tuple[str, tuple[int, ...]]] = []
        for part in text.split(","):
            found = _CONSTRAINT.fullmatch(part)
            if not found or not re.fullmatch(r"\d+(\.\d+)*", found.group(2)):
                raise ValueError(f"'{text}' is no constraint; give something like '>=5.10,<5.12'")
            self.parts.append((found.group(1), tuple(int(number) for number in found.group(2).split("."))))

    def holds(self, numbers: t.Sequence[int]) -> bool:
        """Whether the numbers are within; missing ones count as zeros."""
        return all(_OPERATORS[sign](_stripped(numbers), _stripped(bound)) for sign, bound in self.parts)

    def may_hold(self, known: t.Sequence[int]) -> bool:
        """Whether it can hold for some numbers that begin with these, of which the rest is not known."""
        return any(self.holds(tuple(known) + rest) for rest in self._rests(len(known)))

    def must_hold(self, known: t.Sequence[int]) -> bool:
        """Whether it holds for all numbers that begin with these."""
        return all(self.holds(tuple(known) + rest) for rest in self._rests(len(known)))

    def _rests(self, length: int) -> t.Iterator[tuple[int, ...]]:
        """Rests at which a relation may change: at each bound and beside it, the smallest, and one beyond all."""
        yield ()
        yield (10**6,)
        for dummy, bound in self.parts:
            for last in (-1, 0, 1):
                rest = bound[length:]
                if rest and rest[-1] + last >= 0:
                    yield (*rest[:-1], rest[-1] + last)


_BANNER_DEBIAN = re.compile(r"\bDebian (\d+\.\d+\.\d+)-")
_SIGNATURE_UBUNTU = re.compile(r"^Ubuntu \S+ (\d+\.\d+\.\d+)\s*$")


def upstream_of(release: Release, banner: str = "", signature: str = "") -> tuple[int, int, int] | None:
    """Upstream's version with the patch level, also from what else the kernel tells.

    C(banner) is C(uname -v), in which Debian writes it; C(signature) is C(/proc/version_signature) of Ubuntu. None where it is hidden.
    """
    for pattern, text in ((_BANNER_DEBIAN, banner), (_SIGNATURE_UBUNTU, signature)):
        found = pattern.search(text)
        if found:
            major, minor, patch = (int(part) for part in found.group(1).split("."))
            return (major, minor, patch)
    return release.upstream
