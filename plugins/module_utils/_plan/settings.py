# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user has chosen, with safe defaults. Pure: no input, no output."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import batches

POOL_NAME = "podnet-pod-network"


class InvalidSettings(ValueError):
    """A setting that cannot be read, with its value and what to give instead."""


def _names(variable: str, value: t.Any) -> tuple[str, ...]:
    """Names in a list, or in a text with commas, as a survey sends it.

    :raises InvalidSettings: for anything else.
    """
    parts = value.split(",") if isinstance(value, str) else value or ()
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) for part in parts):
        raise InvalidSettings(f"{variable}: '{value}' is no list of node names; give names such as [n1, n2]")
    return tuple(part.strip() for part in parts if part.strip())


def parse_route_reflectors(value: t.Any) -> str | tuple[str, ...]:
    """C(off), C(auto), or names of nodes. YAML reads a plain C(off) as false.

    :raises InvalidSettings: for anything else.
    """
    if value in (None, False, "") or (isinstance(value, str) and value.strip().lower() in ("off", "false")):
        return "off"
    if isinstance(value, str) and value.strip().lower() == "auto":
        return "auto"
    if value is True:
        raise InvalidSettings("podnet_route_reflectors: 'true' does not say which nodes; give auto, or names of nodes such as [n1, n4]")
    return _names("podnet_route_reflectors", value) or "off"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a migration; C(hosts) names the inventory host of each node."""

    routing: str = "bgp"
    method: str = "side-by-side"
    pod_move: str = "drain"
    block_size: int = 26
    serial: tuple[batches.Size, ...] = batches.DEFAULT
    as_number: t.Any = 64512
    aws_source_check: str = "leave"
    """Whether Calico is to turn AWS's source/destination check off: C(leave) or C(disable)."""
    bgp_peers: tuple[t.Mapping[str, t.Any], ...] = ()
    zone_as_numbers: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    """AS numbers of the nodes of some zones; those of all others have C(as_number)."""
    route_reflectors: str | tuple[str, ...] = "off"
    """C(off), C(auto), or the names of nodes."""
    allow_untried: bool = False
    """Whether to carry out what has not passed in the lab yet."""
    restart_unmovable: bool = False
    """Whether pods that cannot be moved as they run may be restarted."""
    evict_emptydir: bool = False
    evict_unmanaged: bool = False
    remove_flannel: bool = True
    keep_flannel_configmap: bool = False
    return_nodes: tuple[str, ...] = ()
    """Nodes to bring back to Flannel; all when empty. Of a rollback only."""
    keep_calico: bool = False
    """Whether Calico stays once all nodes are back. Of a rollback only."""
    carry_out: bool = True
    """Whether the plan is to be carried out, or only shown (C(--check))."""
    hosts: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, given: t.Mapping[str, t.Any]) -> Settings:
        """From the dictionary that a playbook gives.

        :raises InvalidSettings: for a name that is no setting, or a value that is no value for it.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(given) - known)
        if unknown:
            raise InvalidSettings(f"settings: '{unknown[0]}' is no setting; use {', '.join(sorted(known))}")
        values = dict(given)
        if "serial" in values:
            values["serial"] = tuple(batches.parse_serial(values["serial"]))
        if "bgp_peers" in values:
            values["bgp_peers"] = tuple(values["bgp_peers"] or ())
        if "zone_as_numbers" in values:
            values["zone_as_numbers"] = dict(values["zone_as_numbers"] or {})
        if "route_reflectors" in values:
            values["route_reflectors"] = parse_route_reflectors(values["route_reflectors"])
        if "return_nodes" in values:
            values["return_nodes"] = _names("podnet_return_nodes", values["return_nodes"])
        if "block_size" in values:
            try:
                values["block_size"] = int(values["block_size"])
            except (TypeError, ValueError) as exc:
                raise InvalidSettings(f"podnet_block_size: '{values['block_size']}' is no number; give a prefix length such as 26") from exc
        return cls(**values)

    @property
    def replugs(self) -> bool:
        """Whether pods move as they run, so that none is evicted."""
        return self.pod_move == "replug"

    def host_of(self, node: str) -> str:
        """The inventory host of a node, the node's own name when the inventory has none."""
        return self.hosts.get(node, node)

    def echo(self) -> dict[str, t.Any]:
        """What the plan repeats of the settings."""
        record = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "hosts"}
        lists = {"serial": list(self.serial), "bgp_peers": [dict(peer) for peer in self.bgp_peers], "return_nodes": list(self.return_nodes)}
        reflectors = self.route_reflectors if isinstance(self.route_reflectors, str) else list(self.route_reflectors)
        return {**record, **lists, "zone_as_numbers": dict(self.zone_as_numbers), "route_reflectors": reflectors}
