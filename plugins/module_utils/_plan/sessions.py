# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes say about their own BGP sessions: none is left without one. Pure: no input, no output."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_sessions import ESTABLISHED, explain
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import listed, natural, node_subject

Facts = t.Mapping[str, t.Any]
_SOURCE = "projectcalico/calico:confd/etc/calico/confd/templates/bird.cfg.template"
_MOST = 4


def session_findings(cluster: Facts, nodes: t.Mapping[str, Facts]) -> t.Iterator[Finding]:
    """Sessions that are not Established on nodes whose BIRD answers; a node without BIRD says nothing."""
    owners = {address: node["name"] for node in cluster.get("nodes") or [] for address in node.get("internal_ips") or []}
    for name in natural(nodes):
        sessions = nodes[name].get("bgp_sessions") or []
        down = [session for session in sessions if session.get("state") != ESTABLISHED]
        if sessions and len(down) == len(sessions):
            yield _none(name, down)
            continue
        yield from _of_node(name, [session for session in down if session["peer"] in owners], owners)
        yield from _of_router(name, [session for session in down if session["peer"] not in owners])


def _none(name: str, down: t.Sequence[Facts]) -> Finding:
    """A node without a session."""
    return Finding(
        "bgp-no-session",
        BLOCKER,
        node_subject([name]),
        f"None of its BGP sessions is Established: {_told(down)}.",
        "It neither announces the blocks of its pods nor learns the way to others'; what it has learned goes when the time for a restart is over.",
        "Check the other side of these sessions and TCP port 179 both ways; `birdcl show protocols all` in calico-node shows the last error.",
        _SOURCE,
        (name,),
    )


def _of_node(name: str, down: t.Sequence[Facts], owners: t.Mapping[str, str]) -> t.Iterator[Finding]:
    """Sessions with other nodes, such as route reflectors."""
    if down:
        yield Finding(
            "bgp-node-session-down",
            BLOCKER,
            node_subject([name]),
            f"The session with {listed((owners[session['peer']] for session in down), _MOST)} is not Established: {_told(down)}.",
            "One of the two is a route reflector, or they are in a mesh: routes between them are missing, or hang on what is left.",
            "Check calico-node on both nodes and TCP port 179 between them; `birdcl show protocols all` in calico-node shows the last error.",
            _SOURCE,
            (name,),
        )


def _of_router(name: str, down: t.Sequence[Facts]) -> t.Iterator[Finding]:
    """Sessions with routers, while others are Established."""
    if down:
        yield Finding(
            "bgp-router-session-down",
            WARNING,
            node_subject([name]),
            f"{_told(down)}. Its other sessions are Established.",
            "The node hangs on what is left: when that goes too, its pods are cut off.",
            "Check the router's configuration for this node; `birdcl show protocols all` in calico-node shows the last error.",
            _SOURCE,
        )


def _told(down: t.Sequence[Facts]) -> str:
    texts = (f"{session['peer']} {session.get('why') or explain(session.get('state'), session.get('info'))}" for session in down)
    return listed(texts, _MOST)
