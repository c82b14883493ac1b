# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbooks of the scenarios need of the lab."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

from podnet_lab import workloads
from podnet_lab.cluster_api import ClusterApi, object_path
from podnet_lab.errors import LabError
from podnet_lab.lab import Lab
from podnet_lab.prober_control import INTERVAL_MS, ProberControl
from podnet_lab.shell import wait_for

from podnet_molecule import account, breaking, replugging, results, returning, snapshot, switching

CALICO_GROUP = "crd.projectcalico.org"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def parser() -> argparse.ArgumentParser:
    """The commands."""
    top = argparse.ArgumentParser(prog="podnet_molecule", description="Steps of the molecule scenarios that need the lab.")
    commands = top.add_subparsers(dest="command", required=True)
    take = commands.add_parser("snapshot", help="write down what the lab is like")
    take.add_argument("file", type=Path)
    for name, text in (("apply", "apply a manifest with strict field validation"), ("delete", "delete the objects of a manifest")):
        manifest = commands.add_parser(name, help=text)
        manifest.add_argument("file", type=Path)
    commands.add_parser("remove-calico-definitions", help="remove Calico's resource definitions, and all resources with them")
    commands.add_parser("break-twice", help="break a migration on purpose, twice, and run it to its end")
    commands.add_parser("there-and-back", help="move nodes to Calico, back to Flannel, and to Calico for good")
    commands.add_parser("back-again", help="bring nodes that a scenario has moved back to Flannel, and remove Calico")
    commands.add_parser("replug-there-and-back", help="move nodes to Calico and back to Flannel while every pod goes on")
    commands.add_parser("switch-modes", help="switch a cluster on Calico to one mode of routing after the other")
    commands.add_parser("make-account", help="apply docs/examples/rbac.yml, and write a kubeconfig of its account")
    commands.add_parser("faults", help="inject every fault while a playbook runs")
    commands.add_parser("restart-calico-node", help="delete calico-node's pod on a node, and wait for the next one").add_argument("node")
    load = commands.add_parser("start-load", help="apply the workloads, and start probers on all nodes and in pods")
    load.add_argument("--interval-ms", type=int, default=INTERVAL_MS, help="between two requests of a kind (default: %(default)s)")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an error for people is printed without a trace."""
    options = parser().parse_args(arguments)
    try:
        _run(Lab.open(results.lab_name()), options)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(lab: Lab, options: argparse.Namespace) -> None:
    if options.command == "snapshot":
        snapshot.save(snapshot.take(lab), options.file)
    elif options.command == "apply":
        apply(lab, options.file)
    elif options.command == "delete":
        delete(lab, options.file)
    elif options.command == "remove-calico-definitions":
        remove_calico_definitions(lab)
    elif options.command == "break-twice":
        breaking.break_twice(lab)
    elif options.command == "make-account":
        account.make(lab)
    elif options.command == "restart-calico-node":
        restart_calico_node(lab, options.node)
    elif options.command == "there-and-back":
        returning.there_and_back(lab)
    elif options.command == "back-again":
        returning.back_again(lab)
    elif options.command == "replug-there-and-back":
        replugging.there_and_back(lab)
    elif options.command == "switch-modes":
        switching.switch_modes(lab)
    elif options.command == "faults":
        from podnet_faults import runner  # needs this package

        runner.run_all(lab)
    else:
        workloads.apply(lab)
        ProberControl(lab).start(interval_ms=options.interval_ms)


def apply(lab: Lab, manifest: Path, seconds: float = 60.0) -> None:
    """Apply the objects of a manifest in their order, and wait until their pods are ready."""
    items = workloads.read_manifest(manifest)
    with lab.api() as api:
        for item in items:
            api.apply(item)
        for path in [object_path(item) for item in items if item["kind"] in ("Deployment", "DaemonSet")]:
            wait_for(f"Ready of {path}", seconds, functools.partial(is_ready, api, path))


def is_ready(api: ClusterApi, path: str) -> bool:
    """Whether a workload has as many ready pods as it wants; a DaemonSet whose selector leaves out every node wants none."""
    item = api.get(path)
    status, generation = item.get("status", {}), item["metadata"]["generation"]
    if status.get("desiredNumberScheduled") == 0 and status.get("observedGeneration", 0) >= generation:
        return bool(item["spec"]["template"]["spec"].get("nodeSelector"))
    wanted, ready = workloads.pod_counts(item)
    return ready is not None and ready >= wanted


def delete(lab: Lab, manifest: Path, seconds: float = 60.0) -> None:
    """Delete the objects of a manifest, the last first, and wait until they are gone."""
    with lab.api() as api:
        for item in reversed(workloads.read_manifest(manifest)):
            path = object_path(item)
            api.delete(path)
            wait_for(f"the end of {path}", seconds, functools.partial(is_gone, api, path))


def is_gone(api: ClusterApi, path: str) -> bool:
    """Whether there is no such object."""
    return api.get_or_none(path) is None


def remove_calico_definitions(lab: Lab, seconds: float = 60.0) -> None:
    """Remove the definitions of Calico's group, and wait until it is not served any more."""
    with lab.api() as api:
        for item in api.items(DEFINITIONS):
            if item["spec"]["group"] == CALICO_GROUP:
                api.delete(f"{DEFINITIONS}/{item['metadata']['name']}")

        def gone() -> bool:
            left = [item for item in api.items(DEFINITIONS) if item["spec"]["group"] == CALICO_GROUP]
            return not left and CALICO_GROUP not in [group["name"] for group in api.get("/apis")["groups"]]

        wait_for(f"the end of the API group {CALICO_GROUP}", seconds, gone)


def restart_calico_node(lab: Lab, node: str, seconds: float = 90.0) -> None:
    """Delete the pod of calico-node on a node, and wait until another one is ready."""
    with lab.api() as api:

        def pods() -> dict[str, bool]:
            """Whether each is ready, by uid."""
            mine = [
                pod
                for pod in api.items("/api/v1/namespaces/kube-system/pods")
                if pod["metadata"].get("labels", {}).get("k8s-app") == "calico-node" and pod["spec"].get("nodeName") == node
            ]
            return {
                pod["metadata"]["uid"]: any(entry["type"] == "Ready" and entry["status"] == "True" for entry in pod["status"].get("conditions", []))
                for pod in mine
            }

        before = pods()
        for pod in api.items("/api/v1/namespaces/kube-system/pods"):
            if pod["metadata"]["uid"] in before:
                api.delete(object_path({"apiVersion": "v1", "kind": "Pod", **pod}))
        wait_for(f"another calico-node on {node}", seconds, lambda: any(ready for uid, ready in pods().items() if uid not in before))
