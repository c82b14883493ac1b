# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about BGP peers before they are written to the cluster."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_bgp_peer_spec import parse_as_number, parse_peer_ip
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_selector import SelectorError, parse_selector
from ansible_collections.podnet.cni.plugins.module_utils._plan import reflectors
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Facts, Situation
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed, natural, node_subject

_PEER = "projectcalico/calico:api/pkg/apis/projectcalico/v3/bgppeer.go"
_PASSWORDS = "projectcalico/calico:confd/pkg/backends/calico/secret_watcher.go"
SECRETS_IN = "kube-system"
"""Where calico-node looks for passwords, unless somebody gives it NAMESPACE, which Calico's manifest does not."""
_UNKNOWN = {"has_key": "whether it has the password", "readable": "whether calico-node may read it"}


def given_peers(situation: Situation) -> list[Facts]:
    """The peers that the user asks for, and those that the cluster has besides, in the form of the user's."""
    given: list[Facts] = list(reflectors.peers(situation))
    names = {peer.get("name") for peer in given}
    existing = [
        {
            "name": peer["name"],
            "peer_ip": peer.get("peerIP"),
            "as_number": peer.get("asNumber"),
            "node": peer.get("node"),
            "node_selector": peer.get("nodeSelector"),
            "peer_selector": peer.get("peerSelector"),
            "num_allowed_local_as_numbers": peer.get("numAllowedLocalASNumbers"),
        }
        for peer in (situation.calico or {}).get("bgp_peers") or []
        if peer["name"] not in names
    ]
    return given + existing


def selected(peer: Facts, nodes: t.Iterable[Facts]) -> list[str]:
    """Names of the nodes that a peer is for.

    :raises SelectorError: when its selector cannot be read.
    """
    linux = [node for node in nodes if node.get("operating_system") in (None, "linux")]
    if peer.get("node"):
        return [node["name"] for node in linux if node["name"] == peer["node"]]
    if peer.get("node_selector"):
        matches = parse_selector(str(peer["node_selector"]))
        return [node["name"] for node in linux if matches(node.get("labels") or {})]
    return [node["name"] for node in linux]


def method(situation: Situation) -> t.Iterator[Finding]:
    """Another way of moving nodes and pods than the one that is there."""
    for setting, known in (("method", "side-by-side"), ("pod_move", "drain or replug")):
        value = getattr(situation.settings, setting)
        if value not in known.split(" or "):
            yield Finding(
                "setting-not-supported",
                BLOCKER,
                f"setting {setting}",
                f"It is '{value}'.",
                f"This version knows {known} only.",
                f"Use {known}.",
                "podnet.cni:docs/architecture.md",
            )


def none_given(situation: Situation) -> t.Iterator[Finding]:
    """BGP without anybody to speak with."""
    if situation.to_move and situation.mode.peers and not given_peers(situation):
        yield Finding(
            "bgp-peers-missing",
            BLOCKER,
            "podnet_bgp_peers",
            "It is empty, and the cluster has no BGPPeer.",
            "Routers learn by BGP which node has which block. Without a session no other node would reach pods that have moved.",
            "Give podnet_bgp_peers: a list of {name, peer_ip, as_number, node_selector}, one for each router. Nodes that reach each other without a "
            "router between them can do with podnet_route_reflectors: auto. Without such routers choose another podnet_calico_routing.",
            _PEER,
        )


def invalid(situation: Situation) -> t.Iterator[Finding]:
    """Values that Calico would refuse."""
    problems = []
    try:
        parse_as_number(situation.settings.as_number)
    except ValueError as exc:
        problems.append(("podnet_bgp_as_number", f"'{situation.settings.as_number}' {exc}."))
    zones = {situation.zone_of(node) for node in situation.cluster_nodes}
    for zone, number in situation.settings.zone_as_numbers.items():
        subject = "podnet_bgp_zone_as_numbers"
        if zone not in zones:
            problems.append((subject, f"No node is in zone '{zone}'; there are {listed(natural(zones - {''})) or 'no zones'}."))
        try:
            parse_as_number(number)
        except ValueError as exc:
            problems.append((subject, f"'{number}' of zone {zone} {exc}."))
    names: set[str] = set()
    for position, peer in enumerate(situation.settings.bgp_peers):
        subject = f"BGPPeer {peer.get('name') or f'number {position + 1} of podnet_bgp_peers'}"
        absent = [key for key in ("name", "peer_ip", "as_number") if peer.get(key) in (None, "")]
        if absent:
            problems.append((subject, f"{listed(absent)} {'is' if len(absent) == 1 else 'are'} missing."))
        if peer.get("name") in names:
            problems.append((subject, "Two peers have this name."))
        names.add(str(peer.get("name")))
        problems += [(subject, problem) for problem in _value_problems(peer)]
    for subject, evidence in problems:
        yield Finding(
            "bgp-peer-invalid",
            BLOCKER,
            subject,
            evidence,
            "Calico would not accept it, or would read it as something else.",
            "Correct it in podnet_bgp_peers, podnet_bgp_as_number or podnet_bgp_zone_as_numbers.",
            _PEER,
        )


