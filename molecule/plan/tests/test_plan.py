# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of C(--check): it names what would happen to which node, and nothing has changed."""

from __future__ import annotations

import re

import pytest
from podnet_lab.cluster_api import ClusterApi
from podnet_lab.lab import Lab
from podnet_molecule import playbook, results, snapshot


@pytest.fixture(scope="module")
def output() -> str:
    """What ansible-playbook said, without what its log puts before each line."""
    text = (results.folder() / "ansible.log").read_text(encoding="utf-8")
    runs = re.sub(r"^\S+ \S+ p=\d+ u=\S+ n=\S+ \w+\| ?", "", text, flags=re.MULTILINE)
    return runs[runs.rindex("PLAY [Preflight | Read the nodes]") :]


def test_nothing_changed(lab: Lab) -> None:
    before = snapshot.load(results.folder() / "before.json")
    assert snapshot.difference(before, snapshot.take(lab)) == []


def test_the_run_succeeds_and_reports_no_change(output: str, lab: Lab) -> None:
    recap = playbook.Outcome(0, output).recap
    assert {"localhost", *(node.name for node in lab.nodes)} == set(recap)
    for counts in recap.values():
        assert (counts["changed"], counts["failed"], counts["unreachable"]) == (0, 0, 0)


def test_every_node_has_its_row(output: str, lab: Lab, api: ClusterApi) -> None:
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in output.splitlines() if line.startswith("| ")]
    pod_cidrs = {node["metadata"]["name"]: node["spec"]["podCIDR"] for node in api.items("/api/v1/nodes")}
    for node in lab.nodes:
        (row,) = [row for row in rows if row[:2] == [node.name, node.zone]]
        assert pod_cidrs[node.name] in row
        assert row[-1] == "move"


def test_every_router_and_batch_is_named(output: str, lab: Lab) -> None:
    for zone in lab.topology.zones:
        assert zone.router_address in output
    batches = next(line for line in output.splitlines() if "podnet_serial" in line)
    assert [node.name for node in lab.nodes] == re.findall(r"\bn\d+\b", batches)


def test_no_blocker_is_found(output: str) -> None:
    assert "BLOCKER" not in output


def test_there_is_neither_journal_nor_lock(api: ClusterApi) -> None:
    assert api.get_or_none("/api/v1/namespaces/kube-system/configmaps/podnet-cni-migration") is None
    assert api.get_or_none("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/podnet-cni-migration") is None
