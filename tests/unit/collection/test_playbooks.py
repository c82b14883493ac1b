# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No play goes on without a node: what every node has to pass is counted by the controller, since an unreachable node is only left out by Ansible."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.podnet.cni.plugins.modules import cni_facts

PLAYBOOKS = Path(cni_facts.__file__).resolve().parents[2] / "playbooks"
ON_EVERY_NODE = "preflight_node | list"
PROVED_ELSEWHERE = "podnet_fabric_proved"
"""Its play is judged by that of C(Beside | Decide)."""
BEFORE_MOVES = "prepared"
"""What is failed then, C(Beside | Decide) takes back and ends the run for."""


def is_judged_elsewhere(play):
    return bool(values_of(play, PROVED_ELSEWHERE))


def plays_of(name):
    return yaml.safe_load((PLAYBOOKS / name).read_text(encoding="utf-8"))


def values_of(data, key):
    """All values of a key, however deep."""
    if isinstance(data, list):
        return [value for item in data for value in values_of(item, key)]
    if isinstance(data, dict):
        return [found for own, value in data.items() for found in ([value] if own == key else []) + values_of(value, key)]
    return []


@pytest.mark.parametrize(("name", "stages"), [("migrate_to_calico.yml", 4), ("rollback_to_flannel.yml", 6)])
def test_what_every_node_passes_is_counted_by_the_next_play(name, stages):
    plays = plays_of(name)
    judged = [(play, after) for play, after in zip(plays, plays[1:]) if ON_EVERY_NODE in play["hosts"] and not is_judged_elsewhere(play)]
    assert len(judged) == stages
    for play, after in judged:
        (stage,) = values_of(play, "podnet_passed")
        assert values_of(after, "gate_stage") == [stage], play["name"]
        assert "localhost" in after["hosts"]
        (rescue,) = values_of(after, "rescue")
        if stage == BEFORE_MOVES:
            assert values_of(rescue, "podnet_beside_failed")
        else:
            assert [task["ansible.builtin.import_role"]["tasks_from"] for task in rescue] == ["stop"]


@pytest.mark.parametrize("name", ["migrate_to_calico.yml", "rollback_to_flannel.yml"])
def test_all_other_plays_on_every_node_are_judged(name):
    plays = [play for play in plays_of(name) if ON_EVERY_NODE in play["hosts"]]
    assert plays
    assert [play["name"] for play in plays if not values_of(play, "podnet_passed") and not is_judged_elsewhere(play)] == []


SWITCH = "switch_routing.yml"
ON_SWITCHED_NODES = ("podnet_switching", "preflight_moving")


def test_a_switch_counts_what_every_node_passes_and_goes_back():
    plays = plays_of(SWITCH)
    judged = [(play, after) for play, after in zip(plays, plays[1:]) if values_of(play, "podnet_passed")]
    assert len(judged) == 7
    for play, after in judged:
        (stage,) = values_of(play, "podnet_passed")
        assert values_of(after, "gate_stage") == [stage], play["name"]
        assert "localhost" in after["hosts"]
        assert any(name in play["hosts"] for name in ON_SWITCHED_NODES)
        (rescue,) = values_of(after, "rescue")
        assert bool(values_of(rescue, "podnet_back")) is (stage != "given"), play["name"]


def test_a_switch_goes_back_in_the_order_in_which_ways_are_there():
    back = [play for play in plays_of(SWITCH) if "podnet_back" in str(play["hosts"])]
    assert [values_of(play, "tasks_from")[0] for play in back] == ["back", "back_node", "stop"]


def test_every_node_is_prepared_before_calico_starts_however_packets_are_routed():
    plays = plays_of("migrate_to_calico.yml")
    names = [play["name"] for play in plays]
    prepare, install = names.index("Beside | Prepare the nodes"), names.index("Beside | Install Calico beside Flannel")
    assert prepare < install
    assert "routing" not in plays[prepare]["hosts"]
    (gate,) = [task for task in values_of(plays[install], "block")[0] if task.get("vars", {}).get("gate_stage") == "prepared"]
    assert "when" not in gate
