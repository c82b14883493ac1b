# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters as playbooks call them: good input, input of the wrong kind, and that the documentation of each is true."""

from __future__ import annotations

import inspect
import json
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.podnet.cni.plugins.filter import arguments, kernel, plan
from ansible_collections.podnet.cni.tests.unit.fixtures import kernel_host
from ansible_collections.podnet.cni.tests.unit.fixtures.facts import Lab, calico_lab, moved_lab

FOLDER = Path(plan.__file__).parent
FILTERS: dict[str, t.Callable[..., t.Any]] = {
    **arguments.FilterModule().filters(),
    **kernel.FilterModule().filters(),
    **plan.FilterModule().filters(),
}
PYTHON_TYPES = {"dict": dict, "list": list, "str": str, "int": int, "bool": bool}


def plan_of(lab):
    return FILTERS["migration_plan"](lab.cluster, lab.nodes, lab.settings)


def good_input(name):
    """Positional arguments as a playbook would give them."""
    lab = moved_lab()
    made = plan_of(Lab())
    batch = {"n1": lab.nodes["n1"]}
    journal = {"run": {"run": "r"}, "nodes": {"n1": {"phase": "moved", "phases": [{"phase": "evict", "seconds": 1.5}]}}}
    hostvars = {host: {"ansible_facts": {"podnet_node": facts}} for host, facts in lab.nodes.items()}
    profile = {
        "name": "flannel",
        "title": "Flannel",
        "version": "",
        "features_wanted": [],
        "verdict": "supported",
        "features": {},
        "requirements": [],
    }
    checked = {"n1": {"kernel": {"release": "6.1.0"}, "profiles": [profile], "findings": [], "required_actions": [], "passed": True}}
    state = kernel_host.facts()
    switching = calico_lab("vxlan", "bgp")
    switch = FILTERS["switch_plan"](switching.cluster, switching.nodes, switching.settings)
    planned = {"n1": FILTERS["kernel_upgrade_plan"](state, "n1", {"kernel": "default"})}
    return {
        "kernel_upgrade_plan": (state, "n1", {"kernel": "default"}),
        "kernel_upgrade_table": (planned, [1, "10%"]),
        "kernel_result_table": ({"n1": {"before": "6.1.0", "now": "6.2.0", "phase": "kept", "text": "", "seconds": 1.5}},),
        "kernel_came_back": (state, "6.1.0", "6.2.0"),
        "kernel_unreadable": ("The host could not be reached", "n1"),
        "kernel_table": (checked,),
        "kernel_junit": (checked,),
        "match_nodes": (lab.cluster, list(hostvars), hostvars),
        "switch_plan": (switching.cluster, switching.nodes, switching.settings),
        "switch_ways": (switch, "n1", True),
        "switch_missing": (switching.cluster, "n1", switching.nodes["n1"], "vxlan"),
        "block_claims": (made,),
        "tunnel_problems": (FILTERS["migration_plan"](lab.cluster, lab.nodes, {**lab.settings, "routing": "cross_subnet"}), lab.cluster),
        "plugins_of_calico": (lab.nodes["n1"], ["portmap"]),
        "probe_targets": (made["nodes"],),
        "migration_reservations": (made,),
        "replug_reach": (lab.cluster, "n1", ["192.0.2.1"]),
        "service_checks": (lab.cluster, "tcp"),
        "vxlan_packets": (lab.nodes["n1"]["vxlan"], lab.nodes["n1"]["vxlan"]),
        "findings_line": (made["findings"],),
        "unknown_variables": (["podnet_serial"], ["podnet_serial"]),
        "variable_problems": ({"podnet_serial": 0}, {"podnet_serial": {"type": "raw"}}),
        "migration_plan": (lab.cluster, lab.nodes, lab.settings),
        "rollback_plan": (lab.cluster, lab.nodes, lab.settings),
        "plan_table": (made,),
        "findings_table": (made["findings"],),
        "parse_serial": ("1,10%",),
        "gate": (lab.cluster, batch, made, True),
        "gate_table": (lab.cluster, batch, made, True),
        "routing_findings": (lab.cluster, batch),
        "migration_report": (made, journal),
        "report_table": (FILTERS["migration_report"](made, journal),),
    }[name]


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_good_input_gives_plain_data_of_the_documented_type(name):
    result = FILTERS[name](*good_input(name))
    documented = yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))["RETURN"]["_value"]
    assert isinstance(result, PYTHON_TYPES[documented["type"]])
    if documented["type"] == "list":
        assert all(isinstance(item, PYTHON_TYPES[documented["elements"]]) for item in result if documented["elements"] in PYTHON_TYPES)
    assert json.loads(json.dumps(result)) == result


