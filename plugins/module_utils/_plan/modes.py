# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways in which pods of two nodes can reach each other with Calico. Pure: no input, no output."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_resources import ENCAPSULATIONS

Facts = t.Mapping[str, t.Any]
VXLAN_OVERHEAD = 50
"""Bytes that VXLAN adds to a packet over IPv4: Ethernet 14, VXLAN 8, UDP 8, IPv4 20 (RFC 7348)."""


class Mode(t.NamedTuple):
    """One way.

    C(encapsulation) is that of the pool, as M(podnet.cni.calico_ipam) names it. C(backend) is what calico-node runs beside Felix, C(peers)
    says whether nodes speak BGP with routers, C(node_mesh) whether they do with each other. C(inside) and C(between) are the bytes that are
    added to a packet between nodes of one subnet, and of two.
    """

    name: str
    title: str
    encapsulation: str
    backend: str
    peers: bool
    node_mesh: bool
    inside: int
    between: int

    @property
    def tunnel(self) -> bool:
        """Whether nodes have a tunnel of Calico's."""
        return self.encapsulation != "none"

    def echo(self) -> dict[str, t.Any]:
        """What the plan says of it."""
        return {key: getattr(self, key) for key in ("name", "title", "encapsulation", "backend", "peers", "node_mesh", "tunnel")}


MODES: t.Mapping[str, Mode] = {
    mode.name: mode
    for mode in (
        Mode("bgp", "Calico BGP", "none", "bird", True, False, 0, 0),
        Mode("bgp_mesh", "Calico BGP between nodes", "none", "bird", False, True, 0, 0),
        Mode("cross_subnet", "Calico, VXLAN between subnets", "vxlan_cross_subnet", "vxlan", False, False, 0, VXLAN_OVERHEAD),
        Mode("vxlan", "Calico VXLAN", "vxlan", "vxlan", False, False, VXLAN_OVERHEAD, VXLAN_OVERHEAD),
    )
}
DEFAULT = "bgp"


def mode_of(name: str) -> Mode:
    """The mode of this name, the default one for a name that is none, which a rule refuses."""
    return MODES.get(name, MODES[DEFAULT])


def encapsulation_of(pool: Facts) -> str | None:
    """The name that our options have for the C(vxlanMode) of a pool, None when they have none."""
    return next((name for name, vxlan in ENCAPSULATIONS.items() if vxlan == (pool.get("vxlanMode") or "Never")), None)


def present(calico: Facts | None, network: str | None) -> str | None:
    """The mode that a Calico which is there is set up for; None without a pool for the pods, and for an encapsulation that no mode has."""
    pool = next((pool for pool in (calico or {}).get("pools") or [] if pool.get("cidr") == network), None)
    if pool is None or (pool.get("ipipMode") or "Never") != "Never":
        return None
    encapsulation = encapsulation_of(pool)
    mesh = ((calico or {}).get("bgp_configuration") or {}).get("nodeToNodeMeshEnabled") is True
    return next((mode.name for mode in MODES.values() if mode.encapsulation == encapsulation and mode.node_mesh == (mesh and not mode.tunnel)), None)
