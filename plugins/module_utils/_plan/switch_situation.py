# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a cluster that is to be led by another mode, with the questions that its rules and its plan ask. Pure: no input, no output."""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import guard_tables
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_resources import TUNNEL_ANNOTATION
from ansible_collections.podnet.cni.plugins.module_utils._plan import modes, node_state, subnets
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Facts, Situation


@dataclasses.dataclass(frozen=True)
class Switch(Situation):
    """The situation with all nodes as those that get other routes, once they are on Calico."""

    @property
    def pool(self) -> Facts | None:
        """The pool that pods have their addresses from; None with several ones, and with one that is not for all nodes."""
        pools = [pool for pool in (self.calico or {}).get("pools") or [] if not pool.get("disabled") and ":" not in str(pool.get("cidr"))]
        if len(pools) != 1 or (pools[0].get("ipipMode") or "Never") != "Never" or pools[0].get("nodeSelector") not in (None, "", "all()"):
            return None
        return t.cast("Facts", pools[0])

    @property
    def network(self) -> str | None:
        """That of the pool."""
        return str(self.pool["cidr"]) if self.pool else super().network

    @property
    def bgp_configuration(self) -> Facts:
        """The default BGPConfiguration, empty without one."""
        return (self.calico or {}).get("bgp_configuration") or {}

    @property
    def has_mesh(self) -> bool:
        """Whether nodes speak BGP with each other: so they do unless a BGPConfiguration says otherwise."""
        return self.bgp_configuration.get("nodeToNodeMeshEnabled") is not False

    @property
    def now(self) -> modes.Mode | None:
        """The mode that leads packets now; with a mesh beside peers it is the mesh, since that goes last."""
        if self.pool is None:
            return None
        encapsulation = modes.encapsulation_of(self.pool)
        found = (mode for mode in modes.MODES.values() if mode.encapsulation == encapsulation)
        return next((mode for mode in found if mode.tunnel or mode.node_mesh == self.has_mesh), None)

    @property
    def changes_ways(self) -> bool:
        """Whether the mode is to be another one."""
        return self.now is not None and self.now != self.mode

    @property
    def unwraps(self) -> bool:
        """Whether a tunnel that leads everything ends."""
        return self.now is not None and bool(self.now.inside) and not self.mode.inside

    @property
    def peers(self) -> list[str]:
        """BGPPeers that are there."""
        return sorted(str(peer["name"]) for peer in (self.calico or {}).get("bgp_peers") or [])

    @property
    def with_bird(self) -> list[str]:
        """Nodes whose calico-node runs BIRD."""
        return [node["name"] for node, facts in self.node_facts() if facts.get("bgp_sessions") is not None]

    def guarded(self, name: str) -> str:
        """Which ways a guard that an earlier run has left leads packets by: C(old), C(new) or none."""
        tables = {route.get("table") for route in (self.nodes.get(name) or {}).get("routes") or []}
        return "old" if str(guard_tables.OLD) in tables else "new" if str(guard_tables.NEW) in tables else ""

    @property
    def blocks(self) -> list[Facts]:
        """Blocks that nodes have, of IPv4."""
        return [block for block in (self.calico or {}).get("blocks") or [] if block.get("node") and ":" not in str(block["cidr"])]

    @functools.cached_property
    def _taken(self) -> set[str]:
        tunnels = {(node.get("annotations") or {}).get(TUNNEL_ANNOTATION) for node in self.cluster_nodes}
        return {str(pod["ip"]) for pod in self.pods if pod.get("ip")} | {str(address) for address in tunnels if address}

    def probe_address(self, name: str) -> str | None:
        """An address of one of the node's blocks that nobody has, the last one, so that Calico is not about to give it out."""
        for block in self.blocks:
            if block["node"] == name and block.get("free"):
                addresses = list(ipaddress.IPv4Network(block["cidr"]))
                free = next((str(address) for address in reversed(addresses) if str(address) not in self._taken), None)
                if free:
                    return free
        return None

    @functools.cached_property
    def links(self) -> dict[str, Facts]:
        """The link of each node that has its address."""
        found = {}
        for node, facts in self.node_facts():
            subnet = subnets.subnet_of(node, facts)
            device = next(
                (route.get("device") for route in facts.get("routes") or [] if route["destination"] == subnet and not route.get("gateway")), None
            )
            link = next((link for link in facts.get("links") or [] if link["name"] == device), None)
            if link:
                found[node["name"]] = link
        return found

    @property
    def path_mtu(self) -> int | None:
        """The largest packet of a pod that gets to every node whole in the wanted mode."""
        mtus = [int(link["mtu"]) for link in self.links.values() if link.get("mtu")]
        return min(mtus) - max(self.mode.inside, self.mode.between) if mtus else None

    def pod_mtus(self, name: str) -> dict[str, int]:
        """MTU of the pods of a node, by their address."""
        facts = self.nodes.get(name) or {}
        mtus = {interface["name"]: interface.get("mtu") for interface in facts.get("cali_interfaces") or []}
        return {
            route["destination"][: -len("/32")]: int(mtus[route["device"]])
            for route in facts.get("routes") or []
            if route["destination"].endswith("/32") and mtus.get(route.get("device"))
        }

    def not_on_calico(self) -> list[str]:
        """Nodes that are not wholly on Calico."""
        return [name for name, state in self.states.items() if state != node_state.CALICO]
