# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about route reflectors among the nodes: can those that are wanted be had, and would every node know the way to all pods."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_bgp_node import CLUSTER_ID
from ansible_collections.podnet.cni.plugins.module_utils._plan import reflectors
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Situation
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed, natural, node_subject, per_node

_TEMPLATE = "projectcalico/calico:confd/etc/calico/confd/templates/bird.cfg.template"
_NODE = "projectcalico/calico:libcalico-go/lib/backend/k8s/resources/node.go"
_SETTING = "podnet_route_reflectors"
_MOST = 4


def other_routing(situation: Situation) -> t.Iterator[Finding]:
    """Route reflectors where nodes do not peer with anybody that is chosen."""
    if reflectors.is_wanted(situation) and situation.to_move and situation.settings.routing != "bgp":
        yield Finding(
            "reflectors-need-bgp",
            BLOCKER,
            _SETTING,
            f"It is set, and the way of routing is {situation.settings.routing}.",
            "Reflectors take the place of other BGP sessions: a mesh would stay beside them, and a tunnel needs none.",
            "Use bgp, which needs no router when all nodes are in one subnet and there are reflectors; or set podnet_route_reflectors: off.",
            _TEMPLATE,
        )


def unusable(situation: Situation) -> t.Iterator[Finding]:
    """Names that are no node, and nodes that cannot reflect."""
    setting = situation.settings.route_reflectors
    if isinstance(setting, str) or not situation.to_move:
        return
    by_name = {node["name"]: node for node in situation.cluster_nodes}
    problems = [f"{name} is no node of the cluster" for name in setting if name not in by_name]
    problems += [f"{name} is named twice" for name in dict.fromkeys(setting) if setting.count(name) > 1]
    for name in dict.fromkeys(setting):
        if name in by_name and not reflectors.is_usable(by_name[name]):
            problems.append(f"{name} {'is not Ready' if not by_name[name].get('ready') else 'does not run Linux'}")
    if problems:
        yield Finding(
            "reflectors-unusable",
            BLOCKER,
            _SETTING,
            f"{listed(problems)}.",
            "A route reflector is a Ready Linux node of the cluster; what is wrong with one is better known before all others rely on it.",
            "Name other nodes, or give auto, which chooses among those that can.",
            _NODE,
        )


def too_few(situation: Situation) -> t.Iterator[Finding]:
    """Fewer than two route reflectors."""
    if not reflectors.is_wanted(situation) or not situation.to_move:
        return
    names = reflectors.chosen(situation)
    if len(names) < reflectors.LEAST:
        usable = [node["name"] for node in situation.cluster_nodes if reflectors.is_usable(node)]
        yield Finding(
            "reflectors-too-few",
            BLOCKER,
            _SETTING,
            f"{count(len(names), 'route reflector')}{f' ({names[0]})' if names else ''}, of {count(len(usable), 'node')} that can be one.",
            "With the only one all nodes would lose their sessions, and after that the routes to all pods.",
            "Name two nodes or more, in zones of their own if there are several. When nodes are not Ready, repair them first. With one usable node "
            "only, peer with routers instead.",
            _TEMPLATE,
        )


def one_zone(situation: Situation) -> t.Iterator[Finding]:
    """All route reflectors in one zone of several."""
    names = reflectors.chosen(situation)
    zones = {situation.zone_of(node) for node in situation.cluster_nodes} - {""}
    taken = {situation.zone_of(node) for node in situation.cluster_nodes if node["name"] in names}
    if situation.to_move and len(names) >= reflectors.LEAST and len(zones) > 1 and len(taken) == 1:
        yield Finding(
            "reflectors-one-zone",
            WARNING,
            node_subject(names),
            f"All route reflectors are in zone {listed(taken) or 'none'}, and the nodes in {count(len(zones), 'zone')}.",
            "When this zone is cut off, the nodes of all others lose their sessions.",
            "Name nodes of several zones, or give auto, which takes one of each zone that has a Ready node.",
            _TEMPLATE,
        )


