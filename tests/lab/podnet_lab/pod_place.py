# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs of a node in the network namespace of one of its pods."""

from __future__ import annotations

from podnet_lab.errors import LabError
from podnet_lab.lab import Lab
from podnet_lab.topology import Node

FIND_NAMESPACE = (
    'for ns in $(ip netns list | cut -d" " -f1); do if ip -n "$ns" -o -4 address show | grep -q " $0/"; then echo "$ns"; exit 0; fi; done; exit 1'
)


class PodPlace:
    """A pod, found by its node and its address."""

    def __init__(self, lab: Lab, node: Node, address: str) -> None:
        self.lab = lab
        self.node = node
        self.address = address
        found = lab.run_in(node.name, ["sh", "-c", FIND_NAMESPACE, address], check=False)
        if found.returncode:
            raise LabError(f"no network namespace on {node.name} has the pod address {address}")
        self.netns = found.stdout.strip()

    def command(self, *words: str, timeout: int = 60) -> list[str]:
        """The command line on the node that runs a program in the pod's network namespace."""
        return ["timeout", str(timeout), "nsenter", f"--net=/run/netns/{self.netns}", "--", *words]

    def run(self, *words: str, stdin: str | None = None, timeout: int = 60) -> str:
        """Run a program of the node in the pod's network namespace."""
        return self.lab.run_in(self.node.name, self.command(*words, timeout=timeout), stdin=stdin, timeout=timeout + 10).stdout
