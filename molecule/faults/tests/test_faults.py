# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fault ended as it was expected to, and left nothing half done; no address was ever given twice."""

from __future__ import annotations

import json
import typing as t

import pytest
from podnet_faults import catalogue, runner
from podnet_molecule import results

Record = dict[str, t.Any]
FAULTS = {fault.id: fault for fault in catalogue.FAULTS}
EVERY = pytest.mark.parametrize("name", FAULTS)


@pytest.fixture(scope="module")
def records() -> dict[str, Record]:
    found = json.loads((results.folder() / runner.RESULTS).read_text(encoding="utf-8"))
    return {record["id"]: record for record in found["faults"]}


@EVERY
def test_the_run_ended_as_expected(records: dict[str, Record], name: str) -> None:
    record = records[name]
    assert record["problem"] == ""
    assert record["code"] == FAULTS[name].code, record["said"]
    assert record["missing_words"] == []
    if FAULTS[name].second_says:
        assert record["second"]["code"] == 2
    if FAULTS[name].code > 0:
        assert not record["locked"]
    if FAULTS[name].phase:
        assert (record["phase"], record["side"]) == (FAULTS[name].phase, "flannel")
    assert FAULTS[name].leaves in record.get("left", "")
    if FAULTS[name].by_timer:
        assert record["side"].startswith("flannel")


@EVERY
def test_every_node_is_wholly_on_one_side_in_the_end(records: dict[str, Record], name: str) -> None:
    record = records[name]
    assert record["going_on"] is None or record["going_on"]["code"] == 0, record["going_on"]
    assert set(record["end"]["nodes"].values()) <= ({"flannel"} if FAULTS[name].goes_back else {"flannel", "calico"})
    assert not record["end"]["locked"]


@EVERY
def test_requests_failed_only_where_the_fault_itself_takes_them(records: dict[str, Record], name: str) -> None:
    requests = records[name]["requests"]
    assert requests["requests"] > 0
    assert FAULTS[name].loses or requests["failed"] == requests["machine_off"], requests


@EVERY
def test_no_address_was_given_twice(records: dict[str, Record], name: str) -> None:
    addresses = records[name]["addresses"]
    assert addresses["samples"] > 0
    assert addresses["compared_with_ipam"] > 0
    assert addresses["addresses"] > 0
    assert (addresses["twice"], addresses["against_ipam"]) == ([], [])


@EVERY
def test_calicos_ipam_holds_what_pods_have_and_nothing_else(records: dict[str, Record], name: str) -> None:
    assert records[name].get("ipam") == (None if FAULTS[name].goes_back else "")
