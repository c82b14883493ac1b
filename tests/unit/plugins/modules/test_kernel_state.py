# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import platform

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import kernel_host, kernel_package_manager
from ansible_collections.podnet.cni.plugins.module_utils._host.commands import CommandError
from ansible_collections.podnet.cni.plugins.module_utils._plan.kernel_upgrade import plan_host
from ansible_collections.podnet.cni.tests.unit.fakes import machine as fake
from ansible_collections.podnet.cni.tests.unit.fakes.machine import NEW, OLD
from ansible_collections.podnet.cni.tests.unit.fakes.running import run_module


class FakeManager(kernel_package_manager.Manager):
    name = "apt"
    refreshed = 0
    problem = ""

    def refresh(self):
        self.refreshed += 1

    def packages(self):
        if self.problem:
            raise CommandError(self.problem)
        return [{"name": f"linux-image-{OLD}", "version": "6.1.192-2", "arch": "", "installed": True}]


@pytest.fixture
def machine(monkeypatch, tmp_path):
    monkeypatch.setattr(platform, "release", lambda: OLD)
    return fake.install(monkeypatch, tmp_path)


@pytest.fixture
def manager(monkeypatch):
    made = FakeManager()
    monkeypatch.setattr(kernel_package_manager, "find", lambda: made)
    return made


def test_what_it_returns_is_documented_and_enough_for_the_plan(monkeypatch, machine, manager):
    read = kernel_host.read
    monkeypatch.setattr(kernel_host, "read", lambda refresh, packages: read(machine.root, refresh, packages))
    results = run_module(monkeypatch, "kernel_state", refresh=True)
    state = results["state"]
    assert (results["changed"], state["running"], state["boot"]["default"], state["boot"]["problem"]) == (False, OLD, NEW, "")
    assert (state["installed"], manager.refreshed) == ([NEW, OLD], 1)
    plan = plan_host("n1", state, {"kernel": NEW})
    assert (plan["blocked"], plan["steps"]) == (False, ["check", "boot once", "prove", "make default"])


def test_the_package_manager_is_left_alone_when_it_is_not_asked_for(machine, manager):
    state = kernel_host.read(machine.root, refresh=True, packages=False)
    assert (state["packages"], state["manager"], manager.refreshed) == ([], "", 0)
    assert (state["running"], state["boot"]["default"]) == (OLD, NEW)


def test_a_package_manager_that_fails(monkeypatch, machine, manager):
    manager.problem = "'apt-cache pkgnames' failed with code 100"
    read = kernel_host.read
    monkeypatch.setattr(kernel_host, "read", lambda refresh, packages: read(machine.root, refresh, packages))
    assert "cannot be told: 'apt-cache pkgnames' failed" in run_module(monkeypatch, "kernel_state")["msg"]


@pytest.mark.parametrize(
    ("file", "text", "key", "kind"),
    [
        ("run/systemd/container", "podman\n", "container", "podman"),
        (".dockerenv", "", "container", "docker"),
        ("run/ostree-booted", "", "immutable", "ostree"),
        ("etc/os-release", "ID=flatcar\n", "immutable", "flatcar"),
        ("etc/os-release", "ID=talos\n", "immutable", "talos"),
    ],
)
def test_hosts_whose_kernel_is_not_a_package_are_known_without_asking_for_packages(machine, manager, file, text, key, kind):
    machine.write(file, text)
    state = kernel_host.read(machine.root, refresh=True)
    assert (state[key], state["packages"], manager.refreshed) == (kind, [], 0)
    assert plan_host("n1", state, {})["blocked"]


def test_files_that_are_whole(machine):
    assert kernel_host.file_problems(machine.root, NEW) == []


def test_files_that_are_not(machine):
    problems = kernel_host.file_problems(machine.root, "6.13.1-amd64")
    assert [problem.split(" ")[0] for problem in problems] == ["there", "there", "/lib/modules/6.13.1-amd64"]


def test_room_is_that_of_the_boot_folder(machine):
    space = kernel_host.space(machine.root, OLD)
    assert (space["path"], space["kernel"]) == (str(machine.root / "boot"), len("kernel") + 102)
    assert space["free"] > 0


def test_secure_boot(machine):
    assert not kernel_host.secure_boot(machine.root)
    path = machine.root / "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x06\0\0\0\x01")
    assert kernel_host.secure_boot(machine.root)
