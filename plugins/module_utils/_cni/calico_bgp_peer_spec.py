# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From options to the specification of a BGPPeer, with every field checked. Pure: no input, no output.

The rules are those of projectcalico/calico:libcalico-go/lib/validator/v3/validator.go and
projectcalico/calico:api/pkg/apis/projectcalico/v3/bgppeer.go.
Calico's store itself checks none of them up to v3.31: a wrong peer would be accepted and ignored.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_selector import SelectorError, parse_selector

Options = t.Mapping[str, t.Any]
Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
FIELDS = {
    "node": "node",
    "node_selector": "nodeSelector",
    "peer_ip": "peerIP",
    "as_number": "asNumber",
    "peer_selector": "peerSelector",
    "local_workload_selector": "localWorkloadSelector",
    "local_as_number": "localASNumber",
    "keep_original_next_hop": "keepOriginalNextHop",
    "next_hop_mode": "nextHopMode",
    "password": "password",
    "source_address": "sourceAddress",
    "max_restart_time": "maxRestartTime",
    "keepalive_time": "keepaliveTime",
    "num_allowed_local_as_numbers": "numAllowedLocalASNumbers",
    "ttl_security": "ttlSecurity",
    "reachable_by": "reachableBy",
    "filters": "filters",
    "reverse_peering": "reversePeering",
}
"""Option to field of the resource."""
_DEFAULTS = {"keepOriginalNextHop": False, "nextHopMode": "Auto", "sourceAddress": "UseNodeIP", "reversePeering": "Auto", "filters": []}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LARGEST_AS = 4294967295
_LARGEST_INT32 = 2147483647


