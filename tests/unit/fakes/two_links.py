# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that reaches a pod over one of two links, and a client behind the node: network namespaces, with programs that talk."""

from __future__ import annotations

import subprocess
import sys

from ansible_collections.podnet.cni.tests.unit.fakes.node import Node

POD, SERVICE = "10.244.1.5", "10.96.0.10"
PODS_END = """
import socket, threading
def answer(link, address):
    while True:
        data = link.recv(100)
        if not data:
            return
        link.sendall(address[0].encode() if data == b"who\\n" else data)
server = socket.create_server(("", 80))
print("ready", flush=True)
while True:
    threading.Thread(target=answer, args=server.accept(), daemon=True).start()
"""
CLIENT = """
import socket, sys
address, *source = sys.argv[1:]
link = socket.create_connection((address, 80), timeout=2, source_address=(source[0], 0) if source else None)
for line in sys.stdin:
    try:
        link.sendall(line.encode())
        print(link.recv(100).decode().strip(), flush=True)
    except OSError as exc:
        print(type(exc).__name__, flush=True)
"""


class Place:
    """The node, the pod's node and the client's host."""

    def __init__(self, base: Node) -> None:
        self.base = base
        self.pod, self.client = f"{base.name}-pod", f"{base.name}-client"
        self.processes: list[subprocess.Popen[str]] = []

    def build(self, rules: str) -> None:
        """Make the namespaces with rules for nft on the node, and start the pod."""
        for name in (self.pod, self.client):
            subprocess.run(["ip", "netns", "add", name], check=True)
        self.base.ip(
            f"link set lo up\nlink add c0 type veth peer name c1 netns {self.client}\naddress add 10.3.0.1/24 dev c0\nlink set c0 up\n"
            "route add 10.96.0.0/16 via 10.3.0.2\n"
        )
        self.within(self.client, "address add 10.3.0.2/24 dev c1\nlink set c1 up\nroute add default via 10.3.0.1\n")
        self.within(self.pod, f"link set lo up\naddress add {POD}/32 dev lo\n")
        self.links()
        for name in (self.base.name, self.pod):
            script = "echo 1 > /proc/sys/net/ipv4/ip_forward; for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done"
            subprocess.run(["ip", "netns", "exec", name, "sh", "-c", script], check=True)
        self.base.run("nft", "--file", "-", stdin=rules)
        self.lead("a")
        self.start(self.pod, PODS_END)

    def links(self) -> None:
        """Links between the node and the pod's."""
        self.base.ip(
            f"link add a0 type veth peer name a1 netns {self.pod}\nlink add b0 type veth peer name b1 netns {self.pod}\n"
            "address add 10.1.0.1/24 dev a0\naddress add 10.2.0.1/24 dev b0\nlink set a0 up\nlink set b0 up\n"
        )
        self.within(self.pod, "address add 10.1.0.2/24 dev a1\naddress add 10.2.0.2/24 dev b1\nlink set a1 up\nlink set b1 up\n")

    def within(self, name: str, lines: str) -> None:
        """Lines for iproute2 in one of the namespaces."""
        subprocess.run(["ip", "-n", name, "-batch", "-"], input=lines, check=True, text=True)

    def lead(self, link: str) -> None:
        """Lead packets to the pod over the link C(a) or C(b)."""
        self.base.ip(f"route replace {POD}/32 via 10.{'ab'.index(link) + 1}.0.2 dev {link}0\n")

    def start(self, name: str, program: str, *words: str) -> subprocess.Popen[str]:
        """Start a program in one of the namespaces."""
        command = ["ip", "netns", "exec", name, sys.executable, "-c", program, *words]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        if not words:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        return process

    def talk(self, process: subprocess.Popen[str], text: str) -> str:
        """What a client hears from the pod, or the name of the error."""
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{text}\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    def remove(self) -> None:
        """End the programs and the namespaces, but for the node's."""
        for process in self.processes:
            process.kill()
            process.communicate()
        for name in (self.pod, self.client):
            subprocess.run(["ip", "netns", "delete", name], check=False)
