# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot loader of this machine: which kernel it starts, and how to make it start another one, once or from now on.

GRUB keeps what it is told in a file that it must be able to write when it starts (gnu.org/software/grub/manual: The GRUB environment block).
Where it cannot, a kernel that is to be started once would be started again and again, so that is refused.
"""

from __future__ import annotations

import os
import shlex
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import commands, files
from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_entries
from ansible_collections.podnet.cni.plugins.module_utils._plan.kernel_entries import TRIAL_ID, Entry

GRUB_FOLDERS = ("boot/grub", "boot/grub2")
DROP_IN = "etc/default/grub.d/zz-podnet-kernel.cfg"
DROP_IN_TEXT = """\
# Written by podnet.cni: which kernel is started by default is in the environment of GRUB (grub-editenv list) and not the newest one.
# Remove this file and run update-grub to have the newest one started again.
GRUB_DEFAULT=saved
"""
SYSTEMD_BOOT = "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
UNWRITABLE_LAYERS = ("lvm", "diskfilter", "mdraid09", "mdraid1x", "cryptodisk", "luks", "luks2")
UNWRITABLE_SYSTEMS = ("btrfs", "zfs", "reiserfs")
CONFIGURE_SECONDS = 900.0
"""Writing the menu can take long: os-prober looks at every disk."""
EMPTY: t.Mapping[str, t.Any] = {
    "loader": "",
    "problem": "no boot loader was found that is known",
    "remedy": "Use GRUB with its menu in /boot/grub or /boot/grub2, or systemd-boot.",
    "default": "",
    "once": "",
    "releases": [],
    "pinned": False,
}
"""The state of a machine whose boot loader is not known."""


class BootError(Exception):
    """The boot loader cannot do what is wanted; the text says why, and what to do."""


class BootLoader:
    """What every boot loader can do. C(root) is where the file system is, for tests."""

    name = ""

    def __init__(self, root: Path) -> None:
        self.root = root

    def entries(self) -> list[Entry]:
        """All entries, as the menu has them."""
        raise NotImplementedError

    def default(self) -> Entry | None:
        """The entry that is started when nobody chooses."""
        raise NotImplementedError

    def once(self) -> str:
        """The entry that is started next time only, empty without one."""
        raise NotImplementedError

    def problem(self) -> tuple[str, str]:
        """Why a kernel cannot be started once, and what to do; empty texts when it can."""
        raise NotImplementedError

    def keep_default(self, release: str) -> None:
        """Make a release the default, whatever is installed later."""
        raise NotImplementedError

    def make_default(self, release: str) -> None:
        """Make a release the default, by the machine's own settings where these say the same."""
        raise NotImplementedError

    def arm(self, release: str, options: t.Sequence[str]) -> None:
        """Start a release next time only, with further options for the kernel."""
        raise NotImplementedError

    def disarm(self) -> bool:
        """Start the default next time, and remove the entry for the trial; true when there was anything."""
        raise NotImplementedError

    def armed(self) -> bool:
        """Whether the trial's entry is there and is started next."""
        return TRIAL_ID in self.once()

    def entry_of(self, release: str) -> Entry:
        """The entry of a release.

        :raises BootError: when there is none.
        """
        found = kernel_entries.of_release(self.entries(), release)
        if found is None:
            there = ", ".join(dict.fromkeys(entry.release for entry in self.entries() if entry.release)) or "none"
            raise BootError(f"release: the boot loader ({self.name}) has no entry for '{release}'; it has {there}")
        return found

    def is_default(self, release: str) -> bool:
        """Whether a release is started by default."""
        found = self.default()
        return found is not None and found.release == release and not found.recovery

    def pinned(self) -> bool:
        """Whether this collection keeps the default at one release."""
        return False

    def holds(self) -> bool:
        """Whether the default stays what it is when another kernel is installed, as far as that can be told."""
        return True

    def default_by_itself(self) -> str:
        """The release that is the default without this collection's own setting, empty where there is no such setting."""
        return ""


