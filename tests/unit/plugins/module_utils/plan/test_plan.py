# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as a record: of a cluster that is untouched, partly moved, moved, cleaned and finished."""

from __future__ import annotations

import copy
import json

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import plan, steps
from ansible_collections.podnet.cni.plugins.module_utils._plan.batches import InvalidSerial
from ansible_collections.podnet.cni.plugins.module_utils._plan.settings import InvalidSettings, Settings
from ansible_collections.podnet.cni.tests.unit.fixtures.facts import POOL, Lab, moved_lab
from hypothesis import given
from hypothesis import strategies as st


def plan_of(lab):
    return plan.plan_migration(lab.cluster, lab.nodes, lab.settings)


def node_of(made, name):
    return next(node for node in made["nodes"] if node["name"] == name)


def moving(made):
    """Nodes of all batches."""
    return [name for batch in made["batches"] for name in batch]


def step_ids(made):
    return [step["id"] for step in made["cluster_steps"]]


def test_a_cluster_that_is_untouched():
    made = plan_of(Lab())
    assert (made["work"], made["blocked"], made["remove_flannel"], made["phases_done"]) == (True, False, True, [])
    assert made["batches"] == [["n1"], ["n2"], ["n3"]]
    assert made["pool"] == {"name": "podnet-pod-network", "cidr": "10.244.0.0/16", "block_size": 26, "nat_outgoing": True, "encapsulation": "none"}
    assert made["routing"]["name"] == "bgp" and not made["routing"]["tunnel"]
    assert made["cluster"]["flannel"] == {
        "daemonset": "kube-flannel/kube-flannel-ds",
        "configmap": "kube-flannel/kube-flannel-cfg",
        "image": "localhost/podnet-lab-tools:1",
        "backend": {"type": "vxlan", "vni": 1, "port": 8472},
    }
    assert (made["cluster"]["nodes"], made["cluster"]["zones"], made["cluster"]["pods"], made["cluster"]["calico"]) == (3, 2, 14, None)
    first = node_of(made, "n1")
    assert (first["state"], first["refused"], first["pods_to_evict"], first["pods_to_restart"]) == ("flannel", [], 3, 1)
    assert (first["blocks"][0], len(first["blocks"]), len(first["guard_routes"])) == ("10.244.0.0/26", 4, 8)
    assert [step["id"] for step in first["steps"]] == ["reserve", "evict", "switch", "restart", "prove", "uncordon"]
    assert step_ids(made) == [
        "definitions",
        "addresses",
        "peers",
        "calico",
        "prove",
        "move",
        "quiet",
        "flannel-daemonset",
        "flannel-nodes",
        "flannel-rest",
        "finish",
    ]


def test_every_step_that_restarts_or_removes_is_marked():
    cutting = {step["id"] for step in plan_of(Lab())["cluster_steps"] if step["cuts"]}
    assert cutting == {"move", "flannel-daemonset", "flannel-nodes", "flannel-rest"}
    assert [step["cuts"] for step in steps.node_steps(steps.Pods(0, 0), False)] == [False] * 6
    assert [step["cuts"] for step in steps.node_steps(steps.Pods(1, 1), False)] == [False, True, False, True, False, False]


def test_pods_that_move_as_they_run_are_neither_evicted_nor_restarted():
    made = plan_of(Lab(pod_move="replug"))
    first = node_of(made, "n1")
    assert (first["pods_to_evict"], first["pods_to_restart"], first["pods_to_replug"]) == (0, 0, 4)
    assert [step["id"] for step in first["steps"]] == ["cordon", "reserve", "switch", "replug", "prove", "uncordon"]
    assert not any(step["cuts"] for step in first["steps"])
    assert not next(step for step in made["cluster_steps"] if step["id"] == "move")["cuts"]
    assert "Move 4 running pods to Calico's network" in first["steps"][3]["title"]
    assert [step["id"] for step in steps.return_steps(steps.Pods(replug=2), True)] == ["cordon", "switch", "replug", "prove"]


def test_the_second_run_goes_on_where_the_first_was_stopped():
    lab = Lab().install_calico().move("n1")
    made = plan_of(lab)
    assert made["phases_done"] == ["beside"]
    assert made["batches"] == [["n2"], ["n3"]]
    assert (node_of(made, "n1")["state"], node_of(made, "n1")["steps"], node_of(made, "n1")["pods_to_evict"]) == ("calico", [], 0)
    assert node_of(made, "n1")["blocks"] == node_of(plan_of(Lab()), "n1")["blocks"]
    assert "Move 2 nodes in 2 batches" in next(step["title"] for step in made["cluster_steps"] if step["id"] == "move")


