# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prober against real servers on the loopback device."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "lab" / "prober"
HOST = "127.0.0.1"


def load(name):
    spec = importlib.util.spec_from_file_location(f"lab_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


prober = load("prober")
server = load("server")


class Session:
    """A prober in this process whose probes a test starts and stops."""

    def __init__(self, out, targets, **settings):
        self.config = prober.Config({"id": "t", "out": str(out), "timeout_ms": 200, "interval_ms": 10, "targets": targets, **settings})

    async def __aenter__(self):
        self.recorder = prober.Recorder(self.config, asyncio.get_running_loop().time())
        self.probes = {}
        self.statistics = {}
        self.tasks = []
        for target in self.config.targets:
            statistics = prober.Statistics(target.kind, self.recorder, 0.0)
            self.statistics[target.kind] = statistics
            book = prober.AddressBook(target, self.config, statistics)
            self.tasks.append(asyncio.ensure_future(book.keep_fresh()))
            await asyncio.wait_for(book.resolved.wait(), 2)
            self.probes[target.kind] = prober.PROBES[target.kind](target, self.config, book, statistics)
        for probe in self.probes.values():
            probe.start()
        return self

    async def __aexit__(self, *_exception):
        for probe in self.probes.values():
            probe.stop()
            await probe.drain()
        for task in self.tasks:
            task.cancel()

    def failures(self):
        path = Path(self.recorder.failures_path)
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def until(condition, seconds=3.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)


def listener(backlog=100):
    return socket.create_server((HOST, 0), backlog=backlog)


def port_of(sock):
    return sock.getsockname()[1]


def tcp_target(sock, **more):
    return {"kind": "clusterip", "addresses": [HOST], "port": port_of(sock), **more}


def greeting_server():
    greeting = server.GreetingServer(HOST, 0, b"host\n")
    greeting.start(asyncio.get_running_loop())
    return greeting


# --- TCP connections ---


def test_answered_connections_are_counted(tmp_path):
    async def body():
        greeting = greeting_server()
        async with Session(tmp_path, [tcp_target(greeting.listener)]) as session:
            statistics = session.statistics["clusterip"]
            await until(lambda: statistics.requests >= 10)
        greeting.stop(asyncio.get_running_loop())
        assert statistics.failed == 0
        assert statistics.histogram.quantile(0.5) < 200
        assert session.failures() == []

    asyncio.run(body())


def test_refused_connections_fail_and_the_outage_ends_with_the_first_success(tmp_path):
    async def body():
        loop = asyncio.get_running_loop()
        greeting = greeting_server()
        port = port_of(greeting.listener)
        async with Session(tmp_path, [tcp_target(greeting.listener)]) as session:
            statistics = session.statistics["clusterip"]
            await until(lambda: statistics.requests >= 3)
            greeting.stop(loop)
            begin = loop.time()
            await until(lambda: statistics.failed >= 10)
            greeting = server.GreetingServer(HOST, port, b"host\n")
            greeting.start(loop)
            down = (loop.time() - begin) * 1000
            await until(lambda: statistics.outages)
        greeting.stop(loop)
        assert {entry["error"] for entry in session.failures()} <= {"ECONNREFUSED", "ECONNRESET"}
        assert statistics.as_dict()["longest_outage_ms"] == pytest.approx(down, abs=80)
        assert len(session.failures()) == statistics.failed

    asyncio.run(body())


def test_a_server_that_closes_without_an_answer_is_a_failure(tmp_path):
    async def body():
        greeting = server.GreetingServer(HOST, 0, b"")
        greeting.start(asyncio.get_running_loop())
        async with Session(tmp_path, [tcp_target(greeting.listener)]) as session:
            await until(lambda: session.statistics["clusterip"].failed >= 2)
        greeting.stop(asyncio.get_running_loop())
        assert session.failures()[0]["error"] == "closed without an answer"

    asyncio.run(body())


def test_a_server_that_says_nothing_is_a_read_timeout_and_requests_keep_their_pace(tmp_path):
    async def body():
        with listener() as silent:
            async with Session(tmp_path, [tcp_target(silent)]) as session:
                statistics = session.statistics["clusterip"]
                begin = time.monotonic()
                await until(lambda: statistics.failed >= 30)
                seconds = time.monotonic() - begin
        assert seconds < 2
        first = session.failures()[0]
        assert first["error"] == "read timeout"
        assert 200 <= first["milliseconds"] < 400
        assert statistics.requests == statistics.failed

    asyncio.run(body())


def test_requests_under_way_at_the_end_are_waited_for(tmp_path):
    async def body():
        with listener() as silent:
            async with Session(tmp_path, [tcp_target(silent)]) as session:
                statistics = session.statistics["clusterip"]
                await until(lambda: len(session.probes["clusterip"]._waiting) >= 3)
        assert statistics.failed >= 3

    asyncio.run(body())


async def accepted(listening):
    """The next connection of a prober in this event loop, which may have given up one or more before it is accepted."""
    listening.settimeout(0.05)
    for _try in range(400):
        try:
            connection, _address = listening.accept()
        except TimeoutError:
            await asyncio.sleep(0.01)
        else:
            connection.settimeout(10)
            return connection
    raise AssertionError("no connection came")


def test_an_answer_after_the_timeout_is_a_failure(tmp_path):
    async def body():
        with listener() as slow:
            async with Session(tmp_path, [tcp_target(slow)]) as session:
                await until(lambda: session.probes["clusterip"]._waiting)
                connection = await accepted(slow)
                with connection:
                    await until(lambda: session.statistics["clusterip"].failed >= 1)
                    with pytest.raises(ConnectionResetError):
                        connection.send(b"host\n")
                await asyncio.sleep(0.05)
        assert session.statistics["clusterip"].requests == session.statistics["clusterip"].failed
        assert session.failures()[0]["error"] == "read timeout"

    asyncio.run(body())


def test_time_in_which_the_prober_did_not_run_is_not_the_networks(tmp_path):
    async def body():
        with listener() as slow:
            async with Session(tmp_path, [tcp_target(slow)], timeout_ms=1000) as session:
                statistics = session.statistics["clusterip"]
                await until(lambda: len(session.probes["clusterip"]._waiting) >= 2)
                connection = await accepted(slow)
                connection.send(b"host\n")
                connection.close()
                time.sleep(1.2)  # the whole process: the answer waits in the prober's socket
                await until(lambda: statistics.requests)
                assert (statistics.requests, statistics.failed, statistics.stalled) == (1, 0, 1)
                await until(lambda: statistics.failed)
        first = session.failures()[0]
        assert first["error"] == "read timeout"
        assert first["lag_ms"] > 1150
        assert first["milliseconds"] > 2150

    asyncio.run(body())


def test_a_connection_that_had_to_knock_twice_is_told():
    with listener(backlog=0) as busy:
        waiting = [socket.socket() for _number in range(6)]
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(busy.getsockname())
        # Those that find the queue full knock again after a second.
        wait_until(lambda: max(prober.retransmissions(connection) for connection in waiting) >= 1)
        assert min(prober.retransmissions(connection) for connection in waiting) == 0
        for connection in waiting:
            connection.close()


def test_an_answer_after_a_retransmission_is_a_failure_whatever_the_lag(tmp_path, monkeypatch):
    async def body():
        with listener() as slow:
            async with Session(tmp_path, [tcp_target(slow)], timeout_ms=1000) as session:
                await until(lambda: session.probes["clusterip"]._waiting)
                monkeypatch.setattr(prober, "retransmissions", lambda connection: 1)
                connection = await accepted(slow)
                connection.send(b"host\n")
                connection.close()
                time.sleep(1.2)
                await until(lambda: session.statistics["clusterip"].failed)
        assert session.failures()[0]["error"] == "answered after a retransmission only"

    asyncio.run(body())


def test_a_stream_that_waits_for_its_prober_is_no_outage(tmp_path):
    async def body():
        async with ScriptedStream(forever) as stream, Session(tmp_path, [stream.target]) as session:
            await until(lambda: session.probes["stream"].lines > 3)
            time.sleep(0.4)
            seen = session.probes["stream"].lines
            await until(lambda: session.probes["stream"].lines > seen + 3)
        assert session.statistics["stream"].failed == 0
        assert session.probes["stream"].longest_gap > 0.35

    asyncio.run(body())


# --- UDP and DNS ---


class DatagramServer:
    def __init__(self, answer):
        self.answer = answer
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind((HOST, 0))
        asyncio.get_running_loop().add_reader(self.socket, self._readable)

    def _readable(self):
        data, address = self.socket.recvfrom(2048)
        reply = self.answer(data)
        if reply is not None:
            self.socket.sendto(reply, address)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()


def no_lag():
    return 0


def dns_answer(query, addresses, flags=0x8180):
    question = query[12 : query.index(b"\0", 12) + 5]
    records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + socket.inet_aton(address) for address in addresses)
    return query[:2] + struct.pack("!5H", flags, 1, len(addresses), 0, 0) + question + records


