# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calico's facts and sessions where the cluster answers only half; M(podnet.cni.calico_bgp_peer) has the rest."""

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube import calico_facts, calico_status, errors
from ansible_collections.podnet.cni.tests.unit.fakes.kube import FakeKube

V1 = "crd.projectcalico.org/v1"
V3 = "projectcalico.org/v3"
POD = {"metadata": {"name": "calico-node-x", "namespace": "kube-system"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Pending"}}


def add(kube, api, plural, name, spec, **more):
    kube.add(f"/apis/{api}/{plural}", {"metadata": {"name": name}, "spec": spec, **more})


def test_both_groups_are_read_where_each_is_right():
    kube = FakeKube(served=("v1", V1, V3))
    add(kube, V3, "ippools", "pods", {"cidr": "10.244.0.0/16"})
    add(kube, V3, "ipamconfigurations", "default", {"strictAffinity": True})
    add(kube, V1, "ipamconfigs", "default", {"strictAffinity": False})
    add(kube, V1, "ipamblocks", "b", {"cidr": "10.244.1.0/26", "affinity": "host:n1", "allocations": [0, None]})
    add(kube, V1, "blockaffinities", "a", {"cidr": "10.244.1.0/26", "node": "n1", "state": "confirmed"})
    facts = calico_facts.read_calico(kube, [], [])
    assert facts["api"] == V3
    assert [pool["name"] for pool in facts["pools"]] == ["pods"]
    assert facts["ipam_config"] == {"strictAffinity": True}
    assert [block["node"] for block in facts["blocks"]] == ["n1"]
    assert [affinity["name"] for affinity in facts["affinities"]] == ["a"]
    assert facts["daemonset"] is None


def test_an_older_api_server_of_calico_has_its_ipam_settings_in_the_store():
    kube = FakeKube(served=("v1", V1, V3))
    add(kube, V1, "ipamconfigs", "default", {"strictAffinity": True})
    assert calico_facts.read_calico(kube, [], [])["ipam_config"] == {"strictAffinity": True}


@pytest.mark.parametrize("status", [403, 404])
def test_kinds_that_are_not_served_or_may_not_be_read_are_empty(status):
    kube = FakeKube(served=("v1", V1))

    @kube.on
    def hook(method, path, body):
        if path.endswith(("/bgppeers", "/caliconodestatuses")):
            raise errors.error_of(status, "Reason", "no", path)

    facts = calico_facts.read_calico(kube, [], [])
    assert (facts["bgp_peers"], facts["sessions"], facts["pools"]) == ([], [], [])


def test_other_errors_are_not_taken_for_an_empty_cluster():
    kube = FakeKube(served=("v1", V1))

    @kube.on
    def hook(method, path, body):
        raise errors.error_of(503, "ServiceUnavailable", "away", path)

    with pytest.raises(errors.Unreachable):
        calico_facts.read_calico(kube, [], [])


def test_a_cluster_that_knows_nothing_of_calico():
    assert calico_facts.read_calico(FakeKube(served=("v1",)), [], []) is None


def test_variables_from_elsewhere_are_none_and_unknown_containers_have_none():
    env = [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"configMapKeyRef": {}}}]
    daemonset = {"spec": {"template": {"spec": {"containers": [{"name": "calico-node", "env": env}], "initContainers": None}}}}
    assert calico_facts.container_environment(daemonset, "calico-node") == {"A": "1", "B": None}
    assert calico_facts.container_environment(daemonset, "install-cni") == {}
    assert calico_facts.container_environment({}, "calico-node") == {}


@pytest.mark.parametrize(
    ("spec", "facts"),
    [
        (
            {"cidr": "10.244.1.0/26", "affinity": "host:n1", "allocations": [0, None, None]},
            {"cidr": "10.244.1.0/26", "node": "n1", "allocated": 1, "free": 2},
        ),
        (
            {"cidr": "10.244.1.0/26", "affinity": "virtual:load-balancer"},
            {"cidr": "10.244.1.0/26", "node": None, "allocated": 0, "free": 0},
        ),
        ({}, {"cidr": None, "node": None, "allocated": 0, "free": 0}),
    ],
)
def test_blocks(spec, facts):
    assert calico_facts.block_facts({"spec": spec}) == facts


def test_objects_that_were_made_are_removed_when_another_cannot_be():
    kube = FakeKube()

    @kube.on
    def hook(method, path, body):
        if method == "POST" and body["spec"]["node"] == "n2":
            raise errors.error_of(403, "Forbidden", "no more", path)

    with pytest.raises(errors.Forbidden), calico_status.StatusObjects(kube, V1, "tor", ["n2", "n1"]):
        raise AssertionError("not reached")
    assert [path for method, path in kube.writes() if method == "DELETE"] == [f"/apis/{V1}/caliconodestatuses/podnet-tor-n1"]
    assert kube.objects == {}


def test_objects_that_somebody_else_removed_do_not_matter():
    kube = FakeKube()
    with calico_status.StatusObjects(kube, V1, "tor", ["n1"]) as statuses:
        assert statuses.created == ["podnet-tor-n1"]
        kube.objects.clear()
    assert [method for method, path in kube.writes()] == ["POST", "DELETE"]


def test_only_reports_of_our_own_objects_count():
    kube = FakeKube()
    peer = {"peerIP": "172.30.1.1", "type": "NodePeer", "state": "Established"}
    with calico_status.StatusObjects(kube, V1, "tor", ["n1", "n2"]) as statuses:
        add(kube, V1, "caliconodestatuses", "n1", {"node": "n1"}, status={"lastUpdated": "before", "bgp": {"peersV4": [peer]}})
        assert statuses.read() == ([], set())
        kube.objects[f"/apis/{V1}/caliconodestatuses/podnet-tor-n2"]["status"] = {"lastUpdated": "now", "bgp": {"peersV4": [peer]}}
        sessions, reported = statuses.read()
    assert [(session["node"], session["peer"], session["state"]) for session in sessions] == [("n2", "172.30.1.1", "Established")]
    assert reported == {"n2"}


class Asked(FakeKube):
    """A cluster whose pods answer what is given."""

    output: object = ""

    def run_in_pod(self, namespace, pod, container, command):
        if isinstance(self.output, Exception):
            raise self.output
        return self.output


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ("Unable to connect to server control socket: Connection refused", "BIRD does not answer: Unable to connect to server control socket"),
        (errors.error_of(0, "Exec", "no connection", "/exec"), "calico-node is not Ready: phase Pending"),
    ],
)
def test_why_bird_could_not_be_asked(output, problem):
    kube = Asked()
    kube.output = output
    sessions, reason = calico_status.ask_bird(kube, {"n1": POD}, "n1")
    assert sessions == []
    assert reason.startswith(problem)


def test_a_ready_pod_that_may_not_be_asked_is_told_with_the_error():
    kube = Asked()
    kube.output = errors.error_of(403, "Forbidden", "no right to create pods/exec", "/exec")
    ready = {**POD, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert calico_status.ask_bird(kube, {"n1": ready}, "n1")[1] == "BIRD could not be asked: /exec: no right to create pods/exec"
    assert calico_status.ask_bird(kube, {}, "n1") == ([], "calico-node does not run there")


def test_a_bird_without_sessions_is_no_problem():
    kube = Asked()
    kube.output = "BIRD 1.6.8 ready.\nname     proto    table    state  since       info\n"
    assert calico_status.ask_bird(kube, {"n1": POD}, "n1") == ([], None)
