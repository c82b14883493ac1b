# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A well-behaved server for the lab's workloads: greeting, stream and health over TCP, echo over UDP.

- greeting: each connection gets a line with the host name and one with the lag, and is closed;
- stream: a line with a rising number and the lag at each interval, until the client goes or the server says C(BYE);
- echo: each datagram comes back with a blank and the lag after it;
- health: HTTP 200, and 503 from the moment of SIGTERM on.

The lag is how many ms of the last seconds this process did not run although it wanted to: how late its timer was, or how long the kernel let it
wait for a processor, whichever is more. Who asks can tell a busy machine from a network that is away.

On SIGTERM it goes on serving for the drain time, so that every kube-proxy has time to send new connections elsewhere, and then for as long as
somebody new still comes: how long it takes until everybody knows that a pod ends is the cluster's business, and no fixed time is enough on a
machine that stands still for seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import os
import signal
import socket
import time
import typing as t

BACKLOG = 1024
BYE = b"BYE\n"
FLUSH_SECONDS = 0.1
LAG_SECONDS = 3.0
LAG_CHECK_SECONDS = 0.1
QUIET_SECONDS = 2.5
"""Without anybody new. A prober that asks ten pods in turn comes by each 1.6 s where it asks each 160 ms."""
DRAIN_AT_MOST_SECONDS = 25.0


