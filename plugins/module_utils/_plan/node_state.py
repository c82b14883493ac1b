# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a node is, by what is true on it. Pure: no input, no output."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_manifest import BESIDE_NAME
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_traces import FELIX, PROGRAMS, TUNNELS
from ansible_collections.podnet.cni.plugins.module_utils._cni.flannel_node import is_flannel_link

Facts = t.Mapping[str, t.Any]
FLANNEL = "flannel"
MOVING = "moving"
CALICO = "calico"
UNKNOWN = "unknown"
CORDONED_BY_US = "podnet.cni/cordoned"
"""Annotation of M(podnet.cni.node_evict) on a node that it cordoned."""
GUARD_METRIC = 27127
"""Metric of the guard routes of M(podnet.cni.cni_switch)."""


def active_cni(node: Facts | None) -> str | None:
    """The CNI that gives new pods their network."""
    return ((node or {}).get("active_cni") or {}).get("cni")


def pods_on(node: Facts | None, data_plane: str) -> list[Facts]:
    """The running pods of a node on C(flannel), C(calico) or C(other)."""
    return list(((node or {}).get("pods") or {}).get(data_plane) or [])


def cordoned_by_us(cluster_node: Facts) -> bool:
    """Whether a run that was stopped left the node cordoned."""
    return CORDONED_BY_US in (cluster_node.get("annotations") or {})


def state_of(cluster_node: Facts, node: Facts | None) -> str:
    """C(flannel), C(calico), C(moving) when a run stopped in between, C(unknown) without facts or with another CNI."""
    active = active_cni(node)
    if node is None or active not in (FLANNEL, CALICO):
        return UNKNOWN
    if active == FLANNEL:
        return MOVING if pods_on(node, CALICO) else FLANNEL
    waiting = bool((node.get("watchdog") or {}).get("armed"))
    return MOVING if pods_on(node, FLANNEL) or waiting or cordoned_by_us(cluster_node) else CALICO


def traces_of_flannel(node: Facts) -> list[str]:
    """What Flannel has on a node, in words; the plugin's program alone does not count, since it does nothing by itself."""
    traces = [f"device {link['name']}" for link in node.get("links") or [] if is_flannel_link(link["name"])]
    if node.get("cni0"):
        traces.append("bridge cni0")
    traces += [f"CNI configuration {config['path']}" for config in node.get("cni_configs") or [] if config.get("cni") == FLANNEL]
    chains = [chain for chain in node.get("leftover_chains") or [] if chain.get("owner") == FLANNEL]
    traces += [f"chain {chain['chain']} in {chain['backend']} {chain['family']} {chain['table']}" for chain in chains]
    rules = [rule for rule in node.get("leftover_rules") or [] if rule.get("owner") == FLANNEL]
    traces += [f"rule in {rule['backend']} {rule['family']} {rule['table']} {rule['chain']}: {rule['rule']}" for rule in rules]
    traces += [f"nft table {table['family']} {table['name']}" for table in node.get("nft_tables") or [] if table.get("owner") == FLANNEL]
    if node.get("subnet_env"):
        traces.append("subnet.env")
    return traces


def traces_of_calico(node: Facts) -> list[str]:
    """What Calico has on a node, in words."""
    traces = [f"device {link['name']}" for link in node.get("links") or [] if link["name"] in TUNNELS]
    traces += [f"interface {interface['name']}" for interface in node.get("cali_interfaces") or []]
    traces += [f"route {route['destination']}" for route in node.get("routes") or [] if route.get("protocol") in ("bird", FELIX)]
    traces += [f"CNI configuration {config['path']}" for config in node.get("cni_configs") or [] if config.get("cni") == CALICO]
    traces += [f"plugin {program['name']}" for program in node.get("cni_plugins") or [] if program["name"] in PROGRAMS]
    chains = [chain for chain in node.get("leftover_chains") or [] if chain.get("owner") == CALICO]
    traces += [f"chain {chain['chain']} in {chain['backend']} {chain['family']} {chain['table']}" for chain in chains]
    return traces + [f"nft table {table['family']} {table['name']}" for table in node.get("nft_tables") or [] if table.get("owner") == CALICO]


def guard_routes(node: Facts) -> list[Facts]:
    """The guard routes that a node has."""
    return [route for route in node.get("routes") or [] if route.get("metric") == GUARD_METRIC]


def is_unguarded(node: Facts) -> bool:
    """Whether blackhole routes of Calico's blocks cut Flannel's pods off: a restart of the node takes the guard routes away."""
    holes = any(route.get("type") == "blackhole" for route in node.get("routes") or [])
    return holes and bool(node.get("cni0")) and not guard_routes(node)


def traces_of_migration(node: Facts) -> list[str]:
    """What the migration itself left on a node."""
    traces = [f"guard route {route['destination']}" for route in guard_routes(node)]
    names = [str(config["path"]).rsplit("/", 1)[-1] for config in node.get("cni_configs") or []]
    return traces + [f"CNI configuration {name}" for name in names if name == BESIDE_NAME or name.startswith("00-podnet-")]