@pytest.mark.parametrize(
    "interrupt",
    [
        lambda lab: lab.nodes["n3"]["pods"].update(flannel=[{"address": "10.244.2.9"}]),
        lambda lab: lab.nodes["n3"].update(watchdog={"armed": True, "seconds_left": 9}),
        lambda lab: lab.node("n3")["annotations"].update({"podnet.cni/cordoned": "true"}),
    ],
    ids=["a pod on Flannel", "the timer armed", "our cordon"],
)
def test_a_node_that_was_left_in_between_is_moved_first(interrupt):
    lab = Lab().install_calico().move("n3")
    interrupt(lab)
    made = plan_of(lab)
    assert made["batches"][0] == ["n3"]
    assert node_of(made, "n3")["state"] == "moving"
    assert node_of(made, "n3")["steps"][-1]["id"] == "uncordon"
    assert "node-interrupted" in [finding["id"] for finding in made["findings"]]
    assert not made["blocked"]


def test_control_planes_are_moved_last():
    lab = Lab()
    lab.node("n1")["control_plane"] = True
    assert plan_of(lab)["batches"] == [["n2"], ["n3"], ["n1"]]


def test_nodes_are_moved_as_people_count():
    lab = Lab()
    for number in (10, 4):
        lab.cluster["nodes"].append({**lab.node("n3"), "name": f"n{number}", "pod_cidr": f"10.244.{number}.0/24"})
        lab.nodes[f"n{number}"] = lab.nodes["n3"]
    assert moving(plan_of(lab)) == ["n1", "n2", "n3", "n4", "n10"]


def test_when_all_nodes_have_moved_only_flannel_is_removed():
    made = plan_of(moved_lab())
    assert (made["work"], made["remove_flannel"], made["batches"]) == (True, True, [])
    assert made["phases_done"] == ["beside", "moved"]
    assert step_ids(made) == ["quiet", "flannel-daemonset", "flannel-nodes", "flannel-rest", "finish"]


def test_a_run_that_was_stopped_before_the_finish_goes_on():
    made = plan_of(moved_lab().remove_flannel())
    assert (made["work"], made["remove_flannel"]) == (True, True)
    assert made["phases_done"] == ["beside", "moved", "removed"]


@pytest.mark.parametrize(
    "left",
    [
        lambda lab: lab.calico["reservations"].append({"name": "podnet-flannel-n2", "cidrs": []}),
        lambda lab: lab.calico.update(bgp_configuration={"ignoredInterfaces": ["docker0", "flannel.*"]}),
        lambda lab: lab.node("n2")["labels"].update({"projectcalico.org/node-network-during-migration": "flannel"}),
        lambda lab: lab.nodes["n2"]["routes"].append({"destination": "10.244.1.0/27", "metric": 27127}),
        lambda lab: lab.nodes["n2"]["cni_configs"].append({"path": "/etc/cni/net.d/99-podnet-calico.conflist", "cni": "calico"}),
        lambda lab: lab.nodes["n2"].update(nft_tables=[{"family": "ip", "name": "flannel-ipv4", "owner": "flannel"}]),
    ],
    ids=["reservation", "ignored interface", "label", "guard route", "configuration", "nft table of Flannel's"],
)
def test_one_thing_that_is_left_is_work(left):
    lab = moved_lab().remove_flannel().finish()
    left(lab)
    assert plan_of(lab)["work"]


def test_a_finished_cluster_has_nothing_to_do():
    made = plan_of(moved_lab().remove_flannel().finish())
    assert (made["work"], made["remove_flannel"], made["blocked"], made["findings"]) == (False, False, False, [])
    assert made["phases_done"] == ["beside", "moved", "removed", "finished"]
    assert (made["cluster_steps"], made["batches"]) == ([], [])
    assert made["network"] == "10.244.0.0/16"


def test_flannel_stays_when_that_is_wanted():
    made = plan_of(Lab(remove_flannel=False))
    assert step_ids(made)[-1] == "move"
    assert not plan_of(moved_lab(remove_flannel=False))["work"]


def test_a_blocker_of_one_node_is_told_there_and_blocks_all():
    lab = Lab()
    lab.node("n2")["ready"] = False
    made = plan_of(lab)
    assert made["blocked"]
    assert [node["refused"] for node in made["nodes"]] == [[], ["node-not-ready"], []]


def test_what_may_pass_by_itself_is_worth_another_look():
    lab = Lab()
    lab.cluster["pod_disruption_budgets"][0].update(disruptions_allowed=0, current_healthy=2)
    made = plan_of(lab)
    assert (made["blocked"], made["may_pass"]) == (True, True)
    lab.node("n2")["ready"] = False
    made = plan_of(lab)
    assert (made["blocked"], made["may_pass"]) == (True, False)


def test_nothing_has_to_pass_when_nothing_blocks():
    made = plan_of(Lab())
    assert (made["blocked"], made["may_pass"]) == (False, False)


def test_a_node_without_facts_is_planned_as_refused():
    lab = Lab()
    del lab.nodes["n2"]
    made = plan_of(lab)
    assert (node_of(made, "n2")["state"], node_of(made, "n2")["refused"]) == ("unknown", ["node-unreachable"])
    assert "n2" in moving(made)


