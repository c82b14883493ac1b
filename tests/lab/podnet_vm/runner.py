# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the cases, and writes down for each what happened. What is judged is what the machine says, not what a playbook says of it."""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import sys
import time
import typing as t
from collections.abc import Sequence
from pathlib import Path

import yaml
from podnet_lab.cache import cache_folder, say
from podnet_lab.errors import LabError
from tooling.places import ROOT

from podnet_vm import machine as machines
from podnet_vm.catalogue import PATIENT, Case
from podnet_vm.cluster import PAUSE_SECONDS, Cluster
from podnet_vm.kernels import Kernels

Record = dict[str, t.Any]
BOOT_SECONDS = 900.0
PLAYBOOK_SECONDS = 3600.0
RELEASE = re.compile(r"\d+\.\d+\.\d+\S*?-cloud-amd64")
STARTED = "] Linux version "
LOOK = """\
printf 'running=%s\\n' "$(uname -r)"
printf 'boot=%s\\n' "$(cat /proc/sys/kernel/random/boot_id)"
printf 'trial=%s\\n' "$(ls /etc/podnet/kernel-trial.json /etc/systemd/system/podnet-kernel-return.* \
  /etc/systemd/system/sysinit.target.wants/podnet-kernel-return.timer /etc/systemd/system.conf.d/90-podnet-kernel.conf \
  /etc/systemd/system/podnet-kernel-softdog.service 2>/dev/null | tr '\\n' ' ')"
printf 'entry=%s\\n' "$(grep -l podnet /boot/grub/custom.cfg 2>/dev/null)"
printf 'once=%s\\n' "$(grub-editenv /boot/grub/grubenv list | grep ^next_entry=.)"
printf 'setting=%s\\n' "$(grep -E '^ *set default=' /boot/grub/grub.cfg | tail -1 | tr -d ' ')"
printf 'saved=%s\\n' "$(grub-editenv /boot/grub/grubenv list | sed -n s/^saved_entry=//p)"
printf 'first=%s\\n' "$(grep -E '^[[:space:]]*linux[[:space:]]' /boot/grub/grub.cfg | head -1)"
printf 'packages=%s\\n' "$(dpkg-query -W -f='${Package}=${Version} ' 'linux-image-*')"
"""


