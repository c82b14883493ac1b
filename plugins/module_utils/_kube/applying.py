# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply a list of objects so that only a real difference counts as a change."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

Object = dict[str, t.Any]
_WRITTEN_BY_SERVER = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


def meaningful(item: t.Mapping[str, t.Any] | None) -> Object:
    """An object without what the API server writes by itself."""
    if item is None:
        return {}
    result = {key: value for key, value in item.items() if key != "status"}
    result["metadata"] = {key: value for key, value in item["metadata"].items() if key not in _WRITTEN_BY_SERVER}
    return result


def writers(item: t.Mapping[str, t.Any]) -> list[str]:
    """Who wrote an object but for its status, by what each client calls itself, the last one first.

    kubernetes/apimachinery:pkg/apis/meta/v1/types.go C(ManagedFieldsEntry); times are UTC with seconds, so that text sorts as time does.
    """
    entries = [entry for entry in item["metadata"].get("managedFields") or [] if entry.get("subresource") != "status"]
    entries.sort(key=lambda entry: str(entry.get("time") or ""), reverse=True)
    return list(dict.fromkeys(str(entry["manager"]) for entry in entries if entry.get("manager")))


def covers(current: t.Any, wanted: t.Any) -> bool:
    """Whether everything wanted is there already; the server may have added fields, but no list entries."""
    if isinstance(wanted, dict):
        return isinstance(current, dict) and all(key in current and covers(current[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(current, list) and len(current) == len(wanted) and all(covers(mine, theirs) for mine, theirs in zip(current, wanted))
    return bool(current == wanted)


class Applied(t.NamedTuple):
    """One object: its name for people, whether it is changed, and both versions without the server's own fields."""

    name: str
    changed: bool
    before: Object
    after: Object


def apply_object(kube: KubeClient, path: str, wanted: Object, dry_run: bool) -> Applied:
    """Server-side apply of one object, one request when it is as wanted."""
    name = f"{wanted['kind']} {wanted['metadata']['name']}"
    current = kube.get_or_none(path)
    before = meaningful(current)
    if current is not None and covers(current, wanted) and _owned(current, wanted):
        return Applied(name, False, before, before)
    after = meaningful(kube.apply(path, wanted, dry_run=dry_run))
    return Applied(name, before != after, before, after)


def _owned(current: t.Mapping[str, t.Any], wanted: t.Mapping[str, t.Any]) -> bool:
    """Whether an apply could not remove anything: our own earlier apply had no field that is not wanted any more."""
    for entry in current["metadata"].get("managedFields") or []:
        if entry.get("manager") == "podnet.cni" and entry.get("operation") == "Apply":
            return not _dropped(entry.get("fieldsV1") or {}, wanted)
    return False


def _dropped(fields: t.Mapping[str, t.Any], wanted: t.Any) -> bool:
    """Whether the fields that an apply owns (kubernetes/apimachinery:pkg/apis/meta/v1/types.go FieldsV1) hold a name that is not wanted.

    Only names of fields (C(f:)) are followed: entries of lists (C(k:), C(v:)) are compared by C(covers).
    """
    for key, inner in fields.items():
        if not key.startswith("f:"):
            continue
        name = key[2:]
        if not isinstance(wanted, dict) or name not in wanted:
            return True
        if isinstance(wanted[name], dict) and _dropped(inner, wanted[name]):
            return True
    return False
