# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe Services, NodePorts, pods, a stream, UDP and DNS without pause, and write down every failure.

One file, standard library only: it runs on nodes and in pods. Each kind starts a request at each interval, whether or not
earlier ones are answered yet, so an outage is seen at its full length.

What counts:
- A request gets one attempt and one deadline, without a retry. No answer in time, a refusal, a wrong answer, and no known
  address are failures.
- The deadline is time in which this process could look. While it got no CPU it saw nothing, and what came meanwhile waits in
  its socket: its deadline is later by that lag, which is how late timers ran or how long the kernel let the process wait for a
  processor, whichever is more. Servers tell the same of themselves with each answer, for the last seconds (server.py): the most
  that one of those has told which answered meanwhile is added, so that an answer is waited for longer than the deadline. An
  answer that was read after the plain deadline counts as answered, with its full latency, and C(stalled) counts it, unless TCP
  had to send something again for it, which is a failure. C(lag_ms) in the record of a failure says how long this process did
  not run meanwhile, C(servers_lag_ms) what servers told. Intervals in which the process was too late to start a request are not
  requests; C(skipped) counts them.
- Failures in the first seconds of a prober are failures like all others: whoever runs in a new pod has them too.
  C(warmup_failed) says how many of C(failed) they are, and C(warmup) in the record marks them.
- When this process is told to end, it starts no more requests and waits for those that are under way; they count as usual.
  While its pod is away nobody asks from there, so there is nothing that could fail; the gap between the files of one prober
  and the next one's is for the reader of the files to report.
- Addresses that come from names are asked for again and again, without a cache. A lookup that fails leaves the addresses as
  they were; C(failed_lookups) counts it. That the name server answers is what the kind C(dns) is for.
- A stream that the server ends with a good-bye is no failure: the server was told to end.

Files in the output folder: NAME.summary.json (rewritten each second), NAME.failures.jsonl (a line a failure),
NAME.seconds.jsonl (a line a second).
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import errno
import itertools
import json
import math
import os
import random
import re
import signal
import socket
import struct
import sys
import time
import typing as t

FORMAT = 1
GREETING_SIZE = 512
BYE = b"BYE"
DNS_PORT = 53
DNS_TYPE_A = 1
DNS_CLASS_IN = 1
DNS_NXDOMAIN = 3
DNS_RECEIVE_SIZE = 1232
STREAM_GIVE_UP_MS = 10_000
STREAM_CHECK_MS = 100
TOLD_SECONDS = 30.0
MAX_FAILURE_LINES = 20_000
MAX_OUTAGES = 200
BUCKETS_PER_DOUBLING = 4
KINDS = ("clusterip", "nodeport", "pod", "stream", "udp", "dns")

Address = tuple[str, int]


class ConfigError(Exception):
    """The configuration cannot be used; the text names the field and the remedy."""


class DnsError(Exception):
    """A name server said no, or something that is not an answer."""


# --- DNS ---------------------------------------------------------------------------------------------------------------


def build_query(name: str, identifier: int) -> bytes:
    """An A query with recursion desired and EDNS(0), so that many addresses fit (RFC 1035, RFC 6891)."""
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    if not all(0 < len(label) < 64 for label in labels):
        raise DnsError(f"{name} is not a host name")
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0" + struct.pack("!HH", DNS_TYPE_A, DNS_CLASS_IN)
    header = struct.pack("!6H", identifier, 0x0100, 1, 0, 0, 1)
    return header + question + b"\0" + struct.pack("!HHIH", 41, DNS_RECEIVE_SIZE, 0, 0)


def _skip_name(data: bytes, offset: int) -> int:
    while True:
        length = data[offset]
        if length >= 0xC0:
            return offset + 2
        offset += 1 + length
        if not length:
            return offset


def parse_answer(data: bytes, identifier: int) -> list[str]:
    """The addresses of an answer; an unknown name has none."""
    try:
        answered, flags, questions, answers = struct.unpack_from("!4H", data)
        if answered != identifier or not flags & 0x8000:
            raise DnsError("not the answer to this query")
        code = flags & 0x000F
        if code == DNS_NXDOMAIN:
            return []
        if code:
            raise DnsError(f"response code {code}")
        offset = 12
        for _question in range(questions):
            offset = _skip_name(data, offset) + 4
        addresses = []
        for _answer in range(answers):
            offset = _skip_name(data, offset)
            kind, network, _ttl, size = struct.unpack_from("!HHIH", data, offset)
            offset += 10
            if kind == DNS_TYPE_A and network == DNS_CLASS_IN and size == 4:
                addresses.append(socket.inet_ntoa(data[offset : offset + 4]))
            offset += size
        return addresses
    except (IndexError, struct.error, OSError) as error:
        raise DnsError("malformed answer") from error


