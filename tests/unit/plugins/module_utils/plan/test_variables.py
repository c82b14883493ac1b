# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.podnet.cni.plugins.module_utils._plan.variables import unknown_variables, variable_problems
from ansible_collections.podnet.cni.plugins.modules import cni_facts

ROOT = Path(cni_facts.__file__).resolve().parents[2]
KNOWN = ["podnet_serial", "podnet_confirm"]


def test_a_misspelled_variable_is_named_with_the_right_one():
    assert unknown_variables(["podnet_seriel", "podnet_confirm"], KNOWN) == [
        "podnet_seriel is no variable of this playbook and would have no effect; did you mean podnet_serial?"
    ]


def test_without_a_close_name_all_are_listed():
    (sentence,) = unknown_variables(["podnet_xyzzy"], KNOWN)
    assert sentence.endswith("use one of podnet_confirm, podnet_serial")


def test_variables_of_others_and_facts_of_ours_are_no_mistakes():
    assert unknown_variables(["pod_serial", "ansible_user", "podnet_cluster", "podnet_node", *KNOWN], KNOWN) == []


SPECIFICATION = ROOT / "roles" / "preflight" / "meta" / "argument_specs.yml"
OPTIONS = yaml.safe_load(SPECIFICATION.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
PEER = {"name": "tor", "peer_ip": "192.0.2.1", "as_number": 64512}
DNS = {"server": "10.96.0.10", "name": "kubernetes.default.svc.cluster.local"}
TCP = {"name": "api", "address": "10.96.0.1", "port": 443}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"podnet_confirm": True, "podnet_remove_flannel": "no", "podnet_evict_timeout": "600", "podnet_serial": "1, 10%"},
        {"podnet_bgp_peers": [PEER, {**PEER, "name": "b", "node_selector": "zone == 'b'", "password": {"name": "s", "key": "k"}}]},
        {"podnet_bgp_as_number": "64512.1", "podnet_context": "prod", "podnet_kubeconfig": "~/.kube/config", "podnet_return_nodes": []},
        {"podnet_probe_tcp": [TCP], "podnet_probe_dns": [DNS], "podnet_watchdog_seconds": 0, "podnet_settle_seconds": 0},
        {"podnet_replug_reach": ["192.0.2.1", "172.30.1.12"], "podnet_pod_move": "replug"},
        {"podnet_node": {}, "podnet_cluster": {}},
    ],
)
def test_what_is_right_is_no_problem(given):
    assert variable_problems(given, OPTIONS) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"podnet_bgp_peers": "tor-a"}, "podnet_bgp_peers: 'tor-a' is no list; give a list of entries with name, peer_ip, as_number"),
        ({"podnet_bgp_peers": PEER}, "is no list; give a list of entries with name, peer_ip, as_number"),
        ({"podnet_bgp_peers": ["tor-a"]}, "podnet_bgp_peers[0]: 'tor-a' has no keys; give an entry with name, peer_ip, as_number"),
        ({"podnet_bgp_peers": [PEER, {**PEER, "peerip": "x"}]}, "podnet_bgp_peers[1]: peerip is no key of it; did you mean peer_ip?"),
        ({"podnet_bgp_peers": [{**PEER, "hold": 3}]}, "podnet_bgp_peers[0]: hold is no key of it; use name, peer_ip, as_number"),
        ({"podnet_bgp_peers": [{"name": "a", "as_number": 1}]}, "podnet_bgp_peers[0]: peer_ip is missing; it needs peer_ip"),
        ({"podnet_bgp_peers": [{**PEER, "peer_ip": ["192.0.2.1"]}]}, "podnet_bgp_peers[0].peer_ip: '['192.0.2.1']' is no text; give one text"),
        ({"podnet_bgp_peers": [{**PEER, "password": "secret"}]}, "podnet_bgp_peers[0].password: 'secret' has no keys; give keys and values"),
        ({"podnet_evict_timeout": "soon"}, "podnet_evict_timeout: 'soon' is no whole number; give one such as 60"),
        ({"podnet_evict_timeout": "5m"}, "podnet_evict_timeout: '5m' is no whole number"),
        ({"podnet_evict_timeout": [300]}, "podnet_evict_timeout: '[300]' is no whole number"),
        ({"podnet_evict_timeout": True}, "podnet_evict_timeout: 'True' is no whole number"),
        ({"podnet_evict_timeout": 0}, "podnet_evict_timeout: 0 is too little; give 1 or more"),
        ({"podnet_settle_seconds": -1}, "podnet_settle_seconds: -1 is too little; give 0 or more"),
        ({"podnet_watchdog_seconds": 5}, "podnet_watchdog_seconds: 5 is out of range; give 10 to 86400 seconds, or 0 to switch without a timer"),
        ({"podnet_watchdog_seconds": 30}, "podnet_watchdog_seconds: 30 is not more than podnet_probe_timeout (30)"),
        ({"podnet_confirm": "perhaps"}, "podnet_confirm: 'perhaps' is neither true nor false; give one of the two"),
        ({"podnet_confirm": None}, "podnet_confirm has no value; give one, or leave it out"),
        ({"podnet_kubeconfig": ["a"]}, "podnet_kubeconfig: '['a']' is no text; give one text"),
        ({"podnet_field_validation": "strict"}, "podnet_field_validation: 'strict' is no choice; did you mean Strict?"),
        ({"podnet_field_validation": "off"}, "podnet_field_validation: 'off' is no choice; use one of Strict, Warn, Ignore"),
        ({"podnet_serial": "two"}, "podnet_serial: 'two' is neither a number nor a percentage"),
        ({"podnet_return_nodes": "n1"}, "podnet_return_nodes: 'n1' has a meaning for rollback_to_flannel only"),
        ({"podnet_probe_tcp": [{**TCP, "address": "api"}]}, "podnet_probe_tcp[0].address: 'api' is no IPv4 address; give one such as 10.96.0.1"),
        ({"podnet_probe_tcp": [{**TCP, "port": 70000}]}, "podnet_probe_tcp[0].port: 70000 is no port; give a number from 1 to 65535"),
        ({"podnet_probe_dns": [{**DNS, "server": "dns"}]}, "podnet_probe_dns[0].server: 'dns' is no IPv4 address"),
        ({"podnet_replug_reach": "192.0.2.1"}, "podnet_replug_reach: '192.0.2.1' is no list; give a list such as [first, second]"),
        ({"podnet_replug_reach": ["192.0.2.1", "gw"]}, "podnet_replug_reach[1]: 'gw' is no IPv4 address; give one such as 192.0.2.1"),
        ({"podnet_seriel": 1}, "podnet_seriel is no variable of this playbook and would have no effect; did you mean podnet_serial?"),
    ],
)
def test_what_is_wrong_is_told_with_value_and_remedy(given, says):
    (problem,) = variable_problems(given, OPTIONS)
    assert problem.startswith(says) or says in problem


