# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes of one packet to a pod of another node, as the router's port of that node shows them: inside a zone and between two."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from podnet_demo import pcap
from podnet_demo.calico_state import has_pod_address
from podnet_demo.capture import Capture
from podnet_lab.cluster_api import ClusterApi
from podnet_lab.lab import Lab
from podnet_molecule import results

MODE = results.mode()
PAYLOAD = 777
PLAIN = PAYLOAD + 8 + 20 + 14
"""UDP, IPv4 and Ethernet."""
OVERHEAD = {("cross_subnet", True): 0, ("cross_subnet", False): 50, ("vxlan", True): 50, ("vxlan", False): 50, ("bgp_mesh", True): 0}
SEND = f"""
import socket, sys
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(20):
    link.sendto(bytes({PAYLOAD}), (sys.argv[1], 9))
"""


def lengths(lab: Lab, sender: str, receiver: str, address: str, folder: Path) -> dict[int, int]:
    """Frames of a length that only ours have, by length, at the router's port of the receiver."""
    with Capture(lab, f"p-{receiver}", f"greater {PLAIN} and less {PLAIN + 60} and udp", folder / f"{sender}-{receiver}.pcap") as capture:
        lab.run_in(sender, ["python3", "-c", SEND, address])
    found: dict[int, int] = {}
    for length, dummy in pcap.frames(capture.data):
        if length in (PLAIN, PLAIN + 50):
            found[length] = found.get(length, 0) + 1
    return found


@pytest.mark.parametrize("same_zone", [True, False])
def test_bytes_of_a_packet_between_nodes(lab: Lab, api: ClusterApi, tmp_path: Path, same_zone: bool) -> None:
    pairs = [(one, other) for one in lab.nodes for other in lab.nodes if one.name != other.name and (one.zone == other.zone) == same_zone]
    if (MODE, same_zone) not in OVERHEAD:
        assert pairs == []
        return
    sender, receiver = pairs[0]
    pods = [pod for pod in api.items("/api/v1/pods") if has_pod_address(pod) and pod["spec"]["nodeName"] == receiver.name]
    found = lengths(lab, sender.name, receiver.name, t.cast(str, pods[0]["status"]["podIP"]), tmp_path)
    (results.folder() / f"wire-{'inside' if same_zone else 'between'}.json").write_text(json.dumps(found), encoding="utf-8")
    assert set(found) == {PLAIN + OVERHEAD[MODE, same_zone]}
    assert sum(found.values()) >= 20
