# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pages are written by a program, and which parts of pages that people write."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from tooling.docs import backends, faults, gaps, modules, plans, rbac, refusals, variables, vm
from tooling.places import ROOT

Text = t.Callable[[], str]

PAGES: t.Mapping[str, Text] = {
    "docs/examples/rbac-plan.yml": rbac.plan,
    "docs/examples/rbac.yml": rbac.whole,
    "docs/faults.md": faults.page,
    "docs/gaps.svg": gaps.page,
    "docs/modules.md": modules.page,
    "docs/refusals.md": refusals.page,
}
PARTS: t.Mapping[str, t.Mapping[str, Text]] = {
    "README.md": {"plan": plans.accepted},
    "docs/kernel_upgrade.md": {"results": vm.table},
    "docs/migrate_to_calico.md": {"backends": backends.table, "variables": variables.table, "refused plan": plans.refused},
}
"""Parts stand between C(<!-- begin: NAME -->) and C(<!-- end: NAME -->)."""


class NoPlace(Exception):
    """A page has no marks for a part."""


def fill(text: str, name: str, part: str, page: str = "") -> str:
    """The page with a part put between its marks.

    :raises NoPlace: when the marks are not there.
    """
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    pattern = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise NoPlace(f"{page}: there must be one place between '{begin}' and '{end}'")
    return pattern.sub(lambda dummy: f"{begin}\n{part}\n{end}", text)


def wanted(root: Path = ROOT) -> dict[str, str]:
    """Every page that a program has a part in, as it should be."""
    pages = {name: make() for name, make in PAGES.items()}
    for name, parts in PARTS.items():
        pages[name] = (root / name).read_text(encoding="utf-8")
        for part, make in parts.items():
            pages[name] = fill(pages[name], part, make(), name)
    return pages


def outdated(root: Path = ROOT) -> list[str]:
    """Pages that are not as they should be."""
    return [name for name, text in wanted(root).items() if not (root / name).exists() or (root / name).read_text(encoding="utf-8") != text]


def write(root: Path = ROOT) -> list[str]:
    """Bring the pages up to date; those that were not."""
    pages = wanted(root)
    names = outdated(root)
    for name in names:
        (root / name).write_text(pages[name], encoding="utf-8")
    return names
