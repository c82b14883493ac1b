# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change of features that is kept, or not kept yet, or given up: its record, and the timer that puts everything back."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import files, offload_record, offload_way_back

Wishes = dict[str, dict[str, bool]]


class Change:
    """Remembers what was there before anything changes, so that a run that is killed loses nothing."""

    def __init__(self, folder: Path, seconds: int) -> None:
        self.folder = folder
        self.seconds = seconds
        self.pending = offload_record.read_pending(folder)
        self.record = files.read_text(folder / offload_record.RECORD)

    @property
    def two_phases(self) -> bool:
        """Whether it waits to be kept. What is changed while another change waits joins it."""
        return bool(self.seconds) or self.pending is not None

    def begin(self, entries: offload_record.Entries, wishes: Wishes, persistent: bool) -> None:
        """Write down what was there, and arm the timer."""
        files.remove(self.folder / offload_way_back.LOG)
        offload_record.write(self.folder / offload_record.RECORD, offload_record.merged(offload_record.read_record(self.folder), entries))
        if self.two_phases:
            self._write_pending(entries, wishes, persistent)
        if self.seconds:
            offload_way_back.arm(self.folder, self.seconds)

    def _write_pending(self, entries: offload_record.Entries, wishes: Wishes, persistent: bool) -> None:
        known = self.pending or offload_record.Pending(entries={}, record=self.record, wishes={}, persistent=False)
        together = {name: {**known["wishes"].get(name, {}), **wishes.get(name, {})} for name in [*known["wishes"], *wishes]}
        pending = offload_record.Pending(
            entries=offload_record.merged(known["entries"], entries),
            record=known["record"],
            wishes=together,
            persistent=persistent or known["persistent"],
        )
        offload_record.write(self.folder / offload_record.PENDING, pending)

    def narrow(self, entries: offload_record.Entries, wishes: Wishes, persistent: bool) -> None:
        """Only a part of what was written down has been changed."""
        self._restore_record()
        offload_record.write(self.folder / offload_record.RECORD, offload_record.merged(offload_record.read_record(self.folder), entries))
        if self.two_phases:
            self._write_pending(entries, wishes, persistent)

    def renew(self) -> None:
        """Give a change that waits all its time again."""
        if self.pending is not None and self.seconds:
            offload_way_back.arm(self.folder, self.seconds)

    def give_up(self) -> None:
        """Forget it; what waited before goes on waiting."""
        self._restore_record()
        if self.pending is None:
            self.end()
        else:
            offload_record.write(self.folder / offload_record.PENDING, self.pending)

    def _restore_record(self) -> None:
        offload_record.restore_file(self.folder / offload_record.RECORD, self.record)

    def end(self) -> None:
        """Disarm the timer and forget what waited."""
        offload_way_back.disarm(self.folder)
        files.remove(self.folder / offload_record.PENDING)
        files.remove_if_empty(self.folder)


def add_to_record(folder: Path, entries: t.Mapping[str, offload_record.Entry]) -> None:
    """Write down what made features last."""
    offload_record.write(folder / offload_record.RECORD, offload_record.merged(offload_record.read_record(folder), dict(entries)))
