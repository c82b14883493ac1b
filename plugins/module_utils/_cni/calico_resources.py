# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of Calico's resources for both API groups. Pure: no input, no output.

C(projectcalico.org/v3) is the documented API, C(crd.projectcalico.org/v1) is Calico's own store, which every installation by manifest
has (projectcalico/calico:libcalico-go/lib/backend/k8s/discovery.go).
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_blocks import affinity_name

Object = dict[str, t.Any]
V1 = "crd.projectcalico.org/v1"
V3 = "projectcalico.org/v3"
MIGRATION_LABEL = "projectcalico.org/node-network-during-migration"
MIGRATION_VALUE = "flannel"
"""A node with this label keeps its empty blocks (projectcalico/calico:kube-controllers/pkg/controllers/node/ipam.go)."""
TUNNEL_ANNOTATION = "projectcalico.org/IPv4VXLANTunnelAddr"
"""Where calico-node writes the address of its VXLAN tunnel (projectcalico/calico:libcalico-go/lib/backend/k8s/resources/node.go)."""
PLURALS = {
    "BGPConfiguration": "bgpconfigurations",
    "BGPFilter": "bgpfilters",
    "BGPPeer": "bgppeers",
    "BlockAffinity": "blockaffinities",
    "CalicoNodeStatus": "caliconodestatuses",
    "FelixConfiguration": "felixconfigurations",
    "IPAMBlock": "ipamblocks",
    "IPAMConfig": "ipamconfigs",
    "IPAMConfiguration": "ipamconfigurations",
    "IPPool": "ippools",
    "IPReservation": "ipreservations",
}


class NotServed(Exception):
    """The cluster has no API of Calico; the text has the remedy."""


def api_of(served: t.Collection[str]) -> str:
    """The group for resources that people write.

    :raises NotServed: when the cluster serves neither.
    """
    for api in (V3, V1):
        if api in served:
            return api
    raise NotServed(
        f"the cluster serves neither {V3} nor {V1}: Calico's resource definitions are not installed. "
        "Install them first, with podnet.cni.calico_install and stage=crds"
    )


def store_of(served: t.Collection[str]) -> str:
    """The group for IPAM's own records: Calico's store, since an aggregated C(projectcalico.org/v3) does not let one create them.

    :raises NotServed: when the cluster serves neither.
    """
    return V1 if V1 in served else api_of(served)


def path_of(api: str, kind: str, name: str | None = None) -> str:
    """REST path of a resource, or of all of its kind."""
    collection = f"/apis/{api}/{PLURALS[kind]}"
    return f"{collection}/{name}" if name else collection


def document(api: str, kind: str, name: str, spec: t.Mapping[str, t.Any]) -> Object:
    """A cluster-scoped resource."""
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def ipam_config_kind(store: str) -> str:
    """The same settings have two names."""
    return "IPAMConfig" if store == V1 else "IPAMConfiguration"


def ipam_config_spec(strict_affinity: bool, max_blocks_per_host: int | None) -> Object:
    """IPAM settings; C(autoAllocateBlocks) is a required field that only knows one useful value."""
    spec: Object = {"strictAffinity": strict_affinity, "autoAllocateBlocks": True}
    if max_blocks_per_host is not None:
        spec["maxBlocksPerHost"] = max_blocks_per_host
    return spec


ENCAPSULATIONS: dict[str, str] = {"none": "Never", "vxlan_cross_subnet": "CrossSubnet", "vxlan": "Always"}
"""How packets between nodes are encapsulated, and what C(vxlanMode) of a pool says then (api/pkg/apis/projectcalico/v3/ippool.go)."""


def ip_pool_spec(cidr: str, block_size: int, nat_outgoing: bool, encapsulation: str = "none") -> Object:
    """A pool with one of the C(ENCAPSULATIONS)."""
    return {
        "cidr": cidr,
        "blockSize": block_size,
        "natOutgoing": nat_outgoing,
        "ipipMode": "Never",
        "vxlanMode": ENCAPSULATIONS[encapsulation],
        "nodeSelector": "all()",
    }


ABSENT: dict[str, t.Any] = {"natOutgoing": False}
"""What a field means that a resource does not have: C(projectcalico.org/v3) leaves out a plain false (api/pkg/apis/projectcalico/v3/ippool.go)."""


def bgp_configuration_spec(as_number: int, node_mesh: bool) -> Object:
    """The fields of the default BGPConfiguration that the migration decides."""
    return {"asNumber": as_number, "nodeToNodeMeshEnabled": node_mesh}


AWS_SOURCE_CHECKS = {"do_nothing": "DoNothing", "enable": "Enable", "disable": "Disable"}
"""What C(awsSrcDstCheck) of a FelixConfiguration says (api/pkg/apis/projectcalico/v3/felixconfig.go)."""
SOURCE_CHECK_FIELD = "awsSrcDstCheck"


def felix_spec(aws_source_check: str) -> Object:
    """The field of the default FelixConfiguration that the migration may decide."""
    return {SOURCE_CHECK_FIELD: AWS_SOURCE_CHECKS[aws_source_check]}


FLANNEL_DEVICES = "flannel.*"
"""Interfaces of Flannel's VXLAN backend, as a pattern of BIRD.

Their address is one of the pod network that a node's own packets to pods of other nodes come from. Announced, it would be a longer route than
Flannel's: one mistake of a router, and all of these packets have no way back, before a single pod has moved.
"""
_INTERFACE_PATTERN = re.compile(r"[a-zA-Z0-9_.*-]{1,15}")


def is_interface_pattern(text: str) -> bool:
    """Whether Calico takes it for an interface to ignore (projectcalico/calico:libcalico-go/lib/validator/v3/validator.go)."""
    return text != "*" and _INTERFACE_PATTERN.fullmatch(text) is not None


class AffinitySchema(t.NamedTuple):
    """How this version of Calico writes BlockAffinities."""

    has_type: bool
    deleted_is_boolean: bool


def affinity_definition(store: str) -> str:
    """Name of the CustomResourceDefinition that decides C(AffinitySchema)."""
    return f"{PLURALS['BlockAffinity']}.{store.split('/', 1)[0]}"


def affinity_schema(definition: t.Mapping[str, t.Any] | None) -> AffinitySchema:
    """Read the schema of the CustomResourceDefinition of BlockAffinities; without one, that of Calico up to v3.29."""
    for version in ((definition or {}).get("spec") or {}).get("versions") or []:
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        fields = ((schema.get("properties") or {}).get("spec") or {}).get("properties") or {}
        if fields:
            return AffinitySchema("type" in fields, (fields.get("deleted") or {}).get("type") == "boolean")
    return AffinitySchema(False, False)


def pending_affinity(store: str, node: str, cidr: str, schema: AffinitySchema) -> Object:
    """A block that only C(node) may claim, and will when it needs one.

    See getBlockFromAffinity in projectcalico/calico:libcalico-go/lib/ipam/ipam.go.
    """
    spec: Object = {"cidr": cidr, "node": node, "state": "pending", "deleted": False if schema.deleted_is_boolean else "false"}
    if schema.has_type:
        spec["type"] = "host"
    return document(store, "BlockAffinity", affinity_name(node, cidr), spec)
