# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of the way back, from Calico to Flannel, node by node. Pure: facts and settings in, a record for people and machines out."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import node_state, steps
from ansible_collections.podnet.cni.plugins.module_utils._plan.plan import Record, order_of_moves, plan_common
from ansible_collections.podnet.cni.plugins.module_utils._plan.preflight import ask
from ansible_collections.podnet.cni.plugins.module_utils._plan.rules import calico, going_back, host, nodes, pods
from ansible_collections.podnet.cni.plugins.module_utils._plan.settings import Settings
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Facts, Situation

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


def plan_rollback(cluster: Facts, facts: t.Mapping[str, Facts], settings: Facts) -> Record:
    """The plan as a record that is plain data, of the same shape as that of the way to Calico.

    :raises InvalidSettings: when a setting cannot be read.
    :raises InvalidSerial: when the sizes of the batches cannot be read.
    """
    situation = WayBack(cluster, facts, Settings.of(settings))
    moving = order_of_moves(situation)
    common = plan_common(situation, ask(RULES, situation), moving, steps.return_steps)
    return {
        **common,
        "direction": node_state.FLANNEL,
        "work": bool(moving),
        "remove_flannel": False,
        "peers": [],
        "phases_done": [],
        "cluster_steps": steps.rollback_steps(len(moving), len(common["batches"])) if moving else [],
    }
