# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import kernel_package_manager
from ansible_collections.podnet.cni.plugins.module_utils._host.commands import CommandError
from ansible_collections.podnet.cni.plugins.modules.kernel_install import Failure, Installer, split_package
from ansible_collections.podnet.cni.tests.unit.fakes import machine as fake
from ansible_collections.podnet.cni.tests.unit.fakes.machine import NEW, OLD

PACKAGE = f"linux-image-{NEW}=6.12.117-1~deb12u1"


class FakeManager(kernel_package_manager.Manager):
    """Has one package, which brings the new kernel."""

    name = "apt"

    def __init__(self, machine):
        self.machine = machine
        self.installed = False
        self.problem = ""
        self.leaves_out = ""
        self.removed = []

    def packages(self):
        name, version = split_package(PACKAGE)
        return [{"name": name, "version": version, "arch": "", "installed": self.installed}]

    def install(self, packages):
        assert list(packages) == [PACKAGE]
        if self.problem:
            raise CommandError(self.problem)
        self.machine.install(NEW)
        if self.leaves_out:
            (self.machine.root / self.leaves_out).unlink()
        self.installed = True

    def remove(self, packages):
        self.removed += packages


@pytest.fixture
def machine(monkeypatch, tmp_path):
    made = fake.install(monkeypatch, tmp_path)
    for name in (f"boot/vmlinuz-{NEW}", f"boot/initrd.img-{NEW}", f"lib/modules/{NEW}/modules.dep"):
        (tmp_path / name).unlink()
    return made


@pytest.fixture
def manager(monkeypatch, machine):
    made = FakeManager(machine)
    monkeypatch.setattr(kernel_package_manager, "find", lambda: made)
    return made


def run(machine, packages=(PACKAGE,), release=NEW, check=False):
    return Installer({"release": release, "packages": packages}, check, machine.root).run()


def test_it_installs_and_finds_the_files(machine, manager):
    results = run(machine)
    assert (results["changed"], results["installed"]) == (True, [PACKAGE])
    assert results["image"].endswith(f"boot/vmlinuz-{NEW}")
    assert results["initrd"].endswith(f"boot/initrd.img-{NEW}")
    again = run(machine)
    assert (again["changed"], again["installed"], "diff" in again) == (False, [], False)


def test_check_mode_installs_nothing(machine, manager):
    results = run(machine, check=True)
    assert (results["changed"], results["installed"], results["image"], manager.installed) == (True, [PACKAGE], None, False)


@pytest.mark.parametrize(
    ("lost", "says"),
    [
        (f"boot/vmlinuz-{NEW}", "there is no kernel"),
        (f"boot/initrd.img-{NEW}", "there is no initramfs"),
        (f"lib/modules/{NEW}/modules.dep", "has no index of modules"),
    ],
)
def test_a_kernel_with_files_missing_is_removed_again(machine, manager, lost, says):
    manager.leaves_out = lost
    with pytest.raises(Failure, match=f"{says}.*It was removed again"):
        run(machine)
    assert manager.removed == [PACKAGE]


def test_an_installation_that_fails_is_undone(machine, manager):
    manager.problem = "no space left"
    with pytest.raises(Failure, match="no space left. It was removed again"):
        run(machine)
    assert manager.removed == [PACKAGE]


def test_an_initramfs_that_is_no_archive_is_refused_and_not_removed_when_it_was_there_before(machine, manager):
    (machine.root / f"boot/initrd.img-{OLD}").write_bytes(b"\0" * 100)
    with pytest.raises(Failure, match="is no archive. Install its package again"):
        run(machine, [], OLD)
    assert manager.removed == []


def test_a_kernel_without_an_entry_of_the_boot_loader_is_refused(machine, manager):
    machine.write("boot/grub/grub.cfg", "next_entry custom.cfg\n")
    with pytest.raises(Failure, match="has no entry for it"):
        run(machine)


def test_a_package_that_no_repository_has(machine, manager):
    with pytest.raises(Failure, match="linux-image-x=1 is in no repository of this host"):
        run(machine, ["linux-image-x=1"])


def test_a_package_without_a_version():
    assert split_package("kernel-5.14.0-503.el9.x86_64") == ("kernel", "5.14.0-503.el9")
    assert split_package("kernel-modules-extra-5.14.0-503.el9.x86_64") == ("kernel-modules-extra", "5.14.0-503.el9")
    with pytest.raises(Failure, match="'linux-image' has no version; give NAME=VERSION"):
        split_package("linux-image")


def test_a_host_without_a_known_package_manager(machine, monkeypatch):
    monkeypatch.setattr(kernel_package_manager, "find", lambda: None)
    with pytest.raises(Failure, match="none of apt-get, dnf and zypper"):
        run(machine)


def test_a_container_is_refused(machine, manager):
    machine.write("run/.containerenv", "")
    with pytest.raises(Failure, match="this is a container"):
        run(machine)
