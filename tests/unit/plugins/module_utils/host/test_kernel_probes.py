# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes of the running kernel: they agree with bpftool and with the kernel's own configuration."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import kernel_bpf, kernel_facts, kernel_files, kernel_netlink

BPFTOOL = shutil.which("bpftool", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
NEWER_THAN_BPFTOOL = "program of this type cannot use helper"
"""What the verifier says since Linux 6.9 of a helper that is for other types; a bpftool from before takes it for a yes."""
NOT_ASKED = {"trace_printk", "trace_vprintk", "probe_write_user"}
"""bpftool leaves them out, since loading such a program writes into the kernel's log."""
NEED_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may ask the kernel")


def bpftool_answers():
    """What bpftool finds, or a skip."""
    if not BPFTOOL:
        pytest.skip("bpftool is not there (Debian package bpftool)")
    done = subprocess.run([BPFTOOL, "-j", "feature", "probe", "kernel"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"bpftool cannot probe here: {done.stderr.strip()}")
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def bpftool():
    return bpftool_answers()


@pytest.fixture(scope="module")
def bpf():
    made = kernel_bpf.Bpf()
    if kernel_bpf.program_type(made, "socket_filter")[0] is None:
        pytest.skip("this machine does not let BPF programs be loaded")
    return made


def compared(names, ask, theirs):
    """Features that both know, and those of them on which they differ."""
    both = {name: (ask(name), theirs(name)) for name in names if theirs(name) is not None}
    both = {name: pair for name, pair in both.items() if pair[0][0] is not None}
    return both, {name: pair for name, pair in both.items() if pair[0][0] != pair[1]}


@NEED_ROOT
def test_types_of_maps_are_those_that_bpftool_finds(bpf, bpftool):
    known, different = compared(
        kernel_bpf.MAP_TYPES, lambda name: kernel_bpf.map_type(bpf, name), lambda name: bpftool["map_types"].get(f"have_{name}_map_type")
    )
    assert different == {}
    assert len(known) > 20


@NEED_ROOT
def test_types_of_programs_are_those_that_bpftool_finds(bpf, bpftool):
    known, different = compared(
        kernel_bpf.PROGRAM_TYPES,
        lambda name: kernel_bpf.program_type(bpf, name),
        lambda name: bpftool["program_types"].get(f"have_{name}_prog_type"),
    )
    assert different == {}
    assert len(known) > 20


@NEED_ROOT
def test_helpers_are_those_that_bpftool_finds(bpf, bpftool):
    numbers = {"same": 0, "newer": 0}
    different = []
    listed = {key[: -len("_available_helpers")]: value for key, value in bpftool["helpers"].items() if isinstance(value, list)}
    # A bpftool that is older than the kernel does not know all helpers either.
    last = max(kernel_bpf.HELPERS.index(name[4:]) for names in listed.values() for name in names if name[4:] in kernel_bpf.HELPERS)
    for kind, names in listed.items():
        for helper in kernel_bpf.HELPERS[1 : last + 1]:
            ours, detail = kernel_bpf.helper(bpf, kind, helper)
            if ours is None or helper in NOT_ASKED:
                continue
            theirs = f"bpf_{helper}" in names
            if theirs and not ours and NEWER_THAN_BPFTOOL in detail:
                numbers["newer"] += 1
            elif ours != theirs:
                different.append((kind, helper, ours, theirs, detail))
            else:
                numbers["same"] += 1
    assert different == []
    assert numbers["same"] > 500
    # Such a bpftool says yes to everything that is for other types, or it knows these words and never does.
    assert numbers["newer"] == 0 or all(len(names) > 100 for kind, names in listed.items() if kind in ("socket_filter", "cgroup_sock_addr"))


@NEED_ROOT
def test_limits_of_programs_are_those_that_bpftool_finds(bpf, bpftool):
    assert kernel_bpf.syscall(bpf)[0] == bpftool["syscall_config"]["have_bpf_syscall"]
    assert kernel_bpf.large_programs(bpf)[0] == bpftool["misc"]["have_large_insn_limit"]
    assert kernel_bpf.bounded_loops(bpf)[0] == bpftool["misc"].get("have_bounded_loops", True)


@NEED_ROOT
def test_the_configuration_is_the_one_that_bpftool_reads(bpftool):
    source, options = kernel_files.find_config(kernel_files.Path("/"), os.uname().release, running=True)
    if not source:
        pytest.skip("this kernel's configuration is nowhere")
    theirs = {name: value for name, value in bpftool["system_config"].items() if name.startswith("CONFIG_") and value is not None}
    assert {name: options.get(name) for name in theirs} == theirs


@NEED_ROOT
def test_a_helper_that_no_kernel_has_for_a_type_is_a_no(bpf):
    met, detail = kernel_bpf.helper(bpf, "cgroup_sock_addr", "skb_change_tail")
    assert met is False
    assert "skb_change_tail" in detail


@NEED_ROOT
def test_names_that_are_none_are_unknown_and_nothing_is_asked(bpf):
    for found in (kernel_bpf.map_type(bpf, "nonsense"), kernel_bpf.program_type(bpf, "nonsense"), kernel_bpf.helper(bpf, "xdp", "nonsense")):
        assert found[0] is None
        assert "is not asked for" in found[1]


class Refusing(kernel_bpf.Bpf):
    """A kernel that answers every question with one error."""

    def __init__(self, number):
        self.number = number

    def call(self, command, attributes):
        return -self.number


@pytest.mark.parametrize(("number", "met"), [(errno.EPERM, None), (errno.EINVAL, False), (errno.ENOMEM, None)])
def test_only_an_error_that_means_no_is_a_no(number, met):
    bpf = Refusing(number)
    assert kernel_bpf.map_type(bpf, "hash")[0] is met
    assert kernel_bpf.program_type(bpf, "sched_cls")[0] is met
    assert kernel_bpf.helper(bpf, "sched_cls", "bpf_redirect_peer")[0] is met
    assert kernel_bpf.large_programs(bpf)[0] is None  # the small program is refused as well, so that its size is not why
    assert kernel_bpf.bounded_loops(bpf)[0] is None
    assert kernel_bpf.tcx(bpf)[0] is None


def test_no_system_call_at_all_is_a_no_and_an_unknown_machine_is_not(monkeypatch):
    bpf = Refusing(errno.ENOSYS)
    monkeypatch.setattr(kernel_bpf.platform, "machine", lambda: "x86_64")
    assert kernel_bpf.syscall(bpf)[0] is False
    monkeypatch.setattr(kernel_bpf.platform, "machine", lambda: "vax")
    assert kernel_bpf.syscall(bpf) == (None, "the number of bpf() on vax is not known")


KINDS = {
    "link vxlan": "CONFIG_VXLAN",
    "link geneve": "CONFIG_GENEVE",
    "link netkit": "CONFIG_NETKIT",
    "link wireguard": "CONFIG_WIREGUARD",
    "link veth": "CONFIG_VETH",
    "link bridge": "CONFIG_BRIDGE",
    "link ipip": "CONFIG_NET_IPIP",
    "qdisc fq": "CONFIG_NET_SCH_FQ",
    "qdisc clsact": "CONFIG_NET_SCH_INGRESS",
    "policy_routing": "CONFIG_IP_MULTIPLE_TABLES",
    "ipset hash:ip": "CONFIG_IP_SET_HASH_IP",
    "ipset hash:net": "CONFIG_IP_SET_HASH_NET",
    "xt_match set": "CONFIG_NETFILTER_XT_SET",
    "xt_match socket": "CONFIG_NETFILTER_XT_MATCH_SOCKET",
    "xt_target TPROXY": "CONFIG_NETFILTER_XT_TARGET_TPROXY",
    "netlink xfrm": "CONFIG_XFRM_USER",
    "nft fib": "CONFIG_NFT_FIB_INET",
    "nft masquerade": "CONFIG_NFT_MASQ",
    "nft numgen": "CONFIG_NFT_NUMGEN",
    "nft flowtable": "CONFIG_NFT_FLOW_OFFLOAD",
}
NONSENSE = ("link nonsense", "qdisc nonsense", "ipset nonsense:ip", "xt_match nonsense", "xt_target nonsense")


@pytest.fixture(scope="module")
def network():
    names = [*KINDS, *NONSENSE, "nft nonsense", "netlink nonsense"]
    return kernel_netlink.ask(names)


@NEED_ROOT
def test_what_the_network_answers_is_what_the_configuration_says(network):
    source, options = kernel_files.find_config(kernel_files.Path("/"), os.uname().release, running=True)
    if not source:
        pytest.skip("this kernel's configuration is nowhere")
    if network["link veth"][0] is None:
        pytest.skip(f"no network namespace can be made here: {network['link veth'][1]}")
    # A module may be built and not be installed, so that m says nothing.
    sure = {name: options.get(option, "n") for name, option in KINDS.items() if options.get(option) != "m"}
    told = {name: network[name] for name in sure if network[name][0] is not None}
    assert {name: answer for name, answer in told.items() if answer[0] != (sure[name] == "y")} == {}
    assert len(told) > 3 or not sure


@NEED_ROOT
def test_what_no_kernel_has_is_a_no_behind_something_that_it_has(network):
    if network["link veth"][0] is None:
        pytest.skip(f"no network namespace can be made here: {network['link veth'][1]}")
    assert [name for name in NONSENSE if network[name][0]] == []
    assert network["link nonsense"][0] is False
    assert network["nft nonsense"][0] is None and network["netlink nonsense"][0] is None


@NEED_ROOT
def test_nothing_of_the_questions_stays():
    before = sorted(os.listdir("/sys/class/net"))
    kernel_netlink.ask(["link veth", "link bridge", "qdisc clsact"])
    assert sorted(os.listdir("/sys/class/net")) == before


def test_where_no_namespace_can_be_made_all_is_unknown(monkeypatch):
    class Refused:
        def unshare(self, flags):
            return -1

    monkeypatch.setattr(kernel_netlink.ctypes, "CDLL", lambda *given, **named: Refused())
    found = kernel_netlink.ask(["link vxlan", "nft fib"])
    assert {answer[0] for answer in found.values()} == {None}
    assert found["link vxlan"][1].startswith("no network namespace for the question")


def test_a_child_that_dies_leaves_all_unknown(monkeypatch):
    monkeypatch.setattr(kernel_netlink, "_child", lambda names, pipe: os._exit(3))
    assert kernel_netlink.ask(["link vxlan"]) == {"link vxlan": (None, "the process that asked has ended without an answer")}
    assert kernel_netlink.ask([]) == {}


def test_what_is_not_probed_is_unknown():
    found = kernel_facts.probe(["link vxlan", "btf", "helper sched_cls bpf_redirect_peer"], "none")
    assert {answer["result"] for answer in found.values()} == {None}
    quiet = kernel_facts.probe(["link vxlan", "jit"], "bpf")
    assert quiet["link vxlan"] == {"result": None, "detail": "was not probed"}
    assert quiet["jit"]["detail"] != "was not probed"


def test_versions_of_programs(tmp_path, monkeypatch):
    for name, said in (("good", "good v1.0.6 (Lester)"), ("silent", "no number")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{said}'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert kernel_facts.tool_versions(["good", "silent", "podnet-none"]) == {"good": "1.0.6", "silent": None, "podnet-none": ""}
