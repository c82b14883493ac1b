# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real configurations of Debian's kernels, and what upstream's documentation says of them.

The files are made by tests/tooling/kernel_configs.py. The expected verdicts are written down from these statements, not from what comes out:

* Calico: x86-64, arm64, ppc64le or s390x; Linux 5.10; eBPF only on x86-64 and arm64, with BTF; bandwidth limits in eBPF mode from 6.6,
  Log rules from 5.16; nftables from 5.13 (docs.tigera.io: system requirements, "Install in eBPF mode", "nftables data plane").
* kube-proxy: nftables from 5.13 (kubernetes.io: Linux Kernel Version Requirements).
* Cilium: AMD64 and AArch64; 1.15 from 4.19.57, 1.17 from 5.4, 1.20 from 5.10; WireGuard 5.6, BBR 5.18, BIG TCP for IPv6 5.19 and for IPv4 6.3,
  tcx 6.6, netkit 6.8 (docs.cilium.io: System Requirements, Tuning Guide).
* Linux 7.2 and newer make Cilium 1.20.0 and 1.20.1 end, 1.20.2 is fixed (cilium/cilium issue 48016).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import kernel_facts
from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_data, kernel_judge
from ansible_collections.podnet.cni.plugins.plugin_utils import _kernel_profiles
from ansible_collections.podnet.cni.tests.unit import fixtures

FOLDER = Path(fixtures.__file__).parent / "kernel_configs"
PROFILES = kernel_data.read_profiles(_kernel_profiles.read_data())
ASKED = "flannel calico_iptables calico_nftables calico_ebpf kube_proxy_nftables cilium:1.15 cilium:1.17 cilium:1.20.1 cilium:1.20.2"
YES, NO = "supported", "unsupported"
OLD_PC = {"calico_nftables": NO, "kube_proxy_nftables": NO}
ELSEWHERE = {
    "calico_iptables": NO,
    "calico_nftables": NO,
    "calico_ebpf": NO,
    "cilium:1.15": NO,
    "cilium:1.17": NO,
    "cilium:1.20.1": NO,
    "cilium:1.20.2": NO,
}
MAINFRAME = {"calico_ebpf": NO, "cilium:1.15": NO, "cilium:1.17": NO, "cilium:1.20.1": NO, "cilium:1.20.2": NO}
SINCE_7_2 = {"cilium:1.20.1": NO}
VERDICTS = {
    "5.10-amd64_none_amd64": OLD_PC,
    "5.10-amd64_none_cloud-amd64": OLD_PC,
    "5.10-amd64_rt_amd64": OLD_PC,
    "5.10-armhf_none_armmp": {**ELSEWHERE, "kube_proxy_nftables": NO},
    "5.10-i386_none_686-pae": {**ELSEWHERE, "kube_proxy_nftables": NO},
    "6.1-amd64_none_amd64": {},
    "6.1-amd64_none_cloud-amd64": {},
    "6.1-arm64_none_arm64": {},
    "6.1-s390x_none_s390x": MAINFRAME,
    "6.12-amd64_none_cloud-amd64.bookworm-backports": {},
    "6.12-amd64_none_amd64": {},
    "6.12-amd64_rt_amd64": {},
    "6.12-riscv64_none_riscv64": ELSEWHERE,
    "7.3-amd64_none_amd64.trixie-backports": SINCE_7_2,
    "7.3-amd64_none_cloud-amd64.trixie-backports": SINCE_7_2,
}
"""What differs from supported, by the configuration."""
SINCE = {
    "bbr": (5, 18),
    "big_tcp_ipv6": (5, 19),
    "big_tcp_ipv4": (6, 3),
    "tcx": (6, 6),
    "netkit": (6, 8),
    "wireguard": (5, 6),
    "egress_gateway": (5, 2),
}
"""Features of Cilium by the lowest kernel."""
SINCE_EBPF = {"log": (5, 16), "qos_bandwidth": (6, 6)}
"""Features of Calico in eBPF mode."""


