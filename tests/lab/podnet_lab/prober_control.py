# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a prober on every node and in a pod on every node, stops them, and collects what they saw."""

from __future__ import annotations

import contextlib
import copy
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from podnet_lab import prober_report, workloads
from podnet_lab.cluster_api import ClusterApi, Object
from podnet_lab.errors import LabError
from podnet_lab.lab import Lab
from podnet_lab.prober_report import ProbeReport, Record
from podnet_lab.shell import wait_for

FOLDER = "/var/lib/podnet-lab/prober"
UNIT = "podnet-lab-prober"
RUN_ANNOTATION = "podnet-lab/run"
DAEMONSET = f"/apis/apps/v1/namespaces/{workloads.NAMESPACE}/daemonsets/prober"
# A little under 50 ms, so that the mean stays there when a busy machine makes the prober skip a turn.
INTERVAL_MS = 40
DATAGRAM_INTERVAL_MS = 100
TIMEOUT_MS = 1000
PATIENCE_MS = 2000
"""For how much longer an answer is waited for: it tells how late the server itself was."""
REFRESH_MS = 500
# All nodes share one machine's cores; what measures must not wait behind what it measures.
CPU_WEIGHT = 1000
# A pod may start before the rules for it are programmed. What fails then is a failure, and is marked.
POD_WARMUP_MS = 3000
MAX_SECONDS = 3600.0
START_SECONDS = 90.0
STALE_SECONDS = 5.0


def service(name: str) -> str:
    """The full name of a Service of the workloads."""
    return f"{name}.{workloads.NAMESPACE}.svc.cluster.local"


def config(lab: Lab, run: str, place: str, cluster_ip: str, max_seconds: float = MAX_SECONDS, interval_ms: int = INTERVAL_MS) -> Record:
    """The configuration of the probers of a place: C(node) or C(pod). Only pod addresses need DNS, because they change."""
    headless = [service(name) for name in ("web-pods", "store", "agent-pods")]
    return {
        "place": place,
        "out": f"{FOLDER}/{run}",
        "interval_ms": interval_ms,
        "timeout_ms": TIMEOUT_MS,
        "patience_ms": PATIENCE_MS,
        "warmup_ms": POD_WARMUP_MS if place == "pod" else 0,
        "max_seconds": max_seconds,
        "linger": place == "pod",
        "dns_server": lab.topology.dns_address,
        "targets": [
            {"kind": "clusterip", "addresses": [cluster_ip], "port": 80},
            {"kind": "nodeport", "addresses": [node.address for node in lab.nodes], "port": workloads.NODE_PORT},
            {"kind": "pod", "names": headless, "port": workloads.GREETING_PORT, "refresh_ms": REFRESH_MS},
            {"kind": "stream", "addresses": [cluster_ip], "port": 8081},
            {"kind": "udp", "addresses": [cluster_ip], "port": 8082, "interval_ms": DATAGRAM_INTERVAL_MS},
            {"kind": "dns", "names": [service("web")], "interval_ms": DATAGRAM_INTERVAL_MS},
        ],
    }


def daemonset(run: str) -> Object:
    """The DaemonSet of the probers in pods; a new run means new pods."""
    (item,) = workloads.read("prober.yml")
    item = copy.deepcopy(item)
    item["spec"]["template"]["metadata"]["annotations"] = {RUN_ANNOTATION: run}
    return item


