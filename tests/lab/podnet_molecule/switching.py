# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On a cluster that is on Calico: a switch to another mode of routing that cannot succeed, then one mode after the other, each followed by a run
that has nothing to do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
import typing as t

from podnet_lab import router
from podnet_lab.cluster_api import ClusterApi
from podnet_lab.lab import Lab

from podnet_molecule import account, playbook, results
from podnet_molecule.breaking import CONSENT, LOCK, Record

MODES = ("vxlan", "cross_subnet", "bgp")
"""A way over routers comes first, that of the migration."""
CALICO = "/apis/crd.projectcalico.org/v1"
TUNNEL_ANNOTATION = "projectcalico.org/IPv4VXLANTunnelAddr"
TIMES = {"podnet_settle_seconds": 240, "podnet_watchdog_seconds": 900, "podnet_fabric_timeout": 120}
"""The lab is a small machine under load."""
BLOCKED = """\
table inet lab_blocked {
  chain in { type filter hook input priority -300; udp dport 4789 drop; }
}
"""
"""Packets of Calico's tunnel do not arrive."""


def of_node(lab: Lab, name: str) -> Record:
    """Routes, rules and links of a node."""
    routes = json.loads(lab.run_in(name, ["ip", "-j", "-4", "route", "show", "table", "all"]).stdout)
    rules = json.loads(lab.run_in(name, ["ip", "-j", "-4", "rule", "show"]).stdout)
    links = json.loads(lab.run_in(name, ["ip", "-j", "link", "show"]).stdout)
    tables = lab.run_in(name, ["nft", "list", "tables"]).stdout.splitlines()
    timers = lab.run_in(name, ["systemctl", "list-units", "--all", "--plain", "--no-legend", "podnet-route-guard*"]).stdout.split()
    return {
        "routes": [route for route in routes if route.get("table") != "local"],
        "rules": sorted(rule["priority"] for rule in rules),
        "links": {link["ifname"]: link["mtu"] for link in links},
        "tables": [table for table in tables if "podnet" in table],
        "timers": timers,
    }


def seen(lab: Lab, api: ClusterApi) -> Record:
    """What is true after a run."""
    (pool,) = api.items(f"{CALICO}/ippools")
    nodes = {node["metadata"]["name"]: node["metadata"]["annotations"].get(TUNNEL_ANNOTATION) for node in api.items("/api/v1/nodes")}
    pods = [pod for pod in api.items("/api/v1/pods") if not pod["spec"].get("hostNetwork")]
    return {
        "pool": pool["spec"].get("vxlanMode") or "Never",
        "peers": [peer["metadata"]["name"] for peer in api.items(f"{CALICO}/bgppeers")],
        "tunnels": nodes,
        "backend": api.get("/api/v1/namespaces/kube-system/configmaps/calico-config")["data"]["calico_backend"],
        "sessions": router.control(lab.state, "show protocols").count("Established"),
        "locked": api.get_or_none(LOCK) is not None,
        "pods": {pod["metadata"]["uid"]: pod["status"].get("podIP") for pod in pods},
        "nodes": {node.name: of_node(lab, node.name) for node in lab.nodes},
    }


@contextlib.contextmanager
def without_tunnel(lab: Lab, name: str) -> t.Iterator[None]:
    """A node that nobody reaches through Calico's tunnel."""
    lab.run_in(name, ["nft", "--file", "-"], stdin=BLOCKED)
    try:
        yield
    finally:
        lab.run_in(name, ["nft", "delete", "table", "inet", "lab_blocked"])


def switch_modes(lab: Lab) -> None:
    """Carry it out, and keep what happened for the tests."""
    record: Record = {}

    def variables(mode: str) -> dict[str, t.Any]:
        return {
            **CONSENT,
            **TIMES,
            "podnet_allow_untried": True,
            "podnet_calico_routing": mode,
            "podnet_kubeconfig": str(account.path(lab)),
        }

    with lab.api() as api:
        record["before"] = seen(lab, api)
        with without_tunnel(lab, lab.nodes[-1].name):
            given = {**variables(MODES[0]), "podnet_fabric_timeout": 20}
            record["stopped"] = dataclasses.asdict(playbook.run(lab.inventory, given, playbook=playbook.SWITCH))
        record["after_stopped"] = seen(lab, api)
        for mode in MODES:
            given = variables(mode)
            began = time.time()
            outcome = playbook.run(lab.inventory, given, playbook=playbook.SWITCH)
            record[mode] = dataclasses.asdict(outcome)
            record[f"time_{mode}"] = [began, time.time()]
            record[f"after_{mode}"] = seen(lab, api)
            if not outcome.code:
                record[f"again_{mode}"] = dataclasses.asdict(playbook.run(lab.inventory, given, playbook=playbook.SWITCH))
            (results.folder() / "switching.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
            if outcome.code:
                break
