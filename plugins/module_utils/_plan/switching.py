# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of another mode for a cluster that is on Calico. Pure: facts and settings in, a record for people and machines out.

C(keeps) says which way packets have while Calico changes its routes. C(old): the present one, which goes on working until the new one is there, as
that over routers does when a tunnel is made. C(new): the new one, taken beforehand, since the present one ends with the change, as that through the
tunnel does. C(same): the way stays what it is, only who tells it changes. C(left): nothing changes but what a run has left that was stopped.
"""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_resources import AWS_SOURCE_CHECKS, SOURCE_CHECK_FIELD
from ansible_collections.podnet.cni.plugins.module_utils._plan import batches, modes, switch_steps
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import Finding, is_blocked, may_pass, ordered
from ansible_collections.podnet.cni.plugins.module_utils._plan.plan import Record, plan_common
from ansible_collections.podnet.cni.plugins.module_utils._plan.preflight import ask
from ansible_collections.podnet.cni.plugins.module_utils._plan.rules import access, bgp, calico, nodes, routing, switching
from ansible_collections.podnet.cni.plugins.module_utils._plan.sessions import session_findings
from ansible_collections.podnet.cni.plugins.module_utils._plan.settings import Settings
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Facts
from ansible_collections.podnet.cni.plugins.module_utils._plan.switch_situation import Switch
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import natural_key

DIRECTION = "switch"
RULES: tuple[t.Callable[[Switch], t.Iterator[Finding]], ...] = (
    routing.unknown,
    *switching.RULES,
    *routing.SOURCE_CHECK_RULES,
    bgp.passwords,
    nodes.not_ready,
    nodes.missing_in_inventory,
    nodes.unknown_hosts,
    nodes.unreachable,
    calico.not_ready,
    *access.RULES,
)


def keeps(situation: Switch) -> str:
    """Which way packets have meanwhile."""
    now, wanted = situation.now, situation.mode
    if now is None or now == wanted:
        return "left" if any(situation.guarded(node["name"]) for node in situation.cluster_nodes) else ""
    if now.tunnel and not wanted.tunnel:
        return "new"
    return "old" if wanted.tunnel else "same"


def order_of_nodes(situation: Switch) -> list[str]:
    """Workers, then control planes, as people count."""
    return [
        node["name"] for node in sorted(situation.cluster_nodes, key=lambda node: (bool(node.get("control_plane")), natural_key(str(node["name"]))))
    ]


def bgp_of(situation: Switch, mode: modes.Mode) -> Record:
    """The settings of BGP in a mode."""
    return {"as_number": situation.bgp_configuration.get("asNumber") or situation.settings.as_number, "node_mesh": mode.node_mesh}


def pool_of(situation: Switch, mode: modes.Mode) -> Record:
    """The pool in a mode."""
    pool = situation.pool or {}
    return {
        "name": pool.get("name", ""),
        "cidr": pool.get("cidr", ""),
        "block_size": pool.get("blockSize") or 26,
        "nat_outgoing": bool(pool.get("natOutgoing")),
        "encapsulation": mode.encapsulation,
    }


def _felix_before(situation: Switch) -> Record:
    """What Felix does with the source/destination check of AWS now; without the field that is nothing."""
    now = ((situation.calico or {}).get("felix") or {}).get(SOURCE_CHECK_FIELD)
    return {"aws_source_check": next((name for name, value in AWS_SOURCE_CHECKS.items() if value == now), "do_nothing")}


def _node(situation: Switch, planned: Record) -> Record:
    name = planned["name"]
    mtus = situation.pod_mtus(name)
    return {
        **planned,
        "probe_address": situation.probe_address(name),
        "guarded": situation.guarded(name),
        "pods": len(mtus),
        "pod_mtu": max(mtus.values(), default=None),
    }


def ways(plan: Record, name: str, probes: bool = False) -> list[dict[str, str]]:
    """Blocks of other nodes, or their C(probes), with the addresses of those nodes: what M(podnet.cni.route_guard) takes."""
    addresses = {node["name"]: node["address"] for node in plan["nodes"] if node["name"] != name and node.get("address")}
    if probes:
        return [
            {"destination": node["probe_address"], "node_address": addresses[node["name"]]} for node in plan["nodes"] if node["name"] in addresses
        ]
    return [{"destination": block["cidr"], "node_address": addresses[block["node"]]} for block in plan["blocks"] if block["node"] in addresses]


def plan_switch(cluster: Facts, facts: t.Mapping[str, Facts], settings: Facts) -> Record:
    """The plan as a record that is plain data, of the same shape as that of a migration.

    :raises InvalidSettings: when a setting cannot be read.
    :raises InvalidSerial: when the sizes of the batches cannot be read.
    """
    situation = Switch(cluster, facts, Settings.of(settings))
    now, wanted = situation.now or situation.mode, situation.mode
    found = ordered([*ask(RULES, situation), *(session_findings(cluster, facts) if not now.tunnel else ())])
    kept = keeps(situation)
    start_bird = wanted.backend == "bird" and len(situation.with_bird) < len(situation.cluster_nodes)
    stop_bird = wanted.backend != "bird" and bool(situation.with_bird)
    leaving = situation.peers if not wanted.peers else []
    mesh_changes = not wanted.tunnel and situation.has_mesh != wanted.node_mesh
    work = bool(kept or start_bird or stop_bird or leaving or mesh_changes)
    order = order_of_nodes(situation) if work else []
    common = plan_common(situation, found, order, lambda *dummy: [])
    record = {
        **common,
        "blocked": is_blocked(found),
        "may_pass": may_pass(found),
        "direction": DIRECTION,
        "work": work,
        "keeps": kept,
        "flips": now.encapsulation != wanted.encapsulation,
        "prove_before": kept == "new" and not any(situation.guarded(node["name"]) for node in situation.cluster_nodes),
        "routing_before": now.echo(),
        "pool": pool_of(situation, wanted),
        "pool_before": pool_of(situation, now),
        "bgp_before": {**bgp_of(situation, now), "node_mesh": situation.has_mesh},
        "bgp_both": {**bgp_of(situation, wanted), "node_mesh": situation.has_mesh or wanted.node_mesh},
        "bgp": {**bgp_of(situation, wanted), "node_mesh": wanted.node_mesh and not wanted.tunnel},
        "felix_before": _felix_before(situation) if common["felix"] else {},
        "bgp_peers": [dict(peer) for peer in situation.settings.bgp_peers] if wanted.peers else [],
        "peers_before": situation.peers,
        "peers_leaving": leaving,
        "start_bird": start_bird,
        "stop_bird": stop_bird,
        "backend_before": "bird" if situation.with_bird else "vxlan",
        "blocks": [{"cidr": str(block["cidr"]), "node": str(block["node"])} for block in situation.blocks],
        "path_mtu": situation.path_mtu,
        "cost": {"inside": wanted.inside - now.inside, "between": wanted.between - now.between},
        "nodes": [_node(situation, node) for node in common["nodes"]],
        "batches": batches.split(order, situation.settings.serial, ()),
        "remove_flannel": False,
        "restore_flannel": False,
        "remove_calico": False,
    }
    return {**record, "cluster_steps": switch_steps.cluster_steps(record) if work else []}
