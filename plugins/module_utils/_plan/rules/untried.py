# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about what is there and has not moved a whole cluster yet: nobody gets it by mistake."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import modes, reflectors
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Situation
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import listed, per_node


def untried(situation: Situation) -> t.Iterator[Finding]:
    """Settings, and a playbook, whose scenario has not run to its end in the lab."""
    settings = situation.settings
    chosen = {
        "podnet_calico_routing": settings.routing if settings.routing in modes.MODES and settings.routing not in modes.PROVED else None,
        "podnet_route_reflectors": settings.route_reflectors if reflectors.is_wanted(situation) else None,
        "podnet_bgp_zone_as_numbers": per_node(settings.zone_as_numbers) or None,
    }
    if situation.switches and not modes.SWITCHES_PROVED:
        chosen["switch_routing"] = settings.routing
    names = [name for name, value in chosen.items() if value is not None]
    if (situation.to_move or situation.switches) and names:
        yield Finding(
            "setting-untried",
            WARNING if settings.allow_untried else BLOCKER,
            listed(names),
            f"Set to {listed(str(chosen[name]) for name in names)}.",
            "It is covered by unit tests, but has not moved a whole cluster under load in the lab yet: nobody knows whether it does so without a "
            "failed request, or at all.",
            "Leave it out; or try it on a cluster that may be lost, with podnet_allow_untried=true.",
            "podnet.cni:docs/results.md",
        )


RULES = (untried,)
