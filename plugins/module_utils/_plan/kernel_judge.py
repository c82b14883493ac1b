# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a kernel can carry what is asked of it: facts and data in, verdicts and findings out. Pure: no input, no output.

What a probe of the running kernel saw counts most, then the kernel's configuration, then its modules, and its version least. What none of
them tells is unknown, which is neither a pass nor a failure.
"""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, INFO, WARNING, Finding, ordered
from ansible_collections.podnet.cni.plugins.module_utils._plan.kernel_data import KnownBad, Requirement, Wish, alternatives, version_numbers
from ansible_collections.podnet.cni.plugins.module_utils._plan.kernel_release import Constraint, Release, upstream_of

Record = t.Mapping[str, t.Any]

SUPPORTED = "supported"
UNSUPPORTED = "unsupported"
UNKNOWN = "unknown"
VERDICTS = (UNSUPPORTED, UNKNOWN, SUPPORTED)
"""From the worst on."""
BACKPORTING = ("el", "suse", "uek")
"""Vendors whose kernels have far more than their version says: an old version proves nothing there, unless the data knows the build."""
_MILDER = {BLOCKER: WARNING, WARNING: INFO, INFO: INFO}


class Answer(t.NamedTuple):
    """Whether a requirement is met (None: unknown), which way told so, and what it saw. C(severity) replaces that of the requirement."""

    met: bool | None
    by: str
    detail: str
    severity: str = ""


def _all(parts: t.Sequence[tuple[bool | None, str]]) -> tuple[bool | None, str]:
    """All parts together: a no decides, then an unknown; the texts of those that decided."""
    for value in (False, None, True):
        texts = [text for met, text in parts if met is value]
        if texts:
            return value, "; ".join(dict.fromkeys(texts))
    return None, ""


def _any(parts: t.Sequence[tuple[bool | None, str]]) -> tuple[bool | None, str]:
    """One of some alternatives is enough: a yes decides, then an unknown."""
    for value in (True, None, False):
        texts = [text for met, text in parts if met is value]
        if texts:
            return value, texts[0] if value else " and ".join(dict.fromkeys(texts))
    return None, ""


class Kernel:
    """The facts of one kernel, and what they say of a requirement."""

    def __init__(self, facts: Record) -> None:
        self.facts = facts
        self.release = Release(facts["release"])
        self.upstream = upstream_of(self.release, facts.get("banner") or "", facts.get("signature") or "")

    def answer(self, wanted: Requirement) -> Answer:
        """The most trusted answer that there is."""
        doubts = []
        for ask in (self._machine, self._probe, self._config, self._modules, self._tool, self._version):
            found = ask(wanted)
            if found is None:
                continue
            if found.met is not None:
                return found
            doubts.append(f"{found.by}: {found.detail}")
        return Answer(None, "", "; ".join(doubts) or "nothing tells")

    def _machine(self, wanted: Requirement) -> Answer | None:
        machine = self.facts.get("machine") or ""
        if not wanted.machines:
            return None
        return Answer(machine in wanted.machines if machine else None, "machine", f"it is built for {machine}" if machine else "nothing tells it")

    def _probe(self, wanted: Requirement) -> Answer | None:
        probes: Record = self.facts.get("probes") or {}
        if not wanted.probe:
            return None

        def look(name: str) -> tuple[bool | None, str]:
            found = probes.get(name) or {"result": None, "detail": "was not probed"}
            return found["result"], f"{name}: {found['detail']}"

        return Answer(*self._combined(wanted.probe, look, "probe"))

    def _config(self, wanted: Requirement) -> Answer | None:
        if not wanted.config:
            return None
        config: Record = self.facts.get("config") or {}
        if not config.get("source"):
            return Answer(None, "config", "the kernel's configuration was not found")
        options: Record = config["options"]

        def look(name: str) -> tuple[bool | None, str]:
            value = options.get(name)
            if value is None:
                # Options are renamed and dissolved; only one that says so is not set.
                return None, f"{name} is not mentioned"
            return value != "n", f"{name}={value}" if value != "n" else f"{name} is not set"

        met, by, detail = self._combined(wanted.config, look, "config")
        if met is None:
            detail = f"{detail} in {config['source']}"
        as_module = any(options.get(name) == "m" for entry in wanted.config for name in alternatives(entry))
        present = self._modules(wanted) if met and as_module else None
        if present is not None and present.met is False:
            # Built, but in a package that is not installed.
            return Answer(False, by, f"built as modules, but there is {present.detail}")
        return Answer(met, by, detail)

    def _modules(self, wanted: Requirement) -> Answer | None:
        if not wanted.modules:
            return None
        modules: Record = self.facts.get("modules") or {}
        source = modules.get("source")

        def look(name: str) -> tuple[bool | None, str]:
            if name.replace("-", "_") in modules.get("found", ()):
                return True, f"module {name} is there"
            return (False, f"no {name}") if source else (None, f"{name} is not loaded")

        met, by, detail = self._combined(wanted.modules, look, "modules")
        if met is False:
            detail = f"{detail} in {source}"
        elif met is None:
            detail = f"{detail}, and no modules were found on disk"
        return Answer(met, by, detail)

    @staticmethod
    def _combined(entries: t.Iterable[str], look: t.Callable[[str], tuple[bool | None, str]], by: str) -> tuple[bool | None, str, str]:
        met, detail = _all([_any([look(name) for name in alternatives(entry)]) for entry in entries])
        return met, by, detail

    def _tool(self, wanted: Requirement) -> Answer | None:
        if not wanted.tool:
            return None
        name, lowest = wanted.tool
        tools: Record = self.facts.get("tools") or {}
        found = tools.get(name)
        if found is None:
            return Answer(None, "tool", f"{name} was not looked for")
        if not found:
            return Answer(True, "tool", f"the node has no {name} that could be too old")
        numbers = version_numbers(found)
        return Answer(numbers >= version_numbers(lowest), "tool", f"{name} is {found}, wanted is {lowest} or newer")

    def _version(self, wanted: Requirement) -> Answer | None:
        if not wanted.since:
            return None
        release = self.release
        if release >= Release(wanted.since):
            return Answer(True, "version", f"{release.text} is {wanted.since} or newer")
        # elrepo and others of that kind are upstream's kernels, so the family has to be the vendor's own.
        vendor = [item for item in wanted.backports if item.family == release.family and item.base == release.numbers[: len(item.base)]]
        enough = [item for item in vendor if item.build and Constraint(">=" + ".".join(map(str, item.build))).holds(release.build)]
        if enough:
            best = max(enough, key=lambda item: item.build)
            return Answer(not best.severity, "version", f"{release.text}: {best.note}", best.severity)
        if release.family in BACKPORTING and not vendor:
            return Answer(None, "version", f"{release.text} is older than {wanted.since}, but its vendor takes over newer features")
        why = next((f", and {item.note}" for item in vendor if not item.build), "")
        return Answer(False, "version", f"{release.text} is older than {wanted.since}{why}")


def bad_state(kernel: Kernel, wish: Wish, bad: KnownBad) -> bool | None:
    """Whether a wish meets a known-bad kernel: True, False, or None when the release or the version does not tell."""
    release = kernel.release
    if (bad.families and release.family not in bad.families) or (bad.machines and kernel.facts.get("machine", "") not in bad.machines):
        return False
    if bad.features and not set(bad.features) & set(wish.features):
        return False
    if bad.builds is not None and not bad.builds.holds(release.build):
        return False
    states = [_holds(bad.kernels, kernel)]
    if bad.versions and wish.version:
        states.append(_in_ranges(version_numbers(wish.version), bad))
    return False if False in states else None if None in states else True


def _holds(kernels: Constraint, kernel: Kernel) -> bool | None:
    """Whether a constraint on upstream's version holds, None when the vendor hides the patch level that decides."""
    if kernel.upstream is not None:
        return kernels.holds(kernel.release.numbers if kernel.release.upstream else kernel.upstream)
    known = kernel.release.numbers[:2]
    return True if kernels.must_hold(known) else None if kernels.may_hold(known) else False


