# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal's ConfigMap under races, edits and large records; M(podnet.cni.cni_journal) has the rest."""

from __future__ import annotations

import base64
import gzip

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, error_of
from ansible_collections.podnet.cni.plugins.module_utils._run import journal
from ansible_collections.podnet.cni.plugins.module_utils._run.journal import Journal, JournalError
from ansible_collections.podnet.cni.tests.unit.fakes.kube import FakeKube
from hypothesis import given
from hypothesis import strategies as st

COLLECTION = "/api/v1/namespaces/kube-system/configmaps"
CONFIGMAP = f"{COLLECTION}/podnet-cni-migration"
PACKED = gzip.compress(b'{"a": 1}' * 50)


def write_binary(kube, content):
    kube.add(COLLECTION, {"metadata": {"name": "podnet-cni-migration"}, "binaryData": {"run.json.gz": base64.b64encode(content).decode()}})


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", PACKED[:-12], PACKED[:12] + b"\x00\xff" * 8 + PACKED[28:], gzip.compress(b"{"), gzip.compress(b"\xff\xfe")],
    ids=["empty", "other", "cut off", "damaged", "no JSON", "no UTF-8"],
)
def test_a_compressed_record_that_was_damaged_is_told_with_the_remedy(kube, content):
    write_binary(kube, content)
    with pytest.raises(JournalError, match=r"key run.json.gz is not readable|key run.json is not readable") as error:
        Journal(kube).read()
    assert "remove the journal with state=absent" in str(error.value)


def test_text_that_is_no_base64_is_told(kube):
    kube.add(COLLECTION, {"metadata": {"name": "podnet-cni-migration"}, "binaryData": {"run.json.gz": "?"}})
    with pytest.raises(JournalError, match="not readable"):
        Journal(kube).read()


def test_a_damaged_journal_can_be_removed(kube):
    write_binary(kube, b"")
    assert Journal(kube).remove()
    assert CONFIGMAP not in kube.objects


RECORDS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=8,
)


@given(RECORDS, st.booleans())
def test_any_record_comes_back_as_it_was_written(record, large):
    kube = FakeKube()
    wanted = {"record": record, "filler": "x" * journal.READABLE_BYTES if large else ""}
    Journal(kube).write({"node.n1.json": wanted})
    assert ("node.n1.json.gz" in kube.objects[CONFIGMAP].get("binaryData", {})) is large
    assert Journal(kube).read().nodes == {"n1": wanted}


def test_a_journal_that_another_node_made_at_this_moment_is_added_to(kube):
    mine = Journal(kube)
    assert not mine.exists
    Journal(kube).write({"node.n1.json": {"phase": "moved"}})
    mine.write({"node.n2.json": {"phase": "failed"}})
    assert Journal(kube).read().nodes == {"n1": {"phase": "moved"}, "n2": {"phase": "failed"}}


def test_a_journal_that_somebody_removed_at_this_moment_was_not_removed_by_us(kube):
    Journal(kube).write({"node.n1.json": {}})
    mine = Journal(kube)
    assert mine.exists
    assert Journal(kube).remove()
    assert not mine.remove()
    assert not mine.exists


def test_other_errors_of_a_removal_are_not_hidden(kube):
    Journal(kube).write({"node.n1.json": {}})

    @kube.on
    def forbidden(method, path, body):
        if method == "DELETE":
            raise error_of(403, "Forbidden", "no right to delete", path)

    with pytest.raises(Forbidden, match="no right to delete"):
        Journal(kube).remove()


def test_nothing_to_write_is_no_request(kube):
    Journal(kube).write({})
    assert kube.calls == 0


def test_what_was_written_is_read_back_without_another_request(kube):
    mine = Journal(kube, dry_run=True)
    mine.write({"run.json": {"run": "r1"}})
    calls = kube.calls
    assert mine.read().run == {"run": "r1"}
    assert mine.record("run.json") == {"run": "r1"}
    assert (kube.calls, kube.writes()) == (calls, [])


def test_a_run_that_goes_on_adds_to_its_record_and_a_new_one_keeps_the_last_twenty():
    record = journal.next_run({}, "r0", {"started": "0"})
    assert journal.next_run(record, "r0", {"finished": "1"}) == {"run": "r0", "started": "0", "finished": "1"}
    for number in range(1, 31):
        record = journal.next_run(record, f"r{number}", {"started": str(number)})
    assert [entry["run"] for entry in record["history"]] == [f"r{number}" for number in range(10, 30)]
    assert (record["run"], record["started"]) == ("r30", "30")
