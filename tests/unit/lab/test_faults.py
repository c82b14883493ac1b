# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What watches addresses while faults are injected, and what judges and shows the results."""

from __future__ import annotations

import dataclasses
import json

import pytest
from podnet_faults import address_watch, catalogue, runner
from podnet_faults.address_watch import Attachment, Confirmed
from podnet_molecule import playbook
from tooling.docs import faults

WEB = Attachment("k8s-pod-network", "c1", "demo/web", "10.244.1.129")
STORE = Attachment("cbr0", "c2", "demo/store", "10.244.1.5")
RECORD = {
    "title": "Node restarts",
    "point": "after the switch",
    "how": "Killed.",
    "expected": "The run stops.",
    "go_on": "Run again.",
    "code": 4,
    "seconds": 41,
    "said": "n1 cannot be reached | any more",
    "second": {},
    "side": "calico: timer armed",
    "locked": False,
    "going_on": {"code": 0, "said": ""},
    "end": {"nodes": {"n1": "calico", "n2": "flannel"}, "locked": False},
    "requests": {"requests": 900, "failed": 7, "first_moments": 2},
    "addresses": {"samples": 30, "twice": [], "against_ipam": []},
}


def block(cidr, *handles):
    return {"spec": {"cidr": cidr, "allocations": [None if handle is None else number for number, handle in enumerate(handles)],
                     "attributes": [{"handle_id": handle} for handle in handles]}}  # fmt: skip


def test_an_attachment_is_read_from_the_cache_of_the_cni_library(tmp_path):
    folder = tmp_path / address_watch.RESULTS
    folder.mkdir(parents=True)
    (tmp_path / "run/netns").mkdir(parents=True)
    (tmp_path / "run/netns/cni-1").touch()
    cached = {"containerId": "c1", "networkName": "k8s-pod-network", "netns": "/var/run/netns/cni-1",
              "cniArgs": [["K8S_POD_NAMESPACE", "demo"], ["K8S_POD_NAME", "web"]], "result": {"ips": [{"address": "10.244.1.129/32"}]}}  # fmt: skip
    (folder / "one").write_text(json.dumps(cached))
    (folder / "ended").write_text(json.dumps({**cached, "netns": "/var/run/netns/cni-2"}))
    (folder / "loopback").write_text(json.dumps({**cached, "networkName": "cni-loopback"}))
    (folder / "half written").write_text("{")
    assert address_watch.read_attachments(tmp_path) == [WEB]


def test_an_address_of_two_sandboxes_is_found():
    other = STORE._replace(address=WEB.address)
    assert address_watch.twice([WEB, WEB, STORE]) == set()
    assert address_watch.twice([WEB, other]) == {"10.244.1.129 is that of demo/store and demo/web"}


def test_handles_of_blocks_are_read_by_ordinal():
    found = address_watch.allocations([block("10.244.1.128/26", "ipip-tunnel-addr-n1", "k8s-pod-network.c1", None)])
    assert found == {"10.244.1.129": "k8s-pod-network.c1"}


@pytest.mark.parametrize(
    ("attachment", "given", "problem"),
    [
        (WEB, {WEB.address: "k8s-pod-network.c1"}, None),
        (WEB, {WEB.address: "k8s-pod-network.c9"}, "is given to k8s-pod-network.c9"),
        (WEB, {}, "is free in Calico's IPAM"),
        (STORE, {}, None),
        (STORE, {STORE.address: "k8s-pod-network.c9"}, "is given to k8s-pod-network.c9"),
    ],
)
def test_addresses_are_compared_with_ipam(attachment, given, problem):
    found = address_watch.against_ipam([attachment], given)
    assert (problem is None and not found) or any(problem in text for text in found)


def test_only_what_stays_is_a_finding():
    confirmed = Confirmed(3)
    for sample in ({"a", "b"}, {"a"}, {"a", "b"}, {"b"}):
        confirmed.add(sample)
    assert confirmed.findings == {"a"}


def test_a_node_is_on_one_side_or_it_is_said_why_not():
    node = {"configuration": "10-flannel.conflist", "timer": False, "schedulable": True}
    half = {"configuration": "00-podnet-calico.conflist", "timer": True, "schedulable": False}
    pods = {"n1": {"flannel": 3, "calico": 0}, "n2": {"flannel": 2, "calico": 1}}
    assert runner.sides({"n1": node, "n2": half}, pods) == {"n1": "flannel", "n2": "calico: 2 pods on the other side, timer armed, cordoned"}


def test_the_last_message_of_a_run_is_found():
    assert runner.last_message('fatal: => {"msg": "first"}\nfatal: => {"x": 1, "msg": "the \\"last\\"  one"}\n') == 'the "last" one'
    assert runner.last_message("ok") == ""


def test_faults_are_told_apart_and_say_what_to_do():
    every = catalogue.FAULTS
    ids = [fault.id for fault in every]
    assert len(set(ids)) == len(ids) > 10
    for fault in every:
        texts = (fault.title, fault.point, fault.how, fault.expected, fault.go_on)
        assert all(texts), fault.id
        assert fault.code <= 0 or fault.says, fault.id
        assert fault.playbook in (playbook.PLAYBOOK, playbook.ROLLBACK)
        assert fault.start in ("fresh", *runner.RETURNED)


def test_a_row_says_what_happened_and_how_to_go_on():
    row = faults.cells(RECORD)
    assert 'Exit code 4 after 41 s: "n1 cannot be reached | any more"' in row[3]
    assert "The node was then on calico: timer armed; the lock was free." in row[3]
    assert row[4:] == ["7 (2) of 900", "30 samples, none twice", "Run again: exit code 0. n1 calico, n2 flannel; lock free", "Run again."]


def test_a_row_tells_requests_that_concern_a_machine_that_is_off_apart():
    requests = {"requests": 900, "failed": 7, "first_moments": 2, "machine_off": 6}
    row = faults.cells({**RECORD, "requests": requests})
    assert row[4] == "7 (2) of 900; 6 of them from or to the machine that was off"


def test_the_page_has_a_row_for_each_fault():
    about = {"date": "2026-11-25", "nodes": 3, "kubernetes": "v1.37.2", "calico": "v3.28.5"}
    text = faults.render({"about": about, "faults": [RECORD, {**RECORD, "title": "Other", "code": 0, "said": ""}]})
    assert text.count("\n| ") == 4
    assert "Passed after 41 s." in text
    assert "reached \\| any more" in text
    assert dataclasses.is_dataclass(catalogue.Fault)