def _in_ranges(version: tuple[int, ...], bad: KnownBad) -> bool | None:
    """Whether a version is affected, None when only the minor is told and some of its patch releases are not."""
    if any(first <= version <= last for first, last in bad.versions) and len(version) > 2:
        return True
    minor = version[:2]
    return None if len(version) == 2 and any(first[:2] <= minor <= last[:2] for first, last in bad.versions) else False


def _requirement_finding(wish: Wish, kernel: Kernel, wanted: Requirement, answer: Answer) -> Finding | None:
    source = f"{wanted.source} ({wanted.date})"
    subject = f"kernel {kernel.release.text}: {wish.label}"
    name = f"{wish.profile.name}-{wanted.id}"
    if answer.met:
        return None
    if answer.met is None:
        severity = WARNING if wanted.severity == BLOCKER else INFO
        evidence = f"{wanted.what}: unknown ({answer.detail})."
        remedy = "Run kernel_check as root on the running kernel, with bpf() and netlink probes, or give it the kernel's configuration."
        return Finding(f"{name}-unknown", severity, subject, evidence, wanted.why, remedy, source)
    severity = answer.severity or wanted.severity
    return Finding(name, severity, subject, f"{wanted.what}: no ({answer.by}: {answer.detail}).", wanted.why, wanted.remedy, source)


