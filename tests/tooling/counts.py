# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many tests a stage ran, read from what it wrote."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path
from xml.etree import ElementTree


class Counts(t.NamedTuple):
    """Tests that passed, failed and were skipped, and why they were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: tuple[str, ...] = ()

    def line(self) -> str:
        """For people, and for machines that look for it."""
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


def judged(counts: Counts, code: int) -> Counts:
    """A stage that ends with an error has failed even if no test did, and so has one that ran nothing."""
    if not counts.failed and (code or not counts.passed):
        return counts._replace(failed=1)
    return counts


def total(parts: t.Iterable[Counts]) -> Counts:
    """The sum."""
    parts = list(parts)
    return Counts(sum(part.passed for part in parts), sum(part.failed for part in parts), sum(part.skipped for part in parts))


def of_program(code: int) -> Counts:
    """A program that is one check."""
    return Counts(passed=0 if code else 1, failed=1 if code else 0)


def of_pytest(report: Path) -> Counts:
    """From the file that pytest writes for C(--junit-xml); nothing when it has written none."""
    if not report.exists():
        return Counts()
    suites = list(ElementTree.fromstring(report.read_text(encoding="utf-8")).iter("testsuite"))  # noqa: S314 - our own file

    def number(name: str) -> int:
        return sum(int(suite.get(name, 0)) for suite in suites)

    reasons = sorted({skip.get("message", "") for suite in suites for skip in suite.iter("skipped")})
    failed = number("failures") + number("errors")
    return Counts(number("tests") - failed - number("skipped"), failed, number("skipped"), tuple(reasons))


def of_sanity(text: str) -> Counts:
    """From what ansible-test prints; a test that it runs for several versions of Python counts once for each."""
    started = len(re.findall(r'^Running sanity test ".*$', text, re.MULTILINE))
    found = re.search(r"^FATAL: The (\d+) sanity test\(s\) listed below", text, re.MULTILINE)
    failed = int(found.group(1)) if found else 0
    reasons = tuple(sorted(set(re.findall(r"^WARNING: (Skipping sanity test .*)$", text, re.MULTILINE))))
    return Counts(started - failed - len(reasons), failed, len(reasons), reasons)


def of_molecule(text: str) -> Counts:
    """From the last line of C(tooling.molecule)."""
    lines = [line for line in text.splitlines() if re.match(r"molecule: \d+ scenarios, ", line)]
    numbers = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|errors|skipped)", lines[-1])} if lines else {}
    skipped = numbers.get("skipped", 0)
    return Counts(
        numbers.get("passed", 0),
        numbers.get("failed", 0) + numbers.get("errors", 0),
        skipped,
        ("tests of molecule scenarios",) if skipped else (),
    )
