# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

from podnet_demo import calico_state, leftovers


def test_devices_and_routes_of_flannel_are_found() -> None:
    links = json.dumps([{"ifname": "lo"}, {"ifname": "flannel.1"}, {"ifname": "cni0"}, {"ifname": "cali123"}])
    assert leftovers.flannel_links(links) == ["flannel.1", "cni0"]
    routes = json.dumps(
        [{"dst": "10.244.1.0/24", "dev": "flannel.1"}, {"dst": "default", "dev": "eth0"}, {"type": "blackhole", "dst": "10.244.0.0/26"}]
    )
    assert leftovers.flannel_routes(routes) == ["10.244.1.0/24 dev flannel.1"]


def test_rules_are_found_by_word_whatever_the_case() -> None:
    text = '-N FLANNEL-POSTRTG\n-A FORWARD -j KUBE-FORWARD\n-A X -m comment --comment "flanneld masq" -j RETURN\n'
    assert len(leftovers.lines_with_word(text)) == 2


def test_a_check_that_could_not_look_counts_as_a_leftover() -> None:
    assert leftovers.as_lines([leftovers.Outcome("n1", "nft tables", error="nft: the command is not there")]) == [
        "n1: nft tables: could not be checked: nft: the command is not there"
    ]


def test_many_findings_are_cut_short_and_counted() -> None:
    outcome = leftovers.Outcome("n1", "routes", tuple(f"route {i}" for i in range(9)))
    lines = leftovers.as_lines([outcome])
    assert len(lines) == leftovers.SHOWN + 1
    assert lines[-1] == "n1: routes: 6 more"


def test_annotations_and_labels_of_nodes() -> None:
    nodes = [{"metadata": {"name": "n1", "annotations": {"flannel.alpha.coreos.com/backend-type": "vxlan", "x": "y"}}}, {"metadata": {"name": "n2"}}]
    assert leftovers.node_keys(nodes, "annotations", leftovers.FLANNEL_ANNOTATION) == ["n1 flannel.alpha.coreos.com/backend-type"]
    assert leftovers.node_keys(nodes, "labels", leftovers.MIGRATION_LABEL) == []


def test_a_daemonset_is_flannel_by_what_it_runs() -> None:
    spec = {"template": {"spec": {"containers": [{"command": ["/opt/bin/flanneld"]}]}}}
    assert leftovers.runs_flannel({"spec": spec})


def test_addresses_of_calico_are_those_behind_cali_interfaces() -> None:
    routes = json.dumps(
        [{"dst": "10.244.0.70", "dev": "cali1"}, {"dst": "10.244.0.0/24", "dev": "cni0"}, {"dst": "10.244.0.64/26", "type": "blackhole"}]
    )
    assert calico_state.calico_addresses(routes) == {"10.244.0.70"}


def test_host_network_and_ended_pods_have_no_pod_address() -> None:
    def pod(**spec: object) -> dict:
        return {"metadata": {}, "spec": spec, "status": {"phase": "Running", "podIP": "10.244.0.3"}}

    assert calico_state.has_pod_address(pod())
    assert not calico_state.has_pod_address(pod(hostNetwork=True))
    assert not calico_state.has_pod_address({**pod(), "status": {"phase": "Succeeded", "podIP": "10.244.0.3"}})
    assert not calico_state.has_pod_address({**pod(), "metadata": {"deletionTimestamp": "x"}})
