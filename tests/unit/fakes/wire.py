# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device whose checksums are broken, for real: frames go on as they are in memory, before the device has finished them.

The kernel leaves the checksum of a packet to a device that promises to make it, and keeps the sum of the pseudo header in its place
(CHECKSUM_PARTIAL). Between two veth devices that is never noticed, since the promise travels along. This wire reads frames with a packet
socket and sends them with another one, so that only the bytes go on, as over a cable.

The tunnel makes no checksum of its own, like those of Flannel and Calico: with one, not even ARP would get through it.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest

RELAY = """\
import selectors, socket, sys
ALL = 3
OUTGOING = 4
ends = []
for name in sys.argv[1:]:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
    end.bind((name, ALL))
    ends.append(end)
selector = selectors.DefaultSelector()
for end, other in (ends, reversed(ends)):
    selector.register(end, selectors.EVENT_READ, other)
print("ready", flush=True)
while True:
    for key, events in selector.select():
        frame, address = key.fileobj.recvfrom(65536)
        if address[2] != OUTGOING:
            try:
                key.data.send(frame)
            except OSError:
                pass  # larger than the device takes, as for a cable
"""
ENDS = ("near0", "far0")
ADDRESS, PEER, INNER, INNER_PEER = "192.0.2.1", "192.0.2.2", "10.9.0.1", "10.9.0.2"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Wire:
    """The node and its peer."""

    def __init__(self, node, peer: str) -> None:
        self.node = node
        self.peer = peer

    def in_peer(self, *words: str) -> str:
        """Run a program at the other end."""
        return subprocess.run(["ip", "netns", "exec", self.peer, *words], check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def _relay(place: str):
    command = ["ip", "netns", "exec", place, sys.executable, "-c", RELAY, *ENDS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            yield
        finally:
            process.terminate()


@pytest.fixture
def wire(node):
    """The node behind a device with broken checksums, and a peer with whole ones; vx0 is a tunnel between them."""
    peer, place = f"{node.name}-peer", f"{node.name}-wire"
    try:
        for name in (peer, place):
            _ip("netns", "add", name)
        _ip("-n", node.name, "link", "add", "eth0", "type", "veth", "peer", "name", ENDS[0], "netns", place)
        _ip("-n", peer, "link", "add", "eth0", "type", "veth", "peer", "name", ENDS[1], "netns", place)
        for end in ENDS:
            subprocess.run(["ip", "netns", "exec", place, "sysctl", "-qw", f"net.ipv6.conf.{end}.disable_ipv6=1"], check=True)
            _ip("-n", place, "link", "set", "dev", end, "up")
        for name, address, remote, inner in ((node.name, ADDRESS, PEER, INNER), (peer, PEER, ADDRESS, INNER_PEER)):
            for words in (
                ("address", "add", f"{address}/24", "dev", "eth0"),
                ("link", "set", "eth0", "up"),
                ("link", "add", "vx0", "type", "vxlan", "id", "7", "remote", remote, "dev", "eth0", "dstport", "4789", "noudpcsum"),
                ("address", "add", f"{inner}/24", "dev", "vx0"),
                ("link", "set", "vx0", "up"),
            ):
                _ip("-n", name, *words)
        made = Wire(node, peer)
        for device in ("eth0", "vx0"):
            settled(made, device)
        with _relay(place):
            yield made
    finally:
        for name in (peer, place):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


SETTLE = """\
import sys
from ansible_collections.podnet.cni.plugins.module_utils._host import ethtool_netlink
ethtool_netlink.write(sys.argv[1], {"tx-checksum-ip-generic": False})
"""


def settled(made: Wire, device: str) -> None:
    """Let the peer make its checksums itself, as a device that works would."""
    made.in_peer("env", f"PYTHONPATH={':'.join(sys.path)}", sys.executable, "-c", SETTLE, device)
