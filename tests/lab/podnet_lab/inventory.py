# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible needs to work on the lab as on any cluster: inventory, settings, known hosts."""

from __future__ import annotations

import typing as t
from pathlib import Path

import yaml

from podnet_lab.ssh_keys import SshKeys
from podnet_lab.topology import Topology

PASSWORD = {"name": "bgp-password", "key": "router"}
"""The Secret in kube-system that holds the router's password, and its key in it."""
ANSIBLE_CFG = """\
# Written by the lab.
[defaults]
inventory = {state}/inventory.yml
forks = 10
host_key_checking = True
interpreter_python = /usr/bin/python3
retry_files_enabled = False
local_tmp = {state}/ansible/tmp
timeout = 30

[ssh_connection]
pipelining = True
control_path_dir = {state}/ssh/cp
"""


def inventory(topology: Topology, state: Path) -> dict[str, t.Any]:
    """The inventory as Ansible's YAML plugin reads it."""
    keys = SshKeys(state)
    hosts = {
        node.name: {
            "ansible_host": node.address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(keys.private_key),
            "ansible_python_interpreter": "/usr/bin/python3",
            "zone": node.zone,
        }
        for node in topology.nodes
    }
    ssh = [
        "-o ControlMaster=auto",
        "-o ControlPersist=120s",
        f"-o UserKnownHostsFile={keys.known_hosts}",
        "-o GlobalKnownHostsFile=/dev/null",
        "-o StrictHostKeyChecking=yes",
        "-o IdentitiesOnly=yes",
    ]
    variables = {
        "ansible_ssh_common_args": " ".join(ssh),
        "podnet_kubeconfig": str(state / "kubeconfig"),
        "podnet_calico_manifest": str(state / "calico.yaml"),
        "podnet_bgp_as_number": topology.router.as_number,
        "podnet_bgp_peers": bgp_peers(topology),
    }
    as_numbers = {zone.name: zone.as_number for zone in topology.zones if zone.as_number != topology.router.as_number}
    if as_numbers:
        variables["podnet_bgp_zone_as_numbers"] = as_numbers
    return {"all": {"vars": variables, "children": {"kube_node": {"hosts": hosts}}}}


def bgp_peers(topology: Topology) -> list[dict[str, t.Any]]:
    """One router address a zone; the nodes of the zone peer with it. Of a router in another AS, nodes of a zone hear of each other with their own
    AS in the path.
    """
    peers = []
    for zone in topology.zones:
        peer: dict[str, t.Any] = {
            "name": f"tor-{zone.name}",
            "peer_ip": zone.router_address,
            "as_number": topology.router.as_number,
            "node_selector": f"zone == '{zone.name}'",
        }
        if zone.as_number != topology.router.as_number:
            peer["num_allowed_local_as_numbers"] = 1
        if topology.router.password:
            peer["password"] = dict(PASSWORD)
        peers.append(peer)
    return peers


def write(topology: Topology, state: Path) -> None:
    """Write the files."""
    for folder in (state / "ssh" / "cp", state / "ansible" / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    text = yaml.safe_dump(inventory(topology, state), sort_keys=False)
    (state / "inventory.yml").write_text(f"# Written by the lab.\n---\n{text}")
    (state / "ansible.cfg").write_text(ANSIBLE_CFG.format(state=state))
