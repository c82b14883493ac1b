# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The condition C(NetworkUnavailable) of nodes, which whichever CNI wrote it last answers for.

While it is true the node has the taint C(node.kubernetes.io/network-unavailable). calico-node makes it true when it ends, for good
(projectcalico/calico:node/pkg/lifecycle/shutdown/shutdown.go); flanneld makes it false when it starts, and not again
(flannel-io/flannel:pkg/subnet/kube/kube.go).
"""

from __future__ import annotations

import typing as t

Object = t.Mapping[str, t.Any]
_TYPE = "NetworkUnavailable"
_REASONS_OF_CALICO = ("CalicoIsDown", "CalicoIsUp")


def is_calicos(node: Object) -> bool:
    """Whether calico-node wrote it last."""
    conditions = node.get("status", {}).get("conditions") or []
    return any(entry.get("type") == _TYPE and entry.get("reason") in _REASONS_OF_CALICO for entry in conditions)


def by_flannel(now: str) -> dict[str, t.Any]:
    """The strategic merge patch of a node's status that flanneld sends; C(now) as in RFC 3339."""
    condition = {
        "type": _TYPE,
        "status": "False",
        "reason": "FlannelIsUp",
        "message": "Flannel is running on this node",
        "lastTransitionTime": now,
        "lastHeartbeatTime": now,
    }
    return {"status": {"conditions": [condition]}}
