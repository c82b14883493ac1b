# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long plugins of a CNI that fail are called again: Calico's need the API server, which may be away for a moment."""

from __future__ import annotations

import time

_PAUSE = 1.0


class Patience:
    """For all pods of a run together: it ends these seconds after the first failure since an interface was made last."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None

    def renew(self) -> None:
        """A plugin has made an interface."""
        self._since = None

    def wait(self) -> bool:
        """Wait a moment after a failure; false when there is no more time."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        left = self._since + self._seconds - now
        if left <= 0:
            return False
        time.sleep(min(_PAUSE, left))
        return True