def test_echo(tmp_path):
    async def body():
        loop = asyncio.get_running_loop()
        echo = server.EchoServer(HOST, 0, no_lag)
        echo.start(loop)
        target = {"kind": "udp", "addresses": [HOST], "port": port_of(echo.socket)}
        async with Session(tmp_path, [target]) as session:
            await until(lambda: session.statistics["udp"].requests >= 5)
            assert session.statistics["udp"].failed == 0
            echo.stop(loop)
            await until(lambda: session.statistics["udp"].failed >= 1)
        assert session.failures()[0]["error"] == "ECONNREFUSED"

    asyncio.run(body())


class LateServer(DatagramServer):
    """Answers each datagram later, with the lag that it is to tell."""

    def __init__(self, seconds, lag):
        super().__init__(None)
        self.seconds = seconds
        self.lag = lag

    def _readable(self):
        data, address = self.socket.recvfrom(2048)
        loop = asyncio.get_running_loop()
        loop.call_later(self.seconds, lambda: self.socket.fileno() >= 0 and self.socket.sendto(b"%s %d" % (data, self.lag), address))


@pytest.mark.parametrize(("lag", "error"), [(500, None), (100, "answer came too late")])
def test_an_answer_of_a_server_that_had_no_processor_is_waited_for(tmp_path, lag, error):
    async def body():
        with LateServer(0.45, lag) as late:
            target = {"kind": "udp", "addresses": [HOST], "port": port_of(late.socket), "interval_ms": 50}
            async with Session(tmp_path, [target], patience_ms=2000) as session:
                statistics = session.statistics["udp"]
                await until(lambda: statistics.requests >= 3)
                assert (statistics.failed > 0, statistics.stalled > 0) == (error is not None, error is None)
        assert all(entry["error"] == error and entry["servers_lag_ms"] == lag for entry in session.failures())

    asyncio.run(body())