class Grub(BootLoader):
    """GRUB with a menu that grub-mkconfig writes."""

    name = "grub"

    def __init__(self, root: Path, folder: Path) -> None:
        super().__init__(root)
        self.folder = folder
        self.config = folder / "grub.cfg"
        self.environment = folder / "grubenv"
        self.custom = folder / "custom.cfg"
        self.drop_in = root / DROP_IN
        self.prefix = "grub2" if folder.name == "grub2" else "grub"

    def _text(self) -> str:
        return files.read_text(self.config) or ""

    def variables(self) -> dict[str, str]:
        """GRUB's environment."""
        return kernel_entries.parse_environment(files.read_text(self.environment) or "")

    def _set(self, **values: str) -> None:
        """Change GRUB's environment; an empty value removes a variable."""
        given = [f"{name}={value}" for name, value in values.items() if value]
        gone = [name for name, value in values.items() if not value]
        for action, words in (("set", given), ("unset", gone)):
            if words:
                commands.run([f"{self.prefix}-editenv", str(self.environment), action, *words])

    def entries(self) -> list[Entry]:
        return kernel_entries.parse_grub(self._text())

    def default(self) -> Entry | None:
        return kernel_entries.resolve(kernel_entries.grub_default(self._text(), self.variables()), self.entries())

    def once(self) -> str:
        return self.variables().get("next_entry", "")

    def problem(self) -> tuple[str, str]:
        text = self._text()
        if not text:
            return f"{self.config} cannot be read", f"Run {self.prefix}-mkconfig -o {self.config}."
        if not kernel_entries.asks_for_one_boot(text):
            return (
                f"{self.config} does not look at what {self.prefix}-reboot writes",
                f"Have it written by {self.prefix}-mkconfig -o {self.config}, and look what takes that out again.",
            )
        return self._unwritable() or self._custom_problem(text)

    def _custom_problem(self, text: str) -> tuple[str, str]:
        if not kernel_entries.reads_custom(text):
            return f"{self.config} does not read custom.cfg", "Make /etc/grub.d/41_custom executable again and have the menu written anew."
        if not self._by_environment(text) and not self.drop_in.parent.is_dir():
            return (
                "GRUB_DEFAULT in /etc/default/grub names an entry, so that a new kernel would be the default at once",
                f"Set GRUB_DEFAULT=saved there and run {self.prefix}-mkconfig -o {self.config}.",
            )
        return "", ""

    def _unwritable(self) -> tuple[str, str] | None:
        """GRUB must be able to forget what it was to start once."""
        remedy = "Put /boot on a partition of its own with ext4 or xfs."
        if not self.environment.exists():
            return f"{self.environment} is not there", f"Make it with {self.prefix}-editenv {self.environment} create."
        for target, bad in (("abstraction", UNWRITABLE_LAYERS), ("fs", UNWRITABLE_SYSTEMS)):
            if not commands.find(f"{self.prefix}-probe"):
                return f"{self.prefix}-probe is missing", "Install GRUB's programs."
            done = commands.run([f"{self.prefix}-probe", f"--target={target}", str(self.environment)], check=False)
            found = [word for word in done.stdout.split() if word in bad]
            if done.returncode:
                return f"{self.prefix}-probe cannot tell where {self.environment} is: {done.stderr.strip()}", remedy
            if found:
                return f"GRUB cannot write {self.environment}, since it is on {found[0]}: a kernel to start once would be started for ever", remedy
        return None

    @staticmethod
    def _by_environment(text: str) -> bool:
        """Whether the default follows from GRUB's environment."""
        return kernel_entries.grub_default(text, {"saved_entry": "yes"}) == "yes"

    def configure(self) -> None:
        """Have the menu written."""
        if commands.find("update-grub"):
            commands.run(["update-grub"], timeout=CONFIGURE_SECONDS)
        else:
            commands.run([f"{self.prefix}-mkconfig", "-o", str(self.config)], timeout=CONFIGURE_SECONDS)

    def keep_default(self, release: str) -> None:
        entry = self.entry_of(release)
        if not self._by_environment(self._text()):
            files.write_atomically(self.drop_in, DROP_IN_TEXT.encode(), 0o644)
            self._set(saved_entry=entry.id)  # before the menu asks for it
            self.configure()
            if not self._by_environment(self._text()):
                raise BootError(
                    f"{self.drop_in} has no effect on {self.config}; set GRUB_DEFAULT=saved in /etc/default/grub and run {self.prefix}-mkconfig"
                )
            entry = self.entry_of(release)
        self._set(saved_entry=entry.id)
        if not self.is_default(release):
            raise BootError(f"{release} was to be the default, but {self.config} with {self.environment} starts another entry")

    def own_setting(self) -> str:
        """C(GRUB_DEFAULT) as the machine has it without this collection's file."""
        sources = [self.root / "etc/default/grub", *sorted(path for path in self.drop_in.parent.glob("*.cfg") if path != self.drop_in)]
        script = "".join(f". {shlex.quote(str(path))}; " for path in sources if path.exists())
        return commands.run(["sh", "-c", f'{script} printf %s "${{GRUB_DEFAULT:-0}}"']).stdout

    def default_by_itself(self) -> str:
        setting = self.own_setting()
        found = None if setting == "saved" else kernel_entries.resolve(setting, [entry for entry in self.entries() if TRIAL_ID not in entry.id])
        return found.release if found else ""

    def make_default(self, release: str) -> None:
        if self.pinned() and self.default_by_itself() == release:
            files.remove(self.drop_in)
            self.configure()
            self._set(saved_entry="")
        if not self.is_default(release):
            self.keep_default(release)

    def pinned(self) -> bool:
        return self.drop_in.exists()

    def holds(self) -> bool:
        return self._by_environment(self._text())

    def arm(self, release: str, options: t.Sequence[str]) -> None:
        entry = self.entry_of(release)
        others = kernel_entries.without_trial(files.read_text(self.custom) or "")
        files.write_atomically(self.custom, (others + kernel_entries.grub_trial(entry, options)).encode(), 0o600)
        commands.run([f"{self.prefix}-reboot", TRIAL_ID])
        if not self.armed():
            raise BootError(f"{self.prefix}-reboot did not write '{TRIAL_ID}' into {self.environment}; is there another one?")

    def disarm(self) -> bool:
        text = files.read_text(self.custom) or ""
        others = kernel_entries.without_trial(text)
        armed = self.armed()
        if armed:
            self._set(next_entry="")
        if others != text:
            if others.strip():
                files.write_atomically(self.custom, others.encode(), 0o600)
            else:
                files.remove(self.custom)
        return armed or others != text


