# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge of kernels: which way to know counts most, what is unknown, backports and known-bad kernels."""

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_data, kernel_judge
from ansible_collections.podnet.cni.plugins.plugin_utils import _kernel_profiles

DATA = _kernel_profiles.read_data()
PROFILES = kernel_data.read_profiles(DATA)
TEXTS = {"what": "It", "why": "It is so.", "remedy": "Take another.", "source": "a/b:c", "date": "2026-11-25"}
RECORD = {"id", "severity", "subject", "evidence", "why", "remedy", "source"}


def facts(release="6.1.0-28-amd64", **given):
    """Facts of which nothing is known but the release."""
    return {
        "release": release,
        "machine": given.get("machine", "x86_64"),
        "banner": given.get("banner", ""),
        "signature": "",
        "probes": {name: {"result": result, "detail": "told"} for name, result in given.get("probes", {}).items()},
        "config": {"source": "/boot/config" if "config" in given else "", "options": given.get("config", {})},
        "modules": {"source": "/lib/modules" if "modules" in given else "", "found": given.get("modules", [])},
        "tools": given.get("tools", {}),
    }


def judged(requirement, about, features=None, wish="mine"):
    """Record and result for one requirement."""
    requirements = [{"id": "it", **TEXTS, **requirement}]
    data = {"profiles": {"mine": {"title": "Mine", "requirements": requirements, "features": features or {}}}}
    result = kernel_judge.judge(about, kernel_data.read_wishes(wish, kernel_data.read_profiles(data)))
    return result["profiles"][0]["requirements"][0], result


ALL = {"probe": ["link vxlan"], "config": ["CONFIG_VXLAN"], "modules": ["vxlan"], "since": "5.10"}


@pytest.mark.parametrize(
    ("about", "met", "by"),
    [
        (facts(probes={"link vxlan": True}, config={"CONFIG_VXLAN": "n"}), "yes", "probe"),
        (facts(probes={"link vxlan": False}, config={"CONFIG_VXLAN": "y"}), "no", "probe"),
        (facts(probes={"link vxlan": None}, config={"CONFIG_VXLAN": "y"}, modules=[]), "yes", "config"),
        (facts(config={"CONFIG_VXLAN": "m"}, modules=["vxlan"]), "yes", "config"),
        (facts(config={"CONFIG_VXLAN": "m"}, modules=[]), "no", "config"),
        (facts(config={"CONFIG_VXLAN": "m"}), "yes", "config"),
        (facts(config={"CONFIG_VXLAN": "n"}), "no", "config"),
        (facts(config={}, modules=["vxlan"]), "yes", "modules"),
        (facts(config={}, modules=[]), "no", "modules"),
        (facts(config={}), "yes", "version"),
        (facts("5.4.0-42-generic"), "no", "version"),
    ],
)
def test_features_count_before_versions(about, met, by):
    record, result = judged(ALL, about)
    assert (record["met"], record["by"]) == (met, by)
    assert result["profiles"][0]["verdict"] == {"yes": "supported", "no": "unsupported"}[met]
    assert [finding["id"] for finding in result["findings"]] == ([] if met == "yes" else ["mine-it"])
    assert result["passed"] is (met == "yes")


def test_an_option_that_is_not_mentioned_is_unknown_and_says_so():
    record, result = judged({"config": ["CONFIG_GONE"]}, facts(config={"CONFIG_OTHER": "y"}))
    assert (record["met"], record["detail"]) == ("unknown", "config: CONFIG_GONE is not mentioned in /boot/config")
    assert result["profiles"][0]["verdict"] == "unknown"
    (finding,) = result["findings"]
    assert (finding["id"], finding["severity"]) == ("mine-it-unknown", "warning")
    assert result["passed"] is True and result["required_actions"] == []


def test_what_is_missing_is_told_once_however_many_options_want_it():
    wanted = {"config": ["CONFIG_A", "CONFIG_B"], "modules": ["a|a2", "b", "c"]}
    record, dummy = judged(wanted, facts(config={"CONFIG_A": "m", "CONFIG_B": "y"}, modules=["b"]))
    assert (record["met"], record["by"], record["detail"]) == ("no", "config", "built as modules, but there is no a and no a2; no c in /lib/modules")
    assert judged(wanted, facts(config={"CONFIG_A": "y", "CONFIG_B": "y"}, modules=[]))[0]["met"] == "yes"