def _value_problems(peer: Facts) -> t.Iterator[str]:
    if peer.get("as_number") not in (None, ""):
        try:
            parse_as_number(peer["as_number"])
        except ValueError as exc:
            yield f"as_number '{peer['as_number']}' {exc}."
    if peer.get("peer_ip"):
        try:
            parse_peer_ip(str(peer["peer_ip"]))
        except ValueError as exc:
            yield f"peer_ip '{peer['peer_ip']}' {exc}."
    password = peer.get("password")
    if password and not (isinstance(password, dict) and all(isinstance(password.get(key), str) and password[key] for key in ("name", "key"))):
        yield "password does not have the name and the key of a Secret."
    if peer.get("node") and peer.get("node_selector"):
        yield "node and node_selector exclude each other."
    if peer.get("node_selector"):
        try:
            parse_selector(str(peer["node_selector"]))
        except SelectorError as exc:
            yield f'node_selector "{peer["node_selector"]}": {exc}.'


def _selections(situation: Situation) -> t.Iterator[tuple[Facts, list[str]]]:
    """Peers that can be read, with the nodes that they are for."""
    for peer in given_peers(situation):
        try:
            yield peer, selected(peer, reflectors.labelled(situation))
        except SelectorError:
            continue


def passwords(situation: Situation) -> t.Iterator[Finding]:
    """Secrets with routers' passwords that are not there, that calico-node may not read, or of which neither is known."""
    wanted = _passwords(situation) if situation.changes_ways and situation.mode.peers else {}
    known = {(entry["name"], entry["key"]): entry for entry in situation.cluster.get("bgp_passwords") or []}
    for (name, key), peers in wanted.items():
        entry = known.get((name, key)) or {"problem": "nobody has asked for it"}
        subject = f"Secret {SECRETS_IN}/{name}"
        if entry.get("has_key") is False:
            there = f"There is one, without a value for the key {key}" if entry["present"] else "There is none"
            yield Finding(
                "bgp-password-missing",
                BLOCKER,
                subject,
                f"{there}. {listed(peers)} {'has' if len(peers) == 1 else 'have'} the password from its key {key}.",
                "BIRD would have no password, the router would refuse the session, and whoever relies on it would get no routes.",
                "Make it: `kubectl -n kube-system create secret generic NAME --from-file=KEY=FILE`, with the password and no line end in the file; "
                "or correct the password in podnet_bgp_peers.",
                _PASSWORDS,
            )
        if entry.get("readable") is False:
            yield Finding(
                "bgp-password-not-readable",
                BLOCKER,
                f"ServiceAccount {entry['account']}",
                f"It may not list and watch {subject}, from which {listed(peers)} {'has' if len(peers) == 1 else 'have'} the password.",
                "Calico's own role lets calico-node read no Secret. BIRD would have no password, and the session would never come up.",
                "Put the Secret's name into docs/examples/bgp-password.yml of this collection, a Role and a RoleBinding for this one Secret, and "
                "apply it.",
                _PASSWORDS,
            )
        if entry.get("has_key") is None or entry.get("readable") is None:
            unknown = [text for field, text in _UNKNOWN.items() if entry.get(field) is None]
            yield Finding(
                "bgp-password-unknown",
                WARNING,
                subject,
                f"Not known: {listed(unknown)}. The reason: {str(entry.get('problem') or 'the API server does not tell')[:150]}.",
                "Without the password, or without the right to read it, the session of this router never comes up, and the run would end while it "
                "waits for it.",
                "Look yourself, or let the user of the kubeconfig look: docs/examples/bgp-password.yml of this collection lets calico-node and "
                "podnet-migration read this one Secret, rbac.yml and rbac-plan.yml let the user ask what calico-node may do.",
                _PASSWORDS,
            )


def _passwords(situation: Situation) -> dict[tuple[str, str], list[str]]:
    """The peers that have their password from a key of a Secret."""
    found: dict[tuple[str, str], list[str]] = {}
    for peer in situation.settings.bgp_peers:
        password = peer.get("password")
        if isinstance(password, dict) and password.get("name") and password.get("key"):
            found.setdefault((str(password["name"]), str(password["key"])), []).append(f"BGPPeer {peer.get('name')}")
    return found


