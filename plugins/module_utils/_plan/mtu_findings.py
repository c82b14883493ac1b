# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with MTUs of a node and of the ways to its peers. Pure: readings in, findings out."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import mtu
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import INFO, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.path_mtu import Path
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import listed, natural

_DISCOVERY = "RFC 2923"
_FELIX = "projectcalico/calico:felix/dataplane/linux/int_dataplane.go"


class Setting(t.NamedTuple):
    """A number in a file of the node, from which a CNI takes the MTU of new pods."""

    path: str
    what: str
    mtu: int


def of_paths(paths: t.Sequence[Path]) -> t.Iterator[Finding]:
    """Findings about the ways to peers."""
    silent = [path.address for path in paths if path.mtu is None]
    if silent:
        yield Finding(
            "mtu-peer-silent",
            WARNING,
            listed(silent),
            "It answers no pings, so that nothing is known of the way to it.",
            "What is not measured may lose packets of full size.",
            "Let the node answer pings, or leave the peer out.",
            "RFC 1122, section 3.2.2.6",
        )
    yield from _too_small(paths)
    yield from _one_way(paths)
    yield from _mixture(paths)


def _too_small(paths: t.Sequence[Path]) -> t.Iterator[Finding]:
    for path in paths:
        if path.mtu is None or path.mtu >= path.device_mtu:
            continue
        told = f"{path.told_by} says so" if path.told_by else "larger ones are lost without a word"
        yield Finding(
            "mtu-path-smaller",
            WARNING,
            path.address,
            f"Packets of up to {path.mtu} bytes are answered, {path.device} sends up to {path.device_mtu}; {told}.",
            "Connections begin, and hang as soon as there is much to send.",
            f"Raise the MTU of what is between, or set mtu to {path.mtu} on all nodes (auto finds it).",
            _DISCOVERY,
        )


def _one_way(paths: t.Sequence[Path]) -> t.Iterator[Finding]:
    for path in paths:
        if path.back is not None:
            yield Finding(
                "mtu-one-way",
                WARNING,
                path.address,
                f"Answers of {path.mtu} bytes come in fragments of up to {path.back}.",
                "The way back is smaller than the way there: large packets of the peer that must not be fragmented do not come.",
                "Give both nodes the same MTU; look at the MTU of the peer's link and of its routes.",
                "RFC 1191",
            )


def _mixture(paths: t.Sequence[Path]) -> t.Iterator[Finding]:
    sizes: dict[str, dict[int, list[str]]] = {}
    for path in paths:
        if path.both_ways is not None:
            sizes.setdefault(path.device, {}).setdefault(path.both_ways, []).append(path.address)
    for device, found in sizes.items():
        if len(found) > 1:
            parts = [f"{size} to {listed(natural(found[size]))}" for size in sorted(found, reverse=True)]
            yield Finding(
                "mtu-mixture",
                WARNING,
                device,
                f"Ways to peers differ: {'; '.join(parts)} (bytes).",
                "Some nodes or switches have jumbo frames and others do not. What is sent in full size to one of the latter is lost.",
                f"Give all links of the nodes, and the switches between them, the same MTU: {min(found)}, or more where all of them can.",
                _DISCOVERY,
            )


def of_links(links: t.Iterable[mtu.Link], settled: t.Mapping[str, int]) -> t.Iterator[Finding]:
    """Findings about links as they are, and about pods that keep what they have; C(settled) is what links have in the end."""
    found = list(links)
    by_key = {link.key: link for link in found}
    for link in found:
        below = by_key.get(link.below or "")
        if link.role == mtu.TUNNEL and below is not None and link.mtu + link.overhead > below.mtu:
            yield Finding(
                "mtu-tunnel-too-large",
                WARNING,
                link.key,
                f"{link.key} had {link.mtu}; with {link.overhead} bytes around a packet that does not fit into the {below.mtu} of {below.key}.",
                "Large packets through the tunnel are fragmented or lost.",
                f"Give it {below.mtu - link.overhead}, as this module does with overlay=true.",
                "RFC 7348, section 4.3",
            )
    pods = {link.key: link for link in found if link.role in (mtu.NODE_END, mtu.POD_END)}
    wanted = mtu.pod_mtu(found, max((settled[link.key] for link in found if link.role == mtu.UNDERLAY and link.key in settled), default=0))
    old = {key: settled.get(key, link.mtu) for key, link in pods.items() if settled.get(key, link.mtu) != wanted}
    if old:
        yield Finding(
            "mtu-pods-old",
            WARNING,
            listed(natural(old)),
            f"They have {', '.join(map(str, sorted(set(old.values()))))}; pods should have {wanted} here.",
            "Pods keep the MTU with which they were started. A smaller one costs throughput, a larger one loses packets.",
            "Set pods=repair, or start the pods again (podnet.cni.node_evict, kubectl rollout restart).",
            "containernetworking/cni:SPEC.md",
        )


def of_settings(settings: t.Iterable[Setting], wanted: int) -> t.Iterator[Finding]:
    """Numbers of configurations that give new pods something else."""
    for setting in settings:
        if setting.mtu not in (0, wanted):
            yield Finding(
                "mtu-cni-config",
                WARNING,
                setting.path,
                f"{setting.what} is {setting.mtu}, so new pods get that; it should be {wanted}.",
                "Pods of one node with different MTUs.",
                "Change it where it comes from: veth_mtu of the ConfigMap calico-config, spec.calicoNetwork.mtu of the Installation, or 0 to follow "
                "the link; cni-conf.json of the ConfigMap kube-flannel-cfg.",
                "projectcalico/calico:cni-plugin/internal/pkg/utils/utils.go",
            )


def of_felix(names: t.Sequence[str]) -> t.Iterator[Finding]:
    """Tunnels that are changed and that Felix looks after."""
    if names:
        yield Finding(
            "mtu-felix",
            INFO,
            listed(names),
            "Felix looks after this tunnel.",
            "It follows the link below within a minute, unless FelixConfiguration has a number for it, which it puts back.",
            "Leave vxlanMTU, ipipMTU and wireguardMTU of FelixConfiguration unset, and veth_mtu at 0.",
            _FELIX,
        )
