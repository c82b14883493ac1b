# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a migration: one ConfigMap in the cluster, so that any controller can go on where another one stopped.

Each record is a key of its own (C(run.json), C(node.NAME.json), C(backup.NAME.json)) and is written by a patch of this key, so that
nodes that are moved at the same time never overwrite each other.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import typing as t
import zlib

from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, Invalid, NotFound

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

Record = dict[str, t.Any]
NAMESPACE = "kube-system"
NAME = "podnet-cni-migration"
LABELS = {"app.kubernetes.io/managed-by": "podnet.cni"}
READABLE_BYTES = 32 * 1024
"""Records up to this size can be read with kubectl; larger ones are compressed, since a ConfigMap holds 1 MiB in all."""
RUN_KEY = "run.json"
HISTORY_LENGTH = 20
_COMPRESSED = ".gz"
_KEY = re.compile(r"^[-._a-zA-Z0-9]{1,249}$")


class JournalError(Exception):
    """The journal cannot be read or written; the text has the remedy."""


class Contents(t.NamedTuple):
    """Everything in a journal."""

    exists: bool
    run: Record
    nodes: dict[str, Record]
    backup: dict[str, t.Any]


def node_key(node: str) -> str:
    """Key of a node's record."""
    return f"node.{node}.json"


def backup_key(name: str) -> str:
    """Key of a backup."""
    return f"backup.{name}.json"


def _pack(key: str, value: t.Any) -> dict[str, dict[str, str | None]]:
    """The part of a patch that writes one record, and removes its other form."""
    text = json.dumps(value, sort_keys=True)
    if len(text) <= READABLE_BYTES:
        return {"data": {key: text}, "binaryData": {key + _COMPRESSED: None}}
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return {"data": {key: None}, "binaryData": {key + _COMPRESSED: packed}}


def _records(configmap: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """All records of a ConfigMap by key.

    :raises JournalError: when one was edited so that it is no JSON any more.
    """
    texts = dict(configmap.get("data") or {})
    records = {}
    try:
        for key, packed in (configmap.get("binaryData") or {}).items():
            texts[key[: -len(_COMPRESSED)]] = gzip.decompress(base64.b64decode(packed)).decode()
        for key, text in texts.items():
            records[key] = json.loads(text)
    except (ValueError, OSError, EOFError, zlib.error) as exc:
        raise JournalError(
            f"ConfigMap {NAMESPACE}/{NAME}: key {key} is not readable ({exc}); correct it, or remove the journal with state=absent"
        ) from exc
    return records


class Journal:
    """Reads and writes the ConfigMap."""

    def __init__(self, kube: KubeClient, dry_run: bool = False) -> None:
        self._kube = kube
        self._dry_run = dry_run
        self._collection = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        self._path = f"{self._collection}/{NAME}"
        self._loaded = False
        self._records: dict[str, t.Any] | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a journal."""
        return self._load() is not None

    def _load(self) -> dict[str, t.Any] | None:
        if not self._loaded:
            configmap = self._kube.get_or_none(self._path)
            self._records = None if configmap is None else _records(configmap)
            self._loaded = True
        return self._records

    def read(self) -> Contents:
        """All records."""
        records = self._load()
        contents = Contents(records is not None, {}, {}, {})
        for key, value in sorted((records or {}).items()):
            if key == RUN_KEY:
                contents.run.update(value)
            elif key.startswith("node."):
                contents.nodes[key[len("node.") : -len(".json")]] = value
            elif key.startswith("backup."):
                contents.backup[key[len("backup.") : -len(".json")]] = value
        return contents

    def record(self, key: str) -> t.Any:
        """One record, None when there is none."""
        return (self._load() or {}).get(key)

    def write(self, records: t.Mapping[str, t.Any]) -> None:
        """Write records by key; others stay as they are.

        :raises JournalError: when a key is not possible, or the journal is full.
        """
        if not records:
            return
        patch: dict[str, t.Any] = {"data": {}, "binaryData": {}}
        for key, value in records.items():
            if not _KEY.match(key):
                raise JournalError(f"'{key}' is no name for a record; use letters, digits, '-', '_' and '.', at most 249 of them")
            for part, content in _pack(key, value).items():
                patch[part].update(content)
        try:
            self._write(patch)
        except Invalid as exc:
            raise JournalError(f"ConfigMap {NAMESPACE}/{NAME} cannot be written: {exc}; when it is full, remove it with state=absent") from exc
        self._records = {**(self._records or {}), **records}

    def _write(self, patch: Record) -> None:
        if self.exists:
            self._kube.merge_patch(self._path, patch, dry_run=self._dry_run)
            return
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": LABELS},
            **{part: {key: text for key, text in patch[part].items() if text is not None} for part in patch},
        }
        try:
            self._kube.create(self._collection, body, dry_run=self._dry_run)
        except Conflict:  # made by another host at the same moment
            self._kube.merge_patch(self._path, patch, dry_run=self._dry_run)

    def remove(self) -> bool:
        """Remove the journal, also one that cannot be read; whether there was one."""
        self._loaded, self._records = True, None
        try:
            self._kube.delete(self._path, dry_run=self._dry_run)
        except NotFound:
            return False
        return True


def next_run(current: t.Mapping[str, t.Any], run: str, data: t.Mapping[str, t.Any]) -> Record:
    """The record C(run.json) after a run was begun or went on.

    A new run takes the place of the one before, of which the history keeps when it began and ended.
    """
    if current.get("run") in (None, run):
        return {**current, **data, "run": run}
    past = {key: current[key] for key in ("run", "started", "finished") if key in current}
    return {**data, "run": run, "history": [*current.get("history", []), past][-HISTORY_LENGTH:]}
