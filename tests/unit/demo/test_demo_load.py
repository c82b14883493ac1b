# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from podnet_demo import load


def workloads() -> list[dict[str, Any]]:
    values = {
        "server_source": 'print("</script> {{ x }}")\n',
        "web_replicas": 3,
        "node_port": 30080,
        "node_subnets": ["172.30.1.0/24", "172.30.2.0/24"],
    }
    return load.render("workloads.yml.j2", values)


def test_the_workloads_are_of_every_kind_that_a_migration_meets() -> None:
    kinds = [item["kind"] for item in workloads()]
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "Service", "PodDisruptionBudget", "NetworkPolicy"):
        assert kind in kinds


def test_programs_arrive_as_they_are() -> None:
    config = next(item for item in workloads() if item["kind"] == "ConfigMap")
    assert config["data"]["server.py"] == 'print("</script> {{ x }}")\n'


def test_policies_allow_nodes_and_clients_only() -> None:
    policies = {item["metadata"]["name"]: item["spec"] for item in workloads() if item["kind"] == "NetworkPolicy"}
    assert policies["forbidden"]["ingress"] == []
    sources = policies["web"]["ingress"][0]["from"]
    assert [source["ipBlock"]["cidr"] for source in sources if "ipBlock" in source] == ["172.30.1.0/24", "172.30.2.0/24"]


def test_the_probers_configuration_is_json_in_a_config_map() -> None:
    items = load.render("prober.yml.j2", {"prober_source": "x", "prober_config": {"targets": []}, "results": "/r"})
    assert json.loads(items[0]["data"]["config.json"]) == {"targets": []}


class Api:
    def __init__(self, **kinds: list[dict[str, Any]]) -> None:
        self.kinds = kinds

    def items(self, path: str) -> list[dict[str, Any]]:
        return self.kinds.get(path.rsplit("/", 1)[1], [])


def item(replicas: int | None, status: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "x", "generation": 2},
        "spec": {"replicas": replicas} if replicas else {},
        "status": {"observedGeneration": 2, **status},
    }


@pytest.mark.parametrize(
    ("kinds", "waiting"),
    [
        ({"deployments": [item(3, {"readyReplicas": 3})]}, []),
        ({"deployments": [item(3, {"readyReplicas": 2})]}, ["x"]),
        ({"statefulsets": [item(2, {"readyReplicas": 2, "observedGeneration": 1})]}, ["x"]),
        ({"daemonsets": [item(None, {"desiredNumberScheduled": 3, "numberReady": 3})]}, []),
        ({"daemonsets": [item(None, {"desiredNumberScheduled": 0, "numberReady": 0})]}, ["x"]),
    ],
)
def test_what_is_not_ready(kinds: dict[str, Any], waiting: list[str]) -> None:
    assert load.unready(Api(**kinds)) == waiting  # type: ignore[arg-type]


def test_pods_that_end_are_no_partners() -> None:
    good = {"metadata": {}, "status": {"podIP": "10.244.0.3"}}
    assert load.running([{"metadata": {"deletionTimestamp": "x"}, "status": {"podIP": "10.244.0.4"}}, {"metadata": {}, "status": {}}, good]) == [good]
