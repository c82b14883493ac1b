# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of MTUs, in the words of operators."""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._plan import mtu, mtu_findings
from ansible_collections.podnet.cni.plugins.module_utils._plan.mtu import NODE_END, POD_END, TUNNEL, UNDERLAY, Link
from ansible_collections.podnet.cni.plugins.module_utils._plan.path_mtu import Path


def only(findings):
    (finding,) = findings
    return finding


def test_good_ways_have_no_findings():
    assert list(mtu_findings.of_paths([Path("a", "eth0", 1500, 1500, None, None), Path("b", "flannel.1", 1450, 1450, None, None)])) == []


def test_a_mixture_of_jumbo_frames_and_others():
    paths = [Path(f"n{number}", "eth0", 9000, 9000 if number < 10 else 1500, None, None) for number in (2, 3, 10)]
    found = {finding.id: finding for finding in mtu_findings.of_paths(paths)}
    assert set(found) == {"mtu-path-smaller", "mtu-mixture"}
    assert found["mtu-mixture"].evidence == "Ways to peers differ: 9000 to n2, n3; 1500 to n10 (bytes)."
    assert "the same MTU: 1500" in found["mtu-mixture"].remedy


def test_a_silent_hop_and_one_that_says_so():
    silent = only(mtu_findings.of_paths([Path("a", "eth0", 1500, 1400, None, None)]))
    assert silent.id == "mtu-path-smaller" and "lost without a word" in silent.evidence and "1400" in silent.remedy
    assert "192.0.2.1 says so" in only(mtu_findings.of_paths([Path("a", "eth0", 1500, 1400, "192.0.2.1", None)])).evidence


def test_a_smaller_way_back_and_a_silent_peer():
    assert "fragments of up to 1396" in only(mtu_findings.of_paths([Path("a", "eth0", 1500, 1500, None, 1396)])).evidence
    assert only(mtu_findings.of_paths([Path("a", "eth0", 1500, None, None, None)])).id == "mtu-peer-silent"


LINKS = [
    Link("eth0", UNDERLAY, "", 1500),
    Link("flannel.1", TUNNEL, "vxlan", 1460, below="eth0", overhead=50),
    Link("c1", NODE_END, "veth", 1500),
    Link("c1:eth0", POD_END, "veth", 1450, below="c1"),
]


def test_a_tunnel_that_does_not_fit_and_pods_that_keep_what_they_have():
    settled = {"eth0": 1500, "flannel.1": 1450, "c1": 1500, "c1:eth0": 1450}
    found = {finding.id: finding for finding in mtu_findings.of_links(LINKS, settled)}
    assert "with 50 bytes around a packet that does not fit into the 1500 of eth0" in found["mtu-tunnel-too-large"].evidence
    assert found["mtu-pods-old"].subject == "c1" and found["mtu-pods-old"].evidence == "They have 1500; pods should have 1450 here."
    assert [finding.id for finding in mtu_findings.of_links(LINKS, mtu.targets(LINKS, 1500))] == ["mtu-tunnel-too-large"]


def test_a_configuration_with_a_number_of_its_own():
    settings = [mtu_findings.Setting("/etc/cni/net.d/10-calico.conflist", "mtu of calico", number) for number in (0, 1450, 1500)]
    found = only(mtu_findings.of_settings(settings, 1450))
    assert found.id == "mtu-cni-config" and "mtu of calico is 1500" in found.evidence and "veth_mtu" in found.remedy


def test_felix_is_told_of_only_with_its_tunnels():
    assert list(mtu_findings.of_felix([])) == []
    assert "puts back" in only(mtu_findings.of_felix(["vxlan.calico"])).why
