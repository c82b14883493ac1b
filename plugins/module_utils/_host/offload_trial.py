# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try features of devices one by one, until a peer that was not reached is reached by TCP."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import ethtool, tcp_probe


class Candidate(t.NamedTuple):
    """One feature of one device, as it is and as it is tried."""

    interface: str
    name: str
    """As it was given."""
    before: dict[str, bool]
    after: dict[str, bool]


class Trial(t.NamedTuple):
    """What came of a candidate."""

    candidate: Candidate
    helped: bool
    detail: str


def run(peer: tcp_probe.Peer, candidates: t.Iterable[Candidate]) -> list[Trial]:
    """Trials up to the first that helps; what does not help is put back before the next one.

    To help, the peer must be reached with the change, not be reached when it is taken back, and be reached with it again.
    """
    trials = []
    for candidate in candidates:
        trials.append(_try(peer, candidate))
        if trials[-1].helped:
            break
    return trials


def _try(peer: tcp_probe.Peer, candidate: Candidate) -> Trial:
    kept = False
    try:
        ethtool.write(candidate.interface, candidate.after)
        first = tcp_probe.connect(peer)
        if not first.works:
            return Trial(candidate, False, first.detail)
        ethtool.write(candidate.interface, candidate.before)
        if tcp_probe.connect(peer).works:
            return Trial(candidate, False, "it is reached without the change as well, so something else has changed meanwhile")
        ethtool.write(candidate.interface, candidate.after)
        again = tcp_probe.connect(peer)
        kept = again.works
        return Trial(candidate, kept, again.detail)
    finally:
        if not kept:
            ethtool.write(candidate.interface, candidate.before)
