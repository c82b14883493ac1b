# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether every pod is on Calico, by the routes of its own node."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterable

from podnet_lab.cluster_api import Object
from podnet_lab.lab import Lab


def pods_on_calico(lab: Lab) -> dict[str, t.Any]:
    """Count pods with an address of the pod network, and name those that have no C(cali) route on their node."""
    with lab.api() as api:
        pods = [pod for pod in api.items("/api/v1/pods") if has_pod_address(pod)]
    addresses = {node.name: calico_addresses(lab.run_in(node.name, ["ip", "-j", "route", "show"]).stdout) for node in lab.nodes}
    missing = [
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']} ({pod['status']['podIP']} on {pod['spec']['nodeName']})"
        for pod in pods
        if pod["status"]["podIP"] not in addresses.get(pod["spec"]["nodeName"], set())
    ]
    return {"pods": len(pods), "on_calico": len(pods) - len(missing), "missing": sorted(missing)}


def has_pod_address(pod: Object) -> bool:
    """Whether a pod runs on the pod network."""
    ended = pod["metadata"].get("deletionTimestamp") or pod["status"].get("phase") in ("Succeeded", "Failed")
    return not ended and not pod["spec"].get("hostNetwork") and bool(pod["status"].get("podIP"))


def calico_addresses(routes: str) -> set[str]:
    """Addresses that C(ip -j route) sends to Calico's pod interfaces."""
    return {route["dst"].partition("/")[0] for route in json.loads(routes or "[]") if str(route.get("dev", "")).startswith("cali")}


def owners(blocks: Iterable[Object]) -> dict[str, list[str]]:
    """Handles of the addresses that blocks of Calico's IPAM give to pods, by the pod's namespace and name."""
    given: dict[str, list[str]] = {}
    for block in blocks:
        for attribute in block["spec"]["attributes"]:
            owner = attribute.get("secondary") or {}
            if owner.get("pod"):
                given.setdefault(f"{owner['namespace']}/{owner['pod']}", []).append(str(attribute["handle_id"]))
    return given
