# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the network namespace of a pod, standard library only: a server, and clients that print what they measured as JSON.

- bulk: one TCP stream of a known number of bytes, paced so that a capture keeps up;
- messages: requests and answers of a known size on one TCP connection;
- latency: a new TCP connection with one request and answer, many times.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import threading
import time

PORT = 7070
CHUNK = 65536
SO_MAX_PACING_RATE = 47
BULK_BYTES_PER_SECOND = 25_000_000
TIMEOUT = 20.0
HEADER_SIZE = 64


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """Read this many bytes."""
    data = bytearray()
    while len(data) < size:
        part = connection.recv(min(CHUNK, size - len(data)))
        if not part:
            raise ConnectionError(f"the connection ended after {len(data)} of {size} bytes")
        data += part
    return bytes(data)


def header(mode: str, size: int, count: int = 1) -> bytes:
    """What a client says first."""
    return f"{mode} {size} {count}".ljust(HEADER_SIZE).encode()


def answer(connection: socket.socket) -> None:
    """Serve one client; one that goes away is its own affair."""
    with connection, contextlib.suppress(OSError):
        connection.settimeout(TIMEOUT)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        mode, size, count = receive_exactly(connection, HEADER_SIZE).decode().split()
        if mode == "bulk":
            left = int(size)
            while left:
                left -= len(receive_exactly(connection, min(CHUNK, left)))
            connection.sendall(b"d")
        for _turn in range(int(count) if mode == "messages" else 0):
            connection.sendall(receive_exactly(connection, int(size)))


def serve() -> None:
    """Serve for ever."""
    listener = socket.create_server(("0.0.0.0", PORT), backlog=1024)  # noqa: S104 - of a pod
    while True:
        connection, _address = listener.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def connect(address: str) -> socket.socket:
    """A connection to the server."""
    connection = socket.create_connection((address, PORT), TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def bulk(address: str, size: int) -> dict[str, object]:
    """Send this many bytes; returns the payload of both directions."""
    with connect(address) as connection:
        connection.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, BULK_BYTES_PER_SECOND)
        connection.sendall(header("bulk", size))
        chunk = b"x" * CHUNK
        for begin in range(0, size, CHUNK):
            connection.sendall(chunk[: min(CHUNK, size - begin)])
        receive_exactly(connection, 1)
    return {"payload_bytes": HEADER_SIZE + size + 1}


def messages(address: str, size: int, count: int) -> dict[str, object]:
    """Send requests one after the other, each answered by as many bytes; returns the payload of both directions."""
    with connect(address) as connection:
        connection.sendall(header("messages", size, count))
        message = b"x" * size
        for _turn in range(count):
            connection.sendall(message)
            receive_exactly(connection, size)
    return {"payload_bytes": HEADER_SIZE + 2 * size * count}


def quantiles(seconds: list[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds."""
    ordered = sorted(seconds)
    return {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 4) for name, share in (("p50", 0.5), ("p99", 0.99))}


def latency(address: str, size: int, count: int) -> dict[str, object]:
    """Connect, ask once and close, many times."""
    connects, requests = [], []
    message = b"x" * size
    for _turn in range(count):
        begin = time.perf_counter()
        with connect(address) as connection:
            connected = time.perf_counter()
            connection.sendall(header("messages", size) + message)
            receive_exactly(connection, size)
            requests.append(time.perf_counter() - connected)
        connects.append(connected - begin)
    return {"connect_ms": quantiles(connects), "request_ms": quantiles(requests), "samples": count}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("mode", choices=["serve", "bulk", "messages", "latency"])
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    if options.mode == "serve":
        serve()
    elif options.mode == "bulk":
        print(json.dumps(bulk(options.address, options.size)))
    elif options.mode == "messages":
        print(json.dumps(messages(options.address, options.size, options.count)))
    else:
        print(json.dumps(latency(options.address, options.size, options.count)))


if __name__ == "__main__":
    main()
