# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_sessions as sessions

BIRD_1 = """BIRD 1.6.8 ready.
name     proto    table    state  since       info
static1  Static   master   up     14:00:01
  Preference:     200
device1  Device   master   up     14:00:01
Node_172_30_1_1 BGP      master   up     14:00:03    Established
  Description:    Connection to BGP peer
  BGP state:          Established
    Neighbor address: 172.30.1.1
    Neighbor AS:      64512
Global_172_30_2_1 BGP      master   start  14:00:05    Idle          BGP Error: Bad peer AS
  BGP state:          Idle
    Neighbor address: 172.30.2.1
    Neighbor AS:      64999
    Error wait:       3/30
    Last error:       BGP Error: Bad peer AS
Mesh_10_0_0_9 BGP      master   start  14:00:05    Active        Socket: Connection refused
  BGP state:          Active
    Neighbor address: 10.0.0.9
    Last error:       Socket: Connection refused
"""
BIRD_2 = """BIRD 2.0.12 ready.
Name       Proto      Table      State  Since         Info
Node_fd00__1 BGP        ---        start  2026-11-24 14:00:03  Connect
  BGP state:          Connect
    Neighbor address: fd00::1%eth0
"""


def node(name, labels=None, address="10.0.0.1", annotations=None):
    return {
        "metadata": {"name": name, "labels": labels or {}, "annotations": annotations or {}},
        "status": {"addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]},
    }


def test_birdcl():
    found = {session["peer"]: session for session in sessions.parse_birdcl(BIRD_1, "n1")}
    assert found["172.30.1.1"] == {
        "node": "n1",
        "peer": "172.30.1.1",
        "type": "NodePeer",
        "state": "Established",
        "info": None,
        "since": "14:00:03",
        "why": None,
    }
    assert found["172.30.2.1"]["state"] == "Idle"
    assert "another AS number" in found["172.30.2.1"]["why"]
    assert "as_number" in found["172.30.2.1"]["why"]
    assert found["10.0.0.9"]["type"] == "NodeMesh"
    assert "port 179" in found["10.0.0.9"]["why"]
    assert len(found) == 3


def test_birdcl_of_bird_2():
    (session,) = sessions.parse_birdcl(BIRD_2, "n1")
    assert (session["peer"], session["state"], session["since"]) == ("fd00::1", "Connect", "2026-11-24 14:00:03")
    assert "TCP" in session["why"]


def test_status_objects():
    status = {
        "spec": {"node": "n1"},
        "status": {
            "bgp": {
                "peersV4": [{"peerIP": "172.30.1.1", "type": "GlobalPeer", "state": "Established", "since": "14:00"}],
                "peersV6": [{"peerIP": "fd00::1", "type": "GlobalPeer", "state": "OpenSent", "since": "14:00"}],
            }
        },
    }
    first, second = sessions.sessions_of_status(status)
    assert first["why"] is None
    assert "OPEN message" in second["why"]
    assert sessions.sessions_of_status({"spec": {"node": "n1"}}) == []


NODES = [
    node("n1", {"zone": "a", "kubernetes.io/os": "linux"}, "10.0.0.1"),
    node("n2", {"zone": "b", "rr": "true"}, "10.0.0.2", {"projectcalico.org/IPv4Address": "10.0.0.22/24"}),
    node("w", {"zone": "a", "kubernetes.io/os": "windows"}, "10.0.0.3"),
]


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ({}, ["n1", "n2"]),
        ({"node": "n2"}, ["n2"]),
        ({"node": "other"}, []),
        ({"nodeSelector": "zone == 'a'"}, ["n1"]),
    ],
)
def test_selected_nodes(spec, names):
    assert [item["metadata"]["name"] for item in sessions.selected_nodes(spec, NODES)] == names


def test_expected_sessions():
    assert sessions.expected_sessions({"peerIP": "10.9.9.9:1790"}, NODES) == [("n1", "10.9.9.9"), ("n2", "10.9.9.9")]
    assert sessions.expected_sessions({"peerSelector": "has(rr)"}, NODES) == [("n1", "10.0.0.22")]
    assert sessions.expected_sessions({"peerIP": "10.0.0.1"}, NODES) == [("n2", "10.0.0.1")]
    assert sessions.expected_sessions({"localWorkloadSelector": "all()", "asNumber": 1}, NODES) == []


def test_missing_sessions():
    expected = [sessions.Expected("n1", "172.30.1.1"), sessions.Expected("n1", "172.30.2.1"), sessions.Expected("n2", "172.30.1.1")]
    missing = sessions.missing_sessions(expected, sessions.parse_birdcl(BIRD_1, "n1"))
    assert [(session["node"], session["state"]) for session in missing] == [("n1", "Idle"), ("n2", None)]
    assert "no such session yet" in missing[1]["why"]
