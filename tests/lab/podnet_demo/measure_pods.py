# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two pods in different zones that the measurements run between."""

from __future__ import annotations

import types
from pathlib import Path

from podnet_lab.cluster_api import ClusterApi, Object
from podnet_lab.errors import LabError
from podnet_lab.images import TOOLS_IMAGE
from podnet_lab.lab import Lab
from podnet_lab.pod_place import PodPlace
from podnet_lab.shell import wait_for

TRAFFIC = Path(__file__).with_name("traffic.py")
PODS = "/api/v1/namespaces/default/pods"


def manifest(name: str, node: str) -> Object:
    """A pod with the servers of the measurements, on a given node."""

    def container(label: str, command: list[str]) -> Object:
        return {"name": label, "image": TOOLS_IMAGE, "imagePullPolicy": "IfNotPresent", "command": command}

    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "podnet-measure"}},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                container("iperf3", ["iperf3", "-s"]),
                container("traffic", ["python3", "-u", "-c", TRAFFIC.read_text(encoding="utf-8"), "serve"]),
            ],
        },
    }


class MeasuredPod(PodPlace):
    """One of the two pods."""

    def traffic(self, mode: str, address: str, size: int, count: int = 1) -> str:
        """Run a client of C(traffic.py)."""
        words = ["python3", "-", mode, "--address", address, "--size", str(size), "--count", str(count)]
        return self.run(*words, stdin=TRAFFIC.read_text(encoding="utf-8"))


class MeasurePods:
    """The client in the first zone and the server in the second, from C(with) to its end."""

    def __init__(self, lab: Lab) -> None:
        zones = lab.topology.zones
        if len(zones) < 2:
            raise LabError("traffic between zones needs a topology with two zones or more")
        self.lab = lab
        self.places = {"podnet-measure-client": zones[0].nodes[0], "podnet-measure-server": zones[1].nodes[0]}

    def __enter__(self) -> tuple[MeasuredPod, MeasuredPod]:
        with self.lab.api() as api:
            self._delete(api)
            for name, node in self.places.items():
                api.apply(manifest(name, node.name))
            addresses = []
            for name in self.places:
                wait_for(f"the pod {name} running", 60, lambda name=name: self._address(api, name))  # type: ignore[misc]
                addresses.append(self._address(api, name))
        client, server = (MeasuredPod(self.lab, node, address) for node, address in zip(self.places.values(), addresses, strict=True))
        probe = "import socket, sys; [socket.create_connection((sys.argv[1], port), 2).close() for port in (5201, 7070)]"
        wait_for("an answer of the servers in the measured pod", 30, lambda: client.run("python3", "-c", probe, server.address, timeout=5) == "")
        return client, server

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None) -> None:
        with self.lab.api() as api:
            self._delete(api)

    def _address(self, api: ClusterApi, name: str) -> str:
        status = (api.get_or_none(f"{PODS}/{name}") or {}).get("status", {})
        ready = [container.get("ready") for container in status.get("containerStatuses", [])]
        return str(status.get("podIP", "")) if ready and all(ready) else ""

    def _delete(self, api: ClusterApi) -> None:
        for name in self.places:
            api.delete(f"{PODS}/{name}")
        for name in self.places:
            wait_for(f"the end of the pod {name}", 60, lambda name=name: api.get_or_none(f"{PODS}/{name}") is None)  # type: ignore[misc]
