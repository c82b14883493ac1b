# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks, guard routes, reservations and the probe's address, for any podCIDR and any set of pods."""

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import addressing
from hypothesis import given
from hypothesis import strategies as st


@st.composite
def nodes(draw):
    """A podCIDR, a longer block size, and some of its addresses that pods of Flannel and of Calico have."""
    length = draw(st.integers(20, 29))
    block_size = draw(st.integers(length + 1, min(31, length + 6)))
    network = ipaddress.IPv4Network((draw(st.integers(0, 2**length - 1)) << (32 - length), length))
    offsets = st.sets(st.integers(0, network.num_addresses - 1), max_size=40)
    flannel, calico = (sorted(str(network[offset]) for offset in draw(offsets)) for dummy in range(2))
    return str(network), block_size, flannel, calico


def spans(cidrs):
    """Numbers of all addresses in some networks, in the order given."""
    return [range(int(network[0]), int(network[-1]) + 1) for network in map(ipaddress.IPv4Network, cidrs)]


def covers_exactly(parts, whole):
    """Whether networks lie one after the other, and from the first to the last address of the whole."""
    numbers = spans(parts)
    first, last = spans([whole])[0][0], spans([whole])[0][-1]
    return numbers[0][0] == first and numbers[-1][-1] == last and all(left[-1] + 1 == right[0] for left, right in zip(numbers, numbers[1:]))


@given(nodes())
def test_blocks_and_guard_routes_each_cover_the_pod_cidr_exactly_once(node):
    pod_cidr, block_size, flannel, calico = node
    found = addressing.addresses_of(pod_cidr, block_size, flannel, calico)
    assert covers_exactly(found.blocks, pod_cidr)
    assert covers_exactly(found.guard_routes, pod_cidr)
    assert {ipaddress.ip_network(block).prefixlen for block in found.blocks} == {block_size}
    assert {ipaddress.ip_network(route).prefixlen for route in found.guard_routes} == {block_size + 1}


@given(nodes())
def test_the_addresses_of_flannels_own_devices_are_reserved(node):
    pod_cidr, block_size, flannel, calico = node
    network = ipaddress.ip_network(pod_cidr)
    reserved = [ipaddress.ip_network(cidr) for cidr in addressing.addresses_of(pod_cidr, block_size, flannel, calico).reserved]
    assert [address for cidr in reserved for address in cidr] == [network[0], network[1]]


@given(nodes())
def test_the_probe_never_takes_an_address_of_a_pod_or_a_reserved_one(node):
    pod_cidr, block_size, flannel, calico = node
    found = addressing.addresses_of(pod_cidr, block_size, flannel, calico)
    used = {*flannel, *calico, *(str(address) for cidr in found.reserved for address in ipaddress.ip_network(cidr))}
    free = {str(address) for address in ipaddress.ip_network(pod_cidr)} - used
    assert (found.probe_address in free) if free else (found.probe_address is None)


@given(nodes())
def test_the_probe_shares_a_block_with_pods_of_flannel_only_if_all_blocks_have_some(node):
    pod_cidr, block_size, flannel, calico = node
    found = addressing.addresses_of(pod_cidr, block_size, flannel, calico)
    if found.probe_address is None:
        return
    crowds = {block: sum(ipaddress.ip_address(address) in ipaddress.ip_network(block) for address in flannel) for block in found.blocks}
    mine = next(block for block in crowds if ipaddress.ip_address(found.probe_address) in ipaddress.ip_network(block))
    assert found.shared_probe_block == crowds[mine]
    usable = [block for block in crowds if has_free_address(block, [*flannel, *calico], found.reserved)]
    assert crowds[mine] == min(crowds[block] for block in usable)


def has_free_address(block, used, reserved):
    kept = {str(address) for cidr in reserved for address in ipaddress.ip_network(cidr)}
    return any(str(address) not in {*used, *kept} for address in ipaddress.ip_network(block))


@given(nodes())
def test_the_same_facts_give_the_same_addresses_in_whatever_order(node):
    pod_cidr, block_size, flannel, calico = node
    assert addressing.addresses_of(pod_cidr, block_size, flannel, calico) == addressing.addresses_of(
        pod_cidr, block_size, flannel[::-1], iter(calico[::-1])
    )


def test_an_empty_node_is_probed_from_its_last_block_but_not_with_its_broadcast_address():
    found = addressing.addresses_of("10.244.1.0/24", 26, [])
    assert found.probe_address == "10.244.1.254"
    assert addressing.addresses_of("10.244.1.0/24", 26, ["10.244.1.254"]).probe_address == "10.244.1.190"
    everything = [f"10.244.1.{number}" for number in range(255)]
    assert addressing.addresses_of("10.244.1.0/24", 26, everything).probe_address == "10.244.1.255"


@pytest.mark.parametrize(
    ("pod_cidr", "block_size"),
    [(None, 26), ("10.244.1.0/26", 26), ("10.244.1.0/27", 26), ("10.244.1.0/24", 32), ("fd00::/64", 26)],
)
def test_a_pod_cidr_that_does_not_fit_has_no_addresses(pod_cidr, block_size):
    assert addressing.addresses_of(pod_cidr, block_size, []) == ([], [], [], None, 0)


@given(nodes())
def test_the_tunnels_address_is_free_beside_the_probes_and_alone_in_its_block(node):
    pod_cidr, block_size, flannel, calico = node
    found = addressing.addresses_of(pod_cidr, block_size, flannel, calico)
    tunnel = addressing.tunnel_address(found, flannel, calico, None)
    if tunnel is None:
        return
    assert tunnel.address not in {*flannel, *calico, found.probe_address}
    assert ipaddress.ip_address(tunnel.address) not in ipaddress.ip_network(found.reserved[0])
    block = ipaddress.ip_network(tunnel.block)
    assert {ipaddress.ip_address(tunnel.address), ipaddress.ip_address(found.probe_address)} <= set(block)
    kept = {address for cidr in tunnel.kept for address in ipaddress.ip_network(cidr)}
    assert set(block) - kept == {ipaddress.ip_address(tunnel.address)}


def test_an_address_that_calico_has_given_stays():
    found = addressing.addresses_of("10.244.1.0/24", 26, [])
    assert addressing.tunnel_address(found, [], [], "10.244.1.70") == ("10.244.1.70", "10.244.1.64/26", [], True)


def test_no_tunnel_without_addresses():
    assert addressing.tunnel_address(addressing.addresses_of(None, 26, []), [], [], None) is None
    taken = [f"10.244.1.{number}" for number in range(2, 7)]
    assert addressing.tunnel_address(addressing.addresses_of("10.244.1.0/29", 30, taken), taken, [], None) is None
