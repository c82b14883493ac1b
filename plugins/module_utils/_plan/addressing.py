# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of a node: blocks, guard routes, reservations, and an address for the probe. Pure: no input, no output."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_blocks import blocks_of, guard_routes_of


class NodeAddresses(t.NamedTuple):
    """What the plan says about the addresses of a node.

    C(shared_probe_block) is the number of pods of Flannel in the block of the probe's address: 0 unless all blocks have some.
    """

    blocks: list[str]
    guard_routes: list[str]
    reserved: list[str]
    probe_address: str | None
    shared_probe_block: int


class TunnelAddress(t.NamedTuple):
    """The address of Calico's tunnel on a node.

    C(kept) is the rest of its block, which Calico's IPAM must not give until it has given this one. C(present) says that it has.
    """

    address: str
    block: str
    kept: list[str]
    present: bool


def fits(pod_cidr: str | None, block_size: int) -> bool:
    """Whether Calico's blocks beat the podCIDR by their longer prefix, and guard routes can be one bit longer still."""
    return pod_cidr is not None and ipaddress.ip_network(pod_cidr).prefixlen < block_size < ipaddress.ip_network(pod_cidr).max_prefixlen


def reserved_of(pod_cidr: str) -> list[str]:
    """The first two addresses, which Flannel's VTEP and cni0 have (flannel-io/flannel:pkg/backend/vxlan/device.go, CNI plugin bridge)."""
    network = ipaddress.ip_network(pod_cidr)
    return [str(next(network.subnets(new_prefix=network.max_prefixlen - 1)))]


def probe_address(
    blocks: t.Sequence[str], reserved: t.Iterable[str], flannel: t.Iterable[str], calico: t.Iterable[str] = ()
) -> tuple[str | None, int]:
    """An address that neither a pod of Flannel nor one of Calico has, and the number of Flannel's pods in its block.

    From the last block without a pod of Flannel, since Calico makes a blackhole route for the block of its first address; else from the
    block with the fewest. The last address but one is preferred: the first ones are the next that Calico gives to pods, and the very last
    is a broadcast address for those who still believe in them.
    """
    crowding = {ipaddress.ip_address(address) for address in flannel}
    taken = crowding | {ipaddress.ip_address(address) for address in calico}
    kept = [ipaddress.ip_network(cidr) for cidr in reserved]
    networks = [ipaddress.ip_network(block) for block in blocks]
    crowd = {network: sum(1 for address in crowding if address in network) for network in networks}
    for network in sorted(networks, key=lambda network: (crowd[network], -int(network.network_address))):
        last = int(network.broadcast_address)
        for number in [*range(last - 1, int(network.network_address) - 1, -1), last]:
            address = ipaddress.ip_address(number)
            if address in network and address not in taken and not any(address in cidr for cidr in kept):
                return str(address), crowd[network]
    return None, 0


def addresses_of(pod_cidr: str | None, block_size: int, flannel: t.Iterable[str], calico: t.Iterable[str] = ()) -> NodeAddresses:
    """Everything about the addresses of a node; empty when podCIDR and block size do not fit together."""
    if not fits(pod_cidr, block_size):
        return NodeAddresses([], [], [], None, 0)
    blocks = blocks_of(str(pod_cidr), block_size)
    reserved = reserved_of(str(pod_cidr))
    address, shared = probe_address(blocks, reserved, flannel, calico)
    return NodeAddresses(blocks, guard_routes_of(blocks), reserved, address, shared)


def tunnel_address(addresses: NodeAddresses, flannel: t.Collection[str], calico: t.Collection[str], given: str | None) -> TunnelAddress | None:
    """The address that Calico gave to its tunnel (C(given)), else one that it can be led to give; None when no address is free.

    From the block that the probe's address is from, since what Calico makes a route for has no pod of Flannel then, if there is such a block.
    """
    if given:
        block = next((block for block in addresses.blocks if ipaddress.ip_address(given) in ipaddress.ip_network(block)), "")
        return TunnelAddress(given, block, [], True)
    if not addresses.probe_address:
        return None
    taken = [*flannel, addresses.probe_address]
    home = next(block for block in addresses.blocks if ipaddress.ip_address(addresses.probe_address) in ipaddress.ip_network(block))
    address, dummy = probe_address([home], addresses.reserved, taken, calico)
    if address is None:
        return None
    kept = ipaddress.ip_network(home).address_exclude(ipaddress.ip_network(address))  # type: ignore[arg-type]
    return TunnelAddress(address, home, [str(network) for network in sorted(kept)], False)
