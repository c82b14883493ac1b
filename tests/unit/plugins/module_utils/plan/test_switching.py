# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import modes, switch_gate, switching
from ansible_collections.podnet.cni.tests.unit.fixtures.facts import calico_lab, lead_through_tunnel, route

PAIRS = [(now, wanted) for now in modes.MODES for wanted in modes.MODES if now != wanted and "bgp_mesh" not in (now, wanted)]
"""The recorded cluster has two subnets, so that a mesh is refused."""


def plan_of(lab):
    return switching.plan_switch(lab.cluster, lab.nodes, lab.settings)


def ids(plan, severity="blocker"):
    return sorted(finding["id"] for finding in plan["findings"] if finding["severity"] == severity)


def one_subnet(lab):
    """All nodes on one link."""
    for facts in lab.nodes.values():
        facts["routes"] = [entry for entry in facts["routes"] if not entry["destination"].startswith("172.30.")]
        facts["routes"].append(route("172.30.0.0/16", None, "kernel", device="eth0", scope="link"))
    return lab


def step_ids(plan):
    return [step["id"] for step in plan["cluster_steps"]]


@pytest.mark.parametrize(("now", "wanted"), PAIRS)
def test_a_switch_between_any_two_modes_can_be_done(now, wanted):
    plan = plan_of(calico_lab(now, wanted))
    assert ids(plan) == []
    assert (plan["routing_before"]["name"], plan["routing"]["name"], plan["work"], plan["flips"]) == (now, wanted, True, True)
    assert sorted(name for batch in plan["batches"] for name in batch) == ["n1", "n2", "n3"]
    assert json.loads(json.dumps(plan)) == plan


@pytest.mark.parametrize("name", ["bgp", "cross_subnet", "vxlan"])
def test_nothing_to_do_in_the_wanted_mode(name):
    plan = plan_of(calico_lab(name, name))
    assert (plan["work"], plan["cluster_steps"], plan["batches"], plan["keeps"]) == (False, [], [], "")


def test_to_a_tunnel_the_old_way_is_kept_until_new_connections_are_proved():
    plan = plan_of(calico_lab("bgp", "vxlan"))
    assert (plan["keeps"], plan["prove_before"], plan["start_bird"], plan["stop_bird"]) == ("old", False, False, True)
    assert step_ids(plan) == ["keep", "flip", "prove", "split", "give", "leave", "no-bird"]
    assert plan["peers_leaving"] == ["tor-a"]
    assert plan["cost"] == {"inside": 50, "between": 50}


def test_from_a_tunnel_the_new_way_is_taken_before_the_tunnel_goes():
    plan = plan_of(calico_lab("vxlan", "bgp"))
    assert (plan["keeps"], plan["prove_before"], plan["start_bird"], plan["stop_bird"]) == ("new", True, True, False)
    assert step_ids(plan) == ["bird", "sessions", "prove", "keep", "split", "drain", "flip", "give"]
    assert plan["pool"]["encapsulation"] == "none"
    assert plan["pool_before"] == {**plan["pool"], "encapsulation": "vxlan"}


def test_between_two_tunnels_bgp_is_left_alone():
    plan = plan_of(calico_lab("vxlan", "cross_subnet"))
    assert (plan["keeps"], plan["start_bird"], plan["stop_bird"], plan["peers_leaving"]) == ("old", False, False, [])
    assert step_ids(plan) == ["keep", "flip", "prove", "split", "give"]
    assert plan["cost"] == {"inside": -50, "between": 0}


@pytest.mark.parametrize(("now", "wanted", "both"), [("bgp", "bgp_mesh", True), ("bgp_mesh", "bgp", True)])
def test_between_routers_and_a_mesh_both_are_there_for_a_while(now, wanted, both):
    plan = plan_of(one_subnet(calico_lab(now, wanted)))
    assert (ids(plan), plan["keeps"], plan["flips"]) == ([], "same", False)
    assert plan["bgp_both"]["node_mesh"] is both
    assert plan["bgp"]["node_mesh"] is (wanted == "bgp_mesh")
    assert step_ids(plan) == ["sessions", "keep", "leave", "give"]


