# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of the way back: which nodes go, what forbids it, and how it is told."""

from __future__ import annotations

import json

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_resources import TUNNEL_ANNOTATION
from ansible_collections.podnet.cni.plugins.module_utils._plan import gate, node_state, report, rollback, texts
from ansible_collections.podnet.cni.plugins.module_utils._plan.settings import InvalidSettings
from ansible_collections.podnet.cni.tests.unit.fixtures.facts import Lab, moved_lab, route

REMOVAL = ["bypass", "calico-daemonset", "calico-nodes", "calico-rest"]


def back(lab, **settings):
    return rollback.plan_rollback(lab.cluster, lab.nodes, {**lab.settings, **settings})


def ids(made, severity=None):
    return {finding["id"] for finding in made["findings"] if severity in (None, finding["severity"])}


def going(made):
    return [name for batch in made["batches"] for name in batch]


def test_all_nodes_go_back_unless_some_are_named():
    made = back(moved_lab(remove_flannel=False))
    assert (made["direction"], made["work"], made["blocked"]) == ("flannel", True, False)
    assert going(made) == ["n1", "n2", "n3"]
    assert [step["id"] for step in made["cluster_steps"]] == ["move", *REMOVAL]
    assert [step["id"] for step in made["nodes"][0]["steps"]] == ["evict", "switch", "restart", "prove", "uncordon"]
    json.dumps(made)


@pytest.mark.parametrize("given", [["n3"], "n3", " n3 , "])
def test_named_nodes_only(given):
    made = back(moved_lab(remove_flannel=False), return_nodes=given)
    assert going(made) == ["n3"]
    assert "return-some-stay" in ids(made, "warning")
    assert [node["pods_to_evict"] > 0 for node in made["nodes"]] == [False, False, True]


def test_names_that_cannot_be_read():
    with pytest.raises(InvalidSettings, match=r"podnet_return_nodes: '7' is no list of node names; give names such as \[n1, n2\]"):
        back(moved_lab(), return_nodes=7)


def test_a_name_that_is_no_node():
    made = back(moved_lab(remove_flannel=False), return_nodes=["n9"])
    (finding,) = [finding for finding in made["findings"] if finding["severity"] == "blocker"]
    assert finding["id"] == "return-node-unknown"
    assert "podnet_return_nodes names n9; the cluster has n1, n2, n3." in finding["evidence"]


@pytest.mark.parametrize("settings", [{"keep_calico": True}, {"return_nodes": ["n1", "n2", "n3"]}])
def test_calico_stays_if_asked_to_or_if_nodes_are_named(settings):
    made = back(moved_lab(remove_flannel=False), **settings)
    assert (made["work"], made["remove_calico"]) == (True, False)
    assert [step["id"] for step in made["cluster_steps"]] == ["move"]
    assert "Calico stays beside Flannel" in " ".join(texts.plan_table(made).split())


def test_calico_beside_flannel_is_removed_when_no_node_has_moved():
    made = back(Lab().install_calico())
    assert (going(made), made["work"], made["blocked"], made["remove_calico"]) == ([], True, False, True)
    assert [step["id"] for step in made["cluster_steps"]] == REMOVAL
    assert "Verdict: can be done; all chosen nodes are on Flannel, Calico is still to be removed." in texts.plan_table(made)


def test_a_removal_that_stopped_in_between_goes_on():
    lab = Lab()
    lab.nodes["n2"]["leftover_chains"] = [{"owner": "calico", "backend": "nft", "family": "ip", "table": "filter", "chain": "cali-INPUT"}]
    lab.node("n2")["network_unavailable"] = True
    made = back(lab)
    assert (made["work"], made["blocked"], made["remove_calico"]) == (True, False, True)


def test_calico_is_not_removed_while_flanneld_is_not_ready():
    lab = Lab().install_calico()
    flanneld = next(pod for pod in lab.cluster["pods"] if pod["namespace"] == "kube-flannel" and pod["node"] == "n2")
    flanneld["ready"] = False
    assert ids(back(lab), "blocker") == {"return-flannel-not-ready"}


