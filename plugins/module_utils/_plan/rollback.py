# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of the way back, from Calico to Flannel, node by node. Pure: facts and settings in, a record for people and machines out."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import batches, node_state, steps, workloads
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import Finding, blockers_of, is_blocked, may_pass, ordered
from ansible_collections.podnet.cni.plugins.module_utils._plan.plan import Record, flannel_summary, order_of_moves, plan_node, pool_of
from ansible_collections.podnet.cni.plugins.module_utils._plan.routing import routing_findings
from ansible_collections.podnet.cni.plugins.module_utils._plan.rules import calico, going_back, host, nodes, pods
from ansible_collections.podnet.cni.plugins.module_utils._plan.settings import Settings
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Facts, Situation, zone_of

RULES = (
    *going_back.RULES,
    nodes.not_ready,
    nodes.network_unavailable,
    nodes.too_few,
    nodes.cordoned,
    nodes.interrupted,
    nodes.active_cni,
    nodes.missing_in_inventory,
    nodes.unknown_hosts,
    nodes.unreachable,
    calico.not_ready,
    *(rule for rule in pods.RULES if rule is not pods.policies),
    host.tools,
    host.tunnel_device,
    host.reverse_path_filter,
)
"""Asked before a node goes back."""


@dataclasses.dataclass(frozen=True)
class WayBack(Situation):
    """The situation with the nodes that go back as those that move."""

    @property
    def to_move(self) -> list[Facts]:
        """Nodes that were chosen and are not wholly on Flannel, or whose pods there cannot be reached."""
        chosen = self.settings.return_nodes
        return [node for node in self.cluster_nodes if (not chosen or node["name"] in chosen) and not self._is_back(node)]

    def _is_back(self, node: Facts) -> bool:
        on_flannel = self.states[node["name"]] == node_state.FLANNEL
        return on_flannel and not node_state.cordoned_by_us(node) and not node_state.is_unguarded(self.nodes[node["name"]])

    def moving_facts(self) -> t.Iterator[tuple[Facts, Facts]]:
        """What is known of them."""
        moving = {node["name"] for node in self.to_move}
        return ((node, facts) for node, facts in self.node_facts() if node["name"] in moving)


def findings_of(situation: WayBack) -> list[Finding]:
    """Everything that the rules find, the worst first."""
    found = [finding for rule in RULES for finding in rule(situation)]
    return ordered([*found, *routing_findings(situation.cluster, situation.nodes)])


def plan_rollback(cluster: Facts, facts: t.Mapping[str, Facts], settings: Facts) -> Record:
    """The plan as a record that is plain data, of the same shape as that of the way to Calico.

    :raises InvalidSettings: when a setting cannot be read.
    :raises InvalidSerial: when the sizes of the batches cannot be read.
    """
    situation = WayBack(cluster, facts, Settings.of(settings))
    findings = findings_of(situation)
    moving = order_of_moves(situation)
    parts = batches.split(moving, situation.settings.serial)
    return {
        "direction": node_state.FLANNEL,
        "method": situation.settings.method,
        "work": bool(moving),
        "blocked": is_blocked(findings),
        "may_pass": may_pass(findings),
        "remove_flannel": False,
        "findings": [finding.to_dict() for finding in findings],
        "settings": situation.settings.echo(),
        "cluster": {
            "server_version": cluster.get("server_version"),
            "gathered_at": cluster.get("gathered_at"),
            "nodes": len(situation.cluster_nodes),
            "zones": len({zone_of(node) for node in situation.cluster_nodes} - {""}),
            "pods": sum(1 for pod in situation.pods if not workloads.is_finished(pod)),
            "flannel": flannel_summary(situation.flannel),
            "calico": ((situation.calico or {}).get("daemonset") or {}).get("image"),
        },
        "network": situation.network,
        "pool": pool_of(situation),
        "peers": [],
        "phases_done": [],
        "nodes": [_node(situation, node, findings, node["name"] in moving) for node in situation.cluster_nodes],
        "batches": parts,
        "cluster_steps": steps.rollback_steps(len(moving), len(parts)) if moving else [],
        "workloads": workloads.ready_counts(situation.pods),
    }


def _node(situation: WayBack, node: Facts, findings: t.Sequence[Finding], moves: bool) -> Record:
    """The plan of one node."""
    planned = plan_node(situation, node, findings)
    evict = workloads.to_evict(situation.pods, node["name"]) if moves else []
    restart = workloads.to_restart(situation.pods, node["name"]) if moves else []
    return {
        **planned,
        "refused": blockers_of(findings, node["name"]) if moves else [],
        "pods_to_evict": len(evict),
        "pods_to_restart": len(restart),
        "steps": steps.return_steps(len(evict), len(restart), planned["cordoned"]) if moves else [],
    }
