# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that cannot be migrated: each is made of the lab's for the time of one run, which is refused with the reason and changes nothing."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator

import pytest
from podnet_lab.cluster_api import ClusterApi, Object
from podnet_lab.lab import Lab
from podnet_lab.shell import wait_for
from podnet_molecule import snapshot
from podnet_molecule.playbook import Outcome

MERGE = "application/merge-patch+json"
NETWORK = {"Network": "10.244.0.0/16", "EnableNFTables": False}
VXLAN = {"Type": "vxlan"}
WINDOWS: Object = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "w1", "labels": {"kubernetes.io/os": "windows"}},
    "spec": {"taints": [{"key": "os", "value": "windows", "effect": "NoSchedule"}]},
    "status": {
        "addresses": [{"type": "InternalIP", "address": "172.30.1.99"}],
        "nodeInfo": {
            "operatingSystem": "windows",
            "architecture": "amd64",
            "bootID": "",
            "containerRuntimeVersion": "",
            "kernelVersion": "10.0.20348",
            "kubeProxyVersion": "",
            "kubeletVersion": "v1.37.2",
            "machineID": "",
            "osImage": "Windows Server 2022",
            "systemUUID": "",
        },
    },
}

# What net-conf.json says instead, and what the refusal has to say.
CONFIGURATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "backend that routes": (json.dumps({**NETWORK, "Backend": {"Type": "host-gw"}}), ("flannel-backend", '"host-gw"', "Set it to vxlan")),
    "backend that encrypts": (json.dumps({**NETWORK, "Backend": {"Type": "wireguard"}}), ("flannel-backend", '"wireguard"')),
    "backend that nobody knows": (json.dumps({**NETWORK, "Backend": {"Type": "carrier-pigeon"}}), ("flannel-backend", '"carrier-pigeon"')),
    "IPv6 beside IPv4": (
        json.dumps({**NETWORK, "EnableIPv6": True, "IPv6Network": "fd00:10:244::/56", "Backend": VXLAN}),
        ("flannel-ipv6", "fd00:10:244::/56"),
    ),
    "no network": (json.dumps({"Backend": VXLAN}), ("flannel-configuration-missing",)),
    "network without the podCIDRs": (json.dumps({"Network": "10.99.0.0/16", "Backend": VXLAN}), ("pod-cidr-outside", "10.99.0.0/16")),
}


@pytest.fixture(scope="module", autouse=True)
def still(lab: Lab) -> None:
    """Pods of tests before take a while to end."""

    def nothing_changes() -> bool:
        before = snapshot.take(lab)
        time.sleep(3)
        return snapshot.difference(before, snapshot.take(lab)) == []

    wait_for("nothing to change on the nodes any more", 90, nothing_changes)


@contextlib.contextmanager
def configured(lab: Lab, api: ClusterApi, text: str) -> Iterator[None]:
    """Another net-conf.json, which flanneld would read when it starts the next time."""
    path = f"/api/v1/namespaces/{lab.topology.flannel.namespace}/configmaps/{lab.topology.flannel.configmap}"
    before = api.get(path)["data"]["net-conf.json"]
    api.request("PATCH", path, body={"data": {"net-conf.json": text}}, content_type=MERGE)
    try:
        yield
    finally:
        api.request("PATCH", path, body={"data": {"net-conf.json": before}}, content_type=MERGE)


def refused(lab: Lab, migrate: Callable[..., Outcome], *says: str) -> None:
    """A run is, with all of these words, and before it changed anything."""
    before = snapshot.take(lab)
    outcome = migrate(podnet_confirm=True)
    assert snapshot.difference(before, snapshot.take(lab)) == []
    assert outcome.code == 2, outcome.output
    assert [words for words in says if words not in outcome.text] == [], outcome.output
    assert "nothing was changed" in outcome.text
    assert "Traceback" not in outcome.output
    assert outcome.changed == 0


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_flannel_that_is_another_one(name: str, lab: Lab, api: ClusterApi, migrate: Callable[..., Outcome]) -> None:
    text, says = CONFIGURATIONS[name]
    with configured(lab, api, text):
        refused(lab, migrate, *says)


def test_a_node_of_another_system_that_is_not_ready(lab: Lab, api: ClusterApi, migrate: Callable[..., Outcome]) -> None:
    api.request("POST", "/api/v1/nodes", body=WINDOWS)
    try:
        refused(lab, migrate, "node-operating-system", "node-not-ready", "w1")
    finally:
        api.delete("/api/v1/nodes/w1")
