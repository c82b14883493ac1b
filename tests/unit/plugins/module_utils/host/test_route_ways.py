# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._host import route_ways


def test_several_next_hops_are_kept():
    hops = [{"gateway": "172.30.1.1", "dev": "eth0", "weight": 1, "flags": []}, {"gateway": "172.30.1.2", "dev": "eth1", "flags": ["onlink"]}]
    assert route_ways.words_of({"dst": "10.244.2.0/26", "nexthops": hops}) == (
        "nexthop via 172.30.1.1 dev eth0 weight 1 nexthop via 172.30.1.2 dev eth1 onlink weight 1"
    )


def test_what_leads_nowhere_has_no_words():
    assert [route_ways.words_of({"dst": "10.244.1.0/26", "type": kind}) for kind in ("blackhole", "unreachable")] == [None, None]


def test_the_smallest_metric_wins():
    routes = [
        {"dst": "10.244.2.0/26", "gateway": "172.30.1.1", "dev": "eth0", "metric": 1024},
        {"dst": "10.244.2.0/26", "gateway": "10.244.2.0", "dev": "vxlan.calico"},
    ]
    assert route_ways.ways_of(routes) == {"10.244.2.0/26": "via 10.244.2.0 dev vxlan.calico"}
