# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import arguments

CLUSTER = {
    "nodes": [
        {"name": "n1.example.org", "internal_ips": ["172.30.1.11"]},
        {"name": "n2.example.org", "internal_ips": ["172.30.2.12"]},
        {"name": "n3", "internal_ips": ["172.30.2.13"]},
        {"name": "n4", "internal_ips": ["172.30.2.14"]},
    ],
    "services": {"kubernetes": {"address": "10.96.0.1", "port": 443}, "dns": {"address": "10.96.0.10", "port": 53}},
}
PLAN = {
    "nodes": [
        {"name": "n1", "blocks": ["10.244.1.0/26", "10.244.1.64/26"], "probe_address": "10.244.1.66"},
        {"name": "n2", "blocks": ["10.244.2.0/26"], "probe_address": None},
    ]
}


def test_hosts_are_matched_by_variable_name_host_name_and_address_and_kept_when_unknown():
    hostvars = {
        "first": {"podnet_node_name": "n4", "ansible_facts": {"podnet_node": {"hostname": "x"}}},
        "second": {"ansible_facts": {"podnet_node": {"hostname": "n1.example.org"}}},
        "third": {"ansible_host": "172.30.2.12", "ansible_facts": {"podnet_node": {"hostname": "web"}}},
        "n3": {"ansible_facts": {}},
        "stranger": {"ansible_facts": {"podnet_node": {"hostname": "stranger"}}},
    }
    matched = arguments.match_nodes(CLUSTER, list(hostvars), hostvars)
    assert matched["hosts"] == {
        "n4": "first",
        "n1.example.org": "second",
        "n2.example.org": "third",
        "n3": "n3",
        "stranger": "stranger",
    }
    assert sorted(matched["facts"]) == ["n1.example.org", "n2.example.org", "n4", "stranger"]


def test_arguments_of_modules_follow_the_plan():
    assert arguments.block_claims(PLAN)[0] == {"node": "n1", "blocks": ["10.244.1.0/26", "10.244.1.64/26"]}
    assert arguments.probe_targets(PLAN["nodes"]) == [{"node": "n1", "address": "10.244.1.66"}]
    assert [item["name"] for item in arguments.migration_reservations(PLAN)] == [
        "podnet-flannel-node-addresses",
        "podnet-flannel-n1",
        "podnet-flannel-n2",
    ]


def test_service_checks():
    assert arguments.service_checks(CLUSTER, "tcp") == [{"name": "API server by its Service", "address": "10.96.0.1", "port": 443}]
    assert arguments.service_checks(CLUSTER, "dns") == [{"server": "10.96.0.10", "name": "kubernetes.default.svc.cluster.local"}]
    assert arguments.service_checks({}, "dns") == []
    with pytest.raises(ValueError, match="'udp' is no kind of check; use tcp or dns"):
        arguments.service_checks(CLUSTER, "udp")


def test_only_flannels_packets_count_and_a_new_device_counts_from_zero():
    before = [{"name": "flannel.1", "rx_packets": 10, "tx_packets": 5}, {"name": "vxlan.calico", "rx_packets": 1, "tx_packets": 1}]
    after = [
        {"name": "flannel.1", "rx_packets": 12, "tx_packets": 6},
        {"name": "vxlan.calico", "rx_packets": 900, "tx_packets": 1},
        {"name": "flannel.2", "rx_packets": 4, "tx_packets": None},
    ]
    assert arguments.vxlan_packets(before, after) == 7


def test_findings_line_holds_blockers_only():
    finding = {"id": "a", "severity": "blocker", "subject": "n1", "evidence": "E.", "why": "W.", "remedy": "R."}
    assert arguments.findings_line([finding, {**finding, "id": "b", "severity": "warning"}]) == "[a] n1: E. W. Remedy: R."
    assert arguments.findings_line([]) == ""


@pytest.mark.parametrize(
    ("before", "known", "expected"),
    [
        (["flannel", "portmap"], True, ["bandwidth", "tuning"]),
        (["flannel", "portmap", "tuning"], True, ["bandwidth"]),
        ([], True, ["bandwidth", "tuning"]),
        ([], False, []),
    ],
)
def test_plugins_that_came_with_calico(before, known, expected):
    node = {
        "cni_plugins": [{"name": name} for name in ("bandwidth", "calico", "flannel", "portmap", "tuning", "mine")],
        "cni_configs": [{"cni": "flannel", "plugin_types": ["flannel", "portmap"]}, {"cni": "calico", "plugin_types": ["calico", "bandwidth"]}],
    }
    assert arguments.plugins_of_calico(node, before, known) == expected


TUNNELS = {
    "nodes": [
        {
            "name": "n1",
            "blocks": ["10.244.1.0/26", "10.244.1.64/26"],
            "tunnel": {"address": "10.244.1.125", "block": "10.244.1.64/26", "present": False},
        },
        {"name": "n2", "blocks": ["10.244.2.0/26", "10.244.2.64/26"], "tunnel": {"address": "10.244.2.9", "block": "10.244.2.0/26", "present": True}},
    ]
}


def test_a_node_whose_tunnel_has_no_address_yet_has_only_its_block():
    assert arguments.block_claims(TUNNELS, True) == [
        {"node": "n1", "blocks": ["10.244.1.64/26"]},
        {"node": "n2", "blocks": ["10.244.2.0/26", "10.244.2.64/26"]},
    ]
    assert arguments.block_claims(TUNNELS)[0]["blocks"] == ["10.244.1.0/26", "10.244.1.64/26"]


def test_addresses_of_tunnels_are_compared_with_the_plan():
    def cluster(first, second):
        name = "projectcalico.org/IPv4VXLANTunnelAddr"
        return {"nodes": [{"name": "n1", "annotations": {name: first} if first else {}}, {"name": "n2", "annotations": {name: second}}]}

    assert arguments.tunnel_problems(TUNNELS, cluster("10.244.1.125", "10.244.2.9")) == []
    missing, other = arguments.tunnel_problems(TUNNELS, cluster(None, "10.244.2.10"))
    assert missing.startswith("n1: Calico has not given its tunnel an address")
    assert other.startswith("n2: Calico's tunnel has 10.244.2.10 instead of 10.244.2.9")
