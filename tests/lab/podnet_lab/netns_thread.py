# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code of this process that runs inside one of the lab's network namespaces."""

from __future__ import annotations

import ctypes
import os
import typing as t
from concurrent.futures import ThreadPoolExecutor

from podnet_lab.errors import LabError

CLONE_NEWNET = 0x40000000

Result = t.TypeVar("Result")


def enter(netns: str) -> None:
    """Move the calling thread, and only it, into a network namespace."""
    with open(f"/run/netns/{netns}", encoding="utf-8") as handle:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle.fileno(), CLONE_NEWNET):
            code = ctypes.get_errno()
            raise LabError(f"cannot enter the network namespace {netns}: {os.strerror(code)}")


class NetnsThread:
    """One thread that lives in a network namespace; sockets made by calls through it belong there."""

    def __init__(self, netns: str) -> None:
        self.netns = netns
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"netns-{netns}")
        self._executor.submit(enter, netns).result()

    def call(self, function: t.Callable[..., Result], *args: t.Any, **options: t.Any) -> Result:
        """Run a function inside and hand back what it returns."""
        return self._executor.submit(function, *args, **options).result()

    def close(self) -> None:
        """End the thread."""
        self._executor.shutdown(wait=True)
