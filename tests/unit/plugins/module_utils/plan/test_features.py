# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be asked of a device's features, and what came of it."""

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import features
from ansible_collections.podnet.cni.plugins.module_utils._plan.features import Feature

ON = Feature(wanted=True, active=True, changeable=True, fixed=False)
OFF = Feature(wanted=False, active=False, changeable=True, fixed=False)
HELD = Feature(wanted=True, active=False, changeable=True, fixed=False)
FIXED_ON = Feature(wanted=True, active=True, changeable=False, fixed=True)
FIXED_OFF = Feature(wanted=False, active=False, changeable=False, fixed=True)
DEVICE = {
    "tx-checksum-ipv4": FIXED_OFF,
    "tx-checksum-ip-generic": ON,
    "tx-checksum-sctp": OFF,
    "tx-tcp-segmentation": ON,
    "tx-tcp6-segmentation": HELD,
    "tx-udp_tnl-segmentation": FIXED_OFF,
    "rx-gro": OFF,
    "rx-checksum": FIXED_ON,
}


def test_groups_stand_for_what_the_device_can_change():
    assert features.request("eth0", {"tx": False}, DEVICE) == {"tx-checksum-ip-generic": False, "tx-checksum-sctp": False}
    assert features.request("eth0", {"tx": True}, DEVICE) == {"tx-checksum-ip-generic": True, "tx-checksum-sctp": True}
    assert features.request("eth0", {"tcp-segmentation-offload": False}, DEVICE) == {"tx-tcp-segmentation": False, "tx-tcp6-segmentation": False}


@pytest.mark.parametrize("order", [1, -1])
def test_one_feature_goes_before_its_group(order):
    wishes = dict([("tso", False), ("tx-tcp6-segmentation", True)][::order])
    assert features.request("eth0", wishes, DEVICE) == {"tx-tcp-segmentation": False, "tx-tcp6-segmentation": True}


def test_fixed_as_asked_is_nothing_to_do():
    assert features.request("eth0", {"rx": True, "tx-udp_tnl-segmentation": False}, DEVICE) == {}


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"rx": False}, "'rx' (rx-checksum) of eth0 is fixed: its driver has it on"),
        ({"tx-udp_tnl-segmentation": True}, "'tx-udp_tnl-segmentation' of eth0 is fixed: its driver has it off"),
        ({"rx-grow": True}, "'rx-grow' is none that this kernel knows; did you mean rx-gro"),
        ({"zzz": True}, "'zzz' is none that this kernel knows; use a short name of ethtool's"),
    ],
)
def test_what_cannot_be_is_refused(wish, words):
    with pytest.raises(features.Refused) as refused:
        features.request("eth0", wish, DEVICE)
    assert words in str(refused.value)


def test_a_group_with_a_part_that_is_fixed_on_cannot_be_off():
    device = {"tx-checksum-ipv4": FIXED_ON, "tx-checksum-ip-generic": ON}
    with pytest.raises(features.Refused, match="'tx' .tx-checksum-ipv4. of eth0 is fixed"):
        features.request("eth0", {"tx": False}, device)


def test_only_what_is_not_wanted_that_way_is_written():
    assert features.to_write({"tx-tcp-segmentation": False, "tx-tcp6-segmentation": True, "rx-gro": True}, DEVICE) == {
        "tx-tcp-segmentation": False,
        "rx-gro": True,
    }


def test_what_is_wanted_and_not_in_force_is_told():
    assert features.unmet({"tx-tcp6-segmentation": True, "tso": True, "gro": False, "rx": False}, DEVICE) == ["tx-tcp6-segmentation", "rx"]


def test_texts():
    assert [features.text_of(feature) for feature in (ON, OFF, HELD)] == ["on", "off", "off (on is wanted)"]
    assert features.different(DEVICE, {**DEVICE, "rx-gro": ON, "new": ON}) == ["rx-gro"]
