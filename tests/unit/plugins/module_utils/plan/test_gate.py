# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate after a batch: what must stop the run, and what must not."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import gate, plan
from ansible_collections.podnet.cni.tests.unit.fixtures.facts import Lab


class Batch:
    """The batch of n1, of a cluster of which the plan was made before: everything as it should be."""

    def __init__(self):
        self.plan = plan.plan_migration(Lab().cluster, Lab().nodes, Lab().settings)
        self.lab = Lab().install_calico().move("n1")
        self.facts = self.lab.nodes["n1"]
        self.node = self.lab.node("n1")

    def findings(self, settled=True, names=("n1",)):
        """Id, severity and subject of each."""
        return [(found.id, found.severity, found.subject) for found in self.found(settled, names)]

    def found(self, settled=True, names=("n1",)):
        return gate.gate_findings(self.lab.cluster, {name: self.lab.nodes[name] for name in names}, self.plan, settled)


@pytest.fixture
def batch():
    return Batch()


def test_a_batch_that_was_moved_passes(batch):
    assert batch.findings() == []
    assert batch.findings(names=()) == []


def back_on_flannel(batch):
    batch.facts["active_cni"] = {"cni": "flannel"}


def no_cni(batch):
    batch.facts["active_cni"] = None


def pod_on_flannel(batch):
    batch.facts["pods"]["flannel"] = [{"address": "10.244.0.16"}]


def timer(batch):
    batch.facts["watchdog"] = {"armed": True, "seconds_left": 41}


def our_cordon(batch):
    batch.node["annotations"]["podnet.cni/cordoned"] = "true"
    batch.node["schedulable"] = False


def node_down(batch):
    batch.node["ready"] = False


def other_node_down(batch):
    batch.lab.node("n3")["ready"] = False


def calico_node_down(batch):
    batch.lab.calico["daemonset"]["ready_nodes"].remove("n1")


def calico_node_down_elsewhere(batch):
    batch.lab.calico["daemonset"]["ready_nodes"].remove("n2")


def no_calico(batch):
    batch.lab.calico["daemonset"] = None


def flanneld_down(batch):
    batch.lab.pod("kube-flannel-ds-5s5gs")["ready"] = False
    batch.plan["workloads"] = []  # as a workload it is short of a pod too


def joined(batch):
    batch.lab.cluster["nodes"].append({**batch.node, "name": "n4"})


def unreachable(batch):
    batch.facts["routes"].append({**batch.facts["routes"][0], "destination": "10.244.1.0/26", "protocol": "bird", "type": "unreachable"})


def exported(batch):
    batch.facts["routes"].append({**batch.facts["routes"][0], "destination": "172.30.2.0/24", "protocol": "bird"})


def session_down(batch):
    batch.lab.calico["sessions"] = [{"node": "n1", "peer": "172.30.1.1", "state": "Active"}]


class Case(t.NamedTuple):
    """What is wrong, and what the gate must say of it, settled or not."""

    change: t.Callable[[Batch], None]
    id: str
    subject: str
    evidence: str


CASES = [
    Case(back_on_flannel, "gate-not-on-calico", "node n1", "The active CNI is flannel."),
    Case(no_cni, "gate-not-on-calico", "node n1", "The active CNI is none."),
    Case(pod_on_flannel, "gate-pods-on-flannel", "node n1", "1 pod still on Flannel's bridge: 10.244.0.16."),
    Case(timer, "gate-timer-armed", "node n1", "The timer that restores Flannel is armed, 41 s left."),
    Case(our_cordon, "gate-still-cordoned", "node n1", "The node is still cordoned by this migration."),
    Case(node_down, "gate-node-not-ready", "node n1", "1 node of the batch not Ready now."),
    Case(other_node_down, "gate-node-not-ready", "node n3", "1 node of the cluster not Ready now."),
    Case(calico_node_down, "gate-calico-not-ready", "node n1", "calico-node is not Ready there."),
    Case(calico_node_down_elsewhere, "gate-calico-not-ready", "node n2", "calico-node is not Ready there."),
    Case(no_calico, "gate-calico-not-ready", "nodes n1, n2, n3", "The cluster has no DaemonSet of calico-node."),
    Case(flanneld_down, "gate-flannel-not-ready", "node n2", "flanneld (DaemonSet kube-flannel/kube-flannel-ds) is not Ready there."),
    Case(joined, "gate-node-joined", "node n4", "1 node joined the cluster after the plan was made."),
    Case(unreachable, "route-unreachable", "node n1", "unreachable 10.244.1.0/26 proto bird."),
    Case(exported, "router-exports-node-subnets", "node n1", "n1 has BGP routes to the addresses of other nodes"),
    Case(session_down, "bgp-session-down", "node n1", "The session with 172.30.1.1 is Active"),
]


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.change.__name__)
def test_what_stops_the_run_at_once(batch, case, settled):
    case.change(batch)
    found = batch.found(settled)
    assert [(item.id, item.severity, item.subject) for item in found] == [(case.id, "blocker", case.subject)]
    assert found[0].evidence.startswith(case.evidence)
    assert found[0].why.endswith(".")
    assert found[0].remedy.endswith((".", "`."))


