# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a namespace holds anything that somebody would miss, of any kind that the cluster serves. Changes nothing."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._kube.access_rules import PROTECTED
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError, NotFound

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

__all__ = ["PROTECTED", "remaining_objects"]
_MADE_BY_CONTROLLERS = ("Event", "Endpoints", "EndpointSlice", "ControllerRevision", "PodMetrics")
_IN_EVERY_NAMESPACE = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
_OURS = ("app.kubernetes.io/part-of", "podnet.cni")
"""Label of the Role and its binding in docs/examples/rbac.yml, without which nobody could see that the namespace is empty but for them."""
_ENOUGH = 5


def _collections(kube: KubeClient) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """Path of each group's preferred version, and each kind in it that lives in namespaces and can be listed."""
    groups = [group["preferredVersion"]["groupVersion"] for group in kube.get("/apis").get("groups") or []]
    for path in ["/api/v1", *(f"/apis/{group}" for group in groups)]:
        for resource in kube.get(path).get("resources") or []:
            if resource.get("namespaced") and "list" in resource.get("verbs", []) and "/" not in resource["name"]:
                yield path, resource


def remaining_objects(kube: KubeClient, namespace: str, ignored_paths: t.Collection[str]) -> list[str]:
    """The first few objects of a namespace, as text, that were not made by the cluster itself and are not to be ignored.

    What cannot be read counts as something that remains.
    """
    remaining: list[str] = []
    try:
        for path, resource in _collections(kube):
            if resource["kind"] in _MADE_BY_CONTROLLERS:
                continue
            collection = f"{path}/namespaces/{namespace}/{resource['name']}"
            remaining += _first(kube, collection, resource["kind"], ignored_paths)
            if len(remaining) >= _ENOUGH:
                break
    except KubeError as exc:
        remaining.append(f"something that cannot be read ({exc})")
    return remaining[:_ENOUGH]


def _first(kube: KubeClient, collection: str, kind: str, ignored_paths: t.Collection[str]) -> list[str]:
    found = []
    try:
        for item in kube.list(collection):
            name = item["metadata"]["name"]
            if (kind, name) in _IN_EVERY_NAMESPACE or f"{collection}/{name}" in ignored_paths:
                continue
            if item.get("type") == "kubernetes.io/service-account-token":
                continue
            if kind in ("Role", "RoleBinding") and (item["metadata"].get("labels") or {}).get(_OURS[0]) == _OURS[1]:
                continue
            found.append(f"{kind} {name}")
            if len(found) >= _ENOUGH:
                break
    except NotFound:  # the kind is not served any more
        pass
    return found
