# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done to a host so that it runs the wanted kernel, and why it is refused. Pure: facts and wishes in, a plan out.

Whether a reboot is needed follows from three releases: the one that runs, the one that the boot loader starts by default, and the wanted one.
"""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_packages
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, INFO, WARNING, Finding, is_blocked, ordered

Record = t.Mapping[str, t.Any]

INSTALL, CHECK, EVICT, BOOT, PROVE, DEFAULT, UNCORDON = "install", "check", "evict", "boot once", "prove", "make default", "uncordon"
TRIED_LOADERS = ("grub",)
LOADERS = {"grub": "GRUB", "grub-bls": "GRUB with BLS entries", "systemd-boot": "systemd-boot"}
PREVIOUS = "previous"
"""The kernel that ran before the one that was kept last."""
MIB = 2**20
SPACE_FACTOR = 1.5
"""How much more than the running kernel's files the new ones may take: an initramfs of a newer kernel is mostly larger."""
LEAST_SPACE = 64 * MIB
IMMUTABLE: t.Mapping[str, tuple[str, str]] = {
    "ostree": (
        "its file system is managed by ostree",
        "Let rpm-ostree (or the Machine Config Operator) do it: 'rpm-ostree upgrade' and a reboot; 'rpm-ostree rollback' is the way back.",
    ),
    "flatcar": (
        "Flatcar replaces the whole system, and has a way back of its own",
        "Use its update engine ('update_engine_client -update') with the Flatcar Linux Update Operator, which takes one node at a time.",
    ),
    "talos": (
        "Talos has no package manager and no SSH",
        "Use 'talosctl upgrade --image ...', one node at a time; 'talosctl rollback' is the way back.",
    ),
    "bottlerocket": (
        "Bottlerocket replaces the whole system",
        "Use its update operator, or 'apiclient update apply --reboot'; it goes back by itself.",
    ),
    "cos": ("Container-Optimized OS replaces the whole system", "Give the node pool a newer image, and let it replace the nodes."),
    "transactional": (
        "its root file system is read-only and changed by snapshots",
        "Use 'transactional-update kernel', a reboot, and 'transactional-update rollback' as the way back.",
    ),
    "nixos": (
        "its kernel follows from its configuration",
        "Set boot.kernelPackages and use 'nixos-rebuild boot'; older generations stay in the menu.",
    ),
}
"""Systems whose kernel is not changed by installing a package: why, and what to use instead."""


def reboot_reason(running: str, default: str, wanted: str) -> str:
    """Why a reboot is needed, empty when it is not."""
    if running == wanted:
        return ""
    if default == wanted:
        return f"{wanted} is the default already, but {running} runs"
    return f"{running} runs, {wanted} is wanted"


