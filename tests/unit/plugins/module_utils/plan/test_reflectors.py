# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes become route reflectors, what the peers are then, and in which order nodes are moved."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import plan, reflectors, rollback, texts
from ansible_collections.podnet.cni.plugins.module_utils._plan.settings import InvalidSettings, Settings
from ansible_collections.podnet.cni.tests.unit.fixtures.facts import Lab, moved_lab
from hypothesis import given
from hypothesis import strategies as st

LABEL = "podnet.cni/route-reflector"


def large(zones, control_planes=(), **settings):
    """A cluster with a node for each of the C(zones): n1 in the first and so on."""
    lab = Lab(**settings)
    template = lab.node("n1")
    lab.cluster["nodes"] = []
    for number, zone in enumerate(zones, 1):
        labels = {"topology.kubernetes.io/zone": zone} if zone else {}
        node = {**copy.deepcopy(template), "name": f"n{number}", "labels": labels, "control_plane": f"n{number}" in control_planes}
        lab.cluster["nodes"].append({**node, "pod_cidr": f"10.244.{number}.0/24", "internal_ip": f"172.30.1.{number}"})
    return lab


def chosen(lab):
    return reflectors.chosen(lab.situation)


@pytest.mark.parametrize(
    ("zones", "control_planes", "names"),
    [
        ("ab", (), ["n1", "n2"]),
        ("aaab", (), ["n1", "n4"]),
        ("aabbccdd", (), ["n1", "n3", "n5"]),
        ("aaaa", (), ["n1", "n2"]),
        ("aabb", ("n2", "n3"), ["n2", "n3"]),
        ("aabb", ("n1", "n2"), ["n1", "n3"]),
        (["", "", ""], (), ["n1", "n2"]),
        ("a", (), ["n1"]),
    ],
)
def test_automatic_takes_one_of_each_zone_and_control_planes_first(zones, control_planes, names):
    assert chosen(large(zones, control_planes, route_reflectors="auto")) == names


def test_nodes_that_are_not_ready_or_not_linux_are_none():
    lab = large("aabb", route_reflectors="auto")
    lab.node("n1")["ready"] = False
    lab.node("n3")["operating_system"] = "windows"
    assert chosen(lab) == ["n2", "n4"]


def test_availability_zones_of_aws_count_without_labels():
    lab = large([""] * 6, route_reflectors="auto")
    for number, node in enumerate(lab.cluster["nodes"]):
        node["provider_id"] = f"aws:///eu-west-1{'abc'[number // 2]}/i-{number}"
    assert chosen(lab) == ["n1", "n3", "n5"]
    assert [entry["zone"] for entry in plan.plan_migration(lab.cluster, lab.nodes, lab.settings)["nodes"]][::2] == [
        "eu-west-1a",
        "eu-west-1b",
        "eu-west-1c",
    ]


def test_those_that_are_reflectors_already_stay():
    lab = large("aabbcc", route_reflectors="auto")
    for name in ("n2", "n5"):
        lab.node(name)["labels"][LABEL] = "true"
    assert chosen(lab) == ["n2", "n5"]
    lab.node("n5")["ready"] = False
    assert chosen(lab) == ["n2", "n3", "n6"]


@given(st.lists(st.sampled_from(["", "a", "b", "c", "d"]), min_size=2, max_size=12), st.data())
def test_there_are_enough_in_as_many_zones_as_can_be_and_the_same_again(zones, data):
    lab = large(zones, route_reflectors="auto")
    for name in data.draw(st.sets(st.sampled_from([node["name"] for node in lab.cluster["nodes"]]), max_size=len(zones) - 2)):
        lab.node(name)["ready"] = False
    names = chosen(lab)
    ready = [node for node in lab.cluster["nodes"] if node["ready"]]
    zone = {node["name"]: lab.situation.zone_of(node) for node in ready}
    assert reflectors.LEAST <= len(names) <= reflectors.MOST
    assert len({zone[name] for name in names}) == min(len(names), len(set(zone.values())))
    lab.cluster["nodes"].reverse()
    assert chosen(lab) == names
    for name in names:
        lab.node(name)["labels"][LABEL] = "true"
    assert chosen(lab) == names


@pytest.mark.parametrize(
    ("given_value", "read"),
    [("auto", "auto"), (" Auto ", "auto"), ("off", "off"), (False, "off"), (None, "off"), ([], "off"), ("n3, n1", ("n3", "n1")), (["n1"], ("n1",))],
)
def test_the_setting_is_read_as_yaml_and_surveys_write_it(given_value, read):
    assert Settings.of({"route_reflectors": given_value}).route_reflectors == read


@pytest.mark.parametrize("given_value", [True, 3, [1, 2], {"n1": 1}])
def test_another_value_is_refused(given_value):
    with pytest.raises(InvalidSettings, match="podnet_route_reflectors: "):
        Settings.of({"route_reflectors": given_value})


def test_without_reflectors_peers_are_those_given():
    lab = Lab()
    assert reflectors.peers(lab.situation) == lab.settings["bgp_peers"]
    assert reflectors.node_settings(lab.situation) == []


