# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/refusals.md: every finding that the preflight and the gates can come to."""

from __future__ import annotations

import typing as t

from tooling.docs.markup import escape
from tooling.docs.rules import Rule, asked_after_moves, read_rules

PREFLIGHT = ("flannel", "nodes", "addresses", "calico", "pods", "host", "mtu", "bgp", "routing", "reflectors", "access")
"""Files of rules in the order in which preflight.py asks them."""
ROLLBACK = ("going_back",)
"""Files of rules that only rollback.py asks."""
SWITCH = ("switching",)
"""Files of rules that only switching.py asks."""
TITLES = {
    "rules/flannel.py": "Flannel",
    "rules/nodes.py": "Nodes and inventory",
    "rules/addresses.py": "Addresses",
    "rules/calico.py": "Calico, if there is one already",
    "rules/pods.py": "Pods",
    "rules/host.py": "Inside the nodes",
    "rules/mtu.py": "MTU",
    "rules/bgp.py": "BGP and settings",
    "rules/routing.py": "The way to other nodes' pods",
    "rules/reflectors.py": "Route reflectors",
    "rules/access.py": "Rights in the cluster",
    "rules/going_back.py": "Going back to Flannel",
    "rules/switching.py": "Another mode of routing",
    "routing.py": "Routes and sessions",
    "sessions.py": "Sessions of each node",
    "gate.py": "Gates after each batch",
}
INTRODUCTIONS = {
    "rules/switching.py": "Asked by the preflight of `switch_routing`, with rules about nodes, Calico, AWS and passwords above.",
    "rules/going_back.py": "Asked by the preflight of `rollback_to_flannel`, with most rules about nodes and pods above.",
    "routing.py": "Asked by the preflight, by the proof of the fabric and by every gate. "
    "[`block-route-missing`](#block-route-missing) is asked by the gates only.",
    "sessions.py": "Asked by the preflight of the migration and by its gates, of the BIRD of each node.",
    "gate.py": "Asked of the cluster and of the nodes of the batch, again and again until all is well or `podnet_settle_seconds` are over. "
    "A blocker stops the run; nodes of earlier batches stay as they are.",
}
HEAD = """\
<!-- Written by tests/tooling/docs from plugins/module_utils/_plan. Change it there; a unit test fails when this page is out of date. -->
# Refusals and warnings

Every finding has an id, a severity, what was found, why it matters and what to do. They are shown with the plan, and the id leads here.

| severity | what happens |
| --- | --- |
| **blocker** | The run refuses to begin, or stops at the gate. With `--check` the plan is shown all the same. |
| **warning** | The run goes on. Read it before you give your consent. |
| **info** | Nothing to do. |

Words in capitals stand for what the finding really names. {after} are also asked when all nodes are on Calico and only Flannel is left to
be removed; the other rules of the preflight are not asked any more then.
"""


def rules() -> list[Rule]:
    """All of them, in the order of the page."""
    return read_rules([*(f"rules/{name}.py" for name in (*PREFLIGHT, *ROLLBACK, *SWITCH)), "routing.py", "sessions.py", "gate.py"])


def page() -> str:
    """The whole page."""
    found = rules()
    after = asked_after_moves()
    names = [f"`{rule.id}`" for rule in found if (rule.file, rule.function) in after]
    parts = [HEAD.format(after=f"{', '.join(names[:-1])} and {names[-1]}")]
    for file, title in TITLES.items():
        mine = [rule for rule in found if rule.file == file]
        parts.append(f"## {title}\n")
        if file in INTRODUCTIONS:
            parts.append(f"{INTRODUCTIONS[file]}\n")
        parts.append("\n".join(_overview(mine)) + "\n")
        parts += [_detail(rule) for rule in mine]
    return "\n".join(parts)


def _overview(found: t.Iterable[Rule]) -> t.Iterator[str]:
    yield "| finding | severity | rule |"
    yield "| --- | --- | --- |"
    for rule in found:
        yield f"| [`{rule.id}`](#{rule.id}) | {_severity(rule)} | {escape(rule.about)} |"


def _severity(rule: Rule) -> str:
    return " or ".join(rule.severities)


def _detail(rule: Rule) -> str:
    whys = dict.fromkeys(variant.why for variant in rule.variants)
    return f"### {rule.id}\n\n**Why:** {_either(whys)}\n\n{_remedies(rule)}\n"


def _remedies(rule: Rule) -> str:
    """What to do, apart for each severity where that makes a difference."""
    by_severity = {severity: _either(variant.remedy for variant in rule.variants if variant.severity == severity) for severity in rule.severities}
    if len(set(by_severity.values())) == 1:
        return f"**What to do ({_severity(rule)}):** {by_severity[rule.severities[0]]}"
    return "\n\n".join(f"**What to do ({severity}):** {text}" for severity, text in by_severity.items())


def _either(texts: t.Iterable[str]) -> str:
    """Texts of which one is told, depending on what was found."""
    return " *Or:* ".join(escape(text) for text in dict.fromkeys(texts))