def test_without_any_facts_nothing_passes_and_nothing_fails():
    for profile in PROFILES.values():
        result = kernel_judge.judge(facts("6.1.0-28-amd64", machine=""), kernel_data.read_wishes(profile.name, PROFILES))
        assert result["profiles"][0]["verdict"] == "unknown", profile.name
        assert result["passed"] is True


@pytest.mark.parametrize(
    ("options", "met"),
    [
        ({"CONFIG_A": "n", "CONFIG_B": "m", "CONFIG_C": "y"}, "yes"),
        ({"CONFIG_A": "n", "CONFIG_B": "n", "CONFIG_C": "y"}, "no"),
        ({"CONFIG_A": "n", "CONFIG_C": "y"}, "unknown"),
        ({"CONFIG_A": "y", "CONFIG_C": "n"}, "no"),
        ({"CONFIG_A": "y"}, "unknown"),
        ({"CONFIG_A": "n", "CONFIG_B": "n"}, "no"),
    ],
)
def test_all_entries_and_one_alternative_of_each(options, met):
    assert judged({"config": ["CONFIG_A|CONFIG_B", "CONFIG_C"]}, facts(config=options))[0]["met"] == met


@pytest.mark.parametrize(
    ("release", "met", "severity"),
    [
        ("5.10.0-28-amd64", "yes", "blocker"),
        ("5.4.0-187-generic", "no", "blocker"),
        ("4.18.0-553.el8_10.x86_64", "yes", "blocker"),
        ("4.18.0-553.8.1.el8_10.x86_64", "yes", "blocker"),
        ("4.18.0-477.10.1.el8_8.x86_64", "no", "warning"),
        ("4.18.0-305.el8.x86_64", "no", "blocker"),
        ("4.18.0-553.generic", "no", "blocker"),
        ("4.18.20-1.el8.elrepo.x86_64", "no", "blocker"),
        ("5.3.18-150300.59.93-default", "unknown", "blocker"),
        ("5.14.0-427.el9_4.x86_64", "yes", "blocker"),
        ("5.10.0-rc3", "no", "blocker"),
    ],
)
def test_the_lowest_kernel_of_cilium_and_its_backports(release, met, severity):
    result = kernel_judge.judge(facts(release), kernel_data.read_wishes("cilium:1.20", PROFILES))
    (record,) = [item for item in result["profiles"][0]["requirements"] if item["id"] == "kernel"]
    assert (record["met"], record["severity"], record["by"]) == (met, severity, "version" if met != "unknown" else "")


def test_what_the_data_says_a_vendor_has_not_is_a_no():
    wishes = kernel_data.read_wishes("kube_proxy_nftables", PROFILES)
    result = kernel_judge.judge(facts("4.18.0-553.el8_10.x86_64"), wishes)
    (record,) = [item for item in result["profiles"][0]["requirements"] if item["id"] == "kernel"]
    assert (record["met"], record["detail"]) == ("no", "4.18.0-553.el8_10.x86_64 is older than 5.13, and no kernel of RHEL 8 is enough")


def test_a_requirement_of_less_weight_does_not_decide():
    record, result = judged({"config": ["CONFIG_A"], "severity": "warning"}, facts(config={"CONFIG_A": "n"}))
    assert record["met"] == "no" and result["profiles"][0]["verdict"] == "supported" and result["passed"]
    assert [finding["severity"] for finding in result["findings"]] == ["warning"]
    assert judged({"config": ["CONFIG_A"], "severity": "warning"}, facts(config={}))[1]["findings"][0]["severity"] == "info"


@pytest.mark.parametrize(
    ("version", "met"),
    [("1.0.6", "yes"), ("1.0.1", "yes"), ("0.9.8", "no"), ("1.0", "no"), ("", "yes"), (None, "unknown")],
)
def test_a_program_of_the_node_may_be_missing_but_not_too_old(version, met):
    assert judged({"tool": "nft 1.0.1"}, facts(tools={"nft": version}))[0]["met"] == met


@pytest.mark.parametrize(("machine", "met"), [("x86_64", "yes"), ("riscv64", "no"), ("", "unknown")])
def test_a_product_that_is_built_for_some_machines_only(machine, met):
    assert judged({"machines": ["x86_64", "aarch64"]}, facts(machine=machine))[0]["met"] == met