class InvalidPeer(ValueError):
    """All that is wrong with the options, each with option, value and remedy."""

    def __init__(self, problems: t.Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


def _problem(option: str, value: t.Any, why: str, remedy: str) -> str:
    return f"{option}: '{value}' {why}; {remedy}"


def name_problem(option: str, value: str) -> str | None:
    """Why a value cannot be a name in Kubernetes, None when it can."""
    if len(value) <= 253 and _NAME.fullmatch(value):
        return None
    return _problem(option, value, "is not a name in Kubernetes", "use lower-case letters, digits, '-' and '.', at most 253 characters")


def parse_as_number(value: t.Any) -> int:
    """An AS number, plain (64512) or dotted (1.10, RFC 5396).

    :raises ValueError: with the reason.
    """
    if isinstance(value, (bool, float)):
        raise ValueError("is not an AS number: YAML reads a dotted number without quotes as a fraction")
    text = str(value).strip()
    if re.fullmatch(r"[0-9]+", text):
        number = int(text)
    elif re.fullmatch(r"[0-9]+\.[0-9]+", text):
        high, low = (int(part) for part in text.split("."))
        if high > 65535 or low > 65535:
            raise ValueError("has a part above 65535")
        number = (high << 16) + low
    else:
        raise ValueError("is not an AS number")
    if not 1 <= number <= _LARGEST_AS:
        raise ValueError(f"is not in the range 1 to {_LARGEST_AS}")
    return number


def parse_duration(text: str) -> float:
    """Seconds of a duration as Go writes it, such as 2m30s.

    :raises ValueError: when it is none.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("is not a duration")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def parse_peer_ip(text: str) -> tuple[Address, int | None]:
    """Address and port of C(peerIP): C(10.0.0.1), C(10.0.0.1:180), C(fd00::1), C([fd00::1]:180).

    :raises ValueError: with the reason.
    """
    address, port = text, None
    bracketed = re.fullmatch(r"\[([^\]]+)\]:([0-9]+)", text)
    with_port = re.fullmatch(r"([0-9.]+):([0-9]+)", text)
    match = bracketed or with_port
    if match:
        address, port = match.group(1), int(match.group(2))
        if not 1 <= port <= 65535:
            raise ValueError(f"has port {port}, which is not in the range 1 to 65535")
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise ValueError("is not an IP address") from None
    if bracketed and parsed.version != 6:
        raise ValueError("has brackets around an IPv4 address")
    if parsed.is_multicast or parsed.is_unspecified or parsed.is_loopback:
        raise ValueError("is not the address of a neighbour")
    return parsed, port


class _Checker:
    """Collects problems while it turns one option after the other into its field."""

    def __init__(self, options: Options) -> None:
        self.options = {key: value for key, value in options.items() if key in FIELDS and value not in (None, "", [])}
        self.problems: list[str] = []
        self.spec: dict[str, t.Any] = {}

    def set(self, option: str, value: t.Any) -> None:
        self.spec[FIELDS[option]] = value

    def given(self, option: str) -> bool:
        return option in self.options

    def problem(self, option: str, why: str, remedy: str) -> None:
        self.problems.append(_problem(option, self.options.get(option), why, remedy))

    def exclusive(self, option: str, *others: str) -> None:
        if self.given(option):
            for other in others:
                if self.given(other):
                    self.problem(option, f"cannot be combined with {other}='{self.options[other]}'", f"remove {option} or {other}")

    def selectors(self) -> None:
        for option in ("node_selector", "peer_selector", "local_workload_selector"):
            if not self.given(option):
                continue
            try:
                parse_selector(self.options[option])
            except SelectorError as exc:
                self.problem(option, f"is not a selector of Calico: {exc}", "write for example zone == 'a' or all()")
            self.set(option, self.options[option])

    def node(self) -> None:
        if self.given("node"):
            problem = name_problem("node", self.options["node"])
            if problem:
                self.problems.append(problem)
            self.set("node", self.options["node"])

    def as_numbers(self) -> None:
        for option in ("as_number", "local_as_number"):
            if not self.given(option):
                continue
            try:
                self.set(option, parse_as_number(self.options[option]))
            except ValueError as exc:
                self.problem(option, str(exc), "give 64512, or '1.10' in quotes")

    def peer_ip(self) -> Address | None:
        if not self.given("peer_ip"):
            return None
        self.set("peer_ip", self.options["peer_ip"])
        try:
            return parse_peer_ip(self.options["peer_ip"])[0]
        except ValueError as exc:
            self.problem("peer_ip", str(exc), "give an address, with a port as 10.0.0.1:179 or [fd00::1]:179")
            return None

    def peer(self) -> None:
        """Who the other side is."""
        address = self.peer_ip()
        self.exclusive("node", "node_selector")
        self.exclusive("peer_ip", "peer_selector", "local_workload_selector")
        self.exclusive("peer_selector", "as_number", "local_workload_selector")
        self.exclusive("keep_original_next_hop", "next_hop_mode")
        if not any(self.given(option) for option in ("peer_ip", "peer_selector", "local_workload_selector")):
            self.problem("peer_ip", "says nothing about the other side", "give peer_ip, peer_selector or local_workload_selector")
        for option in ("peer_ip", "local_workload_selector"):
            if self.given(option) and not self.given("as_number"):
                self.problem("as_number", f"is missing beside {option}", "give the AS number of the other side")
        if self.given("reachable_by"):
            self.reachable_by(address)

    def reachable_by(self, peer: Address | None) -> None:
        self.set("reachable_by", self.options["reachable_by"])
        try:
            gateway = ipaddress.ip_address(self.options["reachable_by"])
        except ValueError:
            self.problem("reachable_by", "is not an IP address", "give the address of the gateway to the peer")
            return
        if not self.given("peer_ip"):
            self.problem("reachable_by", "needs a peer_ip", "give peer_ip or remove reachable_by")
        elif peer is not None and peer.version != gateway.version:
            self.problem("reachable_by", f"is IPv{gateway.version}, but peer_ip is IPv{peer.version}", "use one address family for both")

    def numbers(self) -> None:
        for option, largest in (("num_allowed_local_as_numbers", _LARGEST_INT32), ("ttl_security", 255)):
            if self.given(option):
                if not 0 <= self.options[option] <= largest:
                    self.problem(option, f"is not in the range 0 to {largest}", "give a number of that range")
                self.set(option, self.options[option])

    def durations(self) -> None:
        for option in ("max_restart_time", "keepalive_time"):
            if not self.given(option):
                continue
            try:
                seconds = parse_duration(str(self.options[option]))
                if seconds < 1 or seconds != int(seconds):
                    self.problem(option, "is not a whole number of seconds", "BIRD counts whole seconds, give for example 120s")
            except ValueError as exc:
                self.problem(option, str(exc), "give a number with a unit, such as 120s or 2m")
            self.set(option, str(self.options[option]))

    def password(self) -> None:
        if not self.given("password"):
            return
        name, key = self.options["password"].get("name") or "", self.options["password"].get("key") or ""
        problem = name_problem("password.name", name)
        if problem:
            self.problems.append(problem)
        if not _SECRET_KEY.fullmatch(key):
            self.problems.append(_problem("password.key", key, "is not a key of a Secret", "use letters, digits, '-', '_' and '.'"))
        self.set("password", {"secretKeyRef": {"name": name, "key": key}})

    def filters(self) -> None:
        names = self.options.get("filters") or []
        for position, name in enumerate(names):
            problem = name_problem(f"filters[{position}]", name)
            if problem:
                self.problems.append(problem)
            if name in names[:position]:
                self.problems.append(_problem(f"filters[{position}]", name, "is there twice", "name each filter once"))
        if names:
            self.set("filters", list(names))

    def choices(self) -> None:
        for option in ("keep_original_next_hop", "next_hop_mode", "source_address", "reverse_peering"):
            if self.given(option):
                self.set(option, self.options[option])


def peer_spec(options: Options) -> dict[str, t.Any]:
    """The specification that the options ask for; options that are not given are not in it.

    :raises InvalidPeer: with everything that is wrong.
    """
    checker = _Checker(options)
    checker.node()
    checker.peer()
    checker.selectors()
    checker.as_numbers()
    checker.numbers()
    checker.durations()
    checker.password()
    checker.filters()
    checker.choices()
    if checker.problems:
        raise InvalidPeer(checker.problems)
    return checker.spec


def comparable(spec: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A specification in which two ways to write the same are equal: defaults left out, durations in seconds, addresses normal."""
    result: dict[str, t.Any] = {}
    for field, value in spec.items():
        if value in (None, "", [], {}) or (field in _DEFAULTS and value == _DEFAULTS[field]):
            continue
        normal = _normal(field, value)
        if field == "asNumber" and normal == 0:
            continue
        result[field] = normal
    return result


def _normal(field: str, value: t.Any) -> t.Any:
    """One of several ways to write a value; the value itself when it is not valid, as what somebody else wrote need not be."""
    try:
        if field in ("asNumber", "localASNumber"):
            return parse_as_number(value)
        if field in ("maxRestartTime", "keepaliveTime"):
            return parse_duration(value)
        if field == "peerIP":
            address, port = parse_peer_ip(value)
            return [str(address), port]
    except ValueError:
        return value
    return value


def unknown_field_option(message: str) -> tuple[str, str] | None:
    """The option whose field the API server does not know, from its message about strict field validation."""
    for field in re.findall(r'unknown field "spec\.([A-Za-z]+)"', message):
        for option, name in FIELDS.items():
            if name == field:
                return option, field
    return None
