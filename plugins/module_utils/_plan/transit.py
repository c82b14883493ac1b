# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where flanneld runs, which carries packets between pods that have moved and pods that have not. Pure: no input, no output."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import workloads

Facts = t.Mapping[str, t.Any]


def nodes_with_flanneld(cluster: Facts) -> set[str]:
    """Nodes with a Ready pod of Flannel's DaemonSet; none when it has no selector, which no served DaemonSet is without."""
    flannel = cluster.get("flannel")
    if not flannel:
        return set()
    daemonset = flannel["daemonset"]
    selector = {"matchLabels": daemonset.get("selector") or {}}
    return {
        str(pod.get("node"))
        for pod in cluster.get("pods") or []
        if pod.get("namespace") == daemonset["namespace"]
        and pod.get("ready")
        and selector["matchLabels"]
        and workloads.selector_matches(selector, pod.get("labels") or {})
    }
