# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Flannel leaves on a node. Pure.

Firewall: flannel-io/flannel:pkg/trafficmngr/iptables/iptables.go (chains FLANNEL-POSTRTG and FLANNEL-FWD, comments "flanneld masq" and
"flanneld forward"; versions before 0.21 wrote rules without comment), pkg/trafficmngr/nftables/nftables.go (tables flannel-ipv4 and flannel-ipv6).
"""

from __future__ import annotations

import shlex
import typing as t

CHAIN_OWNERS = (("FLANNEL-", "flannel"), ("cali-", "calico"))
NFT_TABLE_OWNERS = {"flannel-ipv4": "flannel", "flannel-ipv6": "flannel", "calico": "calico"}
LINK_PREFIX = "flannel"
BRIDGE = "cni0"
MULTICAST = {"ip": "224.0.0.0/4", "ip6": "ff00::/8"}


def chain_owner(chain: str) -> str | None:
    """Whose chain this is, None for others."""
    return next((owner for prefix, owner in CHAIN_OWNERS if chain.startswith(prefix)), None)


def is_flannel_link(name: str) -> bool:
    """A device of Flannel's: C(flannel.<VNI>), C(flannel-v6.<VNI>), C(flannel-wg), C(flannel.ipip), C(flannel0)."""
    return name.startswith(LINK_PREFIX)


def is_calico_interface(name: str | None) -> bool:
    """The node's end of a Calico pod's interface."""
    return bool(name) and str(name).startswith("cali")


def parse_subnet_env(text: str) -> dict[str, str]:
    """C(subnet.env): C(FLANNEL_NETWORK), C(FLANNEL_SUBNET), C(FLANNEL_MTU), C(FLANNEL_IPMASQ) (flannel-io/flannel:pkg/subnet/subnet.go)."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, value in pairs}


def uncommented_rules(family: str, network: str, pod_cidr: str | None) -> set[tuple[str, tuple[str, ...]]]:
    """Rules that flanneld before 0.21 wrote without chain or comment: chain and words."""
    masquerade = (("-j", "MASQUERADE"), ("-j", "MASQUERADE", "--random-fully"))
    rules = {
        ("POSTROUTING", ("-s", network, "-d", network, "-j", "RETURN")),
        ("FORWARD", ("-s", network, "-j", "ACCEPT")),
        ("FORWARD", ("-d", network, "-j", "ACCEPT")),
    }
    for target in masquerade:
        rules.add(("POSTROUTING", ("-s", network, "!", "-d", MULTICAST[family], *target)))
        rules.add(("POSTROUTING", ("!", "-s", network, "-d", network, *target)))
    if pod_cidr:
        rules.add(("POSTROUTING", ("!", "-s", network, "-d", pod_cidr, "-j", "RETURN")))
    return rules


def _words(rule: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(rule))
    except ValueError:
        return ()


def _value(words: t.Sequence[str], option: str) -> str:
    return words[words.index(option) + 1] if option in words[:-1] else ""


def rule_owner(rule: str) -> str | None:
    """Whose rule this is that stands in a chain of nobody's: what it jumps into or its comment tells. None for others.

    C(rule) is what iptables-save prints after C(-A CHAIN).
    """
    words = _words(rule)
    owner = chain_owner(_value(words, "-j") or _value(words, "-g"))
    comment = _value(words, "--comment")
    if comment.startswith("flanneld "):
        return "flannel"
    return owner or ("calico" if comment.startswith("cali:") else None)


def host_port_chain(rule: str, networks: t.Collection[str]) -> str | None:
    """The chain of a host port that one of these networks gave to a pod, when this is the rule that leads to it.

    containernetworking/plugins:plugins/meta/portmap/portmap_iptables.go writes C(dnat name: "NETWORK" id: "CONTAINER") into its comments.
    """
    words = _words(rule)
    target = _value(words, "-j")
    named = any(f' name: "{network}" id: ' in _value(words, "--comment") for network in networks)
    return target if named and target.startswith("CNI-") else None


def is_flannel_rule(chain: str, rule: str, family: str = "ip", network: str | None = None, pod_cidr: str | None = None) -> bool:
    """Whether a rule outside Flannel's own chains belongs to it: it jumps into one, has its comment, or has the form of old versions."""
    if rule_owner(rule) == "flannel":
        return True
    return bool(network) and (chain, _words(rule)) in uncommented_rules(family, str(network), pod_cidr)


PROGRAMS = ("flannel",)
"""Plugins that only Flannel uses; bridge, host-local, portmap and loopback serve other networks too."""
