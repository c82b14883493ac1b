# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""There, back again, and there for good: nodes are moved to Calico, brought back to Flannel, and moved once more."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from podnet_lab.cluster_api import ClusterApi
from podnet_lab.lab import Lab

from podnet_molecule import playbook, results
from podnet_molecule.breaking import CONSENT, UNANSWERED, Record, state

BRIDGE_SCRIPT = "ls /sys/class/net/cni0/brif 2>/dev/null; echo -; ls /sys/class/net | grep ^cali || true"


def pods_on(lab: Lab, name: str) -> dict[str, int]:
    """Interfaces of pods on Flannel's bridge and of Calico."""
    ports, veths = lab.run_in(name, ["sh", "-c", BRIDGE_SCRIPT]).stdout.split("-\n")
    return {"flannel": len(ports.split()), "calico": len(veths.split())}


def addresses(api: ClusterApi) -> list[str]:
    """Addresses of the running pods that are not those of nodes."""
    pods = api.items("/api/v1/pods")
    return [pod["status"]["podIP"] for pod in pods if pod["status"].get("podIP") and not pod["spec"].get("hostNetwork")]


def seen(lab: Lab, api: ClusterApi) -> Record:
    """What is true between two runs."""
    return {**state(lab, api), "pods": {node.name: pods_on(lab, node.name) for node in lab.nodes}, "addresses": addresses(api)}


def there_and_back(lab: Lab) -> None:
    """Carry it out, and keep what happened for the tests."""
    first, second, *_others = (node.name for node in lab.nodes)
    steps: list[tuple[str, str, dict[str, t.Any]]] = [
        ("moved", playbook.PLAYBOOK, {**CONSENT, "podnet_remove_flannel": False}),
        ("unanswered", playbook.ROLLBACK, {**UNANSWERED, "podnet_return_nodes": [first]}),
        ("one", playbook.ROLLBACK, {**CONSENT, "podnet_return_nodes": [second]}),
        ("all", playbook.ROLLBACK, {**CONSENT, "podnet_serial": "100%"}),
        ("again", playbook.ROLLBACK, CONSENT),
        ("for_good", playbook.PLAYBOOK, CONSENT),
    ]
    record: Record = {}
    with lab.api() as api:
        for name, which, variables in steps:
            record[name] = dataclasses.asdict(playbook.run(lab.inventory, variables, playbook=which))
            record[f"after_{name}"] = seen(lab, api)
            (results.folder() / "returning.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
