# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan.reach import replug_reach


def node(number, zone="", **more):
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    return {"name": f"n{number}", "ready": True, "internal_ips": [f"172.30.1.{number}"], "labels": labels, **more}


def pod(number, last=5, name="web", **more):
    about = {"namespace": "shop", "name": f"{name}-{number}", "node": f"n{number}", "ip": f"10.244.{number}.{last}", "owner_kind": "ReplicaSet"}
    return {**about, "phase": "Running", "ready": True, "terminating": False, "host_network": False, **more}


def cluster(nodes, pods=()):
    return {"nodes": list(nodes), "pods": list(pods)}


def numbers(found):
    """Of the nodes whose own address is asked for."""
    return [int(address.rpartition(".")[2]) for address in found if address.startswith("172.")]


def test_a_node_and_a_pod_there_are_asked_for_and_own_addresses_come_first():
    found = replug_reach(cluster([node(1), node(2)], [pod(1), pod(2)]), "n1", ["192.0.2.1", "172.30.1.2"])
    assert found == ["192.0.2.1", "172.30.1.2", "10.244.2.5"]


def test_a_single_node_has_nobody_to_ask():
    assert replug_reach(cluster([node(1)], [pod(1)]), "n1") == []
    assert replug_reach({}, "n1", ["192.0.2.1"]) == ["192.0.2.1"]


def test_three_nodes_at_most_those_that_follow():
    nodes = [node(number) for number in (10, 2, 1, 9, 3, 4)]
    pods = [pod(number) for number in range(1, 11)]
    assert numbers(replug_reach(cluster(nodes, pods), "n3")) == [4, 9, 10]
    assert numbers(replug_reach(cluster(nodes, pods), "n9")) == [10, 1, 2]
    assert numbers(replug_reach(cluster(nodes, pods), "gone")) == [1, 2, 3]


def test_other_zones_come_first_and_each_of_them():
    nodes = [node(1, "a"), node(2, "a"), node(3, "b"), node(4, "b"), node(5, "c")]
    pods = [pod(number) for number in range(1, 6)]
    assert numbers(replug_reach(cluster(nodes, pods), "n1")) == [3, 5, 2]
    assert numbers(replug_reach(cluster(nodes, pods), "n3")) == [5, 1, 4]


def test_nodes_with_a_pod_come_first_and_one_without_is_asked_for_too():
    assert replug_reach(cluster([node(1), node(2), node(3)], [pod(3)]), "n1") == ["172.30.1.3", "10.244.3.5", "172.30.1.2"]


@pytest.mark.parametrize(
    "wrong",
    [{"ready": False}, {"internal_ips": []}, {"internal_ips": ["fd00::2"]}],
)
def test_nodes_that_cannot_answer_are_not_asked_for(wrong):
    assert replug_reach(cluster([node(1), node(2, **wrong)], [pod(2)]), "n1") == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"phase": "Succeeded"},
        {"ready": False},
        {"terminating": True},
        {"host_network": True},
        {"ip": None},
        {"ip": "fd00::5"},
        {"node": None},
    ],
)
def test_pods_that_cannot_answer_are_not_asked_for(wrong):
    assert replug_reach(cluster([node(1), node(2)], [pod(2, **wrong)]), "n1") == ["172.30.1.2"]


def test_pods_that_last_come_first_and_those_of_a_job_last():
    every = [
        pod(2, 1, "a", owner_kind="Job"),
        pod(2, 2, "b", owner_kind=None),
        pod(2, 4, "d", owner_kind="DaemonSet"),
        pod(2, 3, "c", owner_kind="StatefulSet"),
    ]
    asked = []
    while every:
        (address,) = [address for address in replug_reach(cluster([node(1), node(2)], every), "n1") if address.startswith("10.")]
        asked.append(address)
        every = [entry for entry in every if entry["ip"] != address]
    assert asked == ["10.244.2.3", "10.244.2.4", "10.244.2.2", "10.244.2.1"]


def test_the_order_of_what_was_read_does_not_matter():
    nodes, pods = [node(number) for number in (1, 2, 3)], [pod(2), pod(2, 9, "api"), pod(3)]
    assert replug_reach(cluster(nodes, pods), "n1") == replug_reach(cluster(reversed(nodes), reversed(pods)), "n1")
