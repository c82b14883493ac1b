# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_bgp_peer_spec as peers

GOOD = {"peer_ip": "172.30.1.1", "as_number": 64512}


def test_every_field():
    options = {
        "node_selector": "zone == 'a'",
        "peer_ip": "[fd00::1]:1790",
        "as_number": "1.10",
        "local_as_number": 65000,
        "next_hop_mode": "Keep",
        "password": {"name": "bgp", "key": "tor"},
        "source_address": "None",
        "max_restart_time": "2m",
        "keepalive_time": "30s",
        "num_allowed_local_as_numbers": 1,
        "ttl_security": 1,
        "reachable_by": "fd00::2",
        "filters": ["in", "out"],
        "reverse_peering": "Manual",
    }
    assert peers.peer_spec(options) == {
        "nodeSelector": "zone == 'a'",
        "peerIP": "[fd00::1]:1790",
        "asNumber": 65546,
        "localASNumber": 65000,
        "nextHopMode": "Keep",
        "password": {"secretKeyRef": {"name": "bgp", "key": "tor"}},
        "sourceAddress": "None",
        "maxRestartTime": "2m",
        "keepaliveTime": "30s",
        "numAllowedLocalASNumbers": 1,
        "ttlSecurity": 1,
        "reachableBy": "fd00::2",
        "filters": ["in", "out"],
        "reversePeering": "Manual",
    }
    assert set(peers.FIELDS) >= set(options)


@pytest.mark.parametrize(
    "options",
    [
        {"peer_selector": "has(rr)", "node": "n1"},
        {"local_workload_selector": "app == 'router'", "as_number": 64512},
        {**GOOD, "keep_original_next_hop": True},
        {**GOOD, "num_allowed_local_as_numbers": 0, "ttl_security": 0},
        {**GOOD, "peer_ip": "172.30.1.1:180", "node_selector": ""},
    ],
)
def test_good(options):
    assert peers.peer_spec(options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ["peer_ip", "give peer_ip, peer_selector or local_workload_selector"]),
        ({"peer_ip": "172.30.1.1"}, ["as_number", "is missing"]),
        ({**GOOD, "peer_selector": "all()"}, ["peer_ip", "peer_selector='all()'", "remove"]),
        ({"peer_selector": "all()", "as_number": 1}, ["peer_selector", "as_number='1'"]),
        ({**GOOD, "node": "n1", "node_selector": "all()"}, ["node: 'n1'", "remove node or node_selector"]),
        ({**GOOD, "node": "N1"}, ["node: 'N1'", "lower-case"]),
        ({**GOOD, "node_selector": "zone = 'a'"}, ["node_selector", "not a selector", "zone == 'a'"]),
        ({**GOOD, "as_number": 1.1}, ["as_number: '1.1'", "quotes"]),
        ({**GOOD, "as_number": True}, ["as_number"]),
        ({**GOOD, "as_number": 4294967296}, ["as_number", "4294967295"]),
        ({**GOOD, "as_number": "1.70000"}, ["as_number", "65535"]),
        ({**GOOD, "as_number": 0}, ["as_number: '0'", "range"]),
        ({**GOOD, "as_number": "AS64512"}, ["as_number: 'AS64512'"]),
        ({**GOOD, "peer_ip": "router"}, ["peer_ip: 'router'", "is not an IP address"]),
        ({**GOOD, "peer_ip": "10.0.0.1:0"}, ["port 0"]),
        ({**GOOD, "peer_ip": "[10.0.0.1]:179"}, ["brackets"]),
        ({**GOOD, "peer_ip": "127.0.0.1"}, ["neighbour"]),
        ({**GOOD, "reachable_by": "fd00::1"}, ["reachable_by", "IPv6", "IPv4"]),
        ({"peer_selector": "all()", "reachable_by": "10.0.0.1"}, ["reachable_by", "needs a peer_ip"]),
        ({**GOOD, "reachable_by": "gateway"}, ["reachable_by: 'gateway'"]),
        ({**GOOD, "ttl_security": 256}, ["ttl_security: '256'", "0 to 255"]),
        ({**GOOD, "num_allowed_local_as_numbers": -1}, ["num_allowed_local_as_numbers: '-1'"]),
        ({**GOOD, "max_restart_time": "120"}, ["max_restart_time: '120'", "120s"]),
        ({**GOOD, "keepalive_time": "1500ms"}, ["keepalive_time", "whole number of seconds"]),
        ({**GOOD, "password": {"name": "A", "key": "b"}}, ["password.name: 'A'"]),
        ({**GOOD, "password": {"name": "a", "key": "b c"}}, ["password.key: 'b c'"]),
        ({**GOOD, "filters": ["a", "a"]}, ["filters[1]: 'a'", "twice"]),
        ({**GOOD, "filters": ["A_"]}, ["filters[0]: 'A_'"]),
        ({**GOOD, "keep_original_next_hop": False, "next_hop_mode": "Self"}, ["keep_original_next_hop", "next_hop_mode"]),
    ],
)
def test_bad_options_are_named_with_value_and_remedy(options, words):
    with pytest.raises(peers.InvalidPeer) as caught:
        peers.peer_spec(options)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert all("; " in problem for problem in caught.value.problems)


def test_all_problems_are_told_at_once():
    with pytest.raises(peers.InvalidPeer) as caught:
        peers.peer_spec({"peer_ip": "x", "as_number": "y", "ttl_security": 999})
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"asNumber": 65546}, {"asNumber": "1.10"}),
        ({"maxRestartTime": "120s"}, {"maxRestartTime": "2m0s"}),
        ({"peerIP": "fd00::1"}, {"peerIP": "fd00:0::1"}),
        ({"peerSelector": "all()"}, {"peerSelector": "all()", "asNumber": 0, "sourceAddress": "UseNodeIP", "filters": []}),
        ({}, {"keepOriginalNextHop": False, "password": None}),
    ],
)
def test_two_ways_to_write_the_same(first, second):
    assert peers.comparable(first) == peers.comparable(second)


def test_different_peers_differ():
    assert peers.comparable({"peerIP": "10.0.0.1"}) != peers.comparable({"peerIP": "10.0.0.1:180"})
    assert peers.comparable({"peerIP": "written by somebody else"}) != peers.comparable({"peerIP": "10.0.0.1"})


def test_unknown_fields_lead_back_to_options():
    assert peers.unknown_field_option('strict decoding error: unknown field "spec.nextHopMode"') == ("next_hop_mode", "nextHopMode")
    assert peers.unknown_field_option("something else") is None
