# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""masquerade_guard on the real kernel: a node with Flannel's VXLAN whose packets to a pod come to leave by its own link."""

from __future__ import annotations

import errno
import ipaddress
import os

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import (
    connections,
    masquerade_guard,
    netlink_socket,
    nf_tables,
    rtnetlink,
    ways_out,
)
from ansible_collections.podnet.cni.plugins.modules import masquerade_guard as module
from ansible_collections.podnet.cni.tests.unit.fakes import two_links
from ansible_collections.podnet.cni.tests.unit.fakes.node import node  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.podnet.cni.tests.unit.fakes.running import run_module
from ansible_collections.podnet.cni.tests.unit.fakes.two_links import CLIENT, POD, SERVICE

needs_root_netns = pytest.mark.needs_root_netns
NETWORK = "10.244.0.0/16"
NEIGHBOUR = "10.244.0.7"
DEVICES = [{"device": "eth0", "address": "172.30.1.11"}, {"device": "flannel.1", "address": "10.244.0.0"}]
SERVICES = f"""\
table ip services {{
  chain in {{ type nat hook prerouting priority -100; ip daddr {SERVICE} meta mark set meta mark | 0x4000 dnat to {POD}; }}
  chain own {{ type nat hook output priority -100; ip daddr {SERVICE} meta mark set meta mark | 0x4000 dnat to {POD}; }}
}}
table ip tunnel {{
  counter marked {{ }}
  chain out {{ type filter hook postrouting priority 200; udp dport 8472 meta mark & 0x4000 != 0 counter name marked; }}
}}
"""
MASQUERADING = f"""\
table ip masquerading {{
  chain out {{
    type nat hook postrouting priority 100;
    meta mark & 0x4000 != 0 meta mark set meta mark ^ 0x4000 masquerade fully-random
    ip saddr != {NETWORK} ip daddr {NETWORK} masquerade
  }}
}}
"""


class Overlay(two_links.Place):
    """The two links are Flannel's device, and the link below it."""

    def links(self):
        self.base.options = {"flannel_run_dir": str(self.base.folder)}
        self.base.ip(f"link add eth0 type veth peer name eth0 netns {self.pod}\n")
        for name, number, far in ((self.base.name, 0, 1), (self.pod, 1, 0)):
            self.within(
                name,
                f"address add 172.30.1.1{number + 1}/24 dev eth0\nlink set eth0 up\n"
                f"link add flannel.1 type vxlan id 1 local 172.30.1.1{number + 1} remote 172.30.1.1{far + 1} dev eth0 dstport 8472\n"
                f"address add 10.244.{number}.0/32 dev flannel.1\nlink set flannel.1 up\n",
            )
        self.within(self.pod, "route add default via 172.30.1.11\nroute add 10.244.0.0/24 via 10.244.0.0 dev flannel.1 onlink\n")
        self.base.ip(f"route add default via 172.30.1.12\nroute add {NEIGHBOUR} dev c0\n")
        self.within(self.client, f"address add {NEIGHBOUR}/32 dev c1\n")

    def lead(self, link):
        way = {"a": "via 10.244.1.0 dev flannel.1 onlink", "b": "via 172.30.1.12 dev eth0"}[link]
        self.base.ip(f"route replace 10.244.1.0/24 {way}\n")

    def guard(self, state="present", check=False, **options):
        given = {"network": NETWORK} if state == "present" else {}
        return self.base.module("masquerade_guard", check, state=state, **{**given, **options})

    def rules(self):
        return self.base.run("nft", "list", "ruleset")


@pytest.fixture
def overlay(node):  # noqa: F811
    made = Overlay(node)
    try:
        yield made
    finally:
        made.remove()


@needs_root_netns
@pytest.mark.parametrize("guarded", [False, True])
def test_connections_go_on_by_another_interface_only_with_the_guard(overlay, guarded):
    overlay.build(SERVICES + MASQUERADING)

    def three():
        return [
            overlay.start(overlay.client, CLIENT, SERVICE),
            overlay.start(overlay.base.name, CLIENT, SERVICE),
            overlay.start(overlay.client, CLIENT, POD),
        ]

    clients = three()
    assert [overlay.talk(client, "who") for client in clients] == ["10.244.0.0"] * 3
    if guarded:
        results = overlay.guard()
        assert (results["changed"], results["devices"], results["connections"]) == (True, DEVICES, 3)
        marked = overlay.base.run("nft", "reset", "counter", "ip", "tunnel", "marked")
    clients += three()
    assert [overlay.talk(client, "who") for client in clients] == ["10.244.0.0"] * 6
    if guarded:
        assert "packets 0" in overlay.base.run("nft", "list", "counter", "ip", "tunnel", "marked"), marked
    overlay.lead("b")
    answers = [overlay.talk(client, "after") for client in clients]
    assert answers == ["after"] * 6 if guarded else "after" not in answers
    if guarded:
        new = three()[:2]
        assert [overlay.talk(client, "who") for client in new] == ["172.30.1.11"] * 2
        overlay.guard("absent")
        overlay.lead("a")
        assert [overlay.talk(client, "back") for client in clients + new] == ["back"] * 8