def need_routers(situation: Situation) -> t.Iterator[Finding]:
    """Routers between nodes that would never hear of pods."""
    if not situation.to_move or not reflectors.chosen(situation) or situation.settings.bgp_peers:
        return
    pairs = reflectors.behind_routers(situation)
    others = [peer for peer in (situation.calico or {}).get("bgp_peers") or [] if peer.get("peerIP")]
    if pairs and not others:
        shown = (f"{name} reaches {other} by {router}" for name, other, router in pairs)
        yield Finding(
            "reflectors-need-routers",
            BLOCKER,
            node_subject([name for name, dummy, dummy2 in pairs]),
            f"{listed(shown, _MOST)}, and podnet_bgp_peers names no router.",
            "Reflectors tell routes and carry no packets: a packet to a pod goes to the router between the nodes, which has to know the pod's node.",
            "Give the routers in podnet_bgp_peers; without a node_selector they peer with the reflectors only. Or keep the reflectors for a cluster "
            "whose nodes are in one subnet.",
            "podnet.cni:docs/migrate_to_calico.md",
            tuple(name for name, dummy, dummy2 in pairs),
        )


def several_as_numbers(situation: Situation) -> t.Iterator[Finding]:
    """Nodes of another AS than the route reflectors."""
    names = reflectors.chosen(situation)
    numbers = {node["name"]: str(reflectors.as_number_of(situation, node)) for node in situation.cluster_nodes}
    if situation.to_move and names and len(set(numbers.values())) > 1:
        yield Finding(
            "reflectors-several-as",
            BLOCKER,
            _SETTING,
            f"The nodes have {count(len(set(numbers.values())), 'AS number')}: {per_node(numbers)}.",
            "Only routes inside of one AS are reflected; between two of them BIRD puts itself in as the next hop.",
            "Leave podnet_bgp_zone_as_numbers empty, and remove the annotation projectcalico.org/ASNumber from nodes; or set "
            "podnet_route_reflectors: off and peer with the routers of each zone.",
            _TEMPLATE,
        )


def changed(situation: Situation) -> t.Iterator[Finding]:
    """Route reflectors that an earlier run has made, and that are none of those wanted now."""
    if not situation.to_move:
        return
    there, wanted = reflectors.existing(situation), reflectors.chosen(situation)
    gone = [name for name in there if name not in wanted]
    if gone:
        yield Finding(
            "reflectors-changed",
            BLOCKER,
            node_subject(gone),
            f"An earlier run has made {count(len(gone), 'route reflector')} that podnet_route_reflectors leaves out ({listed(wanted) or 'off'}).",
            "All nodes have sessions with it, and pods that have moved are reached by what it reflects, so it stays in the middle of a migration.",
            f"Give podnet_route_reflectors: [{listed(natural({*there, *wanted}), 99)}]. If a node cannot be one any more, bring the moved nodes back "
            "first: rollback_to_flannel takes the reflectors away together with Calico.",
            _TEMPLATE,
        )


def foreign(situation: Situation) -> t.Iterator[Finding]:
    """Route reflectors of somebody else."""
    ids = reflectors.foreign(situation)
    if situation.to_move and reflectors.is_wanted(situation) and ids:
        yield Finding(
            "reflectors-foreign",
            BLOCKER,
            node_subject(ids),
            f"The annotation {CLUSTER_ID} is there, set by somebody else ({per_node(ids)}).",
            "Two sets of route reflectors with their own selectors and cluster ids would reflect to each other in a way that nobody has planned.",
            "Set podnet_route_reflectors: off to use those that are there, with the BGPPeers that they have; or remove their annotation and these "
            "BGPPeers.",
            _NODE,
        )


RULES = (other_routing, unusable, too_few, one_zone, need_routers, several_as_numbers, changed, foreign)
