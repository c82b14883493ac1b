# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with GRUB in a folder: its files are real, its programs are these functions. The real ones run on the virtual machine."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import boot_loader, commands

OLD, NEW = "6.1.0-56-cloud-amd64", "6.12.117+deb12-cloud-amd64"
TEXTS = Path(__file__).parents[1] / "plugins/module_utils/host/texts"


class FakeMachine:
    """Files below C(root), and what programs were called."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls: list[str] = []
        self.answers: dict[str, tuple[int, str]] = {}
        self.missing: set[str] = set()
        self.packages: list[dict[str, t.Any]] = []
        self.write("boot/grub/grub.cfg", (TEXTS / "grub.cfg").read_text(encoding="utf-8"))
        self.write("boot/grub/grubenv", "# GRUB Environment Block\n")
        self.write("etc/default/grub", "GRUB_DEFAULT=0\nGRUB_TIMEOUT=1\n")
        self.write("etc/default/grub.d/50-other.cfg", "GRUB_TIMEOUT=2\n")
        self.write("proc/sys/kernel/osrelease", OLD + "\n")
        self.write("proc/cmdline", "root=/dev/vda1 ro\n")
        self.write("etc/os-release", 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
        for release in (OLD, NEW):
            self.install(release)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def exists(self, name: str) -> bool:
        return (self.root / name).exists()

    def install(self, release: str) -> None:
        self.write(f"boot/vmlinuz-{release}", "kernel")
        (self.root / f"boot/initrd.img-{release}").write_bytes(b"\x1f\x8b" + bytes(100))
        self.write(f"lib/modules/{release}/modules.dep", "kernel/drivers/watchdog/softdog.ko:\n")

    def reboot(self) -> None:
        """What GRUB does: it forgets the entry that was to be started once."""
        loader = boot_loader.Grub(self.root, self.root / "boot/grub")
        once = loader.once()
        entries = [*loader.entries(), *boot_loader.kernel_entries.parse_grub(self.read("boot/grub/custom.cfg"))] if once else loader.entries()
        entry = boot_loader.kernel_entries.resolve(once, entries) if once else loader.default()
        assert entry is not None
        self.write("proc/sys/kernel/osrelease", entry.release + "\n")
        self.write("proc/cmdline", entry.options + "\n")
        self._edit(["unset", "next_entry"])

    def find(self, program: str) -> str | None:
        return None if program in self.missing else f"/bin/{program}"

    def run(self, words: t.Sequence[str], check: bool = True, **dummy: t.Any) -> subprocess.CompletedProcess[str]:
        """Instead of commands.run."""
        self.calls.append(" ".join(words))
        code, text = self.answers.get(words[0], (0, ""))
        if words[0] == "grub-editenv":
            self._edit(list(words[2:]))
        elif words[0] == "grub-reboot" and not code:
            self._edit(["set", f"next_entry={words[1]}"])
        elif words[0] == "update-grub":
            self._configure()
        elif words[0] == "sh":
            return subprocess.run(words, capture_output=True, text=True, check=True)
        if check and code:
            raise commands.CommandError(f"'{' '.join(words)}' failed with code {code}: {text}")
        return subprocess.CompletedProcess(list(words), code, text, "")

    def _edit(self, words: t.Sequence[str]) -> None:
        values = boot_loader.kernel_entries.parse_environment(self.read("boot/grub/grubenv"))
        for word in words[1:]:
            name, dummy, value = word.partition("=")
            values.pop(name, None)
            if words[0] == "set":
                values[name] = value
        self.write("boot/grub/grubenv", "".join(["# GRUB Environment Block\n", *(f"{name}={value}\n" for name, value in values.items())]))

    def _configure(self) -> None:
        saved = self.exists(boot_loader.DROP_IN)
        text = (TEXTS / "grub.cfg").read_text(encoding="utf-8")
        self.write("boot/grub/grub.cfg", text.replace('set default="0"', 'set default="${saved_entry}"') if saved else text)


def install(monkeypatch: t.Any, root: Path) -> FakeMachine:
    """A machine whose programs are called by the code that is tested."""
    machine = FakeMachine(root)
    monkeypatch.setattr(commands, "run", machine.run)
    monkeypatch.setattr(commands, "find", machine.find)
    return machine
