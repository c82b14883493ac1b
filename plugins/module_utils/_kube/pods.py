# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Pod object says about itself. Pure."""

from __future__ import annotations

import typing as t

Pod = t.Mapping[str, t.Any]


def name_of(pod: Pod) -> str:
    """C(namespace/name)."""
    return f"{pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}"


def uid_of(pod: Pod) -> str:
    """The pod's uid; a pod of the same name made later has another one."""
    return str(pod["metadata"].get("uid", ""))


def owner_of(pod: Pod) -> tuple[str, str, str]:
    """Kind, name and uid of the controller that would create the pod again, empty when there is none."""
    for owner in pod["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            return owner["kind"], owner["name"], owner.get("uid", "")
    return "", "", ""


def is_mirror(pod: Pod) -> bool:
    """A static pod: kubelet's own, the API only shows it."""
    return "kubernetes.io/config.mirror" in (pod["metadata"].get("annotations") or {})


def is_finished(pod: Pod) -> bool:
    """It will not run again, and its address is free."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def is_terminating(pod: Pod) -> bool:
    """It was told to end."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_host_network(pod: Pod) -> bool:
    """It uses the node's network, so the CNI has no part in it."""
    return bool(pod.get("spec", {}).get("hostNetwork"))


def is_ready(pod: Pod) -> bool:
    """Its condition Ready is true."""
    return any(condition.get("type") == "Ready" and condition.get("status") == "True" for condition in pod.get("status", {}).get("conditions") or [])


def address_of(pod: Pod) -> str:
    """The pod's first address, empty as long as it has none."""
    return str(pod.get("status", {}).get("podIP") or "")


def addresses_of(pod: Pod) -> list[str]:
    """All addresses of the pod, of both families."""
    status = pod.get("status", {})
    found = [str(entry["ip"]) for entry in status.get("podIPs") or [] if entry.get("ip")]
    return found or ([address_of(pod)] if address_of(pod) else [])


def uses_empty_dir(pod: Pod) -> bool:
    """It has a volume whose content is lost with the pod."""
    return any("emptyDir" in volume for volume in pod.get("spec", {}).get("volumes") or [])


def uses_cni(pod: Pod) -> bool:
    """It runs and its network is the CNI's."""
    return not (is_host_network(pod) or is_finished(pod) or is_mirror(pod))


def path_of(pod: Pod) -> str:
    """The pod's path in the API."""
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