def test_peers_without_a_selector_are_for_the_reflectors():
    router = {"name": "tor", "peer_ip": "172.30.1.1", "as_number": 64512}
    lab = Lab(
        route_reflectors=["n1", "n3"], bgp_peers=[router, {**router, "name": "n2", "node": "n2"}, {**router, "name": "out", "as_number": 65000}]
    )
    first, second, third, own = reflectors.peers(lab.situation)
    assert first == {**router, "node_selector": f"has({LABEL})"}
    assert second == {**router, "name": "n2", "node": "n2"}
    assert third == {**router, "name": "out", "as_number": 65000, "node_selector": f"has({LABEL})", "keep_original_next_hop": True}
    assert own == {"name": "podnet-route-reflectors", "node_selector": "all()", "peer_selector": f"has({LABEL})"}
    assert reflectors.node_settings(lab.situation) == [{"name": "n1", "cluster_id": "244.0.0.1"}, {"name": "n3", "cluster_id": "244.0.0.1"}]


def test_the_users_choice_of_the_next_hop_stays():
    router = {"name": "tor", "peer_ip": "172.30.1.1", "as_number": 65000, "keep_original_next_hop": False}
    lab = Lab(route_reflectors="auto", bgp_peers=[router])
    assert reflectors.peers(lab.situation)[0]["keep_original_next_hop"] is False


def test_it_is_the_as_of_the_reflectors_that_counts():
    router = {"name": "tor", "peer_ip": "172.30.1.1", "as_number": 64600}
    lab = Lab(route_reflectors="auto", bgp_peers=[router], as_number=64600, zone_as_numbers={"a": 64512, "b": 64512})
    assert reflectors.peers(lab.situation)[0]["keep_original_next_hop"] is True
    lab.settings["bgp_peers"] = [{**router, "as_number": "none"}]
    assert "keep_original_next_hop" not in reflectors.peers(lab.situation)[0]


def test_as_numbers_of_zones():
    lab = Lab(zone_as_numbers={"b": "1.10"})
    lab.node("n1")["annotations"]["projectcalico.org/ASNumber"] = "65001"
    assert [reflectors.as_number_of(lab.situation, lab.node(name)) for name in ("n1", "n2", "n3")] == ["65001", "1.10", "1.10"]
    assert reflectors.node_settings(lab.situation) == [{"name": "n2", "as_number": "1.10"}, {"name": "n3", "as_number": "1.10"}]
    assert reflectors.as_number_of(Lab().situation, Lab().node("n1")) == 64512


def test_nodes_behind_routers():
    lab = Lab()
    assert reflectors.behind_routers(lab.situation) == [("n1", "n2", "172.30.1.1"), ("n2", "n1", "172.30.2.1"), ("n3", "n1", "172.30.2.1")]
    del lab.nodes["n1"]
    lab.node("n1")["internal_ip"] = None
    assert reflectors.behind_routers(lab.situation) == []


def moves(lab):
    return plan.plan_migration(lab.cluster, lab.nodes, lab.settings)["batches"]


def test_reflectors_are_moved_last_and_never_all_in_one_batch():
    assert moves(Lab(route_reflectors=["n1", "n2"], serial=["100%"])) == [["n3", "n1"], ["n2"]]
    assert moves(Lab(route_reflectors=["n1", "n2"], serial=[1, 2])) == [["n3"], ["n1"], ["n2"]]
    lab = Lab(route_reflectors="auto", serial=[1])
    lab.node("n3")["control_plane"] = True
    assert moves(lab) == [["n2"], ["n1"], ["n3"]]


def test_a_reflector_that_a_run_has_left_in_between_comes_first_all_the_same():
    lab = Lab(route_reflectors=["n1", "n2"], serial=["100%"]).install_calico()
    lab.nodes["n2"]["pods"]["calico"] = [{"address": "10.244.1.9"}]
    assert moves(lab) == [["n2", "n3"], ["n1"]]


def test_what_is_left_of_the_reflectors_may_be_one_batch():
    lab = Lab(route_reflectors=["n1", "n2"], serial=["100%"]).install_calico().move("n1")
    assert moves(lab) == [["n3", "n2"]]


def test_on_the_way_back_they_are_last_as_well():
    lab = moved_lab(route_reflectors="off", serial=["100%"])
    for name in ("n1", "n3"):
        lab.node(name)["labels"][LABEL] = "true"
    assert rollback.plan_rollback(lab.cluster, lab.nodes, lab.settings)["batches"] == [["n2", "n1"], ["n3"]]


def test_the_plan_shows_them():
    lab = Lab(route_reflectors="auto", zone_as_numbers={"a": 64512})
    record = plan.plan_migration(lab.cluster, lab.nodes, lab.settings)
    assert record["reflectors"] == ["n1", "n2"]
    assert [peer["name"] for peer in record["bgp_peers"]] == ["tor-a", "tor-b", "podnet-route-reflectors"]
    assert record["settings"]["route_reflectors"] == "auto"
    shown = texts.plan_table(record)
    for words in (
        "nodes of zone a are AS 64512",
        "other nodes are AS 64512",
        "n1, n2 are route reflectors, and moved last",
        f"podnet-route-reflectors has({LABEL}), for all nodes",
        "Make n1, n2 the route reflectors of all nodes",
        "Create 3 BGPPeers",
    ):
        assert words in shown
    assert "REFUSED" not in shown