def test_features_are_told_but_only_those_that_are_asked_for_decide():
    features = {"more": {"title": "More", "requirements": [{"id": "more", **TEXTS, "config": ["CONFIG_B"]}]}}
    about = facts(config={"CONFIG_A": "y", "CONFIG_B": "n"})
    dummy, alone = judged({"config": ["CONFIG_A"]}, about, features)
    dummy, asked = judged({"config": ["CONFIG_A"]}, about, features, "mine+more")
    assert alone["profiles"][0]["features"] == asked["profiles"][0]["features"] == {"more": "unsupported"}
    assert (alone["profiles"][0]["verdict"], alone["findings"]) == ("supported", [])
    assert (asked["profiles"][0]["verdict"], [finding["id"] for finding in asked["findings"]]) == ("unsupported", ["mine-more"])


def bad_findings(release, wish, **given):
    """Severities of known-bad findings by their id."""
    result = kernel_judge.judge(facts(release, **given), kernel_data.read_wishes(wish, PROFILES))
    return {item["id"].partition("known-bad-")[2]: item["severity"] for item in result["findings"] if "known-bad" in item["id"]}, result


@pytest.mark.parametrize(
    ("release", "wish", "found"),
    [
        ("7.2.12+deb14-amd64", "cilium:1.20.1", {"48016": "blocker"}),
        ("7.2.12+deb14-amd64", "cilium:1.20.2", {}),
        ("7.2.12+deb14-amd64", "cilium:1.20", {"48016": "warning"}),
        ("7.2.0-3-generic", "cilium:1.18.8", {"48016": "blocker"}),
        ("7.1.0", "cilium:1.20.1", {}),
        ("5.10.0-28-amd64", "cilium:1.20.0", {"47672": "blocker"}),
        ("5.10.0-28-amd64", "cilium:1.20.1", {}),
        ("6.18.5", "cilium:1.19.0", {"44216": "blocker"}),
        ("6.18.6", "cilium:1.19.0", {}),
        ("6.18.0-5-generic", "cilium:1.19.0", {"44216": "warning"}),
        ("4.18.0-553.74.1.el8_10.x86_64", "cilium:1.18.1", {"41996": "warning"}),
        ("4.18.0-553.16.1.el8_10.x86_64", "cilium:1.18.1", {}),
        ("4.18.0-553.el8_10.x86_64", "cilium:1.19.2+kube_proxy_replacement", {"nfs-el8": "warning"}),
        ("4.18.0-553.8.1.el8_10.x86_64", "cilium:1.19.2+kube_proxy_replacement", {}),
        ("5.15.0-100-generic", "cilium:1.19.2+kube_proxy_replacement", {"nfs-ubuntu-5.15": "warning"}),
        ("5.15.0-100-generic", "cilium:1.19.2", {}),
    ],
)
def test_kernels_that_are_known_to_fail(release, wish, found):
    assert bad_findings(release, wish)[0] == found


def test_a_known_bad_kernel_is_not_supported_even_if_it_has_everything():
    result = bad_findings("7.2.0", "cilium:1.20.1")[1]
    assert result["profiles"][0]["verdict"] == "unsupported" and not result["passed"]
    (action,) = result["required_actions"]
    assert action["action"].startswith("Use Cilium 1.20.2 or newer") and action["findings"] == ["cilium-known-bad-48016"]


def test_debian_tells_the_patch_level_elsewhere():
    assert bad_findings("6.18.0-5-amd64", "cilium:1.19.0", banner="#1 SMP Debian 6.18.5-1")[0] == {"44216": "blocker"}
    assert bad_findings("6.18.0-5-amd64", "cilium:1.19.0", banner="#1 SMP Debian 6.18.9-1")[0] == {}


def test_only_the_machine_that_is_affected():
    assert bad_findings("6.18.2", "cilium:1.20.0", machine="aarch64")[0] == {"47718": "warning"}
    assert bad_findings("6.18.2", "cilium:1.20.0")[0] == {}


def test_findings_are_the_common_record_the_worst_first():
    result = kernel_judge.judge(facts("4.14.0", machine="riscv64"), kernel_data.read_wishes([], PROFILES))
    assert len(result["findings"]) > 20
    assert all(set(finding) == RECORD and all(isinstance(value, str) and value for value in finding.values()) for finding in result["findings"])
    severities = [finding["severity"] for finding in result["findings"]]
    assert severities == sorted(severities, key=["blocker", "warning", "info"].index)
    named = {name for action in result["required_actions"] for name in action["findings"]}
    assert named == {finding["id"] for finding in result["findings"] if finding["severity"] == "blocker"}
    assert all(finding["source"].endswith(")") and "2026-" in finding["source"] for finding in result["findings"])


def test_a_release_that_is_none_is_refused():
    with pytest.raises(ValueError, match="kernel release: 'linux' does not begin with a version"):
        kernel_judge.judge(facts("linux"), [])
