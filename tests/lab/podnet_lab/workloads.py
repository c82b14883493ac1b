# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in the cluster while its network is changed: servers of every kind, budgets and policies."""

from __future__ import annotations

import ipaddress
import typing as t
from collections.abc import Iterable
from pathlib import Path

import yaml

from podnet_lab.cluster_api import ClusterApi, Object
from podnet_lab.errors import LabError
from podnet_lab.lab import Lab
from podnet_lab.pod_place import PodPlace
from podnet_lab.shell import wait_for

FOLDER = Path(__file__).resolve().parents[1] / "workloads"
SCRIPTS = Path(__file__).resolve().parents[1] / "prober"
FILES = ("namespace.yml", "coredns.yml", "policies.yml", "web.yml", "store.yml", "agent.yml", "forbidden.yml")
NAMESPACE = "demo"
NODE_PORT = 30080
GREETING_PORT = 8080
MINIMUM_REPLICAS = 3
READY_SECONDS = 120.0
CONTROLLERS = ("deployments", "statefulsets", "daemonsets")
CONNECT = "import socket, sys; sys.exit(not socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).recv(1))"


def read_manifest(path: Path) -> list[Object]:
    """The objects of a manifest, which is one object or a list of them."""
    document: Object = yaml.safe_load(path.read_text(encoding="utf-8"))
    return list(document["items"]) if document["kind"] == "List" else [document]


def read(name: str) -> list[Object]:
    """The objects of one of the workloads' manifests."""
    return read_manifest(FOLDER / name)


