# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for any trace of Flannel or of the migration, with plain commands and none of the collection's own code.

The backup that the collection keeps on purpose in /var/lib/podnet is not a leftover.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from podnet_lab.cluster_api import ClusterApi, Object
from podnet_lab.lab import Lab

FLANNEL_DEVICES = ("flannel", "cni0")
WORD = "flannel"
FLANNEL_ANNOTATION = "flannel.alpha.coreos.com/"
MIGRATION_LABEL = "projectcalico.org/node-network-during-migration"
SHOWN = 3
NOT_FOUND = 127


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that is looked at on every node: a command, and what in its output is a trace."""

    title: str
    command: tuple[str, ...]
    traces: Callable[[str], list[str]]
    accepted_codes: tuple[int, ...] = (0,)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a check found in a place; C(error) tells why it could not look."""

    place: str
    title: str
    found: tuple[str, ...] = ()
    error: str = ""

    def as_dict(self) -> dict[str, t.Any]:
        """For JSON."""
        return {"place": self.place, "check": self.title, "found": list(self.found), "error": self.error}

    def lines(self) -> list[str]:
        """For the list of leftovers; a check that could not look counts as a leftover."""
        if self.error:
            return [f"{self.place}: {self.title}: could not be checked: {self.error}"]
        return [f"{self.place}: {self.title}: {line}" for line in self.found]


def lines_with_word(text: str) -> list[str]:
    """Lines that mention Flannel."""
    return [line.strip() for line in text.splitlines() if WORD in line.lower()]


def every_line(text: str) -> list[str]:
    """All lines that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def flannel_links(text: str) -> list[str]:
    """Devices of Flannel in C(ip -j link)."""
    return [link["ifname"] for link in json.loads(text or "[]") if is_flannel_device(link.get("ifname", ""))]


def flannel_routes(text: str) -> list[str]:
    """Routes through devices of Flannel in C(ip -j route show table all)."""
    routes = json.loads(text or "[]")
    return [f"{route.get('dst')} dev {route['dev']}" for route in routes if is_flannel_device(route.get("dev", ""))]


def is_flannel_device(name: str) -> bool:
    """Whether Flannel made this device."""
    return name.startswith(FLANNEL_DEVICES)


def shell(script: str) -> tuple[str, ...]:
    """A command line for the node's shell."""
    return ("sh", "-c", script)


FIND_CNI_CONFIGURATION = "[ ! -d /etc/cni/net.d ] || { find /etc/cni/net.d -iname '*flannel*'; grep -rli flannel /etc/cni/net.d; }"
FIND_RESULTS = 'grep -rlE \'"(type|networkName)": *"(flannel|cbr0)"\' /var/lib/cni 2>/dev/null'
FIND_MIGRATION = (
    "find /etc/cni/net.d /etc/systemd/system /run/systemd -name '*podnet*' 2>/dev/null; systemctl list-units --all --plain --no-legend 'podnet-*'"
)

NODE_CHECKS: tuple[Check, ...] = (
    Check("devices", ("ip", "-j", "link", "show"), flannel_links),
    Check("routes", ("ip", "-j", "route", "show", "table", "all"), flannel_routes),
    *(
        Check(f"firewall rules ({program})", (program,), lines_with_word)
        for program in ("iptables-nft-save", "iptables-legacy-save", "ip6tables-nft-save", "ip6tables-legacy-save")
    ),
    Check("nft tables", ("nft", "list", "ruleset"), lines_with_word),
    Check("CNI configuration", shell(FIND_CNI_CONFIGURATION), every_line, (0, 1)),
    Check("CNI plugin", shell("[ ! -d /opt/cni/bin ] || find /opt/cni/bin -iname '*flannel*'"), every_line),
    Check("address state", shell("find /var/lib/cni/networks /var/lib/cni/flannel -mindepth 1 2>/dev/null"), every_line, (0, 1)),
    Check("results of the flannel plugin", shell(FIND_RESULTS), every_line, (0, 1)),
    Check("run-time files", shell("find /run/flannel /etc/kube-flannel /var/lib/flannel 2>/dev/null"), every_line, (0, 1)),
    Check("processes", ("ps", "-eo", "args="), lambda text: [line for line in text.splitlines() if "flanneld" in line]),
    Check("files and units of the migration", shell(FIND_MIGRATION), every_line, (0, 1)),
)


