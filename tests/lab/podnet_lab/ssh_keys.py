# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's SSH keys: one for the controller, one host key for all nodes, and the known_hosts that goes with it."""

from __future__ import annotations

from pathlib import Path

from podnet_lab.shell import run
from podnet_lab.topology import Topology


class SshKeys:
    """Keys below the state folder."""

    def __init__(self, state: Path) -> None:
        self.folder = state / "ssh"
        self.private_key = self.folder / "id_ed25519"
        self.public_key = self.folder / "id_ed25519.pub"
        self.host_key = self.folder / "host_ed25519"
        self.known_hosts = self.folder / "known_hosts"

    def prepare(self, topology: Topology) -> None:
        """Make the keys that are missing, and known_hosts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for key, comment in ((self.private_key, f"controller of lab {topology.name}"), (self.host_key, f"nodes of lab {topology.name}")):
            if not key.with_name(key.name + ".pub").exists():
                key.unlink(missing_ok=True)
                run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", key])
        kind, material = (self.host_key.with_name(self.host_key.name + ".pub")).read_text().split()[:2]
        lines = [f"{node.address},{node.name} {kind} {material}\n" for node in topology.nodes]
        self.known_hosts.write_text("".join(lines))