@pytest.mark.parametrize("name", sorted(set(FILTERS) - {"parse_serial"}))
def test_input_of_the_wrong_kind_is_refused_by_name(name):
    rest = good_input(name)[1:]
    for wrong in (None, 7, [None], [7]):
        with pytest.raises(AnsibleFilterError) as error:
            FILTERS[name](wrong, *rest)
        assert str(error.value).startswith(f"podnet.cni.{name}: ")


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("parse_serial", ("ten",), ["podnet_serial: 'ten' is neither a number nor a percentage", "give a number (1)"]),
        ("migration_plan", ({}, {}, {"serial": "0"}), ["podnet_serial: '0' is less than one node"]),
        ("migration_plan", ({}, {}, {"block_size": "big"}), ["podnet_block_size: 'big' is no number", "such as 26"]),
        ("migration_plan", ({}, {}, {"seriel": 1}), ["settings: 'seriel' is no setting", "serial"]),
        ("service_checks", ({}, "udp"), ["kind: 'udp' is no kind of check", "use tcp or dns"]),
        ("block_claims", ({"nodes": [{"name": "n1"}]},), ["'blocks' is missing", "ansible-doc -t filter podnet.cni.block_claims"]),
        ("plan_table", ({"routing": {"title": "Calico BGP"}, "pool": {}},), ["'cluster' is missing", "ansible-doc -t filter podnet.cni.plan_table"]),
        ("findings_table", ([{"severity": "fatal", "id": "a"}],), ["'fatal' is no severity", "use one of blocker, warning, info"]),
        ("plan_table", ({}, "wide"), ["'wide'"]),
    ],
)
def test_errors_say_what_is_wrong_and_what_to_give(name, given, words):
    with pytest.raises(AnsibleFilterError) as error:
        FILTERS[name](*given)
    assert str(error.value).startswith(f"podnet.cni.{name}: ")
    for word in words:
        assert word in str(error.value)


def test_two_hosts_that_are_the_same_node_are_refused():
    lab = Lab()
    hostvars = {"n1": {}, "worker-a": {"ansible_host": "172.30.1.11"}}
    with pytest.raises(AnsibleFilterError, match=r"match_nodes: hosts: n1 and worker-a of the inventory are both node n1.*podnet_node_name"):
        FILTERS["match_nodes"](lab.cluster, list(hostvars), hostvars)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_the_documentation_names_the_parameters(name):
    text = yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))["DOCUMENTATION"]
    dummy, *further = inspect.signature(FILTERS[name]).parameters.values()
    options = text["options"]
    assert [word.strip() for word in text.get("positional", "").split(",") if word.strip()] == list(options)[1:]
    assert len(options) == len(further) + 1
    for option, parameter in zip(list(options)[1:], further):
        required = parameter.default is inspect.Parameter.empty
        assert options[option].get("required", False) == required, option
        if not required and parameter.default is not None:
            assert options[option]["default"] == parameter.default, option


def test_each_filter_has_documentation_and_each_documentation_a_filter():
    assert sorted(path.stem for path in FOLDER.glob("*.yml")) == sorted(FILTERS)


def test_the_table_of_a_switch_tells_modes_bytes_steps_and_findings():
    lab = calico_lab("bgp", "vxlan")
    lab.cluster["network_policies"] = [{"namespace": "demo", "name": "web"}]
    text = FILTERS["plan_table"](FILTERS["switch_plan"](lab.cluster, lab.nodes, lab.settings), 100)
    for words in (
        "Switch plan: Calico BGP to Calico VXLAN",
        "inside a subnet 50 bytes more a packet, between subnets 50 bytes more a packet",
        "Change vxlanMode of IPPool podnet-pod-network from Never to Always",
        "switch-mtu-shrinks",
        "Verdict: can be done; bgp to vxlan on 3 nodes.",
    ):
        assert words in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("wanted", "verdict"), [("bgp", "Verdict: nothing to do, the cluster is led by bgp."), ("vxlan", "Verdict: REFUSED, 1 finding")]
)
def test_the_table_of_a_switch_that_is_not_carried_out(wanted, verdict):
    lab = calico_lab("bgp", wanted)
    if wanted == "vxlan":
        lab.calico["pools"].append({"name": "other", "cidr": "10.99.0.0/16", "vxlanMode": "Never"})
    assert verdict in FILTERS["plan_table"](FILTERS["switch_plan"](lab.cluster, lab.nodes, lab.settings))
