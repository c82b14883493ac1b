# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that a node's network works, each tried again until it succeeds or the deadline passes.

Sockets only, no external program but C(ip). Times are in seconds unless a name ends in C(milliseconds).
"""

from __future__ import annotations

import json
import secrets
import socket
import struct
import threading
import time
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import commands

Attempt = t.Callable[[float], t.Optional[str]]
"""One try of a check: takes its time-out in seconds, returns None for success or the reason of the failure."""


class Check(t.NamedTuple):
    """A named check and how it is tried once."""

    kind: str
    name: str
    target: str
    attempt: Attempt


class Result(t.TypedDict):
    """What became of a check; C(milliseconds) is the duration of the last try."""

    kind: str
    name: str
    target: str
    ok: bool
    attempts: int
    milliseconds: float
    reason: str


def tcp_attempt(address: str, port: int) -> Attempt:
    """Open a TCP connection and close it again."""

    def attempt(timeout: float) -> str | None:
        try:
            socket.create_connection((address, port), timeout).close()
        except OSError as exc:
            return f"TCP connection to {address} port {port}: {exc}"
        return None

    return attempt


def encode_dns_query(identifier: int, name: str) -> bytes:
    """One question of type A, class IN, recursion desired (RFC 1035, section 4.1)."""
    labels = b"".join(bytes([len(label)]) + label for label in name.rstrip(".").encode("ascii").split(b"."))
    return struct.pack("!HHHHHH", identifier, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)


def judge_dns_answer(identifier: int, answer: bytes) -> str | None:
    """None when the answer belongs to the query, has no error and at least one record (RFC 1035, section 4.1.1)."""
    if len(answer) < 12:
        return f"answer of {len(answer)} bytes is too short"
    got, flags, dummy, records = struct.unpack("!HHHH", answer[:8])
    if got != identifier:
        return "answer to another query"
    if flags & 0x000F:
        return f"server answered with code {flags & 0x000F}"
    if not records:
        return "server answered without a record"
    return None


def dns_attempt(server: str, name: str) -> Attempt:
    """Ask C(server) for the address of C(name) over UDP, once."""

    def attempt(timeout: float) -> str | None:
        identifier = secrets.randbelow(0x10000)
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(timeout)
                sock.connect((server, 53))
                sock.send(encode_dns_query(identifier, name))
                reason = judge_dns_answer(identifier, sock.recv(4096))
        except OSError as exc:
            reason = str(exc)
        return f"DNS query for {name} at {server}: {reason}" if reason else None

    return attempt


def internet_checksum(data: bytes) -> int:
    """The checksum of ICMP (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def encode_echo_request(identifier: int, sequence: int) -> bytes:
    """An ICMP echo request (RFC 792) with eight bytes of payload."""
    payload = b"podnet.c"
    header = struct.pack("!BBHHH", 8, 0, 0, identifier, sequence)
    return struct.pack("!BBHHH", 8, 0, internet_checksum(header + payload), identifier, sequence) + payload


def _has_neighbor(address: str) -> bool:
    """Whether the kernel knows the link address of C(address), which means that it answered ARP."""
    done = commands.run(["ip", "-j", "neigh", "show", address], check=False)
    try:
        entries = json.loads(done.stdout or "[]")
    except ValueError:
        return False
    return any(entry.get("lladdr") and "FAILED" not in entry.get("state", []) for entry in entries)


def pod_attempt(address: str) -> Attempt:
    """Reach a pod of this node: an echo reply, or at least its answer to ARP for pods that drop ICMP.

    Calico lets the host reach its own pods whatever the policies say (kubelet's probes need it).
    """

    def attempt(timeout: float) -> str | None:
        identifier = secrets.randbelow(0x10000)
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
                sock.connect((address, 0))
                end = time.monotonic() + timeout
                sock.send(encode_echo_request(identifier, 1))
                while True:
                    sock.settimeout(max(0.001, end - time.monotonic()))
                    packet = sock.recv(2048)
                    offset = (packet[0] & 0x0F) * 4
                    kind, dummy, dummy2, got = struct.unpack("!BBHH", packet[offset : offset + 6])
                    if kind == 0 and got == identifier:
                        return None
        except OSError as exc:
            return None if _has_neighbor(address) else f"pod {address} of this node does not answer: {exc}"

    return attempt


def route_attempt(destination: str, forbidden_devices: t.Sequence[str]) -> Attempt:
    """The kernel's route to C(destination) exists, is no blackhole, and does not leave by one of the forbidden devices."""

    def attempt(timeout: float) -> str | None:
        done = commands.run(["ip", "-j", "route", "get", destination], check=False, timeout=max(1, timeout))
        if done.returncode:
            return f"no usable route to {destination}: {done.stderr.strip()}"
        route = json.loads(done.stdout)[0]
        if route.get("type") in ("unreachable", "blackhole", "prohibit"):
            return f"route to {destination} is {route['type']}"
        if route.get("dev") in forbidden_devices:
            return f"route to {destination} leaves by {route['dev']}"
        return None

    return attempt


def workload_addresses(routes: t.Iterable[t.Mapping[str, t.Any]], prefix: str = "cali") -> list[str]:
    """Addresses of this node's Calico pods: the host routes over interfaces that start with C(prefix).

    C(routes) is what C(ip -j route show) prints. Interface names: projectcalico/calico:felix/config/config_params.go InterfacePrefix.
    """
    return sorted(
        route["dst"] for route in routes if str(route.get("dev", "")).startswith(prefix) and "/" not in route["dst"] and "." in route["dst"]
    )


def read_workload_addresses() -> list[str]:
    """C(workload_addresses) of the running kernel."""
    return workload_addresses(json.loads(commands.run(["ip", "-j", "-4", "route", "show"]).stdout or "[]"))


def _run_one(check: Check, attempt_timeout: float, deadline: float, pause: float) -> Result:
    attempts = 0
    while True:
        attempts += 1
        begin = time.monotonic()
        try:
            reason = check.attempt(attempt_timeout)
        except Exception as exc:  # noqa: BLE001 - a broken check must be a failed check, not a passed one
            reason = f"{type(exc).__name__}: {exc}"
        now = time.monotonic()
        if reason is None or now + pause >= deadline:
            return Result(
                kind=check.kind,
                name=check.name,
                target=check.target,
                ok=reason is None,
                attempts=attempts,
                milliseconds=round((now - begin) * 1000, 1),
                reason=reason or "",
            )
        time.sleep(pause)


def run_checks(checks: t.Sequence[Check], attempt_timeout: float, timeout: float, pause: float = 0.2) -> list[Result]:
    """Run all checks at once, each until it succeeds or C(timeout) seconds have passed; results in the order of C(checks)."""
    deadline = time.monotonic() + timeout
    results: dict[int, Result] = {}

    def work(index: int, check: Check) -> None:
        results[index] = _run_one(check, attempt_timeout, deadline, pause)

    threads = [threading.Thread(target=work, args=item, daemon=True) for item in enumerate(checks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[index] for index in range(len(checks))]
