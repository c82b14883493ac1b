# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots: what is told as a difference, and what is left out."""

from __future__ import annotations

import json

import pytest
from podnet_lab.cluster_api import ApiRefusal
from podnet_molecule import snapshot

NODE = {
    "metadata": {
        "name": "n1",
        "resourceVersion": "7",
        "labels": {"zone": "a"},
        "annotations": {"flannel.alpha.coreos.com/public-ip": "172.30.1.11"},
    },
    "spec": {"podCIDR": "10.244.0.0/24"},
    "status": {"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-11-25T02:00:00Z"}]},
}


def changed(**parts):
    node = {**NODE, **{key: {**NODE[key], **value} for key, value in parts.items()}}
    return snapshot.difference({"cluster nodes": snapshot.node_lines(NODE)}, {"cluster nodes": snapshot.node_lines(node)})


def test_nothing_differs():
    same = {"n1 routes": ["default via 172.30.1.1 dev eth0"]}
    assert snapshot.difference(same, dict(same)) == []


def test_lines_that_went_and_came():
    before = {"n1 routes": ["a", "b"], "n1 units": ["x"]}
    after = {"n1 routes": ["b", "c"], "n2 routes": ["d"]}
    assert snapshot.difference(before, after) == ["n1 routes: - a", "n1 routes: + c", "n1 units: - x", "n2 routes: + d"]


