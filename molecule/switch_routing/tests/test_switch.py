# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After each switch: the routes, devices and sessions of the mode, nothing left of the way there, and no pod was restarted.

C(stopped) is the switch that could not succeed, after which the mode has to be the one of before.
"""

from __future__ import annotations

import ipaddress
import json
import typing as t

import pytest
from podnet_lab.lab import Lab
from podnet_molecule import results
from podnet_molecule.playbook import Outcome
from podnet_molecule.switching import MODES

Record = dict[str, t.Any]
VXLAN_MODE = {"bgp": "Never", "vxlan": "Always", "cross_subnet": "CrossSubnet"}
BACKEND = {"bgp": "bird", "vxlan": "vxlan", "cross_subnet": "vxlan"}
STATES = [("stopped", "bgp"), *((mode, mode) for mode in MODES)]
"""After which run which mode has to be there."""


@pytest.fixture(scope="module")
def record() -> Record:
    return t.cast(Record, json.loads((results.folder() / "switching.json").read_text(encoding="utf-8")))


def to_other_nodes(lab: Lab, node: Record) -> list[Record]:
    """Routes of the table main to pods of other nodes."""
    pods = ipaddress.ip_network(lab.topology.pod_cidr)
    return [
        route
        for route in node["routes"]
        if route.get("table", "main") == "main"
        and route.get("gateway")
        and route["dst"] != "default"
        and ipaddress.ip_network(route["dst"]).subnet_of(pods)
    ]


@pytest.mark.parametrize("mode", MODES)
def test_the_run_ends_well_and_the_next_one_has_nothing_to_do(record: Record, mode: str) -> None:
    first, again = Outcome(**record[mode]), Outcome(**record[f"again_{mode}"])
    assert first.code == 0, first.output
    assert (again.code, again.changed) == (0, 0), again.output
    assert "nothing to do" in again.text


def test_a_tunnel_that_does_not_carry_is_found_before_a_pod_takes_it(record: Record, lab: Lab) -> None:
    stopped = Outcome(**record["stopped"])
    assert stopped.code == 2, stopped.output
    assert "The switch from bgp to vxlan stops here." in stopped.text
    assert lab.nodes[-1].name in stopped.text.partition("stops here.")[2].partition("Remove the cause")[0], stopped.output
    assert "TASK [podnet.cni.switch_routing : Let new connections take the new way]" not in stopped.text


@pytest.mark.parametrize(("run", "mode"), STATES)
def test_the_cluster_is_that_of_the_mode(record: Record, lab: Lab, run: str, mode: str) -> None:
    after = record[f"after_{run}"]
    assert (after["pool"], after["backend"], after["locked"]) == (VXLAN_MODE[mode], BACKEND[mode], False)
    assert bool(after["peers"]) is (mode == "bgp")
    assert after["sessions"] == (len(lab.nodes) if mode == "bgp" else 0)
    tunnels = [address for address in after["tunnels"].values() if address]
    assert len(set(tunnels)) == (0 if mode == "bgp" else len(lab.nodes))
    assert not set(tunnels) & set(after["pods"].values())


@pytest.mark.parametrize(("run", "mode"), STATES)
def test_every_node_has_the_routes_of_the_mode(record: Record, lab: Lab, run: str, mode: str) -> None:
    zones = {node.name: node.zone for node in lab.nodes}
    for name, node in record[f"after_{run}"]["nodes"].items():
        found = to_other_nodes(lab, node)
        assert len(found) >= len(lab.nodes) - 1
        neighbours = {other.address for other in lab.nodes if other.zone == zones[name] and other.name != name}
        for route in found:
            native = mode == "bgp" or (mode == "cross_subnet" and route["gateway"] in neighbours)
            assert route["dev"] == ("eth0" if native else "vxlan.calico"), (name, route)
            if native:
                assert str(route["protocol"]) == ("bird" if mode == "bgp" else "80"), (name, route)
        assert ("vxlan.calico" in node["links"]) is (mode != "bgp")


@pytest.mark.parametrize(("run", "mode"), STATES)
def test_nothing_of_the_way_there_is_left(record: Record, run: str, mode: str) -> None:
    for name, node in record[f"after_{run}"]["nodes"].items():
        assert node["rules"] == [0, 32766, 32767], name
        assert [route for route in node["routes"] if str(route.get("table")) in ("27127", "27128")] == []
        assert (node["tables"], node["timers"]) == ([], []), name
        leftover = [route for route in node["routes"] if str(route.get("protocol")) == "80"]
        assert leftover == [] or mode != "bgp", (name, leftover)
        assert [route for route in node["routes"] if route.get("type") in ("unreachable", "prohibit")] == []


def test_no_pod_was_restarted(record: Record) -> None:
    before = record["before"]["pods"]
    assert before
    assert [uid for uid in before if record[f"after_{MODES[-1]}"]["pods"].get(uid) != before[uid]] == []
