# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sets up a device of this host, and changes of that which make a setting last over restarts."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import commands, files, put_back

IN_FORCE_NOW = "set persistent=false and set it again after each restart"
_STANZAS = ("iface", "auto", "allow-hotplug", "mapping", "source", "source-directory")


class Refused(Exception):
    """Why a setting cannot be made persistent, and what to do."""


class Change(t.NamedTuple):
    """What makes a setting last: nothing when it does already."""

    files: dict[str, str]
    mode: int
    commands: list[list[str]]
    before: put_back.Setup
    """What puts it back."""

    @property
    def needed(self) -> bool:
        """Whether there is something to do."""
        return bool(self.files or self.commands)


def of_files(texts: t.Mapping[Path, str], mode: int, after: t.Sequence[t.Sequence[str]] = ()) -> Change:
    """Files that are not like that yet, and what is to be run after files were written or put back."""
    before = {str(path): files.read_text(path) for path in texts}
    missing = {str(path): text for path, text in texts.items() if before[str(path)] != text}
    setup = put_back.Setup(files={path: before[path] for path in missing}, commands={})
    if missing:
        setup["commands"] = {" ".join(words): list(words) for words in after}
    return Change(missing, mode, [list(words) for words in after] if missing else [], setup)


def apply(change: Change) -> None:
    """Make it so, or leave everything as it was."""
    try:
        for path, text in change.files.items():
            files.write_atomically(path, text.encode(), change.mode)
        for words in change.commands:
            commands.run(words)
    except (OSError, commands.CommandError):
        put_back.restore_setup(change.before)
        raise


# NetworkManager


class Profile(t.NamedTuple):
    """By which NetworkManager sets up a device."""

    uuid: str
    path: str
    """Where it is kept: in C(/run) is what NetworkManager only follows, as a device of a CNI, and what netplan wrote for it."""

    @property
    def on_disk(self) -> bool:
        """Whether it is NetworkManager's own."""
        return not self.path.startswith("/run/")


def network_manager_profile(interface: str, root: Path = Path("/")) -> Profile | None:
    """The profile of a device, None when NetworkManager does not set it up."""
    if not (root / "run/NetworkManager").exists() or not commands.find("nmcli"):
        return None
    shown = commands.run(["nmcli", "--get-values", "GENERAL.CON-UUID", "device", "show", interface], check=False).stdout.strip()
    if not shown or shown == "--":
        return None
    for line in commands.run(["nmcli", "--get-values", "UUID,FILENAME", "connection", "show"]).stdout.splitlines():
        uuid, dummy, path = line.partition(":")
        if uuid == shown and path:
            return Profile(uuid, path)
    return None


class Setting(t.NamedTuple):
    """A setting of a profile."""

    key: str
    value: str
    before: str


def network_manager_value(profile: str, key: str) -> str | None:
    """What a profile has as a setting, None when NetworkManager has no such setting."""
    done = commands.run(["nmcli", "--get-values", key, "connection", "show", profile], check=False)
    return None if done.returncode else done.stdout.strip()


def of_profile(profile: str, settings: t.Iterable[Setting]) -> Change:
    """Settings of a profile that are not like that yet."""
    change = Change({}, 0o600, [], put_back.nothing())
    for setting in settings:
        if setting.before != setting.value:
            words = ["nmcli", "connection", "modify", profile, setting.key]
            change.commands.append([*words, setting.value])
            change.before["commands"][f"{profile} {setting.key}"] = [*words, setting.before]
    return change


# ifupdown


class Line(t.NamedTuple):
    """A line that says something of a device."""

    path: str
    number: int
    text: str


def ifupdown_lines(interface: str, root: Path = Path("/")) -> list[Line] | None:
    """What ifupdown's files say of a device, None when they do not name it (interfaces(5))."""
    folder = root / "etc/network"
    found: list[Line] = []
    named = False
    for path in (folder / "interfaces", *(folder / "interfaces.d" / name for name in files.names(folder / "interfaces.d"))):
        stanza = ""
        for number, line in enumerate((files.read_text(path) or "").splitlines(), start=1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] in _STANZAS:
                stanza = words[1] if words[0] == "iface" and len(words) > 1 else ""
                named = named or stanza == interface
            elif stanza == interface:
                found.append(Line(str(path), number, line.strip()))
    return found if named else None
