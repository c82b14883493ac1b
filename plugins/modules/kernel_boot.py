#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_boot
short_description: Start a kernel once, with a way back, and keep it
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Tells the boot loader (GRUB with or without BLS entries, systemd-boot) which kernel to start. It does not reboot.
  - With O(state=armed) the next boot, and only that one, starts O(release) with further options for the kernel, so that a panic ends in a
    reboot instead of a standstill, and with a timer that reboots the machine unless O(state=committed) comes in time. Every boot after
    that starts the default, which is still the kernel before.
  - The units of the timer are on disk, since they must outlast the reboot, and do nothing but in the boot on trial.
  - systemd serves a watchdog during the trial, so that a machine on which nothing runs any more is reset. That is the hardware's where it
    has a driver and nothing uses it, else the kernel's own one (softdog), which needs a kernel that still takes interrupts.
extends_documentation_fragment:
  - podnet.cni._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: linux
options:
  state:
    description:
      - V(pinned) makes O(release) the default whatever kernels are installed later. Use it with the running kernel before the installation
        of another one.
      - V(armed) prepares the trial of O(release).
      - V(committed) keeps O(release), which must be running. It becomes the default and the trial is over. Where the machine's own settings
        start it anyway, these are put in force again; else it stays pinned.
      - V(disarmed) gives a trial up. The default stays as it is.
    type: str
    choices: [pinned, armed, committed, disarmed]
    required: true
  release:
    description: Release of the kernel. Required by all states but V(disarmed).
    type: str
  panic_seconds:
    description: Seconds after a panic until the machine reboots, for O(state=armed).
    type: int
    default: 10
  options:
    description: Further options for the kernel on trial. What stops it halfway should end in a panic.
    type: list
    elements: str
    default: [oops=panic, softlockup_panic=1]
  return_seconds:
    description: Seconds after the start of the kernel on trial until the machine reboots unless it is kept, for O(state=armed).
    type: int
    default: 900
  watchdog_seconds:
    description:
      - Seconds without a sign of life of systemd after which the watchdog resets the machine on trial, V(0) to do without. A watchdog that
        is in use already is left alone.
    type: int
    default: 60
seealso:
  - module: podnet.cni.kernel_install
  - module: podnet.cni.kernel_state
"""

EXAMPLES = r"""
- name: Keep the running kernel the default
  podnet.cni.kernel_boot:
    state: pinned
    release: 6.1.0-56-cloud-amd64

- name: Start the new one next time only
  podnet.cni.kernel_boot:
    state: armed
    release: 6.12.117+deb12-cloud-amd64

- name: Reboot
  ansible.builtin.reboot:

- name: Keep it
  podnet.cni.kernel_boot:
    state: committed
    release: 6.12.117+deb12-cloud-amd64
"""

RETURN = r"""
boot:
  description: What the boot loader starts afterwards, with its name (C(loader)), the release that it starts by C(default), the entry that it
    starts C(once), and whether the default is C(pinned). In check mode as it is.
  returned: success
  type: dict
  sample: {loader: grub, default: 6.1.0-56-cloud-amd64, once: podnet-kernel-trial, pinned: true}
watchdog:
  description: The watchdog that is served during the trial, empty without one.
  returned: success
  type: str
  sample: softdog
