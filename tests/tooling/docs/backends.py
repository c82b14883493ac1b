# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of Flannel's backends, from the rule that refuses them."""

from __future__ import annotations

from tooling.docs.markup import escape


def table() -> str:
    """Backend, why it cannot be migrated as it is, and what to do; backends with the same words together."""
    from ansible_collections.podnet.cni.plugins.module_utils._plan.rules.flannel import BACKENDS

    names: dict[tuple[str, str], list[str]] = {}
    for name, words in BACKENDS.items():
        names.setdefault(words, []).append(f"`{name}`")
    rows = ["| backend | why not | what to do |", "| --- | --- | --- |"]
    rows += [f"| {', '.join(some)} | {escape(why[:1].upper() + why[1:])}. | {escape(remedy)}. |" for (why, remedy), some in names.items()]
    return "\n".join(rows)
