# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import kept_connections
from ansible_collections.podnet.cni.tests.unit.fakes import routing as fake
from ansible_collections.podnet.cni.tests.unit.fakes.running import run_module

NETWORK = "10.244.0.0/16"
COPY = {"10.244.2.0/26": "via 172.30.1.12 dev eth0", "10.244.3.0/26": "via 10.244.3.0 dev vxlan.calico onlink"}
WAYS = [{"destination": "10.244.2.0/26", "node_address": "172.30.1.12"}, {"destination": "10.244.3.0/26", "node_address": "172.30.2.13"}]
NATIVE = {"10.244.2.0/26": "via 172.30.1.12 dev eth0", "10.244.3.0/26": "via 172.30.1.1 dev eth0"}


@pytest.fixture
def node(monkeypatch, tmp_path):
    routing = fake.install(monkeypatch)
    monkeypatch.setattr(kept_connections.connections, "from_address", lambda address: [])
    routing.reached["172.30.2.13"] = {"dst": "172.30.2.13", "gateway": "172.30.1.1", "dev": "eth0"}
    return routing


@pytest.fixture
def guard(monkeypatch, node, tmp_path):
    def call(state, check_mode=False, **options):
        return run_module(monkeypatch, "route_guard", check_mode=check_mode, state=state, state_dir=str(tmp_path), **options)

    return call


def test_a_copy_holds_what_leads_to_other_nodes_and_nothing_else(node, guard):
    results = guard("kept", network=NETWORK)
    assert (results["changed"], results["state"], results["kept"]) == (True, "absent", COPY)
    assert node.tables == {"27127": COPY}
    assert node.rules == {"27127": "not fwmark 0x400/0x400 lookup 27127"}
    assert guard("kept", network=NETWORK)["changed"] is False


def test_the_table_is_filled_before_its_rule_and_emptied_after_it(node, guard):
    guard("kept", network=NETWORK)
    guard("absent")
    order = [call.split()[2] for call in node.calls if call.startswith(("ip -4 rule", "ip -4 -batch"))]
    assert order == ["-batch", "rule", "rule", "-batch"]
    assert (node.tables, node.rules) == ({"27127": {}}, {})


def test_a_copy_that_is_there_is_not_made_anew(node, guard):
    guard("kept", network=NETWORK)
    node.main = [route for route in node.main if route["dst"] != "10.244.2.0/26"]
    assert guard("kept", network=NETWORK)["kept"] == COPY


def test_addresses_can_be_left_to_main_and_taken_back(node, guard):
    guard("kept", network=NETWORK)
    assert guard("kept", network=NETWORK, pass_by=["10.244.2.60"])["changed"] is True
    assert node.tables["27127"]["10.244.2.60/32"] == "throw"
    guard("kept", network=NETWORK)
    assert node.tables["27127"] == COPY


def test_check_mode_tells_and_changes_nothing(node, guard):
    results = guard("kept", check_mode=True, network=NETWORK)
    assert (results["changed"], results["kept"]) == (True, COPY)
    assert (node.tables, node.rules, node.timer) == ({}, {}, "")


def test_new_connections_are_marked_only_after_the_rule_passes_them_over(node, guard):
    guard("kept", network=NETWORK)
    guard("split")
    assert node.marks
    assert list(node.rules) == ["27127"]
    assert guard("split")["changed"] is False


def test_new_connections_can_take_ways_over_the_nodes(node, guard):
    guard("kept", network=NETWORK)
    results = guard("split", ways=WAYS)
    assert results["ways"] == NATIVE
    assert node.rules["27128"] == "lookup 27128"
    guard("moved", ways=WAYS)
    assert (node.tables["27127"], node.tables["27128"]) == ({}, NATIVE)
    assert (list(node.rules), node.marks) == (["27128"], False)


def test_without_a_copy_connections_cannot_be_told_apart(node, guard):
    results = guard("split")
    assert "run state=kept before anything changes" in results["msg"]
    assert node.rules == {}


def test_a_kernel_that_does_not_tell_is_no_zero(monkeypatch, node, guard):
    def refuse(address):
        raise OSError(95, "Operation not supported")

    guard("kept", network=NETWORK)
    assert guard("split")["connections"] == 0
    monkeypatch.setattr(kept_connections.connections, "from_address", refuse)
    assert guard("split")["connections"] == -1


def test_the_timer_runs_until_the_guard_is_gone(node, guard, tmp_path):
    guard("kept", network=NETWORK, watchdog_seconds=60)
    assert "--on-active=60s" in node.timer
    assert (tmp_path / "route-guard.sh").exists()
    assert guard("absent")["changed"] is True
    assert (node.timer, (tmp_path / "route-guard.sh").exists()) == ("", False)
    assert guard("absent")["changed"] is False


def test_no_timer_when_none_is_wanted(node, guard):
    guard("kept", network=NETWORK, watchdog_seconds=0)
    assert node.timer == ""


@pytest.mark.parametrize("program", ["systemd-run", "nft"])
def test_a_program_that_is_missing_is_named_before_anything_changes(node, guard, program):
    if program == "nft":
        guard("kept", network=NETWORK)
    node.missing.add(program)
    results = guard("split" if program == "nft" else "kept", network=NETWORK)
    assert program in results["msg"]
    assert not node.marks


def test_a_node_without_a_route_to_another_is_refused(node, guard):
    node.reached["172.30.2.13"] = {}
    guard("kept", network=NETWORK)
    assert "no route to 172.30.2.13" in guard("split", ways=WAYS)["msg"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network": "10.244.0.1/16"}, "network: '10.244.0.1/16' is not an IPv4 network"),
        ({"network": NETWORK, "ways": [{"destination": "x", "node_address": "172.30.1.12"}]}, "ways[0]:"),
        ({"network": NETWORK, "pass_by": ["10.244.2.0/26"]}, "pass_by[0]: '10.244.2.0/26' is no IPv4 address"),
        ({"network": NETWORK, "watchdog_seconds": 5}, "watchdog_seconds: 5 is out of range; give 10 to 86400"),
        ({}, "network"),
    ],
)
def test_bad_options_are_named(node, guard, options, words):
    results = guard("kept", **options)
    assert words in results["msg"]
    assert node.rules == {}


STALE = [
    {"dst": "10.244.4.0/26", "gateway": "172.30.1.14", "dev": "eth0", "protocol": "80"},
    {"dst": "10.244.1.64/26", "type": "blackhole", "protocol": "80"},
    {"dst": "192.168.0.0/24", "gateway": "172.30.1.14", "dev": "eth0", "protocol": "80"},
]


def test_routes_of_a_felix_without_vxlan_are_removed_once_the_tunnel_is_gone(node, guard):
    node.main += STALE
    results = guard("cleaned", network=NETWORK)
    assert (results["changed"], results["tunnel"], results["cleaned"]) == (False, True, [])
    node.tunnel = False
    results = guard("cleaned", network=NETWORK)
    assert results["cleaned"] == ["10.244.4.0/26 via 172.30.1.14 proto 80", "blackhole 10.244.1.64/26 proto 80"]
    assert [route["dst"] for route in node.main if route.get("protocol") == "80"] == ["192.168.0.0/24"]
    assert guard("cleaned", network=NETWORK)["changed"] is False


def test_cleaning_leaves_the_guard_as_it_is(node, guard):
    guard("kept", network=NETWORK)
    node.tunnel = False
    assert guard("cleaned", network=NETWORK)["kept"] == COPY
    assert list(node.rules) == ["27127"]
