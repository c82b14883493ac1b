# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workloads in the cluster, probers on every node and in pods, and what they saw."""

from __future__ import annotations

import json
import shutil
import threading
import typing as t
from pathlib import Path

import jinja2
import yaml
from podnet_lab.cluster_api import ClusterApi, Object
from podnet_lab.errors import LabError
from podnet_lab.images import TOOLS_IMAGE
from podnet_lab.lab import Lab
from podnet_lab.shell import wait_for

from podnet_demo import probes
from podnet_demo.measure_pods import MeasuredPod

TEMPLATES = Path(__file__).with_name("templates")
PROBER_FOLDER = Path(__file__).resolve().parents[1] / "prober"
NAMESPACE = "podnet-demo"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"
SERVICES = f"/api/v1/namespaces/{NAMESPACE}/services"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
RESULTS = "/var/lib/lab-prober"
UNIT = "lab-prober"
NODE_PORT = 30080
INTERVAL_MS = 50
TIMEOUT_MS = 1000
READY_SECONDS = 120.0
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).recv(1) or sys.exit(1)"

Record = dict[str, t.Any]


class Load:
    """The load on one lab."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder.resolve() / "probes"
        self.counters_file = folder.resolve() / "probe-counters.json"
        self._stop = threading.Event()
        self._counter: threading.Thread | None = None

    def deploy(self) -> None:
        """Apply the workloads and wait until all of them are ready."""
        with self.lab.api() as api:
            for item in render("workloads.yml.j2", self._workload_values()):
                api.apply(item)
            wait_for("Ready of the demo's workloads", READY_SECONDS, lambda: not unready(api), "Look with: kubectl -n podnet-demo get pods", 0.5)

    def _workload_values(self) -> Record:
        topology = self.lab.topology
        return {
            "server_source": (PROBER_FOLDER / "server.py").read_text(encoding="utf-8"),
            "web_replicas": max(3, len(self.lab.nodes)),
            "node_port": NODE_PORT,
            "node_subnets": [*(zone.subnet for zone in topology.zones)],
        }

    # Probers

    def start(self) -> None:
        """Start a prober on every node and one in a pod on every node, and count from now on."""
        source = (PROBER_FOLDER / "prober.py").read_text(encoding="utf-8")
        with self.lab.api() as api:
            config = self._config(api)
            for node in self.lab.nodes:
                self._start_on_node(node.name, source, config)
            for item in render("prober.yml.j2", {"prober_source": source, "prober_config": {**config, "place": "pod"}, "results": RESULTS}):
                api.apply(item)
            wait_for("Ready of the probers in pods", READY_SECONDS, lambda: not unready(api), pause=0.5)
        wait_for("the first requests of all probers", 20, lambda: len(self._summaries()) >= 2 * len(self.lab.nodes), pause=0.5)
        self._stop.clear()
        self._counter = threading.Thread(target=self._keep_counting, daemon=True)
        self._counter.start()

    def _config(self, api: ClusterApi) -> Record:
        cluster_ip = api.get(f"{SERVICES}/web")["spec"]["clusterIP"]
        databases = [f"{item['metadata']['name']}.db.{NAMESPACE}.svc.cluster.local" for item in api.items(PODS, labelSelector="app=db")]
        targets: list[Record] = [
            {"kind": "clusterip", "addresses": [cluster_ip], "port": 80},
            {"kind": "nodeport", "addresses": [node.address for node in self.lab.nodes], "port": NODE_PORT},
            {"kind": "pod", "names": sorted(databases), "port": 8080, "refresh_ms": 200},
            {"kind": "stream", "addresses": [cluster_ip], "port": 81},
            {"kind": "udp", "addresses": [cluster_ip], "port": 82, "interval_ms": 2 * INTERVAL_MS},
            {"kind": "dns", "names": [f"web.{NAMESPACE}.svc.cluster.local"], "interval_ms": 2 * INTERVAL_MS},
        ]
        return {
            "out": RESULTS,
            "place": "node",
            "interval_ms": INTERVAL_MS,
            "timeout_ms": TIMEOUT_MS,
            "dns_server": self.lab.topology.dns_address,
            "targets": targets,
        }

    def _start_on_node(self, node: str, source: str, config: Record) -> None:
        self.lab.run_in(
            node,
            ["sh", "-c", f"systemctl stop {UNIT} 2>/dev/null; rm -rf {RESULTS} && mkdir -p {RESULTS} && cat > {RESULTS}/prober.py"],
            stdin=source,
        )
        self.lab.run_in(node, ["sh", "-c", f"cat > {RESULTS}/config.json"], stdin=json.dumps(config))
        program = ["python3", f"{RESULTS}/prober.py", f"{RESULTS}/config.json", "--id", f"node-{node}", "--node", node]
        self.lab.run_in(node, ["systemd-run", "--quiet", "--collect", f"--unit={UNIT}", *program])

    def stop(self) -> Record:
        """Stop all probers and add up what they saw."""
        self._stop.set()
        if self._counter is not None:
            self._counter.join()
        with self.lab.api() as api:
            api.delete(f"{APPS}/daemonsets/prober")
            for node in self.lab.nodes:
                self.lab.run_in(node.name, ["systemctl", "stop", UNIT], check=False)
            wait_for("the end of the probers in pods", 60, lambda: not api.items(PODS, labelSelector="app=prober"), pause=0.5)
        self._collect()
        return probes.merge(*probes.read(self.folder))

    def _collect(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        for node in self.lab.nodes:
            target = self.folder / node.name
            target.mkdir(parents=True)
            for path in self._result_files(node.container, "*.json*"):
                if path.name != "config.json":
                    shutil.copyfile(path, target / path.name)
        if not list(self.folder.rglob("*.summary.json")):
            raise LabError("no prober wrote anything: look at the journal of the unit lab-prober on a node")

    def _result_files(self, container: str, pattern: str) -> list[Path]:
        """Files of the probers on a node, read through its init process: no program has to start for it."""
        return sorted(Path(f"/proc/{self._pid(container)}/root{RESULTS}").glob(pattern))

    def _pid(self, container: str) -> int:
        known: dict[str, int] = self.__dict__.setdefault("_pids", {})
        if container not in known:
            known[container] = self.lab.podman.pid(container)
        return known[container]

    def _summaries(self) -> list[Record]:
        return [json.loads(path.read_text()) for node in self.lab.nodes for path in self._result_files(node.container, "*.summary.json")]

    # Live numbers

    def _keep_counting(self) -> None:
        while not self._stop.wait(1.0):
            self.counters()

    def counters(self) -> Record:
        """What all probers counted so far; also written to C(counters_file), where the playbook reads it."""
        merged = probes.merge(self._summaries(), [], [])
        counters = {key: merged[key] for key in ("requests", "failed_requests", "longest_outage_ms")}
        counters["failed"] = counters["failed_requests"]
        temporary = self.counters_file.with_suffix(".new")
        temporary.write_text(json.dumps(counters))
        temporary.replace(self.counters_file)
        return counters

    def progress(self) -> str:
        """One line about the load."""
        counters = json.loads(self.counters_file.read_text()) if self.counters_file.exists() else {"requests": 0, "failed": 0}
        return f"probers: {counters['requests']:,} requests so far, {counters['failed']:,} failed"

    # Policies

    def policy(self) -> Record:
        """Whether the pod that a NetworkPolicy forbids gets no visitors, while the same client reaches one that it may."""
        with self.lab.api() as api:
            agent = next(iter(running(api.items(PODS, labelSelector="app=agent"))))
            forbidden = next(iter(running(api.items(PODS, labelSelector="app=forbidden"))))
            allowed = next(iter(running(api.items(PODS, labelSelector="app=web"))))
        node = next(node for node in self.lab.nodes if node.name == agent["spec"]["nodeName"])
        client = MeasuredPod(self.lab, node, agent["status"]["podIP"])
        if not reaches(client, allowed["status"]["podIP"]):
            return {"holds": False, "outcome": "all denied", "text": "A client that a NetworkPolicy allows gets no answer."}
        if reaches(client, forbidden["status"]["podIP"]):
            return {"holds": False, "outcome": "allowed", "text": "The pod that a NetworkPolicy forbids answers."}
        return {"holds": True, "outcome": "denied", "text": "The pod that a NetworkPolicy forbids gets no visitors, and the one that it allows does."}


def reaches(client: MeasuredPod, address: str) -> bool:
    """Whether a client in a pod gets a greeting from another pod."""
    command = ["timeout", "10", "nsenter", f"--net=/run/netns/{client.netns}", "--", "python3", "-c", CONNECT, address, "8080"]
    return client.lab.run_in(client.node.name, command, check=False).returncode == 0


def running(pods: list[Object]) -> list[Object]:
    """Pods with an address that are not about to end."""
    return [pod for pod in pods if pod["status"].get("podIP") and not pod["metadata"].get("deletionTimestamp")]


def unready(api: ClusterApi) -> list[str]:
    """Workloads of the demo that are not fully ready."""
    waiting = []
    for kind, wanted, ready in (
        ("deployments", "replicas", "readyReplicas"),
        ("statefulsets", "replicas", "readyReplicas"),
        ("daemonsets", "desiredNumberScheduled", "numberReady"),
    ):
        for item in api.items(f"{APPS}/{kind}"):
            status = item.get("status", {})
            target = item["spec"]["replicas"] if wanted == "replicas" else status.get(wanted, 0)
            if not target or status.get(ready, 0) < target or status.get("observedGeneration") != item["metadata"]["generation"]:
                waiting.append(item["metadata"]["name"])
    return waiting


def render(name: str, values: Record) -> list[Object]:
    """The objects of one of the manifests."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, trim_blocks=True, autoescape=False)  # noqa: S701
    environment.filters["tojson"] = json.dumps  # plain, not the form that is safe inside HTML
    text = environment.get_template(name).render(namespace=NAMESPACE, image=TOOLS_IMAGE, **values)
    return [document for document in yaml.safe_load_all(text) if document]