class Runner:
    """The machine and where results go."""

    def __init__(self, machine: machines.Machine, cluster: Cluster | None, kernels: Kernels, folder: Path, collections: Path) -> None:
        self.machine = machine
        self.cluster = cluster
        self.kernels = kernels
        self.folder = folder
        self.collections = collections
        self.inventory = folder / "inventory.json"

    def run(self, cases: Sequence[Case], keep: t.Callable[[list[Record]], None]) -> list[Record]:
        """Run cases in their order; C(keep) gets the records after each."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.inventory.write_text(json.dumps(machines.inventory(self.machine, {})), encoding="utf-8")
        say("switching the machine on ...")
        self.machine.wait(BOOT_SECONDS)
        # GRUB's real menu instead of the one that the image was made with.
        self.machine.ssh("update-grub", timeout=600.0)
        records: list[Record] = []
        for case in cases:
            records.append(self.case(case))
            keep(records)
        return records

    def look(self) -> dict[str, str]:
        """What the machine says of itself."""
        return dict(line.split("=", 1) for line in self.machine.ssh(LOOK).splitlines() if "=" in line)

    def starts(self) -> int:
        """How often a kernel has begun to start since the machine was switched on."""
        return self.machine.log_of_console().count(STARTED)

    def case(self, case: Case) -> Record:
        """Run one case, and the reboot that shows what is the default is left to the case C(default)."""
        say(f"{case.id}: {case.title} ...")
        new = self.kernels.new[0]
        before = self.look()
        case.before(self.machine, new)
        if case.cluster and self.cluster:
            self.cluster.cordons.clear()
            self.cluster.add_web()
        starts, begin, seen = self.starts(), time.monotonic(), len(self.machine.log_of_console())
        code, output = self.playbook(case) if case.playbook else self.reboot(before["boot"])
        seconds = round(time.monotonic() - begin)
        self.machine.wait(BOOT_SECONDS)
        after = self.look()
        record: Record = {
            "id": case.id,
            "title": case.title,
            "how": case.how,
            "expected": case.expected,
            "code": code,
            "seconds": seconds,
            "said": said(output),
            "starts": self.starts() - starts,
            "running": after["running"],
            "default": default_of(after),
            "node": self.node() if case.cluster else {},
            "panic": panic_of(self.machine.log_of_console()[seen:]),
            "problems": [],
        }
        case.after(self.machine, new)
        record["problems"] = self.problems(case, record, before, after, output)
        if case.console not in self.machine.log_of_console()[seen:]:
            record["problems"].append(f"its console does not say '{case.console}'")
        say(f"{case.id}: {'as expected' if not record['problems'] else '; '.join(record['problems'])} ({seconds} s)")
        return record

    def problems(self, case: Case, record: Record, before: dict[str, str], after: dict[str, str], output: str) -> list[str]:
        """What is not as it was expected."""
        wanted = self.kernels.new[0] if case.new else self.kernels.old
        flat = " ".join(output.replace("|", " ").split())
        found = [f"it does not say '{text}'" for text in case.says if text not in flat]
        if record["code"] != case.code:
            found.append(f"exit code {record['code']}, not {case.code}")
        if record["starts"] != case.boots:
            found.append(f"{record['starts']} starts of a kernel, not {case.boots}")
        found += [f"{key} is {record[key]}, not {wanted}" for key in ("running", "default") if record[key] != wanted]
        found += [f"left behind: {after[key]}" for key in ("trial", "entry", "once") if after[key]]
        node = record["node"]
        if node:
            wanted_node = {
                "cordoned": [False, True, False],
                "schedulable": True,
                "ready": "True",
                "kernel": wanted,
                "pods": ["cni-agent-1"],
                "locks": "",
            }
            found += [f"node: {key} is {node[key]}, not {value}" for key, value in wanted_node.items() if node[key] != value]
        if not case.changes:
            found += [f"{key} changed" for key in after if after[key] != before[key]]
        return found

    def node(self) -> Record:
        """What the cluster says of the machine, once its kubelet has spoken."""
        if self.cluster is None:
            raise LabError("this case needs the cluster")
        time.sleep(3 * PAUSE_SECONDS)
        node = self.cluster.node()
        return {
            "cordoned": list(self.cluster.cordons),
            "schedulable": not node["spec"].get("unschedulable"),
            "ready": next(item["status"] for item in node["status"]["conditions"] if item["type"] == "Ready"),
            "kernel": node["status"]["nodeInfo"]["kernelVersion"],
            "pods": self.cluster.pods(),
            "locks": self.cluster.lock() + self.cluster.kured_lock(),
        }

    def reboot(self, boot: str) -> tuple[int, str]:
        """As somebody at its console would."""
        self.machine.ssh("systemctl reboot", check=False)
        deadline = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < deadline:
            time.sleep(5.0)
            if self.machine.wait(BOOT_SECONDS) != boot:
                return 0, ""
        raise LabError("the machine did not reboot")

    def playbook(self, case: Case) -> tuple[int, str]:
        """Exit code and output of a playbook."""
        kernel = (
            {"kernel_upgrade_kernel": self.kernels.new[case.kernel] if isinstance(case.kernel, int) else case.kernel} if case.kernel != "" else {}
        )
        where: Record = {"kernel_upgrade_cluster": False}
        if case.cluster and self.cluster:
            where = {"kernel_upgrade_cluster": True, "podnet_kubeconfig": str(self.cluster.kubeconfig)}
            # Its Services lead nowhere: there is no kube-proxy on the machine.
            where.update(podnet_probe_tcp=[], podnet_probe_dns=[])
        variables = self.folder / f"{case.id}.yml"
        variables.write_text(yaml.safe_dump({**PATIENT, **where, **kernel, **case.variables}), encoding="utf-8")
        words = [
            "ansible-playbook",
            f"podnet.cni.{case.playbook}",
            "-i",
            str(self.inventory),
            "-e",
            f"@{variables}",
            *(["--check"] if case.check else []),
        ]
        code, output = self.ansible(words, PLAYBOOK_SECONDS)
        (self.folder / f"{case.id}.log").write_text(output, encoding="utf-8")
        return code, output

    def ansible(self, words: Sequence[str], seconds: float) -> tuple[int, str]:
        """Run a program of Ansible's."""
        variables = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_CONFIG": str(ROOT / "tests" / "tooling" / "ansible.cfg"),
            "ANSIBLE_HOME": str(cache_folder() / "ansible-home"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s",
            "ANSIBLE_TIMEOUT": "60",
        }
        command = [str(Path(sys.executable).parent / words[0]), *words[1:]]
        done = subprocess.run(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=seconds,
        )
        return done.returncode, done.stdout


def default_of(seen: t.Mapping[str, str]) -> str:
    """The kernel that GRUB would start: the first one of its menu, or that which its environment names."""
    text = seen["saved"] if "saved_entry" in seen["setting"] else seen["first"]
    found = RELEASE.search(text.rpartition(">")[2])
    return found.group(0) if found else text


def panic_of(console: str) -> str:
    """What a kernel said when it panicked, empty when none did."""
    return next((line.partition("Kernel panic - not syncing: ")[2].strip() for line in console.splitlines() if "Kernel panic - " in line), "")


def said(output: str) -> str:
    """The message of the last task that failed."""
    found = ""
    for line in output.splitlines():
        if "[ERROR]: Task failed: " in line:
            found = line.partition("Task failed: ")[2]
        elif '"msg": "' in line and "fatal" in line:
            found = line.partition('"msg": "')[2].rpartition('"')[0]
    return found.removeprefix("Action failed: ")


def about(kernels: Kernels, machine: machines.Machine) -> Record:
    """What it was run with."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "system": machine.ssh(". /etc/os-release; echo $PRETTY_NAME").strip(),
        "grub": machine.ssh("dpkg-query -W -f='${Version}' grub-pc").strip(),
        "old": kernels.old,
        "new": list(kernels.new),
    }