def _bad_finding(wish: Wish, kernel: Kernel, bad: KnownBad, state: bool | None) -> Finding:
    subject = f"kernel {kernel.release.text}: {wish.label}"
    affected = ", ".join(".".join(map(str, first)) + " to " + ".".join(map(str, last)) for first, last in bad.versions)
    of_versions = f", versions {affected}" if affected else ""
    doubt = "" if state else " Whether this kernel and this version are affected cannot be told from what is known of them."
    severity = bad.severity if state else _MILDER[bad.severity]
    evidence = f"Kernels {bad.kernels.text} are known to have trouble with {wish.profile.title}{of_versions}.{doubt}"
    return Finding(f"{wish.profile.name}-known-bad-{bad.id}", severity, subject, evidence, bad.effect, bad.remedy, f"{bad.source} ({bad.date})")


def _verdict(answers: t.Iterable[tuple[Requirement, Answer]]) -> str:
    """What the requirements together mean: only blockers decide."""
    deciding = [answer for wanted, answer in answers if (answer.severity or wanted.severity) == BLOCKER]
    if any(answer.met is False for answer in deciding):
        return UNSUPPORTED
    return UNKNOWN if any(answer.met is None for answer in deciding) else SUPPORTED


def judge_wish(kernel: Kernel, wish: Wish) -> tuple[dict[str, t.Any], list[Finding]]:
    """Verdict of one wish, as plain data, and its findings. Features that are not asked for are told, but make no finding."""
    asked = [item for item in wish.profile.requirements if wish.applies(item.versions)]
    features: dict[str, str] = {}
    for name, feature in wish.profile.features.items():
        mine = [item for item in feature.requirements if wish.applies(item.versions)]
        features[name] = _verdict((item, kernel.answer(item)) for item in mine)
        if name in wish.features:
            asked += [item for item in mine if item not in asked]
    answers = [(item, kernel.answer(item)) for item in asked]
    states = [(bad, bad_state(kernel, wish, bad)) for bad in wish.profile.known_bad]
    found = [finding for item, answer in answers if (finding := _requirement_finding(wish, kernel, item, answer))]
    found += [_bad_finding(wish, kernel, bad, state) for bad, state in states if state is not False]
    verdict = _verdict(answers)
    if any(state and bad.severity == BLOCKER for bad, state in states):
        verdict = UNSUPPORTED
    record = {
        "name": wish.profile.name,
        "title": wish.profile.title,
        "version": wish.version,
        "features_wanted": list(wish.features),
        "verdict": verdict,
        "features": features,
        "requirements": [
            {
                "id": item.id,
                "what": item.what,
                "severity": answer.severity or item.severity,
                "met": {True: "yes", False: "no", None: "unknown"}[answer.met],
                "by": answer.by,
                "detail": answer.detail,
                "source": item.source,
                "date": item.date,
            }
            for item, answer in answers
        ],
    }
    return record, found


def judge(facts: Record, wishes: t.Iterable[Wish]) -> dict[str, t.Any]:
    """Verdicts of all wishes, findings in the common form, and what has to be done before a kernel can carry them.

    :raises ValueError: when the release is none.
    """
    kernel = Kernel(facts)
    profiles, findings = [], []
    for wish in wishes:
        record, found = judge_wish(kernel, wish)
        profiles.append(record)
        findings += found
    findings = ordered(findings)
    actions: dict[str, list[str]] = {}
    for finding in findings:
        if finding.severity == BLOCKER:
            actions.setdefault(finding.remedy, []).append(finding.id)
    return {
        "profiles": profiles,
        "findings": [finding.to_dict() for finding in findings],
        "required_actions": [{"action": action, "findings": ids} for action, ids in actions.items()],
        "passed": not any(finding.severity == BLOCKER for finding in findings),
    }
