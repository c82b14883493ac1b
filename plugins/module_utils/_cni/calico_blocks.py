# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks: the parts of a pool that Calico's IPAM gives to nodes. Pure: no input, no output."""

from __future__ import annotations

import hashlib
import ipaddress
import typing as t

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
_LONGEST_NAME = 253
_SIZES = {4: (20, 32), 6: (116, 128)}


def block_size_problem(block_size: int, version: int) -> str | None:
    """Why Calico would refuse a block size, None when it would not (projectcalico/calico:api/pkg/apis/projectcalico/v3/ippool.go)."""
    smallest, largest = _SIZES[version]
    if smallest <= block_size <= largest:
        return None
    return f"a block of IPv{version} has a prefix length from {smallest} to {largest}"


def blocks_of(pod_cidr: str, block_size: int) -> list[str]:
    """All blocks inside a podCIDR.

    :raises ValueError: when the podCIDR is smaller than one block.
    """
    network = ipaddress.ip_network(pod_cidr)
    if network.prefixlen > block_size:
        raise ValueError(f"{pod_cidr} is smaller than a block of /{block_size}")
    return [str(block) for block in network.subnets(new_prefix=block_size)]


def guard_routes_of(blocks: t.Iterable[str]) -> list[str]:
    """Both halves of each block: routes that win over the route of a whole block and lose against that of one address."""
    return [str(half) for block in blocks for half in ipaddress.ip_network(block).subnets(prefixlen_diff=1)]


def block_name(cidr: str) -> str:
    """Name of the IPAMBlock of a CIDR (projectcalico/calico:libcalico-go/lib/names)."""
    return cidr.replace(".", "-").replace(":", "-").replace("/", "-")


def affinity_name(node: str, cidr: str) -> str:
    """Name of the BlockAffinity of a node and a CIDR (projectcalico/calico:libcalico-go/lib/backend/k8s/resources/ipam_affinity.go)."""
    block = block_name(cidr)
    name = f"{node}-{block}"
    if len(name) < _LONGEST_NAME:
        return name
    digest = hashlib.sha256(f"{node}+{block}".encode()).hexdigest()[:11]
    return f"{node[: _LONGEST_NAME - 1 - len(block) - 13]}-{block}-{digest}"


def is_empty(block: t.Mapping[str, t.Any]) -> bool:
    """Whether no address of a block is in use (the specification of an IPAMBlock)."""
    return all(entry is None for entry in block.get("allocations") or [])


class Claims(t.NamedTuple):
    """What to do about wanted blocks: affinities to create, ones that exist, and reasons to refuse."""

    create: list[tuple[str, str]]
    existing: list[tuple[str, str]]
    conflicts: list[str]


class _Owned(t.NamedTuple):
    network: Network
    node: str | None
    state: str


def judge_claims(
    wanted: t.Iterable[tuple[str, str]],
    affinities: t.Iterable[t.Mapping[str, t.Any]],
    blocks: t.Iterable[t.Mapping[str, t.Any]],
) -> Claims:
    """Compare wanted pairs of node and CIDR with the specifications of BlockAffinities and IPAMBlocks that exist."""
    owned = [_Owned(ipaddress.ip_network(spec["cidr"]), spec.get("node"), str(spec.get("state") or "confirmed")) for spec in affinities]
    for spec in blocks:
        affinity = str(spec.get("affinity") or "")
        node = affinity.split(":", 1)[1] if affinity.startswith("host:") else None
        owned.append(_Owned(ipaddress.ip_network(spec["cidr"]), node, "block"))
    by_network: dict[Network, list[_Owned]] = {}
    for entry in owned:
        by_network.setdefault(entry.network, []).append(entry)
    other_sizes = {entry.network.prefixlen for entry in owned}
    result = Claims([], [], [])
    for node, cidr in wanted:
        network = ipaddress.ip_network(cidr)
        conflict = _conflict(node, network, by_network, other_sizes)
        if conflict:
            result.conflicts.append(conflict)
        elif any(entry.node == node and entry.state != "block" for entry in by_network.get(network, [])):
            result.existing.append((node, cidr))
        else:
            result.create.append((node, cidr))
    return result


def _conflict(node: str, network: Network, by_network: t.Mapping[Network, list[_Owned]], sizes: t.Collection[int]) -> str | None:
    """Why a node cannot have a block."""
    for entry in by_network.get(network, []):
        if entry.node != node:
            return f"block {network} belongs to {entry.node or 'no node, but has addresses in use'}, not to {node}"
        if entry.state == "pendingDeletion":
            return f"block {network} is being given up by {node}"
    for size in sizes:
        if size < network.prefixlen:
            larger = network.supernet(new_prefix=size)
            if larger in by_network:
                return f"block {network} lies inside block {larger} of {by_network[larger][0].node or 'no node'}"
        elif size > network.prefixlen:
            for inner, entries in by_network.items():
                if inner.prefixlen == size and inner.version == network.version and inner.subnet_of(network):  # type: ignore[arg-type]
                    return f"block {network} holds the smaller block {inner} of {entries[0].node or 'no node'}"
    return None
