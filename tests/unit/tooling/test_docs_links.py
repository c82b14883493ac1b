# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links inside of the documentation."""

from __future__ import annotations

import re

import pytest
from tooling.places import ROOT

FILES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "roles").glob("*/README.md")]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in FILES)


def links(page):
    """Target and anchor of each link and picture that does not lead elsewhere."""
    found = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", (ROOT / page).read_text(encoding="utf-8"))
    return [(target, anchor) for target, anchor in found if "://" not in target]


def anchors(page):
    """The anchors that GitHub makes of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_pages():
    assert {"README.md", "docs/migrate_to_calico.md", "docs/refusals.md", "docs/modules.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target, anchor in links(page):
        other = (ROOT / page).parent / target if target else ROOT / page
        assert other.exists(), f"{page} leads to {target}"
        assert not anchor or anchor in anchors(other), f"{page} leads to {target}#{anchor}"
