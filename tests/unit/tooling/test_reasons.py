# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of a long output: what failed and why, nothing of the rest."""

from __future__ import annotations

from tooling.reasons import MOST_CHARACTERS, MOST_LINES, reasons

OUTPUT = """\
collected 6 items
tests/test_broken.py ....FF
________________ test_the_last_run_ended_whole ________________
    def test_the_last_run_ended_whole(record):
>       assert last.code == 0, last.output
E       AssertionError:
E         PLAY [Preflight] ****
E         FAILED - RETRYING: [n1]: Wait until it went (20 retries left).
E         \x1b[31m[ERROR]: Task failed: the fabric does not carry
E         packets from n1 to n2\x1b[0m
E         PLAY RECAP ****
E         n1 : ok=1
E         n2 : ok=2
E         n3 : ok=3
E       assert 2 == 0
4 passed, 2 failed
"""


def test_the_test_its_error_and_what_follows_it():
    assert reasons(OUTPUT) == [
        "________________ test_the_last_run_ended_whole ________________",
        "AssertionError:",
        "PLAY [Preflight] ****",
        "FAILED - RETRYING: [n1]: Wait until it went (20 retries left).",
        "[ERROR]: Task failed: the fabric does not carry",
        "packets from n1 to n2",
        "PLAY RECAP ****",
        "n1 : ok=1",
    ]


def test_nothing_of_what_went_well():
    assert reasons("ok: [n1]\nFAILED - RETRYING: [n1]: Wait (2 retries left).\nchanged: [n1]\n") == []


def test_each_once_and_not_too_much():
    assert reasons("ValueError: x\n" * 9) == ["ValueError: x"]
    many = reasons("".join(f"ValueError: {number}{'y' * 999}\n" for number in range(99)))
    assert len(many) == MOST_LINES
    assert {len(line) for line in many} == {MOST_CHARACTERS}