def test_patience_finds_no_answer_where_there_is_none(tmp_path):
    async def body():
        with DatagramServer(lambda data: None) as echo:
            target = {"kind": "udp", "addresses": [HOST], "port": port_of(echo.socket)}
            async with Session(tmp_path, [target], patience_ms=300) as session:
                await until(lambda: session.statistics["udp"].failed >= 1)
        first = session.failures()[0]
        assert first["error"] == "no answer in time"
        assert first["milliseconds"] >= 490

    asyncio.run(body())


def test_a_server_tells_for_how_long_it_did_not_run():
    async def body():
        lag = server.Lag()
        loop = asyncio.get_running_loop()
        lag.start(loop)
        await asyncio.sleep(0.25)
        before = lag.milliseconds(loop.time())
        time.sleep(0.6)
        assert lag.milliseconds(loop.time()) - before > 450
        await asyncio.sleep(0.15)
        assert lag.milliseconds(loop.time()) - before > 450

    asyncio.run(body())


@pytest.mark.parametrize(("lag", "failed"), [(900, 0), (0, 1)])
def test_a_gap_in_a_stream_is_not_the_networks_when_the_server_did_not_run(tmp_path, lag, failed):
    async def gap(writer):
        await lines(writer)
        await asyncio.sleep(0.5)
        writer.write(b"4 %d\n" % lag)
        for number in range(5, 1000):
            writer.write(b"%d %d\n" % (number, lag))
            await asyncio.sleep(0.01)

    async def body():
        async with ScriptedStream(gap) as stream, Session(tmp_path, [stream.target], patience_ms=2000) as session:
            await until(lambda: session.probes["stream"].lines > 10)
        assert session.statistics["stream"].failed == failed

    asyncio.run(body())


