# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about MTU: of Flannel's device, of the links below it, and what pods will have."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import INFO, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.modes import VXLAN_OVERHEAD
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Facts, Situation
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import listed, natural, node_subject, per_node

FELIX_PATTERN = re.compile(r"^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)")
"""Felix's default for mtuIfacePattern (projectcalico/calico:felix/config/config_params.go)."""
FELIX_FALLBACK = 1460


def link_of(facts: Facts, name: str | None) -> Facts | None:
    """A link of a node by its name."""
    return next((link for link in facts.get("links") or [] if link["name"] == name), None)


def underlay(situation: Situation, facts: Facts) -> Facts | None:
    """The link that Flannel's tunnel uses."""
    device = situation.vxlan_device(facts)
    return link_of(facts, device.get("underlay")) if device else None


def underlay_mtus(situation: Situation) -> dict[str, int]:
    """MTU of the link below on each node."""
    found = {}
    for node, facts in situation.node_facts():
        link = underlay(situation, facts)
        if link and link.get("mtu"):
            found[node["name"]] = int(link["mtu"])
    return found


def tunnel_too_large(situation: Situation) -> t.Iterator[Finding]:
    """Flannel's device has an MTU that does not fit into the link below."""
    wrong = {}
    for node, facts in situation.moving_facts():
        device, link = situation.vxlan_device(facts), underlay(situation, facts)
        if device and link and device.get("mtu") and link.get("mtu") and int(device["mtu"]) + VXLAN_OVERHEAD > int(link["mtu"]):
            wrong[node["name"]] = f"{device['name']} {device['mtu']} + {VXLAN_OVERHEAD} > {link['name']} {link['mtu']}"
    if wrong:
        yield Finding(
            "mtu-tunnel-too-large",
            WARNING,
            node_subject(wrong),
            f"{listed((f'{name}: {wrong[name]}' for name in natural(wrong)), 4)}.",
            "Full packets through the tunnel are fragmented or lost already now, also those between old and new pods during the migration.",
            "Restart flanneld on these nodes so that it takes the MTU of the link, or correct the link's MTU. Without the tunnel it is over.",
            "flannel-io/flannel:pkg/backend/vxlan/vxlan.go",
            tuple(wrong),
        )


def different(situation: Situation) -> t.Iterator[Finding]:
    """Nodes whose links have different MTUs."""
    mtus = underlay_mtus(situation)
    if situation.to_move and len(set(mtus.values())) > 1:
        yield Finding(
            "mtu-different",
            WARNING,
            "cluster",
            f"The nodes' links have different MTUs: {per_node(mtus)}.",
            "Calico gives pods the MTU of their node. TCP adapts by its MSS, but large UDP packets from pods with the larger MTU rely on ICMP.",
            f"Give all links the same MTU, or run calico-node with the smallest (veth_mtu {min(mtus.values())}).",
            "projectcalico/calico:felix/dataplane/linux/int_dataplane.go",
            tuple(natural(mtus)),
        )


def unknown_to_felix(situation: Situation) -> t.Iterator[Finding]:
    """Links from which Felix would not take the MTU."""
    names = {}
    for node, facts in situation.moving_facts():
        link = underlay(situation, facts)
        if link and not FELIX_PATTERN.match(str(link["name"])) and int(link.get("mtu") or FELIX_FALLBACK) != FELIX_FALLBACK:
            names[node["name"]] = f"{link['name']} (MTU {link['mtu']})"
    if names:
        yield Finding(
            "mtu-link-name",
            WARNING,
            node_subject(names),
            f"The link is {per_node(names)}.",
            f"Felix looks for the MTU on links such as eth0 or ens3 only; on bonds and VLANs it takes {FELIX_FALLBACK} for all pods.",
            "Set mtuIfacePattern in FelixConfiguration default to match the link before the migration.",
            "projectcalico/calico:felix/config/config_params.go",
            tuple(natural(names)),
        )


def grows(situation: Situation) -> t.Iterator[Finding]:
    """Pods get a larger MTU than they had."""
    mtus = underlay_mtus(situation)
    before = {
        int(device["mtu"]) for dummy, facts in situation.moving_facts() for device in [situation.vxlan_device(facts)] if device and device.get("mtu")
    }
    after = min(mtus.values(), default=0) - (VXLAN_OVERHEAD if situation.mode.tunnel else 0)
    if before and mtus and after > max(before):
        yield Finding(
            "mtu-grows",
            INFO,
            "cluster",
            f"Pods have MTU {max(before)} now and get {after} with Calico.",
            "While old and new pods live side by side, nodes tell new pods by ICMP that packets through the tunnel must be smaller.",
            "Nothing to do, unless NetworkPolicies or host firewalls drop ICMP 'fragmentation needed'.",
            "projectcalico/calico:felix/dataplane/linux/int_dataplane.go",
        )


RULES = (tunnel_too_large, different, unknown_to_felix, grows)