@needs_root_netns
def test_identity_is_bound_too_and_made_independent(overlay):
    """Masquerading can choose the address that there is; the guard comes after the way has changed."""
    overlay.build(MASQUERADING)
    overlay.lead("b")
    client = overlay.start(overlay.base.name, CLIENT, POD)
    assert overlay.talk(client, "who") == "172.30.1.11"
    assert overlay.guard(check=True)["connections"] == 1
    assert overlay.guard()["connections"] == 1
    overlay.lead("a")
    assert overlay.talk(client, "after") == "after"


@needs_root_netns
def test_what_is_not_masqueraded_is_left(overlay):
    overlay.build(SERVICES)
    overlay.guard()

    def seen(*words):
        return overlay.talk(overlay.start(overlay.client, CLIENT, *words), "who")

    assert seen(POD) == "10.244.0.0"
    assert seen(POD, NEIGHBOUR) == NEIGHBOUR
    overlay.lead("b")
    assert [seen(POD), seen(POD, NEIGHBOUR), seen(SERVICE)] == ["172.30.1.11", NEIGHBOUR, "172.30.1.11"]
    overlay.lead("a")
    (overlay.base.folder / "subnet.env").write_text("FLANNEL_IPMASQ=false\n")
    assert overlay.guard()["changed"] is True
    assert [seen(POD), seen(SERVICE)] == ["10.3.0.2", "10.244.0.0"]
    overlay.guard(masquerade_mark=0x8000)
    assert seen(SERVICE) == "10.3.0.2"


@needs_root_netns
def test_it_changes_nothing_twice_and_only_its_own(overlay):
    overlay.build(SERVICES + MASQUERADING)
    before = overlay.rules()
    results = overlay.guard(check=True)
    assert (results["changed"], results["devices"]) == (True, DEVICES)
    assert results["diff"]["before"] == {"rules": []}
    assert overlay.rules() == before
    assert overlay.guard("absent")["changed"] is False
    overlay.guard()
    with_guard = overlay.rules()
    assert with_guard.startswith(before)
    assert [line.split(' comment "')[0].strip() for line in with_guard[len(before) :].splitlines()] == [
        "table ip podnet-masquerade {",
        "chain postrouting {",
        "type nat hook postrouting priority srcnat - 1; policy accept;",
        *(
            line.replace("MARKED", f"ip daddr {NETWORK} meta mark & 0x00004000 != 0x00000000 meta mark set meta mark & 0xffffbfff")
            for line in (
                'oifname "eth0" MARKED snat to 172.30.1.11 fully-random',
                f'oifname "eth0" ip saddr != {NETWORK} ip daddr {NETWORK} snat to 172.30.1.11 fully-random',
                'oifname "flannel.1" MARKED snat to 10.244.0.0 fully-random',
                f'oifname "flannel.1" ip saddr != {NETWORK} ip daddr {NETWORK} snat to 10.244.0.0 fully-random',
            )
        ),
        "}",
        "}",
    ]
    again = overlay.guard()
    assert (again["changed"], again["connections"], again["diff"]["before"]) == (False, 0, again["diff"]["after"])
    assert overlay.guard("absent", check=True)["changed"] is True
    assert overlay.rules() == with_guard
    removed = overlay.guard("absent")
    assert (removed["changed"], removed["diff"]["before"]) == (True, again["diff"]["after"])
    assert overlay.rules() == before


@needs_root_netns
@pytest.mark.parametrize(
    "words",
    [
        ["add", "rule", "ip", "podnet-masquerade", "postrouting", "accept"],
        ["add", "table", "ip", "podnet-masquerade", "{ flags dormant; }"],
        ["flush", "chain", "ip", "podnet-masquerade", "postrouting"],
        ["delete", "table", "ip", "podnet-masquerade"],
    ],
)
def test_what_others_did_to_its_table_is_put_right(overlay, words):
    overlay.build(SERVICES)
    overlay.guard()
    wanted = overlay.rules()
    overlay.base.run("nft", *words)
    assert overlay.guard()["changed"] is True
    assert overlay.rules() == wanted


@needs_root_netns
def test_it_follows_another_address(overlay):
    overlay.build(SERVICES)
    overlay.guard()
    overlay.base.ip("address add 172.30.1.20/24 dev eth0\naddress add 10.9.0.1/24 dev eth0\n")
    assert overlay.guard()["changed"] is False
    overlay.base.ip("route replace default via 10.9.0.2\n")
    results = overlay.guard()
    assert (results["changed"], results["devices"][0]) == (True, {"device": "eth0", "address": "10.9.0.1"})


