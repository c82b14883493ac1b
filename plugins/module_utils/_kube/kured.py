# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of kured, which reboots nodes by itself: an annotation of its DaemonSet (kubereboot/kured:pkg/daemonsetlock/daemonsetlock.go).

A lock is C({"nodeID", "metadata", "created", "TTL"}), with the TTL in nanoseconds and 0 for one that does not expire; where several nodes may be
rebooted at once it is C({"maxOwners", "locks": [...]}).
"""

from __future__ import annotations

import datetime
import json
import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

ANNOTATION = "weave.works/kured-node-lock"
NANOSECONDS = 10**9
_ARGUMENT = re.compile(r"--?(ds-name|ds-namespace|lock-annotation|concurrency)[= ](.+)")
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.\d+)?(Z|[+-]\d{2}:\d{2})")

Record = dict[str, t.Any]


class Kured(t.NamedTuple):
    """Where a kured keeps its lock."""

    path: str
    annotation: str
    value: str
    version: str


class Held(t.NamedTuple):
    """Somebody who has the lock."""

    owner: str
    created: str
    expires: str
    """Empty when it does not."""


def find(kube: KubeClient) -> list[Kured]:
    """Every kured of the cluster, found by what its DaemonSet runs."""
    daemonsets = list(kube.list("/apis/apps/v1/daemonsets"))
    found = []
    for item in daemonsets:
        settings = _settings(item)
        if settings is None:
            continue
        namespace = settings.get("ds-namespace") or item["metadata"]["namespace"]
        name = settings.get("ds-name") or item["metadata"]["name"]
        keeper = next((other for other in daemonsets if (other["metadata"]["namespace"], other["metadata"]["name"]) == (namespace, name)), item)
        metadata = keeper["metadata"]
        annotation = settings.get("lock-annotation") or ANNOTATION
        value = (metadata.get("annotations") or {}).get(annotation, "")
        path = f"/apis/apps/v1/namespaces/{metadata['namespace']}/daemonsets/{metadata['name']}"
        found.append(Kured(path, annotation, value, str(metadata.get("resourceVersion", ""))))
    return found


def _settings(daemonset: t.Mapping[str, t.Any]) -> dict[str, str] | None:
    """Options of the kured in a DaemonSet, None when there is none in it."""
    for container in daemonset.get("spec", {}).get("template", {}).get("spec", {}).get("containers") or []:
        words = [*(container.get("command") or []), *(container.get("args") or [])]
        image = str(container.get("image", "")).rpartition("/")[2]
        if image.startswith("kured") or any(word.rpartition("/")[2] == "kured" for word in words[:1]):
            return {match.group(1): match.group(2).strip() for match in map(_ARGUMENT.fullmatch, words) if match}
    return None


def parse_time(text: str) -> datetime.datetime | None:
    """A time as Go writes it."""
    found = _TIME.match(text)
    if not found:
        return None
    return datetime.datetime.fromisoformat(found.group(1) + found.group(2).replace("Z", "+00:00"))


def holders(value: str, now: datetime.datetime) -> list[Held]:
    """Who has the lock, those left out whose time is over. A lock that cannot be read counts as held."""
    if not value:
        return []
    try:
        data = json.loads(value)
        entries = data.get("locks", [data])
        return [held for held, over in (_held(entry, now) for entry in entries or []) if held.owner and not over]
    except (ValueError, KeyError, TypeError, AttributeError):
        return [Held("somebody unknown", "", "")]


def _held(entry: t.Mapping[str, t.Any], now: datetime.datetime) -> tuple[Held, bool]:
    created = parse_time(str(entry.get("created", "")))
    seconds = int(entry.get("TTL") or 0) / NANOSECONDS
    until = created + datetime.timedelta(seconds=seconds) if created and seconds else None
    return Held(str(entry.get("nodeID", "")), str(entry.get("created", "")), until.isoformat() if until else ""), bool(until and until < now)


def lock_text(owner: str, seconds: int, now: datetime.datetime, before: str = "") -> str:
    """The lock with C(owner) as its only holder, in the form that was there before."""
    entry = {
        "nodeID": owner,
        "metadata": {"unschedulable": False},
        "created": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "TTL": seconds * NANOSECONDS,
    }
    try:
        several = json.loads(before) if before else {}
    except ValueError:
        several = {}
    if isinstance(several, dict) and "locks" in several:
        # One for each that may: kured takes what is free.
        most = int(several.get("maxOwners") or 1)
        return json.dumps({"maxOwners": most, "locks": [{**entry, "nodeID": f"{owner}#{number}" if number else owner} for number in range(most)]})
    return json.dumps(entry)


def is_ours(held: Held, owner: str) -> bool:
    """Whether a holder is this run."""
    return held.owner == owner or held.owner.startswith(f"{owner}#")
