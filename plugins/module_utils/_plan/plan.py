# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what will happen to which node, and why not. Pure: facts and settings in, a record for people and machines out."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_resources import FLANNEL_DEVICES, MIGRATION_LABEL, TUNNEL_ANNOTATION
from ansible_collections.podnet.cni.plugins.module_utils._plan import addressing, batches, node_state, reflectors, steps, workloads
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import Finding, blockers_of, is_blocked, may_pass
from ansible_collections.podnet.cni.plugins.module_utils._plan.preflight import preflight
from ansible_collections.podnet.cni.plugins.module_utils._plan.rules.bgp import given_peers
from ansible_collections.podnet.cni.plugins.module_utils._plan.rules.calico import matching_pool
from ansible_collections.podnet.cni.plugins.module_utils._plan.rules.routing import sets_source_check
from ansible_collections.podnet.cni.plugins.module_utils._plan.settings import POOL_NAME, Settings
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Facts, Situation
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import natural_key

Record = dict[str, t.Any]
StepsOf = t.Callable[[steps.Pods, bool], list[steps.Step]]
"""The steps of a node by its pods, and whether it stays cordoned."""


def pool_of(situation: Situation) -> Record:
    """The pool that the migration uses, which may be there already."""
    existing = matching_pool(situation)
    flannel = situation.flannel
    masquerade = flannel.get("ip_masq", True) if flannel else (existing or {}).get("natOutgoing", existing is None)
    return {
        "name": existing["name"] if existing else POOL_NAME,
        "cidr": situation.network,
        "block_size": situation.settings.block_size,
        "nat_outgoing": bool(masquerade),
        "encapsulation": situation.mode.encapsulation,
    }


def order_of_moves(situation: Situation) -> list[str]:
    """Nodes to move: those that a run has left in between, then workers, then control planes, and route reflectors last."""
    names = reflectors.existing(situation) + reflectors.chosen(situation)

    def key(node: Facts) -> tuple[t.Any, ...]:
        moving = situation.states[node["name"]] == node_state.MOVING
        return (not moving, node["name"] in names, bool(node.get("control_plane")), natural_key(str(node["name"])))

    return [node["name"] for node in sorted(situation.to_move, key=key)]


def phases_done(situation: Situation) -> list[str]:
    """The phases that need nothing any more, by what is true in the cluster and on the nodes."""
    daemonset = (situation.calico or {}).get("daemonset") or {}
    everywhere = bool(situation.nodes) and all(node["name"] in situation.nodes for node in situation.cluster_nodes)
    moved = everywhere and not situation.to_move
    truths = {
        "beside": bool(daemonset.get("desired")) and daemonset.get("ready", 0) >= daemonset["desired"] and matching_pool(situation) is not None,
        "moved": moved,
        "removed": moved and not situation.flannel and not any(node_state.traces_of_flannel(facts) for facts in situation.nodes.values()),
        "finished": moved and not _leftovers_of_migration(situation),
    }
    return [phase for phase, true in truths.items() if true]


def _leftovers_of_migration(situation: Situation) -> list[str]:
    """What only the migration needs and is still there."""
    reservations = [item["name"] for item in (situation.calico or {}).get("reservations") or [] if str(item["name"]).startswith("podnet-flannel-")]
    configuration = (situation.calico or {}).get("bgp_configuration") or {}
    ignored = [name for name in configuration.get("ignoredInterfaces") or [] if name == FLANNEL_DEVICES]
    labels = [node["name"] for node in situation.cluster_nodes if MIGRATION_LABEL in (node.get("labels") or {})]
    return reservations + ignored + labels + [trace for facts in situation.nodes.values() for trace in node_state.traces_of_migration(facts)]


def _pods_of(situation: Situation, node: str) -> steps.Pods:
    evict, restart = len(workloads.to_evict(situation.pods, node)), len(workloads.to_restart(situation.pods, node))
    return steps.Pods(replug=evict + restart) if situation.settings.replugs else steps.Pods(evict, restart)


