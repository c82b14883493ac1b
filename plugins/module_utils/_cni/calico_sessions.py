# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BGP sessions as CalicoNodeStatus and BIRD tell them, and what keeps one from being Established. Pure: no input, no output."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_bgp_peer_spec import parse_peer_ip
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_selector import parse_selector

Object = t.Mapping[str, t.Any]
ESTABLISHED = "Established"
_ADDRESS_ANNOTATIONS = ("projectcalico.org/IPv4Address", "projectcalico.org/IPv6Address")
_TYPES = {"Global": "GlobalPeer", "Mesh": "NodeMesh", "Node": "NodePeer"}
_SUMMARY = re.compile(r"^(?P<name>\S+)\s+BGP\s+(?P<table>\S+)\s+(?P<state>\S+)\s+(?P<since>\S+(?:\s+[0-9:.]+)?)(?:\s+(?P<info>\S.*))?$")
_DETAIL = re.compile(r"^\s+(BGP state|Neighbor address|Neighbor AS|Last error):\s+(.*?)\s*$")
_REASONS = (
    # part of BIRD's last error, what it means, what to do
    ("received: bad peer as", "the router refuses the AS number of the node", "compare the node's AS number with the router's configuration"),
    ("bad peer as", "the router has another AS number than the peer says", "correct as_number of the peer, or the router"),
    ("connection refused", "nothing answers on the router's BGP port", "configure this node as a neighbour, and allow TCP port 179"),
    ("connection closed", "the router closed the connection", "configure this node as a neighbour of the router"),
    ("no route to host", "the router's address cannot be reached", "check peer_ip and the node's link and routes"),
    ("network is unreachable", "the node has no route to the router", "check peer_ip, or set reachable_by"),
    ("timed out", "the router does not answer", "check peer_ip, filters on TCP port 179, and the password on both sides"),
    ("hold timer expired", "the router stopped answering", "check the path to the router and its load"),
    ("administrative", "the session is shut down on the router", "enable it there"),
    ("bad bgp identifier", "two speakers have the same router id", "give each speaker its own"),
    ("invalid next hop", "the other side is not directly connected", "use the address in the node's subnet, or multihop on the router"),
    ("connection rejected", "the router rejects the session", "configure this node as a neighbour of the router"),
    ("collision", "two connections met; one of them should stay", "wait"),
)
_STATES = {
    "Idle": "BIRD does not try at the moment: an error has just stopped the session, or there is no way to the router",
    "Connect": "TCP to the router is not established yet: no answer so far",
    "Active": "waiting for the router: an attempt to connect has failed or it is the router's turn",
    "OpenSent": "TCP works, but the router has not answered with an OPEN message",
    "OpenConfirm": "the router's OPEN was accepted, its KEEPALIVE is missing",
    "Close": "the session is being closed",
}


class Session(t.TypedDict):
    """One BGP session of a node."""

    node: str
    peer: str
    type: str | None
    state: str | None
    info: str | None
    since: str | None
    why: str | None


def explain(state: str | None, last_error: str | None) -> str | None:
    """In plain words what keeps a session from being Established."""
    if state == ESTABLISHED:
        return None
    for part, meaning, remedy in _REASONS:
        if last_error and part in last_error.lower():
            return f"{meaning} (BIRD: {last_error}); {remedy}"
    if last_error:
        return f"BIRD: {last_error}"
    return _STATES.get(state or "", "BIRD has no such session yet: calico-node has not read the peer, or the peer does not select the node")


def sessions_of_status(status: Object) -> list[Session]:
    """The sessions in a CalicoNodeStatus (projectcalico/calico:node/pkg/status/populators/peers.go); it has no error texts."""
    bgp = (status.get("status") or {}).get("bgp") or {}
    return [
        Session(
            node=status["spec"]["node"],
            peer=str(peer.get("peerIP")),
            type=peer.get("type"),
            state=peer.get("state") or None,
            info=None,
            since=peer.get("since"),
            why=explain(peer.get("state") or None, None),
        )
        for peer in (bgp.get("peersV4") or []) + (bgp.get("peersV6") or [])
    ]


