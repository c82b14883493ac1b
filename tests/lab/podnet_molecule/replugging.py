# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""There and back again while every pod goes on, with a connection from outside to a port of a node that is held all the time."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import typing as t
from pathlib import Path

from podnet_demo.calico_state import owners
from podnet_lab.cluster_api import ClusterApi
from podnet_lab.lab import Lab
from podnet_lab.parts import build_programs

from podnet_molecule import account, playbook, results, snapshot
from podnet_molecule.breaking import CONSENT, JOURNAL, Record, node_records
from podnet_molecule.returning import changes, logs_that_stay, seen

AS_THEY_RUN: dict[str, t.Any] = {**CONSENT, "podnet_pod_move": "replug"}
HOST_PORT = 30181
BLOCKS = "/apis/crd.projectcalico.org/v1/ipamblocks"
HOLD = """
import json, select, socket, sys, time
link = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
record, last = {"lines": 0, "longest_gap_ms": 0.0, "ended": False}, time.monotonic()
while True:
    readable = select.select([link, sys.stdin], [], [])[0]
    if sys.stdin in readable:
        break
    data = link.recv(65536)
    now = time.monotonic()
    record["longest_gap_ms"] = max(record["longest_gap_ms"], round((now - last) * 1000, 1))
    record["lines"] += data.count(b"\\n")
    last = now
    if not data:
        record["ended"] = True
        break
print(json.dumps(record))
"""
"""Reads lines that come every 50 ms, until something is written to it."""


def pods(api: ClusterApi) -> dict[str, Record]:
    """What tells a pod that goes on from one that was started again, by namespace and name."""
    found = {}
    for pod in api.items("/api/v1/pods"):
        if not pod["spec"].get("hostNetwork"):
            status = pod["status"]
            found[f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"] = {
                "uid": pod["metadata"]["uid"],
                "address": status.get("podIP"),
                "restarts": sum(entry["restartCount"] for entry in status.get("containerStatuses", [])),
                "ready": [[entry["status"], entry["lastTransitionTime"]] for entry in status.get("conditions", []) if entry["type"] == "Ready"],
            }
    return found


def books(api: ClusterApi) -> dict[str, list[str]]:
    """Addresses that Calico has given to each pod; none without Calico."""
    return owners(api.items(BLOCKS)) if api.get_or_none("/apis/crd.projectcalico.org") else {}


def gaps(api: ClusterApi) -> list[float]:
    """Milliseconds for which packets of each pod had no way, of the nodes that were moved last."""
    nodes = node_records(api.get_or_none(JOURNAL))
    return sorted(gap for node in nodes.values() for gap in node.get("replugged", {}).get("milliseconds", []))


def reached(api: ClusterApi) -> list[int]:
    """How many addresses of other nodes each pod reached before and afterwards, of the nodes that were moved last."""
    nodes = node_records(api.get_or_none(JOURNAL))
    return sorted(number for node in nodes.values() for number in node.get("replugged", {}).get("reached", []))


def ipam_check(lab: Lab) -> str:
    """What Calico's own tool says of its books."""
    command: list[str | Path] = [build_programs()["calico"] / "calicoctl", "--allow-version-mismatch", "ipam", "check"]
    return lab.run_in("ctl", command, check=False, env={"DATASTORE_TYPE": "kubernetes"}).stdout


def holding(lab: Lab, api: ClusterApi) -> subprocess.Popen[str]:
    """A connection from the controller's place to the port of the node that the rigid pod has."""
    (node,) = {
        pod["status"]["hostIP"] for pod in api.items("/api/v1/namespaces/demo/pods") if pod["metadata"].get("labels", {}).get("app") == "rigid"
    }
    return lab.popen_in("ctl", [sys.executable, "-c", HOLD, node, str(HOST_PORT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def there_and_back(lab: Lab) -> None:
    """Carry it out, and keep what happened for the tests."""
    steps: list[tuple[str, str, dict[str, t.Any]]] = [
        ("moved", playbook.PLAYBOOK, {**AS_THEY_RUN, "podnet_remove_flannel": False}),
        ("again", playbook.PLAYBOOK, {**AS_THEY_RUN, "podnet_remove_flannel": False}),
        ("back", playbook.ROLLBACK, AS_THEY_RUN),
    ]
    before = snapshot.take(lab)
    with lab.api() as api:
        record: Record = {"pods": pods(api), "logs_that_stay": logs_that_stay(before)}
        held = holding(lab, api)
        try:
            for name, which, variables in steps:
                given = {**variables, "podnet_kubeconfig": str(account.path(lab))}
                record[name] = dataclasses.asdict(playbook.run(lab.inventory, given, playbook=which))
                record[f"after_{name}"] = {
                    **seen(lab, api),
                    "pods_there": pods(api),
                    "books": books(api),
                    "gaps": gaps(api),
                    "reached": reached(api),
                }
                if name == "moved":
                    record["ipam_check"] = ipam_check(lab)
            told, _errors = held.communicate("end\n", timeout=30)
            record["held"] = json.loads(told)
        finally:
            held.kill()
            held.wait()
        record["changes"] = changes(before, snapshot.take(lab))
    (results.folder() / "replugging.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
