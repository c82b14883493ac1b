# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import node_state, workloads
from ansible_collections.podnet.cni.tests.unit.fixtures.facts import Lab, moved_lab, route

OURS = {"podnet.cni/cordoned": "true"}
NODE = {"annotations": {}}


def facts(active, flannel=0, calico=0, armed=False):
    pods = {"flannel": [{}] * flannel, "calico": [{}] * calico, "other": []}
    return {"active_cni": active and {"cni": active}, "pods": pods, "watchdog": {"armed": armed}}


@pytest.mark.parametrize(
    ("cluster_node", "node", "state"),
    [
        (NODE, None, "unknown"),
        (NODE, facts(None), "unknown"),
        (NODE, facts("cilium"), "unknown"),
        (NODE, facts("flannel", flannel=3), "flannel"),
        (NODE, facts("flannel", flannel=2, calico=1), "moving"),
        (NODE, facts("calico", calico=3), "calico"),
        (NODE, facts("calico"), "calico"),
        (NODE, facts("calico", flannel=1, calico=2), "moving"),
        (NODE, facts("calico", calico=3, armed=True), "moving"),
        ({"annotations": OURS}, facts("calico", calico=3), "moving"),
        ({"annotations": OURS}, facts("flannel", flannel=3), "flannel"),
        ({"annotations": None}, {"active_cni": {"cni": "calico"}}, "calico"),
    ],
)
def test_how_far_a_node_is(cluster_node, node, state):
    assert node_state.state_of(cluster_node, node) == state


def test_everything_of_flannel_is_a_trace_and_nothing_else():
    lab = Lab()
    traces = node_state.traces_of_flannel(lab.nodes["n1"])
    for trace in (
        "device flannel.1",
        "bridge cni0",
        "CNI configuration /etc/cni/net.d/10-flannel.conflist",
        "chain FLANNEL-POSTRTG in nft ip nat",
        "subnet.env",
    ):
        assert trace in traces
    assert any(trace.startswith("rule in nft ip nat POSTROUTING: ") and trace.endswith("-j FLANNEL-POSTRTG") for trace in traces)
    finished = moved_lab().remove_flannel().finish().nodes["n1"]
    assert node_state.traces_of_flannel(finished) == []
    assert node_state.traces_of_migration(finished) == []


@pytest.mark.parametrize(
    "left",
    [
        {
            "leftover_rules": [
                {"backend": "legacy", "family": "ip", "table": "nat", "chain": "POSTROUTING", "owner": "flannel", "rule": "-j MASQUERADE"}
            ]
        },
        {"nft_tables": [{"family": "ip", "name": "flannel-ipv4", "owner": "flannel"}]},
        {"links": [{"name": "flannel-v6.1"}]},
    ],
)
def test_one_trace_is_enough_to_go_on_removing(left):
    assert len(node_state.traces_of_flannel({**moved_lab().remove_flannel().nodes["n1"], **left})) == 1


def test_rules_and_chains_of_calico_are_no_trace_of_flannel():
    place = {"backend": "nft", "family": "ip", "table": "nat", "owner": "calico"}
    assert (
        node_state.traces_of_flannel({"leftover_chains": [{**place, "chain": "cali-X"}], "leftover_rules": [{**place, "chain": "X", "rule": ""}]})
        == []
    )


def test_what_the_migration_itself_left():
    node = {
        "routes": [route("10.244.1.0/27", None, "kernel", metric=27127), route("10.244.1.0/24", None, "kernel")],
        "cni_configs": [
            {"path": f"/etc/cni/net.d/{name}"} for name in ("00-podnet-calico.conflist", "10-calico.conflist", "99-podnet-calico.conflist")
        ],
    }
    assert node_state.traces_of_migration(node) == [
        "guard route 10.244.1.0/27",
        "CNI configuration 00-podnet-calico.conflist",
        "CNI configuration 99-podnet-calico.conflist",
    ]


def pod(name, **values):
    return {"namespace": "ns", "name": name, "node": "n1", "phase": "Running", "ready": True, "labels": {}, "owner_kind": None, **values}


def owned(name, kind, owner, **values):
    return pod(name, owner_kind=kind, owner_name=owner, **values)


def test_a_workload_is_named_as_people_do():
    rolled = owned("web-1", "ReplicaSet", "web-5c4448cc6", labels={"pod-template-hash": "5c4448cc6"})
    assert str(workloads.workload_of(rolled)) == "Deployment ns/web"
    assert str(workloads.workload_of(owned("rs-1", "ReplicaSet", "rs-5c4448cc6"))) == "ReplicaSet ns/rs-5c4448cc6"
    assert str(workloads.workload_of(owned("db-0", "StatefulSet", "db"))) == "StatefulSet ns/db"
    assert workloads.workload_of(pod("bare")) is None


def test_both_revisions_of_a_deployment_are_one_workload():
    pods = [owned(f"web-{digest}", "ReplicaSet", f"web-{digest}", labels={"pod-template-hash": digest}, ready=digest == "a") for digest in "ab"]
    assert workloads.ready_counts(pods) == [{"kind": "Deployment", "namespace": "ns", "name": "web", "ready": 1}]


def test_what_is_counted_and_what_is_not():
    pods = [
        owned("agent-1", "DaemonSet", "agent", host_network=True),
        owned("job-1", "Job", "job"),
        owned("old", "StatefulSet", "db", phase="Failed"),
        owned("kube-proxy", "Node", "n1", mirror=True),
        pod("bare"),
    ]
    assert workloads.ready_counts(pods) == [{"kind": "DaemonSet", "namespace": "ns", "name": "agent", "ready": 1}]


def test_each_pod_of_a_node_is_evicted_or_restarted_or_left_alone():
    pods = [
        owned("web-1", "ReplicaSet", "web"),
        pod("bare"),
        owned("agent-1", "DaemonSet", "agent"),
        owned("proxy-1", "DaemonSet", "proxy", host_network=True),
        pod("static", mirror=True),
        owned("done", "Job", "job", phase="Succeeded"),
        owned("starting", "ReplicaSet", "web", phase="Pending", ready=False),
        owned("elsewhere", "ReplicaSet", "web", node="n2"),
        owned("nowhere", "ReplicaSet", "web", node=None),
    ]
    assert [item["name"] for item in workloads.to_evict(pods, "n1")] == ["web-1", "bare", "starting"]
    assert [item["name"] for item in workloads.to_restart(pods, "n1")] == ["agent-1"]


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "db"}}, False),
        ({"matchLabels": {"app": "db"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "other", "operator": "NotIn", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "other", "operator": "DoesNotExist"}]}, True),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "other", "operator": "Exists"}]}, False),
    ],
)
def test_label_selectors_of_the_api(selector, matches):
    assert workloads.selector_matches(selector, {"app": "web"}) is matches
