# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files by which systemd's udev and netplan set features."""

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import link_file
from ansible_collections.podnet.cni.plugins.module_utils._plan.features import Feature

FREE = Feature(wanted=True, active=True, changeable=True, fixed=False)
FIXED = Feature(wanted=False, active=False, changeable=False, fixed=True)
TUNNEL = {"tx-checksum-ipv4": FIXED, "tx-checksum-ip-generic": FREE, "rx-gro": FREE, "tx-tcp-segmentation": FREE, "tx-tcp6-segmentation": FREE}
DEFAULT = "# comment\n; another\n[Match]\nOriginalName=*\n\n[Link]\nNamePolicy=keep kernel\n\n[SR-IOV]\nVirtualFunction=0\n"


@pytest.mark.parametrize(
    ("wishes", "settings"),
    [
        ({"tx": False}, {"TransmitChecksumOffload": False}),
        ({"tx-checksum-ip-generic": False}, {"TransmitChecksumOffload": False}),
        ({"tso": True}, {"TCPSegmentationOffload": True, "TCP6SegmentationOffload": True}),
        ({"tx-tcp6-segmentation": False}, {"TCP6SegmentationOffload": False}),
        ({"rx-gro": False, "generic-receive-offload": False}, {"GenericReceiveOffload": False}),
    ],
)
def test_settings_of_systemd(wishes, settings):
    assert link_file.settings(wishes, TUNNEL) == (settings, [])


def test_what_systemd_has_no_setting_for():
    two = {"tx-checksum-ipv4": FREE, "tx-checksum-ipv6": FREE}
    assert link_file.settings({"tx-checksum-ipv4": False}, two) == ({}, ["tx-checksum-ipv4"])
    assert link_file.settings({"tx-checksum-ipv4": False, "tx-checksum-ipv6": True}, two)[1] == ["tx-checksum-ipv4", "tx-checksum-ipv6"]
    assert link_file.settings({"tx-checksum-ipv4": False, "tx-checksum-ipv6": False}, two) == ({"TransmitChecksumOffload": False}, [])
    assert link_file.settings({"tx-udp_tnl-segmentation": False}, TUNNEL) == ({}, ["tx-udp_tnl-segmentation"])


def test_versions_of_systemd():
    keys = ["TCPSegmentationOffload", "TransmitChecksumOffload", "NTupleFilter"]
    assert link_file.too_old(keys, 239) == ["TransmitChecksumOffload", "NTupleFilter"]
    assert link_file.too_old(keys, 252) == []


def test_a_link_file_brings_along_all_but_the_match_of_the_one_after_it():
    text = link_file.link_text(
        {"OriginalName": "flannel.1"}, "/usr/lib/x.link", [DEFAULT, "[Link]\nMTUBytes=1400\n"], {"TransmitChecksumOffload": False}
    )
    assert link_file.sections(text) == {
        "Match": ["OriginalName=flannel.1"],
        "Link": ["NamePolicy=keep kernel", "MTUBytes=1400", "TransmitChecksumOffload=no"],
        "SR-IOV": ["VirtualFunction=0"],
    }
    assert link_file.base_of(text) == "/usr/lib/x.link"
    assert link_file.base_of(DEFAULT) is None
    assert link_file.set_by(text) == {"TransmitChecksumOffload": False}


def test_a_netplan_file_can_be_read_back():
    values = {"TransmitChecksumOffload": False, "TCPSegmentationOffload": True}
    text = link_file.netplan_text("nic.1", values)
    assert link_file.set_by(text) == values
    import yaml

    assert yaml.safe_load(text) == {
        "network": {"version": 2, "ethernets": {"nic.1": {"transmit-checksum-offload": False, "tcp-segmentation-offload": True}}}
    }