def removed_lab(**backup):
    """All is on Calico, Flannel is gone, and the journal has kept it."""
    lab = moved_lab().remove_flannel()
    kept = {"daemonset": "kube-flannel/kube-flannel-ds", "network": "10.244.0.0/16", "backend_type": "vxlan"}
    lab.cluster["flannel_backup"] = {**kept, "cni_config_names": ["10-flannel.conflist"], **backup}
    return lab


def test_flannel_is_put_back_before_nodes_go_back():
    made = back(removed_lab())
    assert (made["blocked"], made["restore_flannel"], made["remove_calico"]) == (False, True, True), made["findings"]
    assert [step["id"] for step in made["cluster_steps"]] == ["reserve", "restore", "move", *REMOVAL]
    assert "removed; it is put back from the journal" in texts.plan_table(made)


def test_pods_with_addresses_of_flannels_own_are_restarted_first():
    lab = removed_lab()
    first = lab.pods_of("n1")[0]
    first.update(ip="10.244.0.1", host_network=False)
    other = lab.pods_of("n2")[0]
    other.update(ip="10.244.2.77", host_network=False)
    made = back(lab)
    assert {node["name"]: node["misplaced"] for node in made["nodes"]} == {"n1": ["10.244.0.1"], "n2": ["10.244.2.77"], "n3": []}
    assert "return-addresses-drifted" in ids(made, "warning")
    assert [step["title"] for step in made["cluster_steps"]][1] == "Restart 2 pods whose addresses belong to Flannel, on Calico"


def test_blocks_that_another_node_has_are_not_claimed_but_kept_free():
    lab = removed_lab()
    lab.calico["affinities"] = [{"cidr": "10.244.0.64/26", "node": "n3"}, {"cidr": "10.244.0.0/26", "node": "n1"}]
    made = back(lab)
    assert made["foreign_blocks"] == ["10.244.0.64/26"]
    assert made["nodes"][0]["blocks"] == ["10.244.0.0/26", "10.244.0.128/26", "10.244.0.192/26"]


@pytest.mark.parametrize(
    ("backup", "expected"),
    [
        ({"network": "10.99.0.0/16"}, "return-network-differs"),
        ({"network": None}, "return-network-differs"),
        ({"cni_config_names": ["05-flannel.conflist"]}, "return-configuration-first"),
    ],
)
def test_a_flannel_that_would_not_fit_any_more(backup, expected):
    made = back(removed_lab(**backup))
    assert expected in ids(made, "blocker")
    assert made["blocked"]


def test_a_node_without_a_podcidr():
    lab = removed_lab()
    lab.node("n2")["pod_cidr"] = None
    made = back(lab)
    assert "return-no-podcidr" in ids(made, "blocker")
    assert made["nodes"][1]["misplaced"] == []


def test_a_cluster_on_flannel_has_nothing_to_go_back_from():
    made = back(Lab())
    assert (made["work"], made["blocked"], made["findings"]) == (False, False, [])


def test_flannel_that_is_gone():
    made = back(moved_lab().remove_flannel())
    assert "return-flannel-gone" in ids(made, "blocker")


def test_flanneld_that_is_not_ready():
    lab = moved_lab(remove_flannel=False)
    flanneld = next(pod for pod in lab.cluster["pods"] if pod["namespace"] == "kube-flannel" and pod["node"] == "n2")
    flanneld["ready"] = False
    assert "return-flannel-not-ready" in ids(back(lab), "blocker")


def test_policies_that_end():
    lab = moved_lab(remove_flannel=False)
    lab.cluster["network_policies"] = [{"namespace": "demo", "name": "web"}]
    found = ids(back(lab), "warning")
    assert "network-policies-end" in found
    assert "network-policies-begin" not in found


def test_a_node_that_was_left_cordoned_goes_on():
    lab = Lab()
    lab.node("n2")["annotations"] = {**(lab.node("n2").get("annotations") or {}), node_state.CORDONED_BY_US: "true"}
    lab.node("n2")["schedulable"] = False
    assert going(back(lab)) == ["n2"]


