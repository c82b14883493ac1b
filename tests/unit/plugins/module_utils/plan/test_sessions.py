# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No node is left without a session: what nodes say of their BIRD."""

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import gate, plan, preflight, rollback
from ansible_collections.podnet.cni.plugins.module_utils._plan.sessions import session_findings
from ansible_collections.podnet.cni.tests.unit.fixtures.facts import Lab, moved_lab

ROUTER, NODE = "172.30.1.1", "172.30.2.12"


def session(peer, state="Established", info=None):
    return {"node": "n1", "peer": peer, "type": "NodePeer", "state": state, "info": info, "since": "14:00", "why": None}


def found(*sessions):
    lab = Lab()
    lab.nodes["n1"]["bgp_sessions"] = list(sessions)
    return list(session_findings(lab.cluster, lab.nodes))


@pytest.mark.parametrize(
    ("sessions", "identifiers"),
    [
        ([], []),
        ([session(ROUTER)], []),
        ([session(ROUTER), session(NODE)], []),
        ([session(ROUTER, "Active")], [("bgp-no-session", "blocker")]),
        ([session(ROUTER, "Idle"), session(NODE, "Connect")], [("bgp-no-session", "blocker")]),
        ([session(ROUTER), session(NODE, "Connect")], [("bgp-node-session-down", "blocker")]),
        ([session(ROUTER, None), session(NODE)], [("bgp-router-session-down", "warning")]),
        (
            [session(ROUTER, "Idle"), session(NODE), session("172.30.2.13", "Idle")],
            [("bgp-node-session-down", "blocker"), ("bgp-router-session-down", "warning")],
        ),
    ],
)
def test_what_is_said_of_a_node(sessions, identifiers):
    assert [(finding.id, finding.severity) for finding in found(*sessions)] == identifiers


def test_the_other_side_and_the_reason_are_named():
    (finding,) = found(session(ROUTER), session(NODE, "Active", "Socket: Connection refused"))
    assert finding.subject == "node n1"
    assert finding.evidence.startswith("The session with n2 is not Established: 172.30.2.12 nothing answers on the router's BGP port")
    assert finding.nodes == ("n1",)


def test_nodes_without_bird_say_nothing():
    lab = Lab()
    lab.nodes["n1"]["bgp_sessions"] = None
    assert list(session_findings(lab.cluster, lab.nodes)) == []


def test_the_gate_stops_and_the_plan_waits():
    lab = Lab().install_calico().move("n1")
    record = plan.plan_migration(lab.cluster, lab.nodes, lab.settings)
    assert not record["blocked"]
    lab.nodes["n1"]["bgp_sessions"] = [session(ROUTER, "Active")]
    assert [finding.id for finding in gate.gate_findings(lab.cluster, {"n1": lab.nodes["n1"]}, record, True)] == ["bgp-no-session"]
    again = plan.plan_migration(lab.cluster, lab.nodes, lab.settings)
    assert again["blocked"]
    assert again["may_pass"]


def test_flannel_is_not_removed_while_a_node_has_no_session():
    lab = moved_lab()
    lab.nodes["n3"]["bgp_sessions"] = [session(ROUTER, "Active")]
    assert [finding.id for finding in preflight.preflight(lab.situation)] == ["bgp-no-session"]


def test_the_way_back_needs_no_session():
    lab = moved_lab()
    for facts in lab.nodes.values():
        facts["bgp_sessions"] = [session(ROUTER, "Active")]
    record = rollback.plan_rollback(lab.cluster, lab.nodes, lab.settings)
    assert not record["blocked"]
    assert "bgp-no-session" not in [finding.id for finding in gate.gate_findings(lab.cluster, lab.nodes, record, True)]