@pytest.mark.parametrize(("reply", "error"), [(lambda data: None, "no answer in time"), (lambda data: b"x", "another datagram came back")])
def test_lost_and_wrong_datagrams_are_failures(tmp_path, reply, error):
    async def body():
        with DatagramServer(reply) as echo:
            target = {"kind": "udp", "addresses": [HOST], "port": port_of(echo.socket)}
            async with Session(tmp_path, [target]) as session:
                await until(lambda: session.statistics["udp"].failed >= 1)
        assert session.failures()[0]["error"] == error

    asyncio.run(body())


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (lambda query: dns_answer(query, ["10.0.0.1"]), None),
        (lambda query: dns_answer(query, [], 0x8183), "no address in the answer"),
        (lambda query: dns_answer(query, [], 0x8182), "response code 2"),
        (lambda query: b"x", "malformed answer"),
    ],
)
def test_dns_queries(tmp_path, reply, error):
    async def body():
        with DatagramServer(reply) as names:
            settings = {"dns_server": HOST, "dns_port": port_of(names.socket)}
            async with Session(tmp_path, [{"kind": "dns", "names": ["web.demo"]}], **settings) as session:
                statistics = session.statistics["dns"]
                await until(lambda: statistics.requests >= 2)
        assert statistics.failed == (0 if error is None else statistics.requests)
        assert {entry["error"] for entry in session.failures()} == ({error} if error else set())

    asyncio.run(body())


def test_pod_addresses_follow_dns(tmp_path):
    async def body():
        loop = asyncio.get_running_loop()
        addresses = ["127.0.0.1", "127.0.0.2"]
        greeting = server.GreetingServer("0.0.0.0", 0, b"host\n")
        greeting.start(loop)
        with DatagramServer(lambda query: dns_answer(query, addresses)) as names:
            target = {"kind": "pod", "names": ["pods"], "port": port_of(greeting.listener), "refresh_ms": 20}
            settings = {"dns_server": HOST, "dns_port": port_of(names.socket)}
            async with Session(tmp_path, [target], **settings) as session:
                trackers = session.statistics["pod"]._trackers
                await until(lambda: len(trackers) == 2)
                addresses[:] = ["127.0.0.3"]
                await until(lambda: len(trackers) == 3)
        greeting.stop(loop)
        assert session.statistics["pod"].failed == 0

    asyncio.run(body())


def test_names_that_nobody_knows_become_failures_after_one_deadline(tmp_path):
    async def body():
        with listener() as nobody, DatagramServer(lambda query: None) as names:
            target = {"kind": "pod", "names": ["pods"], "port": port_of(nobody), "interval_ms": 10}
            config = prober.Config(
                {"id": "t", "out": str(tmp_path), "dns_server": HOST, "dns_port": port_of(names.socket), "timeout_ms": 100, "targets": [target]}
            )
            statistics = prober.Statistics("pod", prober.Recorder(config, asyncio.get_running_loop().time()), 0.0)
            book = prober.AddressBook(config.targets[0], config, statistics)
            probe = prober.ConnectionProbe(config.targets[0], config, book, statistics)
            tasks = [asyncio.ensure_future(book.keep_fresh()), asyncio.ensure_future(prober.start_with_addresses(probe, book, config.timeout))]
            await until(lambda: statistics.failed >= 3 and statistics.failed_lookups >= 1)
            probe.stop()
            for task in tasks:
                task.cancel()
        assert statistics.requests == statistics.failed
        first = json.loads(Path(statistics.recorder.failures_path).read_text().splitlines()[0])
        assert (first["error"], first["target"]) == ("no address is known", "pods")

    asyncio.run(body())


# --- Stream ---


class ScriptedStream:
    """Does with each client what the test says."""

    def __init__(self, *scripts):
        self.scripts = list(scripts)
        self.clients = 0

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._client, HOST, 0)
        self.target = {"kind": "stream", "addresses": [HOST], "port": self.server.sockets[0].getsockname()[1]}
        return self

    async def __aexit__(self, *_exception):
        self.server.close()

    async def _client(self, _reader, writer):
        script = self.scripts[min(self.clients, len(self.scripts) - 1)]
        self.clients += 1
        try:
            await script(writer)
            writer.close()
        except (ConnectionError, asyncio.CancelledError):
            writer.transport.abort()


