# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table for people and the JUnit file for pipelines."""

from __future__ import annotations

from xml.etree import ElementTree

from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_data, kernel_judge, kernel_texts
from ansible_collections.podnet.cni.plugins.plugin_utils import _kernel_profiles

PROFILES = kernel_data.read_profiles(_kernel_profiles.read_data())


def result(release, asked, options=None):
    """What kernel_check would return for a kernel of which release and options are known."""
    wishes = kernel_data.read_wishes(asked, PROFILES)
    wanted = kernel_data.needs(wishes)["options"]
    given = {"source": "/boot/config", "options": {**dict.fromkeys(wanted, "y"), **(options or {})}}
    facts = {"release": release, "machine": "x86_64", "config": given, "probes": {}, "modules": {}, "tools": {}}
    return {"kernel": {"release": release}, **kernel_judge.judge(facts, wishes)}


def hosts():
    return {
        "n10": result("6.12.1", "cilium:1.20.2,calico_nftables"),
        "n2": result("5.4.0-1-generic", "cilium:1.20.2,calico_nftables"),
        "n3": {"error": "The host could not be reached."},
        "n4": result("5.3.18-1-default", "cilium:1.20.2"),
        "n5": result("5.4.0-1-generic", "cilium:1.20.2,calico_nftables"),
    }


def test_the_table_has_hosts_as_people_count_with_their_reasons():
    text = kernel_texts.kernel_table(hosts(), 120)
    rows = [line for line in text.splitlines() if line.startswith(("| n", "| host"))]
    assert [row.split("|")[1].strip() for row in rows] == ["host", "n2", "n2", "n3", "n4", "n5", "n5", "n10", "n10"]
    cells = [cell.strip() for cell in rows[1].split("|")]
    assert cells[1:5] == ["n2", "5.4.0-1-generic", "Cilium 1.20.2", "NO"] and cells[5].startswith("kernel, helpers-5.10")
    assert "The host could not be reached." in text
    assert all(len(line) <= 120 for line in text.splitlines())


def test_equal_findings_of_hosts_are_one():
    found = kernel_texts.merged_findings(hosts())
    floor = [item for item in found if item["id"] == "cilium-kernel"]
    assert [item["subject"] for item in floor] == ["n2, n5: kernel 5.4.0-1-generic: Cilium 1.20.2"]
    assert [item["severity"] for item in found] == sorted((item["severity"] for item in found), key=["blocker", "warning", "info"].index)


def test_the_summary_counts_and_names_who_is_refused():
    last = kernel_texts.kernel_table(hosts(), 200).splitlines()[-1]
    assert last == "Verdict: 5 hosts, 2 of 7 verdicts supported, 1 unknown, not judged: n3. REFUSED: n2, n5."
    assert (
        kernel_texts.kernel_table({"a": result("6.12.1", "flannel")}).splitlines()[-1]
        == "Verdict: 1 host, 1 of 1 verdict supported. No host is refused."
    )


def test_required_actions_are_told_once():
    text = kernel_texts.kernel_table(hosts(), 120)
    assert text.count("kube-proxy must be in mode nftables too") == 2  # once with the finding, once as an action
    assert "\nRequired actions\n- " in text
    assert "Required actions" not in kernel_texts.kernel_table({"a": result("6.12.1", "flannel")})


def test_other_features_can_be_shown_instead():
    text = kernel_texts.kernel_table({"a": result("6.1.0-28-amd64", "cilium:1.20.2")}, features=True)
    assert "other features" in text
    assert "big_tcp_ipv4: NO" in text and "wireguard: yes" in text


def test_a_known_bad_kernel_is_a_reason_in_the_table():
    assert "known-bad-48016" in kernel_texts.kernel_table({"a": result("7.2.0", "cilium:1.20.1")}).splitlines()[3]


def test_a_pipeline_reads_failures_skips_and_errors():
    tree = ElementTree.fromstring(kernel_texts.kernel_junit(hosts()))
    assert tree.attrib == {"name": "kernel_preflight", "tests": "8", "failures": "4", "errors": "1", "skipped": "1"}
    assert [suite.get("name") for suite in tree] == ["n2", "n3", "n4", "n5", "n10"]
    states = {(case.get("classname"), case.get("name")): [child.tag for child in case] for case in tree.iter("testcase")}
    assert states["kernel.n2", "Cilium 1.20.2"] == states["kernel.n2", "Calico nftables"] == ["failure"]
    assert states["kernel.n3", "kernel_check"] == ["error"]
    assert states["kernel.n4", "Cilium 1.20.2"] == ["skipped"]
    assert states["kernel.n10", "Cilium 1.20.2"] == []
    failure = tree.find(".//testsuite[@name='n2']/testcase[@name='Cilium 1.20.2']/failure")
    assert "cilium-kernel" in failure.get("message") and "calico" not in failure.text
    assert "5.4.0-1-generic is older than 5.10" in failure.text


def test_two_versions_of_one_product_keep_their_findings_apart():
    tree = ElementTree.fromstring(kernel_texts.kernel_junit({"a": result("7.2.0", "cilium:1.20.1,cilium:1.20.2")}))
    assert [[child.tag for child in case] for case in tree.iter("testcase")] == [["failure"], []]


def test_signs_that_xml_does_not_allow_are_left_out():
    text = kernel_texts.kernel_junit({'a<&"b': {"error": 'no\x00\x1b "way" <&'}})
    (suite,) = ElementTree.fromstring(text)
    assert suite.get("name") == 'a<&"b'
    assert suite[0][0].get("message") == 'no "way" <&'
