# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move pods of a node to another network: what an earlier run left first, then a few at a time, until none is left."""

from __future__ import annotations

import contextlib
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni import cni_cache
from ansible_collections.podnet.cni.plugins.module_utils._host import (
    cni_state,
    felix_ready,
    namespaces,
    patience,
    replug,
    replug_pods,
    replug_record,
)

_PAUSE = 0.2


class Run:
    """One run of the module."""

    def __init__(
        self,
        to: str,
        config: cni_cache.Record,
        places: cni_state.Places,
        folder: Path,
        bridge: str,
        timeout: float,
        plugins: patience.Patience,
        parallel: int,
        go_on: bool,
        reach: t.Sequence[str],
    ) -> None:
        self.course = replug.Replug(to, config, places, folder, bridge, plugins, reach)
        self.to = to
        self.other = "calico" if to == "flannel" else "flannel"
        self.places = places
        self.folder = folder
        self.bridge = bridge
        self.timeout = timeout
        self.parallel = parallel
        self.go_on = go_on
        self.moved: list[dict[str, t.Any]] = []
        self.failed: list[dict[str, str]] = []
        self.ended: list[str] = []
        self.recovered: list[str] = []

    def run(self, names: t.Collection[str] | None, check_mode: bool) -> dict[str, t.Any]:
        """Move those of the node's pods that have these names, or all, until no other ones come."""
        left = replug_record.read_all(self.folder)
        if check_mode:
            self.recovered = [f"{record.pod.pod}: {record.stage} on the way to {record.to}" for record in left]
        for record in [] if check_mode else left:
            self._recover(record)
        pods = self._read(0.0 if check_mode else self.timeout)
        if check_mode:
            self.moved = [_told(found.pod, None, ()) for found in pods.found if names is None or found.pod.pod in names]
        elif names is not None or self.go_on or not pods.unknown:
            pods = self._move_all(pods, names)
            self._clear()
            with contextlib.suppress(OSError):
                self.folder.rmdir()
        return {
            "changed": bool(self.moved or self.recovered),
            "moved": self.moved,
            "not_moved": self.failed,
            "ended": self.ended,
            "unknown": pods.unknown,
            "recovered": self.recovered,
            "diff": {
                "before": {self.other: [entry["pod"] for entry in self.moved]},
                "after": {self.to: [entry["pod"] for entry in self.moved]},
            },
        }

    def _read(self, seconds: float) -> replug_pods.Pods:
        """Pods on the other network. What is not known of yet may be a pod that starts just now: it is waited for."""
        until = time.monotonic() + seconds
        while True:
            pods = replug_pods.read(self.places, self.other, self.bridge)
            if not pods.unknown or time.monotonic() >= until:
                return pods
            time.sleep(_PAUSE)

    def _move_all(self, pods: replug_pods.Pods, names: t.Collection[str] | None) -> replug_pods.Pods:
        """Pods that began to start before the switch may come after it, so that it is looked again."""
        tried: set[str] = set()
        while True:
            wanted = [found for found in pods.found if found.pod.container_id not in tried and (names is None or found.pod.pod in names)]
            if not wanted:
                return pods
            self._detours([found.pod.address for found in pods.found] if self.to == "calico" else [])
            for begin in range(0, len(wanted), self.parallel):
                if self.failed and not self.go_on:
                    return pods
                self._move(wanted[begin : begin + self.parallel])
            tried.update(found.pod.container_id for found in wanted)
            pods = self._read(self.timeout)

    def _detours(self, addresses: t.Iterable[str]) -> None:
        """Whatever Calico does to the table main, pods on the bridge stay reachable."""
        node, index = self.course.node, self.course.bridge_index
        if index is None:
            return
        for address in addresses:
            node.add_detour(address, index, replug.TABLE)
        node.look_first(replug.TABLE)

    def _clear(self) -> None:
        """Remove the rule and what is in the table, unless pods on the bridge need it."""
        node, index = self.course.node, self.course.bridge_index
        rest = node.detours(replug.TABLE)
        if self.to == "calico" and {found.pod.address for found in replug_pods.read(self.places, "flannel", self.bridge).found}.intersection(rest):
            return
        if index is not None:
            for address in rest:
                node.remove_detour(address, index, replug.TABLE)
        node.look_no_more(replug.TABLE)

    def _move(self, batch: t.Sequence[replug_pods.Found]) -> None:
        with ThreadPoolExecutor(max_workers=len(batch)) as pool:
            prepared = [entry for entry in pool.map(self._prepare, batch) if entry is not None]
            ready = [entry for entry in pool.map(self._look, self._ready(prepared)) if entry is not None]
            cuts = []
            for entry in ready:
                try:
                    cuts.append(self.course.cut(entry))
                except replug.PodError as exc:
                    self._fail(entry.record.pod, entry.namespace, str(exc))
            for cut, problems in zip(cuts, pool.map(self._finish, cuts)):
                self._count(cut, problems)
        for entry in (*prepared, *ready):
            entry.close()

    def _prepare(self, found: replug_pods.Found) -> replug.Prepared | None:
        try:
            return self.course.prepare(found.pod, found.namespace)
        except replug.PodError as exc:
            self._fail(found.pod, found.namespace, str(exc))
            return None

    def _ready(self, prepared: list[replug.Prepared]) -> list[replug.Prepared]:
        """Those whose interface Calico has set up; the others are taken back."""
        if self.to != "calico" or not prepared:
            return prepared
        ends = {cni_cache.node_ends(entry.record.result)[0]: entry for entry in prepared}
        missing = felix_ready.wait({name: entry.record.pod.address for name, entry in ends.items()}, self.timeout)
        for name, reason in missing.items():
            entry = ends[name]
            problems = self.course.undo_prepared(entry.record, entry.namespace)
            self._fail(entry.record.pod, entry.namespace, "; ".join([reason, *problems]))
        return [entry for name, entry in ends.items() if name not in missing]

    def _look(self, entry: replug.Prepared) -> replug.Prepared | None:
        try:
            return self.course.look(entry)
        except replug.PodError as exc:
            self._fail(entry.record.pod, entry.namespace, str(exc))
            return None

    def _finish(self, cut: replug.Cut) -> list[str]:
        try:
            return self.course.finish(cut)
        except OSError as exc:
            return [str(exc)]

    def _count(self, cut: replug.Cut, problems: list[str]) -> None:
        """A pod that packets reach by the new interface."""
        record, namespace = cut.prepared.record, cut.prepared.namespace
        if not replug.is_there(namespace):
            self.course.undo_prepared(record, None)
            self.ended.append(record.pod.pod)
            return
        self.moved.append(_told(record.pod, cut.seconds, cut.prepared.reached))
        if problems:
            self._fail(record.pod, namespace, f"it is on {self.to}'s network, but {'; '.join(problems)}")

    def _fail(self, pod: cni_cache.Remembered, namespace: namespaces.Namespace, reason: str) -> None:
        """Tell why a pod was not moved, unless it has ended: then there is nothing to move."""
        if replug.is_there(namespace):
            self.failed.append({"pod": pod.pod, "address": pod.address, "reason": reason})
        else:
            self.ended.append(pod.pod)

    def _recover(self, record: replug_record.Record) -> None:
        """Finish what had been verified, and take back everything else."""
        namespace = _namespace_of(record.pod, record.result)
        course = (
            self.course
            if record.to == self.to
            else replug.Replug(record.to, record.config, self.places, self.folder, self.bridge, self.course.plugins)
        )
        if namespace is None:
            problems = course.undo_prepared(record, None)
            done = "the pod is gone, and what was held for it was given back"
        elif record.stage == replug_record.MOVED:
            problems = course.resume(record, namespace)
            done = f"finished on the way to {record.to}"
        elif record.stage == replug_record.CUT:
            problems = course.undo_cut(record, namespace)
            done = "put back on its old interface"
        else:
            problems = course.undo_prepared(record, namespace)
            done = "taken back before packets took the new interface"
        self.recovered.append(f"{record.pod.pod}: {done}" + (f"; {'; '.join(problems)}" if problems else ""))


def _told(pod: cni_cache.Remembered, seconds: float | None, reached: t.Iterable[str]) -> dict[str, t.Any]:
    return {
        "pod": pod.pod,
        "address": pod.address,
        "container_id": pod.container_id,
        "milliseconds": None if seconds is None else round(seconds * 1000, 3),
        "reached": list(reached),
    }


def _namespace_of(pod: cni_cache.Remembered, result: t.Mapping[str, t.Any]) -> namespaces.Namespace | None:
    """The pod's namespace, by what the runtime or an earlier run called it."""
    told = [pod.netns, *(str(entry["sandbox"]) for entry in result.get("interfaces") or [] if entry.get("sandbox"))]
    for path in told:
        inode = namespaces.inode_of(path) if path else None
        if inode is not None:
            return namespaces.Namespace(path, inode)
    return None
