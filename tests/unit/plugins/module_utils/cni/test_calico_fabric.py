# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_fabric as fabric

BGP = {"dst": "10.244.2.192/26", "gateway": "172.30.1.1", "dev": "eth0", "protocol": "bird"}


def test_the_longest_prefix_wins():
    routes = [{"dst": "default", "gateway": "172.30.1.1", "dev": "eth0"}, {"dst": "10.244.2.0/24", "dev": "flannel.1"}, BGP]
    assert fabric.best_route(routes, "10.244.2.200") is BGP
    assert fabric.best_route([], "10.244.2.200") is None


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (None, ["no route yet", "no route would be used"]),
        ({"dst": "default", "gateway": "172.30.1.1", "dev": "eth0"}, ["has not arrived", "via 172.30.1.1"]),
        ({"type": "unreachable", "dst": "10.244.2.192/26", "protocol": "bird"}, ["cannot resolve the next hop", "pod routes only"]),
        ({"type": "blackhole", "dst": "10.244.2.192/26", "protocol": "bird"}, ["blackhole 10.244.2.192/26"]),
        ({"dst": "10.244.2.0/24", "gateway": "10.244.2.0", "dev": "flannel.1"}, ["routed by flannel.1", "BGP route is missing"]),
    ],
)
def test_bad_routes(route, words):
    problem = fabric.route_problem(route)
    assert problem and all(word in problem for word in words)


def test_good_route():
    assert fabric.route_problem(BGP) is None
    assert fabric.route_words(BGP) == "10.244.2.192/26 via 172.30.1.1 dev eth0 proto bird"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "the fabric drops"),
        (ConnectionRefusedError(111, "Connection refused"), "state=present"),
        (ConnectionResetError(), "interferes"),
        (OSError(113, "No route to host"), "No route to host"),
    ],
)
def test_failed_connections(error, words):
    assert words in fabric.connect_problem(error, BGP, 2)


def test_plugin_input():
    text = json.dumps({"name": "net", "cniVersion": "0.3.1", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}, "nodename": "n1"}]})
    assert fabric.ipam_input(text, "f") == {
        "type": "calico",
        "ipam": {"type": "calico-ipam"},
        "nodename": "n1",
        "name": "net",
        "cniVersion": "0.3.1",
    }


@pytest.mark.parametrize("text", ["", "[]", '{"name": "net", "plugins": [{"type": "flannel"}]}', '{"plugins": []}'])
def test_other_files_are_refused(text):
    with pytest.raises(fabric.ConfigError):
        fabric.ipam_input(text, "file.conflist")


def test_each_node_has_its_own_handle():
    assert fabric.container_id("n1") != fabric.container_id("n2")


TUNNEL = {"dst": "10.244.2.192/26", "gateway": "10.244.2.253", "dev": "vxlan.calico", "protocol": "80"}
NATIVE = {"dst": "10.244.2.192/26", "gateway": "172.30.2.13", "dev": "eth0", "protocol": "80"}


@pytest.mark.parametrize(
    ("route", "encapsulation", "words"),
    [
        (None, "vxlan", "Felix has not made"),
        ({"dst": "default", "gateway": "172.30.1.1", "dev": "eth0"}, "vxlan_cross_subnet", "Felix has not made"),
        ({"dst": "10.244.2.0/24", "gateway": "10.244.2.0", "dev": "flannel.1"}, "vxlan_cross_subnet", "flannel.1 would be used"),
        ({"type": "blackhole", "dst": "10.244.2.192/26", "protocol": "80"}, "vxlan", "one of this node's"),
        (NATIVE, "vxlan", "another vxlanMode than Always"),
    ],
)
def test_bad_routes_where_felix_makes_them(route, encapsulation, words):
    assert words in fabric.route_problem(route, encapsulation)


@pytest.mark.parametrize(("route", "encapsulation"), [(TUNNEL, "vxlan"), (TUNNEL, "vxlan_cross_subnet"), (NATIVE, "vxlan_cross_subnet")])
def test_good_routes_of_felix(route, encapsulation):
    assert fabric.route_problem(route, encapsulation) is None


def test_a_tunnel_that_carries_nothing():
    assert "UDP port 4789" in fabric.connect_problem(TimeoutError(), TUNNEL, 2)
    assert "routed by vxlan.calico" in fabric.route_problem(TUNNEL)
