# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small API server in memory with the interface of C(_kube.client.KubeClient), for branches that the lab cannot reach cheaply."""

from __future__ import annotations

import copy
import itertools

from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import error_of


def _merge(target, patch):
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            if not isinstance(target.get(key), dict):
                target[key] = {}
            _merge(target[key], value)
        else:
            target[key] = copy.deepcopy(value)


def _field(item, path):
    for word in path.split("."):
        item = item.get(word, {}) if isinstance(item, dict) else {}
    return item if isinstance(item, (str, int, bool)) else ""


class FakeKube:
    """Objects by path. C(on) adds hooks: C(hook(method, path, body)) may raise, or return an answer instead."""

    def __init__(self, served=("v1", "apps/v1", "policy/v1", "crd.projectcalico.org/v1")):
        self.objects = {}
        self.clock_offset = 0.0
        self.log = []
        self.hooks = []
        self._served = set(served)
        self._versions = itertools.count(1)

    @property
    def calls(self):
        return len(self.log)

    def on(self, hook):
        self.hooks.append(hook)
        return hook

    def add(self, collection, item):
        """Put an object there without a request."""
        item = copy.deepcopy(item)
        metadata = item.setdefault("metadata", {})
        metadata.setdefault("uid", f"uid-{metadata['name']}")
        metadata["resourceVersion"] = str(next(self._versions))
        self.objects[f"{collection}/{metadata['name']}"] = item
        return item

    def writes(self):
        return [(method, path) for method, path, dummy, dry_run in self.log if method != "GET" and not dry_run]

    def _call(self, method, path, body=None, dry_run=False):
        self.log.append((method, path, copy.deepcopy(body), dry_run))
        for hook in self.hooks:
            answer = hook(method, path, body)
            if answer is not None:
                return copy.deepcopy(answer)
        return None

    def _require(self, path):
        if path not in self.objects:
            raise error_of(404, "NotFound", f"{path} not found", path)
        return self.objects[path]

    def _store(self, path, item, dry_run):
        item = copy.deepcopy(item)
        item.setdefault("metadata", {})
        item["metadata"]["resourceVersion"] = str(next(self._versions))
        item["metadata"].setdefault("uid", f"uid-{item['metadata'].get('name')}")
        if not dry_run:
            self.objects[path] = item
        return copy.deepcopy(item)

    def served(self):
        return self._served

    def get(self, path, query=None):
        answer = self._call("GET", path)
        return answer if answer is not None else copy.deepcopy(self._require(path))

    def get_or_none(self, path, query=None):
        answer = self._call("GET", path)
        if answer is not None:
            return answer
        return copy.deepcopy(self.objects.get(path))

    def list(self, path, label_selector=None, field_selector=None, limit=500):
        answer = self._call("GET", path)
        if answer is not None:
            yield from answer
            return
        last = path.rsplit("/", 1)[1]
        group = path[: -len(last) - 1]
        for key, item in sorted(self.objects.items()):
            namespaced = key.startswith(group + "/namespaces/") and key.split("/")[-2] == last
            if key.rsplit("/", 1)[0] != path and not namespaced:
                continue
            labels = item["metadata"].get("labels", {})
            if label_selector and not all(labels.get(p.split("=")[0]) == p.split("=")[1] for p in label_selector.split(",")):
                continue
            if field_selector and not all(str(_field(item, part.split("=")[0])) == part.split("=")[1] for part in field_selector.split(",")):
                continue
            yield copy.deepcopy(item)

    def create(self, path, body, dry_run=False):
        answer = self._call("POST", path, body, dry_run)
        if answer is not None:
            return answer
        name = f"{path}/{body['metadata']['name']}"
        if name in self.objects:
            raise error_of(409, "AlreadyExists", f"{name} exists", path)
        return self._store(name, body, dry_run)

    def replace(self, path, body, dry_run=False):
        answer = self._call("PUT", path, body, dry_run)
        if answer is not None:
            return answer
        current = self._require(path)
        wanted = body["metadata"].get("resourceVersion")
        if wanted and wanted != current["metadata"]["resourceVersion"]:
            raise error_of(409, "Conflict", "the object has been modified", path)
        return self._store(path, body, dry_run)

    def merge_patch(self, path, body, dry_run=False):
        answer = self._call("PATCH", path, body, dry_run)
        if answer is not None:
            return answer
        item = copy.deepcopy(self._require(path))
        wanted = body.get("metadata", {}).get("resourceVersion")
        if wanted and wanted != item["metadata"]["resourceVersion"]:
            raise error_of(409, "Conflict", "the object has been modified", path)
        _merge(item, body)
        return self._store(path, item, dry_run)

    def strategic_patch(self, path, body, dry_run=False):
        """Only for conditions, in the status of an object."""
        answer = self._call("PATCH", path, body, dry_run)
        if answer is not None:
            return answer
        where = path[: -len("/status")]
        item = copy.deepcopy(self._require(where))
        conditions = {entry["type"]: entry for entry in item.setdefault("status", {}).get("conditions", [])}
        for entry in body["status"]["conditions"]:
            conditions[entry["type"]] = {**conditions.get(entry["type"], {}), **entry}
        item["status"]["conditions"] = list(conditions.values())
        return self._store(where, item, dry_run)

    def json_patch(self, path, operations, dry_run=False):
        raise NotImplementedError("no module uses it yet")

    def apply(self, path, body, field_manager="podnet.cni", force=True, dry_run=False):
        answer = self._call("APPLY", path, body, dry_run)
        if answer is not None:
            return answer
        item = copy.deepcopy(self.objects.get(path, {}))
        _merge(item, body)
        return self._store(path, item, dry_run)

    def delete(self, path, propagation="Background", grace_seconds=None, uid=None, dry_run=False):
        answer = self._call("DELETE", path, {"uid": uid, "grace": grace_seconds}, dry_run)
        if answer is not None:
            return answer
        item = self._require(path)
        if uid and item["metadata"].get("uid") != uid:
            raise error_of(409, "Conflict", "the UID in the precondition does not match", path)
        if not dry_run:
            del self.objects[path]
        return {}