class Lag:
    """How long this process did not run, of the last seconds (/proc/self/schedstat; linux:Documentation/scheduler/sched-stats.rst)."""

    def __init__(self) -> None:
        self.samples: collections.deque[tuple[float, float, float]] = collections.deque()
        self._late = 0.0
        self._due = 0.0
        self._file: int | None = None
        with contextlib.suppress(OSError):
            self._file = os.open("/proc/self/schedstat", os.O_RDONLY | os.O_CLOEXEC)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look at the clock."""
        self._due = loop.time()
        self._look(loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self._late += max(0.0, now - self._due)
        self._due = now + LAG_CHECK_SECONDS
        self.samples.append((now, self._late, self._waited()))
        while len(self.samples) > 1 and self.samples[1][0] <= now - LAG_SECONDS:
            self.samples.popleft()
        loop.call_at(self._due, self._look, loop)

    def _waited(self) -> float:
        return int(os.pread(self._file, 100, 0).split()[1]) / 1e9 if self._file is not None else 0.0

    def milliseconds(self, now: float) -> int:
        """Of the last seconds until now; a timer that is overdue counts."""
        if not self.samples:
            return 0
        _moment, late, waited = self.samples[0]
        return int(1000 * max(self._late + max(0.0, now - self._due) - late, self._waited() - waited))


class GreetingServer:
    """Sends one line to whoever connects; one system call each, no tasks."""

    def __init__(self, address: str, port: int, greeting: bytes, lag: t.Callable[[], int] | None = None) -> None:
        self.greeting = greeting
        self.lag = lag
        self.asked = 0.0
        self.listener = socket.create_server((address, port), backlog=BACKLOG)
        self.listener.setblocking(False)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to answer."""
        loop.add_reader(self.listener, self.answer_waiting)

    def answer_waiting(self) -> None:
        """Answer every connection that waits."""
        while True:
            try:
                connection, _address = self.listener.accept()
            except OSError:
                return
            self.asked = time.monotonic()
            with contextlib.suppress(OSError):
                connection.send(b"%s%d\n" % (self.greeting, self.lag()) if self.lag else self.greeting)
            connection.close()

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer what waits, then close the port."""
        loop.remove_reader(self.listener)
        self.answer_waiting()
        self.listener.close()


class EchoServer:
    """Sends each datagram back."""

    def __init__(self, address: str, port: int, lag: t.Callable[[], int]) -> None:
        self.lag = lag
        self.asked = 0.0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind((address, port))

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to answer."""
        loop.add_reader(self.socket, self.answer_waiting)

    def answer_waiting(self) -> None:
        """Answer every datagram that waits."""
        while True:
            try:
                data, address = self.socket.recvfrom(2048)
            except BlockingIOError:
                return
            except OSError:
                continue
            self.asked = time.monotonic()
            with contextlib.suppress(OSError):
                self.socket.sendto(b"%s %d" % (data, self.lag()), address)

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer what waits, then close the port."""
        loop.remove_reader(self.socket)
        self.answer_waiting()
        self.socket.close()


class StreamServer:
    """Sends numbered lines to all who are connected; the timer runs only while somebody is."""

    def __init__(self, interval: float, lag: t.Callable[[], int]) -> None:
        self.interval = interval
        self.lag = lag
        self.asked = 0.0
        self.clients: set[asyncio.Transport] = set()
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, client: asyncio.Transport) -> None:
        """A client came."""
        self.asked = time.monotonic()
        self.clients.add(client)
        if self._timer is None:
            self._tick()

    def discard(self, client: asyncio.Transport) -> None:
        """A client went."""
        self.clients.discard(client)

    def _tick(self) -> None:
        self._timer = None
        if not self.clients:
            return
        self._number += 1
        line = b"%d %d\n" % (self._number, self.lag())
        for client in self.clients:
            client.write(line)
        self._timer = asyncio.get_running_loop().call_later(self.interval, self._tick)

    def say_bye(self) -> None:
        """Tell all clients that this end is intended."""
        for client in self.clients:
            client.write(BYE)
            client.close()
        self.clients.clear()


class StreamClient(asyncio.Protocol):
    """One connection to the stream."""

    def __init__(self, server: StreamServer) -> None:
        self.server = server
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is there."""
        self.transport = t.cast(asyncio.Transport, transport)
        self.server.add(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's interface
        """The client is gone, for whatever reason."""
        if self.transport is not None:
            self.server.discard(self.transport)


class Health(asyncio.Protocol):
    """One HTTP request for the server's readiness."""

    def __init__(self, drains: t.Callable[[], bool]) -> None:
        self.drains = drains
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody asks."""
        self.transport = t.cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - whatever the request is, the answer is the same
        """Answer and close."""
        if self.transport is not None:
            status, body = (b"503 Service Unavailable", b"draining\n") if self.drains() else (b"200 OK", b"ok\n")
            self.transport.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body))
            self.transport.close()


async def quiet(last: t.Callable[[], float], seconds: float, at_most: float) -> None:
    """Wait until nobody came for these seconds (C(last): when somebody did, of time.monotonic), but no longer than C(at_most)."""
    end = time.monotonic() + at_most
    while (now := time.monotonic()) < min(end, last() + seconds):
        await asyncio.sleep(min(end, last() + seconds) - now)


async def serve(settings: argparse.Namespace) -> None:
    """Serve until SIGTERM, a drain time after it, and until nobody new comes."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    own = Lag()
    own.start(loop)

    def lag() -> int:
        return own.milliseconds(loop.time())

    stream = StreamServer(settings.stream_interval, lag)
    ports: list[GreetingServer | EchoServer] = [
        GreetingServer(settings.address, settings.port, socket.gethostname().encode() + b"\n", lag),
        EchoServer(settings.address, settings.udp_port, lag),
    ]
    for port in ports:
        port.start(loop)
    await loop.create_server(lambda: StreamClient(stream), settings.address, settings.stream_port, backlog=BACKLOG)
    await loop.create_server(lambda: Health(stop.is_set), settings.address, settings.health_port)
    await stop.wait()
    # Whoever says good-bye at once sends its clients to itself again: the endpoint must be out of the tables first.
    await asyncio.sleep(settings.drain_seconds / 2)
    stream.say_bye()
    await asyncio.sleep(settings.drain_seconds / 2)
    await quiet(lambda: max(stream.asked, *(port.asked for port in ports)), settings.quiet_seconds, settings.drain_at_most - settings.drain_seconds)
    stream.say_bye()
    for port in ports:
        port.stop(loop)
    await asyncio.sleep(FLUSH_SECONDS)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--address", default="0.0.0.0", help="address to listen on")  # noqa: S104 - of a pod
    parser.add_argument("--port", type=int, default=8080, help="greeting, TCP")
    parser.add_argument("--stream-port", type=int, default=8081, help="numbered lines, TCP")
    parser.add_argument("--udp-port", type=int, default=8082, help="echo, UDP")
    parser.add_argument("--health-port", type=int, default=8083, help="readiness, HTTP")
    parser.add_argument("--stream-interval", type=float, default=0.05, help="seconds between two lines")
    parser.add_argument("--drain-seconds", type=float, default=3.0, help="how long to go on serving after SIGTERM at least")
    parser.add_argument("--quiet-seconds", type=float, default=QUIET_SECONDS, help="end once nobody new came for so long")
    parser.add_argument("--drain-at-most", type=float, default=DRAIN_AT_MOST_SECONDS, help="how long to go on serving after SIGTERM at most")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    asyncio.run(serve(parse_arguments()))