def find(lab: Lab) -> list[Outcome]:
    """Every check on every node and in the cluster."""
    with ThreadPoolExecutor(max_workers=len(lab.nodes)) as pool:
        per_node = list(pool.map(lambda node: [look(lab, node.name, check) for check in NODE_CHECKS], lab.nodes))
    with lab.api() as api:
        return [outcome for outcomes in per_node for outcome in outcomes] + in_cluster(api)


def look(lab: Lab, place: str, check: Check) -> Outcome:
    """One check in one place."""
    done = lab.run_in(place, check.command, check=False)
    if done.returncode not in check.accepted_codes:
        reason = "the command is not there" if done.returncode == NOT_FOUND else done.stderr.strip()[:200]
        return Outcome(place, check.title, error=f"{check.command[0]}: {reason}")
    return Outcome(place, check.title, tuple(sorted(set(check.traces(done.stdout)))))


def in_cluster(api: ClusterApi) -> list[Outcome]:
    """Objects of Flannel and of the migration in the cluster."""
    nodes = api.items("/api/v1/nodes")
    return [
        Outcome("cluster", "DaemonSets", tuple(named(item for item in api.items("/apis/apps/v1/daemonsets") if runs_flannel(item)))),
        Outcome("cluster", "pods", tuple(named(item for item in api.items("/api/v1/pods") if is_flannel_pod(item)))),
        Outcome(
            "cluster", "ConfigMaps", tuple(named(item for item in api.items("/api/v1/configmaps") if "net-conf.json" in (item.get("data") or {})))
        ),
        Outcome("cluster", "access rules", tuple(called_flannel(api, ("clusterroles", "clusterrolebindings")))),
        Outcome(
            "cluster", "namespaces", tuple(item["metadata"]["name"] for item in api.items("/api/v1/namespaces") if WORD in item["metadata"]["name"])
        ),
        Outcome("cluster", "node annotations", tuple(node_keys(nodes, "annotations", FLANNEL_ANNOTATION))),
        Outcome("cluster", "node labels of the migration", tuple(node_keys(nodes, "labels", MIGRATION_LABEL))),
        Outcome("cluster", "address reservations of the migration", tuple(reservations(api))),
    ]


def named(items: Iterable[Object]) -> list[str]:
    """Namespace and name of objects."""
    return [f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}" for item in items]


def runs_flannel(daemonset: Object) -> bool:
    """Whether a container of it mentions flanneld."""
    return "flanneld" in json.dumps(daemonset["spec"]["template"]["spec"])


def is_flannel_pod(pod: Object) -> bool:
    """Whether a container of it runs flanneld."""
    return "flanneld" in json.dumps(pod["spec"]["containers"])


def called_flannel(api: ClusterApi, plurals: Iterable[str]) -> list[str]:
    """Cluster-wide access rules with Flannel in their names."""
    names = [(plural, item["metadata"]["name"]) for plural in plurals for item in api.items(f"/apis/rbac.authorization.k8s.io/v1/{plural}")]
    return [f"{plural}/{name}" for plural, name in names if WORD in name]


def node_keys(nodes: Iterable[Object], field: str, prefix: str) -> list[str]:
    """Annotations or labels of nodes that begin like this."""
    return [f"{node['metadata']['name']} {key}" for node in nodes for key in (node["metadata"].get(field) or {}) if key.startswith(prefix)]


def reservations(api: ClusterApi) -> list[str]:
    """Names of Calico's IPReservations that the migration made; none when Calico is not there."""
    found = api.get_or_none("/apis/crd.projectcalico.org/v1/ipreservations")
    return [item["metadata"]["name"] for item in (found or {}).get("items", []) if "podnet" in item["metadata"]["name"]]


def as_lines(outcomes: Iterable[Outcome]) -> list[str]:
    """The list for the report; long findings are cut short and counted."""
    lines: list[str] = []
    for outcome in outcomes:
        found = outcome.lines()
        lines += found[:SHOWN]
        if len(found) > SHOWN:
            lines.append(f"{outcome.place}: {outcome.title}: {len(found) - SHOWN} more")
    return lines