@pytest.mark.parametrize(("guarded", "expected"), [(True, []), (False, ["n2"])])
def test_a_node_that_was_restarted_without_its_guard_routes(guarded, expected):
    lab = Lab()
    routes = [{"destination": "10.244.1.0/26", "type": "blackhole", "protocol": "bird"}]
    routes += [{"destination": "10.244.1.0/27", "type": "unicast", "metric": node_state.GUARD_METRIC}] if guarded else []
    lab.nodes["n2"]["routes"] = [*lab.nodes["n2"].get("routes", []), *routes]
    assert going(back(lab)) == expected


def test_the_plan_is_told():
    text = texts.plan_table(back(moved_lab(remove_flannel=False), return_nodes=["n3"]))
    assert text.startswith("Rollback plan: Calico back to Flannel")
    assert "1 node to bring back in 1 batch, Calico stays beside Flannel" in " ".join(text.split())
    assert text.count("| stays") == 2
    assert "BGP " not in text.partition("Findings")[0].replace("Calico BGP", "")
    assert "the timer that restores Flannel" not in text


def test_the_gate_wants_flannel():
    lab = moved_lab(remove_flannel=False)
    plan = back(lab)
    found = {finding.id for finding in gate.gate_findings(lab.cluster, lab.nodes, plan)}
    assert {"gate-not-on-flannel", "gate-pods-on-calico"} <= found
    assert not {"gate-not-on-calico", "gate-pods-on-flannel"} & found


def test_the_gate_wants_the_node_in_service():
    lab = Lab()
    plan = back(lab)
    lab.node("n1")["annotations"] = {node_state.CORDONED_BY_US: "true"}
    found = {finding.id for finding in gate.gate_findings(lab.cluster, lab.nodes, plan)}
    assert "gate-returned-cordoned" in found
    assert not {"gate-not-on-flannel", "gate-pods-on-calico"} & found


def test_the_report_has_the_nodes_that_went_back():
    phases = [{"phase": "evict", "seconds": 2.0}]
    records = {
        "n1": {"name": "n1", "phase": "returned", "phases": phases, "seconds": 2.0},
        "n2": {"phase": "moved", "phases": phases},
        "n3": {"phase": "return-failed", "failed": "n3: no answer"},
    }
    made = report.migration_report(back(moved_lab(remove_flannel=False)), {"run": {}, "nodes": records})
    assert [node["name"] for node in made["nodes"]] == ["n1"]
    assert made["failed_nodes"] == [{"name": "n3", "failed": "n3: no answer"}]
    told = " ".join(texts.report_table(made).split())
    assert "1 node brought back" in told
    assert "Calico was removed; its resources are in the journal." in told
    kept = {**made, "nodes": [], "plan": {**made["plan"], "remove_calico": False}}
    assert texts.report_table(kept) == "No node was brought back."
    assert texts.report_table({**kept, "plan": {"restore_flannel": True}}) == "No node was brought back. Flannel was put back."


TUNNELS = {"n1": "10.244.0.253", "n2": "10.244.1.253", "n3": "10.244.2.253"}
VXLAN_MODES = {"cross_subnet": "CrossSubnet", "vxlan": "Always"}


def tunnelled(lab, mode="vxlan", **tunnels):
    """Calico in a mode with a tunnel on every node."""
    lab.calico["pools"][0]["vxlanMode"] = VXLAN_MODES[mode]
    for name, address in {**TUNNELS, **tunnels}.items():
        lab.node(name)["annotations"] = {**(lab.node(name).get("annotations") or {}), TUNNEL_ANNOTATION: address}
    return lab


