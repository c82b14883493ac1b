# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tooling import counts
from tooling.counts import Counts

SAMPLE = """\
import pytest

def test_one(): assert True
def test_two(): assert False
def test_three(): pytest.skip("no such machine")

@pytest.fixture
def broken(): raise OSError
def test_four(broken): assert True
"""
SANITY = """\
WARNING: Using locale "C.UTF-8" instead of "en_US.UTF-8". Tests which depend on the locale may behave unexpectedly.
Running sanity test "ansible-doc"
Running sanity test "compile" on Python 3.11
Running sanity test "compile" on Python 3.12
Running sanity test "pep8"
ERROR: Found 1 pep8 issue(s) which need to be resolved:
Running sanity test "yamllint"
ERROR: Found 4 yamllint issue(s) which need to be resolved:
FATAL: The 2 sanity test(s) listed below (out of 5) failed. See error output above for details.
pep8
yamllint
"""


def pytest_on(tmp_path, text):
    (tmp_path / "test_sample.py").write_text(text)
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}", "test_sample.py"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTEST_ADDOPTS": ""}, capture_output=True, check=False)
    return counts.of_pytest(report), done.returncode


def test_counts_of_pytest_are_its_own(tmp_path):
    found, code = pytest_on(tmp_path, SAMPLE)
    assert (found.passed, found.failed, found.skipped, code) == (1, 2, 1, 1)
    assert found.reasons == ("no such machine",)
    assert counts.judged(found, code) == found


def test_no_tests_are_a_failure(tmp_path):
    found, code = pytest_on(tmp_path, "x = 1\n")
    assert code == 5 and found == Counts()
    assert counts.judged(found, code) == Counts(failed=1)


def test_a_report_that_was_never_written_is_a_failure(tmp_path):
    assert counts.judged(counts.of_pytest(tmp_path / "none.xml"), 2) == Counts(failed=1)


def test_counts_of_sanity_tests():
    assert counts.of_sanity(SANITY) == Counts(passed=3, failed=2)


def test_a_sanity_test_that_was_passed_over_is_told():
    text = 'Running sanity test "shellcheck"\nWARNING: Skipping sanity test "shellcheck" due to missing program.\nRunning sanity test "pep8"\n'
    assert counts.of_sanity(text) == Counts(1, 0, 1, ('Skipping sanity test "shellcheck" due to missing program.',))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("molecule plan: 3 passed in 2 s\nmolecule: 2 scenarios, 30 passed, 2 failed, 1 errors in 90 s; not good: plan\n", Counts(30, 3)),
        ("molecule: 4 scenarios, 412 passed in 900 s\n", Counts(412)),
        ("molecule: 1 scenarios, 5 passed, 2 skipped in 9 s\n", Counts(5, 0, 2, ("tests of molecule scenarios",))),
        ("Traceback (most recent call last):\n", Counts()),
    ],
)
def test_counts_of_molecule(text, found):
    assert counts.of_molecule(text) == found


@pytest.mark.parametrize(
    ("found", "code", "judged"),
    [
        (Counts(5), 0, Counts(5)),
        (Counts(5), 1, Counts(5, 1)),
        (Counts(), 0, Counts(0, 1)),
        (Counts(5, 2), 1, Counts(5, 2)),
        (Counts(0, 0, 3), 0, Counts(0, 1, 3)),
    ],
)
def test_an_error_or_nothing_at_all_is_a_failure(found, code, judged):
    assert counts.judged(found, code) == judged


def test_the_line_and_the_sum():
    assert counts.total([Counts(1, 2, 3), Counts(10)]).line() == "11 passed, 2 failed, 3 skipped"
    assert Counts(7).line() == "7 passed, 0 failed"
