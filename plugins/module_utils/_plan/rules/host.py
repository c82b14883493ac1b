# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about what nodes say themselves: tools, Flannel's device, kernel settings."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_fabric import TUNNEL
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, INFO, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Facts, Situation
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import listed, natural, node_subject

_NEEDED = {"ip": "iproute2", "bridge": "iproute2", "systemctl": "systemd", "systemd-run": "systemd"}
_FIREWALL = ("nft", "iptables-save")
STRICT = 1
_RP_FILTER = "torvalds/linux:Documentation/networking/ip-sysctl.rst"


def tools(situation: Situation) -> t.Iterator[Finding]:
    """Programs that the collection needs on a node."""
    missing: dict[str, list[str]] = {}
    for node, facts in situation.node_facts():
        absent = [tool for tool in facts.get("missing_tools") or [] if tool in _NEEDED]
        if all(tool in (facts.get("missing_tools") or []) for tool in _FIREWALL):
            absent += list(_FIREWALL)
        for tool in absent:
            missing.setdefault(tool, []).append(node["name"])
    by_nodes: dict[tuple[str, ...], list[str]] = {}
    for tool, names in missing.items():
        by_nodes.setdefault(tuple(natural(names)), []).append(tool)
    for affected, absent in sorted(by_nodes.items()):
        packages = list(dict.fromkeys(_NEEDED.get(tool, "nftables or iptables") for tool in absent))
        yield Finding(
            "node-tools-missing",
            BLOCKER,
            node_subject(affected),
            f"Not found: {listed(absent)}.",
            "Without them the node can neither be switched, nor put itself back, nor be proved clean.",
            f"Install {listed(packages)} on the node (containers and images need nothing).",
            "podnet.cni:plugins/module_utils/_host/commands.py",
            affected,
        )


def tunnel_device(situation: Situation) -> t.Iterator[Finding]:
    """Flannel's device is missing, or is not what Flannel's configuration says."""
    flannel = situation.flannel
    if not flannel or (flannel.get("backend") or {}).get("type") != "vxlan":
        return
    backend = flannel["backend"]
    for node, facts in situation.moving_facts():
        device = situation.vxlan_device(facts)
        if device is None:
            yield Finding(
                "flannel-device-missing",
                BLOCKER,
                node_subject([node["name"]]),
                f"There is no device flannel.{backend['vni']}.",
                "Pods of this node cannot reach those of other nodes now.",
                "Delete flanneld's pod on this node: it makes the device when it starts.",
                "flannel-io/flannel:pkg/backend/vxlan/device.go",
                (node["name"],),
            )
            continue
        differences = [
            f"{what} {device[key]} instead of {backend[key]}"
            for key, what in (("vni", "VNI"), ("port", "port"))
            if device.get(key) is not None and device[key] != backend[key]
        ]
        if differences:
            yield Finding(
                "flannel-device-differs",
                BLOCKER,
                node_subject([node["name"]]),
                f"{device['name']} has {listed(differences)} (net-conf.json).",
                "The configuration was changed after flanneld started; nodes with different values cannot reach each other.",
                "Restart flanneld on all nodes until they agree, run again.",
                "flannel-io/flannel:pkg/backend/vxlan/vxlan.go",
                (node["name"],),
            )
        announced = (node.get("flannel") or {}).get("vtep_mac")
        if announced and device.get("mac") and str(announced).lower() != str(device["mac"]).lower():
            yield Finding(
                "flannel-mac-differs",
                BLOCKER,
                node_subject([node["name"]]),
                f"The annotation backend-data says {announced}, {device['name']} has {device['mac']}.",
                "Other nodes send to the announced address, and the kernel drops what is not for the device's own.",
                "Delete flanneld's pod on this node: it makes device and annotation agree when it starts.",
                "flannel-io/flannel:pkg/backend/vxlan/vxlan_network.go",
                (node["name"],),
            )


def rp_filter_of(facts: Facts, link: str) -> tuple[int | None, bool]:
    """The value that the kernel uses for a link, the larger one of the link's and that of C(all), and whether it is known for certain.

    A link's own value that was not read is guessed to be that of C(default), which it had when it was made.
    """
    values = facts.get("sysctls") or {}

    def read(name: str) -> int | None:
        value = values.get(f"net.ipv4.conf.{name}.rp_filter")
        return int(value) if value is not None and str(value).lstrip("-").isdigit() else None

    everywhere, own = read("all"), read(link.replace(".", "/"))
    if own is not None and everywhere is not None:
        return max(own, everywhere), True
    known = [value for value in (everywhere, own if own is not None else read("default")) if value is not None]
    return (max(known), False) if known else (None, False)


def reverse_path_filter(situation: Situation) -> t.Iterator[Finding]:
    """The kernel would drop packets because their way back leads over another link.

    In the mixed phase a packet from a moved pod to one that has not moved comes in over flannel.1, although the route back is BGP's on the
    node's own link; and its answer comes in over the node's own link, although the route back leads to flannel.1.
    """
    certain: dict[str, str] = {}
    guessed: dict[str, str] = {}
    for node, facts in situation.moving_facts():
        device = situation.vxlan_device(facts)
        if not device:
            continue
        tunnel = TUNNEL if situation.mode.tunnel else None
        links = [name for name in (device["name"], device.get("underlay"), tunnel) if name]
        strict = {name: known for name in links for value, known in [rp_filter_of(facts, name)] if value == STRICT}
        if any(strict.values()):
            certain[node["name"]] = listed(name for name, known in strict.items() if known)
        elif strict:
            guessed[node["name"]] = listed(strict)
    for names, severity, verb in ((certain, BLOCKER, "is"), (guessed, WARNING, "is probably")):
        if names:
            yield Finding(
                "rp-filter-strict",
                severity,
                node_subject(names),
                f"rp_filter {verb} 1 (strict) for {listed((f'{names[name]} on {name}' for name in natural(names)), 4)}.",
                "Between a pod that has moved and one that has not, packets go by Calico's routes one way and through flannel.1 the other; "
                "a strict filter drops what does not come in where the answer would go out.",
                "Set it to 2 (loose) on the node: `sysctl -w net.ipv4.conf.all.rp_filter=2`, and in /etc/sysctl.d. "
                "The kernel uses the larger value of all and of the link, so 0 in all does not help.",
                _RP_FILTER,
                tuple(names),
            )


def kernels(situation: Situation) -> t.Iterator[Finding]:
    """Different kernels."""
    versions: dict[str, list[str]] = {}
    for node in situation.cluster_nodes:
        kernel = (situation.nodes.get(node["name"]) or {}).get("kernel") or node.get("kernel")
        if kernel:
            versions.setdefault(str(kernel), []).append(node["name"])
    if situation.to_move and len(versions) > 1:
        shown = (f"{kernel} on {listed(natural(names), 4)}" for kernel, names in sorted(versions.items()))
        yield Finding(
            "node-kernels-differ",
            INFO,
            "cluster",
            f"{listed(shown)}.",
            "What works on the first node need not work on another kernel.",
            "Nodes are moved in the order of their names: choose podnet_serial so that a gate comes soon after the first node of each kernel.",
            "projectcalico/calico:felix/environment/feature_detect.go",
        )


RULES = (tools, tunnel_device, reverse_path_filter, kernels)
