# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of boot loaders: what grub.cfg, grubenv and BLS files say, and the entry for a trial boot. Pure: no input, no output.

GRUB's own language is read as far as C(grub-mkconfig) writes it: menus, their entries and which of them is the default. BLS files are those of
systemd.io/BOOT_LOADER_SPECIFICATION, as EL and systemd-boot use them.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

MARK = "podnet.kernel_trial"
"""Stands on the command line of a trial boot, so that everybody can see that it is one. The kernel passes over a parameter of a module that
does not exist."""
TRIAL_ID = "podnet-kernel-trial"
BEGIN = "### BEGIN podnet.cni kernel trial ###"
END = "### END podnet.cni kernel trial ###"
_HEAD = re.compile(r"^\s*(menuentry|submenu)\s+(.*)\{\s*$")
_WORD = re.compile(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"|(\S+)")
_IMAGE = re.compile(r"(?:vmlinuz|vmlinux|Image|kernel|linux)-(\d+\.\d+\S*?)(?:\.efi|\.signed)?$")
_DEFAULT = re.compile(r"^\s*(?:set\s+)?default=(?:\"([^\"]*)\"|'([^']*)'|(\S+))\s*$")
_ENVIRONMENT = re.compile(r"^(\w+)=(.*)$")
_KERNEL_COMMANDS = ("linux", "linux16", "linuxefi")
_VERSION_PART = re.compile(r"(\d+)|([a-z]+)|(~)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One way to start the machine.

    C(id) is what the boot loader is told to choose it, with the menus that it is in. C(release) is empty for what is no kernel of this machine.
    """

    id: str
    title: str
    release: str
    options: str = ""
    body: tuple[str, ...] = ()
    recovery: bool = False
    path: str = ""
    initrd: bool = False


def release_of(path: str) -> str:
    """The release in the name of a kernel's file."""
    found = _IMAGE.search(path.rpartition("/")[2])
    return found.group(1) if found else ""


def _words(text: str) -> list[str]:
    return [single or double or plain for single, double, plain in _WORD.findall(text)]


def _id_in(words: t.Sequence[str], title: str) -> str:
    """What C(--id) or C($menuentry_id_option) gives, else the title."""
    for index, word in enumerate(words[:-1]):
        if word in ("--id", "$menuentry_id_option", "${menuentry_id_option}"):
            return words[index + 1]
    return title


def parse_grub(text: str) -> list[Entry]:
    """Entries of a C(grub.cfg) in their order, those in submenus with the ids of the menus before them, separated by C(>)."""
    entries: list[Entry] = []
    menus: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        head = _HEAD.match(line)
        if head:
            words = _words(head.group(2))
            title = words[0] if words else ""
            name = _id_in(words, title)
            if head.group(1) == "submenu":
                menus.append(name)
                continue
            entries.append(_grub_entry([*menus, name], title, list(_body(lines))))
        elif line.strip() == "}" and menus:
            menus.pop()
    return entries


def _body(lines: t.Iterator[str]) -> t.Iterator[str]:
    """Lines up to the brace that closes an entry; blocks inside it close with words of their own."""
    for line in lines:
        if line.strip() == "}":
            return
        yield line


def _grub_entry(names: t.Sequence[str], title: str, body: t.Sequence[str]) -> Entry:
    release, options, initrd = "", "", False
    for line in body:
        words = line.split()
        if len(words) > 1 and words[0] in _KERNEL_COMMANDS:
            release, options = release_of(words[1]), " ".join(words[2:])
        initrd = initrd or bool(words and words[0] in ("initrd", "initrd16", "initrdefi"))
    single = any(word in ("single", "recovery", "nomodeset", "rescue") for word in options.split()) and "recovery" in title.lower() + " ".join(names)
    return Entry(">".join(names), title, release, options, tuple(body), single, initrd=initrd)


def grub_default(text: str, environment: t.Mapping[str, str]) -> str:
    """What GRUB starts when nobody chooses and nothing was asked for once: the last default that C(grub.cfg) sets."""
    found = ""
    for line in text.splitlines():
        match = _DEFAULT.match(line)
        if match:
            value = next((part for part in match.groups() if part is not None), "")
            if "next_entry" not in value:
                found = value
    return environment.get("saved_entry", "") if "saved_entry" in found else found


def asks_for_one_boot(text: str) -> bool:
    """Whether a C(grub.cfg) looks at what C(grub-reboot) writes."""
    return "next_entry" in text


def reads_custom(text: str) -> bool:
    """Whether a C(grub.cfg) reads C(custom.cfg) beside it, in which the entry for a trial is."""
    return "custom.cfg" in text


def parse_environment(text: str) -> dict[str, str]:
    """Variables of a C(grubenv) file."""
    return {found.group(1): found.group(2) for found in map(_ENVIRONMENT.match, text.splitlines()) if found}


def resolve(choice: str, entries: t.Sequence[Entry]) -> Entry | None:
    """The entry that GRUB means by a number, a title or an id, each of them with the menus before it; None when there is none."""
    if not choice:
        return entries[0] if entries else None
    parts = choice.split(">")
    found = list(entries)
    for depth, part in enumerate(parts):
        found = _below(found, depth, part, last=depth == len(parts) - 1)
    return found[0] if found else None


def _below(entries: t.Sequence[Entry], depth: int, part: str, last: bool) -> list[Entry]:
    """The entries that one part of a choice means: those of a menu, or an entry itself."""
    deep = [(entry.id.split(">"), entry) for entry in entries if entry.id.count(">") >= depth]
    names = list(dict.fromkeys(names[depth] for names, dummy in deep))
    name = names[int(part)] if part.isdigit() and part not in names and int(part) < len(names) else part
    found = [entry for path, entry in deep if path[depth] == name]
    return found or ([entry for dummy, entry in deep if entry.title == part] if last else [])


def of_release(entries: t.Iterable[Entry], release: str) -> Entry | None:
    """The entry that starts a release: one in a submenu, which names the release, before the first one of the menu, which is whatever is
    newest; never one for recovery and never the trial.
    """
    found = [entry for entry in entries if entry.release == release and not entry.recovery and TRIAL_ID not in entry.id]
    return max(found, key=lambda entry: (release in entry.id, entry.id.count(">")), default=None)


def with_options(options: str, extra: t.Iterable[str]) -> str:
    """A command line with further options; those of the same name are replaced."""
    added = list(extra)
    names = {word.partition("=")[0] for word in added}
    kept = [word for word in options.split() if word.partition("=")[0] not in names]
    return " ".join([*kept, *added])


def _with_options_in(line: str, added: t.Sequence[str]) -> str:
    """A line of an entry; that of the kernel gets the options."""
    words = line.split()
    if len(words) < 2 or words[0] not in _KERNEL_COMMANDS:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    return f"{indent}{words[0]} {words[1]} {with_options(' '.join(words[2:]), added)}"


def grub_trial(entry: Entry, extra: t.Iterable[str]) -> str:
    """The text of an entry for one boot: that of the release's own entry, with further options for the kernel."""
    added = list(extra)
    lines = [_with_options_in(line, added) for line in entry.body]
    return "\n".join([BEGIN, f"menuentry '{entry.release}, once (podnet.cni)' --id {TRIAL_ID} {{", *lines, "}", END, ""])


def without_trial(text: str) -> str:
    """A C(custom.cfg) without the entry of a trial; what others have written stays."""
    return re.sub(rf"{re.escape(BEGIN)}\n.*?{re.escape(END)}\n?", "", text, flags=re.DOTALL)


# -- BLS


def parse_bls(name: str, text: str) -> Entry:
    """An entry of C(loader/entries); C(name) is that of its file."""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, dummy, value = line.strip().partition(" ")
        if key and not key.startswith("#"):
            values.setdefault(key, []).append(value.strip())
    image = next(iter(values.get("linux") or values.get("efi") or values.get("uki") or [""]))
    version = next(iter(values.get("version") or [""]))
    release = version if "linux" in values and version else release_of(image)
    title = next(iter(values.get("title") or [""]))
    identifier = name.removesuffix(".conf")
    rescue = "rescue" in identifier or "rescue" in title.lower()
    return Entry(
        identifier, title, release, " ".join(values.get("options") or []), tuple(text.splitlines()), rescue, initrd=bool(values.get("initrd"))
    )


def version_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Order of versions as RPM compares them: numbers before letters' end, a tilde before all."""
    parts = []
    for number, letters, dummy in _VERSION_PART.findall(text):
        parts.append((2, int(number), "") if number else (1, 0, letters) if letters else (-1, 0, ""))
    return (*parts, (0, 0, ""))


def ordered_bls(entries: t.Iterable[Entry]) -> list[Entry]:
    """Entries as the menu shows them, the newest first."""
    return sorted(entries, key=lambda entry: (not entry.recovery, version_key(entry.id)), reverse=True)


def bls_trial(entry: Entry, extra: t.Iterable[str]) -> str:
    """The text of a file for one boot."""
    added = list(extra)
    lines = [f"title {entry.release}, once (podnet.cni)", f"options {with_options(entry.options, added)}"]
    # What else is in it: the files to load, and what the boot loader sorts by.
    lines += [line for line in entry.body if line.strip().partition(" ")[0] not in ("title", "options", "id")]
    return "\n".join([*lines, ""])
