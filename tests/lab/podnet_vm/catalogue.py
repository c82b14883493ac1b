# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is tried on the virtual machine, in this order: each case begins where the one before ended, with the old kernel or the new one."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Callable, Mapping

from podnet_vm.machine import Machine

UPGRADE, ROLLBACK = "kernel_upgrade", "kernel_rollback"
FAULTS = "/etc/podnet-fault"
CONFIRM = {"podnet_confirm": True}
# An emulated machine without a processor of its own starts slowly, and stands still now and then: a lockup is nothing to panic about before a
# minute has passed.
PATIENT: Mapping[str, t.Any] = {
    "kernel_upgrade_return_seconds": 1200,
    "kernel_upgrade_boot_seconds": 900,
    "kernel_upgrade_boot_options": ["oops=panic", "softlockup_panic=1", "watchdog_thresh=60"],
    "kernel_upgrade_watchdog_seconds": 120,
    "kernel_upgrade_profiles": ["flannel", "calico_iptables"],
}


def nothing(_machine: Machine, _release: str) -> None:
    """No fault."""


def no_working_init(machine: Machine, release: str) -> None:
    """An initramfs that is a whole archive, with an init that cannot be run."""
    machine.ssh(
        f"cp /boot/initrd.img-{release} /root/initrd; mkdir -p /tmp/broken; cd /tmp/broken; echo broken > init; chmod +x init; "
        f"echo init | cpio --quiet -o -H newc | gzip > /boot/initrd.img-{release}"
    )


def working_init(machine: Machine, release: str) -> None:
    """The initramfs as it was."""
    machine.ssh(f"mv /root/initrd /boot/initrd.img-{release}")


def fault(name: str) -> Callable[[Machine, str], None]:
    """Ask for a fault that the machine's own scripts make."""

    def ask(machine: Machine, release: str) -> None:
        machine.ssh(f"mkdir -p {FAULTS}; echo {release} > {FAULTS}/{name}")

    return ask


def no_fault(machine: Machine, _release: str) -> None:
    """All as it should be."""
    machine.ssh(f"rm -rf {FAULTS}")


@dataclasses.dataclass(frozen=True)
class Case:
    """One run of a playbook, or a plain reboot when there is none.

    With C(cluster) the machine is a node: it must have been cordoned, its pod evicted, and be in service at the end. C(new) tells which kernel
    must run, and be the default, at the end. C(boots) is how often the machine was started meanwhile. C(kernel) is the wanted one: C(0) and
    C(1) for the newer kernels, or a text. C(console) must be on the console, so that it was this fault and not another one.
    """

    id: str
    title: str
    how: str
    expected: str
    playbook: str = UPGRADE
    kernel: int | str = 0
    variables: Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    check: bool = False
    code: int = 0
    says: tuple[str, ...] = ()
    new: bool = False
    boots: int = 0
    changes: bool = True
    cluster: bool = False
    console: str = ""
    before: Callable[[Machine, str], None] = nothing
    after: Callable[[Machine, str], None] = nothing


CASES: tuple[Case, ...] = (
    Case(
        id="plan",
        title="Plan",
        how="`--check`, with the series 6.12.",
        expected="The plan is shown, nothing changes.",
        kernel="6.12",
        check=True,
        says=("Plan: 1 host of 1 in 1 batch (1), 1 reboot.", "- linux-image-6.12."),
        changes=False,
    ),
    Case(
        id="consent",
        title="No consent",
        how="Without `podnet_confirm`.",
        expected="Refused before anything changes.",
        code=2,
        says=("podnet_confirm is False", "nothing was changed yet"),
        changes=False,
    ),
    Case(
        id="not-there",
        title="A kernel that is not to be had",
        how="A release that is in no repository.",
        expected="Refused with those that are there.",
        kernel="6.99.1-cloud-amd64",
        variables=CONFIRM,
        code=2,
        says=("'6.99.1-cloud-amd64' is neither installed nor in a repository", "nothing was changed on any host"),
        changes=False,
    ),
    Case(
        id="upgrade",
        title="Upgrade",
        how="From 6.1 to 6.12, which is installed first.",
        expected="Started once, proved, then the default.",
        variables=CONFIRM,
        says=("Result: 1 host of 1 run the wanted kernel by default",),
        new=True,
        boots=1,
    ),
    Case(
        id="rollback",
        title="Rollback",
        how="`kernel_rollback`.",
        expected="Back on the kernel before, which is the default again.",
        playbook=ROLLBACK,
        kernel="",
        variables=CONFIRM,
        says=("Result: 1 host of 1 run the wanted kernel by default",),
        boots=1,
    ),
    Case(
        id="panic",
        title="Panic at boot",
        how="The new kernel's initramfs has an init that cannot be run.",
        expected="Reboots after the panic, back on the old kernel; the run fails and names host, step and reason.",
        variables=CONFIRM,
        code=2,
        says=("the host was started with", "the new kernel panicked", "The node is in service again", "The run stops after this batch"),
        boots=2,
        cluster=True,
        console="No working init found",
        before=no_working_init,
        after=working_init,
    ),
    Case(
        id="no-network",
        title="No network after the boot",
        how="The network card is not configured with the new kernel.",
        expected="The host's own timer reboots it, back on the old kernel; the run fails and names the timer.",
        variables={**CONFIRM, "kernel_upgrade_return_seconds": 300},
        code=2,
        says=("its timer wrote:", "was not kept within 300 s of the boot", "The node is in service again", "The run stops after this batch"),
        boots=2,
        cluster=True,
        console="fault: no network with this kernel",
        before=fault("no-network"),
        after=no_fault,
    ),
    Case(
        id="hang",
        title="Hang without a panic",
        how="With the new kernel, a real-time process takes the processor for itself for ever, so that neither systemd nor its timers run.",
        expected="The watchdog that systemd serves on trial (softdog, since Debian's cloud kernels have no other) resets the machine, back on "
        "the old kernel.",
        variables=CONFIRM,
        code=2,
        says=("the host was started with", "was reset by the watchdog", "The node is in service again", "The run stops after this batch"),
        boots=2,
        cluster=True,
        console="fault: this machine hangs from now on",
        before=fault("hang"),
        after=no_fault,
    ),
    Case(
        id="node",
        title="Upgrade of a node",
        how="The kernel is installed already; the machine is a node with an agent and a pod that can be evicted, and the cluster has a kured.",
        expected="Cordoned, evicted, started once, Ready with its agent, the default, uncordoned; all locks are free again.",
        variables=CONFIRM,
        says=("Result: 1 host of 1 run the wanted kernel by default",),
        new=True,
        boots=1,
        cluster=True,
    ),
    Case(
        id="again",
        title="The same again",
        how="The same command.",
        expected="Nothing changes, no reboot.",
        variables=CONFIRM,
        says=("Plan: nothing to do, 1 host as wanted.",),
        new=True,
        changes=False,
    ),
    Case(
        id="default",
        title="Reboot by hand",
        how="`systemctl reboot`.",
        expected="The new kernel is the default.",
        playbook="",
        new=True,
        boots=1,
    ),
)
