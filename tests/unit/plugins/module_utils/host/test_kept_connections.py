# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import kept_connections

BLOCKS = ["10.244.2.0/26"]
MASQUERADED = "src=172.30.1.11 dst=10.96.0.1 sport=4 dport=80 src=10.244.2.7 dst=172.30.1.11 sport=80 dport=9"
OF_A_POD = "src=10.244.1.5 dst=10.96.0.1 sport=4 dport=80 src=10.244.2.7 dst=10.244.1.5 sport=80 dport=4"


def line(fields, state="ESTABLISHED", mark=0, protocol="tcp"):
    return f"ipv4     2 {protocol}      6 431999 {state} {fields} [ASSURED] mark={mark} zone=0 use=2"


def found(*lines, own=()):
    return kept_connections.parse("\n".join(lines), 0x400, BLOCKS, own)


@pytest.mark.parametrize(("before", "after"), [("dst=172.30.1.11", "dst=10.244.1.0"), ("dport=9", "dport=4711")])
def test_a_masquerade_shows_by_another_address_or_port(before, after):
    assert found(line(MASQUERADED.replace(before, after))) == [("172.30.1.11", "10.244.2.7")]


def test_a_masquerade_that_does_not_show_is_counted_by_who_began():
    same = MASQUERADED.replace("dport=9", "dport=4")
    assert found(line(same)) == []
    assert found(line(same), own=["172.30.1.11"]) == [("172.30.1.11", "10.244.2.7")]


def test_a_pods_own_connection_does_not_mind():
    assert found(line(OF_A_POD)) == []


@pytest.mark.parametrize("changes", [{"state": "TIME_WAIT"}, {"mark": 1024}, {"mark": 0x4400}, {"protocol": "udp"}])
def test_what_has_ended_or_has_the_new_way_is_not_counted(changes):
    assert found(line(MASQUERADED, **changes), own=["172.30.1.11"]) == []


def test_pods_of_other_blocks_are_not_counted():
    assert found(line(MASQUERADED.replace("10.244.2.7", "10.244.9.7")), own=["172.30.1.11"]) == []


def test_lines_of_another_form_are_passed_over():
    assert found("", "ipv6 10 tcp 6 1 ESTABLISHED", "ipv4 2 tcp 6 99 ESTABLISHED src=1.1.1.1 [UNREPLIED]") == []
