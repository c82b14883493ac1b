# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of cases, and what is read from the output of a playbook."""

from __future__ import annotations

from podnet_molecule import results
from podnet_molecule.playbook import Outcome

OUTPUT = """
PLAY RECAP *********************************************************************
localhost                  : ok=4    changed=0    unreachable=0    failed=1    skipped=0    rescued=0    ignored=0
n1                         : ok=1    changed=2    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0
"""


def test_the_recap():
    outcome = Outcome(2, OUTPUT)
    assert outcome.recap["localhost"]["failed"] == 1
    assert set(outcome.recap) == {"localhost", "n1"}
    assert outcome.changed == 2


def test_messages_are_compared_without_line_breaks():
    assert Outcome(2, 'msg: "a \\"word\\"\n  goes on"').text == 'msg: "a "word" goes on"'


def test_records_of_cases(tmp_path, monkeypatch):
    monkeypatch.setenv("MOLECULE_EPHEMERAL_DIRECTORY", str(tmp_path))
    assert results.read_cases() == []
    results.add_case({"name": "first"})
    results.add_case({"name": "second", "check": {"changed": True}})
    assert [case["name"] for case in results.read_cases()] == ["first", "second"]
