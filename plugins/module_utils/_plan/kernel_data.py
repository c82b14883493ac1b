# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What CNIs want of a kernel, as data: its form, and which of it a user asks for. Pure: no input, no output.

The form is described in C(docs/kernel_preflight.md). Everything is checked here, once, so that the judge can rely on it.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, SEVERITIES
from ansible_collections.podnet.cni.plugins.module_utils._plan.kernel_release import Constraint

Record = t.Mapping[str, t.Any]

PROBES: t.Mapping[str, int] = {
    "bpf_syscall": 0,
    "btf": 0,
    "jit": 0,
    "large_programs": 0,
    "bounded_loops": 0,
    "tcx": 0,
    "policy_routing": 0,
    "program_type": 1,
    "map_type": 1,
    "helper": 2,
    "link": 1,
    "qdisc": 1,
    "ipset": 1,
    "nft": 1,
    "xt_match": 1,
    "xt_target": 1,
    "netlink": 1,
}
"""Probes and how many words follow their name."""
_OPTION = re.compile(r"CONFIG_[A-Za-z0-9_]+")
_ID = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_VERSION = re.compile(r"\d+(\.\d+)*")
_WISH = re.compile(r"(?P<name>[a-z0-9_.-]+)(?::v?(?P<version>[0-9.]+))?(?P<features>(?:\+[a-z0-9_.-]+)*)")


def version_numbers(text: str) -> tuple[int, ...]:
    """C(1.20.2) as numbers."""
    return tuple(int(part) for part in text.split("."))


@dataclasses.dataclass(frozen=True)
class Backport:
    """A vendor's kernel that has what its version does not promise: a family, the version that its kernels keep, and the first build.

    No build is enough when C(build) is empty; then it says that the vendor has not brought it into these kernels. C(severity) is that of a
    warning when upstream says less than that it is enough, else empty.
    """

    family: str
    base: tuple[int, ...]
    build: tuple[int, ...]
    note: str
    severity: str = ""


@dataclasses.dataclass(frozen=True)
class Requirement:
    """One thing that a kernel must have, and the ways to find out, in the order in which they are trusted.

    Each entry of C(probe), C(config) and C(modules) must be met; its alternatives are separated by C(|).
    """

    id: str
    what: str
    why: str
    remedy: str
    source: str
    date: str
    severity: str = BLOCKER
    versions: Constraint | None = None
    probe: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    since: str = ""
    backports: tuple[Backport, ...] = ()
    tool: tuple[str, str] | None = None
    machines: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class KnownBad:
    """Kernels on which versions of a product fail although they have everything."""

    id: str
    effect: str
    remedy: str
    source: str
    date: str
    kernels: Constraint
    severity: str = BLOCKER
    versions: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = ()
    families: tuple[str, ...] = ()
    builds: Constraint | None = None
    machines: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Feature:
    """What a product can do besides, and what that takes."""

    title: str
    requirements: tuple[Requirement, ...]


@dataclasses.dataclass(frozen=True)
class Profile:
    """What one product wants of a kernel."""

    name: str
    title: str
    versions: tuple[str, ...]
    requirements: tuple[Requirement, ...]
    features: t.Mapping[str, Feature]
    known_bad: tuple[KnownBad, ...]