async def lines(writer, count=3, first=1):
    for number in range(first, first + count):
        writer.write(b"%d\n" % number)
        await asyncio.sleep(0.01)


async def forever(writer):
    await lines(writer, 100000)


async def bye(writer):
    await lines(writer)
    writer.write(b"BYE\n")


async def reset(writer):
    await lines(writer)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def closed(writer):
    await lines(writer)


async def stalled(writer):
    await lines(writer)
    await asyncio.sleep(0.5)
    await lines(writer, 100000, first=4)


async def garbage(writer):
    writer.write(b"1\nhello\n")
    await asyncio.sleep(1)


async def silent(_writer):
    await asyncio.sleep(1)


def test_a_stream_that_says_bye_is_opened_again_without_a_failure(tmp_path):
    async def body():
        async with ScriptedStream(bye, bye, forever) as stream, Session(tmp_path, [stream.target]) as session:
            await until(lambda: session.probes["stream"].graceful_ends == 2 and session.statistics["stream"].requests == 3)
            await until(lambda: session.probes["stream"].lines > 8)
        summary = session.statistics["stream"].as_dict()
        assert summary["failed"] == 0
        assert summary["missing_lines"] == 0
        assert summary["longest_gap_ms"] < 200

    asyncio.run(body())


@pytest.mark.parametrize(
    ("script", "errors"),
    [(reset, {"ECONNRESET"}), (closed, {"closed without BYE"}), (garbage, {"malformed line"}), (silent, {"connect timeout"})],
)
def test_a_stream_that_breaks_is_a_failure(tmp_path, script, errors):
    async def body():
        async with ScriptedStream(script, forever) as stream, Session(tmp_path, [stream.target]) as session:
            statistics = session.statistics["stream"]
            await until(lambda: statistics.failed == 1 and session.probes["stream"].lines > 5)
        assert {entry["error"] for entry in session.failures()} == errors

    asyncio.run(body())


def test_a_stall_is_one_failure_and_its_length_is_the_outage(tmp_path):
    async def body():
        async with ScriptedStream(stalled) as stream, Session(tmp_path, [stream.target]) as session:
            statistics = session.statistics["stream"]
            await until(lambda: statistics.outages)
        summary = statistics.as_dict()
        assert stream.clients == 1
        assert summary["failed"] == 1
        assert session.failures()[0]["error"] == "no line for more than 200 ms"
        assert 450 < summary["longest_outage_ms"] < 700
        assert 450 < summary["longest_gap_ms"] < 700

    asyncio.run(body())


def test_missing_lines_are_counted(tmp_path):
    async def gap(writer):
        await lines(writer, 2)
        await lines(writer, 100000, first=6)

    async def body():
        async with ScriptedStream(gap) as stream, Session(tmp_path, [stream.target]) as session:
            await until(lambda: session.probes["stream"].lines > 4)
            assert session.probes["stream"].missing_lines == 3

    asyncio.run(body())


def test_closing_the_stream_at_the_end_is_no_failure(tmp_path):
    async def body():
        async with ScriptedStream(forever) as stream, Session(tmp_path, [stream.target]) as session:
            await until(lambda: session.probes["stream"].lines > 2)
        assert session.statistics["stream"].failed == 0

    asyncio.run(body())


# --- Whole programs ---


