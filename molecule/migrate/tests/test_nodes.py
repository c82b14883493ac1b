# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every node after the migration, seen over SSH."""

from __future__ import annotations

import json
import typing as t

import pytest
from podnet_demo.leftovers import NODE_CHECKS, Check
from podnet_lab.lab import Lab
from testinfra.host import Host

testinfra_hosts = ["ansible://kube_node"]
CNI = "/etc/cni/net.d"
GUARD_METRIC = 27127


def routes(host: Host) -> list[dict[str, t.Any]]:
    return t.cast("list[dict[str, t.Any]]", json.loads(host.check_output("ip -j route show table all")))


@pytest.mark.parametrize("check", NODE_CHECKS, ids=lambda check: check.title)
def test_no_trace_of_flannel(host: Host, check: Check) -> None:
    done = host.run(" ".join(["%s"] * len(check.command)), *check.command)
    assert done.rc in check.accepted_codes, done.stderr
    assert check.traces(done.stdout) == []


@pytest.mark.parametrize("name", ["flannel.1", "cni0"])
def test_flannels_devices_are_gone(host: Host, name: str) -> None:
    assert not host.interface(name).exists


@pytest.mark.parametrize("path", [f"{CNI}/10-flannel.conflist", "/run/flannel/subnet.env", "/opt/cni/bin/flannel", "/var/lib/cni/networks/cbr0"])
def test_flannels_files_are_gone(host: Host, path: str) -> None:
    assert not host.file(path).exists


def test_calico_is_the_first_and_only_configuration(host: Host) -> None:
    files = [name for name in sorted(host.file(CNI).listdir()) if name.endswith((".conf", ".conflist", ".json"))]
    assert files == ["10-calico.conflist"]
    assert json.loads(host.file(f"{CNI}/10-calico.conflist").content_string)["plugins"][0]["type"] == "calico"


@pytest.mark.parametrize("plugin", ["calico", "calico-ipam", "portmap", "bandwidth", "loopback", "host-local"])
def test_plugins_of_others_stay(host: Host, plugin: str) -> None:
    assert host.file(f"/opt/cni/bin/{plugin}").is_executable


def test_other_nodes_are_reached_by_bgp(host: Host, lab: Lab) -> None:
    own = host.check_output("hostname")
    via = {route["dst"]: route for route in routes(host) if route.get("protocol") == "bird" and route.get("gateway")}
    assert len(via) >= len(lab.nodes) - 1
    node = next(node for node in lab.nodes if node.name == own)
    neighbours = {other.address for other in lab.nodes if other.zone == node.zone}
    for route in via.values():
        assert route["dev"] == "eth0"
        assert route["gateway"] in {node.gateway, *neighbours}


def test_no_route_leads_nowhere(host: Host) -> None:
    assert [route for route in routes(host) if route.get("type") in ("unreachable", "prohibit") and ":" not in route["dst"]] == []


def test_guard_routes_are_gone(host: Host) -> None:
    assert [route["dst"] for route in routes(host) if route.get("metric") == GUARD_METRIC] == []


def test_no_tunnel_is_left(host: Host) -> None:
    assert host.check_output("ip -o link show type vxlan") == ""


def test_no_timer_waits(host: Host) -> None:
    assert host.check_output("systemctl list-units --all --plain --no-legend 'podnet-cni*'") == ""


def test_services_and_names_work(host: Host, lab: Lab) -> None:
    assert host.addr("10.96.0.1").port(443).is_reachable
    assert host.run("python3 -c %s %s", NAME_LOOKUP, lab.topology.dns_address).rc == 0


NAME_LOOKUP = """
import socket, sys
question = b"".join(bytes([len(label)]) + label for label in b"web.demo.svc.cluster.local".split(b".")) + bytes([0, 0, 1, 0, 1])
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(5)
client.sendto(bytes([7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + question, (sys.argv[1], 53))
answer = client.recv(512)
sys.exit(answer[3] & 15 or not answer[7])
"""
