# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts that rules judge, with the questions that several of them ask. Pure: no input, no output."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import modes, node_state, subnets, workloads, zones
from ansible_collections.podnet.cni.plugins.module_utils._plan.settings import Settings
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import natural_key

Facts = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Situation:
    """C(podnet_cluster), C(podnet_node) by node name, and the settings."""

    cluster: Facts
    nodes: t.Mapping[str, Facts]
    settings: Settings

    @property
    def mode(self) -> modes.Mode:
        """How pods of two nodes are to reach each other."""
        return modes.mode_of(self.settings.routing)

    @functools.cached_property
    def subnets(self) -> dict[str, str]:
        """Subnet of each node that facts were gathered of."""
        found = ((node["name"], subnets.subnet_of(node, facts)) for node, facts in self.node_facts())
        return {name: subnet for name, subnet in found if subnet}

    @functools.cached_property
    def _zones(self) -> dict[str, str]:
        return zones.zones_of(self.cluster_nodes, self.subnets)

    def zone_of(self, node: Facts) -> str:
        """Zone of a node of the cluster, empty when nothing tells it."""
        return self._zones.get(str(node["name"]), "")

    @property
    def flannel(self) -> Facts | None:
        """Flannel in the cluster, None when it has no DaemonSet."""
        return self.cluster.get("flannel") or None

    @property
    def flannel_backup(self) -> Facts | None:
        """What the journal keeps of a Flannel that was removed, None without it."""
        return self.cluster.get("flannel_backup") or None

    @property
    def calico(self) -> Facts | None:
        """Calico in the cluster, None when its API is not there."""
        return self.cluster.get("calico") or None

    @functools.cached_property
    def cluster_nodes(self) -> list[Facts]:
        """Nodes of the cluster, as people count."""
        return sorted(self.cluster.get("nodes") or [], key=lambda node: natural_key(str(node["name"])))

    @functools.cached_property
    def states(self) -> dict[str, str]:
        """State of each node of the cluster."""
        return {node["name"]: node_state.state_of(node, self.nodes.get(node["name"])) for node in self.cluster_nodes}

    @property
    def to_move(self) -> list[Facts]:
        """Nodes that are not wholly on Calico."""
        return [node for node in self.cluster_nodes if self.states[node["name"]] != node_state.CALICO]

    @property
    def changes_ways(self) -> bool:
        """Whether pods of some nodes are about to be reached in another way."""
        return bool(self.to_move)

    @property
    def unwraps(self) -> bool:
        """Whether packets inside a subnet have addresses of nodes and are about to have those of pods."""
        return self.changes_ways and not self.mode.inside

    @property
    def misplaced(self) -> t.Mapping[str, t.Sequence[str]]:
        """Addresses by node that pods have to give up before anything else; only of a rollback that puts Flannel back."""
        return {}

    @property
    def pods(self) -> list[Facts]:
        """Pods of the cluster."""
        return list(self.cluster.get("pods") or [])

    @functools.cached_property
    def pods_to_evict(self) -> dict[str, list[Facts]]:
        """Pods that have to leave each node that is still to be moved; none when they move as they run."""
        return {node["name"]: [] if self.settings.replugs else workloads.to_evict(self.pods, node["name"]) for node in self.to_move}

    @property
    def network(self) -> str | None:
        """The network that all podCIDRs are part of: Flannel's, or once that is gone, that of the pool."""
        if self.flannel:
            return t.cast("str | None", self.flannel.get("network"))
        pools = [pool for pool in (self.calico or {}).get("pools") or [] if not pool.get("disabled")]
        return pools[0].get("cidr") if len(pools) == 1 else None

    def node_facts(self) -> t.Iterator[tuple[Facts, Facts]]:
        """Each node of the cluster that facts were gathered of: what the cluster says, what the node says."""
        for node in self.cluster_nodes:
            facts = self.nodes.get(node["name"])
            if facts is not None:
                yield node, facts

    def moving_facts(self) -> t.Iterator[tuple[Facts, Facts]]:
        """The same for nodes that are to move."""
        moving = {node["name"] for node in self.to_move}
        return ((node, facts) for node, facts in self.node_facts() if node["name"] in moving)

    def vxlan_device(self, facts: Facts) -> Facts | None:
        """Flannel's device on a node: by VNI and name."""
        vni = ((self.flannel or {}).get("backend") or {}).get("vni")
        devices = [device for device in facts.get("vxlan") or [] if str(device["name"]).startswith("flannel")]
        return next((device for device in devices if vni is None or device.get("vni") == vni), devices[0] if devices else None)
