# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which MTU links get, and that on the way there no link is larger than the one below it allows, whatever they were like before."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import mtu
from ansible_collections.podnet.cni.plugins.module_utils._plan.mtu import BRIDGE, NODE_END, POD_END, TUNNEL, UNDERLAY, Link


def node(nic=1500, tunnel=1450, bridge=1450, veth=1450, inner=1450):
    return [
        Link("c1:eth0", POD_END, "veth", inner, below="c1"),
        Link("c1", NODE_END, "veth", veth, below="cni0"),
        Link("cni0", BRIDGE, "bridge", bridge),
        Link("flannel.1", TUNNEL, "vxlan", tunnel, below="eth0", overhead=50),
        Link("eth0", UNDERLAY, "", nic, 68, 9216),
    ]


@pytest.mark.parametrize(
    ("name", "kind", "six", "expected"),
    [
        ("flannel.1", "vxlan", False, 50),
        ("vxlan-v6.calico", "vxlan", True, 70),
        ("tunl0", "ipip", False, 20),
        ("wireguard.cali", "wireguard", False, 60),
        ("wg-v6.cali", "wireguard", True, 80),
        ("flannel-wg", "wireguard", False, 80),
        ("eth0", "", False, 0),
    ],
)
def test_what_a_tunnel_adds(name, kind, six, expected):
    assert mtu.overhead(name, kind, six) == expected


def test_everything_follows_the_wire():
    assert mtu.targets(node(), 9000) == {"eth0": 9000, "flannel.1": 8950, "cni0": 8950, "c1": 8950, "c1:eth0": 8950}


def test_pods_fit_into_every_tunnel_and_without_any_they_have_what_the_wire_has():
    links = [*node(), Link("wireguard.cali", TUNNEL, "wireguard", 1440, overhead=60), Link("tunl0", TUNNEL, "ipip", 1480, overhead=20)]
    assert mtu.targets(links, 1500) == {
        "eth0": 1500,
        "flannel.1": 1450,
        "wireguard.cali": 1440,
        "tunl0": 1480,
        "cni0": 1440,
        "c1": 1440,
        "c1:eth0": 1440,
    }
    links = [*node(), Link("vxlan.calico", TUNNEL, "vxlan", 1400, below="eth1", overhead=50)]
    assert mtu.targets(links, 9000) == {**mtu.targets(node(), 9000), "vxlan.calico": 1400, "cni0": 1400, "c1": 1400, "c1:eth0": 1400}
    without = [link for link in node() if link.role != TUNNEL]
    assert mtu.targets(without, 1500)["c1:eth0"] == 1500


def test_growing_goes_up_and_shrinking_goes_down():
    growing = mtu.steps(node(), mtu.targets(node(), 9000))
    assert [step.key for step in growing] == ["eth0", "flannel.1", "cni0", "c1", "c1:eth0"]
    shrinking = mtu.steps(node(), mtu.targets(node(), 1400))
    assert [step.key for step in shrinking] == ["c1:eth0", "c1", "cni0", "flannel.1", "eth0"]
    assert mtu.steps(node(), mtu.targets(node(), 1500)) == []


def fits(sizes):
    return sizes["flannel.1"] + 50 <= sizes["eth0"] and sizes["c1:eth0"] <= sizes["c1"] <= sizes["cni0"] <= sizes["flannel.1"]


SIZES = (1400, 1450, 1500, 8950, 9000)


def test_no_link_is_ever_larger_than_the_one_below_allows():
    """From every consistent beginning to every end, after each step."""
    tried = 0
    for nic, tunnel, inner in itertools.product(SIZES, SIZES, SIZES):
        links = node(nic, tunnel, tunnel, tunnel, inner)
        sizes = {link.key: link.mtu for link in links}
        if not fits(sizes):
            continue
        for wanted in SIZES:
            after = mtu.targets(links, wanted)
            now = dict(sizes)
            for step in mtu.steps(links, after):
                assert now[step.key] == step.before
                now[step.key] = step.after
                assert fits(now), (sizes, wanted, step)
                tried += 1
            assert now == after
    assert tried > 100


def test_from_an_inconsistent_beginning_the_kernel_is_never_asked_for_more_than_is_below():
    for nic, tunnel in itertools.product(SIZES, SIZES):
        links = node(nic, tunnel)
        now = {link.key: link.mtu for link in links}
        for wanted in SIZES:
            sizes = dict(now)
            for step in mtu.steps(links, mtu.targets(links, wanted)):
                sizes[step.key] = step.after
                if step.key == "flannel.1":
                    assert step.after + 50 <= sizes["eth0"]


def test_a_tunnel_that_does_not_fit_is_known():
    assert mtu.fits(node(), "flannel.1") and mtu.fits(node(), "eth0")
    assert not mtu.fits(node(tunnel=1460), "flannel.1")


def test_a_vlan_grows_after_what_it_is_on():
    links = [Link("eth0.5", UNDERLAY, "vlan", 1500, below="eth0"), Link("eth0", UNDERLAY, "", 1500)]
    assert [step.key for step in mtu.steps(links, mtu.targets(links, 9000))] == ["eth0", "eth0.5"]
    assert [step.key for step in mtu.steps(links, mtu.targets(links, 1400))] == ["eth0.5", "eth0"]


@pytest.mark.parametrize(
    ("links", "wanted", "words"),
    [
        (node(), 9217, ["eth0 would get 9217", "576 to 9216"]),
        (node(), 600, ["would get 550", "576 to"]),
        ([Link("eth0", UNDERLAY, "", 1500, ipv6=True)], 1279, ["lose its IPv6 addresses", "at least 1280"]),
        ([Link("f", TUNNEL, "vxlan", 1450, overhead=50, ipv6=True), Link("eth0", UNDERLAY, "", 1500)], 1300, ["at least 1330"]),
    ],
)
def test_what_cannot_be_is_refused(links, wanted, words):
    with pytest.raises(mtu.Refused) as refused:
        mtu.refuse(links, mtu.targets(links, wanted))
    assert all(word in str(refused.value) for word in words), refused.value


def test_a_vlan_that_would_be_larger_than_what_it_is_on_is_refused():
    links = [Link("eth0.5", UNDERLAY, "vlan", 1500, below="eth0"), Link("eth0", TUNNEL, "", 1500)]
    with pytest.raises(mtu.Refused, match=r"eth0\.5 is on eth0, whose MTU is 1500; name eth0 too"):
        mtu.refuse(links, {"eth0.5": 9000})


@pytest.mark.parametrize(
    ("own", "before", "after", "expected"),
    [(1500, 1500, 9000, 9000), (1500, 1500, 1400, 1400), (1300, 1500, 9000, 1300), (1300, 1500, 1400, 1300), (1450, 1500, 1400, 1400)],
)
def test_a_route_goes_along_unless_somebody_wanted_less(own, before, after, expected):
    assert mtu.route_mtu(own, before, after) == expected
