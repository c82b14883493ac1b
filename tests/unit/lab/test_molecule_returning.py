# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as a trace once everything is back."""

from __future__ import annotations

import pytest
from podnet_molecule import returning

BEFORE = {
    "cluster objects": ["DaemonSet kube-flannel/kube-flannel-ds version 7 by kubelet at 1"],
    "cluster nodes": ["n1 label zone: a", 'n1 annotation flannel.alpha.coreos.com/backend-data: "{VtepMAC: 1}"'],
    "n1 routes": ["10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink", "fe80::/64 dev veth1 proto kernel metric 256 pref medium"],
    "n1 files": ["drwxr-xr-x 0 /opt/cni/bin"],
    "n1 iptables-nft-save": ["*filter"],
}


def after(section: str, *lines: str) -> list[str]:
    return returning.changes(BEFORE, {**BEFORE, section: [*BEFORE.get(section, []), *lines]})


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("cluster objects", "CustomResourceDefinition ippools.crd.projectcalico.org version 9"),
        ("cluster objects", "ConfigMap kube-system/calico-config version 9"),
        ("cluster nodes", "n1 annotation projectcalico.org/IPv4Address: 1"),
        ("cluster nodes", 'n1 condition NetworkUnavailable: "True"'),
        ("n1 links", "vxlan.calico: <UP> mtu 1450"),
        ("n1 routes", "blackhole 10.244.1.0/26 proto bird"),
        ("n1 routes", "10.244.2.0/27 via 10.244.2.0 dev flannel.1 proto kernel metric 27127 onlink"),
        ("n1 files", "-rwxr-xr-x 0 /opt/cni/bin/calico"),
        ("n1 sysctls", "/proc/sys/net/ipv4/conf/cni0/proxy_arp:1"),
        ("n1 iptables-nft-save", ":cali-FORWARD - [0:0]"),
        ("n1 nft", "\t\tcounter packets 1 jump cali-FORWARD"),
        ("n1 units", "podnet-cni-watchdog.timer loaded"),
        ("n1 ipsets", "cali40all-ipam-pools"),
        ("n1 folders", "/var/lib/calico"),
        ("n1 folders", "/var/log/calico"),
        ("n1 addresses-kept-from-flannel", "/var/lib/cni/networks/cbr0/10.244.1.253"),
    ],
)
def test_traces(section: str, line: str) -> None:
    assert after(section, line) == [f"{section}: + {line.partition(' version')[0]}"]


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("cluster objects", "DaemonSet kube-flannel/kube-flannel-ds version 99 by podnet.cni at 2"),
        ("cluster objects", "ConfigMap kube-system/podnet-cni-migration version 3"),
        ("cluster pods", "demo/web-1 Running"),
        ("cluster nodes", 'n1 annotation flannel.alpha.coreos.com/backend-data: "{VtepMAC: 2}"'),
        ("n1 routes", "local fe80::1 dev veth2 table local proto kernel metric 0 pref medium"),
        ("n1 files", "-rw------- 0 /var/lib/podnet/backup/1/manifest.json"),
        ("n1 iptables-nft-save", "*raw"),
        ("n1 nft", "\t\ttype filter hook output priority raw; policy accept;"),
    ],
)
def test_what_is_another_after_restarts(section: str, line: str) -> None:
    assert after(section, line) == []


def test_what_went_is_a_change_too() -> None:
    assert returning.changes(BEFORE, {**BEFORE, "n1 files": []}) == ["n1 files: - drwxr-xr-x 0 /opt/cni/bin"]


def test_only_logs_stay_and_only_where_there_were_none() -> None:
    before = {"n1 folders": [], "n2 folders": [returning.LOGS], "n1 ipsets": [], "cluster pods": []}
    after = {**before, "n1 folders": [returning.LOGS]}
    assert returning.changes(before, after) == returning.logs_that_stay(before) == ["n1 folders: + /var/log/calico"]
