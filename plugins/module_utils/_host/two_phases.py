# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change that is kept, or not kept yet, or given up: the record of what was there before, and the timer that puts everything back.

What was there before is told by entries, one a device. How two of them become one and how they are put back is the business of the kind of
change.
"""

from __future__ import annotations

import datetime
import sys
import typing as t
from collections.abc import Callable
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import files, put_back, standalone
from ansible_collections.podnet.cni.plugins.module_utils._host.way_back import WayBack

Entries = dict[str, t.Any]
Wishes = dict[str, dict[str, t.Any]]


class Pending(t.TypedDict):
    """Changes that are not kept yet."""

    entries: Entries
    record: str | None
    """Text of the record before them."""
    wishes: Wishes
    """What was set, by device."""
    persistent: bool
    """Whether it is to last over restarts."""


class Kind(t.NamedTuple):
    """A kind of change: C(offload) for example."""

    name: str
    what: str
    """What is put back, for the log."""
    merged: Callable[[Entries, Entries], Entries]
    """Both; of what is in both, the first."""
    put_back: Callable[[Entries], list[str]]
    """Put everything back; what could not be."""
    program: str
    """The module of C(module_utils) whose C(main) the timer starts, named like C(_host.files)."""
    needs: tuple[str, ...]
    """The modules that it needs, besides those of every kind."""

    @property
    def record(self) -> str:
        """File with what was there before the first change that was kept."""
        return f"{self.name}.json"

    @property
    def pending(self) -> str:
        """File with what was there before changes that are not kept yet, and these."""
        return f"{self.name}-pending.json"

    @property
    def log(self) -> str:
        """File with what the timer's program said."""
        return f"{self.name}-watchdog.log"

    @property
    def unit(self) -> str:
        """The timer, as systemd names it."""
        return f"podnet-{self.name}-watchdog"

    def timer(self, folder: Path) -> WayBack:
        """The timer with its program."""
        return WayBack(self.unit, folder / f"{self.name}-watchdog.pyz", sys.executable)

    def content(self) -> bytes:
        """The timer's program, which runs without the collection."""
        return standalone.archive(self.program, (*_NEEDS, *self.needs))


_NEEDS = tuple(f"_host.{name}" for name in ("commands", "files", "put_back", "standalone", "systemd_timer", "two_phases", "way_back"))


def read_record(folder: Path, kind: Kind) -> Entries:
    """The record, empty without one."""
    return put_back.read(folder / kind.record) or {}


def read_pending(folder: Path, kind: Kind) -> Pending | None:
    """Changes that are not kept yet."""
    return t.cast("Pending | None", put_back.read(folder / kind.pending))


def add_to_record(folder: Path, kind: Kind, entries: Entries) -> None:
    """Write down more of what was there before."""
    put_back.write(folder / kind.record, kind.merged(read_record(folder, kind), entries))


class Change:
    """Remembers what was there before anything changes, so that a run that is killed loses nothing."""

    def __init__(self, folder: Path, seconds: int, kind: Kind) -> None:
        self.folder = folder
        self.seconds = seconds
        self.kind = kind
        self.pending = read_pending(folder, kind)
        self.record = files.read_text(folder / kind.record)

    @property
    def two_phases(self) -> bool:
        """Whether it waits to be kept. What is changed while another change waits joins it."""
        return bool(self.seconds) or self.pending is not None

    def begin(self, entries: Entries, wishes: Wishes, persistent: bool) -> None:
        """Write down what was there, and arm the timer."""
        files.remove(self.folder / self.kind.log)
        add_to_record(self.folder, self.kind, entries)
        if self.two_phases:
            self._write_pending(entries, wishes, persistent)
        if self.seconds:
            self._arm()

    def _arm(self) -> None:
        self.kind.timer(self.folder).arm(self.seconds, self.kind.content(), str(self.folder))

    def _write_pending(self, entries: Entries, wishes: Wishes, persistent: bool) -> None:
        known = self.pending or Pending(entries={}, record=self.record, wishes={}, persistent=False)
        together = {name: {**known["wishes"].get(name, {}), **wishes.get(name, {})} for name in [*known["wishes"], *wishes]}
        pending = Pending(
            entries=self.kind.merged(known["entries"], entries),
            record=known["record"],
            wishes=together,
            persistent=persistent or known["persistent"],
        )
        put_back.write(self.folder / self.kind.pending, pending)

    def narrow(self, entries: Entries, wishes: Wishes, persistent: bool) -> None:
        """Only a part of what was written down has been changed."""
        self._restore_record()
        add_to_record(self.folder, self.kind, entries)
        if self.two_phases:
            self._write_pending(entries, wishes, persistent)

    def renew(self) -> None:
        """Give a change that waits all its time again."""
        if self.pending is not None and self.seconds:
            self._arm()

    def give_up(self) -> None:
        """Forget it; what waited before goes on waiting."""
        self._restore_record()
        if self.pending is None:
            self.end()
        else:
            put_back.write(self.folder / self.kind.pending, self.pending)

    def _restore_record(self) -> None:
        put_back.restore_file(self.folder / self.kind.record, self.record)

    def disarm(self) -> None:
        """Stop the timer and remove its program."""
        self.kind.timer(self.folder).disarm()

    def end(self) -> None:
        """Disarm the timer and forget what waited."""
        self.disarm()
        files.remove(self.folder / self.kind.pending)
        files.remove_if_empty(self.folder)

    def forget(self, names: t.Collection[str]) -> None:
        """Forget devices that have been put back; with the last one the timer ends."""
        record = read_record(self.folder, self.kind)
        put_back.write(self.folder / self.kind.record, {name: entry for name, entry in record.items() if name not in names})
        if self.pending is None:
            files.remove(self.folder / self.kind.log)
            files.remove_if_empty(self.folder)
            return
        entries = {name: entry for name, entry in self.pending["entries"].items() if name not in names}
        if not entries:
            self.end()
            return
        wishes = {name: wish for name, wish in self.pending["wishes"].items() if name not in names}
        put_back.write(self.folder / self.kind.pending, {**self.pending, "entries": entries, "wishes": wishes})


def put_back_what_waits(folder: Path, kind: Kind) -> int:
    """What the timer's program does: put back what was not kept, say so in the log, and end with 0 if all of it could be."""
    pending = read_pending(folder, kind)
    if pending is None:
        return 0
    problems = kind.put_back(pending["entries"])
    try:
        put_back.restore_file(folder / kind.record, pending["record"])
    except OSError as exc:
        problems.append(f"{kind.record}: {exc}")
    time = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = f"; {put_back.told(problems)}" if problems else ""
    line = f"{time} the change was not kept in time: {kind.what} of {', '.join(pending['entries'])} were put back{told}\n"
    sys.stdout.write(line)
    files.write_atomically(folder / kind.log, line.encode())
    files.remove(folder / kind.pending)
    files.remove(kind.timer(folder).program)
    return 1 if problems else 0
