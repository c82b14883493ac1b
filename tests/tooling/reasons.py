# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a stage failed, in a few lines of its output: for the end of the summary, which is all that is left of a log that was cut."""

from __future__ import annotations

import re

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_PYTEST = re.compile(r"^E +")
_TEST = re.compile(r"^_{3,} .* _{3,}$")
_TELLS = re.compile(r"^(\[ERROR\]|fatal: |ERROR|FAILED (?!- RETRYING)|FATAL|[A-Za-z_.]*(Error|Failed|Exception)\b|[^ ]+:\d+: error|E\d+ )")
_CONTINUED = 3
"""Lines after one that tells something: messages of Ansible are wrapped."""
MOST_LINES = 40
MOST_CHARACTERS = 300


def reasons(output: str) -> list[str]:
    """The lines that tell what failed, each once, the first C(MOST_LINES) of them."""
    found: list[str] = []
    left = 0
    for line in output.splitlines():
        text = _PYTEST.sub("", _COLOR.sub("", line)).rstrip()
        if _TEST.match(text):
            left = 1
        elif _TELLS.match(text):
            left = _CONTINUED + 1
        if left and text:
            left -= 1
            if text[:MOST_CHARACTERS] not in found:
                found.append(text[:MOST_CHARACTERS])
    return found[:MOST_LINES]
