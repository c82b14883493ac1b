# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every node after a migration without routers, seen over SSH."""

from __future__ import annotations

import ipaddress
import json
import typing as t

import pytest
from podnet_demo.leftovers import NODE_CHECKS, Check
from podnet_lab.lab import Lab
from podnet_molecule import results
from testinfra.host import Host

testinfra_hosts = ["ansible://kube_node"]
CNI = "/etc/cni/net.d"
GUARD_METRIC = 27127
MODE = results.mode()
POD_MTU = {"cross_subnet": 1450, "vxlan": 1450, "bgp_mesh": 1500}


def routes(host: Host) -> list[dict[str, t.Any]]:
    return t.cast("list[dict[str, t.Any]]", json.loads(host.check_output("ip -j route show table all")))


@pytest.mark.parametrize("check", NODE_CHECKS, ids=lambda check: check.title)
def test_no_trace_of_flannel(host: Host, check: Check) -> None:
    done = host.run(" ".join(["%s"] * len(check.command)), *check.command)
    assert done.rc in check.accepted_codes, done.stderr
    # The probers go on until the way back has been gone as well.
    assert [trace for trace in check.traces(done.stdout) if "podnet-lab-prober" not in trace] == []


@pytest.mark.parametrize("path", [f"{CNI}/10-flannel.conflist", "/run/flannel/subnet.env", "/opt/cni/bin/flannel", "/var/lib/cni/networks/cbr0"])
def test_flannels_files_are_gone(host: Host, path: str) -> None:
    assert not host.file(path).exists


def test_calico_is_the_first_and_only_configuration(host: Host) -> None:
    files = [name for name in sorted(host.file(CNI).listdir()) if name.endswith((".conf", ".conflist", ".json"))]
    assert files == ["10-calico.conflist"]


def test_pods_of_other_nodes_are_reached_as_chosen(host: Host, lab: Lab) -> None:
    own = next(node for node in lab.nodes if node.name == host.check_output("hostname"))
    pods = ipaddress.ip_network(lab.topology.pod_cidr)
    found = [
        route
        for route in routes(host)
        if route.get("gateway") and route["dst"] != "default" and ":" not in route["dst"] and ipaddress.ip_network(route["dst"]).subnet_of(pods)
    ]
    assert len(found) >= len(lab.nodes) - 1
    neighbours = {node.address for node in lab.nodes if node.zone == own.zone and node.name != own.name}
    ways = {(route["dev"], route["gateway"] in neighbours) for route in found}
    native = {("eth0", True)} if MODE != "vxlan" and neighbours else set()
    tunnel = {("vxlan.calico", False)} if MODE == "vxlan" or (MODE == "cross_subnet" and len(lab.nodes) - 1 > len(neighbours)) else set()
    assert ways == native | tunnel
    assert {str(route["protocol"]) for route in found if route["dev"] == "eth0"} <= {"bird" if MODE == "bgp_mesh" else "80"}


def test_no_route_leads_nowhere(host: Host) -> None:
    assert [route for route in routes(host) if route.get("type") in ("unreachable", "prohibit") and ":" not in route["dst"]] == []


def test_guard_routes_are_gone(host: Host) -> None:
    assert [route["dst"] for route in routes(host) if route.get("metric") == GUARD_METRIC] == []


def test_pods_and_tunnel_have_the_right_mtu(host: Host) -> None:
    links = json.loads(host.check_output("ip -j link show"))
    assert {link["mtu"] for link in links if link["ifname"].startswith("cali")} == {POD_MTU[MODE]}
    assert [link["mtu"] for link in links if link["ifname"] == "vxlan.calico"] == ([] if MODE == "bgp_mesh" else [1450])


def test_no_timer_waits(host: Host) -> None:
    assert host.check_output("systemctl list-units --all --plain --no-legend 'podnet-cni*'") == ""
