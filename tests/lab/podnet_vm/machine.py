# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual machine: QEMU's software emulation, a disk over the image, SSH on a loopback port."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
import typing as t
from collections.abc import Iterator, Sequence
from pathlib import Path

from podnet_lab.errors import LabError
from podnet_lab.process import end_process
from podnet_lab.shell import environment, run

from podnet_vm import image

MEMORY_MIB = 1024
PROCESSORS = 1
BOOT_ID = "/proc/sys/kernel/random/boot_id"


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Machine:
    """One machine, with its files below a folder."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.folder = folder
        self.template = template
        self.disk = folder / "disk.qcow2"
        self.console = folder / "console.log"
        self.key = folder / image.KEY
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """A disk that begins as the image, and a key that only its owner can read."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key.unlink(missing_ok=True)
        self.key.touch(mode=0o600)
        self.key.write_bytes((self.template / image.KEY).read_bytes())
        if not self.disk.exists():
            run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", self.template / image.DISK, self.disk])

    def command(self) -> list[str]:
        """QEMU without KVM, in the idle class of the scheduler, since it takes all that it can get."""
        processor = [
            "-machine",
            "pc",
            "-accel",
            "tcg,tb-size=512",
            "-cpu",
            "qemu64,-svm",
            "-smp",
            str(PROCESSORS),
            "-m",
            str(MEMORY_MIB),
        ]
        disk = [f"file={self.disk},format=qcow2,if=none,id=disk,cache=unsafe", "-device", "virtio-blk-pci,drive=disk"]
        network = [f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22", "-device", "virtio-net-pci,netdev=net"]
        return [
            *("chrt", "--idle", "0", "nice", "-n", "19", "qemu-system-x86_64", "-nodefaults", *processor, "-display", "none", "-vga", "none"),
            *("-serial", f"file:{self.console}", "-drive", *disk, "-netdev", *network, "-device", "virtio-rng-pci"),
        ]

    def start(self) -> None:
        """Switch it on."""
        self.prepare()
        with open(self.folder / "qemu.log", "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment()
            )

    def stop(self) -> None:
        """Switch it off, as pulling the plug does."""
        if self.process is not None:
            if self.process.poll() is None:
                end_process(self.process.pid, 10.0)
            self.process.wait()
            self.process = None

    def ssh_options(self) -> list[str]:
        """How to get in; the machine is new each time, and only reached over the loopback interface."""
        settings = {
            "BatchMode": "yes",
            "ConnectTimeout": "30",
            "IdentitiesOnly": "yes",
            "LogLevel": "ERROR",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
        }
        return ["-i", str(self.key), *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]

    def ssh(self, script: str, check: bool = True, timeout: float = 300.0) -> str:
        """What a shell script says on the machine.

        :raises LabError: when it fails or takes too long.
        """
        return run(["ssh", *self.ssh_options(), "-p", str(self.port), "root@127.0.0.1", script], check=check, timeout=timeout).stdout

    def answers(self) -> bool:
        """Whether its SSH server speaks."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5.0) as connection:
                connection.settimeout(5.0)
                return connection.recv(64).startswith(b"SSH-")
        except OSError:
            return False

    def wait(self, seconds: float) -> str:
        """The identifier of its boot, once it can be reached.

        :raises LabError: when that takes too long, or it has ended.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                raise LabError(f"the machine has ended; look into {self.folder / 'qemu.log'}")
            if self.answers():
                with contextlib.suppress(LabError):
                    return self.ssh(f"cat {BOOT_ID}", timeout=60.0).strip()
            time.sleep(0.5)
        raise LabError(f"the machine could not be reached within {seconds:.0f} s; its console is in {self.console}")

    def log_of_console(self) -> str:
        """All that it has printed since it was switched on."""
        return self.console.read_text(encoding="utf-8", errors="replace") if self.console.exists() else ""


@contextlib.contextmanager
def running(folder: Path, template: Path) -> Iterator[Machine]:
    """A machine that is switched off at the end, whatever happens."""
    machine = Machine(folder, template)
    machine.start()
    try:
        yield machine
    finally:
        machine.stop()


def inventory(machine: Machine, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """An inventory of Ansible's with the machine as its only host."""
    own = {
        "ansible_host": "127.0.0.1",
        "ansible_port": machine.port,
        "ansible_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": str(machine.key),
        "ansible_ssh_common_args": " ".join(quote_all(machine.ssh_options()[2:])),
    }
    return {"all": {"hosts": {"vm": {**own, **variables}}}}


def quote_all(words: Sequence[str]) -> list[str]:
    """Words as they are: none of the options has a blank."""
    if any(" " in word for word in words):
        raise AssertionError("an option has a blank")
    return list(words)


def owner() -> int:
    """Who runs it, for a folder of its own."""
    return os.getuid()
