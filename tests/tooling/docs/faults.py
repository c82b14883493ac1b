# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/faults.md: what became of every fault, from the results that the scenario C(faults) wrote (docs/faults.json)."""

from __future__ import annotations

import json
import typing as t

from tooling.docs.markup import escape
from tooling.places import ROOT

RESULTS = ROOT / "docs" / "faults.json"
MOST = 260
HEAD = """\
<!-- Written by tests/tooling/docs from docs/faults.json, which is what the molecule scenario `faults` wrote. -->
# Faults

Each was injected for real in the [lab](lab.md), on {nodes} nodes under load, while a playbook ran; where it stopped the run, the same playbook was
run again. Run until {date} with Kubernetes {kubernetes} and Calico {calico} by the molecule scenario `faults`
([molecule](../molecule/README.md)), some at a time (`PODNET_FAULTS`).

*Failed requests* are those of all probers from the start of the disturbed run until the nodes were whole again, in brackets those of pods in
their first three seconds. *Addresses*: all along, the addresses of all live sandboxes were read from the nodes and compared with each other and
with Calico's IPAM; what is counted are samples. Where it says so, `calicoctl ipam check` was asked at the end, too.

| fault | injected | expected | what happened | failed requests | addresses | at the end | how to go on |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page."""
    return render(json.loads(RESULTS.read_text(encoding="utf-8")))


def render(results: t.Mapping[str, t.Any]) -> str:
    """The page for some results."""
    rows = "".join(f"| {' | '.join(escape(cell) for cell in cells(record))} |\n" for record in results["faults"])
    return HEAD.format(**results["about"]) + rows


def cells(record: t.Mapping[str, t.Any]) -> list[str]:
    """One row."""
    requests, addresses = record["requests"], record["addresses"]
    found = [*addresses["twice"], *addresses["against_ipam"]]
    return [
        record["title"],
        f"{record['point'][:1].upper()}{record['point'][1:]}. {record['how']}",
        record["expected"],
        happened(record),
        failed(requests),
        f"{addresses['samples']} samples, {'; '.join(found) or 'none twice'}" + ipam(record),
        end(record),
        record["go_on"],
    ]


def failed(requests: t.Mapping[str, int]) -> str:
    """How many requests failed, and how many of them concerned a machine that was powered off."""
    text = f"{requests['failed']} ({requests['first_moments']}) of {requests['requests']}"
    off = requests.get("machine_off", 0)
    return f"{text}; {off} of them from or to the machine that was off" if off else text


def happened(record: t.Mapping[str, t.Any]) -> str:
    """How the disturbed run ended, the second one if there was one, and where that left the node."""
    code = record["code"]
    texts = [f"Passed after {record['seconds']} s." if code == 0 else "Killed." if code < 0 else f"Exit code {code} after {record['seconds']} s:"]
    if record["said"]:
        texts.append(f'"{shortened(record["said"])}"')
    if record["second"]:
        texts.append(f'The second run: exit code {record["second"]["code"]}, "{shortened(record["second"]["said"])}"')
    if code:
        texts.append(f"The node was then on {record['side']}; the lock was {'held' if record['locked'] else 'free'}.")
    if record.get("left"):
        texts.append(f"Pods that were under way: {record['left']}.")
    return " ".join(texts)


def ipam(record: t.Mapping[str, t.Any]) -> str:
    """What C(calicoctl ipam check) said at the end. The first faults were run without it, and it has nothing to say without Calico."""
    if "ipam" not in record:
        return ""
    return f"; IPAM: {record['ipam']}" if record["ipam"] else "; `calicoctl ipam check`: 0 problems"


def end(record: t.Mapping[str, t.Any]) -> str:
    """The state at the end, when all that there was to do was done."""
    again = record["going_on"]
    texts = [] if again is None else [f"Run again: exit code {again['code']}."]
    nodes = ", ".join(f"{name} {side}" for name, side in record["end"]["nodes"].items())
    return " ".join([*texts, f"{nodes}; lock {'held' if record['end']['locked'] else 'free'}"])


def shortened(text: str) -> str:
    """A long message up to a word."""
    return text if len(text) <= MOST else f"{text[:MOST].rsplit(' ', 1)[0]} ..."
