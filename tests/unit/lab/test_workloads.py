# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workloads' manifests and how their state is judged, without a cluster."""

from __future__ import annotations

import time
import types

import pytest
from podnet_lab import lab as lab_module
from podnet_lab import prober_control, topology, workloads
from prober import server

NODES = [{"spec": {"podCIDR": f"10.244.{number}.0/24"}} for number in range(3)]


class Api:
    def items(self, path, **_query):
        assert path == "/api/v1/nodes"
        return NODES


@pytest.fixture(scope="module")
def lab():
    return types.SimpleNamespace(topology=topology.load(lab_module.DEFAULT_TOPOLOGY), nodes=topology.load(lab_module.DEFAULT_TOPOLOGY).nodes)


@pytest.fixture(scope="module")
def found(lab):
    return workloads.objects(lab, Api())


def test_the_namespace_comes_first_and_each_object_once(found):
    assert found[0]["kind"] == "Namespace"
    keys = [(item["kind"], item["metadata"]["name"]) for item in found]
    assert len(keys) == len(set(keys))
    assert {item["metadata"].get("namespace") for item in found[1:]} == {"demo", "kube-system"}


def test_there_is_one_of_everything(found):
    kinds = [(item["kind"], item["metadata"]["name"]) for item in found]
    for key in (
        ("Deployment", "web"),
        ("StatefulSet", "store"),
        ("DaemonSet", "agent"),
        ("Service", "web"),
        ("Service", "web-nodeport"),
        ("Service", "web-pods"),
        ("PodDisruptionBudget", "web"),
        ("PodDisruptionBudget", "store"),
        ("PodDisruptionBudget", "coredns"),
        ("NetworkPolicy", "web"),
        ("NetworkPolicy", "forbidden"),
        ("ConfigMap", "scripts"),
    ):
        assert key in kinds


def test_selectors_select_the_pods_of_their_workload(found):
    labels = [item["spec"]["template"]["metadata"]["labels"] for item in found if "template" in item.get("spec", {})]
    for item in found:
        spec = item.get("spec", {})
        selector = spec.get("selector") or spec.get("podSelector")
        if selector and item["metadata"]["namespace"] == "demo":
            wanted = selector.get("matchLabels", selector)
            assert any(wanted.items() <= found_labels.items() for found_labels in labels), item["metadata"]["name"]


def test_the_policy_lets_nodes_in_by_every_address_that_they_use(found):
    (policy,) = [item for item in found if (item["kind"], item["metadata"]["name"]) == ("NetworkPolicy", "web")]
    (rule,) = policy["spec"]["ingress"]
    assert rule["from"][0] == {"podSelector": {}}
    assert [source["ipBlock"]["cidr"] for source in rule["from"][1:]] == [
        "172.30.1.0/24",
        "172.30.2.0/24",
        "10.244.0.0/31",
        "10.244.1.0/31",
        "10.244.2.0/31",
        "10.244.0.253/32",
        "10.244.1.253/32",
        "10.244.2.253/32",
    ]


def test_nobody_may_talk_to_the_forbidden_pod(found):
    (policy,) = [item for item in found if (item["kind"], item["metadata"]["name"]) == ("NetworkPolicy", "forbidden")]
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert "ingress" not in policy["spec"]


@pytest.mark.parametrize(("nodes", "replicas"), [(1, 3), (3, 3), (6, 6)])
def test_there_is_a_web_server_for_each_node(found, nodes, replicas):
    (deployment,) = [item for item in found if (item["kind"], item["metadata"]["name"]) == ("Deployment", "web")]
    fitted = workloads.fitted(deployment, [], nodes)
    assert fitted["spec"]["replicas"] == replicas
    assert fitted["spec"]["template"] == deployment["spec"]["template"]


