# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of Flannel that are gone: how they are known, and how their plugins are called to release what they hold."""

from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import attachments, cni_state, commands

FLANNEL = {
    "name": "cbr0",
    "cniVersion": "0.3.1",
    "plugins": [{"type": "flannel", "delegate": {"isDefaultGateway": True}}, {"type": "portmap", "capabilities": {"portMappings": True}}],
}
CALICO = {"name": "k8s-pod-network", "cniVersion": "0.3.1", "plugins": [{"type": "calico"}]}
PLUGIN = """\
#!/bin/sh
echo "$CNI_COMMAND ${{0##*/}} id=$CNI_CONTAINERID netns=[$CNI_NETNS] if=$CNI_IFNAME args=$CNI_ARGS path=$CNI_PATH" >> {log}
cat >> {log}
echo >> {log}
{answer}
"""


class Node:
    """Files of the CNI library, and plugins that write down how they were called."""

    def __init__(self, folder):
        self.folder = folder
        self.places = cni_state.Places(folder / "net.d", folder / "bin", folder / "cni", folder / "run")
        self.log = folder / "log"
        self.places.programs.mkdir()
        self.places.caches[0].mkdir(parents=True)

    def remember(self, name, config=None, port="veth1", netns="/var/run/netns/gone", **more):
        config = config or FLANNEL
        cached = {
            "containerId": f"id-{name}",
            "ifName": "eth0",
            "networkName": config["name"],
            "netns": netns,
            "config": base64.b64encode(json.dumps(config).encode()).decode(),
            "cniArgs": [["IgnoreUnknown", "1"], ["K8S_POD_NAME", name]],
            "capabilityArgs": {"portMappings": [{"hostPort": 8080}]},
            "result": {"interfaces": [{"name": "cni0"}, {"name": port}, {"name": "eth0", "sandbox": netns}], "ips": [{"address": "10.244.1.5/24"}]},
            **more,
        }
        path = self.places.caches[0] / name
        path.write_text(json.dumps(cached))
        return path

    def plugin(self, name, answer="true"):
        path = self.places.programs / name
        path.write_text(PLUGIN.format(log=self.log, answer=answer))
        path.chmod(0o755)

    def gone(self, *ports):
        return [path.name for path in attachments.find_gone(self.places, ports)]


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


def test_only_pods_of_flannel_without_sandbox_and_port_are_gone(node):
    node.remember("gone")
    node.remember("on-the-bridge", port="veth2")
    node.remember("starting", netns=str(node.folder))
    node.remember("calico", CALICO)
    (node.places.caches[0] / "broken").write_text("{")
    (node.places.caches[0] / "list").write_text("[]")
    assert node.gone("veth2") == ["gone"]
    assert node.gone() == ["gone", "on-the-bridge"]


def test_a_pod_without_namespace_in_its_file_is_gone(node):
    node.remember("old", netns=None)
    assert node.gone() == ["old"]


def test_plugins_are_called_backwards_with_what_the_library_remembers(node):
    path = node.remember("web")
    for name in ("flannel", "portmap"):
        node.plugin(name)
    attachments.release(path, node.places)
    first, given_to_portmap, second, given_to_flannel = node.log.read_text().splitlines()
    rest = f"id=id-web netns=[] if=eth0 args=IgnoreUnknown=1;K8S_POD_NAME=web path={node.places.programs}"
    assert (first, second) == (f"DEL portmap {rest}", f"DEL flannel {rest}")
    portmap, flannel = json.loads(given_to_portmap), json.loads(given_to_flannel)
    assert portmap["runtimeConfig"] == {"portMappings": [{"hostPort": 8080}]}
    assert portmap["prevResult"]["ips"] == [{"address": "10.244.1.5/24"}]
    assert (flannel["name"], flannel["cniVersion"], flannel["delegate"]) == ("cbr0", "0.3.1", {"isDefaultGateway": True})
    assert "capabilities" not in portmap
    assert "runtimeConfig" not in flannel
    assert not path.exists()


@pytest.mark.parametrize(("portmap", "reason"), [("exit 3", "failed with code 3"), (None, "is missing on this node")])
def test_a_pod_whose_plugin_fails_is_not_forgotten(node, portmap, reason):
    path = node.remember("web")
    node.plugin("flannel")
    if portmap:
        node.plugin("portmap", portmap)
    with pytest.raises(commands.CommandError, match=reason):
        attachments.release(path, node.places)
    assert path.exists()


def test_a_configuration_of_one_plugin_is_released_too(node):
    path = node.remember("old", {"name": "cbr0", "type": "flannel"})
    node.plugin("flannel")
    attachments.release(path, node.places)
    assert json.loads(node.log.read_text().splitlines()[1])["cniVersion"] == "0.1.0"
