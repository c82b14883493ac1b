# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers behind a router whose links are smaller than those of the node, for real: it says so, or drops without a word."""

from __future__ import annotations

import contextlib
import subprocess

import pytest

ROUTER, FAR, NEAR, LOUD = "10.1.0.254", "10.2.0.1", "10.3.0.1", "10.1.0.1"
"""Addresses: the router, a peer behind a link of its own size, a peer behind one of the usual size; the last is the node's own."""
SIX = "fd00:2::1"


SETTLE = "for name in {names}; do i=0; until [ $(cat /sys/class/net/$name/operstate) = up ] || [ $i -gt 99 ]; do sleep 0.1; i=$((i+1)); done; done"
"""The kernel tells of a carrier some time after it is there, and has no routes of IPv6 by then."""


class Hops:
    """The node, the router, and the two peers."""

    def __init__(self, node):
        self.node = node
        self.router, self.far, self.near = (f"{node.name}-{part}" for part in ("router", "far", "near"))

    def within(self, name, *words):
        done = subprocess.run(["ip", "netns", "exec", name, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: {done.stderr}{done.stdout}"
        return done.stdout

    def resize(self, mtu):
        """Give the link to the far peer another size, on both ends."""
        self.within(self.router, "ip", "link", "set", "far", "mtu", str(mtu))
        self.within(self.far, "ip", "link", "set", "eth0", "mtu", str(mtu))

    def silence(self):
        """The router says nothing any more of packets that are too large for it."""
        for words in ("add table inet t", "add chain inet t o { type filter hook output priority 0; }", "add rule inet t o meta l4proto icmp drop",
                      "add rule inet t o icmpv6 type packet-too-big drop"):  # fmt: skip
            self.within(self.router, "nft", words)


def _ip(name, *lines):
    subprocess.run(["ip", "-netns", name, "-batch", "-"], input="\n".join(lines) + "\n", check=True, capture_output=True, text=True)


@pytest.fixture
def hops(node):
    made = Hops(node)
    names = (made.router, made.far, made.near)
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
        _ip(node.name, f"link add eth0 type veth peer name node netns {made.router}", "link set lo up")
        for name, address, port in ((made.far, "10.2.0", "far"), (made.near, "10.3.0", "near")):
            _ip(
                made.router,
                f"link add {port} type veth peer name eth0 netns {name}",
                f"address add {address}.254/24 dev {port}",
                f"link set {port} up",
            )
            _ip(name, f"address add {address}.1/24 dev eth0", "link set eth0 up", f"route add default via {address}.254")
        _ip(made.router, f"address add {ROUTER}/24 dev node", "link set node up", "address add fd00:1::254/64 dev node nodad",
            "address add fd00:2::254/64 dev far nodad")  # fmt: skip
        _ip(made.far, f"address add {SIX}/64 dev eth0 nodad", "route add default via fd00:2::254")
        _ip(node.name, "address add 10.1.0.1/24 dev eth0", "address add fd00:1::1/64 dev eth0 nodad", "link set eth0 up",
            f"route add default via {ROUTER}", "route add default via fd00:1::254")  # fmt: skip
        made.within(made.router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
        made.within(node.name, "sh", "-c", SETTLE.format(names="eth0"))
        made.within(made.router, "sh", "-c", SETTLE.format(names="node far near"))
        yield made
    finally:
        for name in names:
            with contextlib.suppress(OSError):
                subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
