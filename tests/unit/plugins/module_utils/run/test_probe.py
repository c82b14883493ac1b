# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import struct
import threading

from ansible_collections.podnet.cni.plugins.module_utils._run import probe


def _listener():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock, sock.getsockname()[1]


def test_tcp_attempt_succeeds_on_a_listener_and_names_the_target_otherwise():
    sock, port = _listener()
    with sock:
        assert probe.tcp_attempt("127.0.0.1", port)(1) is None
    reason = probe.tcp_attempt("127.0.0.1", port)(1)
    assert reason is not None and f"127.0.0.1 port {port}" in reason


def test_a_check_is_tried_again_until_it_succeeds():
    tries = []

    def attempt(timeout):
        tries.append(timeout)
        return None if len(tries) == 3 else "not yet"

    (result,) = probe.run_checks([probe.Check("tcp", "x", "y", attempt)], 0.5, 5, pause=0.01)
    assert result["ok"] and result["attempts"] == 3 and result["reason"] == ""


def test_a_check_that_never_succeeds_fails_at_the_deadline_with_its_reason():
    (result,) = probe.run_checks([probe.Check("tcp", "x", "y", lambda timeout: "closed")], 0.5, 0.05, pause=0.01)
    assert not result["ok"] and result["reason"] == "closed" and result["attempts"] >= 2


def test_an_exception_in_a_check_is_a_failure():
    def attempt(timeout):
        raise RuntimeError("broken")

    (result,) = probe.run_checks([probe.Check("tcp", "x", "y", attempt)], 0.5, 0.02, pause=0.01)
    assert not result["ok"] and "RuntimeError: broken" in result["reason"]


def test_results_keep_the_order_of_the_checks():
    checks = [probe.Check("tcp", str(n), "y", lambda timeout: None) for n in range(20)]
    assert [result["name"] for result in probe.run_checks(checks, 1, 1)] == [str(n) for n in range(20)]


def _dns_server(answer):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def serve():
        query, peer = sock.recvfrom(512)
        sock.sendto(answer(query), peer)

    threading.Thread(target=serve, daemon=True).start()
    return sock


def test_dns_query_is_well_formed():
    query = probe.encode_dns_query(7, "kubernetes.default.svc.")
    assert query[:2] == b"\0\7" and b"\x0akubernetes\x07default\x03svc\0" in query
    assert query.endswith(struct.pack("!HH", 1, 1))


def test_dns_answers_are_judged():
    good = struct.pack("!HHHHHH", 9, 0x8180, 1, 1, 0, 0)
    assert probe.judge_dns_answer(9, good) is None
    assert probe.judge_dns_answer(8, good) == "answer to another query"
    assert probe.judge_dns_answer(9, struct.pack("!HHHHHH", 9, 0x8183, 1, 0, 0, 0)) == "server answered with code 3"
    assert probe.judge_dns_answer(9, struct.pack("!HHHHHH", 9, 0x8180, 1, 0, 0, 0)) == "server answered without a record"
    assert "too short" in str(probe.judge_dns_answer(9, b"x"))


def test_echo_request_has_a_valid_checksum():
    packet = probe.encode_echo_request(0x1234, 1)
    assert probe.internet_checksum(packet) == 0
    assert probe.internet_checksum(b"\x01") == 0xFEFF


def test_workload_addresses_are_the_host_routes_of_cali_interfaces():
    routes = [
        {"dst": "default", "dev": "eth0"},
        {"dst": "10.244.1.64", "dev": "cali12345678901"},
        {"dst": "10.244.1.0/24", "dev": "cni0"},
        {"dst": "10.244.1.128/26", "dev": "cali12345678901"},
        {"type": "blackhole", "dst": "10.244.1.64/26"},
    ]
    assert probe.workload_addresses(routes) == ["10.244.1.64"]


def test_route_to_loopback_is_usable_and_its_device_can_be_forbidden():
    assert probe.route_attempt("127.0.0.1", [])(1) is None
    assert probe.route_attempt("127.0.0.1", ["lo"])(1) == "route to 127.0.0.1 leaves by lo"
