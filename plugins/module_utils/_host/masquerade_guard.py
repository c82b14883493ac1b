# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that give connections the address that masquerading would give them, without binding them to the interface.

Only C(masquerade) remembers an interface, and ends a connection that leaves by another one; C(snat) does not
(torvalds/linux:include/net/netfilter/nf_nat.h nf_nat_oif_changed). The first rule that translates a connection is the one that counts
(torvalds/linux:net/netfilter/nf_nat_core.c nf_nat_inet_fn).
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import nf_tables
from ansible_collections.podnet.cni.plugins.module_utils._host.ways_out import TUNNELS, WayOut

NAME = "podnet-masquerade"
# linux:include/uapi/linux/netfilter.h NF_INET_POST_ROUTING; one before NF_IP_PRI_NAT_SRC of linux:include/uapi/linux/netfilter_ipv4.h, which
# iptables, kube-proxy and Flannel use.
CHAIN = nf_tables.Chain("postrouting", "nat", 4, 99)


def is_flannels(way: WayOut) -> bool:
    """Whether a device is Flannel's, by its name (flannel-io/flannel:pkg/backend/vxlan/vxlan.go, pkg/backend/ipip/ipip.go)."""
    return way.kind in TUNNELS and way.device.startswith("flannel.")


def table(ways: t.Sequence[WayOut], network: ipaddress.IPv4Network, mark: int, flannel_masquerades: bool) -> nf_tables.Table:
    """The table for some devices.

    What kube-proxy marks is masqueraded on each, and its mark is taken away: around a tunnel's packet it would have that one masqueraded too
    (kubernetes/kubernetes:pkg/proxy/iptables/proxier.go). Flannel, where it runs, masquerades all that comes from outside of the network,
    whatever the device (flannel-io/flannel:pkg/trafficmngr/iptables/iptables.go).
    """
    rules = []
    all_from_outside = flannel_masquerades and any(map(is_flannels, ways))
    for way in ways:
        to, change = nf_tables.goes_into(network), nf_tables.source_becomes(way.address)
        device = nf_tables.leaves_by(way.device)
        marked = [*device, *to, *nf_tables.has_mark(mark), *nf_tables.clear_mark(mark), *change]
        rules.append(nf_tables.Rule(f"{way.device}: marked {mark:#x}, to {network}: from {way.address}", tuple(marked)))
        if all_from_outside:
            foreign = [*device, *nf_tables.comes_from_outside(network), *to, *change]
            rules.append(nf_tables.Rule(f"{way.device}: not from {network}, to {network}: from {way.address}", tuple(foreign)))
    return nf_tables.Table(NAME, CHAIN, tuple(rules))


def lines(found: nf_tables.Table | nf_tables.Found | None) -> list[str]:
    """A table for people, one line a rule."""
    return [rule.comment or "a rule that is not of this collection" for rule in found.rules] if found else []
