# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The migration was refused because of the router, and nobody noticed."""

from __future__ import annotations

import json

import pytest
from podnet_lab.cluster_api import ClusterApi
from podnet_lab.lab import Lab
from podnet_molecule import results, snapshot
from podnet_molecule.load import Load, stop, summary
from podnet_molecule.playbook import Outcome

LOCK = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/podnet-cni-migration"
PEERS = "/apis/crd.projectcalico.org/v1/bgppeers"


@pytest.fixture(scope="module")
def refusal() -> Outcome:
    record = json.loads((results.folder() / "refusal.json").read_text(encoding="utf-8"))
    return Outcome(record["code"], record["output"])


@pytest.fixture(scope="module")
def after(lab: Lab) -> snapshot.Snapshot:
    return snapshot.take(lab)


@pytest.fixture(scope="module")
def before() -> snapshot.Snapshot:
    return snapshot.load(results.folder() / "before.json")


@pytest.fixture(scope="module")
def load(lab: Lab, after: snapshot.Snapshot) -> Load:
    """What the probers saw. They are stopped after the lab was looked at."""
    assert after
    return stop(lab)


def test_it_fails(refusal: Outcome) -> None:
    assert refusal.code == 2


def test_it_says_why_and_what_to_do(refusal: Outcome) -> None:
    for words in ("No pod was moved", "exports the node subnets", "unreachable", "export pod routes only"):
        assert words in refusal.text, refusal.output
    assert "Traceback" not in refusal.output


def test_no_pod_was_touched(before: snapshot.Snapshot, after: snapshot.Snapshot) -> None:
    assert before["cluster pods"]
    assert [line for line in before["cluster pods"] if line not in after["cluster pods"]] == []


def test_nodes_go_on_with_flannel(before: snapshot.Snapshot, after: snapshot.Snapshot, lab: Lab) -> None:
    for node in lab.nodes:
        for section in ("links", "tunnels", "neighbours", "forwarding-entries"):
            lost = [line for line in before[f"{node.name} {section}"] if line not in after[f"{node.name} {section}"]]
            assert lost == []
        assert [line for line in before[f"{node.name} routes"] if line not in after[f"{node.name} routes"]] == []
        first = min(line.split()[2] for line in after[f"{node.name} files"] if line.startswith("-") and "/etc/cni/net.d/" in line)
        assert first == "/etc/cni/net.d/10-flannel.conflist"


def test_no_route_of_bgp_is_left(after: snapshot.Snapshot, lab: Lab) -> None:
    for node in lab.nodes:
        routes = after[f"{node.name} routes"]
        assert [route for route in routes if "proto bird" in route and not route.startswith("blackhole")] == []
        assert [route for route in routes if route.startswith(("unreachable", "prohibit")) and ":" not in route] == []


def test_no_timer_waits(after: snapshot.Snapshot, lab: Lab) -> None:
    assert [line for node in lab.nodes for line in after[f"{node.name} units"] if not line.startswith("podnet-lab-")] == []


def test_every_node_is_schedulable(api: ClusterApi) -> None:
    assert [node["metadata"]["name"] for node in api.items("/api/v1/nodes") if node["spec"].get("unschedulable")] == []


def test_the_peers_were_removed(api: ClusterApi) -> None:
    assert api.items(PEERS) == []


def test_the_lock_is_free(api: ClusterApi) -> None:
    assert api.get_or_none(LOCK) is None


def test_nobody_noticed(load: Load, lab: Lab) -> None:
    assert (load["failed_requests"], len(load["failures"]), load["longest_outage_ms"]) == (0, 0, 0), summary(load)
    assert load["requests"] > 1000 * len(lab.nodes)
