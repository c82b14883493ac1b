# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Unreachable
from ansible_collections.podnet.cni.plugins.modules.node_ready import Failure, Watcher
from ansible_collections.podnet.cni.tests.unit.fakes.running import run_module

NODE = "/api/v1/nodes/n1"
DEFAULTS = {"node": "n1", "boot_id": None, "release": None, "except_pods": [], "wait": True, "timeout": 0.05}


def node(ready="True", kernel="6.12.1-amd64", boot="b2", unavailable=None, **spec):
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    conditions += [{"type": "NetworkUnavailable", "status": unavailable}] if unavailable else []
    return {"metadata": {"name": "n1"}, "spec": spec, "status": {"conditions": conditions, "nodeInfo": {"kernelVersion": kernel, "bootID": boot}}}


def agent(ready, name="calico-node"):
    return {
        "metadata": {"name": f"{name}-x", "namespace": "kube-system", "ownerReferences": [{"controller": True, "kind": "DaemonSet", "name": name}]},
        "spec": {"nodeName": "n1"},
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def watch(kube, sleep=lambda seconds: None, **params):
    return Watcher(kube, {**DEFAULTS, **params}, sleep).run()


def test_a_node_that_is_back_with_its_agents(kube):
    kube.add("/api/v1/nodes", node())
    kube.add("/api/v1/namespaces/kube-system/pods", agent(True))
    found = watch(kube, release="6.12.1-amd64", boot_id="b2")
    assert (found["ready"], found["missing"], found["node"], found["schedulable"]) == (True, [], "n1", True)


@pytest.mark.parametrize(
    ("item", "params", "says"),
    [
        (node(kernel="6.1.0-amd64"), {"release": "6.12.1-amd64"}, "its kubelet tells of kernel 6.1.0-amd64, not of 6.12.1-amd64"),
        (node(boot="b1"), {"boot_id": "b2"}, "its kubelet tells of boot b1, not of b2"),
        (node(ready="False"), {}, "it is not Ready"),
        (node(ready="Unknown"), {}, "its kubelet has not been heard of"),
        (node(ready=""), {}, "its kubelet has not been heard of"),
        (node(unavailable="True"), {}, "its network is unavailable"),
    ],
)
def test_what_is_missing_is_told(kube, item, params, says):
    kube.add("/api/v1/nodes", item)
    with pytest.raises(Failure, match="node n1 is not in service after 0.05 s") as error:
        watch(kube, **params)
    assert says in str(error.value)


def test_an_agent_that_is_not_ready_counts_unless_it_was_not_before(kube):
    kube.add("/api/v1/nodes", node())
    kube.add("/api/v1/namespaces/kube-system/pods", agent(False))
    found = watch(kube, wait=False)
    assert (found["ready"], found["not_ready"]) == (False, ["kube-system/calico-node"])
    assert found["missing"] == ["the pod of DaemonSet kube-system/calico-node is not Ready"]
    assert watch(kube, except_pods=found["not_ready"])["ready"]


def test_it_waits(kube):
    kube.add("/api/v1/nodes", node(ready="Unknown"))
    asked = []

    def sleep(seconds):
        asked.append(seconds)
        kube.objects[NODE] = {**kube.objects[NODE], **node()}

    assert watch(kube, sleep, timeout=30)["ready"]
    assert len(asked) == 1


def test_an_api_server_that_is_away_meanwhile_is_waited_for(kube):
    kube.add("/api/v1/nodes", node())
    away = [True]

    @kube.on
    def refuse(method, path, body):
        if away[0]:
            raise Unreachable(0, "Unreachable", "connection refused", path)

    def sleep(seconds):
        away[0] = False

    assert watch(kube, sleep, timeout=30)["ready"]
    away[0] = True
    with pytest.raises(Failure, match="connection refused"):
        watch(kube)


def test_a_node_is_found_by_its_boot(kube):
    kube.add("/api/v1/nodes", node())
    assert watch(kube, node=None, boot_id="b2")["node"] == "n1"
    with pytest.raises(Failure, match="0 of 1 nodes of the cluster are in the boot b9: this host is no node of it"):
        watch(kube, node=None, boot_id="b9")


def test_a_node_that_the_cluster_does_not_have(kube):
    with pytest.raises(Failure, match="the cluster has no node 'n1'"):
        watch(kube)


def test_what_it_returns_is_documented(monkeypatch, kube):
    kube.add("/api/v1/nodes", node())
    monkeypatch.setattr(KubeClient, "from_module", classmethod(lambda cls, module: kube))
    assert run_module(monkeypatch, "node_ready", check_mode=True, node="n1")["ready"]
    assert "timeout: -1" in run_module(monkeypatch, "node_ready", node="n1", timeout=-1)["msg"]
    assert "no node 'n9'" in run_module(monkeypatch, "node_ready", node="n9")["msg"]
