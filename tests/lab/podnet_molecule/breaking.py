# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Breaks a migration on purpose, twice, and runs it again each time: a node that does not pass its checks, then a controller that is killed."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import typing as t

from podnet_lab.cluster_api import ClusterApi
from podnet_lab.errors import LabError
from podnet_lab.lab import Lab
from podnet_lab.shell import wait_for

from podnet_molecule import playbook, results

Record = dict[str, t.Any]
CONSENT: dict[str, t.Any] = {"podnet_confirm": True}
CLOSED = {"name": "a port that nobody listens on", "address": "10.96.0.1", "port": 9}
"""In the cluster's Service network, so that a moved node is asked for something that cannot work."""
UNANSWERED = {**CONSENT, "podnet_probe_tcp": [CLOSED], "podnet_probe_timeout": 5}
LOCK = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/podnet-cni-migration"
JOURNAL = "/api/v1/namespaces/kube-system/configmaps/podnet-cni-migration"
TIMER = "podnet-cni-watchdog.timer"
MOVE_SECONDS = 300.0
NODE_SCRIPT = f"ls /etc/cni/net.d | grep -E 'conf(list)?$' | head -1; systemctl is-active {TIMER} || true"
BRIDGE_SCRIPT = "ls /sys/class/net/cni0/brif 2>/dev/null; echo -; ls /sys/class/net | grep ^cali || true"


def pods_on(lab: Lab, name: str) -> dict[str, int]:
    """Interfaces of pods on Flannel's bridge and of Calico."""
    ports, veths = lab.run_in(name, ["sh", "-c", BRIDGE_SCRIPT]).stdout.split("-\n")
    return {"flannel": len(ports.split()), "calico": len(veths.split())}


def node_state(lab: Lab, name: str) -> Record:
    """The CNI configuration that the runtime uses, and whether the timer is armed."""
    configuration, timer = lab.run_in(name, ["sh", "-c", NODE_SCRIPT]).stdout.split()
    return {"configuration": configuration, "timer": timer == "active"}


def node_records(journal: Record | None) -> dict[str, t.Any]:
    """What the journal's ConfigMap has of nodes, by key; a record that was so long that it is compressed is left out."""
    data = (journal or {}).get("data") or {}
    return {key: json.loads(text) for key, text in data.items() if key.startswith("node.")}


def state(lab: Lab, api: ClusterApi) -> Record:
    """What is true between two runs, of the nodes that the cluster has."""
    nodes: dict[str, Record] = {}
    for item in api.items("/api/v1/nodes"):
        name = item["metadata"]["name"]
        nodes[name] = {**node_state(lab, name), "schedulable": not item["spec"].get("unschedulable")}
    phases = {key: record.get("phase") for key, record in node_records(api.get_or_none(JOURNAL)).items()}
    return {"nodes": nodes, "locked": api.get_or_none(LOCK) is not None, "phases": phases}


def kill_while_switched(lab: Lab, api: ClusterApi) -> Record:
    """Start a run and kill it with all of its processes once it has moved a node and another one is between its switch and the commit."""
    log = results.folder() / "killed.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            playbook.command(lab.inventory, CONSENT), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        switched: list[str] = []

        def is_between() -> bool:
            if process.poll() is not None:
                raise SystemExit(f"the run ended with code {process.returncode} before it was killed; its output is in {log}")
            if "moved" not in state_of_journal(api):
                return False
            switched[:] = [node.name for node in lab.nodes if node_state(lab, node.name)["timer"]]
            return bool(switched)

        try:
            wait_for("a second node between switch and commit", MOVE_SECONDS, is_between, pause=0.05)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return {"node": switched[0], "code": process.returncode, "before": state(lab, api)}


def state_of_journal(api: ClusterApi) -> list[str]:
    """The phases of all nodes that the journal knows."""
    journal = api.get_or_none(JOURNAL)
    if journal is None:
        raise LabError("the journal is not there yet")
    return [record.get("phase") for record in node_records(journal).values()]


def break_twice(lab: Lab) -> None:
    """Carry it out, and keep what happened for the tests."""
    record: Record = {}
    with lab.api() as api:
        record["unanswered"] = dataclasses.asdict(playbook.run(lab.inventory, UNANSWERED))
        record["after_unanswered"] = state(lab, api)
        record["pods_after_unanswered"] = {node.name: pods_on(lab, node.name) for node in lab.nodes}
        record["killed"] = kill_while_switched(lab, api)
        record["last"] = dataclasses.asdict(playbook.run(lab.inventory, CONSENT))
        record["after_last"] = state(lab, api)
    (results.folder() / "broken.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
