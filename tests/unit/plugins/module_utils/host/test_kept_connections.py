# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections of the real kernel that end with the tunnel, as route_guard counts them."""

from __future__ import annotations

import socket

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import connections
from ansible_collections.podnet.cni.plugins.module_utils._host import netlink_messages as messages
from ansible_collections.podnet.cni.tests.unit.fakes import two_links
from ansible_collections.podnet.cni.tests.unit.fakes.node import node  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.podnet.cni.tests.unit.fakes.two_links import CLIENT, POD, SERVICE

needs_root_netns = pytest.mark.needs_root_netns
TUNNEL = "10.244.0.9"
NAT = f"""\
table ip test {{
  chain own {{ type nat hook output priority -100; ip daddr {SERVICE} dnat to {POD}; }}
  chain out {{ type nat hook postrouting priority 100; ip daddr {POD} ip saddr != {TUNNEL} masquerade; }}
}}
"""


@pytest.fixture
def place(node):  # noqa: F811
    made = two_links.Place(node)
    try:
        made.build(NAT)
        node.ip(f"link add vxlan.calico type bridge\naddress add {TUNNEL}/32 dev vxlan.calico\nlink set vxlan.calico up\n")
        made.within(made.pod, f"route add {TUNNEL}/32 via 10.1.0.1\n")
        node.options = {"state_dir": str(node.folder)}
        yield made
    finally:
        made.remove()


@needs_root_netns
def test_only_those_of_the_node_from_the_tunnels_address_are_counted(place):
    def guard(state, **options):
        results = place.base.module("route_guard", state=state, watchdog_seconds=0, **options)
        return results["connections"], results["pods"]

    assert guard("kept", network="10.244.0.0/16") == (0, [])
    clients = [place.start(place.base.name, CLIENT, *words) for words in ((POD, TUNNEL), (POD, "10.1.0.1"), (SERVICE,))]
    assert [place.talk(client, "before") for client in clients] == ["before"] * 3
    assert guard("split") == (1, [POD])
    later = place.start(place.base.name, CLIENT, POD, TUNNEL)
    assert place.talk(later, "marked") == "marked"
    assert guard("split") == (1, [POD])
    clients[0].kill()
    clients[0].wait()
    assert guard("split") == (0, [])


@needs_root_netns
def test_pods_that_the_copy_does_not_lead_to_are_not_counted(place):
    place.base.ip(f"route replace {POD}/32 dev a0\n")
    place.within(place.pod, "address add 10.244.1.5/32 dev a1\n")
    client = place.start(place.base.name, CLIENT, POD, TUNNEL)
    assert place.talk(client, "before") == "before"
    assert place.base.module("route_guard", state="kept", network="10.244.0.0/16", watchdog_seconds=0)["connections"] == 0


@pytest.mark.parametrize(("protocol", "state", "is_open"), [(6, 1, True), (6, 2, True), (6, 3, True), (6, 4, False), (6, 7, False), (17, 3, False)])
def test_what_has_ended_is_not_open(protocol, state, is_open):
    told = messages.nested(4, messages.nested(1, messages.attribute(1, bytes([state]))))
    ways = connections.Tuple(*[connections.ipaddress.IPv4Address(POD)] * 2, protocol, 1, 2)
    found = connections.Connection(ways, ways, dict(messages.attributes_in(told)))
    assert (found.is_open, found.mark) == (is_open, 0)


def test_a_mark_is_read_as_the_kernel_tells_it():
    ways = connections.Tuple(*[connections.ipaddress.IPv4Address(POD)] * 2, socket.IPPROTO_TCP, 1, 2)
    assert connections.Connection(ways, ways, {8: b"\0\0\x44\0"}).mark == 0x4400