def web_not_ready(batch):
    pod = batch.lab.pod("web-7bd7c4965f-4dn7j")
    pod.update(ready=False, node=None)


def no_route_to_the_block_of_another(batch):
    batch.lab.move("n2")
    batch.facts["routes"] = [entry for entry in batch.facts["routes"] if entry["destination"] != "10.244.1.0/26"]


SETTLING = [
    Case(
        web_not_ready, "gate-pods-not-ready", "Deployment podnet-demo/web", "2 of 3 pods are Ready; waiting for web-7bd7c4965f-4dn7j on no node yet."
    ),
    Case(no_route_to_the_block_of_another, "block-route-missing", "node n1", "No BGP route to 10.244.1.0/26 of n2."),
]


@pytest.mark.parametrize("case", SETTLING, ids=lambda case: case.change.__name__)
def test_what_may_take_a_moment_stops_the_run_only_when_it_does_not_settle(batch, case):
    case.change(batch)
    assert batch.findings(settled=False) == [(case.id, "warning", case.subject)]
    assert batch.findings(settled=True) == [(case.id, "blocker", case.subject)]
    assert batch.found()[0].evidence == case.evidence


def test_a_cordon_of_somebody_else_is_told_and_does_not_stop(batch):
    batch.node["schedulable"] = False
    assert batch.findings() == [("gate-cordoned-meanwhile", "warning", "node n1")]
    batch.plan["nodes"][0]["cordoned"] = True
    assert batch.findings() == []


def test_a_node_that_left_the_cluster_does_not_stop(batch):
    batch.lab.cluster["nodes"] = [node for node in batch.lab.cluster["nodes"] if node["name"] != "n3"]
    assert batch.findings() == [("gate-node-gone", "warning", "node n3")]


def test_flanneld_is_not_asked_for_once_flannel_is_gone(batch):
    batch.lab.remove_flannel()
    assert batch.findings() == []


def test_nodes_that_never_had_flanneld_do_not_need_it(batch):
    batch.lab.flannel["daemonset"]["desired"] = 2
    flanneld_down(batch)
    assert batch.findings() == []


@pytest.mark.parametrize(
    "change",
    [
        lambda pods: [pod for pod in pods if not pod["name"].startswith("web")],
        lambda pods: [pod for pod in pods if pod["name"] != "web-7bd7c4965f-4dn7j"],
        lambda pods: [{**pod, "terminating": True, "ready": False} if pod["name"] == "web-7bd7c4965f-4dn7j" else pod for pod in pods],
        lambda pods: [*pods, {**pods[-1], "name": "web-new", "uid": "new", "ready": False}],
    ],
    ids=["deleted", "scaled down", "on its way out", "scaled up"],
)
def test_what_the_owner_of_a_workload_changed_meanwhile_does_not_stop(batch, change):
    batch.lab.cluster["pods"] = change(batch.lab.cluster["pods"])
    assert batch.findings() == []


def test_a_workload_that_was_not_ready_before_does_not_stop():
    batch = Batch()
    batch.plan["workloads"] = [{**entry, "ready": 0} for entry in batch.plan["workloads"]]
    for pod in batch.lab.cluster["pods"]:
        if pod["name"].startswith("web"):
            pod["ready"] = False
    assert batch.findings() == []


def test_rows_for_people(batch):
    pod_on_flannel(batch)
    (row,) = gate.gate_rows(batch.lab.cluster, {"n1": batch.facts}, batch.plan)
    assert row == {
        "node": "n1",
        "ready": True,
        "schedulable": True,
        "cni": "calico",
        "calico_node": True,
        "pods_calico": 4,
        "pods_flannel": 1,
        "calico_routes": 0,
        "refused": ["gate-pods-on-flannel"],
    }


def test_rows_of_a_node_that_is_gone(batch):
    batch.lab.cluster["nodes"] = []
    (row,) = gate.gate_rows(batch.lab.cluster, {"n1": batch.facts}, batch.plan)
    assert (row["node"], row["ready"], row["schedulable"]) == ("n1", False, False)