"""

import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._host import boot_loader, commands, files, kernel_files, kernel_host, kernel_trial
from ansible_collections.podnet.cni.plugins.module_utils._plan.kernel_entries import MARK, TRIAL_ID

LEAST_RETURN = 60


class Failure(Exception):
    """What the module fails with."""


def running_release(root: Path) -> str:
    """The running kernel."""
    return (files.read_text(root / "proc/sys/kernel/osrelease") or "").strip()


class Booter:
    """Carries out one state."""

    def __init__(self, params: t.Mapping[str, t.Any], check_mode: bool, root: Path = Path("/")) -> None:
        self.params = params
        self.check_mode = check_mode
        self.root = root
        self.release = str(params["release"] or "")
        self.running = running_release(root)
        self.watchdog = ""
        kind = kernel_host.container(root)
        if kind:
            raise Failure(f"this is a container ({kind}), which runs on the kernel of its machine and has no boot loader; run it on the machine")
        found = boot_loader.find(root)
        if found is None:
            raise Failure(f"{boot_loader.EMPTY['problem']}. {boot_loader.EMPTY['remedy']}")
        self.loader = found

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results."""
        before = self._shown()
        changed = bool(getattr(self, f"run_{self.params['state']}")())
        after = self._shown()
        results: dict[str, t.Any] = {"changed": changed, "boot": after, "watchdog": self.watchdog}
        if changed:
            results["diff"] = {"before": before, "after": self._expected() if self.check_mode else after}
        return results

    def _shown(self) -> dict[str, t.Any]:
        default = self.loader.default()
        return {
            "loader": self.loader.name,
            "default": default.release if default else "",
            "once": self.loader.once(),
            "pinned": self.loader.pinned(),
        }

    def _expected(self) -> dict[str, t.Any]:
        """What check mode foresees."""
        shown = self._shown()
        if self.params["state"] in ("pinned", "committed"):
            shown["default"] = self.release
        if self.params["state"] == "armed":
            shown["once"] = TRIAL_ID
        elif self.params["state"] != "pinned":
            shown["once"] = ""
        return shown

    def _refuse_problem(self) -> None:
        problem, remedy = self.loader.problem()
        if problem:
            raise Failure(f"{problem}. {remedy}")

    def run_pinned(self) -> bool:
        """State pinned."""
        self.loader.entry_of(self.release)
        self._refuse_problem()
        if self.loader.is_default(self.release) and self.loader.holds():
            return False
        if not self.check_mode:
            self.loader.keep_default(self.release)
        return True

    def run_armed(self) -> bool:
        """State armed."""
        self.loader.entry_of(self.release)
        self._refuse_problem()
        default = self.loader.default()
        if default is not None and default.release == self.release:
            raise Failure(
                f"release: '{self.release}' is the default of the boot loader, so that the machine could not go back from it; "
                f"pin another one first, such as {self.running}"
            )
        watchdog = self._watchdog()
        state = {"release": self.release, "previous": self.running, "return_seconds": self.params["return_seconds"]}
        known = kernel_trial.read(self.root)
        if self.loader.armed() and all(known.get(key) == value for key, value in state.items()):
            return False
        if self.check_mode:
            return True
        # The way back first: an entry that starts a kernel once is of no use without it.
        kernel_trial.arm(self.root, state, self.params["return_seconds"], watchdog)
        try:
            self.loader.arm(self.release, [*self.params["options"], f"panic={self.params['panic_seconds']}", f"{MARK}={self.release}"])
        except (boot_loader.BootError, commands.CommandError, OSError):
            self.loader.disarm()
            kernel_trial.disarm(self.root)
            raise
        return True

    def _watchdog(self) -> kernel_trial.Watchdog:
        """What watches over the trial: a watchdog that is there and not in use, else the kernel's own one if it has it."""
        found = kernel_trial.watchdog_state(self.root)
        seconds = int(self.params["watchdog_seconds"])
        if not seconds or found["active"]:
            return kernel_trial.Watchdog()
        if found["device"]:
            self.watchdog = found["identity"] or "hardware"
            return kernel_trial.Watchdog(seconds)
        if "softdog" in kernel_files.find_modules(self.root, self.release, running=False)[1]:
            self.watchdog = "softdog"
            return kernel_trial.Watchdog(seconds, soft=True)
        return kernel_trial.Watchdog()

    def run_committed(self) -> bool:
        """State committed."""
        if self.running != self.release:
            raise Failure(f"release: '{self.release}' does not run, {self.running} does; only the kernel that runs can be kept")
        self.loader.entry_of(self.release)
        known = kernel_trial.read(self.root)
        done = self.loader.is_default(self.release) and not known["armed"] and not self.loader.armed() and not self._could_be_let_go()
        if done or self.check_mode:
            return not done
        previous = str(known.get("previous") or "")
        # The timer is stopped first: from here on nothing may reboot the machine into another kernel.
        kernel_trial.disarm(self.root)
        self.loader.disarm()
        self.loader.make_default(self.release)
        kernel_trial.record(self.root, previous, self.release)
        return True

    def _could_be_let_go(self) -> bool:
        """Whether the default is pinned although the machine's own settings start the same."""
        return self.loader.pinned() and self.loader.default_by_itself() == self.release

    def run_disarmed(self) -> bool:
        """State disarmed."""
        if self.check_mode:
            return self.loader.armed() or bool(kernel_trial.read(self.root)["armed"])
        entry = self.loader.disarm()
        return kernel_trial.disarm(self.root) or entry


def option_problem(params: t.Mapping[str, t.Any]) -> str | None:
    """What is wrong with the options, with the remedy."""
    if params["state"] != "disarmed" and not params["release"]:
        return f"release: state={params['state']} needs the release of a kernel, such as 6.12.117+deb12-cloud-amd64"
    if params["panic_seconds"] < 1:
        return f"panic_seconds: {params['panic_seconds']} would leave a kernel that panics where it is; give 1 or more"
    if params["return_seconds"] < LEAST_RETURN:
        return f"return_seconds: {params['return_seconds']} is too little for a machine to start; give {LEAST_RETURN} or more"
    if params["watchdog_seconds"] and params["watchdog_seconds"] < 10:
        return f"watchdog_seconds: {params['watchdog_seconds']} is too little; give 10 or more, or 0 to leave the watchdog alone"
    wrong = [word for word in params["options"] if not word.strip() or any(sign in word for sign in "\"'{};\n") or " " in word.strip()]
    if wrong:
        return f"options: '{wrong[0]}' is no option for a kernel; give one word each, such as oops=panic"
    return None


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["pinned", "armed", "committed", "disarmed"], "required": True},
            "release": {"type": "str"},
            "panic_seconds": {"type": "int", "default": 10},
            "options": {"type": "list", "elements": "str", "default": ["oops=panic", "softlockup_panic=1"]},
            "return_seconds": {"type": "int", "default": 900},
            "watchdog_seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    problem = option_problem(module.params)
    if problem:
        module.fail_json(msg=problem)
    try:
        results = Booter(module.params, module.check_mode).run()
    except (Failure, boot_loader.BootError, commands.CommandError, OSError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**results)


if __name__ == "__main__":
    main()
