# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about what is there and has not moved a whole cluster yet: nobody gets it by mistake."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import modes
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.switch_situation import Switch


def untried(situation: Switch) -> t.Iterator[Finding]:
    """A playbook whose scenario has not passed in the lab."""
    if not situation.switches or modes.SWITCHES_PROVED:
        return
    yield Finding(
        "setting-untried",
        WARNING if situation.settings.allow_untried else BLOCKER,
        "switch_routing",
        f"To be led by {situation.settings.routing}.",
        "It has led a cluster under load from each of three modes to the next in the lab, but connections failed on the way.",
        "Leave it as it is; or try it on a cluster that may be lost, with podnet_allow_untried=true.",
        "podnet.cni:docs/results.md",
    )


RULES = (untried,)
