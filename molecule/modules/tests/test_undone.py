# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After all cases the lab is as it was before."""

from __future__ import annotations

import time

from podnet_lab.lab import Lab
from podnet_molecule import results, snapshot

SETTLE_SECONDS = 20.0


def test_the_lab_is_as_before(lab: Lab) -> None:
    before = snapshot.load(results.folder() / "before.json")
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        left = snapshot.difference(before, snapshot.take(lab))
        if not left or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert left == []
