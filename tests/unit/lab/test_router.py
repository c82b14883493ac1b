# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The router's configuration, and the topologies that it is made from."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from podnet_lab import inventory, lab, router, topology
from podnet_lab.errors import LabError

TOPOLOGIES = sorted(lab.DEFAULT_TOPOLOGY.parent.glob("*.yml"))
ZONES = [{"name": "a", "subnet": "172.30.1.0/24", "nodes": ["n1"]}, {"name": "b", "subnet": "172.30.2.0/24", "as_number": 65002, "nodes": ["n2"]}]


def configured(**router_fields):
    resolved = topology.resolve({"zones": ZONES, "router": router_fields})
    return resolved, router.configuration(resolved, Path("/log"))


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_every_topology_can_be_read_and_written_again(path):
    resolved = topology.load(path)
    assert topology.resolve(lab._source_form(resolved), resolved.name) == resolved
    assert yaml.safe_dump(inventory.inventory(resolved, Path("/state")))


def test_nodes_of_its_own_as_are_reflected_to_and_those_of_another_are_not():
    dummy, text = configured()
    zones = text.split("# Nodes of zone ")[1:]
    assert "zone_a from same_as {\n  neighbor range 172.30.1.0/24 as 64512;" in zones[0]
    assert "zone_b from other_as {\n  neighbor range 172.30.2.0/24 as 65002;" in zones[1]
    assert "password" not in text
    other = text[text.index("template bgp other_as") : text.index("# Nodes of zone a")]
    assert "rr client" not in other and "next hop keep" not in other


def test_a_password_is_of_all_sessions_and_the_inventory_names_the_secret_only():
    resolved, text = configured(password="secret-1", as_number=64600)
    assert text.count('  password "secret-1";\n}') == 2
    variables = inventory.inventory(resolved, Path("/state"))["all"]["vars"]
    assert "secret-1" not in str(variables)
    assert [peer["password"] for peer in variables["podnet_bgp_peers"]] == [inventory.PASSWORD] * 2
    assert [peer.get("num_allowed_local_as_numbers") for peer in variables["podnet_bgp_peers"]] == [None, 1]
    assert variables["podnet_bgp_zone_as_numbers"] == {"b": 65002}


def test_a_password_that_would_break_the_configuration_is_refused():
    with pytest.raises(LabError, match="router.password"):
        configured(password='a"; }')
