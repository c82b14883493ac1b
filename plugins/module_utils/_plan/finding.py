# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A finding: one record of what was found, why it matters and what to do. Pure: no input, no output."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan.words import natural_key

BLOCKER = "blocker"
WARNING = "warning"
INFO = "info"
SEVERITIES = (BLOCKER, WARNING, INFO)
"""From the worst on."""
PASSING = ("budget-allows-nothing-now", "calico-not-ready", "bgp-no-session", "bgp-node-session-down")
"""Ids of findings that may pass by themselves within a minute: pods that were evicted are on their way to be Ready, BIRD has just started."""


def rank(severity: str) -> int:
    """Place of a severity, from the worst on.

    :raises ValueError: when it is none.
    """
    if severity not in SEVERITIES:
        raise ValueError(f"severity: '{severity}' is no severity; use one of {', '.join(SEVERITIES)}")
    return SEVERITIES.index(severity)


@dataclasses.dataclass(frozen=True)
class Finding:
    """One finding.

    C(evidence), C(why) and C(remedy) are sentences for operators. C(source) says where the rule comes from, mostly a file of a GitHub
    repository as C(owner/repo:path). C(nodes) names the nodes that it is about; it is not part of the record for others.
    """

    id: str
    severity: str
    subject: str
    evidence: str
    why: str
    remedy: str
    source: str
    nodes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rank(self.severity)

    def to_dict(self) -> dict[str, str]:
        """The record that everybody else sees."""
        record = dataclasses.asdict(self)
        del record["nodes"]
        return record


def sort_key(finding: Finding) -> tuple[t.Any, ...]:
    """The worst first, the same ids together, subjects as people count."""
    return (rank(finding.severity), finding.id, natural_key(finding.subject))


def ordered(findings: t.Iterable[Finding]) -> list[Finding]:
    """Findings in the order in which they are shown."""
    return sorted(findings, key=sort_key)


def is_blocked(findings: t.Iterable[Finding]) -> bool:
    """Whether one of them forbids to go on."""
    return any(finding.severity == BLOCKER for finding in findings)


def may_pass(findings: t.Iterable[Finding]) -> bool:
    """Whether all that forbids to go on may pass by itself, so that it is worth to look again."""
    blockers = {finding.id for finding in findings if finding.severity == BLOCKER}
    return bool(blockers) and blockers <= set(PASSING)


def blockers_of(findings: t.Iterable[Finding], node: str) -> list[str]:
    """Ids of the findings that forbid to move a node."""
    return sorted({finding.id for finding in findings if finding.severity == BLOCKER and node in finding.nodes})
