# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans as the playbook shows them, made by the collection's own judge from facts that were recorded on a real cluster.

The collection must be importable, see C(tooling.tree).
"""

from __future__ import annotations

import importlib
import typing as t

COLLECTION = "ansible_collections.podnet.cni"
# The order of the parts of a plan, which are separated by empty lines.
TITLE, CLUSTER, NODES, STEPS, FINDINGS, VERDICT = range(6)


def recorded() -> t.Any:
    """The facts that the unit tests use: three nodes in two zones."""
    return importlib.import_module(f"{COLLECTION}.tests.unit.fixtures.facts").Lab()


def parts_of(lab: t.Any) -> list[str]:
    """The plan for these facts, part by part."""
    judge = importlib.import_module(f"{COLLECTION}.plugins.module_utils._plan.plan")
    texts = importlib.import_module(f"{COLLECTION}.plugins.module_utils._plan.texts")
    shown: str = texts.plan_table(judge.plan_migration(lab.cluster, lab.nodes, lab.settings))
    parts = shown.split("\n\n")
    if len(parts) != VERDICT + 1:
        raise ValueError(f"a plan has {len(parts)} parts, not {VERDICT + 1}: correct the order of the parts in {__name__}")
    return parts


def accepted() -> str:
    """A plan that can be carried out."""
    return _block(parts_of(recorded()))


def refused() -> str:
    """What a plan says of a node with a strict reverse path filter and of a pod with local data."""
    lab = recorded()
    lab.nodes["n2"]["sysctls"]["net.ipv4.conf.all.rp_filter"] = 1
    lab.pod("web")["empty_dir"] = True
    parts = parts_of(lab)
    return _block([parts[NODES], parts[FINDINGS], parts[VERDICT]])


def _block(parts: t.Iterable[str]) -> str:
    return "```text\n{}\n```".format("\n\n".join(parts))