@needs_root_netns
def test_a_node_without_any_way_is_refused(overlay):
    overlay.base.options = {}
    results = overlay.guard()
    assert results["msg"].startswith("network: no route of the table main leads to addresses of 10.244.0.0/16")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"network": "10.244.0.1/16"}, "network: '10.244.0.1/16' is not an IPv4 network"),
        ({"network": "fd00::/64"}, "network: 'fd00::/64' is not an IPv4 network"),
        ({"network": "0.0.0.0/0"}, "network: '0.0.0.0/0' has every address"),
        ({"network": NETWORK, "masquerade_mark": 0}, "masquerade_mark: 0 is not a mark with one bit"),
        ({"network": NETWORK, "masquerade_mark": 0x4001}, "masquerade_mark: 16385 is not a mark with one bit"),
        ({"network": NETWORK, "masquerade_mark": 1 << 32}, "masquerade_mark: 4294967296 is not"),
        ({}, "state is present but all of the following are missing: network"),
    ],
)
def test_bad_options(monkeypatch, options, problem):
    assert run_module(monkeypatch, "masquerade_guard", state="present", **options)["msg"].startswith(problem)


def kernel_that_refuses(monkeypatch, code):
    def refuse(*dummy):
        raise OSError(code, os.strerror(code))

    for name in ("ask", "transact"):
        monkeypatch.setattr(netlink_socket.Netlink, name, refuse)


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENOENT])
def test_a_kernel_without_nf_tables_is_named(monkeypatch, code):
    monkeypatch.setattr(module.ways_out, "read", lambda network: [WAY])
    kernel_that_refuses(monkeypatch, errno.EINVAL)
    message = run_module(monkeypatch, "masquerade_guard", state="present", network=NETWORK)["msg"]
    assert "has no nf_tables with NAT" in message
    assert "CONFIG_NFT_NAT" in message
    assert run_module(monkeypatch, "masquerade_guard", state="absent")["changed"] is False
    kernel_that_refuses(monkeypatch, code)
    with pytest.raises(nf_tables.Unsupported, match="CONFIG_NF_TABLES"):
        nf_tables.replace(masquerade_guard.table([WAY], ipaddress.IPv4Network(NETWORK), 0x4000, True))


def test_other_refusals_are_told(monkeypatch):
    monkeypatch.setattr(module.ways_out, "read", lambda network: [WAY])
    kernel_that_refuses(monkeypatch, errno.EPERM)
    message = run_module(monkeypatch, "masquerade_guard", state="present", network=NETWORK)["msg"]
    assert message.startswith("state: masqueraded connections could not be guarded")
    assert "needs root" in message


# Ways and rules, without a kernel

WAY = ways_out.WayOut("eth0", "veth", ipaddress.IPv4Address("172.30.1.11"))


def device(ifindex, name, kind="", below=0):
    return rtnetlink.Device(ifindex, name, kind, 1500, 0, 0, True, 0, below, None, False)


def hop(destination, ifindex, gateway=None):
    return ways_out.Hop(ipaddress.IPv4Network(destination), ifindex, gateway is not None, gateway and ipaddress.IPv4Address(gateway))


def test_devices_are_those_that_lead_to_other_nodes():
    devices = [
        device(1, "lo"),
        device(2, "eth0"),
        device(3, "eth1"),
        device(4, "flannel.1", "vxlan", 3),
        device(5, "cni0", "bridge"),
        device(6, "tunl0", "ipip"),
    ]
    hops = [
        hop("10.244.2.0/24", 4, "10.244.2.0"),
        hop("10.244.1.0/24", 5),
        hop("10.244.3.0/26", 6),
        hop("192.168.0.0/16", 7, "172.30.1.9"),
        hop("0.0.0.0/0", 2, "172.30.1.1"),
    ]
    chosen = ways_out.choose(ipaddress.IPv4Network(NETWORK), hops, devices)
    assert [(found.name, gateway and str(gateway)) for found, gateway in chosen] == [
        ("eth0", "172.30.1.1"),
        ("flannel.1", "10.244.2.0"),
        ("tunl0", None),
        ("eth1", None),
    ]


def test_a_device_without_an_address_gets_that_of_another():
    address = ways_out.Address(3, ipaddress.IPv4Address("172.30.1.11"), ipaddress.IPv4Network("172.30.1.0/24"))
    assert str(ways_out.chosen_address(2, None, [address])) == "172.30.1.11"
    assert ways_out.chosen_address(2, None, []) is None


@pytest.mark.parametrize(("name", "kind", "rules"), [("flannel.1", "vxlan", 2), ("vxlan.calico", "vxlan", 1), ("flannel.9", "veth", 1)])
def test_only_on_flannels_device_all_from_outside_is_translated(name, kind, rules):
    way = WAY._replace(device=name, kind=kind)
    table = masquerade_guard.table([way], ipaddress.IPv4Network(NETWORK), 0x4000, True)
    assert len(table.rules) == rules
    assert all(len(line.encode()) < 128 for line in masquerade_guard.lines(table))


def test_a_kernel_that_tells_all_connections_is_asked_once(monkeypatch):
    asked = []

    def told(question):
        asked.append(question)
        return iter([{3: bytes(4)}, {3: b"\0\0\0\x10"}])

    monkeypatch.setattr(connections, "_told", told)
    assert connections.masqueraded(ipaddress.IPv4Network(NETWORK), [WAY.address]) == []
    assert len(asked) == 1