@pytest.mark.parametrize("mode", sorted(VXLAN_MODES))
@pytest.mark.parametrize("lab", [lambda: moved_lab(remove_flannel=False), removed_lab])
def test_the_address_of_a_tunnel_is_kept_from_flannel(mode, lab):
    made = back(tunnelled(lab(), mode))
    assert ids(made, "blocker") == ({"return-routing-not-tried"} if mode == "cross_subnet" else set())
    assert {node["name"]: node["tunnel"]["address"] for node in made["nodes"]} == TUNNELS
    assert (made["routing"]["name"], made["guard_connections"]) == (mode, True)


def test_nobody_says_again_how_calico_leads_packets():
    assert back(tunnelled(moved_lab()), routing="bgp")["routing"]["name"] == "vxlan"
    assert back(moved_lab(), routing="vxlan")["routing"]["name"] == "bgp"
    assert back(Lab(), routing="vxlan")["routing"]["name"] == "vxlan"


def test_a_tunnel_without_an_address_gets_none():
    lab = tunnelled(moved_lab(remove_flannel=False))
    del lab.node("n2")["annotations"][TUNNEL_ANNOTATION]
    made = back(lab)
    assert [node["tunnel"] and node["tunnel"]["address"] for node in made["nodes"]] == ["10.244.0.253", None, "10.244.2.253"]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("10.244.1.0", "10.244.1.0 (of Flannel's own devices)"),
        ("10.244.1.1", "10.244.1.1 (of Flannel's own devices)"),
        ("10.244.2.80", "10.244.2.80 (in the podCIDR of n3)"),
    ],
)
def test_a_tunnel_with_an_address_that_flannel_needs(address, reason):
    made = back(tunnelled(removed_lab(), n2=address))
    (finding,) = [finding for finding in made["findings"] if finding["severity"] == "blocker"]
    assert (finding["id"], finding["evidence"]) == ("return-tunnel-address", f"Address of Calico's tunnel: n2: {reason}.")


def test_a_tunnel_with_the_address_of_a_pod_on_flannel():
    lab = tunnelled(Lab().install_calico().move("n1"))
    (pod, *_others) = lab.nodes["n2"]["pods"]["flannel"]
    assert "return-tunnel-address" in ids(back(tunnelled(lab, n2=pod["address"])), "blocker")


def test_a_tunnel_outside_of_every_podcidr_is_in_nobodys_way():
    assert "return-tunnel-address" not in ids(back(tunnelled(moved_lab(remove_flannel=False), n2="10.99.0.1")))


def test_a_mesh_has_no_tunnel():
    lab = removed_lab()
    lab.calico["bgp_configuration"] = {"nodeToNodeMeshEnabled": True}
    made = back(lab)
    assert (made["routing"]["name"], made["routing"]["backend"], made["guard_connections"]) == ("bgp_mesh", "bird", False)
    assert [node["tunnel"] for node in made["nodes"]] == [None, None, None]


@pytest.mark.parametrize("lab", [removed_lab, lambda: moved_lab(remove_flannel=False), lambda: Lab().install_calico()])
def test_a_way_back_that_nobody_has_gone_in_the_lab_is_refused(lab):
    """Also when only Calico is left to be removed."""
    mesh = lab()
    mesh.calico["bgp_configuration"] = {"nodeToNodeMeshEnabled": True}
    assert "return-routing-not-tried" in ids(back(mesh), "blocker")


@pytest.mark.parametrize(
    ("lab", "settings", "guarded"),
    [
        (moved_lab, {}, False),
        (moved_lab, {"pod_move": "replug"}, True),
        (lambda: Lab().install_calico(), {"pod_move": "replug"}, False),
        (lambda: tunnelled(Lab().install_calico()), {}, True),
        (lambda: tunnelled(Lab().install_calico()), {"keep_calico": True}, False),
    ],
)
def test_connections_are_guarded_where_their_interface_changes(lab, settings, guarded):
    assert back(lab(), **settings)["guard_connections"] is guarded


def test_routes_of_felix_are_traces():
    lab = Lab()
    lab.nodes["n2"]["routes"].append(route("10.244.0.0/26", "172.30.1.11", "80"))
    assert back(lab)["remove_calico"]
