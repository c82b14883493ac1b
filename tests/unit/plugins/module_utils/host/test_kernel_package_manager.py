# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What package managers print, and what they are told."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import commands, kernel_package_manager
from ansible_collections.podnet.cni.plugins.module_utils._host.kernel_package_manager import Apt, Dnf, Zypper

# As apt 2.6 prints it on the virtual machine.
MADISON = """\
linux-image-6.1.0-56-cloud-amd64 |  6.1.192-2 | file:/srv/kernels ./ Packages
linux-image-6.12.117+deb12-cloud-amd64 | 6.12.117-1~deb12u1 | file:/srv/kernels ./ Packages
     linux |  6.1.192-2 | http://deb.example.org/debian bookworm/main Sources
"""
DPKG = (
    "linux-image-6.1.0-56-cloud-amd64\t6.1.192-2\tinstalled\nlinux-image-6.1.0-50-cloud-amd64\t6.1.176-1\tconfig-files\nlinux-doc\t\tnot-installed\n"
)
SHOW = """\
Package: linux-image-cloud-amd64
Version: 6.1.192-2
Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)
Description: Linux for x86-64 cloud (meta-package)

Package: linux-image-generic
Depends: linux-image-6.8.0-60-generic, linux-modules-extra-6.8.0-60-generic, linux-firmware, intel-microcode
"""
ZYPPER = """\
<?xml version='1.0'?>
<stream>
<search-result version="0.0"><solvable-list>
<solvable status="installed" name="kernel-default" kind="package" edition="6.4.0-150600.23.42.2" arch="x86_64" repository="SLE-Updates"/>
<solvable status="other-version" name="kernel-default" kind="package" edition="6.4.0-150600.23.47.2" arch="x86_64" repository="SLE-Updates"/>
<solvable status="not-installed" name="kernel-rt" kind="package" edition="6.4.0-150600.10.39.1" arch="x86_64" repository="SLE-RT"/>
<solvable status="not-installed" name="kernel" kind="srcpackage" edition="1" arch="src" repository="SLE-RT"/>
</solvable-list></search-result>
</stream>
"""
RPM = "kernel\t5.14.0-427.13.1.el9_4\tx86_64\nkernel-core\t5.14.0-427.13.1.el9_4\tx86_64\nkernel-ml\t6.15.4-1.el9.elrepo\tx86_64\n"


class Programs:
    """Answers by the beginning of a command, and what was called."""

    def __init__(self, answers):
        self.answers = answers
        self.calls = []

    def run(self, words, **options):
        command = " ".join(words)
        self.calls.append((command, options))
        text = next((answer for start, answer in self.answers.items() if command.startswith(start)), "")
        return subprocess.CompletedProcess(words, 0, text, "")


@pytest.fixture
def programs(monkeypatch):
    made = Programs({})
    monkeypatch.setattr(commands, "run", made.run)
    return made


def test_apt_lists_what_is_installed_and_what_can_be(programs):
    programs.answers = {
        "dpkg-query": DPKG,
        "apt-cache pkgnames linux-image-": "linux-image-6.1.0-56-cloud-amd64\nlinux-image-6.1.0-56-cloud-amd64-dbg\n",
        "apt-cache madison": MADISON,
    }
    found = {(item["name"], item["version"]): item["installed"] for item in Apt().packages()}
    assert found == {
        ("linux-image-6.1.0-56-cloud-amd64", "6.1.192-2"): True,
        ("linux-image-6.12.117+deb12-cloud-amd64", "6.12.117-1~deb12u1"): False,
    }
    (asked,) = [command for command, dummy in programs.calls if "madison" in command]
    assert asked == "apt-cache madison linux-image-6.1.0-56-cloud-amd64"


def test_apt_without_any_kernel_asks_for_none(programs):
    assert Apt().packages() == []
    assert not any("madison" in command for command, dummy in programs.calls)
    assert Apt().metas() == {}


def test_apt_tells_what_meta_packages_depend_on(programs):
    programs.answers = {
        "apt-cache pkgnames linux-image-": "linux-image-cloud-amd64\nlinux-image-6.1.0-56-cloud-amd64\nlinux-image-generic\n",
        "apt-cache show": SHOW,
    }
    assert Apt().metas() == {
        "linux-image-cloud-amd64": ["linux-image-6.1.0-56-cloud-amd64"],
        "linux-image-generic": ["linux-image-6.8.0-60-generic", "linux-modules-extra-6.8.0-60-generic"],
    }
    assert programs.calls[-1][0] == "apt-cache show --no-all-versions linux-image-cloud-amd64 linux-image-generic"


def test_apt_installs_exactly_and_asks_nobody(programs):
    Apt().install(["linux-image-x=1"])
    ((command, options),) = programs.calls
    assert command.startswith("apt-get install --yes -q --no-install-recommends --no-remove")
    assert command.endswith("linux-image-x=1")
    assert options["environment"]["DEBIAN_FRONTEND"] == "noninteractive"
    Apt().remove(["linux-image-x=1"])
    assert programs.calls[-1][0].startswith("apt-get purge")
    assert programs.calls[-1][0].endswith(" linux-image-x")


def test_dnf(programs):
    programs.answers = {"rpm": RPM.splitlines()[0] + "\n", "dnf --quiet repoquery": RPM}
    found = {(item["name"], item["version"], item["arch"]): item["installed"] for item in Dnf().packages()}
    assert found == {("kernel", "5.14.0-427.13.1.el9_4", "x86_64"): True, ("kernel-ml", "6.15.4-1.el9.elrepo", "x86_64"): False}
    Dnf().install(["kernel-5.14.0-503.el9.x86_64"])
    assert programs.calls[-1][0] == "dnf --assumeyes --quiet install kernel-5.14.0-503.el9.x86_64"


def test_zypper(programs):
    programs.answers = {"zypper": ZYPPER}
    found = [(item["name"], item["version"], item["installed"]) for item in Zypper().packages()]
    assert found == [
        ("kernel-default", "6.4.0-150600.23.42.2", True),
        ("kernel-default", "6.4.0-150600.23.47.2", False),
        ("kernel-rt", "6.4.0-150600.10.39.1", False),
    ]
    Zypper().install(["kernel-default=6.4.0-150600.23.47.2"])
    assert "--oldpackage" in programs.calls[-1][0]
    assert kernel_package_manager.parse_zypper("no XML") == []


@pytest.mark.parametrize(("program", "name"), [("apt-get", "apt"), ("dnf", "dnf"), ("zypper", "zypper"), ("pacman", None)])
def test_the_package_manager_is_found_by_its_program(monkeypatch, program, name):
    monkeypatch.setattr(commands, "find", lambda wanted: f"/usr/bin/{wanted}" if wanted == program else None)
    found = kernel_package_manager.find()
    assert (found.name if found else None) == name