def test_what_a_run_has_left_is_cleared_up():
    lab = calico_lab("vxlan", "vxlan")
    lab.nodes["n2"]["routes"].append(route("10.244.0.0/26", "172.30.2.1", "boot", table="27127"))
    plan = plan_of(lab)
    assert (plan["keeps"], plan["work"], step_ids(plan)) == ("left", True, ["settle", "give"])
    assert [node["guarded"] for node in plan["nodes"]] == ["", "old", ""]


def test_what_was_proved_before_a_run_was_stopped_is_not_proved_again():
    lab = calico_lab("vxlan", "bgp")
    lab.nodes["n2"]["routes"].append(route("10.244.0.0/26", "172.30.2.1", "boot", table="27128"))
    assert plan_of(lab)["prove_before"] is False


def test_peers_that_are_left_are_work():
    lab = calico_lab("vxlan", "vxlan")
    lab.calico["bgp_peers"] = [{"name": "tor-a"}]
    assert step_ids(plan_of(lab)) == ["leave"]


def test_ways_lead_over_the_nodes_that_have_the_blocks():
    plan = plan_of(calico_lab("vxlan", "bgp"))
    assert switching.ways(plan, "n1") == [
        {"destination": "10.244.1.0/26", "node_address": "172.30.2.12"},
        {"destination": "10.244.2.0/26", "node_address": "172.30.2.13"},
    ]
    assert switching.ways(plan, "n3", probes=True) == [
        {"destination": "10.244.0.63", "node_address": "172.30.1.11"},
        {"destination": "10.244.1.63", "node_address": "172.30.2.12"},
    ]


def test_a_probe_takes_no_address_of_a_pod():
    lab = calico_lab("bgp", "vxlan")
    lab.add_pod("last", "n1", ip="10.244.0.63")
    assert plan_of(lab)["nodes"][0]["probe_address"] == "10.244.0.62"


def test_the_playbook_is_refused_until_the_lab_has_proved_it():
    lab = calico_lab("vxlan", "bgp")
    lab.settings["allow_untried"] = False
    plan = plan_of(lab)
    assert ids(plan) == ["setting-untried"]
    assert "switch_routing" in next(finding["subject"] for finding in plan["findings"] if finding["id"] == "setting-untried")


@pytest.mark.parametrize(("mode", "wanted", "told"), [("vxlan", "bgp", True), ("bgp", "vxlan", False), ("vxlan", "cross_subnet", False)])
def test_connections_that_end_with_the_tunnel_are_told_before(mode, wanted, told):
    plan = plan_of(calico_lab(mode, wanted))
    assert ("switch-long-connections" in {finding["id"] for finding in plan["findings"]}) is told


@pytest.mark.parametrize(("now", "wanted"), PAIRS)
def test_the_source_check_of_aws_matters_where_the_tunnel_ends(now, wanted):
    lab = calico_lab(now, wanted)
    for node in lab.cluster["nodes"]:
        node["provider_id"] = f"aws:///zone/{node['name']}"
    native = now == "vxlan"
    assert ("routing-aws-source-check" in ids(plan_of(lab), "warning")) == native
    lab.settings["aws_source_check"] = "disable"
    assert ("routing-aws-rights" in ids(plan_of(lab), "warning")) == native
    assert plan_of(lab)["felix"] == ({} if wanted == "vxlan" else {"aws_source_check": "disable"})
    assert plan_of(lab)["felix_before"] == ({} if wanted == "vxlan" else {"aws_source_check": "do_nothing"})
    lab.node("n1")["provider_id"] = "gce://project/zone/n1"
    assert ids(plan_of(lab)) == (["routing-not-on-aws"] if native else [])


def test_what_felix_did_with_the_source_check_is_known_for_the_way_back():
    lab = calico_lab("vxlan", "bgp", aws_source_check="disable")
    lab.calico["felix"] = {"awsSrcDstCheck": "Enable"}
    assert plan_of(lab)["felix_before"] == {"aws_source_check": "enable"}


