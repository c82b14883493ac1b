# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests on the virtual machine, as far as they can be looked at without it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from podnet_vm import catalogue, kernels, runner
from podnet_vm.machine import Machine, inventory
from tooling.docs import vm

OLD, NEW = "6.1.0-56-cloud-amd64", "6.12.115+deb12-cloud-amd64"
SEEN = {
    "running": NEW,
    "setting": 'setdefault="0"',
    "saved": "",
    "first": f"linux /boot/vmlinuz-{NEW} root=UUID=x ro",
    "trial": "",
    "entry": "",
    "once": "",
    "packages": "a",
    "boot": "b",
}
RECORD = {
    "title": "Upgrade",
    "how": "From 6.1.",
    "expected": "Kept.",
    "code": 0,
    "seconds": 300,
    "said": "",
    "starts": 1,
    "running": NEW,
    "default": NEW,
    "node": {},
    "problems": [],
}


def test_releases_are_in_the_order_of_kernels():
    names = f"linux-image-{OLD}\nlinux-image-6.12.99+deb12-cloud-amd64\nlinux-image-{NEW}\nlinux-image-6.1.0-9-cloud-amd64\nlinux-image-amd64\n"
    names += f"linux-image-{NEW}-dbg\n"
    assert kernels.releases(names) == ["6.1.0-9-cloud-amd64", OLD, "6.12.99+deb12-cloud-amd64", NEW]


@pytest.mark.parametrize(
    ("change", "release"),
    [
        ({}, NEW),
        ({"setting": 'setdefault="${saved_entry}"', "saved": f"gnulinux-advanced-x>gnulinux-{OLD}-advanced-5d3a1f3c"}, OLD),
        ({"setting": 'setdefault="${saved_entry}"', "saved": ""}, ""),
    ],
)
def test_what_grub_would_start_is_read_without_the_code_that_is_tested(change, release):
    assert runner.default_of({**SEEN, **change}) == release


def test_the_message_of_the_task_that_failed_is_found():
    output = 'TASK\n[ERROR]: Task failed: Action failed: first\nfatal: [vm]: FAILED! => {"changed": false, "msg": "the last one"}\n'
    assert runner.said(output) == "the last one"
    assert runner.said("ok: [vm]\n") == ""


def test_what_a_kernel_said_when_it_panicked():
    console = "[    1.4] Oops: x\n[    1.5] Kernel panic - not syncing: Fatal exception\n[    1.6] Rebooting in 10 seconds..\n"
    assert (runner.panic_of(console), runner.panic_of("all is well")) == ("Fatal exception", "")


def make_runner(tmp_path):
    return runner.Runner(Machine(tmp_path, tmp_path), None, kernels.Kernels(tmp_path, OLD, (NEW, NEW)), tmp_path, tmp_path)


def test_a_case_that_went_as_expected(tmp_path):
    case = next(case for case in catalogue.CASES if case.id == "upgrade")
    output = "| Result: 1 host of 1 run\n| the wanted kernel by default |"
    assert make_runner(tmp_path).problems(case, RECORD, SEEN, SEEN, output) == []


@pytest.mark.parametrize(
    ("record", "after", "output", "says"),
    [
        ({"code": 2}, {}, "Result: 1 host of 1 run the wanted kernel by default", "exit code 2, not 0"),
        ({"starts": 2}, {}, "Result: 1 host of 1 run the wanted kernel by default", "2 starts of a kernel, not 1"),
        ({"running": OLD}, {}, "Result: 1 host of 1 run the wanted kernel by default", f"running is {OLD}, not {NEW}"),
        ({"default": OLD}, {}, "Result: 1 host of 1 run the wanted kernel by default", f"default is {OLD}, not {NEW}"),
        ({}, {"trial": "/etc/podnet/kernel-trial.json"}, "Result: 1 host of 1 run the wanted kernel by default", "left behind: /etc/podnet"),
        ({}, {}, "nothing", "it does not say"),
        ({"node": {"cordoned": [False], "schedulable": True, "ready": "True", "kernel": NEW, "pods": ["cni-agent-1"], "locks": ""}}, {},
         "Result: 1 host of 1 run the wanted kernel by default", "node: cordoned is [False]"),
    ],
)  # fmt: skip
def test_what_is_not_as_expected_is_told(tmp_path, record, after, output, says):
    case = next(case for case in catalogue.CASES if case.id == "upgrade")
    (problem,) = make_runner(tmp_path).problems(case, {**RECORD, **record}, SEEN, {**SEEN, **after}, output)
    assert says in problem


def test_a_case_that_may_change_nothing(tmp_path):
    case = replace(next(case for case in catalogue.CASES if case.id == "again"), says=())
    problems = make_runner(tmp_path).problems(case, {**RECORD, "starts": 0}, SEEN, {**SEEN, "boot": "another"}, "")
    assert problems == ["boot changed"]


def test_cases_have_names_of_their_own_and_something_to_fail_by():
    assert len({case.id for case in catalogue.CASES}) == len(catalogue.CASES)
    assert all(case.says or not case.playbook for case in catalogue.CASES)


def test_the_machine_is_only_reached_over_loopback_and_gives_way_to_everybody(tmp_path):
    machine = Machine(tmp_path, Path("/template"))
    command = machine.command()
    assert command[:7] == ["chrt", "--idle", "0", "nice", "-n", "19", "qemu-system-x86_64"]
    assert f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{machine.port}-:22" in command
    host = inventory(machine, {})["all"]["hosts"]["vm"]
    assert (host["ansible_host"], host["ansible_port"]) == ("127.0.0.1", machine.port)


def test_the_page_shows_what_happened():
    about = {"date": "2026-11-28", "system": "Debian", "grub": "2.06", "old": OLD, "new": [NEW]}
    node = {"schedulable": True, "ready": "True"}
    failed = {**RECORD, "code": 2, "said": "the host | came back", "starts": 2, "running": OLD, "node": node, "problems": ["x"]}
    text = vm.render({"about": about, "cases": [RECORD, failed]})
    assert f"| Exit code 0; 1 start of a kernel | 300 | {NEW}, which is the default |" in text
    assert 'Exit code 2: "the host \\| came back"; 2 starts of a kernel; node in service, was cordoned and evicted; NOT AS EXPECTED: x' in text
    assert f"{OLD}; default is {NEW}" in text