class _Judge:
    """Collects findings about one host."""

    def __init__(self, host: str, state: Record, settings: Record) -> None:
        self.host = host
        self.state = state
        self.settings = settings
        self.findings: list[Finding] = []

    def add(self, identifier: str, severity: str, evidence: str, why: str, remedy: str, source: str = "podnet.cni") -> None:
        self.findings.append(Finding(f"kernel-{identifier}", severity, self.host, evidence, why, remedy, source, (self.host,)))

    def look_at_system(self) -> kernel_packages.Distribution | None:
        """What makes it impossible on this host."""
        state, system = self.state, self.state["system"]
        name = system.get("pretty_name") or system.get("id") or "an unknown system"
        if state["container"]:
            self.add(
                "container",
                BLOCKER,
                f"The host is a container ({state['container']}).",
                "A container runs on the kernel of its machine and has no boot loader.",
                "Run the playbook on the machine instead.",
            )
            return None
        if state["immutable"]:
            why, remedy = IMMUTABLE[state["immutable"]]
            self.add("immutable", BLOCKER, f"The host runs {name}: {why}.", "Packages of a kernel cannot be installed there.", remedy)
            return None
        found = kernel_packages.distribution_of(system)
        if found is None or state["manager"] != found.manager:
            known = ", ".join(item.title for item in kernel_packages.DISTRIBUTIONS.values())
            evidence = f"The host runs {name}" + (f", and {found.manager} is missing." if found else ".")
            self.add("system-unknown", BLOCKER, evidence, f"What its kernels are called is known for {known} only.", "Upgrade its kernel by hand.")
            return None
        if not found.tried:
            allowed = bool(self.settings.get("allow_untried"))
            self.add(
                "system-untried",
                WARNING if allowed else BLOCKER,
                f"The host runs {name}.",
                f"The choice of packages for {found.title} is covered by unit tests, but the upgrade was not run on a machine with it yet.",
                "Try it on a node that may be lost, with kernel_upgrade_allow_untried=true.",
            )
        return found

    def look_at_boot(self, wanted: str) -> None:
        """Whether there is a way to start a kernel once, and a way back."""
        boot = self.state["boot"]
        running = self.state["running"]
        if boot["problem"]:
            self.add(
                "boot-loader",
                BLOCKER,
                f"{boot['problem']}.",
                "The new kernel is started once first, so that the machine comes back on the old one by itself.",
                boot["remedy"] or "Use GRUB with its own configuration, or systemd-boot.",
            )
        elif running not in boot["releases"]:
            self.add(
                "no-way-back",
                BLOCKER,
                f"The boot loader has no entry for {running}, which runs.",
                "If the new kernel fails there would be nothing to go back to.",
                "Reboot into a kernel that is installed, or install the package of this one again, and run the playbook again.",
            )
        self._look_at_loader(str(boot["loader"]))
        trial = self.state["trial"]
        if trial.get("armed") and running != wanted:
            self.add(
                "trial-left",
                WARNING,
                f"A trial of {trial.get('release') or 'a kernel'} was begun and not ended.",
                "A run was stopped, or the node came back on the old kernel.",
                "Nothing to do: this run begins anew. What the node wrote about it is in the report.",
            )

    def _look_at_loader(self, loader: str) -> None:
        """Whether somebody has tried it."""
        if loader and loader not in TRIED_LOADERS:
            self.add(
                "boot-untried",
                WARNING if self.settings.get("allow_untried") else BLOCKER,
                f"The host is started by {LOADERS.get(loader, loader)}.",
                "What it is told is covered by unit tests, but the upgrade was not run on a machine with it yet.",
                "Try it on a node that may be lost, with kernel_upgrade_allow_untried=true.",
            )

    def look_at_signature(self, release: str) -> None:
        """Whether the firmware would start it."""
        if self.state.get("secure_boot") and "elrepo" in release:
            self.add(
                "not-signed",
                BLOCKER,
                f"Secure Boot is on, and {release} is not signed by a key that firmware knows.",
                "The firmware would not start it.",
                "Enrol ELRepo's key (mokutil --import), or use a kernel of the distribution.",
                "elrepo.org/wiki/doku.php?id=secureboot",
            )

    def look_at_space(self, install: t.Sequence[str]) -> None:
        """Whether the files fit."""
        if not install:
            return
        space = self.state["space"]
        need = max(LEAST_SPACE, int(space["kernel"] * SPACE_FACTOR))
        if space["free"] < need:
            self.add(
                "boot-space",
                BLOCKER,
                f"{space['path']} has {space['free'] // MIB} MiB left, and a kernel takes up to {need // MIB} MiB.",
                "An initramfs that is cut off does not boot.",
                "Remove kernels that are not used any more (apt autoremove --purge, dnf remove --oldinstallonly, zypper purge-kernels).",
            )

    def look_at_watchdog(self) -> None:
        """What brings a kernel back that hangs."""
        if not self.state["watchdog"]["device"]:
            self.add(
                "no-watchdog",
                INFO,
                "The host has no hardware watchdog with a driver (/dev/watchdog0).",
                "A kernel that panics, comes up without network, or on which no process runs any more goes back by itself. One that stands still "
                "with interrupts off, or before systemd has started, does not.",
                "Load the driver of the machine's watchdog (iTCO_wdt, sp5100_tco, ipmi_watchdog, i6300esb), or have the console at hand.",
                "systemd/systemd:man/systemd-system.conf.xml",
            )


def plan_host(host: str, state: Record, settings: Record) -> dict[str, t.Any]:
    """The plan of one host.

    C(settings) are C(kernel), C(flavour), C(stream), C(cluster) (whether the host is a node), C(allow_older) and C(allow_untried).
    """
    judge = _Judge(host, state, settings)
    running, default = str(state["running"]), str(state["boot"]["default"])
    plan: dict[str, t.Any] = {
        "host": host,
        "running": running,
        "default": default,
        "wanted": "",
        "packages": [],
        "install": False,
        "boot": False,
        "make_default": False,
        "resume": False,
        "reason": "",
        "steps": [],
        "work": False,
    }
    found = judge.look_at_system()
    candidate = _wanted(judge, found, plan) if found else None
    if found and candidate:
        _decide(judge, found, candidate, plan)
    plan["findings"] = [finding.to_dict() for finding in ordered(judge.findings)]
    plan["blocked"] = is_blocked(judge.findings)
    return plan


