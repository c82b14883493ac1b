# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line that tells a person how far a migration is. Pure: no input, no output."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan.words import seconds

PHASE_WIDTH = 8
SECONDS_WIDTH = 7


def failures(probe: t.Mapping[str, t.Any] | None) -> str:
    """What a live prober has seen so far, empty without one."""
    if not probe or probe.get("failed") is None:
        return ""
    text = f"failures so far: {int(probe['failed']):,}"
    return f"{text} of {int(probe['requests']):,} requests" if probe.get("requests") is not None else text


def progress_line(progress: t.Mapping[str, t.Any], elapsed: float | None, probe: t.Mapping[str, t.Any] | None = None) -> str:
    """C([node 3 of 6] n3 (zone b)  evict  1.2 s   failures so far: 0)."""
    total = str(progress.get("total", "?"))
    position = str(progress.get("position", "?")).rjust(len(total))
    zone = progress.get("zone")
    node = f"{progress.get('node', '')}" + (f" (zone {zone})" if zone else "")
    duration = seconds(elapsed) if elapsed is not None else ""
    parts = [f"[node {position} of {total}] {node}", f"{progress.get('phase', '')!s:<{PHASE_WIDTH}}{duration:>{SECONDS_WIDTH}}", failures(probe)]
    return "  ".join(parts).rstrip()
