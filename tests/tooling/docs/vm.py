# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of docs/kernel_upgrade.md: what became of every case on the virtual machine, from docs/kernel_upgrade.json, which it wrote."""

from __future__ import annotations

import json
import typing as t

from tooling.docs.faults import shortened
from tooling.docs.markup import escape
from tooling.places import ROOT

RESULTS = ROOT / "docs" / "kernel_upgrade.json"
HEAD = """\
Run on {date} on a virtual machine with {system} and GRUB {grub}, kernels {old} and {new}.

| case | how | expected | what happened | seconds | kernel at the end |
| --- | --- | --- | --- | --- | --- |
"""


def table() -> str:
    """The table of the results in the clone."""
    return render(json.loads(RESULTS.read_text(encoding="utf-8"))).rstrip("\n")


def render(results: t.Mapping[str, t.Any]) -> str:
    """The table for some results."""
    about = {**results["about"], "new": ", ".join(results["about"]["new"])}
    rows = [f"| {' | '.join(escape(cell) for cell in cells(record))} |\n" for record in results["cases"]]
    return HEAD.format(**about) + "".join(rows)


def cells(record: t.Mapping[str, t.Any]) -> list[str]:
    """One row."""
    return [record["title"], record["how"], record["expected"], happened(record), str(record["seconds"]), at_end(record)]


def happened(record: t.Mapping[str, t.Any]) -> str:
    """How the run ended, how often a kernel was started, and what was not as expected."""
    quoted = f': "{shortened(record["said"])}"' if record["said"] else ""
    texts = [f"Exit code {record['code']}{quoted}"]
    starts = record["starts"]
    texts.append(f"{starts} start{'' if starts == 1 else 's'} of a kernel" if starts else "no reboot")
    if record.get("panic"):
        texts.append(f"panic: {record['panic']}")
    if record["node"]:
        node = record["node"]
        texts.append(f"node {'in service' if node['schedulable'] and node['ready'] == 'True' else 'NOT in service'}, was cordoned and evicted")
    return "; ".join([*texts, *(f"NOT AS EXPECTED: {problem}" for problem in record["problems"])])


def at_end(record: t.Mapping[str, t.Any]) -> str:
    """What runs, and what would be started."""
    same = record["running"] == record["default"]
    return f"{record['running']}, which is the default" if same else f"{record['running']}; default is {record['default']}"
