# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pods have to reach after a move as before, on the real kernel: with another node, a pod there, and what may stand between."""

from __future__ import annotations

import contextlib
import subprocess

import pytest
from ansible_collections.podnet.cni.tests.unit.fakes.node import node  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.podnet.cni.tests.unit.plugins.modules.test_cni_replug import (  # noqa: F401  # pylint: disable=unused-import
    failure,
    place,
)

pytestmark = pytest.mark.needs_root_netns
ONE, TWO = "10.244.1.5", "10.244.1.6"
NODE, POD, NOBODY = "172.30.1.12", "10.244.2.7", "172.30.1.99"
"""The other node, a pod there, and an address that nobody has."""


@pytest.fixture
def far(place):  # noqa: F811
    """The namespace of the other node."""
    name = f"{place.base.name}-far"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        place.base.ip(f"link set far0 netns {name}\n")
        lines = f"link set lo up\naddress add {POD}/32 dev lo\naddress add {NODE}/24 dev far0\nlink set far0 up\n"
        lines += "route add 10.244.1.0/24 via 172.30.1.11\n"
        subprocess.run(["ip", "-n", name, "-batch", "-"], input=lines, check=True, text=True)
        place.base.ip(f"route add 10.244.2.0/24 via {NODE}\n")
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)


@contextlib.contextmanager
def rules(place, *each):  # noqa: F811
    """Rules of the node for packets that it passes on."""
    for rule in each:
        place.base.run("iptables-nft", "-A", "FORWARD", *rule.split())
    try:
        yield
    finally:
        for rule in each:
            place.base.run("iptables-nft", "-D", "FORWARD", *rule.split())


def told(done):
    """What each pod has reached."""
    assert not done.get("failed"), done["msg"]
    return {entry["pod"]: entry["reached"] for entry in done["moved"]}


@pytest.mark.usefixtures("far")
def test_pods_reach_there_and_back_what_they_reached(place):  # noqa: F811
    every = {"shop/web-a": [POD, NODE], "shop/web-b": [POD, NODE]}
    assert told(place.replug(check=True, reach=[NODE])) == {"shop/web-a": [], "shop/web-b": []}
    # Nobody's address is waited for before packets take the new interface, not while they do.
    with place.talk((place.base.name, ONE), (place.pods[ONE], TWO)) as silence:
        done = place.replug(reach=[POD, NODE, NOBODY, POD])
    assert told(done) == every
    assert all(entry["milliseconds"] < 900 for entry in done["moved"]) and silence() < 1
    (place.base.folder / "net.d" / "05-calico.conflist").unlink()
    assert told(place.replug("flannel", reach=[POD, NODE])) == every


@pytest.mark.usefixtures("far")
def test_a_pod_that_reaches_less_than_before_is_put_back(place):  # noqa: F811
    before = place.state
    with rules(place, f"-i cali+ -s {ONE} -d {POD} -j DROP"), place.talk((place.base.name, ONE), (place.base.name, TWO)):
        done = place.replug(reach=[NODE, POD], on_failure="go_on")
    assert f"shop/web-a: {ONE} does not reach {POD} over its new interface" in failure(done)
    assert [(entry["pod"], entry["address"]) for entry in done["not_moved"]] == [("shop/web-a", ONE)]
    assert {entry["pod"]: entry["reached"] for entry in done["moved"]} == {"shop/web-b": [NODE, POD]}
    assert (place.links(ONE), place.ways(ONE)) == before[3][ONE]
    assert told(place.replug(reach=[NODE, POD])) == {"shop/web-a": [NODE, POD]}


def drop_after_one(far, who=""):
    """The other node lets one echo to the pod pass, which has 84 bytes."""
    rule = f"add rule ip t i {who} ip daddr {POD} icmp type echo-request quota over 100 bytes drop"
    for words in ("add table ip t", "add chain ip t i { type filter hook input priority 0; }", rule):
        subprocess.run(["ip", "netns", "exec", far, "nft", words], check=True)


def test_what_answers_nobody_any_more_has_ended(place, far):  # noqa: F811
    drop_after_one(far)
    assert told(place.replug(reach=[POD, NODE], pods=["shop/web-a"])) == {"shop/web-a": [POD, NODE]}


def test_a_pod_that_is_cut_off_after_it_was_looked_at_is_put_back(place, far):  # noqa: F811
    before = place.state
    drop_after_one(far, f"ip saddr {ONE}")
    done = place.replug(reach=[POD, NODE], pods=["shop/web-a"])
    assert f"shop/web-a: {ONE} does not reach {POD} over its new interface, and did over its old one" in failure(done)
    assert place.state[2:] == before[2:]
    assert not (place.base.folder / "podnet" / "replug").exists()


@pytest.mark.usefixtures("far")
def test_what_did_not_answer_before_is_not_asked_for(place):  # noqa: F811
    with rules(place, f"-s {ONE} -d {POD} -j DROP"):
        assert told(place.replug(reach=[POD, NODE])) == {"shop/web-a": [NODE], "shop/web-b": [POD, NODE]}


@pytest.mark.usefixtures("far")
def test_what_began_before_goes_on_though_nothing_new_may_begin(place):  # noqa: F811
    """As with Calico, whose policies begin to apply with the cut (projectcalico/calico:felix/rules/endpoints.go)."""
    with rules(place, "-i cali+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-i cali+ -j DROP"):
        assert told(place.replug(reach=[POD, NODE])) == {"shop/web-a": [POD, NODE], "shop/web-b": [POD, NODE]}


def test_what_answers_by_an_interface_of_another_program_is_not_asked_for(place):  # noqa: F811
    place.base.ip(f"link add more type veth peer name net1 netns {place.pods[ONE]}\naddress add 192.168.9.1/24 dev more\nlink set more up\n")
    lines = "address add 192.168.9.2/24 dev net1\nlink set net1 up\n"
    subprocess.run(["ip", "-n", place.pods[ONE], "-batch", "-"], input=lines, check=True, text=True)
    place.base.run("sh", "-c", "echo 2 > /proc/sys/net/ipv4/conf/more/rp_filter")
    place.base.run("ip", "route", "add", f"{ONE}/32", "dev", "more", "table", "9")
    place.base.run("ip", "rule", "add", "from", "192.168.9.1", "lookup", "9", "priority", "9")
    assert told(place.replug(reach=["192.168.9.1"], pods=["shop/web-a"])) == {"shop/web-a": []}


def test_without_addresses_nothing_is_asked_for(place):  # noqa: F811
    assert told(place.replug(pods=["shop/web-a"])) == {"shop/web-a": []}
