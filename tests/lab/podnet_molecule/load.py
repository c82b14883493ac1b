# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the probers of a scenario saw, kept so that a scenario can be verified again."""

from __future__ import annotations

import json
import typing as t

from podnet_lab.lab import Lab
from podnet_lab.prober_control import ProberControl

from podnet_molecule import results

Load = dict[str, t.Any]
SHOWN = 10


def stop(lab: Lab, name: str = "load") -> Load:
    """Stop the probers, unless that was done, and return what they saw; C(name) is of a scenario that starts them more than once."""
    path = results.folder() / f"{name}.json"
    if not path.exists():
        path.write_text(json.dumps(ProberControl(lab).stop().as_dict()), encoding="utf-8")
    return t.cast(Load, json.loads(path.read_text(encoding="utf-8")))


def summary(load: Load) -> str:
    """What failed, for the message of a test."""
    kinds = {kind: counts["failed"] for kind, counts in load["by_kind"].items() if counts["failed"]}
    sources = {source: counts["failed"] for source, counts in load["by_source"].items() if counts["failed"]}
    first = "".join(f"\n  {failure}" for failure in load["failures"][:SHOWN])
    return (
        f"{load['failed_requests']} of {load['requests']} requests failed, longest outage {load['longest_outage_ms']:.0f} ms; "
        f"by kind {kinds}, by prober {sources}; the first:{first}"
    )