def free_ports(count):
    sockets = [listener() for _number in range(count)]
    ports = [port_of(sock) for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def health(port):
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/healthz", timeout=1) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def wait_until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def ports():
    return dict(zip(("tcp", "stream", "udp", "health"), free_ports(4)))


@pytest.fixture
def running(ports):
    started = []

    def start(drain="0.6", quiet="0.3", at_most="20"):
        words = ["--address", HOST, "--port", ports["tcp"], "--stream-port", ports["stream"], "--udp-port", ports["udp"]]
        words += ["--health-port", ports["health"], "--drain-seconds", drain, "--quiet-seconds", quiet, "--drain-at-most", at_most]
        process = subprocess.Popen([sys.executable, str(FOLDER / "server.py"), *map(str, words)])
        started.append(process)
        wait_until(lambda: health(ports["health"]) == 200)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_server_goes_on_serving_after_sigterm_while_it_is_not_ready(ports, running):
    process = running()
    stream = socket.create_connection((HOST, ports["stream"]), 1)
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: health(ports["health"]) == 503)
    with socket.create_connection((HOST, ports["tcp"]), 1) as connection:
        name, lag = connection.recv(100).decode().split()
        assert name == socket.gethostname() and 0 <= int(lag) < 3000
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(1)
        connection.sendto(b"hello", (HOST, ports["udp"]))
        assert connection.recv(100).partition(b" ")[0] == b"hello"
    received = b""
    stream.settimeout(2)
    while data := stream.recv(4096):
        received += data
    stream.close()
    assert received.endswith(b"\nBYE\n")
    assert process.wait(3) == 0


def ask_until_it_ends(process, port):
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            pass
        time.sleep(0.02)


def test_server_that_drains_serves_as_long_as_somebody_new_comes(ports, running):
    process = running(drain="0.2", quiet="1")
    process.send_signal(signal.SIGTERM)
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        with socket.create_connection((HOST, ports["tcp"]), 1) as connection:
            assert connection.recv(100)
        time.sleep(0.05)
    assert process.wait(10) == 0


def test_server_that_drains_does_not_serve_for_ever(ports, running):
    process = running(drain="0.2", quiet="5", at_most="0.6")
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    ask_until_it_ends(process, ports["tcp"])
    assert process.wait(10) == 0
    assert time.monotonic() - begin >= 0.6


def test_prober_program_ends_on_sigterm_with_a_summary(tmp_path, ports, running):
    process = running(drain="0.2")
    config = {
        "out": str(tmp_path / "out"),
        "place": "node",
        "interval_ms": 20,
        "targets": [
            {"kind": "clusterip", "addresses": [HOST], "port": ports["tcp"]},
            {"kind": "stream", "addresses": [HOST], "port": ports["stream"]},
            {"kind": "udp", "addresses": [HOST], "port": ports["udp"]},
        ],
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    program = subprocess.Popen([sys.executable, str(FOLDER / "prober.py"), str(path), "--id", "node-n1", "--node", "n1"])

    def asked(kind):
        paths = list((tmp_path / "out").glob("node-n1.*.summary.json"))
        return json.loads(paths[0].read_text())["kinds"][kind]["requests"] if paths else 0

    try:
        wait_until(lambda: asked("clusterip") >= 10)
        program.send_signal(signal.SIGTERM)
        assert program.wait(30) == 0
    finally:
        program.kill()
    (found,) = (tmp_path / "out").glob("*.summary.json")
    summary = json.loads(found.read_text())
    assert (summary["id"], summary["node"], summary["ended"]) == ("node-n1", "n1", True)
    assert {kind: values["failed"] for kind, values in summary["kinds"].items()} == {"clusterip": 0, "stream": 0, "udp": 0}
    assert summary["kinds"]["clusterip"]["requests"] >= 10
    assert os.listdir(tmp_path / "out") and not list((tmp_path / "out").glob("*.failures.jsonl"))
    assert process.poll() is None


def test_prober_program_ends_by_itself(tmp_path, ports):
    config = {"id": "t", "out": str(tmp_path), "max_seconds": 0.3, "timeout_ms": 200}
    config["targets"] = [{"kind": "clusterip", "addresses": [HOST], "port": ports["tcp"]}]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    assert subprocess.run([sys.executable, str(FOLDER / "prober.py"), str(path)], check=False, timeout=5).returncode == 0
    (found,) = tmp_path.glob("*.summary.json")
    values = json.loads(found.read_text())["kinds"]["clusterip"]
    assert values["failed"] == values["requests"] > 0


def test_prober_program_refuses_a_bad_configuration(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("{}")
    done = subprocess.run([sys.executable, str(FOLDER / "prober.py"), str(path)], check=False, stderr=subprocess.PIPE, text=True, timeout=5)
    assert done.returncode == 1
    assert "id is missing" in done.stderr
