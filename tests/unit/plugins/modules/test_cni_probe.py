# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import commands
from ansible_collections.podnet.cni.plugins.modules import cni_probe
from ansible_collections.podnet.cni.tests.unit.fakes.node import node  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.podnet.cni.tests.unit.fakes.running import run_module

DEFAULTS = {"tcp": [], "dns": [], "routes": [], "local_pods": False, "attempt_timeout": 0.5, "timeout": 1.0}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"tcp": [{"name": "x", "address": "web", "port": 80}]}, ["tcp[0].address", "'web'", "give one"]),
        ({"tcp": [{"name": "x", "address": "10.0.0.1", "port": 0}]}, ["tcp[0].port", "0", "1 to 65535"]),
        ({"dns": [{"server": "10.0.0.1", "name": "a..b"}]}, ["dns[0].name", "'a..b'", "give a full name"]),
        ({"routes": [{"destination": "10.0.0.0/8", "forbidden_devices": []}]}, ["routes[0].destination", "10.0.0.0/8"]),
        ({"timeout": 0}, ["timeout", "greater than 0"]),
    ],
)
def test_bad_options_are_named_with_value_and_remedy(params, words):
    problem = cni_probe.option_problem({**DEFAULTS, **params})
    assert problem is not None
    assert all(word in problem for word in words)


def test_good_options_have_no_problem():
    assert cni_probe.option_problem({**DEFAULTS, "dns": [{"server": "10.96.0.10", "name": "kubernetes.default.svc.cluster.local."}]}) is None


def test_checks_follow_the_options_and_really_connect():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        params = {**DEFAULTS, "tcp": [{"name": "API", "address": "127.0.0.1", "port": port}]}
        checks = cni_probe.build_checks(params, ["127.0.0.1"])
        assert [check.kind for check in checks] == ["tcp", "pod"]
        assert [result["ok"] for result in cni_probe.probe.run_checks(checks, 0.5, 1)] == [True, True]
    assert cni_probe.build_checks(params, [])[0].attempt(0.5) is not None


def test_every_kind_of_check_is_made_in_the_documented_order():
    params = {
        **DEFAULTS,
        "tcp": [{"name": "API", "address": "10.96.0.1", "port": 443}],
        "dns": [{"server": "10.96.0.10", "name": "a.example"}],
        "routes": [{"destination": "10.244.2.64", "forbidden_devices": None}],
    }
    checks = cni_probe.build_checks(params, ["10.244.1.66"])
    assert [(check.kind, check.target) for check in checks] == [
        ("tcp", "10.96.0.1:443"),
        ("dns", "a.example at 10.96.0.10"),
        ("route", "10.244.2.64"),
        ("pod", "10.244.1.66"),
    ]


class Pod:
    """A pod of Calico on a node of its own: a namespace behind a cali interface."""

    def __init__(self, machine, name, address):
        self.machine = machine
        self.name = name
        self.address = address
        subprocess.run(["ip", "netns", "add", name], check=True)
        machine.ip(f"link add cali1 type veth peer name eth0 netns {name}\nlink set cali1 up\nlink set lo up\n")
        machine.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/cali1/proxy_arp")
        for words in (
            f"address add {address}/32 dev eth0",
            "link set eth0 up",
            "route add 169.254.1.1 dev eth0",
            "route add default via 169.254.1.1",
        ):
            self.run("ip", *words.split())
        machine.ip(f"address add 172.30.1.11/32 dev lo\nroute add {address}/32 dev cali1 scope link src 172.30.1.11\n")

    def run(self, *words):
        subprocess.run(["ip", "netns", "exec", self.name, *words], check=True, capture_output=True)

    def probe(self, **options):
        """A short probe of the node."""
        with_defaults = {"timeout": 1.5, "attempt_timeout": 0.3, **options}
        self.machine.options.clear()
        return self.machine.module("cni_probe", **with_defaults)


@pytest.fixture
def pod(node):  # noqa: F811
    name = f"{node.name}-pod"
    try:
        yield Pod(node, name, "10.244.1.66")
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)


@pytest.mark.needs_root_netns
def test_pods_of_the_node_are_found_and_reached(pod):
    results = pod.probe()
    assert not results["changed"]
    (check,) = results["checks"]
    assert (check["kind"], check["target"], check["ok"], check["reason"]) == ("pod", "10.244.1.66", True, "")
    assert pod.probe(check=True)["checks"][0]["ok"]