def parse_birdcl(text: str, node: str) -> list[Session]:
    """The sessions in the output of C(birdcl show protocols all), of BIRD 1 or 2."""
    sessions: list[Session] = []
    current: Session | None = None
    for line in text.splitlines():
        summary = _SUMMARY.match(line)
        if summary:
            kind, dummy, address = summary.group("name").partition("_")
            info = (summary.group("info") or "").split(None, 1)
            current = Session(
                node=node,
                peer=address.replace("_", "."),
                type=_TYPES.get(kind),
                state=info[0] if info else None,
                info=info[1].strip() if len(info) > 1 else None,
                since=summary.group("since"),
                why=None,
            )
            sessions.append(current)
        elif line and not line[0].isspace():
            current = None
        detail = _DETAIL.match(line)
        if current is None or detail is None:
            continue
        if detail.group(1) == "BGP state":
            current["state"] = detail.group(2)
        elif detail.group(1) == "Neighbor address":
            current["peer"] = detail.group(2).split("%")[0]
        elif detail.group(1) == "Last error":
            current["info"] = detail.group(2)
    for session in sessions:
        session["why"] = explain(session["state"], session["info"])
    return sessions


class Expected(t.NamedTuple):
    """A session that a BGPPeer asks for."""

    node: str
    peer: str


def _labels(node: Object) -> t.Mapping[str, str]:
    return node["metadata"].get("labels") or {}


def node_addresses(node: Object) -> list[str]:
    """The addresses that calico-node of a node peers from."""
    annotations = node["metadata"].get("annotations") or {}
    own = [annotations[name].split("/")[0] for name in _ADDRESS_ANNOTATIONS if annotations.get(name)]
    if own:
        return own
    return [entry["address"] for entry in (node.get("status") or {}).get("addresses") or [] if entry["type"] == "InternalIP"]


def selected_nodes(spec: Object, nodes: t.Iterable[Object]) -> list[Object]:
    """The Nodes that a BGPPeer is for. Calico's BGP runs on Linux only."""
    linux = [node for node in nodes if _labels(node).get("kubernetes.io/os", "linux") == "linux"]
    if spec.get("node"):
        return [node for node in linux if node["metadata"]["name"] == spec["node"]]
    if spec.get("nodeSelector"):
        matches = parse_selector(spec["nodeSelector"])
        return [node for node in linux if matches(_labels(node))]
    return linux


def expected_sessions(spec: Object, nodes: t.Sequence[Object]) -> list[Expected]:
    """Every session that a BGPPeer asks for on the Nodes that it selects.

    A node does not peer with itself. Peerings with workloads (C(localWorkloadSelector)) come and go with pods and are not told here.
    """
    expected: list[Expected] = []
    for node in selected_nodes(spec, nodes):
        own = node_addresses(node)
        if spec.get("peerIP"):
            peers = [str(parse_peer_ip(spec["peerIP"])[0])]
        elif spec.get("peerSelector"):
            matches = parse_selector(spec["peerSelector"])
            families = {ipaddress.ip_address(address).version for address in own}
            peers = [
                address
                for other in nodes
                if matches(_labels(other))
                for address in node_addresses(other)
                if ipaddress.ip_address(address).version in families
            ]
        else:
            peers = []
        expected += [Expected(node["metadata"]["name"], peer) for peer in peers if peer not in own]
    return expected


def missing_sessions(expected: t.Iterable[Expected], sessions: t.Iterable[Session]) -> list[Session]:
    """The expected sessions that are not Established, each as far as it is known."""
    by_key = {(session["node"], session["peer"]): session for session in sessions}
    missing: list[Session] = []
    for wanted in expected:
        session = by_key.get((wanted.node, wanted.peer))
        if session is None:
            unknown = Session(node=wanted.node, peer=wanted.peer, type=None, state=None, info=None, since=None, why=explain(None, None))
            missing.append(unknown)
        elif session["state"] != ESTABLISHED:
            missing.append(session)
    return missing