def test_facts_that_are_missing_for_some_nodes_never_look_finished():
    lab = moved_lab().remove_flannel().finish()
    del lab.nodes["n2"]
    made = plan_of(lab)
    assert made["phases_done"] == ["beside"]
    assert made["blocked"]


def test_a_node_of_ipv6_only_has_no_blocks():
    lab = Lab()
    lab.node("n2").update(pod_cidr="fd00:1::/64", pod_cidrs=["fd00:1::/64"])
    made = plan_of(lab)
    assert node_of(made, "n2")["blocks"] == []
    assert made["blocked"]


def test_an_existing_pool_is_used_under_its_name():
    lab = Lab()
    lab.calico["pools"] = [{**POOL, "name": "default-ipv4-ippool"}]
    assert plan_of(lab)["pool"]["name"] == "default-ipv4-ippool"


def test_masquerading_stays_as_flannel_did_it():
    lab = Lab()
    lab.flannel["ip_masq"] = False
    assert plan_of(lab)["pool"]["nat_outgoing"] is False


@pytest.mark.parametrize(
    ("pool", "nat"), [(POOL, True), ({**POOL, "natOutgoing": False}, False), ({k: v for k, v in POOL.items() if k != "natOutgoing"}, False)]
)
def test_once_flannel_is_gone_the_pool_tells_whether_it_masquerades(pool, nat):
    lab = moved_lab().remove_flannel()
    lab.calico["pools"] = [pool]
    assert plan_of(lab)["pool"]["nat_outgoing"] is nat


def test_a_cordon_of_the_administrator_is_kept():
    lab = Lab()
    lab.node("n2")["schedulable"] = False
    made = node_of(plan_of(lab), "n2")
    assert made["cordoned"]
    assert "uncordon" not in [step["id"] for step in made["steps"]]


def test_workloads_are_counted_for_the_gates():
    assert {"kind": "Deployment", "namespace": "podnet-demo", "name": "web", "ready": 3} in plan_of(Lab())["workloads"]


@given(st.randoms(use_true_random=False), st.sampled_from([Lab, moved_lab, lambda: Lab().install_calico().move("n2")]))
def test_the_same_facts_in_another_order_give_the_same_plan(random, make):
    lab = make()
    expected = plan_of(lab)
    facts = (copy.deepcopy(lab.cluster), copy.deepcopy(lab.nodes))
    assert plan_of(lab) == expected
    assert (lab.cluster, lab.nodes) == facts, "the facts were changed"
    for part in ("nodes", "pods", "pod_disruption_budgets"):
        random.shuffle(lab.cluster[part])
    names = list(lab.nodes)
    random.shuffle(names)
    lab.nodes = {name: lab.nodes[name] for name in names}
    assert plan_of(lab) == expected


@given(st.integers(1, 60), st.lists(st.one_of(st.integers(1, 9), st.sampled_from(["10%", "25%", "100%"])), min_size=1, max_size=3))
def test_every_node_that_is_to_be_moved_is_in_one_batch(number, serial):
    lab = Lab(serial=serial)
    template, facts = lab.node("n3"), lab.nodes["n3"]
    lab.cluster["nodes"] += [{**template, "name": f"m{index}", "pod_cidr": f"10.244.{index + 3}.0/24"} for index in range(number)]
    lab.nodes.update({f"m{index}": facts for index in range(number)})
    made = plan_of(lab)
    assert sorted(moving(made)) == sorted(lab.nodes)


def test_a_plan_is_plain_data():
    for lab in (Lab(), moved_lab(), moved_lab().remove_flannel().finish()):
        made = plan_of(lab)
        assert json.loads(json.dumps(made)) == made


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"serial": "none"}, ["podnet_serial: 'none'"]),
        ({"block_size": "large"}, ["podnet_block_size: 'large' is no number", "such as 26"]),
        ({"block_size": None}, ["podnet_block_size: 'None' is no number"]),
        ({"blocksize": 26}, ["settings: 'blocksize' is no setting", "block_size"]),
    ],
)
def test_settings_that_cannot_be_read(settings, words):
    with pytest.raises((InvalidSettings, InvalidSerial)) as error:
        Settings.of(settings)
    assert all(word in str(error.value) for word in words)
    assert isinstance(error.value, ValueError), "filters turn no other errors into clear ones"


def test_settings_are_echoed_without_the_hosts():
    settings = Settings.of({"serial": "2,50%", "block_size": "27", "bgp_peers": None, "hosts": {"n1": "a"}})
    assert settings.echo()["serial"] == [2, "50%"]
    assert settings.echo()["block_size"] == 27
    assert settings.echo()["bgp_peers"] == []
    assert "hosts" not in settings.echo()
    assert (settings.host_of("n1"), settings.host_of("n2")) == ("a", "n2")
