# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_blocks
from hypothesis import given
from hypothesis import strategies as st


def test_blocks_of_a_pod_cidr():
    assert calico_blocks.blocks_of("10.244.1.0/24", 26) == ["10.244.1.0/26", "10.244.1.64/26", "10.244.1.128/26", "10.244.1.192/26"]
    with pytest.raises(ValueError, match="smaller than a block"):
        calico_blocks.blocks_of("10.244.1.0/27", 26)


@given(st.integers(0, 255), st.integers(20, 31), st.integers(0, 6))
def test_guard_routes_cover_the_blocks_exactly(octet, block_size, larger):
    pod_cidr = f"10.{octet}.0.0/{max(8, block_size - larger)}"
    network = ipaddress.ip_network(pod_cidr, strict=False)
    blocks = calico_blocks.blocks_of(str(network), block_size)
    guards = [ipaddress.ip_network(guard) for guard in calico_blocks.guard_routes_of(blocks)]
    assert {guard.prefixlen for guard in guards} == {block_size + 1}
    assert list(ipaddress.collapse_addresses(guards)) == [network]


def test_names():
    assert calico_blocks.affinity_name("n1", "10.244.1.0/26") == "n1-10-244-1-0-26"
    assert calico_blocks.block_name("fd00::/122") == "fd00---122"
    long = calico_blocks.affinity_name("n" * 250, "10.244.1.0/26")
    assert len(long) < 253
    assert long != calico_blocks.affinity_name("n" * 251, "10.244.1.0/26")


def test_block_sizes():
    assert calico_blocks.block_size_problem(26, 4) is None
    assert "20 to 32" in calico_blocks.block_size_problem(16, 4)
    assert "116 to 128" in calico_blocks.block_size_problem(64, 6)


def claim(node, cidr, affinities=(), blocks=()):
    return calico_blocks.judge_claims([(node, cidr)], affinities, blocks)


def test_new_claim():
    assert claim("n1", "10.244.1.0/26").create == [("n1", "10.244.1.0/26")]


@pytest.mark.parametrize("state", ["pending", "confirmed", ""])
def test_existing_claim_is_left_alone(state):
    affinity = {"node": "n1", "cidr": "10.244.1.0/26", "state": state}
    block = {"cidr": "10.244.1.0/26", "affinity": "host:n1"}
    claims = claim("n1", "10.244.1.0/26", [affinity], [block])
    assert (claims.create, claims.existing, claims.conflicts) == ([], [("n1", "10.244.1.0/26")], [])


@pytest.mark.parametrize(
    ("affinities", "blocks", "words"),
    [
        ([{"node": "n2", "cidr": "10.244.1.0/26", "state": "confirmed"}], [], "belongs to n2, not to n1"),
        ([], [{"cidr": "10.244.1.0/26", "affinity": "host:n2"}], "belongs to n2"),
        ([], [{"cidr": "10.244.1.0/26", "affinity": None}], "no node, but has addresses in use"),
        ([{"node": "n1", "cidr": "10.244.1.0/26", "state": "pendingDeletion"}], [], "being given up"),
        ([{"node": "n1", "cidr": "10.244.1.0/24", "state": "confirmed"}], [], "lies inside block 10.244.1.0/24"),
        ([{"node": "n1", "cidr": "10.244.1.32/28", "state": "confirmed"}], [], "holds the smaller block 10.244.1.32/28"),
    ],
)
def test_conflicts(affinities, blocks, words):
    claims = claim("n1", "10.244.1.0/26", affinities, blocks)
    assert words in claims.conflicts[0]
    assert not claims.create