async def resolve(server: Address, name: str, timeout: float) -> list[str]:
    """Ask a name server once."""
    loop = asyncio.get_running_loop()
    identifier = random.getrandbits(16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.setblocking(False)
        connection.connect(server)
        connection.send(build_query(name, identifier))
        data = await asyncio.wait_for(loop.sock_recv(connection, 4096), timeout)
    return parse_answer(data, identifier)


# --- Counting ----------------------------------------------------------------------------------------------------------


class Histogram:
    """Counts of milliseconds in buckets that grow by a constant factor, so that histograms can be added up."""

    def __init__(self) -> None:
        self.counts: collections.Counter[int] = collections.Counter()
        self.largest = 0.0

    def add(self, milliseconds: float) -> None:
        """Count one value."""
        self.counts[math.ceil(math.log2(max(milliseconds, 0.01)) * BUCKETS_PER_DOUBLING)] += 1
        self.largest = max(self.largest, milliseconds)

    def quantile(self, share: float) -> float | None:
        """The upper bound of the bucket that holds this quantile."""
        wanted = share * sum(self.counts.values())
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return round(min(2 ** (bucket / BUCKETS_PER_DOUBLING), self.largest), 3)
        return None

    def as_dict(self) -> dict[str, t.Any]:
        """Quantiles for people, counts for adding up."""
        return {
            "p50": self.quantile(0.5),
            "p99": self.quantile(0.99),
            "max": round(self.largest, 3),
            "buckets": {str(bucket): self.counts[bucket] for bucket in sorted(self.counts)},
        }


class OutageTracker:
    """Outages of one target: from the last success before to the first success after a run of failures."""

    def __init__(self) -> None:
        self.good: float | None = None
        self.failing_since: float | None = None
        self.last_failure = 0.0

    def failure(self, begin: float, end: float) -> None:
        """A request failed."""
        if self.failing_since is None:
            self.failing_since = begin if self.good is None else self.good
        self.last_failure = max(self.last_failure, end)

    def success(self, end: float) -> tuple[float, float] | None:
        """A request succeeded; returns begin and end of the outage that is over now, if there was one."""
        begin, self.failing_since = self.failing_since, None
        self.good = end if self.good is None else max(self.good, end)
        return None if begin is None else (begin, end)

    def unfinished(self) -> tuple[float, float] | None:
        """Begin and latest known moment of an outage that is not over."""
        return None if self.failing_since is None else (self.failing_since, self.last_failure)


class Lag(t.NamedTuple):
    """How long the process did not run, since it started: two clocks that see the same stalls, each not all of them."""

    timers: float
    """Seconds that timers were late. A stall that ends before a timer is due does not count."""
    processor: float
    """Seconds in which the kernel had the process wait for a processor. A machine that stands still as a whole does not count."""

    def since(self, before: Lag) -> float:
        """Seconds from an earlier moment to this one."""
        return max(self.timers - before.timers, self.processor - before.processor)


NO_LAG = Lag(0.0, 0.0)


class WaitForProcessor:
    """The time that this process waited on a run queue: the second field of /proc/self/schedstat, in ns.

    Source: linux:Documentation/scheduler/sched-stats.rst. Where the kernel does not count it, it stays 0.
    """

    def __init__(self, file: str = "/proc/self/schedstat") -> None:
        self._file: int | None = None
        with contextlib.suppress(OSError):
            self._file = os.open(file, os.O_RDONLY | os.O_CLOEXEC)

    def seconds(self) -> float:
        """Seconds until now, exact: who reads this has a processor."""
        if self._file is None:
            return 0.0
        return int(os.pread(self._file, 100, 0).split()[1]) / 1e9


class Attempt:
    """One request from begin to end."""

    __slots__ = ("begin", "end", "error", "lag", "lag_before", "payload", "servers_lag", "settled", "socket", "target")

    def __init__(self, target: str, begin: float, lag_before: Lag = NO_LAG) -> None:
        self.target = target
        self.begin = begin
        self.end = begin
        self.error: str | None = None
        self.settled = False
        self.socket: socket.socket | None = None
        self.payload = b""
        self.lag_before = lag_before
        self.lag = 0.0
        self.servers_lag = 0.0


class Statistics:
    """Everything that is counted for one kind."""

    def __init__(self, kind: str, recorder: Recorder, warm_until: float) -> None:
        self.kind = kind
        self.recorder = recorder
        self.warm_until = warm_until
        self.requests = 0
        self.failed = 0
        self.warmup_failed = 0
        self.skipped = 0
        self.stalled = 0
        self.failed_lookups = 0
        self.histogram = Histogram()
        self.outages: list[dict[str, t.Any]] = []
        self.longest_outage = 0.0
        self.extra: dict[str, t.Any] = {}
        self._trackers: dict[str, OutageTracker] = {}

    def settle(self, attempt: Attempt) -> None:
        """Count a finished request; must be called in the order in which the requests began."""
        if attempt.error is None:
            self.succeeded(attempt.target, attempt.begin, attempt.end)
        else:
            self.failed_request(attempt.target, attempt.begin, attempt.end, attempt.error, attempt.lag, attempt.servers_lag)

    def succeeded(self, target: str, begin: float, end: float) -> None:
        """Count a request that was answered."""
        milliseconds = (end - begin) * 1000
        self.requests += 1
        self.stalled += end - begin > self.recorder.config.timeout
        self.histogram.add(milliseconds)
        self.recorder.in_second(self.kind, begin, failed=False, milliseconds=milliseconds)
        self.good(target, end)

    def good(self, target: str, end: float) -> None:
        """The target works at this moment."""
        over = self._tracker(target).success(end)
        if over:
            self._outage(target, *over)

    def failed_request(self, target: str, begin: float, end: float, error: str, lag: float, servers_lag: float = 0.0) -> None:
        """Count a request that was not answered."""
        warmup = begin < self.warm_until
        self.requests += 1
        self.failed += 1
        self.warmup_failed += warmup
        self._tracker(target).failure(begin, end)
        self.recorder.in_second(self.kind, begin, failed=True, milliseconds=(end - begin) * 1000)
        self.recorder.failure(self.kind, target, begin, end, error, (lag, servers_lag), warmup)

    def _tracker(self, target: str) -> OutageTracker:
        return self._trackers.setdefault(target, OutageTracker())

    def _outage(self, target: str, begin: float, end: float) -> None:
        self.longest_outage = max(self.longest_outage, end - begin)
        if len(self.outages) < MAX_OUTAGES:
            self.outages.append(self._outage_record(target, begin, end, over=True))

    def _outage_record(self, target: str, begin: float, end: float, over: bool) -> dict[str, t.Any]:
        return {"time": self.recorder.wall(begin), "target": target, "milliseconds": round((end - begin) * 1000, 1), "over": over}

    def as_dict(self) -> dict[str, t.Any]:
        """The kind's part of the summary."""
        unfinished = [(target, *span) for target, tracker in self._trackers.items() for span in [tracker.unfinished()] if span]
        longest = max([self.longest_outage, *(end - begin for _target, begin, end in unfinished)])
        return {
            "requests": self.requests,
            "failed": self.failed,
            "warmup_failed": self.warmup_failed,
            "skipped": self.skipped,
            "stalled": self.stalled,
            "failed_lookups": self.failed_lookups,
            "longest_outage_ms": round(longest * 1000, 1),
            "outages": self.outages + [self._outage_record(*entry, over=False) for entry in unfinished],
            "latency_ms": self.histogram.as_dict(),
            **self.extra,
        }


# --- Writing -----------------------------------------------------------------------------------------------------------


class Recorder:
    """The prober's files. Times are those of the loop; C(wall) turns them into seconds since 1970."""

    def __init__(self, config: Config, now: float) -> None:
        self.config = config
        self.started = now
        self.longest_lag = 0.0
        self.lag_total = 0.0
        self._lag_counted_until = now
        self._processor = WaitForProcessor()
        self._told: collections.deque[tuple[float, float]] = collections.deque()
        self._due: dict[int, float] = {}
        self.statistics: list[Statistics] = []
        self._wall_offset = time.time() - now
        self._seconds: dict[int, dict[str, list[float]]] = {}
        self._failure_lines = 0
        os.makedirs(config.out, exist_ok=True)
        base = os.path.join(config.out, f"{config.id}.{int((self._wall_offset + now) * 1000)}")
        self.summary_path = f"{base}.summary.json"
        self.failures_path = f"{base}.failures.jsonl"
        self.seconds_path = f"{base}.seconds.jsonl"

    def wall(self, moment: float) -> float:
        """Seconds since 1970."""
        return round(moment + self._wall_offset, 3)

    def due(self, timer: object, moment: float) -> None:
        """A timer is to run at this moment."""
        self._due[id(timer)] = moment

    def not_due(self, timer: object) -> None:
        """A timer was stopped."""
        self._due.pop(id(timer), None)

    def late(self, wanted: float, now: float) -> None:
        """A timer ran later than it wanted to; time that several timers were late counts once."""
        self.longest_lag = max(self.longest_lag, now - wanted)
        self.lag_total += max(0.0, now - max(wanted, self._lag_counted_until))
        self._lag_counted_until = now

    def lag(self, now: float) -> Lag:
        """How long the process did not run when it wanted to, until now: sockets are looked at before timers that are due."""
        wanted = min(self._due.values(), default=now)
        return Lag(self.lag_total + max(0.0, now - max(wanted, self._lag_counted_until)), self._processor.seconds())

    def told(self, now: float, text: bytes) -> None:
        """A server has told its own lag, in ms."""
        if text.isdigit():
            self._told.append((now, int(text) / 1000))
        while self._told and self._told[0][0] < now - TOLD_SECONDS:
            self._told.popleft()

    def servers_lag(self, begin: float) -> float:
        """The most that a server has told since a moment: all of them are on one machine here, and those of DNS tell nothing."""
        return max((lag for moment, lag in self._told if moment >= begin), default=0.0)

    def in_second(self, kind: str, begin: float, failed: bool, milliseconds: float) -> None:
        """Add a request to the second in which it began."""
        entry = self._seconds.setdefault(int(begin + self._wall_offset), {}).setdefault(kind, [0, 0, 0.0])
        entry[0] += 1
        entry[1] += failed
        entry[2] = max(entry[2], round(milliseconds, 2))

    def failure(self, kind: str, target: str, begin: float, end: float, error: str, lags: tuple[float, float], warmup: bool) -> None:
        """Append a line about a failure, at once."""
        self._failure_lines += 1
        if self._failure_lines > MAX_FAILURE_LINES:
            return
        record = {
            "time": self.wall(begin),
            "id": self.config.id,
            "kind": kind,
            "target": target,
            "error": error,
            "milliseconds": round((end - begin) * 1000, 1),
            "lag_ms": round(lags[0] * 1000, 1),
            "servers_lag_ms": round(lags[1] * 1000, 1),
            "warmup": warmup,
        }
        with open(self.failures_path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def write(self, now: float, ended: bool = False) -> None:
        """Rewrite the summary, and append the seconds that cannot change any more."""
        complete = now + self._wall_offset - self.config.timeout - self.config.patience - 1
        seconds = sorted(second for second in self._seconds if ended or second < complete - 1)
        if seconds:
            with open(self.seconds_path, "a", encoding="utf-8") as file:
                file.writelines(json.dumps({"second": second, "kinds": self._seconds.pop(second)}) + "\n" for second in seconds)
        summary = {
            "format": FORMAT,
            "id": self.config.id,
            "node": self.config.node,
            "place": self.config.place,
            "started": self.wall(self.started),
            "updated": self.wall(now),
            "ended": ended,
            "cpu_seconds": round(time.process_time(), 3),
            "longest_lag_ms": round(self.longest_lag * 1000, 1),
            "kinds": {statistics.kind: statistics.as_dict() for statistics in self.statistics},
        }
        temporary = f"{self.summary_path}.new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(summary, file)
        os.replace(temporary, self.summary_path)


# --- Addresses ---------------------------------------------------------------------------------------------------------


class AddressBook:
    """The addresses of one target: fixed, or those that names have in DNS, kept fresh; handed out in turn."""

    def __init__(self, target: Target, config: Config, statistics: Statistics) -> None:
        self.statistics = statistics
        self.names = target.names
        self.port = target.port
        self.refresh = target.refresh
        self.server = (config.dns_server, config.dns_port)
        self.timeout = config.timeout
        self.resolved = asyncio.Event()
        self._by_name: dict[str, list[str]] = {}
        self._addresses = list(target.addresses)
        self._turn = random.randrange(1000)  # noqa: S311 - spreads load
        if not self.names:
            self.resolved.set()

    def next(self) -> str | None:
        """The address whose turn it is."""
        if not self._addresses:
            return None
        self._turn += 1
        return self._addresses[self._turn % len(self._addresses)]

    async def keep_fresh(self) -> None:
        """Resolve the names until they are known, and again at each refresh interval."""
        while self.names:
            await asyncio.gather(*(self._look_up(name) for name in self.names))
            self._addresses = sorted({address for addresses in self._by_name.values() for address in addresses})
            known = len(self._by_name) == len(self.names) and bool(self._addresses)
            if known:
                self.resolved.set()
                if not self.refresh:
                    return
            await asyncio.sleep(self.refresh if known else 0.2)

    async def _look_up(self, name: str) -> None:
        try:
            self._by_name[name] = await resolve(self.server, name, self.timeout)
        except (DnsError, OSError, asyncio.TimeoutError):
            self.statistics.failed_lookups += 1


# --- Probes ------------------------------------------------------------------------------------------------------------


def describe(error: OSError) -> str:
    """An error of a socket, short."""
    return errno.errorcode.get(error.errno or 0, str(error))


RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""struct linger: on, 0 s. The answer has come when a connection is closed; with a reset neither side waits (TIME_WAIT), and the kernel forgets the
tracked connection after 10 s instead of 120. Hundreds a second would add up to 50,000 a node, which kube-proxy reads at every change of a Service,
and a waiting server would answer a new connection from the same port, as masquerading makes them, only after a retransmission."""


def retransmissions(connection: socket.socket | None) -> int:
    """Segments that the kernel sent again on a connection: tcpi_total_retrans of struct tcp_info (linux/tcp.h)."""
    if connection is None:
        return 0
    return int(struct.unpack_from("=I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0])


class Probe:
    """Starts a request at each interval and settles them in order. Callbacks only: a task a request would cost too much."""

    socket_type = socket.SOCK_STREAM

    def __init__(self, target: Target, config: Config, book: AddressBook, statistics: Statistics) -> None:
        self.target = target
        self.config = config
        self.book = book
        self.statistics = statistics
        self.recorder = statistics.recorder
        self.loop = asyncio.get_running_loop()
        self._waiting: collections.deque[Attempt] = collections.deque()
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, a little later than the other probes do."""
        self._next = self.loop.time() + random.random() * self.target.interval  # noqa: S311 - spreads load
        self._wait()

    def _wait(self) -> None:
        self.recorder.due(self, self._next)
        self._timer = self.loop.call_at(self._next, self._tick)

    def stop(self) -> None:
        """Start no more requests."""
        self.recorder.not_due(self)
        if self._timer is not None:
            self._timer.cancel()

    async def drain(self) -> None:
        """Wait for the requests that are under way."""
        while self._waiting:
            self._expire(self.loop.time())
            await asyncio.sleep(0.02)

    def _tick(self) -> None:
        now = self.loop.time()
        self.recorder.late(self._next, now)
        self._expire(now)
        self._begin(now)
        self._next += self.target.interval
        if self._next <= now:
            missed = math.ceil((now - self._next) / self.target.interval)
            self.statistics.skipped += missed
            self._next += missed * self.target.interval
        self._wait()

    def _expire(self, now: float) -> None:
        lag = self.recorder.lag(now)
        for attempt in self._waiting:
            if attempt.begin + self.config.timeout + self.config.patience + lag.since(attempt.lag_before) > now:
                break
            if not attempt.settled:
                self._finish(attempt, self._timeout_error(attempt))
        self._settle()

    def _timeout_error(self, attempt: Attempt) -> str:  # noqa: ARG002 - a subclass looks at it
        return "no answer in time"

    def _begin(self, now: float) -> None:
        address = self.book.next()
        if address is None:
            attempt = Attempt(",".join(self.target.names), now, self.recorder.lag(now))
            self._waiting.append(attempt)
            self._finish(attempt, "no address is known")
            return
        attempt = Attempt(f"{address}:{self.target.port}", now, self.recorder.lag(now))
        self._waiting.append(attempt)
        try:
            attempt.socket = connection = self._new_socket()
            connection.setblocking(False)
            code = connection.connect_ex((address, self.target.port))
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, os.strerror(code))
            self._connected(attempt, connection)
        except OSError as error:
            self._finish(attempt, describe(error))
            return
        self.loop.add_reader(connection, self._readable, attempt, connection)

    def _new_socket(self) -> socket.socket:
        connection = socket.socket(socket.AF_INET, self.socket_type)
        if self.socket_type == socket.SOCK_STREAM:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        return connection

    def _connected(self, attempt: Attempt, connection: socket.socket) -> None:
        """The socket exists and knows its peer."""

    def _readable(self, attempt: Attempt, connection: socket.socket) -> None:
        try:
            data = connection.recv(GREETING_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._finish(attempt, describe(error))
        else:
            self._finish(attempt, self._judge(attempt, data))
        self._settle()

    def _judge(self, attempt: Attempt, data: bytes) -> str | None:  # noqa: ARG002 - subclasses compare the two
        """What is wrong with the answer, None when it is good."""
        self.recorder.told(self.loop.time(), data.partition(b"\n")[2].strip())
        return None if data else "closed without an answer"

    def _finish(self, attempt: Attempt, error: str | None) -> None:
        attempt.end = self.loop.time()
        attempt.settled = True
        attempt.lag = self.recorder.lag(attempt.end).since(attempt.lag_before)
        attempt.servers_lag = self.recorder.servers_lag(attempt.begin)
        attempt.error = error or self._too_late(attempt)
        if attempt.socket is not None:
            self.loop.remove_reader(attempt.socket)
            attempt.socket.close()
            attempt.socket = None

    def _too_late(self, attempt: Attempt) -> str | None:
        """What makes a good answer a failure. With own lag the deadline may lie behind TCP's first retransmission: that is a lost packet."""
        seconds = attempt.end - attempt.begin
        if seconds - attempt.lag - attempt.servers_lag > self.config.timeout:
            return "answer came too late"
        if seconds > self.config.timeout and self.socket_type == socket.SOCK_STREAM and retransmissions(attempt.socket):
            return "answered after a retransmission only"
        return None

    def _settle(self) -> None:
        while self._waiting and self._waiting[0].settled:
            self.statistics.settle(self._waiting.popleft())


class ConnectionProbe(Probe):
    """A new TCP connection that must bring a greeting. One wait is enough: a socket whose connect fails is readable too."""

    def _timeout_error(self, attempt: Attempt) -> str:
        try:
            return "read timeout" if attempt.socket is not None and attempt.socket.getpeername() else "connect timeout"
        except OSError:
            return "connect timeout"


class SourcePorts:
    """Ports for datagrams, all in turn.

    The kernel remembers a datagram's source port for 30 s (nf_conntrack_udp_timeout): when it comes again in that time, it is sent to the
    same pod, even if the Service does not have that pod any more. Among random ports one in some hundred comes again too early, so that
    each pod that ends costs a datagram now and then, behind any Service, whatever the network does. That is not what is asked here.
    """

    TRIES = 100

    def __init__(self, file: str = "/proc/sys/net/ipv4/ip_local_port_range") -> None:
        with open(file, encoding="ascii") as text:
            first, last = map(int, text.read().split())
        ports = list(range(first, last + 1))
        random.shuffle(ports)
        self._ports = itertools.cycle(ports)

    def bind(self, connection: socket.socket) -> None:
        """Give a socket the next port that is free."""
        for port in itertools.islice(self._ports, self.TRIES):
            with contextlib.suppress(OSError):
                connection.bind(("", port))
                return


class DatagramProbe(Probe):
    """A datagram from a port that was not used for long."""

    socket_type = socket.SOCK_DGRAM
    _ports: SourcePorts | None = None

    def _new_socket(self) -> socket.socket:
        if DatagramProbe._ports is None:
            DatagramProbe._ports = SourcePorts()
        connection = super()._new_socket()
        DatagramProbe._ports.bind(connection)
        return connection


class EchoProbe(DatagramProbe):
    """A datagram that must come back."""

    _number = 0

    def _connected(self, attempt: Attempt, connection: socket.socket) -> None:
        self._number += 1
        attempt.payload = b"%s %d" % (self.config.id.encode(), self._number)
        connection.send(attempt.payload)

    def _judge(self, attempt: Attempt, data: bytes) -> str | None:
        self.recorder.told(self.loop.time(), data[len(attempt.payload) :].strip())
        return None if data == attempt.payload or data.startswith(attempt.payload + b" ") else "another datagram came back"


class DnsProbe(DatagramProbe):
    """A query for a name that must have an address."""

    def _connected(self, attempt: Attempt, connection: socket.socket) -> None:
        attempt.payload = build_query(self.target.query, random.getrandbits(16))
        connection.send(attempt.payload)

    def _judge(self, attempt: Attempt, data: bytes) -> str | None:
        try:
            return None if parse_answer(data, int.from_bytes(attempt.payload[:2], "big")) else "no address in the answer"
        except DnsError as error:
            return str(error)


class StreamProbe:
    """One long-lived connection that must bring a line all the time; opened again when it ends.

    An end after C(BYE) is intended. An end without it, or no line for longer than the timeout, is a failure.
    A request is a connection that was opened.
    """

    def __init__(self, target: Target, config: Config, book: AddressBook, statistics: Statistics) -> None:
        self.target = target
        self.config = config
        self.book = book
        self.statistics = statistics
        self.recorder = statistics.recorder
        self.loop = asyncio.get_running_loop()
        self.longest_gap = 0.0
        self.lines = 0
        self.graceful_ends = 0
        self.missing_lines = 0
        self._socket: socket.socket | None = None
        self._begin = 0.0
        self._lag_before = NO_LAG
        self._last_line: float | None = None
        self._connected = False
        self._gap_counted = False
        self._number: int | None = None
        self._rest = b""
        self._timer: asyncio.TimerHandle | None = None
        self._check_at = self.loop.time()
        self._label = ",".join(target.names or target.addresses) + f":{target.port}"
        self._publish()

    def start(self) -> None:
        """Open the stream and watch it."""
        self._open()
        self._watch()

    def stop(self) -> None:
        """Close the stream; that is no failure, but a gap that goes on is."""
        if self._socket is not None and self._connected:
            self._check_gap(self.loop.time(), 0.0)
        self.recorder.not_due(self)
        if self._timer is not None:
            self._timer.cancel()
        self._close()

    async def drain(self) -> None:
        """Nothing is under way after C(stop)."""

    def _publish(self) -> None:
        self.statistics.extra.update(
            lines=self.lines,
            graceful_ends=self.graceful_ends,
            missing_lines=self.missing_lines,
            longest_gap_ms=round(self.longest_gap * 1000, 1),
        )

    def _open(self) -> None:
        now = self.loop.time()
        self._begin = now
        self._lag_before = self.recorder.lag(now)
        self._connected = self._gap_counted = False
        self._number = None
        self._rest = b""
        address = self.book.next()
        if address is None:
            self._failed("no address is known")
            return
        try:
            self._socket = connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            connection.setblocking(False)
            code = connection.connect_ex((address, self.target.port))
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, os.strerror(code))
        except OSError as error:
            self._failed(describe(error))
            return
        self.loop.add_reader(connection, self._readable, connection)

    def _own_lag(self, now: float) -> float:
        """How long the process did not run since the last line, or since the stream was opened."""
        return self.recorder.lag(now).since(self._lag_before)

    def _close(self) -> None:
        if self._socket is not None:
            self.loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _failed(self, error: str) -> None:
        """Count a failure and close; C(_watch) opens it again."""
        begin = self._begin if not self._connected or self._last_line is None else self._last_line
        now = self.loop.time()
        self.statistics.failed_request(self._label, begin, now, error, self._own_lag(now), self.recorder.servers_lag(begin))
        self._close()

    def _readable(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self._failed(describe(error))
            return
        if data:
            self._lines(data)
            return
        if self._rest == BYE:
            self.graceful_ends += 1
            self._close()
            self._open()
        else:
            self._failed("closed without BYE")
        self._publish()

    def _lines(self, data: bytes) -> None:
        now = self.loop.time()
        if self._last_line is not None:
            self.longest_gap = max(self.longest_gap, now - self._last_line)
        first = not self._connected
        if first:
            self._connected = True
            self.statistics.succeeded(self._label, self._begin, now)
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line == BYE:
                rest = BYE
                break
            number, _blank, lag = line.partition(b" ")
            if not number.isdigit():
                self._failed("malformed line")
                return
            self.recorder.told(now, lag)
            self._numbered(int(number))
        self._rest = rest
        if self._last_line is not None and not first:
            self._check_gap(now, 0.0)
            self.statistics.good(self._label, now)
        self._gap_counted = False
        self._last_line = now
        self._lag_before = self.recorder.lag(now)

    def _numbered(self, number: int) -> None:
        self.lines += 1
        if self._number is not None:
            self.missing_lines += number - self._number - 1
        self._number = number

    def _check_gap(self, now: float, patience: float) -> None:
        """Count a gap once. One that goes on gets patience, since the line that ends it tells how late the server was."""
        if self._last_line is None or self._gap_counted:
            return
        lag, servers_lag = self._own_lag(now), self.recorder.servers_lag(self._last_line)
        if now - self._last_line - lag - servers_lag <= self.config.timeout + patience:
            return
        self._gap_counted = True
        error = f"no line for more than {self.config.timeout * 1000:.0f} ms"
        self.statistics.failed_request(self._label, self._last_line, now, error, lag, servers_lag)

    def _watch(self) -> None:
        now = self.loop.time()
        self.recorder.late(self._check_at, now)
        if self._socket is None:
            self._open()
        elif not self._connected:
            if now - self._begin - self._own_lag(now) > self.config.timeout + self.config.patience:
                self._failed("connect timeout")
        elif self._last_line is not None:
            gap = now - self._last_line
            self.longest_gap = max(self.longest_gap, gap)
            self._check_gap(now, self.config.patience)
            if gap > STREAM_GIVE_UP_MS / 1000:
                self._close()
        self._publish()
        self._check_at = now + STREAM_CHECK_MS / 1000
        self.recorder.due(self, self._check_at)
        self._timer = self.loop.call_at(self._check_at, self._watch)


PROBES: dict[str, t.Any] = {
    "clusterip": ConnectionProbe,
    "nodeport": ConnectionProbe,
    "pod": ConnectionProbe,
    "stream": StreamProbe,
    "udp": EchoProbe,
    "dns": DnsProbe,
}


# --- Configuration -----------------------------------------------------------------------------------------------------


class Target:
    """What one kind probes."""

    def __init__(self, entry: t.Mapping[str, t.Any], config: Config) -> None:
        self.kind = str(entry.get("kind"))
        if self.kind not in KINDS:
            raise ConfigError(f"targets: kind {self.kind}: use one of {', '.join(KINDS)}")
        self.interval = float(entry.get("interval_ms", config.interval * 1000)) / 1000
        if self.interval <= 0:
            raise ConfigError(f"targets: {self.kind}: interval_ms {entry['interval_ms']}: use a number above 0")
        self.refresh = float(entry.get("refresh_ms", 0)) / 1000
        self.names = [str(name) for name in entry.get("names", [])]
        self.addresses = [str(address) for address in entry.get("addresses", [])]
        self.port = int(entry.get("port", 0))
        self.query = ""
        if self.kind == "dns":
            if not self.names:
                raise ConfigError("targets: dns: names is empty: give the name to ask for")
            self.query, self.names, self.addresses, self.port = self.names[0], [], [config.dns_server], config.dns_port
        if not self.names and not self.addresses:
            raise ConfigError(f"targets: {self.kind}: give names or addresses")
        if not 0 < self.port < 65536:
            raise ConfigError(f"targets: {self.kind}: port {self.port}: use 1 to 65535")


class Config:
    """The configuration, checked. Times are in seconds."""

    def __init__(self, data: t.Mapping[str, t.Any]) -> None:
        try:
            self.id = str(data["id"])
            self.out = str(data["out"])
        except KeyError as error:
            raise ConfigError(f"{error.args[0]} is missing: give it in the file or on the command line") from error
        if not re.fullmatch(r"[A-Za-z0-9._-]+", self.id):
            raise ConfigError(f"id {self.id}: use letters, digits, dots, dashes and underscores; it becomes a file name")
        self.node = str(data.get("node", ""))
        self.place = str(data.get("place", "node"))
        self.interval = float(data.get("interval_ms", 50)) / 1000
        self.timeout = float(data.get("timeout_ms", 1000)) / 1000
        self.patience = float(data.get("patience_ms", 0)) / 1000
        self.warmup = float(data.get("warmup_ms", 0)) / 1000
        self.max_seconds = float(data.get("max_seconds", 3600))
        self.linger = bool(data.get("linger", False))
        self.dns_server = str(data.get("dns_server", ""))
        self.dns_port = int(data.get("dns_port", DNS_PORT))
        self.targets = [Target(entry, self) for entry in data.get("targets", [])]
        kinds = [target.kind for target in self.targets]
        if not kinds or len(set(kinds)) < len(kinds):
            raise ConfigError("targets: give at least one target, and each kind once")
        if not self.dns_server and any(target.names or target.kind == "dns" for target in self.targets):
            raise ConfigError("dns_server is missing: names can't be resolved without it")


async def start_with_addresses(probe: t.Any, book: AddressBook, seconds: float) -> None:
    """Names get one deadline to be known; what is asked without an address after that is a failure."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(book.resolved.wait(), seconds)
    probe.start()


async def run(config: Config) -> None:
    """Probe until SIGTERM or C(max_seconds), and write the last summary."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    recorder = Recorder(config, loop.time())
    tasks = []
    probes = []
    for target in config.targets:
        statistics = Statistics(target.kind, recorder, recorder.started + config.warmup)
        recorder.statistics.append(statistics)
        book = AddressBook(target, config, statistics)
        probe = PROBES[target.kind](target, config, book, statistics)
        probes.append(probe)
        tasks += [asyncio.ensure_future(book.keep_fresh()), asyncio.ensure_future(start_with_addresses(probe, book, config.timeout))]
    recorder.write(loop.time())
    end = loop.time() + config.max_seconds
    while not stop.is_set() and loop.time() < end:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), min(1.0, max(0.0, end - loop.time())))
        recorder.write(loop.time())
    for task in tasks:
        task.cancel()
    for probe in probes:
        probe.stop()
    await asyncio.gather(*(probe.drain() for probe in probes))
    recorder.write(loop.time(), ended=True)
    if config.linger:
        await stop.wait()


def main(arguments: list[str] | None = None) -> None:
    """The command line: a configuration file, and what differs from place to place."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("config", help="configuration file (JSON)")
    parser.add_argument("--id", help="name of this prober, part of its file names")
    parser.add_argument("--node", help="node that it runs on")
    settings = parser.parse_args(arguments)
    try:
        with open(settings.config, encoding="utf-8") as file:
            data = json.load(file)
        config = Config({**data, **{key: value for key, value in vars(settings).items() if key != "config" and value}})
    except (OSError, ValueError, ConfigError) as error:
        sys.exit(f"{settings.config}: {error}")
    asyncio.run(run(config))


if __name__ == "__main__":
    main()
