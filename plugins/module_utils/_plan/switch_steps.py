# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a switch between two modes in words. Pure: no input, no output."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_resources import ENCAPSULATIONS
from ansible_collections.podnet.cni.plugins.module_utils._plan.steps import Step, step
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed

Record = t.Mapping[str, t.Any]


def cluster_steps(plan: Record) -> list[Step]:
    """What happens, in order; C(cuts) says that something is removed."""
    return [*_sessions(plan), *_middle(plan), *_end(plan)]


def _sessions(plan: Record) -> list[Step]:
    """What is made beside what is there."""
    steps = []
    if plan["start_bird"]:
        steps.append(step("bird", "Restart calico-node on one node after the other, with BIRD; the routes stay Felix's"))
    made = [count(len(plan["bgp_peers"]), "BGPPeer")] if plan["bgp_peers"] else []
    made += ["the mesh of the nodes"] if plan["bgp"]["node_mesh"] and not plan["bgp_before"]["node_mesh"] else []
    if made and plan["keeps"] in ("new", "same"):
        steps.append(step("sessions", f"Add {listed(made)}, wait until all sessions are Established; nothing else changes"))
    return steps


def _flip(plan: Record) -> Step:
    modes = f"{ENCAPSULATIONS[plan['pool_before']['encapsulation']]} to {ENCAPSULATIONS[plan['pool']['encapsulation']]}"
    return step("flip", f"Change vxlanMode of IPPool {plan['pool']['name']} from {modes}; wait until every node has all routes of the new mode")


def _middle(plan: Record) -> list[Step]:
    batches = count(len(plan["batches"]), "batch", "batches")
    free = ", let no connection depend on its interface" if plan["keeps"] != "same" else ""
    keep = step(
        "keep", f"On every node, copy the present ways into a table of its own that comes first{free}; a timer takes that away if nobody does"
    )
    give = step("give", "Take the tables away: Calico's own routes lead all packets")
    if plan["keeps"] == "old":
        prove = step("prove", "Prove the new way between free addresses of all nodes; else go back")
        split = step("split", f"Let new connections take the new way, node by node in {batches}, with a gate after each")
        return [keep, _flip(plan), prove, split, give]
    if plan["keeps"] == "new":
        before = [step("prove", "Prove the new way between free addresses of all nodes, by a table of their own")] if plan["prove_before"] else []
        split = step("split", f"Let new connections go natively, node by node in {batches}, with a gate after each; then all of them")
        drain = step("drain", "Let connections of the nodes' own programs from the tunnel's address end, at most podnet_drain_seconds", True)
        return [*before, keep, split, drain, _flip(plan), give]
    if plan["keeps"] == "same":
        return [keep, step("leave", f"Remove {_left(plan)}; wait until every node has all routes again", True), give]
    if plan["keeps"] == "left":
        return [step("settle", "Wait until every node has all routes of the mode"), give]
    return []


def _left(plan: Record) -> str:
    parts = [count(len(plan["peers_leaving"]), "BGPPeer")] if plan["peers_leaving"] else []
    parts += ["the mesh of the nodes"] if plan["bgp_before"]["node_mesh"] and not plan["bgp"]["node_mesh"] else []
    return listed(parts) or "nothing"


def _end(plan: Record) -> list[Step]:
    steps = []
    if plan["keeps"] != "same" and _left(plan) != "nothing":
        steps.append(step("leave", f"Remove {_left(plan)}, which nothing needs any more", True))
    if plan["stop_bird"]:
        steps.append(step("no-bird", "Restart calico-node on one node after the other, without BIRD"))
    return steps