@dataclasses.dataclass(frozen=True)
class Wish:
    """A profile that is asked for; C(version) is empty for products whose requirements do not depend on it."""

    profile: Profile
    version: str = ""
    features: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Title, version and features, for people."""
        return " ".join(filter(None, [self.profile.title, self.version, *(f"+{name}" for name in self.features)]))

    def applies(self, versions: Constraint | None) -> bool:
        """Whether a requirement for these versions of the product concerns the wish; a minor counts as its first release."""
        return versions is None or versions.holds(version_numbers(self.version or "0"))


class _Reader:
    """Takes the keys of a mapping out one by one, and knows where it is for its errors."""

    def __init__(self, value: t.Any, where: str) -> None:
        if not isinstance(value, t.Mapping):
            raise ValueError(f"{where}: '{value}' is no mapping; see docs/kernel_preflight.md for the form")
        self.where = where
        self._rest = dict(value)

    def fail(self, key: str, problem: str) -> t.NoReturn:
        raise ValueError(f"{self.where}.{key}: {problem}")

    def text(self, key: str, default: str | None = None, pattern: re.Pattern[str] | None = None, form: str = "") -> str:
        value = self._rest.pop(key, default)
        if value is None:
            self.fail(key, "is missing")
        text = str(value).strip() if isinstance(value, (str, int)) or key == "date" else self.fail(key, f"'{value}' is no text; put it into quotes")
        if text != default and pattern and not pattern.fullmatch(text):
            self.fail(key, f"'{text}' is not {form}")
        return text

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._rest.pop(key, ())
        if isinstance(value, str) or not isinstance(value, t.Sequence) or not all(isinstance(item, str) for item in value):
            self.fail(key, f"'{value}' is no list of texts")
        return tuple(value)

    def parts(self, key: str, kind: str = "list") -> t.Any:
        value = self._rest.pop(key, None)
        if value is None:
            return [] if kind == "list" else {}
        if not isinstance(value, list if kind == "list" else t.Mapping):
            self.fail(key, f"'{value}' is no {'list' if kind == 'list' else 'mapping'}")
        return value

    def severity(self) -> str:
        return self.text("severity", BLOCKER, re.compile("|".join(SEVERITIES)), f"one of {', '.join(SEVERITIES)}")

    def constraint(self, key: str) -> Constraint | None:
        text = self.text(key, "")
        if not text:
            return None
        try:
            return Constraint(text)
        except ValueError as exc:
            self.fail(key, str(exc))

    def end(self) -> None:
        """No key is left, so that none is misspelled."""
        if self._rest:
            raise ValueError(f"{self.where}: unknown keys {', '.join(sorted(map(str, self._rest)))}")


def alternatives(entry: str) -> list[str]:
    """The alternatives of an entry."""
    return [part.strip() for part in entry.split("|")]


def _probe_problem(text: str) -> str:
    words = text.split()
    if not words or words[0] not in PROBES:
        return f"'{text}' is no probe; the first word is one of {', '.join(PROBES)}"
    return "" if len(words) - 1 == PROBES[words[0]] else f"'{text}' needs {PROBES[words[0]]} words behind {words[0]}"


def _backport(value: t.Any, where: str) -> Backport:
    reader = _Reader(value, where)
    build = reader.text("build", "", _VERSION, "a build such as 553.8.1")
    found = Backport(
        family=reader.text("family"),
        base=version_numbers(reader.text("base", None, _VERSION, "a version")),
        build=version_numbers(build) if build else (),
        note=reader.text("note"),
        severity=reader.text("severity", "", re.compile("warning|info"), "one of warning, info"),
    )
    reader.end()
    return found


def _tool(text: str, reader: _Reader) -> tuple[str, str] | None:
    words = text.split()
    if text and (len(words) != 2 or not _VERSION.fullmatch(words[1])):
        reader.fail("tool", f"'{text}' is not a program and its lowest version, such as 'nft 1.0.1'")
    return (words[0], words[1]) if words else None


def _requirement(value: t.Any, where: str) -> Requirement:
    reader = _Reader(value, where)
    reader.where = f"{where}[{reader.text('id', None, _ID, 'an id of small letters, digits and dashes')}]"
    found = Requirement(
        id=str(value["id"]),
        what=reader.text("what"),
        why=reader.text("why"),
        remedy=reader.text("remedy"),
        source=reader.text("source"),
        date=reader.text("date", None, _DATE, "a date such as 2026-11-25"),
        severity=reader.severity(),
        versions=reader.constraint("versions"),
        probe=reader.texts("probe"),
        config=reader.texts("config"),
        modules=reader.texts("modules"),
        since=reader.text("since", "", _VERSION, "a version such as '5.10'; put it into quotes"),
        backports=tuple(_backport(item, f"{reader.where}.backports") for item in reader.parts("backports")),
        tool=_tool(reader.text("tool", ""), reader),
        machines=reader.texts("machines"),
    )
    reader.end()
    problems = [_probe_problem(text) for entry in found.probe for text in alternatives(entry)]
    problems += ["" if _OPTION.fullmatch(name) else f"'{name}' is no option" for entry in found.config for name in alternatives(entry)]
    for problem in filter(None, problems):
        reader.fail("probe" if "probe" in problem or "needs" in problem else "config", problem)
    if not any((found.probe, found.config, found.modules, found.since, found.tool, found.machines)):
        raise ValueError(f"{reader.where}: nothing says how to find out; give one of probe, config, modules, since, tool, machines")
    if found.backports and not found.since:
        reader.fail("backports", "say which kernels are as good as since, which is missing")
    return found


def _range(text: str, reader: _Reader) -> tuple[tuple[int, ...], tuple[int, ...]]:
    first, dummy, last = text.partition("..")
    if not _VERSION.fullmatch(first) or not _VERSION.fullmatch(last or first):
        reader.fail("versions", f"'{text}' is no range of versions, such as '1.20.0..1.20.1'")
    return version_numbers(first), version_numbers(last or first)


def _known_bad(value: t.Any, where: str) -> KnownBad:
    reader = _Reader(value, where)
    reader.where = f"{where}[{reader.text('id', None, _ID, 'an id of small letters, digits and dashes')}]"
    kernels = reader.constraint("kernels")
    if kernels is None:
        reader.fail("kernels", "is missing; give a constraint such as '>=7.2'")
    found = KnownBad(
        id=str(value["id"]),
        effect=reader.text("effect"),
        remedy=reader.text("remedy"),
        source=reader.text("source"),
        date=reader.text("date", None, _DATE, "a date such as 2026-11-25"),
        kernels=kernels,
        severity=reader.severity(),
        versions=tuple(_range(text, reader) for text in reader.texts("versions")),
        families=reader.texts("families"),
        builds=reader.constraint("builds"),
        machines=reader.texts("machines"),
        features=reader.texts("features"),
    )
    reader.end()
    return found


def _requirements(values: t.Any, where: str) -> tuple[Requirement, ...]:
    found = tuple(_requirement(item, where) for item in values)
    twice = {item.id for item in found if sum(other.id == item.id and other.versions is item.versions for other in found) > 1}
    if twice:
        raise ValueError(f"{where}: {', '.join(sorted(twice))} is there twice")
    return found


def _feature(value: t.Any, where: str) -> Feature:
    reader = _Reader(value, where)
    found = Feature(reader.text("title"), _requirements(reader.parts("requirements"), f"{where}.requirements"))
    reader.end()
    return found


def _profile(name: str, value: t.Any) -> Profile:
    where = f"profiles.{name}"
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise ValueError(f"{where}: a profile has a name of small letters, digits, dashes and underscores")
    reader = _Reader(value, where)
    found = Profile(
        name=name,
        title=reader.text("title"),
        versions=reader.texts("versions"),
        requirements=_requirements(reader.parts("requirements"), f"{where}.requirements"),
        features={str(key): _feature(item, f"{where}.features.{key}") for key, item in reader.parts("features", "mapping").items()},
        known_bad=tuple(_known_bad(item, f"{where}.known_bad") for item in reader.parts("known_bad")),
    )
    reader.end()
    if not found.requirements:
        reader.fail("requirements", "is empty: a profile that wants nothing would always pass")
    for text in found.versions:
        if not re.fullmatch(r"\d+\.\d+", text):
            reader.fail("versions", f"'{text}' is no minor version such as '1.20'")
    for bad in found.known_bad:
        for feature in bad.features:
            if feature not in found.features:
                raise ValueError(f"{where}.known_bad[{bad.id}].features: there is no feature '{feature}'")
    return found


def read_profiles(data: Record) -> dict[str, Profile]:
    """All profiles of a mapping C(profiles).

    :raises ValueError: with the place and the remedy, when it has not the form.
    """
    reader = _Reader(data, "data")
    profiles = reader.parts("profiles", "mapping")
    reader.end()
    return {name: _profile(name, value) for name, value in profiles.items()}


def _split(value: t.Any) -> list[t.Any]:
    if isinstance(value, str):
        return [part for part in re.split(r"[,\s]+", value) if part]
    if isinstance(value, t.Mapping):
        return [value]
    if not isinstance(value, t.Sequence):
        raise ValueError(f"profiles: '{value}' is no list; give names such as cilium:1.20+wireguard")
    return [part for item in value for part in ([item] if isinstance(item, t.Mapping) else _split(item))]


def _wish_record(item: t.Any) -> Record:
    if isinstance(item, str):
        found = _WISH.fullmatch(item)
        if not found:
            raise ValueError(f"profiles: '{item}' is not NAME, NAME:VERSION or NAME:VERSION+FEATURE; give something like cilium:1.20+wireguard")
        return {"name": found["name"], "version": found["version"] or "", "features": [part for part in found["features"].split("+") if part]}
    unknown = set(item) - {"name", "version", "features"}
    if "name" not in item or unknown:
        raise ValueError(f"profiles: {dict(item)} must have name, may have version and features, and nothing else")
    return t.cast(Record, item)


def _known(option: str, value: str, known: t.Iterable[str]) -> None:
    names = list(known)
    if value not in names:
        close = difflib.get_close_matches(value, names, 1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(f"{option}: there is no '{value}'{meant}; {'there are ' + ', '.join(names) if names else 'it has none'}")


def read_wishes(value: t.Any, profiles: t.Mapping[str, Profile]) -> list[Wish]:
    """The profiles that are asked for, as names with versions and features, or as mappings; all of them for an empty list.

    :raises ValueError: for what is not in the data.
    """
    found = []
    for item in _split(value) or list(profiles):
        record = _wish_record(item)
        name = str(record["name"])
        _known("profiles", name, profiles)
        profile = profiles[name]
        version = str(record.get("version") or "").lstrip("v")
        if profile.versions:
            version = version or max(profile.versions, key=version_numbers)
            if not re.fullmatch(r"\d+\.\d+(\.\d+)?", version):
                raise ValueError(f"profiles: {name}: '{version}' is no version; give one such as {profile.versions[-1]} or {profile.versions[-1]}.1")
            _known(f"profiles: {name}: version", ".".join(version.split(".")[:2]), profile.versions)
        elif version:
            raise ValueError(f"profiles: {name}: its requirements do not depend on the version; leave '{version}' out")
        features = tuple(str(feature) for feature in record.get("features") or ())
        for feature in features:
            _known(f"profiles: {name}: feature", feature, profile.features)
        found.append(Wish(profile, version, features))
    return found


def needs(wishes: t.Iterable[Wish]) -> dict[str, list[str]]:
    """What the judge wants to know of a kernel: C(probes), C(options), C(modules) and C(tools), each once and in order."""
    wanted: dict[str, dict[str, None]] = {"probes": {}, "options": {}, "modules": {}, "tools": {}}
    for wish in wishes:
        of_features = [item for feature in wish.profile.features.values() for item in feature.requirements]
        for item in [*wish.profile.requirements, *of_features]:
            if wish.applies(item.versions):
                for kind, entries in (("probes", item.probe), ("options", item.config), ("modules", item.modules)):
                    wanted[kind].update((text, None) for entry in entries for text in alternatives(entry))
                wanted["tools"].update({item.tool[0]: None} if item.tool else {})
    return {kind: list(names) for kind, names in wanted.items()}
