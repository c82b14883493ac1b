# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of the data, that the collection's own data has it, and what users can ask for."""

from __future__ import annotations

import copy
import datetime
import re

import pytest
import yaml
from ansible_collections.podnet.cni.plugins.module_utils._host import kernel_bpf, kernel_netlink
from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_data
from ansible_collections.podnet.cni.plugins.plugin_utils import _kernel_profiles

PROFILES = kernel_data.read_profiles(_kernel_profiles.read_data())
NAMES = ["calico_ebpf", "calico_iptables", "calico_nftables", "cilium", "flannel", "kube_proxy_nftables"]
SOURCE = re.compile(r"https://[^\s]+|[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+:[A-Za-z0-9_./-]+")
GOOD = {
    "id": "vxlan",
    "what": "VXLAN devices",
    "why": "Packets go by it.",
    "remedy": "Take another kernel.",
    "source": "a/b:c",
    "date": "2026-11-25",
    "probe": ["link vxlan"],
}
BAD = {"id": "x", "kernels": ">=7.2", "effect": "It ends.", "remedy": "Wait.", "source": "a/b:c", "date": "2026-11-25"}


def data(**changes):
    """Data with one profile."""
    profile = {"title": "Mine", "requirements": [copy.deepcopy(GOOD)], **changes}
    return {"profiles": {"mine": profile}}


def with_requirement(**changes):
    return data(requirements=[{key: value for key, value in {**GOOD, **changes}.items() if value is not None}])


def requirements():
    for profile in PROFILES.values():
        for item in profile.requirements:
            yield profile, item
        for feature in profile.features.values():
            for item in feature.requirements:
                yield profile, item


def test_the_profiles_of_the_collection_are_those_that_are_promised():
    assert sorted(PROFILES) == NAMES
    assert PROFILES["cilium"].versions[-1] == "1.20"
    wanted = {"l7_policy", "kube_proxy_replacement", "ipsec", "wireguard", "bandwidth_manager", "big_tcp_ipv4", "big_tcp_ipv6", "netkit"}
    assert wanted <= set(PROFILES["cilium"].features)


def test_every_entry_has_a_source_and_a_day_that_has_been():
    entries = [item for dummy, item in requirements()] + [bad for profile in PROFILES.values() for bad in profile.known_bad]
    assert len(entries) > 80
    for item in entries:
        assert SOURCE.fullmatch(item.source), item
        assert datetime.date(2026, 1, 1) < datetime.date.fromisoformat(item.date) < datetime.date(2030, 1, 1), item
        assert item.remedy.endswith(".") and "  " not in item.remedy, item


def test_every_probe_of_the_collection_is_one_that_the_node_can_answer():
    wishes = kernel_data.read_wishes([], PROFILES) + kernel_data.read_wishes(["cilium:1.13", "cilium:1.16"], PROFILES)
    asked = kernel_data.needs(wishes)
    of_bpf = {"map_type": kernel_bpf.MAP_TYPES, "program_type": kernel_bpf.PROGRAM_TYPES, "helper": kernel_bpf.PROGRAM_TYPES}
    for name in asked["probes"]:
        words = name.split()
        if words[0] in of_bpf:
            assert words[1] in of_bpf[words[0]] and words[1] not in kernel_bpf.NEED_BTF, name
        if words[0] == "helper":
            assert words[2].startswith("bpf_") and words[2][4:] in kernel_bpf.HELPERS, name
        if words[0] == "nft":
            assert words[1] in kernel_netlink.NFT_RULES, name
    assert set(kernel_netlink.NAMES) < set(kernel_data.PROBES)
    assert {"options", "modules", "tools"} < set(asked) and asked["tools"] == ["nft"]


