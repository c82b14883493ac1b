# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Calico reads from a Node about its BGP speaker: AS number, and whether it is a route reflector. Pure: no input, no output.

With the Kubernetes datastore both are annotations (projectcalico/calico:libcalico-go/lib/backend/k8s/resources/node.go). Nodes are selected by
labels, so a route reflector gets one as well (projectcalico/calico:confd/pkg/backends/calico/client.go).
"""

from __future__ import annotations

import ipaddress
import typing as t

Object = t.Mapping[str, t.Any]
AS_NUMBER = "projectcalico.org/ASNumber"
CLUSTER_ID = "projectcalico.org/RouteReflectorClusterID"
REFLECTOR_LABEL = "podnet.cni/route-reflector"
REFLECTOR_VALUE = "true"
REFLECTORS = f"has({REFLECTOR_LABEL})"
"""Selector of the route reflectors."""
PEER = "podnet-route-reflectors"
"""Name of the BGPPeer by which every node peers with every route reflector. The other side of each session is made by Calico."""
SHARED_CLUSTER_ID = "244.0.0.1"
"""The cluster id of all route reflectors, an address that nobody can have (class E). With one id for all of them, they take each other for plain
neighbours, and no route comes back to where it was reflected (projectcalico/calico:confd/etc/calico/confd/templates/bird.cfg.template)."""


def cluster_id_problem(text: str) -> str | None:
    """Why a value cannot be a cluster id, None when it can: Calico ignores anything but an IPv4 address."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return "is not an IPv4 address, which a cluster id looks like"
    return None


def wanted_metadata(as_number: int | None, cluster_id: str | None) -> dict[str, dict[str, str]]:
    """Annotations and labels of a Node with these settings; what is None is not among them."""
    annotations = {} if as_number is None else {AS_NUMBER: str(as_number)}
    if cluster_id is None:
        return {"annotations": annotations, "labels": {}}
    return {"annotations": {**annotations, CLUSTER_ID: cluster_id}, "labels": {REFLECTOR_LABEL: REFLECTOR_VALUE}}


def present_metadata(node: Object) -> dict[str, dict[str, str]]:
    """What a Node has of it now."""
    metadata = node["metadata"]
    return {
        "annotations": {key: value for key, value in (metadata.get("annotations") or {}).items() if key in (AS_NUMBER, CLUSTER_ID)},
        "labels": {key: value for key, value in (metadata.get("labels") or {}).items() if key == REFLECTOR_LABEL},
    }
