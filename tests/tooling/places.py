# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where builds and environments are kept, outside the clone."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The clone."""


def cache_folder() -> Path:
    """C(PODNET_CACHE), else C(~/.cache/podnet-cni)."""
    return Path(os.environ.get("PODNET_CACHE") or Path.home() / ".cache" / "podnet-cni")


def key_of(*parts: str | bytes) -> str:
    """A short key that changes with any of the parts."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def tree_folder(purpose: str = "") -> Path:
    """Where this clone's copy lies as C(ansible_collections/podnet/cni), as Ansible's tools want it; another one for each purpose."""
    return cache_folder() / "trees" / "-".join([key_of(str(ROOT)), *filter(None, [purpose])])