class ProberControl:
    """The probers of one lab. The run is remembered in the lab's state, so another process can stop or read it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._run_file = lab.state / "prober-run"
        self._pids: dict[str, int] = {}
        self._until: float | None = None

    # Start and stop

    def start(self, max_seconds: float = MAX_SECONDS, interval_ms: int = INTERVAL_MS) -> None:
        """Start probers everywhere, and wait until each has had answers. The workloads must be there. A longer interval is for larger labs."""
        self._end()
        run = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        script = (workloads.SCRIPTS / "prober.py").read_text(encoding="utf-8")
        self._until = None
        self._run_file.write_text(f"{run}\n", encoding="utf-8")
        with self.lab.api() as api:
            cluster_ip = str(api.get(f"/api/v1/namespaces/{workloads.NAMESPACE}/services/web")["spec"]["clusterIP"])
            pod_config, node_config = (json.dumps(config(self.lab, run, place, cluster_ip, max_seconds, interval_ms)) for place in ("pod", "node"))
            api.apply(workloads.config_map("prober", {"prober.py": script, "config.json": pod_config}))
            api.apply(daemonset(run))
            self._on_all_nodes(lambda node: self._start_on_node(node, script, node_config))
            workloads.wait_ready(self.lab, api, START_SECONDS)
        wait_for("the first answers of all probers", START_SECONDS, self._all_answered, f"Look with: journalctl -u {UNIT} on a node")

    def _start_on_node(self, node: str, script: str, text: str) -> None:
        folder = f"{FOLDER}/program"
        self.lab.run_in(node, ["sh", "-ec", f"mkdir -p {folder} && cat > {folder}/prober.py"], stdin=script)
        self.lab.run_in(node, ["sh", "-ec", f"cat > {folder}/config.json"], stdin=text)
        program = ["python3", "-ISB", f"{folder}/prober.py", f"{folder}/config.json", "--id", f"node-{node}", "--node", node]
        self.lab.run_in(node, ["systemd-run", "--quiet", "--collect", f"--unit={UNIT}", f"--property=CPUWeight={CPU_WEIGHT}", *program])

    def _all_answered(self) -> bool:
        answered = {
            (summary["node"], summary["place"])
            for summary in self._summaries()
            if all(counts["requests"] > counts["failed"] for counts in summary["kinds"].values())
        }
        missing = [f"{place} on {node.name}" for node in self.lab.nodes for place in ("node", "pod") if (node.name, place) not in answered]
        if missing:
            raise LabError(f"Without answers of every kind: {', '.join(missing)}.")
        return True

    def stop(self) -> ProbeReport:
        """Stop all probers, and report what they saw."""
        if self.run is None:
            raise LabError("no prober was started in this lab: start them first")
        self._until = time.time()
        self._end()
        return self.collect()

    def _end(self) -> None:
        with self.lab.api() as api:
            api.delete(DAEMONSET)
            self._on_all_nodes(lambda node: self.lab.run_in(node, ["systemctl", "stop", UNIT], check=False))
            wait_for("the end of the probers in pods", START_SECONDS, lambda: not _prober_pods(api), pause=0.5)

    def _on_all_nodes(self, action: Callable[[str], object]) -> None:
        with ThreadPoolExecutor(max_workers=3) as pool:
            list(pool.map(action, [node.name for node in self.lab.nodes]))

    # What they saw

    @property
    def run(self) -> str | None:
        """The name of the last run, None when there was none."""
        return self._run_file.read_text(encoding="utf-8").strip() if self._run_file.exists() else None

    def collect(self) -> ProbeReport:
        """What all probers of the last run have seen until now."""
        failures = [record for path in self._files("*.failures.jsonl") for record in read_lines(path)]
        seconds = [record for path in self._files("*.seconds.jsonl") for record in read_lines(path)]
        return prober_report.merge(self._summaries(), failures, seconds, self._until)

    def copy_files(self, folder: Path) -> None:
        """Keep what the probers of the last run wrote in a folder of their own, which is emptied first."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in self._files("*.json*"):
            shutil.copyfile(path, folder / path.name)

    def live(self) -> Record:
        """Counters while the probers run; cheap: a few small files are read, and no program starts."""
        summaries = self._summaries()
        report = prober_report.merge(summaries)
        now = time.time()
        running = [summary for summary in summaries if not summary["ended"]]
        return {
            "time": round(now, 3),
            "requests": report.requests,
            "failed": report.failed_requests,  # as podnet.cni.cni_show reads it
            "failed_requests": report.failed_requests,
            "longest_outage_ms": report.longest_outage_ms,
            "failed_by_kind": {kind: counts["failed"] for kind, counts in report.by_kind.items() if counts["failed"]},
            "probers": len(running),
            "stale": sorted(summary["id"] for summary in running if now - summary["updated"] > STALE_SECONDS),
        }

    @contextlib.contextmanager
    def live_file(self, path: Path, seconds: float = 1.0) -> Iterator[None]:
        """Keep C(live) in a file, rewritten atomically each second, as long as the block runs."""
        stop = threading.Event()

        def keep() -> None:
            while True:
                # A node that is restarted has no files for a moment.
                with contextlib.suppress(OSError, ValueError, LabError):
                    write_atomically(path, json.dumps(self.live()))
                if stop.wait(seconds):
                    return

        thread = threading.Thread(target=keep, name="prober-live", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _summaries(self) -> list[Record]:
        return [json.loads(path.read_text(encoding="utf-8")) for path in self._files("*.summary.json")]

    def _files(self, pattern: str) -> list[Path]:
        """Files of the last run on all nodes, read through the root of each node's init process."""
        run = self.run
        if run is None:
            return []
        return [path for node in self.lab.nodes for path in sorted((self._root(node.container) / FOLDER.lstrip("/") / run).glob(pattern))]

    def _root(self, container: str) -> Path:
        root = Path(f"/proc/{self._pids.get(container, 0)}/root")
        if not root.exists():
            pid = self.lab.podman.pid(container)
            if not pid:
                raise LabError(f"the container {container} does not run: bring the lab up again")
            self._pids[container] = pid
            root = Path(f"/proc/{pid}/root")
        return root


def read_lines(path: Path) -> list[Record]:
    """The records of a file with one JSON object a line; a last line that is not whole yet is left out."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]


def write_atomically(path: Path, text: str) -> None:
    """Readers see the old text or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _prober_pods(api: ClusterApi) -> list[Object]:
    return api.items(f"/api/v1/namespaces/{workloads.NAMESPACE}/pods", labelSelector="app=prober")