def test_a_switch_to_routers_needs_their_password():
    lab = calico_lab("vxlan", "bgp")
    for peer in lab.settings["bgp_peers"]:
        peer["password"] = {"name": "bgp-password", "key": "router"}
    assert "bgp-password-unknown" in ids(plan_of(lab), "warning")
    entry = {"name": "bgp-password", "key": "router", "account": "kube-system/calico-node", "present": False, "has_key": False, "readable": False}
    lab.cluster["bgp_passwords"] = [entry]
    assert ids(plan_of(lab)) == ["bgp-password-missing", "bgp-password-not-readable"]
    lab.settings["routing"] = "vxlan"
    assert ids(plan_of(lab)) == []


def refused_flannel(lab):
    lab.cluster["flannel"] = {"daemonset": {"namespace": "kube-flannel", "name": "kube-flannel-ds"}, "network": "10.244.0.0/16"}


def refused_pools(lab):
    lab.calico["pools"].append({"name": "other", "cidr": "10.99.0.0/16", "vxlanMode": "Never"})


def refused_ipip(lab):
    lab.calico["pools"][0]["ipipMode"] = "Always"


def refused_ebpf(lab):
    lab.calico["felix"] = {"bpfEnabled": True}


def refused_vxlan_pinned(lab):
    lab.calico["felix"] = {"vxlanEnabled": False}


def refused_affinity(lab):
    lab.calico["ipam_config"]["strictAffinity"] = False


def refused_borrowed(lab):
    lab.nodes["n1"]["routes"].append(route(f"{lab.pods_of('n2')[0]['ip']}/32", "172.30.1.1", "bird"))


def refused_services(lab):
    lab.calico["bgp_configuration"]["serviceClusterIPs"] = [{"cidr": "10.96.0.0/12"}]


def refused_full(lab):
    lab.calico["blocks"][1]["free"] = 0
    lab.calico["affinities"] = [{"name": f"n2-{number}", "node": "n2", "cidr": f"10.244.1.{number * 64}/26"} for number in range(4)]


def refused_rp_filter(lab):
    lab.nodes["n3"]["sysctls"]["net.ipv4.conf.all.rp_filter"] = "1"


def refused_nft(lab):
    lab.nodes["n3"]["missing_tools"] = ["nft"]


def refused_reflector(lab):
    lab.node("n1")["labels"]["podnet.cni/route-reflector"] = ""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (refused_flannel, "switch-not-on-calico"),
        (refused_pools, "switch-mode-unknown"),
        (refused_ipip, "switch-mode-unknown"),
        (refused_ebpf, "switch-other-data-plane"),
        (refused_vxlan_pinned, "switch-other-data-plane"),
        (refused_affinity, "switch-affinity-not-strict"),
        (refused_borrowed, "switch-affinity-not-strict"),
        (refused_services, "switch-services-announced"),
        (refused_full, "switch-no-tunnel-address"),
        (refused_full, "switch-no-probe-address"),
        (refused_rp_filter, "switch-rp-filter-strict"),
        (refused_nft, "switch-tools-missing"),
        (refused_reflector, "switch-bgp-not-simple"),
    ],
)
def test_what_would_cut_pods_off_is_refused(change, expected):
    lab = calico_lab("bgp", "vxlan")
    change(lab)
    assert expected in ids(plan_of(lab))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"zone_as_numbers": {"a": 64601}}, "switch-bgp-not-simple"),
        ({"as_number": 64999}, "switch-bgp-not-simple"),
        ({"bgp_peers": [{"name": "tor", "peer_ip": "172.30.1.1", "as_number": 65000}]}, "switch-bgp-not-simple"),
        ({"as_number": "x"}, "switch-bgp-not-simple"),
        ({"bgp_peers": []}, "switch-no-peers"),
    ],
)
def test_bgp_that_this_playbook_does_not_know_is_refused(settings, expected):
    lab = calico_lab("vxlan", "bgp")
    lab.settings.update(settings)
    assert expected in ids(plan_of(lab))


