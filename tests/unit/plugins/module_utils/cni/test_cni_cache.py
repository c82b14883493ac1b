# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the CNI library remembers of a pod, and what plugins get of it."""

from __future__ import annotations

import base64
import json

from ansible_collections.podnet.cni.plugins.module_utils._cni import cni_cache

FLANNEL = {"name": "cbr0", "cniVersion": "1.0.0", "plugins": [{"type": "flannel"}, {"type": "portmap"}]}
CALICO = {"name": "k8s-pod-network", "cniVersion": "0.3.1", "plugins": [{"type": "calico"}]}
RESULT = {
    "interfaces": [{"name": "cni0"}, {"name": "veth1"}, {"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": "/run/netns/a"}],
    "ips": [{"address": "10.244.1.7/24"}],
}
CACHED = {
    "kind": "cniCacheV1",
    "containerId": "0a1b",
    "ifName": "eth0",
    "networkName": "cbr0",
    "netns": "/run/netns/a",
    "config": base64.b64encode(json.dumps(FLANNEL).encode()).decode(),
    "cniArgs": [["K8S_POD_NAMESPACE", "shop"], ["K8S_POD_NAME", "cart-0"]],
    "capabilityArgs": {"portMappings": [1]},
    "result": RESULT,
}


def test_a_file_tells_the_pod_and_its_interface():
    found = cni_cache.parse(json.dumps(CACHED).encode())
    assert (found.pod, found.address, found.cni, found.netns) == ("shop/cart-0", "10.244.1.7", "flannel", "/run/netns/a")
    assert found.host_interfaces == ("cni0", "veth1")
    assert found.config == FLANNEL


def test_what_is_no_such_file_is_nothing():
    assert [cni_cache.parse(content) for content in (b"", b"{}", b"[]", b"no json", b'{"config": "!"}')] == [None] * 5


def test_a_pod_takes_along_to_another_network_what_the_runtime_had_told():
    result = cni_cache.in_namespace(RESULT, "/run/netns/b")
    content = json.loads(cni_cache.with_network(cni_cache.parse(json.dumps(CACHED).encode()), CALICO, result, "/run/netns/b"))
    moved = cni_cache.parse(json.dumps(content).encode())
    assert (moved.pod, moved.container_id, moved.network_name, moved.cni, moved.netns) == (
        "shop/cart-0",
        "0a1b",
        "k8s-pod-network",
        "calico",
        "/run/netns/b",
    )
    assert content["capabilityArgs"] == CACHED["capabilityArgs"]
    assert content["result"]["interfaces"][2]["sandbox"] == "/run/netns/b"
    assert cni_cache.node_ends(content["result"]) == ["cni0", "veth1"]


def test_variables_of_a_plugin():
    given = cni_cache.environment(cni_cache.parse(json.dumps(CACHED).encode()), "ADD", "/run/netns/b", "/opt/cni/bin", {"IP": "10.244.1.7"})
    assert given == {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "0a1b",
        "CNI_NETNS": "/run/netns/b",
        "CNI_IFNAME": "eth0",
        "CNI_ARGS": "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0;IP=10.244.1.7",
        "CNI_PATH": "/opt/cni/bin",
    }


def test_a_plugin_gets_what_it_is_able_to_use():
    config = {"name": "net", "cniVersion": "1.0.0"}
    plugin = {"type": "portmap", "snat": True, "capabilities": {"portMappings": True, "bandwidth": False}}
    cached = {"capabilityArgs": {"portMappings": [1], "bandwidth": {}, "dns": {}}, "result": {"ips": []}}
    assert cni_cache.plugin_input(plugin, config, cached["capabilityArgs"], cached["result"]) == {
        "type": "portmap",
        "snat": True,
        "name": "net",
        "cniVersion": "1.0.0",
        "runtimeConfig": {"portMappings": [1]},
        "prevResult": {"ips": []},
    }
