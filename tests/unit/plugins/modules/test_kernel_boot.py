# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import boot_loader, kernel_trial
from ansible_collections.podnet.cni.plugins.modules import kernel_boot
from ansible_collections.podnet.cni.plugins.modules.kernel_boot import Booter, Failure
from ansible_collections.podnet.cni.tests.unit.fakes import machine as fake
from ansible_collections.podnet.cni.tests.unit.fakes.machine import NEW, OLD

DEFAULTS = {
    "release": None,
    "panic_seconds": 10,
    "options": ["oops=panic", "softlockup_panic=1"],
    "return_seconds": 900,
    "watchdog_seconds": 60,
}
TIMER = f"{kernel_trial.UNITS}/{kernel_trial.UNIT}.timer"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    return fake.install(monkeypatch, tmp_path)


def boot(machine, state, release=None, check=False, **params):
    return Booter({**DEFAULTS, "state": state, "release": release, **params}, check, machine.root).run()


def test_the_running_kernel_stays_the_default_whatever_is_installed(machine):
    assert boot(machine, "pinned", OLD)["changed"]
    assert machine.exists(boot_loader.DROP_IN)
    results = boot(machine, "pinned", OLD)
    assert (results["changed"], results["boot"]["default"], results["boot"]["pinned"]) == (False, OLD, True)
    machine.reboot()
    assert machine.read("proc/sys/kernel/osrelease").strip() == OLD


def test_a_trial_is_started_once_with_a_way_back(machine):
    boot(machine, "pinned", OLD)
    results = boot(machine, "armed", NEW)
    assert (results["boot"]["once"], results["boot"]["default"], results["watchdog"]) == ("podnet-kernel-trial", OLD, "softdog")
    assert not boot(machine, "armed", NEW)["changed"]
    assert "OnBootSec=900" in machine.read(TIMER)
    assert (machine.root / kernel_trial.UNITS / "sysinit.target.wants" / f"{kernel_trial.UNIT}.timer").is_symlink()
    machine.reboot()
    assert machine.read("proc/sys/kernel/osrelease").strip() == NEW
    command_line = machine.read("proc/cmdline").split()
    assert {"oops=panic", "softlockup_panic=1", "panic=10", f"podnet.kernel_trial={NEW}"} <= set(command_line)
    assert kernel_trial.on_trial(machine.root)
    machine.reboot()
    assert machine.read("proc/sys/kernel/osrelease").strip() == OLD
    assert not kernel_trial.on_trial(machine.root)


def test_a_kernel_that_is_kept_is_the_default_by_the_machines_own_setting(machine):
    boot(machine, "pinned", OLD)
    boot(machine, "armed", NEW)
    machine.reboot()
    results = boot(machine, "committed", NEW)
    assert (results["changed"], results["boot"]) == (True, {"loader": "grub", "default": NEW, "once": "", "pinned": False})
    assert not machine.exists(boot_loader.DROP_IN)
    assert not machine.exists("boot/grub/custom.cfg")
    assert not machine.exists(kernel_trial.FOLDER)
    assert kernel_trial.read_record(machine.root) == {"release": NEW, "previous": OLD}
    assert not boot(machine, "committed", NEW)["changed"]
    # Until the next boot the command line has the word of the trial.
    assert (kernel_trial.on_trial(machine.root), kernel_trial.read(machine.root)["on_trial"]) == (True, False)


def test_a_kernel_that_is_not_the_newest_stays_pinned(machine):
    boot(machine, "pinned", NEW)
    machine.reboot()
    boot(machine, "armed", OLD)
    machine.reboot()
    results = boot(machine, "committed", OLD)
    assert (results["boot"]["default"], results["boot"]["pinned"]) == (OLD, True)
    assert not boot(machine, "committed", OLD)["changed"]
    assert kernel_trial.read_record(machine.root) == {}


def test_a_trial_that_is_given_up_leaves_nothing(machine):
    machine.write("boot/grub/custom.cfg", "menuentry 'mine' {\n}\n")
    boot(machine, "pinned", OLD)
    boot(machine, "armed", NEW)
    assert "menuentry 'mine'" in machine.read("boot/grub/custom.cfg")
    results = boot(machine, "disarmed")
    assert (results["changed"], results["boot"]["once"], results["boot"]["default"]) == (True, "", OLD)
    assert machine.read("boot/grub/custom.cfg") == "menuentry 'mine' {\n}\n"
    assert not machine.exists(TIMER)
    assert not boot(machine, "disarmed")["changed"]


