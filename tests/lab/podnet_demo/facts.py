# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo ran on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import typing as t

import yaml
from podnet_lab.lab import Lab
from podnet_lab.parts import all_parts
from tooling.places import ROOT

Record = dict[str, t.Any]
TITLES = {
    "kubernetes": "Kubernetes",
    "etcd": "etcd",
    "containerd": "containerd",
    "flannel": "Flannel",
    "calico": "Calico",
    "coredns": "CoreDNS",
}


def describe_lab(lab: Lab) -> Record:
    """Nodes, zones and how Flannel was set up."""
    topology = lab.topology
    backend = str(topology.flannel.backend.get("Type"))
    return {
        "name": lab.name,
        "nodes": [node.name for node in lab.nodes],
        "zones": [zone.name for zone in topology.zones],
        "zone_of_node": {node.name: node.zone for node in lab.nodes},
        "pod_cidr": topology.pod_cidr,
        "mtu": topology.mtu,
        "flannel_backend": topology.flannel.backend,
        "description": (
            f"etcd, kube-apiserver, controller-manager, scheduler, kubelet, kube-proxy, containerd, flanneld ({backend}), calico-node,"
            f" CoreDNS and a BIRD router. {len(lab.nodes)} nodes in {len(topology.zones)} subnets behind the router, all on one machine"
            f" with {os.cpu_count()} cores; Ansible reaches them over SSH."
        ),
    }


def versions() -> Record:
    """Versions of everything that matters."""
    parts = {TITLES[name]: part.version for name, part in all_parts().items() if name in TITLES}
    collection = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    return {
        **parts,
        "podnet.cni": str(collection),
        "ansible-core": importlib.metadata.version("ansible-core"),
        "Python": platform.python_version(),
        "Linux": platform.release(),
    }