class BlsGrub(Grub):
    """GRUB with the entries in files of their own, as EL, Fedora and Amazon Linux have it."""

    name = "grub-bls"

    def __init__(self, root: Path, folder: Path) -> None:
        super().__init__(root, folder)
        self.entry_folder = root / "boot/loader/entries"

    def entries(self) -> list[Entry]:
        return read_bls(self.entry_folder)

    def default(self) -> Entry | None:
        found = [entry for entry in self.entries() if entry.id != TRIAL_ID]
        return kernel_entries.resolve(self.variables().get("saved_entry", ""), found)

    def _custom_problem(self, dummy: str) -> tuple[str, str]:
        return "", ""

    def keep_default(self, release: str) -> None:
        self._set(saved_entry=self.entry_of(release).id)

    def make_default(self, release: str) -> None:
        self.keep_default(release)

    def pinned(self) -> bool:
        return False

    def holds(self) -> bool:
        return "saved_entry" in self.variables()

    def arm(self, release: str, options: t.Sequence[str]) -> None:
        text = kernel_entries.bls_trial(self.entry_of(release), options)
        files.write_atomically(self.entry_folder / f"{TRIAL_ID}.conf", text.encode(), 0o644)
        commands.run([f"{self.prefix}-reboot", TRIAL_ID])
        if not self.armed():
            raise BootError(f"{self.prefix}-reboot did not write '{TRIAL_ID}' into {self.environment}")

    def disarm(self) -> bool:
        armed = self.armed()
        if armed:
            self._set(next_entry="")
        return files.remove(self.entry_folder / f"{TRIAL_ID}.conf") or armed