@pytest.mark.parametrize(("state", "release"), [("pinned", OLD), ("armed", NEW), ("committed", OLD)])
def test_check_mode_changes_nothing_and_says_what_would(machine, state, release):
    if state == "armed":
        boot(machine, "pinned", OLD)
    before = {path: path.read_bytes() for path in machine.root.rglob("*") if path.is_file()}
    results = boot(machine, state, release, check=True)
    assert results["changed"]
    assert results["diff"]["after"]["default" if state != "armed" else "once"] == (release if state != "armed" else "podnet-kernel-trial")
    assert {path: path.read_bytes() for path in machine.root.rglob("*") if path.is_file()} == before


def test_the_default_cannot_be_tried_since_there_is_no_way_back(machine):
    with pytest.raises(Failure, match="is the default of the boot loader"):
        boot(machine, "armed", NEW)


def test_only_the_kernel_that_runs_can_be_kept(machine):
    with pytest.raises(Failure, match=f"'{NEW.replace('+', '.')}' does not run, {OLD} does"):
        boot(machine, "committed", NEW)


def test_a_release_without_an_entry(machine):
    with pytest.raises(boot_loader.BootError, match="has no entry for '5.10.0-28-amd64'; it has 6.12"):
        boot(machine, "pinned", "5.10.0-28-amd64")


def test_a_boot_loader_that_cannot_forget_is_refused(machine):
    machine.answers["grub-probe"] = (0, "lvm\n")
    with pytest.raises(Failure, match="would be started for ever"):
        boot(machine, "pinned", OLD)


def test_an_entry_that_cannot_be_asked_for_leaves_nothing_behind(machine):
    boot(machine, "pinned", OLD)
    machine.answers["grub-reboot"] = (1, "no such entry")
    with pytest.raises(boot_loader.commands.CommandError):
        boot(machine, "armed", NEW)
    assert not machine.exists(TIMER)
    assert not machine.exists("boot/grub/custom.cfg")


def test_a_container_has_no_boot_loader(machine):
    machine.write("run/systemd/container", "podman\n")
    with pytest.raises(Failure, match="this is a container"):
        boot(machine, "pinned", OLD)


def test_a_machine_without_a_known_boot_loader(machine):
    (machine.root / "boot/grub/grub.cfg").unlink()
    with pytest.raises(Failure, match="no boot loader was found"):
        boot(machine, "pinned", OLD)


def test_a_watchdog_in_use_is_left_alone(machine):
    machine.write("dev/watchdog0", "")
    machine.write("sys/class/watchdog/watchdog0/identity", "iTCO_wdt\n")
    machine.write("sys/class/watchdog/watchdog0/state", "active\n")
    boot(machine, "pinned", OLD)
    assert boot(machine, "armed", NEW)["watchdog"] == ""
    assert not machine.exists(kernel_trial.MANAGER)


def test_a_hardware_watchdog_is_served(machine):
    machine.write("dev/watchdog0", "")
    machine.write("sys/class/watchdog/watchdog0/identity", "iTCO_wdt\n")
    boot(machine, "pinned", OLD)
    assert boot(machine, "armed", NEW)["watchdog"] == "iTCO_wdt"
    assert "RuntimeWatchdogSec=60" in machine.read(kernel_trial.MANAGER)
    assert not machine.exists(f"{kernel_trial.UNITS}/{kernel_trial.SOFTDOG_UNIT}.service")


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"state": "armed"}, "release: state=armed needs the release"),
        ({"state": "armed", "release": NEW, "panic_seconds": 0}, "panic_seconds: 0"),
        ({"state": "armed", "release": NEW, "return_seconds": 5}, "return_seconds: 5"),
        ({"state": "armed", "release": NEW, "watchdog_seconds": 1}, "watchdog_seconds: 1"),
        ({"state": "armed", "release": NEW, "options": ["a b"]}, "options: 'a b'"),
        ({"state": "armed", "release": NEW, "options": ["a}"]}, "options: 'a}'"),
    ],
)
def test_bad_options_are_refused_with_a_remedy(params, says):
    problem = kernel_boot.option_problem({**DEFAULTS, **params})
    assert problem.startswith(says)
    assert "give" in problem or "needs" in problem


def test_good_options():
    assert kernel_boot.option_problem({**DEFAULTS, "state": "armed", "release": NEW}) is None