def config_map(name: str, data: t.Mapping[str, str]) -> Object:
    """A ConfigMap of the workloads' namespace."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE}, "data": dict(data)}


def node_sources(subnets: Iterable[str], pod_cidrs: Iterable[str]) -> list[str]:
    """Networks that a node's own packets come from: its subnet, and in its podCIDR Flannel's device and bridge, and Calico's tunnel.

    The tunnel has the address that the plan of a migration gives it on a node with as few pods as those of the lab.
    """
    networks = [ipaddress.ip_network(pod_cidr) for pod_cidr in pod_cidrs]
    return [*subnets, *(f"{network.network_address}/31" for network in networks), *(f"{network[-3]}/32" for network in networks)]


def with_node_sources(policy: Object, networks: Iterable[str]) -> Object:
    """The policy with nodes among those whom its first rule lets in."""
    first, *rest = policy["spec"]["ingress"]
    sources = [*first["from"], *({"ipBlock": {"cidr": network}} for network in networks)]
    return {**policy, "spec": {**policy["spec"], "ingress": [{**first, "from": sources}, *rest]}}


def with_replicas(deployment: Object, replicas: int) -> Object:
    """The Deployment with another number of pods."""
    return {**deployment, "spec": {**deployment["spec"], "replicas": replicas}}


def fitted(item: Object, networks: Iterable[str], nodes: int) -> Object:
    """The object as this lab needs it."""
    key = (item["kind"], item["metadata"]["name"])
    if key == ("NetworkPolicy", "web"):
        return with_node_sources(item, networks)
    if key == ("Deployment", "web"):
        return with_replicas(item, max(MINIMUM_REPLICAS, nodes))
    return item


def objects(lab: Lab, api: ClusterApi) -> list[Object]:
    """Everything that C(apply) applies, in order."""
    pod_cidrs = [node["spec"]["podCIDR"] for node in api.items("/api/v1/nodes") if node["spec"].get("podCIDR")]
    networks = node_sources((zone.subnet for zone in lab.topology.zones), pod_cidrs)
    found: list[Object] = []
    for name in FILES:
        for item in read(name):
            found.append(fitted(item, networks, len(lab.nodes)))
            if item["kind"] == "Namespace":
                found.append(config_map("scripts", {"server.py": (SCRIPTS / "server.py").read_text(encoding="utf-8")}))
    return found


def apply(lab: Lab, wait: bool = True) -> None:
    """Apply all workloads and wait until they are ready; a second time changes nothing."""
    with lab.api() as api:
        for item in objects(lab, api):
            api.apply(item)
        if wait:
            wait_ready(lab, api)


def wait_ready(lab: Lab, api: ClusterApi, seconds: float = READY_SECONDS) -> None:
    """Wait until every pod of every workload is ready in its newest form."""

    def ready() -> bool:
        waiting = unready(api)
        if waiting:
            raise LabError(f"Not ready: {', '.join(waiting)}.")
        return True

    hint = f"Look with: python3 -m podnet_lab --name {lab.name} kubectl -n {NAMESPACE} get pods -o wide"
    wait_for("Ready of the workloads", seconds, ready, hint, pause=0.5)


def unready(api: ClusterApi) -> list[str]:
    """Workloads that are not ready, with how many of their pods are."""
    waiting = []
    for plural in CONTROLLERS:
        for item in api.items(f"/apis/apps/v1/namespaces/{NAMESPACE}/{plural}"):
            wanted, ready = pod_counts(item)
            if ready is None or ready < wanted:
                waiting.append(f"{plural}/{item['metadata']['name']} ({ready or 0} of {wanted})")
    return waiting


def pod_counts(item: Object) -> tuple[int, int | None]:
    """How many pods a workload wants, and how many are ready in its newest form; None while its status is not about that form."""
    status = item.get("status", {})
    daemons = "replicas" not in item["spec"]
    wanted = status.get("desiredNumberScheduled", 0) if daemons else item["spec"]["replicas"]
    if status.get("observedGeneration", 0) < item["metadata"]["generation"] or (daemons and not wanted):
        return wanted, None
    updated, ready = ("updatedNumberScheduled", "numberReady") if daemons else ("updatedReplicas", "readyReplicas")
    surplus = 0 if daemons else status.get("replicas", 0) - wanted
    return wanted, 0 if surplus > 0 else min(status.get(updated, 0), status.get(ready, 0))


def delete(lab: Lab, seconds: float = 90.0) -> None:
    """Delete the workloads and wait until they are gone."""
    with lab.api() as api:
        for item in read("coredns.yml"):
            api.delete(f"/apis/policy/v1/namespaces/{item['metadata']['namespace']}/poddisruptionbudgets/{item['metadata']['name']}")
        path = f"/api/v1/namespaces/{NAMESPACE}"
        api.delete(path)
        wait_for(f"the end of the namespace {NAMESPACE}", seconds, lambda: api.get_or_none(path) is None, pause=0.5)


def pods(api: ClusterApi, app: str) -> list[Object]:
    """Pods of a workload that have an address and are not about to end."""
    found = api.items(f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector=f"app={app}")
    return [pod for pod in found if pod.get("status", {}).get("podIP") and not pod["metadata"].get("deletionTimestamp")]


def policy(lab: Lab) -> dict[str, t.Any]:
    """What NetworkPolicies do: C(outcome) is C(denied) when the forbidden pod is out of reach while a pod that they allow is not.

    It is tried from a pod and from a node, both on another node: a node always reaches its own pods, whatever policies say.
    """
    with lab.api() as api:
        forbidden, allowed, agents = (pods(api, app) for app in ("forbidden", "web", "agent"))
    if not forbidden or not allowed:
        raise LabError("the pods 'forbidden' and 'web' are not there: apply the workloads first")
    elsewhere = [agent for agent in agents if agent["spec"]["nodeName"] != forbidden[0]["spec"]["nodeName"]]
    if not elsewhere:
        raise LabError("no pod 'agent' runs on another node than the pod 'forbidden': a policy can be tried from another node only")
    node = next(node for node in lab.nodes if node.name == elsewhere[0]["spec"]["nodeName"])
    client = PodPlace(lab, node, elsewhere[0]["status"]["podIP"])
    addresses = {"allowed": allowed[0]["status"]["podIP"], "forbidden": forbidden[0]["status"]["podIP"]}
    reached = {
        name: {"pod": greets(lab, node.name, client.command(*greeting(address))), "node": greets(lab, node.name, greeting(address))}
        for name, address in addresses.items()
    }
    return judge_policy(reached)


def judge_policy(reached: t.Mapping[str, t.Mapping[str, bool]]) -> dict[str, t.Any]:
    """The outcome for people and programs, of who reached the allowed and the forbidden pod."""
    locked_out = [name for name, answered in reached["allowed"].items() if not answered]
    let_in = [name for name, answered in reached["forbidden"].items() if answered]
    if locked_out:
        outcome, text = "all denied", f"A {' and a '.join(locked_out)} that a NetworkPolicy allows got no answer."
    elif let_in:
        outcome, text = "allowed", f"The pod that a NetworkPolicy forbids answered a {' and a '.join(let_in)}."
    else:
        outcome, text = "denied", "The pod that a NetworkPolicy forbids answered nobody, and the one that it allows answered the same clients."
    return {"holds": outcome == "denied", "outcome": outcome, "text": text}


def policy_enforced(lab: Lab) -> bool:
    """Whether the pod that a policy forbids is out of reach; raises when a pod that the policies allow is out of reach too."""
    found = policy(lab)
    if found["outcome"] == "all denied":
        raise LabError(found["text"])
    return bool(found["holds"])


def greeting(address: str, port: int = GREETING_PORT) -> list[str]:
    """A command that ends well when a pod sends a greeting within 2 s."""
    return ["python3", "-c", CONNECT, address, str(port)]


def greets(lab: Lab, node: str, command: list[str]) -> bool:
    """Whether such a command ends well on a node."""
    return lab.run_in(node, command, check=False).returncode == 0
