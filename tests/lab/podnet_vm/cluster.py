# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that the machine joins and leaves: etcd and the API server are real, the kubelet is this file.

It tells the API server what a kubelet would: that the node is Ready as long as the machine can be reached, with the kernel and the boot that the
machine itself names. Pods of the node are objects only; they end when they are told to, and the agent's pod is Ready when the node is.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import ssl
import subprocess
import threading
import time
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

import yaml
from podnet_lab import parts, requirements
from podnet_lab.errors import LabError
from podnet_lab.process import end_process
from podnet_lab.shell import environment, run, wait_for

from podnet_vm.machine import Machine, free_port

NODE = "vm-node"
TOKEN = "the-tests-own"  # noqa: S105 - of an API server on the loopback interface that lives as long as the tests
NAMESPACE = "kube-system"
DAEMONSETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
SILENCE_SECONDS = 60.0
"""After which a node controller says that a kubelet has not been heard of."""
PAUSE_SECONDS = 8.0
SYSTEM = ("architecture", "containerRuntimeVersion", "kubeProxyVersion", "kubeletVersion", "machineID", "operatingSystem", "osImage", "systemUUID")
"""What a kubelet tells besides, and the API server wants to be there."""
Object = dict[str, t.Any]


def labelled(kind: str, name: str, **spec: t.Any) -> Object:
    """An object with a template of pods."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "image": name, "command": [f"/usr/bin/{name}"]}]}}
    body = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": body}


def pod(name: str, owner: Object) -> Object:
    """A pod on the node that a controller made."""
    reference = {
        "apiVersion": "apps/v1",
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": False,
    }
    template = owner["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": template["metadata"]["labels"], "ownerReferences": [reference]},
        "spec": {"nodeName": NODE, "containers": template["spec"]["containers"], "terminationGracePeriodSeconds": 5},
    }


class Cluster:
    """The processes, and who speaks for the node."""

    def __init__(self, folder: Path, machine: Machine) -> None:
        self.folder = folder
        self.machine = machine
        self.port = free_port()
        self.kubeconfig = folder / "kubeconfig"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._over = threading.Event()
        self._kubelet = threading.Thread(target=self._speak, name="kubelet", daemon=True)
        self.cordons: list[bool] = []
        """Whether the node was cordoned, each time that this changed."""

    def request(self, method: str, path: str, body: Object | None = None, kind: str = "application/json") -> Object:
        """One call of the API.

        :raises LabError: for every answer that is an error.
        """
        url = f"https://127.0.0.1:{self.port}{path}"
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind, "Accept": "application/json"}
        question = urllib.request.Request(url, json.dumps(body).encode() if body is not None else None, headers, method=method)
        # Its certificate is one that it made for itself.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with urllib.request.urlopen(question, timeout=20, context=context) as answer:  # noqa: S310
                return t.cast(Object, json.loads(answer.read() or b"{}"))
        except (urllib.error.URLError, OSError, ValueError) as exc:
            detail = exc.read().decode(errors="replace")[:500] if isinstance(exc, urllib.error.HTTPError) else ""
            raise LabError(f"{method} {path}: {exc} {detail}") from exc

    def _start(self, name: str, command: t.Sequence[str]) -> None:
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                ["nice", "-n", "5", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment()
            )
        self._processes.append(process)

    def start(self) -> None:
        """Bring it up with the node, an agent on it, a pod that can be evicted, and a kured."""
        self.folder.mkdir(parents=True, exist_ok=True)
        go = requirements.find_go()
        programs = {name: parts.build_part(parts.all_parts()[name], go) for name in ("etcd", "kubernetes")}
        client, peer = free_port(), free_port()
        key = self.folder / "accounts.key"
        run(["openssl", "genrsa", "-out", key, "2048"])
        (self.folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n", encoding="utf-8")
        address = f"http://127.0.0.1:{client}"
        self._start(
            "etcd",
            [str(programs["etcd"] / "server"), f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync", f"--listen-client-urls={address}",
             f"--advertise-client-urls={address}", f"--listen-peer-urls=http://127.0.0.1:{peer}"],
        )  # fmt: skip
        self._start(
            "kube-apiserver",
            [str(programs["kubernetes"] / "kube-apiserver"), f"--etcd-servers={address}", f"--secure-port={self.port}", "--bind-address=127.0.0.1",
             "--advertise-address=127.0.0.1", f"--cert-dir={self.folder / 'certificates'}", f"--token-auth-file={self.folder / 'tokens.csv'}",
             f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
             "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/24",
             "--authorization-mode=RBAC", "--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount"],
        )  # fmt: skip
        wait_for("an answer of the API server", 180, lambda: self.request("GET", "/api"), f"Look into {self.folder}.")
        self._write_kubeconfig()
        wait_for(f"the namespace {NAMESPACE}", 60, lambda: self.request("GET", f"/api/v1/namespaces/{NAMESPACE}"))
        self._fill()
        self._kubelet.start()

    def _write_kubeconfig(self) -> None:
        data = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "vm", "cluster": {"server": f"https://127.0.0.1:{self.port}", "insecure-skip-tls-verify": True}}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
            "contexts": [{"name": "vm", "context": {"cluster": "vm", "user": "admin"}}],
            "current-context": "vm",
        }
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(yaml.safe_dump(data), encoding="utf-8")

    def _fill(self) -> None:
        self.request("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        agent = self.request("POST", DAEMONSETS, labelled("DaemonSet", "cni-agent"))
        self.request("POST", DAEMONSETS, labelled("DaemonSet", "kured"))
        web = self.request("POST", f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets", labelled("ReplicaSet", "web", replicas=1))
        self._web = web
        self.request("POST", PODS, pod("cni-agent-1", agent))

    def add_web(self) -> None:
        """A pod that can be evicted, as the scheduler would put it there."""
        with contextlib.suppress(LabError):
            self.request("POST", PODS, pod("web-1", self._web))

    def pods(self) -> list[str]:
        """Names of the pods on the node."""
        return sorted(item["metadata"]["name"] for item in self.request("GET", f"{PODS}?fieldSelector=spec.nodeName%3D{NODE}")["items"])

    def node(self) -> Object:
        """The node."""
        return self.request("GET", f"/api/v1/nodes/{NODE}")

    def kured_lock(self) -> str:
        """Kured's lock, empty when nobody has it."""
        metadata = self.request("GET", f"{DAEMONSETS}/kured")["metadata"]
        return str((metadata.get("annotations") or {}).get("weave.works/kured-node-lock", ""))

    def lock(self) -> str:
        """Who has the lock of the collection, empty when nobody does."""
        with contextlib.suppress(LabError):
            found = self.request("GET", f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/podnet-cni-migration")
            return str(found["spec"].get("holderIdentity") or "")
        return ""

    # -- what a kubelet does

    def _speak(self) -> None:
        heard, info = 0.0, ("", "")
        while not self._over.wait(PAUSE_SECONDS):
            with contextlib.suppress(LabError, KeyError, ValueError):
                now = time.monotonic()
                if self.machine.answers():
                    # The boot is asked for each time that it may be another one.
                    if not info[0] or now - heard > 2 * PAUSE_SECONDS + 5:
                        info = tuple(self.machine.ssh("cat /proc/sys/kernel/random/boot_id; uname -r", timeout=60.0).split())  # type: ignore[assignment]
                    heard = time.monotonic()
                silent = time.monotonic() - heard > SILENCE_SECONDS
                self._tell("Unknown" if silent else "True", info)
                self._end_pods()
                cordoned = bool(self.node()["spec"].get("unschedulable"))
                if not self.cordons or self.cordons[-1] != cordoned:
                    self.cordons.append(cordoned)

    def _tell(self, ready: str, info: tuple[str, ...]) -> None:
        time_text = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {
            "type": "Ready",
            "status": ready,
            "reason": "Told",
            "message": "",
            "lastHeartbeatTime": time_text,
            "lastTransitionTime": time_text,
        }
        system = dict.fromkeys(SYSTEM, "")
        boot, kernel = (*info, "", "")[:2]
        status = {"conditions": [condition], "nodeInfo": {**system, "bootID": boot, "kernelVersion": kernel}}
        self.request("PATCH", f"/api/v1/nodes/{NODE}/status", {"status": status}, "application/strategic-merge-patch+json")
        agent = {"type": "Ready", "status": "True" if ready == "True" else "False", "lastTransitionTime": time_text}
        with contextlib.suppress(LabError):
            self.request(
                "PATCH",
                f"{PODS}/cni-agent-1/status",
                {"status": {"phase": "Running", "conditions": [agent]}},
                "application/strategic-merge-patch+json",
            )

    def _end_pods(self) -> None:
        for item in self.request("GET", f"{PODS}?fieldSelector=spec.nodeName%3D{NODE}")["items"]:
            if item["metadata"].get("deletionTimestamp"):
                self.request("DELETE", f"{PODS}/{item['metadata']['name']}?gracePeriodSeconds=0")

    def stop(self) -> None:
        """End the processes, the API server before etcd."""
        self._over.set()
        if self._kubelet.is_alive():
            self._kubelet.join(90.0)
        for process in reversed(self._processes):
            if process.poll() is None:
                end_process(process.pid, 20.0)
            process.wait()


@contextlib.contextmanager
def running(folder: Path, machine: Machine) -> t.Iterator[Cluster]:
    """A cluster that is gone at the end, whatever happens."""
    cluster = Cluster(folder, machine)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
