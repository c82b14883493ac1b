# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Without consent, and with bad input: the playbook fails, says what to do, and has changed nothing."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterator

import pytest
from podnet_lab.lab import Lab
from podnet_molecule import playbook, snapshot
from podnet_molecule.playbook import Outcome

Variables = dict[str, t.Any]
CONSENT = {"podnet_confirm": True}

# Variables, and what the message has to say: the variable, the value, and what to do.
CASES: dict[str, tuple[Variables, tuple[str, ...]]] = {
    "no consent": ({}, ("podnet_confirm is False", "nothing was changed yet", "-e podnet_confirm=true", "--check")),
    "serial is no number": ({**CONSENT, "podnet_serial": "two"}, ("podnet_serial: 'two' is neither a number nor a percentage", "give a number")),
    "serial is nothing": ({**CONSENT, "podnet_serial": "0"}, ("podnet_serial: '0' is less than one node", "give a number")),
    "misspelled variable": ({**CONSENT, "podnet_serail": 1}, ("podnet_serail", "podnet_serial", "Nothing was changed")),
    "no routers": ({**CONSENT, "podnet_bgp_peers": []}, ("podnet_bgp_peers", "nothing was changed", "one for each router")),
    "router of one zone only": (
        {**CONSENT, "podnet_bgp_peers": [{"name": "tor-a", "peer_ip": "172.30.1.1", "as_number": 64512, "node_selector": "zone == 'a'"}]},
        ("n2", "n3", "nothing was changed", "Add a peer for these nodes"),
    ),
    "address that is none": (
        {**CONSENT, "podnet_bgp_peers": [{"name": "tor", "peer_ip": "172.30.1", "as_number": 64512}]},
        ("BGPPeer tor", "peer_ip '172.30.1' is not an IP address", "nothing was changed"),
    ),
    "selector that is none": (
        {**CONSENT, "podnet_bgp_peers": [{"name": "tor", "peer_ip": "172.30.1.1", "as_number": 64512, "node_selector": "zone = a"}]},
        ("BGPPeer tor", "zone = a", "nothing was changed"),
    ),
    "AS number that is none": ({**CONSENT, "podnet_bgp_as_number": 0}, ("podnet_bgp_as_number", "'0'", "nothing was changed")),
    "blocks as large as a node": ({**CONSENT, "podnet_block_size": 24}, ("24", "podnet_block_size", "nothing was changed")),
    "text instead of a list": (
        {**CONSENT, "podnet_bgp_peers": "172.30.1.1"},
        ("Nothing was changed", "podnet_bgp_peers: '172.30.1.1' is no list", "name, peer_ip, as_number"),
    ),
    "misspelled key": (
        {**CONSENT, "podnet_bgp_peers": [{"name": "tor", "peerip": "172.30.1.1", "as_number": 64512}]},
        ("podnet_bgp_peers[0]: peerip is no key of it; did you mean peer_ip?",),
    ),
    "time that is none": ({**CONSENT, "podnet_evict_timeout": "5m"}, ("podnet_evict_timeout: '5m' is no whole number", "give one such as 60")),
    "timer that is too short": ({**CONSENT, "podnet_watchdog_seconds": 5}, ("podnet_watchdog_seconds: 5 is out of range; give 10 to 86400",)),
    "nodes of the way back": ({**CONSENT, "podnet_return_nodes": "n1"}, ("podnet_return_nodes: 'n1' has a meaning for rollback_to_flannel only",)),
    "kubeconfig that is not there": (
        {**CONSENT, "podnet_kubeconfig": "/nowhere/kubeconfig"},
        ("kubeconfig: '/nowhere/kubeconfig' does not exist on", "podnet_kubeconfig"),
    ),
    "kubeconfig that is a folder": ({**CONSENT, "podnet_kubeconfig": "/etc"}, ("kubeconfig: '/etc' is a folder", "podnet_kubeconfig")),
    "context that is not there": (
        {**CONSENT, "podnet_context": "production"},
        ("context: 'production' is no context of", "which has", "podnet_context"),
    ),
    "group that is not there": ({**CONSENT, "podnet_hosts": "workers"}, ("podnet_hosts", "workers")),
    "manifest that is not there": ({**CONSENT, "podnet_calico_manifest": "/nowhere/calico.yaml"}, ("manifest", "/nowhere/calico.yaml")),
}


@pytest.fixture(autouse=True)
def unchanged(lab: Lab) -> Iterator[None]:
    """Whatever the test tries, the lab stays as it is."""
    before = snapshot.take(lab)
    yield
    assert snapshot.difference(before, snapshot.take(lab)) == []


def test_a_misspelled_variable_is_found_on_the_way_back_too(lab: Lab) -> None:
    outcome = playbook.run(lab.inventory, {**CONSENT, "podnet_return_node": "n1"}, playbook=playbook.ROLLBACK)
    assert outcome.code == 2, outcome.output
    assert "podnet_return_node is no variable of this playbook and would have no effect; did you mean podnet_return_nodes?" in outcome.text
    assert outcome.changed == 0


@pytest.mark.parametrize("name", CASES)
def test_refused(name: str, migrate: Callable[..., Outcome]) -> None:
    variables, says = CASES[name]
    outcome = migrate(**variables)
    assert outcome.code == 2, outcome.output
    missing = [words for words in says if words not in outcome.text]
    assert missing == [], outcome.output
    assert "Traceback" not in outcome.output
    assert outcome.changed == 0
