# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.modules import calico_bgp_node
from ansible_collections.podnet.cni.tests.unit.fakes.kube import FakeKube

AS_NUMBER, CLUSTER_ID = "projectcalico.org/ASNumber", "projectcalico.org/RouteReflectorClusterID"
LABEL = "podnet.cni/route-reflector"
WANTED = [{"name": "n1", "as_number": "1.10", "cluster_id": None}, {"name": "n2", "as_number": None, "cluster_id": "244.0.0.1"}]


@pytest.fixture
def kube():
    cluster = FakeKube()
    for name in ("n1", "n2", "n3"):
        cluster.add("/api/v1/nodes", {"metadata": {"name": name, "labels": {"zone": "a"}, "annotations": {"other": "1"}}})
    return cluster


def run(kube, nodes, state="present", check_mode=False):
    return calico_bgp_node.Nodes(kube, {"nodes": nodes, "state": state}, check_mode).run()


def metadata(kube, name):
    found = kube.objects[f"/api/v1/nodes/{name}"]["metadata"]
    return found["annotations"], found["labels"]


def test_settings_are_written_beside_those_of_others(kube):
    results = run(kube, WANTED)
    assert (results["changed"], results["nodes"]) == (True, ["n1", "n2"])
    assert metadata(kube, "n1") == ({"other": "1", AS_NUMBER: "65546"}, {"zone": "a"})
    assert metadata(kube, "n2") == ({"other": "1", CLUSTER_ID: "244.0.0.1"}, {"zone": "a", LABEL: "true"})
    assert metadata(kube, "n3") == ({"other": "1"}, {"zone": "a"})
    assert results["diff"]["before"]["n2"] == {"annotations": {}, "labels": {}}
    assert results["diff"]["after"]["n2"] == {"annotations": {CLUSTER_ID: "244.0.0.1"}, "labels": {LABEL: "true"}}


def test_a_second_run_changes_nothing_and_check_mode_only_asks(kube):
    assert run(kube, WANTED, check_mode=True)["nodes"] == ["n1", "n2"]
    assert kube.writes() == []
    run(kube, WANTED)
    written = len(kube.writes())
    assert not run(kube, WANTED)["changed"]
    assert len(kube.writes()) == written


def test_one_that_is_not_given_stays(kube):
    run(kube, WANTED)
    assert run(kube, [{"name": "n1", "cluster_id": "244.0.0.2"}])["nodes"] == ["n1"]
    assert metadata(kube, "n1")[0] == {"other": "1", AS_NUMBER: "65546", CLUSTER_ID: "244.0.0.2"}


def test_absent_takes_all_of_it_away(kube):
    run(kube, WANTED)
    results = run(kube, [*WANTED, {"name": "n3"}], "absent")
    assert results["nodes"] == ["n1", "n2"]
    assert results["diff"]["after"]["n2"] == {"annotations": {}, "labels": {}}
    assert [metadata(kube, name) for name in ("n1", "n2")] == [({"other": "1"}, {"zone": "a"})] * 2
    assert not run(kube, WANTED, "absent")["changed"]


def test_a_node_that_is_not_there_is_refused_before_the_first_write(kube):
    with pytest.raises(calico_bgp_node.Failure, match="nodes: 'n9' is no node of the cluster; it has n1, n2, n3"):
        run(kube, [*WANTED, {"name": "n9", "as_number": 65000}])
    assert kube.writes() == []


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({}, "nodes[0]: 'n1' has no settings; give as_number or cluster_id"),
        ({"as_number": 1.1}, "nodes[0].as_number: '1.1' is not an AS number"),
        ({"as_number": 0}, "nodes[0].as_number: '0' is not in the range"),
        ({"cluster_id": "244.0.0"}, "nodes[0].cluster_id: '244.0.0' is not an IPv4 address"),
        ({"cluster_id": "244.0.0.0/24"}, "nodes[0].cluster_id: '244.0.0.0/24' is not an IPv4 address"),
    ],
)
def test_wrong_settings_are_named(node, words):
    (problem,) = calico_bgp_node.option_problems({"state": "present", "nodes": [{"name": "n1", **node}]})
    assert problem.startswith(words)


def test_a_node_is_named_once_and_absent_needs_no_settings():
    node = {"name": "n1", "as_number": 65000}
    (problem,) = calico_bgp_node.option_problems({"state": "present", "nodes": [node, node]})
    assert problem == "nodes[1].name: 'n1' is there twice; put its settings into one entry"
    assert calico_bgp_node.option_problems({"state": "absent", "nodes": [{"name": "n1"}, {"name": "n2", "as_number": 65000}]}) == []
