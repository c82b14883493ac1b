# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of kernel settings, and which file has the last word."""

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import sysctl_files


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
    ],
)
def test_the_first_separator_decides(key, path):
    assert sysctl_files.path_of(key) == path
    assert sysctl_files.path_of(sysctl_files.dotted(path)) == path


def test_values_are_compared_as_the_kernel_does():
    assert sysctl_files.same("4096\t131072 1", " 4096 131072 01 ")
    assert not sysctl_files.same("1", "1 2")
    assert not sysctl_files.same("cubic", "reno")


def test_lines_of_a_file():
    text = "# c\n; c\n\nnet.ipv4.ip_forward=1\n -net.ipv4.tcp_rmem = 1  2\t3 \n-net.ipv4.conf.*.rp_filter\nnonsense\n=1\n"
    assert sysctl_files.parse("f", text) == [
        sysctl_files.Setting("net/ipv4/ip_forward", "1", "f", 4),
        sysctl_files.Setting("net/ipv4/tcp_rmem", "1 2 3", "f", 5),
    ]


def test_the_last_line_counts():
    later = sysctl_files.parse("f", "a.b = 2\na.b = 1\na.* = 3\n")
    assert sysctl_files.overrides({"a.b": "1", "a/c": "3"}, later) == []
    assert [(found.key, found.setting.line, found.certain) for found in sysctl_files.overrides({"a.b": "5", "a.c": "5"}, later)] == [
        ("a.b", 2, True),
        ("a.c", 3, False),
    ]


def test_a_module_that_is_there_is_not_proposed():
    known = ["net/bridge/bridge-nf-call-iptables"]
    assert "load the module br_netfilter" in sysctl_files.unknown("net.bridge.bridge-nf-call-iptables", [], [])
    assert "did you mean net.bridge.bridge-nf-call-iptables" in sysctl_files.unknown("net.bridge.bridge-nf-call-iptable", known, [])