def test_a_mesh_over_routers_is_refused():
    assert ids(plan_of(calico_lab("vxlan", "bgp_mesh"))) == ["switch-several-subnets"]


def test_pods_whose_mtu_is_too_large_for_the_tunnel_are_named():
    lab = calico_lab("bgp", "cross_subnet")
    plan = plan_of(lab)
    (finding,) = [finding for finding in plan["findings"] if finding["id"] == "switch-mtu-shrinks"]
    pod = lab.pods_of("n1")[0]
    assert f"{pod['namespace']}/{pod['name']}: 1500" in finding["evidence"]
    assert "What fits through the tunnel is 1450." in finding["evidence"]
    assert plan["path_mtu"] == 1450


def test_a_larger_mtu_is_told():
    assert ids(plan_of(calico_lab("vxlan", "bgp")), "info") == ["switch-mtu-grows"]


def test_policies_that_let_nodes_in_are_a_warning():
    lab = calico_lab("bgp", "vxlan")
    lab.cluster["network_policies"] = [{"namespace": "demo", "name": "web"}]
    assert "switch-policies-nodes" in ids(plan_of(lab), "warning")


# -- what a node still lacks


def missing(lab, mode, stage="routes", name="n1"):
    return switch_gate.missing(lab.cluster, name, lab.nodes[name], mode, stage)


@pytest.mark.parametrize("mode", ["bgp", "cross_subnet", "vxlan"])
def test_a_node_of_the_mode_lacks_nothing(mode):
    lab = calico_lab(mode, mode)
    assert [text for name in lab.nodes for text in missing(lab, mode, name=name)] == []


@pytest.mark.parametrize(("now", "wanted", "words"), [("vxlan", "bgp", "No BGP route to"), ("bgp", "vxlan", "No route of Felix's to")])
def test_routes_of_the_other_mode_do_not_count(now, wanted, words):
    assert any(words in text for text in missing(calico_lab(now, now), wanted))


def test_sessions_are_asked_for_while_the_routes_are_still_those_of_the_tunnel():
    lab = calico_lab("vxlan", "bgp")
    assert missing(lab, "bgp", "sessions") == ["n1: BIRD does not answer."]
    lab.nodes["n1"]["bgp_sessions"] = []
    assert missing(lab, "bgp", "sessions") == ["n1: BIRD has no session."]
    lab.nodes["n1"]["bgp_sessions"] = [{"peer": "172.30.1.1", "state": "Active"}]
    assert "Sessions that are not Established: 172.30.1.1" in missing(lab, "bgp", "sessions")[0]
    lab.nodes["n1"]["bgp_sessions"] = [{"peer": "172.30.1.1", "state": "Established"}]
    assert missing(lab, "bgp", "sessions") == []


def test_a_mesh_needs_a_session_with_every_node():
    lab = calico_lab("bgp", "bgp_mesh")
    assert missing(lab, "bgp_mesh", "sessions") == ["n1: No session with n2, n3."]


def test_a_tunnel_has_to_know_every_node():
    lab = calico_lab("vxlan", "vxlan")
    lab.nodes["n1"]["fdb"].pop()
    assert missing(lab, "vxlan") == ["n1: vxlan.calico does not know n3."]
    lab.nodes["n1"]["vxlan"] = []
    assert missing(lab, "vxlan") == ["n1: There is no vxlan.calico."]


def test_facts_of_a_cluster_from_before_the_change_are_judged_by_the_wanted_mode():
    lab = calico_lab("bgp", "vxlan")
    lab.nodes["n1"]["vxlan"] = [{"name": "vxlan.calico"}]
    lab.nodes["n1"]["fdb"] = [{"device": "vxlan.calico", "destination": address} for address in ("172.30.2.12", "172.30.2.13")]
    lead_through_tunnel(lab.nodes["n1"])
    assert missing(lab, "vxlan") == []


def test_an_unknown_mode_or_stage_is_refused():
    with pytest.raises(ValueError, match="use one of bgp, bgp_mesh, cross_subnet, vxlan"):
        missing(calico_lab("bgp", "vxlan"), "ipip")