def plan_node(situation: Situation, node: Facts, findings: t.Sequence[Finding], steps_of: StepsOf | None) -> Record:
    """The plan of one node; C(steps_of) says what happens to a node that moves, none to one that stays."""
    name = node["name"]
    facts = situation.nodes.get(name)
    on_flannel, on_calico = ([pod["address"] for pod in node_state.pods_on(facts, plane)] for plane in (node_state.FLANNEL, node_state.CALICO))
    cidr = node.get("pod_cidr") if ":" not in str(node.get("pod_cidr")) else None
    given = (node.get("annotations") or {}).get(TUNNEL_ANNOTATION)
    on_calico = [*on_calico, *([given] if given else [])]
    addresses = addressing.addresses_of(cidr, situation.settings.block_size, on_flannel, on_calico)
    tunnel = addressing.tunnel_address(addresses, on_flannel, on_calico, given) if situation.mode.tunnel else None
    pods = _pods_of(situation, name) if steps_of else steps.Pods()
    cordoned = not node.get("schedulable", True) and not node_state.cordoned_by_us(node)
    return {
        "name": name,
        "host": situation.settings.host_of(name),
        "zone": situation.zone_of(node),
        "address": node.get("internal_ip"),
        "control_plane": bool(node.get("control_plane")),
        "cordoned": cordoned,
        "state": situation.states[name],
        "pod_cidr": node.get("pod_cidr"),
        "blocks": addresses.blocks,
        "guard_routes": addresses.guard_routes,
        "reserved": addresses.reserved,
        "probe_address": addresses.probe_address,
        "tunnel": tunnel and tunnel._asdict(),
        "refused": blockers_of(findings, name) if steps_of else [],
        "pods_to_evict": pods.evict,
        "pods_to_restart": pods.restart,
        "pods_to_replug": pods.replug or 0,
        "plugins": sorted(str(program["name"]) for program in (facts or {}).get("cni_plugins") or []),
        "steps": steps_of(pods, cordoned) if steps_of else [],
    }


def _flannel_summary(flannel: Facts | None) -> Record | None:
    """What the plan repeats of Flannel."""
    if not flannel:
        return None
    daemonset, configmap = flannel["daemonset"], flannel.get("configmap")
    return {
        "daemonset": f"{daemonset['namespace']}/{daemonset['name']}",
        "configmap": f"{configmap['namespace']}/{configmap['name']}" if configmap else None,
        "image": daemonset.get("image"),
        "backend": {key: (flannel.get("backend") or {}).get(key) for key in ("type", "vni", "port")},
    }


def plan_common(situation: Situation, findings: t.Sequence[Finding], moving: t.Sequence[str], steps_of: StepsOf) -> Record:
    """What the plans of both directions say; C(moving) are the nodes that move, in order, and C(steps_of) says what happens to each."""
    cluster, chosen = situation.cluster, situation.settings
    return {
        "method": chosen.method,
        "blocked": is_blocked(findings),
        "may_pass": may_pass(findings),
        "findings": [finding.to_dict() for finding in findings],
        "settings": chosen.echo(),
        "cluster": {
            "server_version": cluster.get("server_version"),
            "gathered_at": cluster.get("gathered_at"),
            "nodes": len(situation.cluster_nodes),
            "zones": len({situation.zone_of(node) for node in situation.cluster_nodes} - {""}),
            "pods": sum(1 for pod in situation.pods if not workloads.is_finished(pod)),
            "flannel": _flannel_summary(situation.flannel),
            "calico": ((situation.calico or {}).get("daemonset") or {}).get("image"),
        },
        "network": situation.network,
        "pool": pool_of(situation),
        "routing": situation.mode.echo(),
        "felix": {"aws_source_check": "disable"} if sets_source_check(situation) else {},
        "nodes": [plan_node(situation, node, findings, steps_of if node["name"] in moving else None) for node in situation.cluster_nodes],
        "batches": batches.split(moving, chosen.serial, reflectors.chosen(situation) or reflectors.existing(situation)),
        "workloads": workloads.ready_counts(situation.pods),
    }


def plan_migration(cluster: Facts, nodes: t.Mapping[str, Facts], settings: Facts) -> Record:
    """The plan as a record that is plain data.

    :raises InvalidSettings: when a setting cannot be read.
    :raises InvalidSerial: when the sizes of the batches cannot be read.
    """
    situation = Situation(cluster, nodes, Settings.of(settings))
    chosen = situation.settings
    moving = order_of_moves(situation)
    common = plan_common(situation, preflight(situation), moving, steps.node_steps)
    done = phases_done(situation)
    peers = given_peers(situation) if situation.mode.peers else []
    removing = chosen.remove_flannel and not {"removed", "finished"} <= set(done)
    return {
        **common,
        "direction": node_state.CALICO,
        "work": bool(moving) or removing,
        "remove_flannel": removing,
        "restore_flannel": False,
        "remove_calico": False,
        "peers": [{key: peer.get(key) for key in ("name", "peer_ip", "as_number", "node", "node_selector", "peer_selector")} for peer in peers],
        "reflectors": reflectors.chosen(situation),
        "bgp_peers": reflectors.peers(situation),
        "bgp_nodes": reflectors.node_settings(situation),
        "phases_done": done,
        "cluster_steps": steps.cluster_steps(
            len(moving),
            len(common["batches"]),
            len(reflectors.peers(situation)),
            removing,
            chosen.keep_flannel_configmap,
            situation.mode,
            reflectors.chosen(situation),
            restarts=not chosen.replugs,
        ),
    }
