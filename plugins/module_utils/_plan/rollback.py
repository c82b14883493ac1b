# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of the way back, from Calico to Flannel, node by node. Pure: facts and settings in, a record for people and machines out."""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.networks import is_inside
from ansible_collections.podnet.cni.plugins.module_utils._plan import addressing, modes, node_state, steps
from ansible_collections.podnet.cni.plugins.module_utils._plan.plan import Record, order_of_moves, plan_common
from ansible_collections.podnet.cni.plugins.module_utils._plan.preflight import ask
from ansible_collections.podnet.cni.plugins.module_utils._plan.rules import access, calico, going_back, host, nodes, pods
from ansible_collections.podnet.cni.plugins.module_utils._plan.settings import Settings
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Facts, Situation

RULES = (
    *going_back.RULES,
    nodes.not_ready,
    nodes.network_unavailable,
    nodes.too_few,
    nodes.batch_takes_all,
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
    *access.RULES,
)
"""Asked before a node goes back."""


NOTHING_LEFT = (going_back.unknown_nodes, nodes.unknown_hosts)
"""Asked when all nodes are back and Calico stays, or is gone."""
REMOVAL_RULES = (
    going_back.unknown_nodes,
    going_back.routing_not_tried,
    going_back.flannel_not_ready,
    nodes.not_ready,
    nodes.missing_in_inventory,
    nodes.unknown_hosts,
    nodes.unreachable,
    host.tools,
)
"""Asked when all nodes are back and Calico is to be removed, which may have begun already."""


@dataclasses.dataclass(frozen=True)
class WayBack(Situation):
    """The situation with the nodes that go back as those that move."""

    @property
    def to_move(self) -> list[Facts]:
        """Nodes that were chosen and are not wholly on Flannel, or whose pods there cannot be reached."""
        chosen = self.settings.return_nodes
        return [node for node in self.cluster_nodes if (not chosen or node["name"] in chosen) and not self._is_back(node)]

    @property
    def mode(self) -> modes.Mode:
        """How Calico that is there leads packets: nobody has to say it again, and what is said may be another one."""
        return modes.mode_of(modes.present(self.calico, self.network) or self.settings.routing)

    @property
    def guards_connections(self) -> bool:
        """Whether connections of nodes are to outlive a change of their interface.

        Those with pods that move as they run; and with a tunnel those with pods on Flannel whose addresses are in the block of the tunnel's
        address. It is never empty, so that it cannot be given back, and Felix leads packets to it until Calico is removed.
        """
        moves = bool(self.to_move)
        return (moves and self.settings.replugs) or (self.mode.tunnel and (moves or self.removes_calico))

    def _is_back(self, node: Facts) -> bool:
        on_flannel = self.states[node["name"]] == node_state.FLANNEL
        return on_flannel and not node_state.cordoned_by_us(node) and not node_state.is_unguarded(self.nodes[node["name"]])

    @property
    def restores(self) -> bool:
        """Whether Flannel has to be put back first, and can be."""
        return bool(self.to_move) and not self.flannel and self.flannel_backup is not None

    @property
    def removes_calico(self) -> bool:
        """Whether Calico goes once all nodes are back."""
        if self.settings.keep_calico or self.settings.return_nodes:
            return False
        return self.calico is not None or any(node_state.traces_of_calico(facts) for facts in self.nodes.values())

    @property
    def network(self) -> str | None:
        """Flannel's network, that of the Flannel that was removed, or that of the pool."""
        backup = self.flannel_backup
        return str(backup["network"]) if not self.flannel and backup and backup.get("network") else super().network

    def foreign_blocks(self) -> dict[str, str]:
        """Blocks inside a podCIDR that another node has, by which both would give out the same addresses: block and the name of that node."""
        found = {}
        for entry in (self.calico or {}).get("affinities") or []:
            for node in self.cluster_nodes:
                inside = node.get("pod_cidr") and entry.get("cidr") and _is_inside(str(entry["cidr"]), str(node["pod_cidr"]))
                if inside and entry.get("node") not in (None, node["name"]):
                    found[str(entry["cidr"])] = str(entry["node"])
        return found

    @functools.cached_property
    def misplaced(self) -> dict[str, list[str]]:
        """Addresses of pods, by node, that Flannel gives to its own devices, or to pods of other nodes, once it is put back."""
        return {node["name"]: self._misplaced_on(node) for node in self.cluster_nodes} if self.restores else {}

    def _misplaced_on(self, node: Facts) -> list[str]:
        cidr, network = node.get("pod_cidr"), self.network
        if not cidr or not network:
            return []
        own = [pod["ip"] for pod in self.pods if pod.get("node") == node["name"] and pod.get("ip") and not pod.get("host_network")]
        kept = addressing.reserved_of(str(cidr))
        return [
            address
            for address in own
            if _is_inside(address, network) and (not _is_inside(address, str(cidr)) or any(_is_inside(address, part) for part in kept))
        ]


def _is_inside(inner: str, outer: str) -> bool:
    return is_inside(ipaddress.ip_network(inner), ipaddress.ip_network(outer))


def plan_rollback(cluster: Facts, facts: t.Mapping[str, Facts], settings: Facts) -> Record:
    """The plan as a record that is plain data, of the same shape as that of the way to Calico.

    :raises InvalidSettings: when a setting cannot be read.
    :raises InvalidSerial: when the sizes of the batches cannot be read.
    """
    situation = WayBack(cluster, facts, Settings.of(settings))
    moving = order_of_moves(situation)
    removing = situation.removes_calico
    common = plan_common(situation, ask(RULES if moving else REMOVAL_RULES if removing else NOTHING_LEFT, situation), moving, steps.return_steps)
    foreign = situation.foreign_blocks()
    relocated = sum(map(len, situation.misplaced.values()))
    return {
        **common,
        "nodes": [
            {
                **node,
                "blocks": [block for block in node["blocks"] if block not in foreign],
                "misplaced": situation.misplaced.get(node["name"], []),
                # Nothing gives a tunnel its address any more that has none.
                "tunnel": node["tunnel"] if node["tunnel"] and node["tunnel"]["present"] else None,
            }
            for node in common["nodes"]
        ],
        "foreign_blocks": sorted(foreign),
        "direction": node_state.FLANNEL,
        "work": bool(moving) or removing,
        "restore_flannel": situation.restores,
        "remove_calico": removing,
        "guard_connections": situation.guards_connections,
        "remove_flannel": False,
        "peers": [],
        "phases_done": [],
        "cluster_steps": steps.rollback_steps(
            len(moving), len(common["batches"]), situation.restores, relocated, removing, restarts=not situation.settings.replugs
        ),
    }
