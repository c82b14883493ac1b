# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in the cluster from the start: Flannel and CoreDNS."""

from __future__ import annotations

import typing as t
from pathlib import Path

import jinja2
import yaml

from podnet_lab.cluster_api import ClusterApi, Object
from podnet_lab.images import COREDNS_IMAGE, TOOLS_IMAGE
from podnet_lab.shell import wait_for
from podnet_lab.topology import Topology

MANIFESTS = Path(__file__).resolve().parents[1] / "manifests"


def flannel_net_config(topology: Topology) -> dict[str, t.Any]:
    """Flannel's net-conf.json."""
    return {
        "Network": topology.pod_cidr,
        "EnableNFTables": topology.flannel.enable_nftables,
        "Backend": topology.flannel.backend,
    }


def flannel_cni_config() -> dict[str, t.Any]:
    """The CNI configuration that Flannel puts on nodes."""
    delegate = {"hairpinMode": True, "isDefaultGateway": True}
    plugins = [{"type": "flannel", "delegate": delegate}, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return {"name": "cbr0", "cniVersion": "0.3.1", "plugins": plugins}


def render(name: str, topology: Topology) -> list[Object]:
    """The objects of one of the lab's manifests."""
    loader = jinja2.FileSystemLoader(MANIFESTS)
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        autoescape=False,  # noqa: S701 - YAML, not HTML
    )
    # Plain JSON, not the form that is safe inside HTML.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    text = environment.get_template(name).render(
        topology=topology,
        flannel=topology.flannel,
        net_config=flannel_net_config(topology),
        cni_config=flannel_cni_config(),
        tools_image=TOOLS_IMAGE,
        coredns_image=COREDNS_IMAGE,
    )
    return [document for document in yaml.safe_load_all(text) if document]


def install(api: ClusterApi, topology: Topology) -> None:
    """Apply all manifests; a second time changes nothing."""
    for name in ("flannel.yml.j2", "coredns.yml.j2"):
        for item in render(name, topology):
            api.apply(item)


def wait_nodes_ready(api: ClusterApi, topology: Topology, seconds: float) -> None:
    """Wait until every node is Ready."""

    def ready() -> bool:
        return not [node.name for node in topology.nodes if node.name not in ready_nodes(api)]

    hint = f"Look with: python3 -m podnet_lab --name {topology.name} status"
    wait_for("Ready of all nodes", seconds, ready, hint, pause=0.5)


def ready_nodes(api: ClusterApi) -> set[str]:
    """Names of the nodes that are Ready."""
    names = set()
    for node in api.items("/api/v1/nodes"):
        conditions = node.get("status", {}).get("conditions", [])
        if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
            names.add(node["metadata"]["name"])
    return names


def wait_rollouts(api: ClusterApi, topology: Topology, seconds: float) -> None:
    """Wait until Flannel runs on every node and CoreDNS answers."""
    daemonset = f"/apis/apps/v1/namespaces/{topology.flannel.namespace}/daemonsets/{topology.flannel.daemonset}"
    deployment = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"

    def done() -> bool:
        flannel = api.get(daemonset).get("status", {})
        dns = api.get(deployment).get("status", {})
        return bool(flannel.get("numberReady", 0) == len(topology.nodes) and dns.get("readyReplicas", 0) >= 2)

    hint = f"Look with: python3 -m podnet_lab --name {topology.name} kubectl get pods -A -o wide"
    wait_for("Ready of Flannel and CoreDNS", seconds, done, hint, pause=0.5)
