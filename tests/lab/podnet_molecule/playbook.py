# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the playbook as a user does, for what has to fail."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

PLAYBOOK = "podnet.cni.migrate_to_calico"
ROLLBACK = "podnet.cni.rollback_to_flannel"
SWITCH = "podnet.cni.switch_routing"
RECAP = re.compile(r"^(?P<host>\S+)\s*: (?P<counts>ok=.*)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    code: int
    output: str

    @property
    def text(self) -> str:
        """The output with line breaks as blanks, since messages are wrapped, and quotes as they were."""
        return " ".join(self.output.replace('\\"', '"').split())

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """The numbers at the end, by host."""
        return {
            match["host"]: {key: int(number) for key, number in (pair.split("=") for pair in match["counts"].split())}
            for match in RECAP.finditer(self.output)
        }

    @property
    def changed(self) -> int:
        """How many tasks changed something."""
        return sum(counts["changed"] for counts in self.recap.values())


def command(inventory: Path, variables: t.Mapping[str, t.Any], *options: str, playbook: str = PLAYBOOK) -> list[str]:
    """Its command line with extra variables."""
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    return [program, f"--inventory={inventory}", playbook, "--extra-vars", json.dumps(dict(variables)), *options]


def run(inventory: Path, variables: t.Mapping[str, t.Any], *options: str, playbook: str = PLAYBOOK) -> Outcome:
    """Run it with extra variables; what environment variables say to Ansible stays as it is."""
    words = command(inventory, variables, *options, playbook=playbook)
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "true", "ANSIBLE_FORCE_COLOR": "false"}
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return Outcome(done.returncode, done.stdout)