def test_each_version_of_cilium_has_exactly_one_lowest_kernel():
    floors = {}
    for version in PROFILES["cilium"].versions:
        (wish,) = kernel_data.read_wishes([f"cilium:{version}"], PROFILES)
        (floors[version],) = [item.since for item in wish.profile.requirements if item.id == "kernel" and wish.applies(item.versions)]
    assert floors == {
        **dict.fromkeys(["1.13", "1.14", "1.15"], "4.19.57"),
        **dict.fromkeys(["1.16", "1.17"], "5.4"),
        **dict.fromkeys(["1.18", "1.19", "1.20"], "5.10"),
    }


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"profiles": []}, "data.profiles: '[]' is no mapping"),
        ({"profile": {}}, "data: unknown keys profile"),
        ([], "data: '[]' is no mapping"),
        (data(titel="x"), "profiles.mine: unknown keys titel"),
        (data(title=None), "profiles.mine.title: is missing"),
        (data(requirements=[]), "profiles.mine.requirements: is empty: a profile that wants nothing would always pass"),
        (data(requirements=[GOOD, GOOD]), "profiles.mine.requirements: vxlan is there twice"),
        (data(versions=["1"]), "profiles.mine.versions: '1' is no minor version such as '1.20'"),
        (data(features={"x": {"title": "X", "requirement": []}}), "profiles.mine.features.x: unknown keys requirement"),
        (data(known_bad=[{**BAD, "kernels": "7.2"}]), "profiles.mine.known_bad[x].kernels: '7.2' is no constraint"),
        (data(known_bad=[{**BAD, "kernels": None}]), "profiles.mine.known_bad[x].kernels: is missing"),
        (data(known_bad=[{**BAD, "versions": ["1..x"]}]), "profiles.mine.known_bad[x].versions: '1..x' is no range of versions"),
        (data(known_bad=[{**BAD, "features": ["y"]}]), "profiles.mine.known_bad[x].features: there is no feature 'y'"),
        (with_requirement(id="A b"), "profiles.mine.requirements.id: 'A b' is not an id"),
        (with_requirement(source=None), "profiles.mine.requirements[vxlan].source: is missing"),
        (with_requirement(date="today"), "[vxlan].date: 'today' is not a date"),
        (with_requirement(severity="bad"), "[vxlan].severity: 'bad' is not one of blocker, warning, info"),
        (with_requirement(probe=["links vxlan"]), "[vxlan].probe: 'links vxlan' is no probe; the first word is one of bpf_syscall"),
        (with_requirement(probe=["helper xdp"]), "[vxlan].probe: 'helper xdp' needs 2 words behind helper"),
        (with_requirement(probe="link vxlan"), "[vxlan].probe: 'link vxlan' is no list of texts"),
        (with_requirement(config=["VXLAN"]), "[vxlan].config: 'VXLAN' is no option"),
        (with_requirement(probe=None), "[vxlan]: nothing says how to find out; give one of probe, config"),
        (with_requirement(since=5.10), "[vxlan].since: '5.1' is no text; put it into quotes"),
        (with_requirement(since="v5"), "[vxlan].since: 'v5' is not a version"),
        (with_requirement(versions="1.18+"), "[vxlan].versions: '1.18+' is no constraint"),
        (with_requirement(tool="nft"), "[vxlan].tool: 'nft' is not a program and its lowest version"),
        (with_requirement(backports=[{"family": "el", "base": "4.18.0", "build": "1", "note": "x"}]), "[vxlan].backports: say which kernels"),
        (with_requirement(since="5.10", backports=[{"family": "el", "base": "4.18.0"}]), "[vxlan].backports.note: is missing"),
    ],
)
def test_data_of_another_form_is_refused_with_its_place(broken, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        kernel_data.read_profiles(broken)


def test_an_alternative_is_asked_for_as_well():
    found = kernel_data.read_profiles(with_requirement(config=["CONFIG_A | CONFIG_B", "CONFIG_C"], modules=["a|b-c"]))
    asked = kernel_data.needs(kernel_data.read_wishes("mine", found))
    assert asked == {"probes": ["link vxlan"], "options": ["CONFIG_A", "CONFIG_B", "CONFIG_C"], "modules": ["a", "b-c"], "tools": []}


@pytest.mark.parametrize(
    ("asked", "labels"),
    [
        ("cilium", ["Cilium 1.20"]),
        ("cilium:v1.18.3+wireguard+netkit,flannel", ["Cilium 1.18.3 +wireguard +netkit", "Flannel VXLAN"]),
        (["flannel+nftables", "calico_ebpf kube_proxy_nftables"], ["Flannel VXLAN +nftables", "Calico eBPF", "kube-proxy nftables"]),
        ({"name": "cilium", "version": "1.17", "features": ["ipsec"]}, ["Cilium 1.17 +ipsec"]),
        ([{"name": "flannel"}], ["Flannel VXLAN"]),
    ],
)
def test_what_can_be_asked_for(asked, labels):
    assert [wish.label for wish in kernel_data.read_wishes(asked, PROFILES)] == labels


def test_nothing_asked_for_means_all():
    assert sorted(wish.profile.name for wish in kernel_data.read_wishes([], PROFILES)) == NAMES


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("celium", "profiles: there is no 'celium' (did you mean cilium?); there are calico_iptables"),
        ("cilium:1.99", "profiles: cilium: version: there is no '1.99'"),
        ("cilium:1", "profiles: cilium: '1' is no version; give one such as 1.20"),
        ("cilium+wiregard", "profiles: cilium: feature: there is no 'wiregard' (did you mean wireguard?); there are "),
        ("kube_proxy_nftables+x", "profiles: kube_proxy_nftables: feature: there is no 'x'; it has none"),
        ("flannel:0.28", "profiles: flannel: its requirements do not depend on the version; leave '0.28' out"),
        ("cilium=1.20", "profiles: 'cilium=1.20' is not NAME, NAME:VERSION or NAME:VERSION+FEATURE"),
        ([{"version": "1.20"}], "must have name, may have version and features, and nothing else"),
        (7, "profiles: '7' is no list; give names such as cilium:1.20+wireguard"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(asked, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        kernel_data.read_wishes(asked, PROFILES)


def test_files_of_users_add_profiles_and_replace_those_of_the_same_name(tmp_path):
    path = tmp_path / "mine.yml"
    mine = data()
    mine["profiles"]["flannel"] = mine["profiles"]["mine"]
    path.write_text(yaml.safe_dump(mine).replace("'2026-11-25'", "2026-11-25"))
    found = kernel_data.read_profiles(_kernel_profiles.read_data([path]))
    assert sorted(found) == sorted([*NAMES, "mine"])
    assert (found["flannel"].title, found["flannel"].requirements[0].date) == ("Mine", "2026-11-25")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read: No such file"),
        ("a: [", "is no YAML: "),
        ("profiles: {mine: {title: x}}", "profiles.mine.requirements: is empty"),
        ("- a", "is no mapping"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, text, words):
    path = tmp_path / "mine.yml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match="profile_files: ") as error:
        _kernel_profiles.read_data([path])
    assert str(path) in str(error.value) and words in str(error.value)