@pytest.mark.needs_root_netns
def test_a_pod_that_drops_echo_requests_is_reached_by_its_answer_to_arp(pod):
    pod.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all")
    assert pod.probe()["checks"][0]["ok"]


@pytest.mark.needs_root_netns
def test_a_pod_that_does_not_answer_at_all_is_named_with_every_other_failure(pod):
    pod.run("ip", "link", "set", "eth0", "down")
    results = pod.probe(tcp=[{"name": "API", "address": "10.96.0.1", "port": 443}], routes=[{"destination": "10.244.2.64"}])
    assert results["failed"]
    assert results["msg"].startswith("3 of 3 checks still failed after 1.5 s: API: TCP connection to 10.96.0.1 port 443: ")
    assert "route: no usable route to 10.244.2.64" in results["msg"]
    assert "pod of this node: pod 10.244.1.66 of this node does not answer: " in results["msg"]
    assert all(check["attempts"] > 1 for check in results["checks"])
    assert [check["ok"] for check in results["checks"]] == [False] * 3


@pytest.mark.needs_root_netns
def test_routes_must_be_usable_and_leave_by_another_device(pod):
    pod.machine.ip("link add dummy0 type veth peer name dummy1\nlink set dummy0 up\nlink set dummy1 up\n")
    pod.machine.ip("route add 10.244.2.0/24 dev dummy0\nroute add blackhole 10.244.3.0/26\nroute add unreachable 10.244.4.0/26\n")
    good = pod.probe(local_pods=False, routes=[{"destination": "10.244.2.64", "forbidden_devices": ["flannel.1"]}])
    assert [check["kind"] for check in good["checks"]] == ["route"]
    destinations = [{"destination": f"10.244.{number}.9", "forbidden_devices": ["dummy0"]} for number in (2, 3, 4)]
    results = pod.probe(local_pods=False, timeout=0.3, routes=destinations)
    assert "route to 10.244.2.9 leaves by dummy0" in results["msg"]
    assert results["msg"].startswith("3 of 3 checks still failed")


@pytest.mark.needs_root_netns
def test_a_probe_of_nothing_is_a_warning(node):  # noqa: F811
    node.options.clear()
    results = node.module("cni_probe")
    assert results["checks"] == []
    assert "nothing was proved" in str(results["warnings"])


def test_a_node_without_iproute2_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(commands, "EXTRA_FOLDERS", ())
    results = run_module(monkeypatch, "cni_probe")
    assert results["msg"].startswith("local_pods: the pods of this node cannot be listed: the program ip is missing on this node")
    assert results["failed"]


def test_bad_options_end_the_module(monkeypatch):
    assert run_module(monkeypatch, "cni_probe", timeout=0)["msg"].startswith("timeout: 0.0 is not a duration")
    assert "missing required arguments: port" in run_module(monkeypatch, "cni_probe", tcp=[{"name": "x", "address": "10.0.0.1"}])["msg"]


DNS_SERVER = """\
import socket, struct, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 53))
print("ready", flush=True)
for code, records in ((3, 0), (0, 0), (0, 1)):
    query, peer = sock.recvfrom(512)
    assert b"\\x0akubernetes\\x07default\\x03svc\\x00" in query, query
    sock.sendto(query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, records, 0, 0), peer)
"""


@pytest.mark.needs_root_netns
def test_a_name_is_asked_for_until_the_server_has_a_record(node):  # noqa: F811
    node.options.clear()
    node.ip("link set lo up\n")
    command = ["ip", "netns", "exec", node.name, sys.executable, "-c", DNS_SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout.readline() == "ready\n"
        results = node.module("cni_probe", dns=[{"server": "127.0.0.1", "name": "kubernetes.default.svc."}], timeout=5)
    (check,) = results["checks"]
    assert (check["ok"], check["attempts"], check["target"]) == (True, 3, "kubernetes.default.svc. at 127.0.0.1")
    again = node.module("cni_probe", dns=[{"server": "127.0.0.1", "name": "kubernetes.default.svc."}], timeout=0.3)
    assert "DNS query for kubernetes.default.svc. at 127.0.0.1: " in again["msg"]
