# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe of a peer, on the loopback device."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import tcp_probe


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def peer(listening, payload=0, timeout=2.0, source=None):
    return tcp_probe.Peer("127.0.0.1", listening.getsockname()[1], source, payload, timeout)


def test_a_connection(server):
    assert tcp_probe.connect(peer(server, source="127.0.0.1")) == (True, "connected")


def test_a_peer_that_refuses_has_been_reached(server):
    asked = peer(server)
    server.close()
    assert tcp_probe.connect(asked) == (True, "the peer answers that nothing listens there")


def test_a_payload_that_is_taken(server):
    def read():
        connection, dummy = server.accept()
        with connection:
            while connection.recv(65536):
                pass

    reader = threading.Thread(target=read)
    reader.start()
    answer = tcp_probe.connect(peer(server, payload=3_000_000))
    reader.join()
    assert answer == (True, "connected, 3000000 bytes were taken")


def test_a_payload_that_is_not_taken(server):
    answer = tcp_probe.connect(peer(server, payload=1 << 24, timeout=0.3))
    assert not answer.works
    assert "of 16777216 bytes not acknowledged within 0.3 s" in answer.detail


def test_a_peer_that_ends_the_connection_has_taken_something(server):
    def refuse():
        connection, dummy = server.accept()
        connection.recv(1)
        connection.close()  # with bytes that nobody has read: the kernel resets it

    closer = threading.Thread(target=refuse)
    closer.start()
    answer = tcp_probe.connect(peer(server, payload=1 << 24))
    closer.join()
    assert answer.works


def test_no_answer_and_no_way(server, monkeypatch):
    class Silent(socket.socket):
        def connect(self, address):
            raise socket.timeout

    class Nowhere(socket.socket):
        def connect(self, address):
            raise OSError(113, "No route to host")

    monkeypatch.setattr(tcp_probe.socket, "socket", Silent)
    assert tcp_probe.connect(peer(server)) == (False, "no connection within 2 s")
    monkeypatch.setattr(tcp_probe.socket, "socket", Nowhere)
    assert tcp_probe.connect(peer(server)) == (False, "no route to host")


def test_a_source_that_is_not_of_this_host(server):
    answer = tcp_probe.connect(peer(server, source="192.0.2.77"))
    assert not answer.works and "cannot assign" in answer.detail


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make raw packets")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_ping(address):
    if address == "::1" and not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this machine has no IPv6")
    assert tcp_probe.ping(tcp_probe.Peer(address, 1, address, 0, 2.0))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make raw packets")
def test_no_answer_to_a_ping(monkeypatch):
    monkeypatch.setattr(tcp_probe, "_echo", lambda six, identifier, sequence: b"\0" * 8)  # an answer, which nobody answers
    assert not tcp_probe.ping(tcp_probe.Peer("127.0.0.1", 1, None, 0, 0.2))


def test_the_checksum_of_the_internet():
    assert tcp_probe.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D  # the example of RFC 1071
