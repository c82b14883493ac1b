# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module kernel_check on a node, with the data that its action gives it."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import kernel_facts
from ansible_collections.podnet.cni.plugins.plugin_utils import _kernel_profiles
from ansible_collections.podnet.cni.tests.unit import fixtures
from ansible_collections.podnet.cni.tests.unit.fakes.running import run_module

DATA = _kernel_profiles.read_data()
CONFIG = str(Path(fixtures.__file__).parent / "kernel_configs" / "6.1-amd64_none_amd64.config")


def test_the_running_kernel_is_judged_and_nothing_is_changed(monkeypatch):
    found = run_module(monkeypatch, "kernel_check", data=DATA)
    assert found["changed"] is False
    assert (found["kernel"]["release"], found["kernel"]["running"]) == (platform.release(), True)
    assert len(found["profiles"]) == 6
    verdicts = {profile["verdict"] for profile in found["profiles"]}
    assert verdicts <= {"supported", "unsupported", "unknown"}
    blocked = [finding for finding in found["findings"] if finding["severity"] == "blocker"]
    assert found["passed"] is (blocked == []) and ("unsupported" in verdicts) is bool(blocked)


def test_a_configuration_is_judged_by_itself(monkeypatch):
    found = run_module(monkeypatch, "kernel_check", data=DATA, config=CONFIG, profiles="cilium:1.20.2+netkit")
    assert found["kernel"]["release"].startswith("6.1.") and found["kernel"]["config"] == CONFIG
    assert [finding["id"] for finding in found["findings"] if finding["severity"] == "blocker"] == ["cilium-netkit", "cilium-netkit-kernel"]


def test_the_release_of_a_configuration_can_be_told(monkeypatch):
    found = run_module(monkeypatch, "kernel_check", data=DATA, config=CONFIG, kernel="6.1.0-28-amd64", profiles=["flannel"])
    assert (found["kernel"]["release"], found["kernel"]["family"], found["kernel"]["upstream"]) == ("6.1.0-28-amd64", "debian", None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "data: no profiles were given; run the module as podnet.cni.kernel_check"),
        ({"data": DATA, "profiles": "celium"}, "profiles: there is no 'celium' (did you mean cilium?)"),
        ({"data": {"profiles": {"a": {}}}}, "profiles.a.title: is missing"),
        ({"data": DATA, "root": "/nowhere/at/all"}, "root: '/nowhere/at/all' is no folder"),
        ({"data": DATA, "config": "/dev/null"}, "config: '/dev/null' is no kernel configuration that can be read"),
        ({"data": DATA, "kernel": "6.1.0"}, "kernel: '6.1.0' is only of use with root or config"),
        ({"data": DATA, "config": CONFIG, "kernel": "linux"}, "kernel release: 'linux' does not begin with a version"),
        ({"data": DATA, "root": "/a", "config": "/b"}, "parameters are mutually exclusive: root|config"),
    ],
)
def test_wrong_options_are_told_with_the_remedy(monkeypatch, options, words):
    found = run_module(monkeypatch, "kernel_check", **options)
    assert found["failed"] and words in found["msg"]


def test_check_mode_asks_nothing_that_may_load_modules(monkeypatch):
    depths = []
    real = kernel_facts.running_facts
    monkeypatch.setattr(kernel_facts, "running_facts", lambda needs, depth: depths.append(depth) or real(needs, "none"))
    for options in ({"check_mode": True}, {}, {"check_mode": True, "probe": "none"}, {"probe": "bpf"}):
        run_module(monkeypatch, "kernel_check", data=DATA, profiles="flannel", **options)
    assert depths == ["bpf", "all", "none", "bpf"]