def judged(name, asked=ASKED):
    path = FOLDER / f"{name}.config"
    wishes = kernel_data.read_wishes(asked, PROFILES)
    result = kernel_judge.judge(kernel_facts.config_facts(kernel_data.needs(wishes), str(path), ""), wishes)
    return {":".join(filter(None, [profile["name"], profile["version"]])): profile for profile in result["profiles"]}


def test_there_is_a_verdict_for_each_configuration_and_there_are_enough():
    assert sorted(path.stem for path in FOLDER.glob("*.config")) == sorted(VERDICTS)
    assert len(VERDICTS) >= 12
    assert {name.partition("-")[0] for name in VERDICTS} == {"5.10", "6.1", "6.12", "7.3"}


@pytest.mark.parametrize("name", VERDICTS)
def test_every_extract_tells_where_it_comes_from(name):
    first, second = (FOLDER / f"{name}.config").read_text(encoding="utf-8").splitlines()[:2]
    assert re.search(r"Extract of config\.\S+ in the Debian package linux-config-[\d.]+ \S+ \(\S+\)", first)
    assert re.fullmatch(r"# Linux/\w+ \d+\.\d+\.\d+ Kernel Configuration", second)


@pytest.mark.parametrize("name", VERDICTS)
def test_verdicts_are_those_of_the_documentation(name):
    expected = {**dict.fromkeys(ASKED.split(), YES), **VERDICTS[name]}
    assert {key: profile["verdict"] for key, profile in judged(name).items()} == expected


@pytest.mark.parametrize("name", [name for name in VERDICTS if "amd64" in name or "arm64" in name])
def test_features_are_those_of_the_documentation(name):
    found = judged(name)
    version = tuple(int(part) for part in name.partition("-")[0].split("."))
    assert {key: found["cilium:1.20.2"]["features"][key] for key in SINCE} == {key: YES if version >= since else NO for key, since in SINCE.items()}
    others = {"l7_policy", "kube_proxy_replacement", "ipsec", "bandwidth_manager", "geneve"}
    assert {key: found["cilium:1.20.2"]["features"][key] for key in others} == dict.fromkeys(others, YES)
    ebpf = found["calico_ebpf"]["features"]
    assert {key: ebpf[key] for key in SINCE_EBPF} == {key: YES if version >= since else NO for key, since in SINCE_EBPF.items()}


def test_why_a_kernel_without_btf_is_refused():
    (missing,) = [item for item in judged("6.1-s390x_none_s390x")["calico_ebpf"]["requirements"] if item["id"] == "btf"]
    assert (missing["met"], missing["by"], missing["detail"]) == ("no", "config", "CONFIG_DEBUG_INFO_BTF is not set")


@pytest.mark.parametrize(
    ("option", "profile"),
    [
        ("CONFIG_VXLAN", "flannel"),
        ("CONFIG_NETFILTER_XT_SET", "calico_iptables"),
        ("CONFIG_NFT_FIB_INET", "calico_nftables"),
        ("CONFIG_DEBUG_INFO_BTF", "calico_ebpf"),
        ("CONFIG_NFT_NUMGEN", "kube_proxy_nftables"),
        ("CONFIG_CGROUP_BPF", "cilium:1.20.2"),
    ],
)
def test_one_option_that_is_taken_away_is_found_by_name(option, profile, tmp_path):
    text = (FOLDER / "6.12-amd64_none_amd64.config").read_text(encoding="utf-8")
    changed = re.sub(rf"^{option}=.*$", f"# {option} is not set", text, flags=re.MULTILINE)
    assert changed != text
    path = tmp_path / "config"
    path.write_text(changed, encoding="utf-8")
    wishes = kernel_data.read_wishes(ASKED, PROFILES)
    result = kernel_judge.judge(kernel_facts.config_facts(kernel_data.needs(wishes), str(path), ""), wishes)
    refused = {":".join(filter(None, [item["name"], item["version"]])) for item in result["profiles"] if item["verdict"] == NO}
    assert profile in refused
    assert any(f"{option} is not set" in finding["evidence"] and finding["severity"] == "blocker" for finding in result["findings"])