def test_everything_that_is_wrong_is_told_at_once():
    assert len(variable_problems({"podnet_evict_timeout": "soon", "podnet_confirm": "x", "podnet_typo": 1}, OPTIONS)) == 3


def test_the_way_back_has_names_of_nodes():
    assert variable_problems({"podnet_return_nodes": "n1,n2"}, OPTIONS, direction="flannel") == []


def test_a_variable_of_nodes_only_would_have_no_effect():
    assert variable_problems({}, OPTIONS, ["podnet_serial", "podnet_node_name", "ansible_host"]) == [
        "podnet_serial is set for nodes only, but the controller reads it; set it for the group all, or with -e"
    ]
    assert variable_problems({"podnet_serial": 1}, OPTIONS, ["podnet_serial"]) == []
    assert "did you mean podnet_serial?" in variable_problems({}, OPTIONS, ["podnet_seriel"])[0]


def test_a_switch_has_no_mode_by_default():
    (problem,) = variable_problems({}, OPTIONS, direction="switch")
    assert problem.startswith("podnet_calico_routing is not set")
    assert variable_problems({"podnet_calico_routing": "vxlan", "podnet_drain_seconds": 600}, OPTIONS, direction="switch") == []


@pytest.mark.parametrize("direction", ["calico", "flannel"])
def test_time_for_connections_to_end_is_of_a_switch_only(direction):
    (problem,) = variable_problems({"podnet_drain_seconds": 600}, OPTIONS, direction=direction)
    assert problem == "podnet_drain_seconds: '600' has a meaning for switch_routing only. Leave it out"


def test_the_guard_of_a_node_outlasts_the_wait_for_routes():
    given = {"podnet_calico_routing": "vxlan", "podnet_settle_seconds": 300}
    (problem,) = variable_problems(given, OPTIONS, direction="switch")
    assert "podnet_watchdog_seconds: 300 is not more than podnet_settle_seconds (300)" in problem
    assert variable_problems({**given, "podnet_watchdog_seconds": 600}, OPTIONS, direction="switch") == []
    assert variable_problems({**given, "podnet_watchdog_seconds": 0}, OPTIONS, direction="switch") == []
