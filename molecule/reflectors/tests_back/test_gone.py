# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of the route reflectors is left once Calico is gone."""

from __future__ import annotations

from podnet_lab.cluster_api import ClusterApi
from podnet_lab.lab import Lab


def test_no_node_has_labels_or_annotations_of_calico(lab: Lab, api: ClusterApi) -> None:
    nodes = api.items("/api/v1/nodes")
    keys = [key for node in nodes for part in ("labels", "annotations") for key in node["metadata"][part]]
    assert len(nodes) == len(lab.nodes)
    assert [key for key in keys if key.startswith(("projectcalico.org/", "podnet.cni/"))] == []


def test_calico_is_gone(api: ClusterApi) -> None:
    assert "crd.projectcalico.org" not in [group["name"] for group in api.get("/apis")["groups"]]


def test_flannel_runs_on_every_node(lab: Lab, api: ClusterApi) -> None:
    (daemonset,) = [item for item in api.items("/apis/apps/v1/daemonsets") if "flannel" in item["metadata"]["name"]]
    assert daemonset["status"]["numberReady"] == len(lab.nodes)
