# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trials of features, with a peer and a kernel that do as they are told."""

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import ethtool, offload_trial, tcp_probe
from ansible_collections.podnet.cni.plugins.module_utils._host.offload_trial import Candidate

PEER = tcp_probe.Peer("192.0.2.1", 80, None, 0, 1.0)


def candidate(interface):
    return Candidate(interface, "tx", {"tx-checksum-ip-generic": True}, {"tx-checksum-ip-generic": False})


class Network:
    """TCP gets through while one of the devices that are to blame has the feature off, or from some attempt on."""

    def __init__(self, monkeypatch, blame=(), attempts=None):
        self.off = set()
        self.blame = set(blame)
        self.attempts = list(attempts or [])
        monkeypatch.setattr(ethtool, "write", self.write)
        monkeypatch.setattr(tcp_probe, "connect", self.connect)

    def write(self, interface, values):
        (self.off.discard if all(values.values()) else self.off.add)(interface)

    def connect(self, peer):
        works = self.attempts.pop(0) if self.attempts else bool(self.off & self.blame)
        return tcp_probe.Answer(works, "connected" if works else "no connection")


def test_the_first_that_helps_stays_and_no_other_is_tried(monkeypatch):
    network = Network(monkeypatch, blame=["b"])
    trials = offload_trial.run(PEER, map(candidate, "abc"))
    assert [(trial.candidate.interface, trial.helped) for trial in trials] == [("a", False), ("b", True)]
    assert network.off == {"b"}


def test_what_helps_nothing_is_put_back(monkeypatch):
    network = Network(monkeypatch)
    trials = offload_trial.run(PEER, map(candidate, "ab"))
    assert [trial.helped for trial in trials] == [False, False] and network.off == set()


@pytest.mark.parametrize(
    ("attempts", "words"),
    [([True, True], "reached without the change as well"), ([True, False, False], "no connection")],
)
def test_chance_is_no_help(monkeypatch, attempts, words):
    network = Network(monkeypatch, attempts=attempts)
    (trial,) = offload_trial.run(PEER, [candidate("a")])
    assert not trial.helped and words in trial.detail
    assert network.off == set()


def test_a_kernel_that_refuses_leaves_it_as_it_was(monkeypatch):
    network = Network(monkeypatch)

    def broken(peer):
        raise OSError("no socket")

    monkeypatch.setattr(tcp_probe, "connect", broken)
    with pytest.raises(OSError, match="no socket"):
        offload_trial.run(PEER, [candidate("a")])
    assert network.off == set()