class SystemdBoot(BootLoader):
    """systemd-boot with entries in files; a kernel in one file with its command line cannot be given further options."""

    name = "systemd-boot"

    def __init__(self, root: Path, folder: Path) -> None:
        super().__init__(root)
        self.entry_folder = folder / "loader/entries"

    def entries(self) -> list[Entry]:
        return read_bls(self.entry_folder)

    def _variable(self, name: str) -> str:
        """A variable of the firmware: four bytes of attributes, then UTF-16."""
        data = files.read_bytes(self.root / f"sys/firmware/efi/efivars/{name}-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f") or b""
        return data[4:].decode("utf-16-le", "replace").rstrip("\0").removesuffix(".conf")

    def default(self) -> Entry | None:
        found = [entry for entry in self.entries() if entry.id != TRIAL_ID]
        name = self._variable("LoaderEntryDefault")
        return next((entry for entry in found if entry.id == name), None) if name else (found[0] if found else None)

    def once(self) -> str:
        return self._variable("LoaderEntryOneShot")

    def problem(self) -> tuple[str, str]:
        if not commands.find("bootctl"):
            return "bootctl is missing", "Install systemd-boot's programs."
        if not self.entries():
            return f"{self.entry_folder} has no entries; unified kernel images cannot be given further options", "Use entries of type 1."
        return "", ""

    def holds(self) -> bool:
        return bool(self._variable("LoaderEntryDefault"))

    def keep_default(self, release: str) -> None:
        commands.run(["bootctl", "set-default", f"{self.entry_of(release).id}.conf"])

    def make_default(self, release: str) -> None:
        self.keep_default(release)

    def arm(self, release: str, options: t.Sequence[str]) -> None:
        text = kernel_entries.bls_trial(self.entry_of(release), options)
        files.write_atomically(self.entry_folder / f"{TRIAL_ID}.conf", text.encode(), 0o644)
        commands.run(["bootctl", "set-oneshot", f"{TRIAL_ID}.conf"])

    def disarm(self) -> bool:
        armed = self.armed()
        if armed:
            commands.run(["bootctl", "set-oneshot", ""])
        return files.remove(self.entry_folder / f"{TRIAL_ID}.conf") or armed


def read_bls(folder: Path) -> list[Entry]:
    """Entries in files, the newest first."""
    names = [name for name in files.names(folder) if name.endswith(".conf")]
    return kernel_entries.ordered_bls(kernel_entries.parse_bls(name, files.read_text(folder / name) or "") for name in names)


def find(root: Path = Path("/")) -> BootLoader | None:
    """The boot loader that started this machine, None when it is not one of those that are known."""
    if (root / SYSTEMD_BOOT).exists():
        place = next((folder for folder in ("efi", "boot/efi", "boot") if os.path.isdir(root / folder / "loader/entries")), "boot")
        return SystemdBoot(root, root / place)
    for name in GRUB_FOLDERS:
        folder = root / name
        if (folder / "grub.cfg").exists():
            by_files = "blscfg" in (files.read_text(folder / "grub.cfg") or "") and files.names(root / "boot/loader/entries")
            return BlsGrub(root, folder) if by_files else Grub(root, folder)
    return None


def state(root: Path = Path("/")) -> dict[str, t.Any]:
    """What the boot loader would start, for people and for the judge."""
    loader = find(root)
    if loader is None:
        return dict(EMPTY)
    problem, remedy = loader.problem()
    default = loader.default()
    return {
        "loader": loader.name,
        "problem": problem,
        "remedy": remedy,
        "default": default.release if default else "",
        "once": loader.once(),
        "releases": list(dict.fromkeys(entry.release for entry in loader.entries() if entry.release and not entry.recovery)),
        "pinned": loader.pinned(),
    }
