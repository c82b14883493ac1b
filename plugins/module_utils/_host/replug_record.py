# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is under way with a pod that is moved to another network, in a file of each pod, so that a later run can go on or back."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni import cni_cache
from ansible_collections.podnet.cni.plugins.module_utils._host import files

PREPARED, CUT, MOVED = "prepared", "cut", "moved"
"""Stages: the new interface may be there; packets may take it; it was verified, and the old one goes."""


class Record(t.NamedTuple):
    """One pod that is under way."""

    path: Path
    stage: str
    to: str
    pod: cni_cache.Remembered
    config: cni_cache.Record
    """The list of plugins of the new network."""
    result: cni_cache.Record
    """What they said, without what depends on the namespace; empty before they did."""
    old_ways: tuple[bytes, ...]
    """Routes over the old interface, as the kernel told them."""

    def write(self) -> Record:
        """Make it last over a power cut."""
        content = {
            "stage": self.stage,
            "to": self.to,
            "pod": self.pod.content,
            "config": self.config,
            "result": self.result,
            "old_ways": [way.hex() for way in self.old_ways],
        }
        files.write_atomically(self.path, json.dumps(content).encode())
        return self

    def remove(self) -> None:
        """Nothing is under way any more."""
        files.remove(self.path)


def path_of(folder: Path, container_id: str) -> Path:
    """The file of a pod."""
    return folder / f"{container_id}.json"


def read_all(folder: Path) -> list[Record]:
    """What earlier runs have left; a file that was not written by this module is passed over."""
    found = []
    for name in files.names(folder):
        if name.startswith(".") or not name.endswith(".json"):
            continue
        try:
            content = json.loads(files.read_bytes(folder / name) or b"")
            pod = cni_cache.parse(json.dumps(content["pod"]).encode())
        except (ValueError, KeyError, TypeError):
            continue
        if pod is not None:
            ways = tuple(bytes.fromhex(way) for way in content["old_ways"])
            found.append(Record(folder / name, content["stage"], content["to"], pod, content["config"], content["result"], ways))
    return found
