# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube import calico_status
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError, error_of
from ansible_collections.podnet.cni.plugins.modules import calico_bgp_peer
from ansible_collections.podnet.cni.tests.unit.fakes.kube import FakeKube

API = "/apis/crd.projectcalico.org/v1"
PATH = f"{API}/bgppeers/tor-a"
DEFAULTS = dict.fromkeys(calico_bgp_peer.argument_spec())
PARAMS = {**DEFAULTS, "name": "tor-a", "state": "present", "peer_ip": "172.30.1.1", "as_number": 64512, "wait": False, "wait_timeout": 1.0}
BIRD = """BIRD 1.6.8 ready.
name     proto    table    state  since       info
Global_172_30_1_1 BGP      master   start  14:00:05    Idle          BGP Error: Bad peer AS
  BGP state:          Idle
    Neighbor address: 172.30.1.1
    Last error:       BGP Error: Bad peer AS
"""


class Cluster(FakeKube):
    """Reports sessions as soon as a CalicoNodeStatus is created."""

    state = "Established"
    silent = ()
    bird = BIRD
    refusal: Exception | None = None

    def create(self, path, body, dry_run=False):
        if path.endswith("/caliconodestatuses") and body["spec"]["node"] not in self.silent:
            peer = {"peerIP": "172.30.1.1", "type": "GlobalPeer", "state": self.state, "since": "14:00"}
            body = {**body, "status": {"lastUpdated": "2026-11-24T14:00:00Z", "bgp": {"peersV4": [peer]}}}
        return super().create(path, body, dry_run)

    def run_in_pod(self, namespace, pod, container, command):
        self._call("EXEC", f"{namespace}/{pod}")
        if self.refusal is not None:
            raise self.refusal
        return self.bird


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setattr(calico_status, "POLL_SECONDS", 0.01)
    kube = Cluster()
    for name, zone in (("n1", "a"), ("n2", "b")):
        address = {"type": "InternalIP", "address": f"172.30.1.{name[1:]}0"}
        kube.add("/api/v1/nodes", {"metadata": {"name": name, "labels": {"zone": zone}}, "status": {"addresses": [address]}})
    pod = {
        "metadata": {"name": "calico-node-x", "namespace": "kube-system", "labels": {"k8s-app": "calico-node"}},
        "spec": {"nodeName": "n1"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    kube.add("/api/v1/pods", pod)
    return kube


def run(kube, check_mode=False, **options):
    params = {**PARAMS, **options}
    return calico_bgp_peer.Peer(kube, params, calico_bgp_peer.wanted_spec(params), check_mode).run()


def test_create_again_change_and_remove(cluster):
    assert run(cluster, check_mode=True)["changed"]
    assert cluster.writes() == []
    results = run(cluster)
    assert results["changed"]
    assert results["diff"] == {"before": {}, "after": {"peerIP": "172.30.1.1", "asNumber": 64512}}
    assert cluster.objects[PATH]["spec"] == {"peerIP": "172.30.1.1", "asNumber": 64512}
    assert not run(cluster)["changed"]
    assert not run(cluster, as_number="0.64512")["changed"]
    assert run(cluster, node_selector="zone == 'a'")["changed"]
    assert cluster.objects[PATH]["spec"]["nodeSelector"] == "zone == 'a'"
    assert run(cluster)["diff"]["after"] == {"peerIP": "172.30.1.1", "asNumber": 64512}
    assert "nodeSelector" not in cluster.objects[PATH]["spec"]
    assert run(cluster, check_mode=True, state="absent")["changed"]
    assert PATH in cluster.objects
    assert run(cluster, state="absent")["changed"]
    assert PATH not in cluster.objects
    assert not run(cluster, state="absent")["changed"]


def test_metadata_of_others_stays(cluster):
    cluster.add(
        f"{API}/bgppeers", {"metadata": {"name": "tor-a", "annotations": {"projectcalico.org/metadata": "{}"}}, "spec": {"peerIP": "10.0.0.1"}}
    )
    assert run(cluster)["changed"]
    assert cluster.objects[PATH]["metadata"]["annotations"] == {"projectcalico.org/metadata": "{}"}


def test_documented_group_is_preferred():
    kube = Cluster(served=("crd.projectcalico.org/v1", "projectcalico.org/v3"))
    assert run(kube)["api"] == "projectcalico.org/v3"
    assert "/apis/projectcalico.org/v3/bgppeers/tor-a" in kube.objects


def test_a_conflict_is_tried_again(cluster):
    cluster.add(f"{API}/bgppeers", {"metadata": {"name": "tor-a"}, "spec": {"peerIP": "10.0.0.1"}})
    seen = []

    @cluster.on
    def once(method, path, body):
        if method == "PUT" and not seen:
            seen.append(path)
            raise error_of(409, "Conflict", "the object has been modified", path)

    assert run(cluster)["changed"]
    assert cluster.objects[PATH]["spec"]["peerIP"] == "172.30.1.1"


def test_filters_have_to_exist(cluster):
    with pytest.raises(calico_bgp_peer.Failure, match="there is no BGPFilter 'in'"):
        run(cluster, filters=["in"])
    cluster.add(f"{API}/bgpfilters", {"metadata": {"name": "in"}})
    assert run(cluster, filters=["in"])["changed"]


def test_fields_of_newer_versions_lead_to_their_option(cluster):
    @cluster.on
    def strict(method, path, body):
        if method == "POST":
            raise error_of(400, "BadRequest", 'strict decoding error: unknown field "spec.nextHopMode"', path)

    with pytest.raises(calico_bgp_peer.Failure) as caught:
        run(cluster, next_hop_mode="Keep")
    assert "next_hop_mode: 'Keep' needs a newer version of Calico" in str(caught.value)


def test_wait_until_established(cluster):
    results = run(cluster, wait=True)
    assert results["nodes"] == ["n1", "n2"]
    assert [session["state"] for session in results["sessions"]] == ["Established", "Established"]
    assert results["not_established"] == []
    assert not any("caliconodestatuses" in path for path in cluster.objects)


def test_leftovers_of_a_killed_run_do_not_matter(cluster):
    stale = {"metadata": {"name": "podnet-tor-a-n1"}, "spec": {"node": "n1"}, "status": {"lastUpdated": "2020", "bgp": {}}}
    cluster.add(f"{API}/caliconodestatuses", stale)
    assert run(cluster, wait=True)["not_established"] == []


def test_why_it_is_not_established(cluster):
    cluster.state = "Idle"
    with pytest.raises(calico_bgp_peer.Failure) as caught:
        run(cluster, wait=True, wait_timeout=0.02, node="n1")
    assert "1 of 1 sessions" in str(caught.value)
    assert "node n1 to 172.30.1.1: Idle" in str(caught.value)
    assert "Bad peer AS" in str(caught.value)
    assert "correct as_number" in str(caught.value)
    assert caught.value.results["not_established"][0]["node"] == "n1"
    assert caught.value.results["changed"]
    assert not any("caliconodestatuses" in path for path in cluster.objects)


def test_without_the_right_to_ask_bird_the_state_explains(cluster):
    cluster.state = "Active"
    cluster.refusal = KubeError(403, "Forbidden", "no", "/exec")
    with pytest.raises(calico_bgp_peer.Failure, match="an attempt to connect has failed"):
        run(cluster, wait=True, wait_timeout=0.02, node="n1")


def test_a_node_without_calico_is_told(cluster):
    cluster.silent = ("n2",)
    with pytest.raises(calico_bgp_peer.Failure, match="node n2 to 172.30.1.1: no session, calico-node does not run there"):
        run(cluster, wait=True, wait_timeout=0.02)


def test_bird_is_asked_directly_when_a_node_does_not_report(cluster, monkeypatch):
    monkeypatch.setattr(calico_status, "REPORT_SECONDS", 0.0)
    cluster.silent = ("n1",)
    cluster.bird = BIRD.replace("Idle", "Established")
    results = run(cluster, wait=True, node="n1")
    assert results["sessions"][0]["state"] == "Established"


def test_a_selector_without_nodes_is_an_error(cluster):
    with pytest.raises(calico_bgp_peer.Failure, match="node_selector: 'zone == 'c'' selects no node"):
        run(cluster, wait=True, node_selector="zone == 'c'")


def test_bad_options_are_told_together():
    with pytest.raises(calico_bgp_peer.Failure) as caught:
        calico_bgp_peer.wanted_spec({**PARAMS, "name": "Tor", "wait_timeout": 0, "peer_ip": "x"})
    assert all(word in str(caught.value) for word in ("name: 'Tor'", "wait_timeout: 0", "peer_ip: 'x'"))
    with pytest.raises(calico_bgp_peer.Failure, match="wait"):
        calico_bgp_peer.wanted_spec({**PARAMS, "state": "absent", "wait": True})
