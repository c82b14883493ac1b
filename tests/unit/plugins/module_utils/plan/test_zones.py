# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zones of nodes, above all of a cluster on AWS: three zones with a subnet each, and a second subnet in the first."""

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import zones

SUBNETS = {"n1": "10.0.1.0/24", "n2": "10.0.2.0/24", "n3": "10.0.3.0/24", "n4": "10.0.1.0/24", "n5": "10.0.9.0/24"}
ZONES = {"n1": "eu-west-1a", "n2": "eu-west-1b", "n3": "eu-west-1c", "n4": "eu-west-1a", "n5": "eu-west-1a"}


def nodes(provider_id, label=None):
    return [
        {"name": name, "provider_id": provider_id.format(zone=zone, name=name), "labels": {label: zone} if label else {}}
        for name, zone in ZONES.items()
    ]


@pytest.mark.parametrize("label", zones.LABELS)
def test_labels_tell_wherever_a_node_is(label):
    assert zones.zones_of(nodes("metal://{name}", label), SUBNETS) == ZONES
    assert zones.zones_of(nodes("", label), {}) == ZONES


def test_a_label_goes_before_the_provider_id():
    (first, *dummy) = nodes("aws:///elsewhere/i-{name}", zones.LABELS[0])
    assert zones.zones_of([first], SUBNETS) == {"n1": "eu-west-1a"}


def test_without_labels_the_provider_id_of_aws_tells():
    assert zones.zones_of(nodes("aws:///{zone}/i-{name}"), SUBNETS) == ZONES


@pytest.mark.parametrize("provider_id", ["aws:////i-{name}", "aws:///i-{name}"])
def test_without_either_a_subnet_of_aws_stands_for_its_zone(provider_id):
    assert zones.zones_of(nodes(provider_id), SUBNETS) == SUBNETS
    assert set(zones.zones_of(nodes(provider_id), {}).values()) == {""}


def test_a_node_that_is_silent_is_in_the_zone_of_its_subnet():
    found = nodes("aws:////i-{name}")
    found[0]["labels"] = {zones.LABELS[0]: "eu-west-1a"}
    assert zones.zones_of(found, SUBNETS) == {**SUBNETS, "n1": "eu-west-1a", "n4": "eu-west-1a"}


@pytest.mark.parametrize("provider_id", ["", "gce://project/{zone}/{name}", "i-{name}"])
def test_elsewhere_a_subnet_says_nothing(provider_id):
    assert set(zones.zones_of(nodes(provider_id), SUBNETS).values()) == {""}


@pytest.mark.parametrize(("provider_id", "cloud"), [("aws:///a/i-1", "aws"), ("gce://p/z/n", "gce"), ("i-1", ""), ("", ""), (None, "")])
def test_the_cloud_of_a_node(provider_id, cloud):
    assert zones.cloud_of({"provider_id": provider_id}) == cloud