def test_a_server_that_drains_is_not_ready_long_before_it_ends(found):
    for item in found:
        for container in item.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
            probe = container["readinessProbe"]
            drain = float(container["command"][container["command"].index("--drain-seconds") + 1])
            assert probe["periodSeconds"] * probe["failureThreshold"] <= drain / 4
            assert item["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > server.DRAIN_AT_MOST_SECONDS > drain


@pytest.mark.parametrize(
    ("allowed", "forbidden", "outcome", "words"),
    [
        ({"pod": True, "node": True}, {"pod": False, "node": False}, "denied", "answered nobody"),
        ({"pod": True, "node": True}, {"pod": True, "node": True}, "allowed", "answered a pod and a node"),
        ({"pod": True, "node": True}, {"pod": False, "node": True}, "allowed", "answered a node"),
        ({"pod": False, "node": True}, {"pod": False, "node": False}, "all denied", "A pod that"),
    ],
)
def test_a_policy_holds_only_while_it_lets_others_in(allowed, forbidden, outcome, words):
    found = workloads.judge_policy({"allowed": allowed, "forbidden": forbidden})
    assert (found["outcome"], found["holds"]) == (outcome, outcome == "denied")
    assert words in found["text"]


def workload(status, daemons=False, replicas=2):
    spec = {} if daemons else {"replicas": replicas}
    return {"metadata": {"name": "x", "generation": 2}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("item", "counts"),
    [
        (workload({}), (2, None)),
        (workload({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}), (2, None)),
        (workload({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 1}), (2, 1)),
        (workload({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}), (2, 2)),
        (workload({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "readyReplicas": 3}), (2, 0)),
        (workload({"observedGeneration": 2}, daemons=True), (0, None)),
        (workload({"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 1, "numberReady": 3}, daemons=True), (3, 1)),
        (workload({"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": 3}, daemons=True), (3, 3)),
    ],
)
def test_a_workload_is_ready_when_all_pods_are_in_its_newest_form(item, counts):
    assert workloads.pod_counts(item) == counts


def test_the_prober_gets_a_configuration_that_it_takes(lab):
    import importlib.util

    spec = importlib.util.spec_from_file_location("lab_prober", workloads.SCRIPTS / "prober.py")
    prober = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prober)
    for place in ("node", "pod"):
        config = prober.Config({"id": "x", **prober_control.config(lab, "run", place, "10.96.7.7")})
        assert {target.kind for target in config.targets} == set(prober.KINDS)
        assert all(target.interval <= 0.05 for target in config.targets if target.kind in ("clusterip", "nodeport", "pod"))
        assert config.timeout == 1.0


def test_a_new_run_makes_new_prober_pods():
    first, second = prober_control.daemonset("1"), prober_control.daemonset("2")
    assert first["spec"]["template"] != second["spec"]["template"]
    assert prober_control.daemonset("1") == first


def test_a_line_that_is_not_whole_yet_is_left_out(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": ')
    assert prober_control.read_lines(path) == [{"a": 1}]


def test_the_playbook_reads_the_counters_that_are_kept_in_a_file(tmp_path):
    from ansible_collections.podnet.cni.plugins.action.cni_show import read_probe

    latency = {"p50": 1.0, "p99": 1.0, "max": 1.0, "buckets": {}}
    counts = {"requests": 40, "failed": 2, "warmup_failed": 0, "skipped": 0, "stalled": 0, "failed_lookups": 0}
    kinds = {"clusterip": {**counts, "longest_outage_ms": 80.0, "outages": [], "latency_ms": latency}}
    summary = {"id": "node-n1", "node": "n1", "place": "node", "started": 1.0, "updated": 2.0, "ended": False, "cpu_seconds": 0.1}

    class Control(prober_control.ProberControl):
        def _summaries(self):
            return [{**summary, "longest_lag_ms": 0.0, "kinds": kinds}]

    path = tmp_path / "counters.json"
    control = Control(types.SimpleNamespace(state=tmp_path, nodes=[]))
    with control.live_file(path, seconds=0.01):
        deadline = time.monotonic() + 5
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert read_probe(str(path)) == {"failed": 2, "requests": 40}
    assert control.live()["stale"] == ["node-n1"]