def _wanted(judge: _Judge, found: kernel_packages.Distribution, plan: dict[str, t.Any]) -> kernel_packages.Candidate | None:
    """The kernel that is wanted on a host, None with a finding when there is none or it is older."""
    settings, running = judge.settings, plan["running"]
    kernel = str(settings.get("kernel") or "") or kernel_packages.DEFAULT
    if kernel == PREVIOUS:
        kernel = str((judge.state.get("record") or {}).get("previous") or "")
        if not kernel:
            judge.add(
                "no-record",
                BLOCKER,
                "The host does not know of a kernel before this one.",
                "Only a kernel that kernel_upgrade has kept leaves a record of the one before it.",
                "Name the release to go back to with kernel_upgrade_kernel; 'ls /lib/modules' shows those that are installed.",
            )
            return None
    stream = str(settings.get("stream") or "") or kernel_packages.DEFAULT
    if stream != kernel_packages.DEFAULT and stream not in found.streams:
        known = ", ".join([kernel_packages.DEFAULT, *found.streams])
        judge.add("stream", BLOCKER, f"kernel_upgrade_stream: {found.title} has no '{stream}'.", "There is no such line.", f"Give one of {known}.")
        return None
    try:
        candidate = kernel_packages.choose(found.name, judge.state, kernel, str(settings.get("flavour") or ""), stream)
    except kernel_packages.Unavailable as exc:
        text = str(exc)
        judge.add("not-available", BLOCKER, f"{text[:1].upper()}{text[1:]}.", "What is not there cannot be installed.", "Enable the repository, or "
                  f"{kernel_packages.EXAMPLES}.")  # fmt: skip
        return None
    if kernel_packages.is_older(candidate.release, running) and not settings.get("allow_older"):
        if kernel == candidate.release:
            judge.add(
                "older",
                BLOCKER,
                f"{candidate.release} is older than {running}, which runs.",
                "An upgrade that goes back by mistake would be noticed late.",
                "Use the playbook kernel_rollback, or set kernel_upgrade_allow_older=true.",
            )
            return None
        judge.add(
            "newer-runs",
            INFO,
            f"{running} runs, and {candidate.release} is what {kernel} means here.",
            "The host has a newer kernel than the one that was asked for.",
            "Nothing to do; to go back use the playbook kernel_rollback.",
        )
        plan["wanted"] = running
        return None
    return candidate


def _decide(judge: _Judge, found: kernel_packages.Distribution, candidate: kernel_packages.Candidate, plan: dict[str, t.Any]) -> None:
    """Steps from three releases: running, default and wanted."""
    state, wanted = judge.state, candidate.release
    running, default = plan["running"], plan["default"]
    trial = state["trial"]
    install = [] if candidate.installed or not candidate.package else kernel_packages.to_install(found.name, state, candidate)
    plan["wanted"], plan["packages"], plan["install"] = wanted, install, bool(install)
    plan["reason"] = reboot_reason(running, default, wanted)
    plan["boot"] = bool(plan["reason"])
    # A run that was stopped after the reboot left the machine on trial: what is missing is the proof.
    plan["resume"] = running == wanted and bool(trial.get("on_trial"))
    plan["make_default"] = plan["boot"] or plan["resume"] or default != wanted or bool(trial.get("armed"))
    if not (plan["install"] or plan["boot"] or plan["make_default"]):
        _tell_other_version(judge, found, candidate)
        return
    plan["work"] = True
    if not plan["reason"]:
        plan["reason"] = (
            f"{wanted} runs on trial and was not made the default"
            if plan["resume"]
            else f"{wanted} runs, but {default or 'another one'} is the default"
        )
    judge.look_at_boot(wanted)
    judge.look_at_space(install)
    judge.look_at_signature(wanted)
    if plan["boot"]:
        judge.look_at_watchdog()
    plan["steps"] = steps(plan, bool(judge.settings.get("cluster")))


def _tell_other_version(judge: _Judge, found: kernel_packages.Distribution, candidate: kernel_packages.Candidate) -> None:
    """A package of another version with files of the same names cannot be tried once, since there is then no old kernel to go back to."""
    others = [
        item.version
        for item in kernel_packages.candidates(found.name, judge.state["packages"])
        if item.release == candidate.release and not item.installed and item.version != candidate.version
    ]
    if others:
        judge.add(
            "same-release",
            INFO,
            f"{candidate.release} is installed as version {candidate.version}, and there is {others[0]}.",
            "It has the same release, so its files take the place of those of the running kernel, and there is no old one to go back to.",
            "Install it with the package manager, or wait for a kernel with a release of its own.",
        )


def steps(plan: Record, cluster: bool) -> list[str]:
    """What is done to a host, in order."""
    found = [INSTALL] if plan["install"] else []
    if plan["boot"]:
        return [*found, CHECK, *([EVICT] if cluster else []), BOOT, PROVE, DEFAULT, *([UNCORDON] if cluster else [])]
    return [*found, PROVE, DEFAULT, *([UNCORDON] if cluster and plan["resume"] else [])]
