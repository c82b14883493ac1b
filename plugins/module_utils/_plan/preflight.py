# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All rules that are asked before anything changes. Pure: no input, no output."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import Finding, ordered
from ansible_collections.podnet.cni.plugins.module_utils._plan.routing import routing_findings
from ansible_collections.podnet.cni.plugins.module_utils._plan.rules import (
    access,
    addresses,
    bgp,
    calico,
    flannel,
    host,
    mtu,
    nodes,
    pods,
    reflectors,
    routing,
)
from ansible_collections.podnet.cni.plugins.module_utils._plan.sessions import session_findings
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Situation

Rule = t.Callable[[Situation], t.Iterator[Finding]]
Asked = t.TypeVar("Asked", bound=Situation)

BEFORE_MOVES: tuple[Rule, ...] = (
    *flannel.RULES,
    *nodes.RULES,
    *addresses.RULES,
    *calico.RULES,
    *pods.RULES,
    *host.RULES,
    *mtu.RULES,
    *bgp.RULES,
    *routing.RULES,
    *reflectors.RULES,
    *access.RULES,
)
"""Asked while a node is still to be moved."""
AFTER_MOVES: tuple[Rule, ...] = (
    access.missing,
    access.unknown,
    flannel.canal,
    flannel.owners,
    nodes.not_ready,
    nodes.missing_in_inventory,
    nodes.unknown_hosts,
    nodes.unreachable,
    calico.not_ready,
    host.tools,
    routing.changes,
)
"""Asked when all nodes are on Calico: about the removal of Flannel only, since pools and blocks then belong to whoever runs the cluster."""


def ask(rules: t.Iterable[t.Callable[[Asked], t.Iterator[Finding]]], situation: Asked) -> list[Finding]:
    """Everything that some rules find, and what is wrong with routes and sessions, the worst first."""
    found = [finding for rule in rules for finding in rule(situation)]
    return ordered([*found, *routing_findings(situation.cluster, situation.nodes)])


def preflight(situation: Situation) -> list[Finding]:
    """Everything that the rules find, the worst first."""
    found = ask(BEFORE_MOVES if situation.to_move else AFTER_MOVES, situation)
    return ordered([*found, *session_findings(situation.cluster, situation.nodes)])
