# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node still lacks of a mode, so that nothing is taken away before. Pure: no input, no output."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_fabric import TUNNEL
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_resources import ENCAPSULATIONS
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_sessions import ESTABLISHED, explain
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER
from ansible_collections.podnet.cni.plugins.module_utils._plan.modes import MODES, Mode
from ansible_collections.podnet.cni.plugins.module_utils._plan.routing import missing_block_routes, routing_findings
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import listed, natural

Facts = t.Mapping[str, t.Any]


def missing(cluster: Facts, name: str, facts: Facts, mode: str, stage: str) -> list[str]:
    """Sentences, empty when nothing is missing.

    C(sessions) asks for BGP only: every session of the mode, while the routes may be those of another mode. C(routes) asks for everything: a route to
    every block of other nodes by who makes routes in this mode, and what the tunnel needs to reach each of them.

    :raises ValueError: for a mode or a stage that does not exist.
    """
    if mode not in MODES or stage not in ("sessions", "routes"):
        raise ValueError(f"mode: '{mode}' or stage: '{stage}' does not exist; use one of {', '.join(MODES)} and sessions or routes")
    wanted = MODES[mode]
    found = [finding.evidence for finding in routing_findings(cluster, {name: facts})]
    found += list(_sessions(cluster, name, facts, wanted)) if not wanted.tunnel else []
    if stage == "routes":
        found += [finding.evidence for finding in missing_block_routes(_as_mode(cluster, wanted), {name: facts}, BLOCKER)]
        found += list(_tunnel(cluster, name, facts)) if wanted.tunnel else []
    return [f"{name}: {text}" for text in found]


def _as_mode(cluster: Facts, mode: Mode) -> Facts:
    """The cluster with its pools as the mode has them: facts may have been read before the change."""
    calico = cluster.get("calico") or {}
    pools = [{**pool, "vxlanMode": ENCAPSULATIONS[mode.encapsulation]} for pool in calico.get("pools") or []]
    return {**cluster, "calico": {**calico, "pools": pools}}


def _others(cluster: Facts, name: str) -> dict[str, str]:
    """Addresses of the other nodes that have blocks."""
    owners = {block.get("node") for block in (cluster.get("calico") or {}).get("blocks") or []}
    return {
        str(node["internal_ip"]): node["name"]
        for node in cluster.get("nodes") or []
        if node["name"] != name and node["name"] in owners and node.get("internal_ip")
    }


def _sessions(cluster: Facts, name: str, facts: Facts, mode: Mode) -> t.Iterator[str]:
    sessions = facts.get("bgp_sessions")
    if not sessions:
        yield "BIRD has no session." if sessions is not None else "BIRD does not answer."
        return
    down = [
        f"{session['peer']} {session.get('why') or explain(session.get('state'), None)}"
        for session in sessions
        if session.get("state") != ESTABLISHED
    ]
    if down:
        yield f"Sessions that are not Established: {listed(down, 4)}."
    if mode.node_mesh:
        peers = {session["peer"] for session in sessions}
        absent = [node for address, node in _others(cluster, name).items() if address not in peers]
        if absent:
            yield f"No session with {listed(natural(absent), 4)}."


def _tunnel(cluster: Facts, name: str, facts: Facts) -> t.Iterator[str]:
    """Nodes that the tunnel does not know. Felix tells it of all, those too that are reached natively (felix/dataplane/linux/vxlan_mgr.go)."""
    device = next((device for device in facts.get("vxlan") or [] if device["name"] == TUNNEL), None)
    if device is None:
        yield f"There is no {TUNNEL}."
        return
    known = {entry["destination"] for entry in facts.get("fdb") or [] if entry["device"] == TUNNEL}
    absent = [node for address, node in _others(cluster, name).items() if address not in known]
    if absent:
        yield f"{TUNNEL} does not know {listed(natural(absent), 4)}."