def matches_nothing(situation: Situation) -> t.Iterator[Finding]:
    """Peers that no node has."""
    for peer, names in _selections(situation):
        if not names:
            wanted = f"node {peer['node']}" if peer.get("node") else f'node_selector "{peer.get("node_selector")}"'
            labels = natural(
                {f"{key}={value}" for node in situation.cluster_nodes for key, value in (node.get("labels") or {}).items() if "zone" in key}
            )
            yield Finding(
                "bgp-peer-without-node",
                BLOCKER if peer.get("name") in {given.get("name") for given in situation.settings.bgp_peers} else WARNING,
                f"BGPPeer {peer.get('name')}",
                f"{wanted} matches none of {count(len(situation.cluster_nodes), 'node')}"
                + (f" (labels: {listed(labels, 6)})." if labels and not peer.get("node") else "."),
                "No session would ever come up, and whoever relies on this router gets no routes.",
                "Correct the selector, or label the nodes.",
                _PEER,
            )


def nodes_without(situation: Situation) -> t.Iterator[Finding]:
    """Nodes that would have no session."""
    if not situation.to_move or not situation.mode.peers or not given_peers(situation):
        return
    served = {name for dummy, names in _selections(situation) for name in names}
    alone = [node["name"] for node in situation.to_move if node["name"] not in served and node.get("operating_system") in (None, "linux")]
    if alone:
        zones = natural({situation.zone_of(node) or "no zone" for node in situation.cluster_nodes if node["name"] in alone})
        yield Finding(
            "bgp-node-without-peer",
            BLOCKER,
            node_subject(alone),
            f"None of {count(len(given_peers(situation)), 'BGPPeer')} selects {'it' if len(alone) == 1 else 'them'} (zone {listed(zones)}).",
            "The mesh of the nodes is off, so nobody would learn the routes to their pods, and they would learn none.",
            "Add a peer for these nodes to podnet_bgp_peers, or widen a node_selector.",
            _PEER,
            tuple(alone),
        )


def peer_is_a_node(situation: Situation) -> t.Iterator[Finding]:
    """A peer address that is a node's own, or one of a pod."""
    owners = {address: node["name"] for node in situation.cluster_nodes for address in node.get("internal_ips") or []}
    for peer in situation.settings.bgp_peers:
        try:
            address = parse_peer_ip(str(peer.get("peer_ip")))[0]
        except ValueError:
            continue
        network = situation.network
        inside = bool(network) and address.version == 4 and address in ipaddress.ip_network(str(network))
        if str(address) in owners or inside:
            what = f"the address of node {owners[str(address)]}" if str(address) in owners else f"inside the pod network {network}"
            yield Finding(
                "bgp-peer-address",
                WARNING if str(address) in owners else BLOCKER,
                f"BGPPeer {peer.get('name')}",
                f"peer_ip {address} is {what}.",
                "A peer is a router outside of the cluster, or a node that is meant to be a route reflector.",
                "Give the router's address on the nodes' subnet.",
                _PEER,
            )


def own_number_in_path(situation: Situation) -> t.Iterator[Finding]:
    """Nodes of one AS that hear of each other through a router of another AS, and drop what they hear."""
    if not situation.to_move or reflectors.chosen(situation):
        return
    numbers = {node["name"]: _number(reflectors.as_number_of(situation, node)) for node in situation.cluster_nodes}
    outside: dict[str, set[str]] = {}
    inside: set[str] = set()
    for peer, names in _selections(situation):
        number = _number(peer.get("as_number"))
        for name in names:
            if number is None or number == numbers[name] or peer.get("num_allowed_local_as_numbers") or peer.get("peer_selector"):
                inside.add(name)
            else:
                outside.setdefault(name, set()).add(str(peer.get("name")))
    deaf = natural(name for name in outside if name not in inside)
    alike = [name for name in deaf if any(numbers[other] == numbers[name] for other in numbers if other != name)]
    if alike:
        yield Finding(
            "bgp-own-as-in-path",
            WARNING,
            node_subject(alike),
            f"AS {listed(natural({str(numbers[name]) for name in alike}))} is that of other nodes too, and what brings the routes to their pods is "
            f"outside of it: {listed(natural({peer for name in alike for peer in outside[name]}))}.",
            "BIRD drops routes with its own AS in the path, and a router of another AS sends such routes, unless it takes the AS out (as-override).",
            "Give these peers num_allowed_local_as_numbers: 1, or give each zone its AS (podnet_bgp_zone_as_numbers), or let nodes of one AS hear of "
            "each other by podnet_route_reflectors. Leave it if the router overrides: the fabric is proved before the first pod moves.",
            "projectcalico/calico:confd/etc/calico/confd/templates/bird.cfg.template",
        )


def _number(value: t.Any) -> int | None:
    """An AS number, None for a value that is none."""
    try:
        return parse_as_number(value)
    except ValueError:
        return None


RULES = (method, none_given, invalid, passwords, matches_nothing, nodes_without, own_number_in_path, peer_is_a_node)