def test_a_heartbeat_is_no_difference():
    later = [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-11-25T02:05:00Z"}]
    assert changed(metadata={"resourceVersion": "8"}, status={"conditions": later}) == []


def test_a_node_that_is_not_ready_is_one():
    assert changed(status={"conditions": [{"type": "Ready", "status": "Unknown"}]}) == [
        'cluster nodes: - n1 condition Ready: "True"',
        'cluster nodes: + n1 condition Ready: "Unknown"',
    ]


def test_a_cordon_is_one_and_its_taint_is_not_told_twice():
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    assert changed(spec={"unschedulable": True, "taints": [taint]}) == ["cluster nodes: + n1 spec unschedulable: true"]


def test_a_label_is_one():
    assert changed(metadata={"labels": {"zone": "b"}}) == ['cluster nodes: - n1 label zone: "a"', 'cluster nodes: + n1 label zone: "b"']


def test_any_write_of_an_object_is_told_with_its_writer():
    def pod(version):
        managers = [
            {"manager": "kubelet", "time": "2026-11-25T02:00:01Z"},
            {"manager": "podnet.cni", "time": "2026-11-25T02:00:02Z"},
        ]
        return {"metadata": {"namespace": "demo", "name": "web-0", "resourceVersion": version, "managedFields": managers}}

    before = {"cluster objects": snapshot.lines_of("Pod", [pod("1")])}
    after = {"cluster objects": snapshot.lines_of("Pod", [pod("2")])}
    assert snapshot.difference(before, after)[1] == "cluster objects: + Pod demo/web-0 version 2 by podnet.cni at 2026-11-25T02:00:02Z"


def test_only_the_holder_of_the_collections_own_lock_counts():
    def lease(name, renewed):
        return {"metadata": {"name": name}, "spec": {"holderIdentity": "run", "renewTime": renewed}}

    assert snapshot.lock_lines(lease("kube-scheduler", "1")) == []
    assert snapshot.lock_lines(lease("podnet-cni-migration", "1")) == snapshot.lock_lines(lease("podnet-cni-migration", "2")) != []


def test_sections_of_the_script():
    text = "\n== links\nlo: mtu 65536\neth0: mtu 1500\neth0: mtu 1500\n\n== units\n"
    assert snapshot.parse_sections(text) == {"links": ["eth0: mtu 1500", "lo: mtu 65536"], "units": []}


def a_pod(**parts):
    pod = {
        "metadata": {"namespace": "demo", "name": "web-0", "uid": "u1", "resourceVersion": "1", "labels": {"app": "web"}},
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Running", "podIP": "10.244.1.7", "conditions": [{"type": "Ready", "status": "True"}]},
    }
    return {**pod, **{key: {**pod[key], **value} for key, value in parts.items()}}


def test_what_a_kubelet_tells_of_ended_containers_is_no_difference():
    later = a_pod(metadata={"resourceVersion": "2"}, status={"initContainerStatuses": []})
    assert snapshot.pod_lines(later) == snapshot.pod_lines(a_pod())


@pytest.mark.parametrize(
    "parts",
    [
        {"metadata": {"uid": "u2"}},
        {"metadata": {"labels": {"app": "other"}}},
        {"spec": {"nodeName": "n2"}},
        {"status": {"podIP": "10.244.1.8"}},
        {"status": {"conditions": [{"type": "Ready", "status": "False"}]}},
        {"status": {"containerStatuses": [{"restartCount": 1}]}},
    ],
)
def test_another_pod_is_a_difference(parts):
    assert snapshot.pod_lines(a_pod(**parts)) != snapshot.pod_lines(a_pod())


def test_a_pod_that_is_told_to_end_is_gone():
    assert snapshot.pod_lines(a_pod(metadata={"deletionTimestamp": "2026-11-25T02:00:00Z"})) == []


@pytest.mark.parametrize(
    ("parts", "restless"),
    [
        ({}, False),
        ({"metadata": {"deletionTimestamp": "2026-11-25T02:00:00Z"}}, True),
        ({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, True),
        ({"status": {"phase": "Pending", "conditions": []}}, True),
        ({"status": {"phase": "Succeeded", "conditions": [{"type": "Ready", "status": "False"}]}}, False),
    ],
)
def test_pods_that_are_about_to_become_others_are_waited_for(parts, restless):
    assert snapshot.is_restless(a_pod(**parts)) == restless


def group(name, *resources):
    entries = [{"resource": plural, "responseKind": {"kind": kind}, "verbs": verbs} for plural, kind, verbs in resources]
    return {"metadata": {"name": name} if name else {}, "versions": [{"version": "v1", "resources": entries}]}


class Api:
    """Answers of an API server."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def request(self, method, path, accept):
        assert method == "GET"
        if path in ("/api", "/apis"):
            assert accept == snapshot.DISCOVERY
            core = group("", ("pods", "Pod", ["list"]), ("bindings", "Binding", ["create"]), ("events", "Event", ["list"]))
            groups = [group("apps", ("daemonsets", "DaemonSet", ["get", "list"])), group("events.k8s.io", ("events", "Event", ["list"]))]
            return json.dumps({"items": [core] if path == "/api" else groups})
        answer = self.answers.pop(0)
        if isinstance(answer, int):
            raise ApiRefusal(method, path, answer, "no")
        return json.dumps({"items": answer})


def test_everything_that_can_be_listed():
    assert snapshot.resources(Api()) == [("/api/v1/pods", "Pod"), ("/apis/apps/v1/daemonsets", "DaemonSet")]


def test_a_collection_whose_storage_is_just_being_made(monkeypatch):
    monkeypatch.setattr(snapshot.time, "sleep", lambda seconds: None)
    assert snapshot.listed(Api(429, [{"kind": "IPPool"}]), "/apis/crd.projectcalico.org/v1/ippools") == [{"kind": "IPPool"}]


def test_a_collection_that_is_gone():
    assert snapshot.listed(Api(404), "/apis/crd.projectcalico.org/v1/ippools") == []


def test_another_refusal_is_an_error():
    with pytest.raises(ApiRefusal):
        snapshot.listed(Api(403), "/api/v1/secrets")


def test_kept_for_a_later_step(tmp_path):
    kept = {"n1 routes": ["default"]}
    snapshot.save(kept, tmp_path / "before.json")
    assert snapshot.load(tmp_path / "before.json") == kept
