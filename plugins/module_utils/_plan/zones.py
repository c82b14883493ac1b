# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which zone a node is, and in whose cloud. Pure: no input, no output."""

from __future__ import annotations

import typing as t

Facts = t.Mapping[str, t.Any]
LABELS = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone", "zone")
AWS = "aws"
_WITH_ZONE = 5
"""Parts of C(aws:///ZONE/INSTANCE); the zone may be left out (kubernetes/cloud-provider-aws:pkg/providers/v1/instances.go)."""


def cloud_of(node: Facts) -> str:
    """The cloud that a node is a machine of, by the beginning of its provider id; empty when it has none."""
    text = str(node.get("provider_id") or "")
    return text.split("://", 1)[0] if "://" in text else ""


def _told(node: Facts) -> str:
    """The zone by the node's labels, or on AWS by its provider id; empty when neither tells."""
    labels = node.get("labels") or {}
    label = next((labels[name] for name in LABELS if labels.get(name)), "")
    if label or cloud_of(node) != AWS:
        return str(label)
    parts = str(node["provider_id"]).split("/")
    return parts[3] if len(parts) >= _WITH_ZONE else ""


def zones_of(nodes: t.Sequence[Facts], subnets: t.Mapping[str, str]) -> dict[str, str]:
    """The zone of each node by its name, empty where nothing tells it.

    On AWS a subnet is in one zone. So a node that does not tell its zone is in that of the other nodes of its subnet, and when none of them tells
    it either, the subnet stands for the zone. Elsewhere a subnet may reach over several zones, and says nothing.
    """
    zones = {str(node["name"]): _told(node) for node in nodes}
    on_aws = [str(node["name"]) for node in nodes if cloud_of(node) == AWS]
    of_subnet = {subnets[name]: zones[name] for name in on_aws if name in subnets and zones[name]}
    silent = {name: of_subnet.get(subnets[name], subnets[name]) for name in on_aws if name in subnets and not zones[name]}
    return {**zones, **silent}
