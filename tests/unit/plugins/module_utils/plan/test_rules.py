# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each rule with facts that it must find something in; the recorded facts are what it must find nothing in."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import modes, plan, preflight, texts
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.rules import (
    access,
    addresses,
    bgp,
    calico,
    flannel,
    host,
    mtu,
    nodes,
    pods,
    reflectors,
    routing,
)
from ansible_collections.podnet.cni.tests.unit.fixtures.facts import POOL, Lab, moved_lab

HARMLESS = {"workload-single-replica", "mtu-grows", "routing-recommended"}
"""What the recorded cluster really has: one Deployment of one pod, Flannel's smaller MTU, and a way that suits it."""


class Case(t.NamedTuple):
    """Facts that are changed so that a rule finds something."""

    rule: t.Callable
    change: t.Callable[[Lab], t.Any]
    id: str
    severity: str
    subject: str
    evidence: str


def set_node(name, **values):
    return lambda lab: lab.node(name).update(values)


def set_facts(name, **values):
    return lambda lab: lab.nodes[name].update(values)


def set_settings(**values):
    return lambda lab: lab.settings.update(values)


def set_flannel(**values):
    return lambda lab: lab.flannel.update(values)


def set_backend(**values):
    return lambda lab: lab.flannel["backend"].update(values)


def all_of(*changes):
    def change(lab):
        for one in changes:
            one(lab)

    return change


def no_flannel(lab):
    lab.cluster["flannel"] = None


def nothing_at_all(lab):
    lab.cluster["flannel"] = None
    for facts in lab.nodes.values():
        facts["active_cni"] = None


def set_sysctl(name, setting, value):
    return lambda lab: lab.nodes[name]["sysctls"].update({f"net.ipv4.conf.{setting}.rp_filter": value})


def set_link(node, link, **values):
    return lambda lab: next(item for item in lab.nodes[node]["links"] if item["name"] == link).update(values)


def rename_underlay(lab):
    set_link("n1", "eth0", name="bond0")(lab)
    lab.nodes["n1"]["vxlan"][0]["underlay"] = "bond0"


def add_pool(**values):
    return lambda lab: lab.calico["pools"].append({**POOL, **values})


def add_calico(**values):
    def change(lab):
        lab.install_calico().calico["daemonset"].update(values)

    return change


def set_budget(**values):
    return lambda lab: lab.cluster["pod_disruption_budgets"][1].update(values)


def only_one_schedulable(lab):
    for name in ("n2", "n3"):
        lab.node(name)["schedulable"] = False


def only_one_worker(lab):
    for name in ("n1", "n2"):
        lab.node(name)["taints"] = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]


def all_web_on_one_node(lab):
    for pod in lab.cluster["pods"]:
        if pod["name"].startswith("web"):
            pod["node"] = "n2"


def crowd(block_count):
    def change(lab):
        addresses_in_use = [f"10.244.0.{64 * block + 5}" for block in range(block_count)]
        lab.nodes["n1"]["pods"]["flannel"] = [{"address": address} for address in addresses_in_use]

    return change


def full(lab):
    lab.node("n1")["pod_cidr"] = "10.244.0.0/29"
    lab.settings["block_size"] = 30
    lab.nodes["n1"]["pods"]["flannel"] = [{"address": f"10.244.0.{number}"} for number in range(2, 8)]


def owner(kind):
    return set_flannel(owners=[{"kind": kind, "evidence": f"DaemonSet kube-flannel/kube-flannel-ds has {kind}", "remedy": "take it out"}])


def peers(*changes):
    def change(lab):
        for index, values in changes:
            lab.settings["bgp_peers"][index].update(values)

    return change


def drop_peer(lab):
    del lab.settings["bgp_peers"][1]


def many_nodes(lab):
    template = lab.node("n3")
    for number in range(4, 102):
        lab.cluster["nodes"].append({**template, "name": f"n{number}", "pod_cidr": f"10.244.{number}.0/24", "pod_cidrs": [f"10.244.{number}.0/24"]})


def one_address_left(lab):
    lab.node("n1")["pod_cidr"] = "10.244.0.0/29"
    lab.settings["block_size"] = 30
    lab.nodes["n1"]["pods"]["flannel"] = [{"address": f"10.244.0.{number}"} for number in range(2, 7)]


def tunnel_of_a_pod(lab):
    lab.node("n1")["annotations"]["projectcalico.org/IPv4VXLANTunnelAddr"] = lab.nodes["n1"]["pods"]["flannel"][0]["address"]


def on(cloud):
    def change(lab):
        for node in lab.cluster["nodes"]:
            node["provider_id"] = f"{cloud}:///zone/{node['name']}"

    return change


def with_password(**known):
    """Both routers want the password of one Secret, of which everything is right but what C(known) says."""
    found = {"namespace": "kube-system", "name": "bgp-password", "key": "router", "account": "kube-system/calico-node", "problem": None}

    def change(lab):
        for peer in lab.settings["bgp_peers"]:
            peer["password"] = {"name": "bgp-password", "key": "router"}
        lab.cluster["bgp_passwords"] = [{**found, "present": True, "has_key": True, "readable": True, **known}]

    return change


def one_subnet(lab):
    for name in ("n2", "n3"):
        number = lab.node(name)["internal_ip"].rsplit(".", 1)[1]
        lab.node(name).update(internal_ip=f"172.30.1.{number}", internal_ips=[f"172.30.1.{number}"])
        for entry in lab.nodes[name]["routes"]:
            if entry["destination"] == "172.30.2.0/24":
                entry["destination"] = "172.30.1.0/24"


ACCESS = {
    "user": "system:serviceaccount:kube-system:somebody",
    "missing": [
        {"namespace": "", "api_group": "", "resource": "pods/eviction", "names": [], "verbs": ["create"], "text": "create pods/eviction"},
        {"namespace": "", "api_group": "", "resource": "nodes", "names": [], "verbs": ["patch"], "text": "patch nodes"},
    ],
    "problem": None,
}


def only_node(lab):
    lab.cluster["nodes"] = [lab.node("n1")]
    lab.cluster["pods"] = [pod for pod in lab.cluster["pods"] if pod["node"] == "n1"]
    lab.nodes = {"n1": lab.nodes["n1"]}
    lab.settings["hosts"] = {"n1": "n1"}


CLUSTER_ID = "projectcalico.org/RouteReflectorClusterID"


def reflects(name):
    return lambda lab: lab.node(name)["labels"].update({"podnet.cni/route-reflector": "true"})


def only_one_ready(lab):
    for name in ("n2", "n3"):
        lab.node(name)["ready"] = False


CASES = [
    # Flannel
    Case(flannel.missing, no_flannel, "flannel-daemonset-gone", "blocker", "nodes n1, n2, n3", "no DaemonSet of the cluster runs flanneld"),
    Case(flannel.missing, nothing_at_all, "flannel-not-found", "blocker", "cluster", "nodes n1, n2, n3 did not move"),
    Case(
        flannel.configuration,
        set_flannel(network=None),
        "flannel-configuration-missing",
        "blocker",
        "ConfigMap kube-flannel/kube-flannel-cfg",
        "no net-conf.json",
    ),
    Case(
        flannel.configuration,
        set_flannel(network=None, configmap=None),
        "flannel-configuration-missing",
        "blocker",
        "DaemonSet kube-flannel/kube-flannel-ds",
        "mounts no ConfigMap",
    ),
    Case(
        flannel.backend,
        set_backend(type="host-gw"),
        "flannel-backend",
        "blocker",
        "ConfigMap kube-flannel/kube-flannel-cfg",
        'Backend.Type is "host-gw"',
    ),
    *(
        Case(flannel.backend, set_backend(type=kind), "flannel-backend", "blocker", "ConfigMap kube-flannel/kube-flannel-cfg", f'"{kind}"')
        for kind in [*flannel.BACKENDS, "of-my-own"]
        if kind != "host-gw"
    ),
    Case(
        flannel.direct_routing,
        set_backend(direct_routing=True),
        "flannel-direct-routing",
        "warning",
        "ConfigMap kube-flannel/kube-flannel-cfg",
        "DirectRouting is true",
    ),
    Case(
        flannel.subnet_manager,
        set_flannel(kube_subnet_manager=False),
        "flannel-etcd-subnets",
        "blocker",
        "DaemonSet kube-flannel/kube-flannel-ds",
        "--kube-subnet-mgr",
    ),
    Case(flannel.canal, set_flannel(canal=True), "flannel-canal", "blocker", "DaemonSet kube-flannel/kube-flannel-ds", "Canal"),
    Case(flannel.dual_stack, set_flannel(ipv6_network="fd00::/48"), "flannel-ipv6", "blocker", "cluster", "EnableIPv6 with fd00::/48"),
    Case(
        flannel.dual_stack,
        set_node("n2", pod_cidrs=["10.244.1.0/24", "fd00:1::/64"]),
        "flannel-ipv6",
        "blocker",
        "cluster",
        "node n2 has an IPv6 podCIDR",
    ),
    Case(
        flannel.not_ready,
        lambda lab: lab.flannel["daemonset"].update(ready=2),
        "flannel-not-ready",
        "blocker",
        "DaemonSet kube-flannel/kube-flannel-ds",
        "2 of 3 pods are Ready",
    ),
    Case(flannel.owners, owner("argocd"), "flannel-owner", "blocker", "DaemonSet kube-flannel/kube-flannel-ds", "has argocd"),
    Case(
        flannel.owners,
        all_of(owner("flux"), set_settings(remove_flannel=False)),
        "flannel-owner",
        "warning",
        "DaemonSet kube-flannel/kube-flannel-ds",
        "has flux",
    ),
    Case(flannel.owners, owner("helm"), "flannel-release", "warning", "DaemonSet kube-flannel/kube-flannel-ds", "has helm"),
    Case(
        flannel.node_annotations,
        set_node("n3", flannel=None),
        "flannel-annotations-missing",
        "blocker",
        "node n3",
        "flannel.alpha.coreos.com/public-ip are missing",
    ),
    Case(
        flannel.node_annotations,
        lambda lab: lab.node("n1")["flannel"].update(vtep_mac=None),
        "flannel-annotations-missing",
        "blocker",
        "node n1",
        "annotation flannel.alpha.coreos.com/backend-data is missing",
    ),
    Case(
        flannel.backend_of_nodes,
        lambda lab: lab.node("n2")["flannel"].update(backend_type="host-gw"),
        "flannel-backend-of-node",
        "blocker",
        "node n2",
        "n2: host-gw instead of vxlan",
    ),
    # Nodes and inventory
    Case(nodes.not_ready, set_node("n2", ready=False), "node-not-ready", "blocker", "node n2", "1 node of 3 is not Ready"),
    Case(nodes.network_unavailable, set_node("n3", network_unavailable=True), "node-network-unavailable", "blocker", "node n3", "NetworkUnavailable"),
    Case(nodes.operating_system, set_node("n3", operating_system="windows"), "node-operating-system", "blocker", "node n3", "n3: windows"),
    Case(nodes.too_few, only_one_schedulable, "node-too-few", "blocker", "node n1", "3 pods to evict, and no other node for them"),
    Case(nodes.too_few, only_one_worker, "node-too-few", "blocker", "node n3", "3 pods to evict, and no other node for them"),
    Case(
        nodes.batch_takes_all,
        lambda lab: lab.settings.update(serial="100%"),
        "node-batch-takes-all",
        "blocker",
        "nodes n1, n2, n3",
        "podnet_serial (100%) makes a batch of 3 nodes, and 3 can take pods",
    ),
    Case(nodes.cordoned, set_node("n2", schedulable=False), "node-cordoned", "info", "node n2", "not by this collection"),
    Case(
        nodes.interrupted,
        lambda lab: lab.install_calico().move("n2").nodes["n2"].update(watchdog={"armed": True}),
        "node-interrupted",
        "info",
        "node n2",
        "timer armed",
    ),
    Case(
        nodes.active_cni,
        set_facts("n1", active_cni={"cni": "other", "config_file": "/etc/cni/net.d/00-multus.conf", "plugin_types": ["multus"]}),
        "node-other-cni",
        "blocker",
        "node n1",
        "/etc/cni/net.d/00-multus.conf (other: multus)",
    ),
    Case(nodes.active_cni, set_facts("n1", active_cni=None), "node-other-cni", "blocker", "node n1", "no valid configuration"),
    Case(
        nodes.config_order,
        lambda lab: lab.nodes["n2"]["cni_configs"].insert(0, {"path": "/etc/cni/net.d/00-broken.conf", "cni": "other", "valid": False}),
        "node-config-order",
        "blocker",
        "node n2",
        "/etc/cni/net.d/00-broken.conf sorts before 00-podnet-calico.conflist",
    ),
    Case(
        nodes.missing_in_inventory,
        lambda lab: lab.settings["hosts"].pop("n3"),
        "inventory-node-missing",
        "blocker",
        "node n3",
        "1 node of the cluster is no host",
    ),
    Case(
        nodes.unknown_hosts,
        lambda lab: lab.settings["hosts"].update({"n9": "worker9"}),
        "inventory-host-unknown",
        "blocker",
        "host worker9",
        "1 inventory host is no node",
    ),
    Case(nodes.unreachable, lambda lab: lab.nodes.pop("n2"), "node-unreachable", "blocker", "node n2", "No facts"),
    Case(
        nodes.public_address,
        lambda lab: lab.node("n1")["flannel"].update(public_ip="192.168.7.11"),
        "node-address-differs",
        "warning",
        "node n1",
        "Flannel 192.168.7.11, InternalIP 172.30.1.11",
    ),
    # Addresses
    Case(addresses.block_size, set_settings(block_size=19), "block-size", "blocker", "podnet_block_size", "It is 19."),
    Case(addresses.block_size, set_settings(block_size=33), "block-size", "blocker", "podnet_block_size", "It is 33."),
    Case(addresses.block_size, set_settings(block_size=32), "block-size", "blocker", "podnet_block_size", "It is 32."),
    Case(addresses.pod_cidr_missing, set_node("n2", pod_cidr=None), "pod-cidr-missing", "blocker", "node n2", "podCIDR is empty"),
    Case(addresses.pod_cidr_too_small, set_settings(block_size=24), "pod-cidr-too-small", "blocker", "nodes n1, n2, n3", "A block is a /24"),
    Case(addresses.pod_cidr_too_small, set_node("n2", pod_cidr="10.244.1.0/27"), "pod-cidr-too-small", "blocker", "node n2", "n2: 10.244.1.0/27"),
    Case(
        addresses.pod_cidr_not_uniform,
        set_node("n3", pod_cidr="10.244.2.0/25"),
        "pod-cidr-not-uniform",
        "warning",
        "cluster",
        "/24 on n1, n2; /25 on n3",
    ),
    Case(
        addresses.pod_cidr_outside,
        set_node("n3", pod_cidr="10.99.2.0/24"),
        "pod-cidr-outside",
        "blocker",
        "node n3",
        "n3: 10.99.2.0/24, but the pod network is 10.244.0.0/16",
    ),
    Case(
        addresses.pod_cidr_outside,
        set_node("n3", pod_cidr="10.244.0.128/25"),
        "pod-cidr-overlap",
        "blocker",
        "nodes n1, n3",
        "n1 has 10.244.0.0/24, n3 has 10.244.0.128/25",
    ),
    Case(
        addresses.lease_differs,
        lambda lab: lab.nodes["n1"]["subnet_env"].update(FLANNEL_SUBNET="10.244.7.1/24"),
        "flannel-lease-differs",
        "blocker",
        "node n1",
        "subnet.env says 10.244.7.1/24, node.spec.podCIDR is 10.244.0.0/24",
    ),
    Case(
        addresses.pods_outside,
        lambda lab: lab.add_pod("old-1", "n2", ip="10.1.0.9"),
        "pod-outside-pod-cidr",
        "blocker",
        "pod podnet-demo/old-1",
        "has 10.1.0.9 on n2",
    ),
    Case(addresses.probe_block, crowd(4), "probe-block-shared", "info", "node n1", "Every block of 1 node has pods"),
    Case(addresses.probe_block, full, "probe-address-missing", "blocker", "node n1", "No address of the podCIDR is free"),
    # Calico that is there
    Case(
        calico.pools,
        add_pool(name="default-ipv4-ippool"),
        "calico-pool-adopted",
        "info",
        "IPPool default-ipv4-ippool",
        "10.244.0.0/16 with blocks of /26",
    ),
    Case(
        calico.pools,
        add_pool(name="a", vxlanMode="Always"),
        "calico-pool-differs",
        "blocker",
        "IPPool a",
        "encapsulation VXLAN Always instead of none",
    ),
    Case(calico.pools, add_pool(name="a", ipipMode="CrossSubnet"), "calico-pool-differs", "blocker", "IPPool a", "encapsulation IPIP CrossSubnet"),
    Case(calico.pools, add_pool(name="a", blockSize=24), "calico-pool-differs", "blocker", "IPPool a", "blockSize 24 instead of 26"),
    Case(
        calico.pools,
        add_pool(name="a", cidr="10.244.128.0/17"),
        "calico-pool-differs",
        "blocker",
        "IPPool a",
        "cidr 10.244.128.0/17 instead of 10.244.0.0/16",
    ),
    Case(
        calico.pools,
        add_pool(name="a", nodeSelector="zone == 'a'"),
        "calico-pool-differs",
        "blocker",
        "IPPool a",
        "nodeSelector zone == 'a' instead of all()",
    ),
    Case(calico.pools, add_pool(name="a", disabled=True), "calico-pool-differs", "blocker", "IPPool a", "disabled"),
    Case(
        calico.pools,
        add_pool(name="b", cidr="192.168.0.0/16"),
        "calico-pool-foreign",
        "blocker",
        "IPPool b",
        "192.168.0.0/16, outside the pod network",
    ),
    Case(
        calico.daemonset,
        add_calico(namespace="calico-system"),
        "calico-installed-otherwise",
        "blocker",
        "DaemonSet calico-system/calico-node",
        "not as kube-system/calico-node",
    ),
    Case(calico.daemonset, add_calico(backend="vxlan"), "calico-backend", "blocker", "DaemonSet kube-system/calico-node", '"vxlan"'),
    Case(
        calico.blocks,
        lambda lab: lab.calico["blocks"].append({"cidr": "10.244.1.64/26", "node": "n3", "allocated": 1, "free": 63}),
        "calico-block-foreign",
        "blocker",
        "node n2",
        "10.244.1.64/26 belongs to n3, but is in the podCIDR of n2",
    ),
    Case(
        calico.mesh,
        lambda lab: lab.calico.update(bgp_configuration={"nodeToNodeMeshEnabled": True}),
        "calico-mesh",
        "warning",
        "BGPConfiguration default",
        "is true",
    ),
    Case(
        calico.not_ready,
        lambda lab: lab.install_calico().move("n1").calico["daemonset"].update(ready_nodes=["n2", "n3"]),
        "calico-not-ready",
        "blocker",
        "node n1",
        "calico-node is not Ready",
    ),
    # Pods
    Case(
        pods.empty_dir,
        lambda lab: lab.add_pod("cache", "n1", empty_dir=True),
        "pod-local-data",
        "blocker",
        "pod podnet-demo/cache",
        "1 pod to evict with emptyDir",
    ),
    Case(
        pods.empty_dir,
        all_of(lambda lab: lab.add_pod("cache", "n1", empty_dir=True), set_settings(evict_emptydir=True)),
        "pod-local-data",
        "info",
        "pod podnet-demo/cache",
        "1 pod to evict",
    ),
    Case(
        pods.unmanaged,
        lambda lab: lab.add_pod("bare", "n2", owner_kind=None, owner_name=None),
        "pod-unmanaged",
        "blocker",
        "pod podnet-demo/bare",
        "without a controller",
    ),
    Case(
        pods.unmanaged,
        all_of(lambda lab: lab.add_pod("bare", "n2", owner_kind=None, owner_name=None), set_settings(evict_unmanaged=True)),
        "pod-unmanaged",
        "warning",
        "pod podnet-demo/bare",
        "1 pod",
    ),
    Case(
        pods.budgets,
        set_budget(disruptions_allowed=0, desired_healthy=3),
        "budget-never-allows",
        "blocker",
        "PodDisruptionBudget podnet-demo/web",
        "3 of 3 pods are healthy, 3 must be",
    ),
    Case(
        pods.budgets,
        set_budget(disruptions_allowed=0, current_healthy=2),
        "budget-allows-nothing-now",
        "blocker",
        "PodDisruptionBudget podnet-demo/web",
        "2 of 3 pods are healthy, 2 must be",
    ),
    Case(
        pods.several_budgets,
        lambda lab: lab.cluster["pod_disruption_budgets"].append({**lab.cluster["pod_disruption_budgets"][1], "name": "all", "selector": {}}),
        "pod-several-budgets",
        "blocker",
        "pods podnet-demo/db-0, podnet-demo/db-1, podnet-demo/web-",
        "5 pods to evict, of more than one PodDisruptionBudget: podnet-demo/all, podnet-demo/db, podnet-demo/web.",
    ),
    Case(
        pods.policies,
        lambda lab: lab.cluster.update(network_policies=[{"namespace": "demo", "name": "web"}]),
        "network-policies-begin",
        "warning",
        "1 NetworkPolicy",
        "Flannel does not enforce demo/web; Calico will.",
    ),
    Case(pods.single_replicas, lambda lab: None, "workload-single-replica", "warning", "1 workload", "Deployment podnet-demo/forbidden"),
    Case(pods.replicas_together, all_web_on_one_node, "workload-on-one-node", "warning", "1 workload", "Deployment podnet-demo/web on n2 (3)"),
    Case(
        pods.not_ready, lambda lab: lab.pod("web").update(ready=False), "pod-not-ready", "warning", "pod podnet-demo/web-", "1 pod not Ready before"
    ),
    # What nodes say
    Case(host.tools, set_facts("n2", missing_tools=["systemd-run", "nft"]), "node-tools-missing", "blocker", "node n2", "Not found: systemd-run."),
    Case(
        host.tools,
        set_facts("n2", missing_tools=["nft", "iptables-save"]),
        "node-tools-missing",
        "blocker",
        "node n2",
        "Not found: nft, iptables-save.",
    ),
    Case(host.tunnel_device, set_facts("n1", vxlan=[]), "flannel-device-missing", "blocker", "node n1", "no device flannel.1"),
    Case(
        host.tunnel_device,
        lambda lab: lab.nodes["n1"]["vxlan"][0].update(port=4789),
        "flannel-device-differs",
        "blocker",
        "node n1",
        "port 4789 instead of 8472",
    ),
    Case(
        host.tunnel_device,
        lambda lab: lab.nodes["n1"]["vxlan"][0].update(mac="02:00:00:00:00:01"),
        "flannel-mac-differs",
        "blocker",
        "node n1",
        "flannel.1 has 02:00:00:00:00:01",
    ),
    Case(host.reverse_path_filter, set_sysctl("n2", "flannel/1", "1"), "rp-filter-strict", "blocker", "node n2", "is 1 (strict) for flannel.1 on n2"),
    Case(host.reverse_path_filter, set_sysctl("n2", "all", "1"), "rp-filter-strict", "blocker", "node n2", "flannel.1"),
    Case(host.reverse_path_filter, set_sysctl("n2", "eth0", "1"), "rp-filter-strict", "blocker", "node n2", "eth0 on n2"),
    Case(
        host.reverse_path_filter, set_sysctl("n2", "default", "1"), "rp-filter-strict", "warning", "node n2", "is probably 1 (strict) for eth0 on n2"
    ),
    Case(host.kernels, set_facts("n3", kernel="5.10.0"), "node-kernels-differ", "info", "cluster", "5.10.0 on n3"),
    # MTU
    Case(mtu.tunnel_too_large, set_link("n2", "eth0", mtu=1480), "mtu-tunnel-too-large", "warning", "node n2", "flannel.1 1450 + 50 > eth0 1480"),
    Case(mtu.different, set_link("n2", "eth0", mtu=9000), "mtu-different", "warning", "cluster", "n2: 9000"),
    Case(mtu.unknown_to_felix, rename_underlay, "mtu-link-name", "warning", "node n1", "bond0 (MTU 1500)"),
    Case(mtu.grows, lambda lab: None, "mtu-grows", "info", "cluster", "MTU 1450 now and get 1500"),
    # BGP
    Case(bgp.method, set_settings(method="big-bang"), "setting-not-supported", "blocker", "setting method", "It is 'big-bang'."),
    Case(bgp.method, set_settings(pod_move="magic"), "setting-not-supported", "blocker", "setting pod_move", "It is 'magic'."),
    Case(bgp.none_given, set_settings(bgp_peers=[]), "bgp-peers-missing", "blocker", "podnet_bgp_peers", "no BGPPeer"),
    Case(bgp.invalid, set_settings(as_number="none"), "bgp-peer-invalid", "blocker", "podnet_bgp_as_number", "'none'"),
    Case(bgp.invalid, peers((0, {"as_number": 0})), "bgp-peer-invalid", "blocker", "BGPPeer tor-a", "as_number '0'"),
    Case(bgp.invalid, peers((0, {"peer_ip": "router"})), "bgp-peer-invalid", "blocker", "BGPPeer tor-a", "peer_ip 'router'"),
    Case(bgp.invalid, peers((0, {"node_selector": "zone = a"})), "bgp-peer-invalid", "blocker", "BGPPeer tor-a", 'node_selector "zone = a"'),
    Case(bgp.invalid, peers((0, {"node": "n1"})), "bgp-peer-invalid", "blocker", "BGPPeer tor-a", "exclude each other"),
    Case(bgp.invalid, peers((1, {"name": "tor-a"})), "bgp-peer-invalid", "blocker", "BGPPeer tor-a", "Two peers"),
    Case(
        bgp.invalid,
        peers((0, {"name": "", "as_number": None})),
        "bgp-peer-invalid",
        "blocker",
        "BGPPeer number 1 of podnet_bgp_peers",
        "name, as_number are missing",
    ),
    Case(bgp.matches_nothing, peers((0, {"node_selector": "zone == 'x'"})), "bgp-peer-without-node", "blocker", "BGPPeer tor-a", "zone=a"),
    Case(
        bgp.matches_nothing,
        peers((0, {"node_selector": None, "node": "n7"})),
        "bgp-peer-without-node",
        "blocker",
        "BGPPeer tor-a",
        "node n7 matches none of 3 nodes.",
    ),
    Case(
        access.missing,
        lambda lab: lab.cluster.update(access=ACCESS),
        "access-missing",
        "blocker",
        "user system:serviceaccount:kube-system:somebody",
        "It may not: create pods/eviction; patch nodes.",
    ),
    Case(
        access.missing,
        all_of(lambda lab: lab.cluster.update(access={**ACCESS, "user": None}), set_settings(carry_out=False)),
        "access-missing",
        "warning",
        "the user of the kubeconfig",
        "create pods/eviction",
    ),
    Case(
        access.unknown,
        lambda lab: lab.cluster.update(access={"user": None, "missing": [], "problem": "/apis/authorization.k8s.io/v1: forbidden"}),
        "access-unknown",
        "warning",
        "the user of the kubeconfig",
        "did not tell what it may do: /apis/authorization.k8s.io/v1: forbidden",
    ),
    Case(calico.operator, lambda lab: lab.calico.update(operator=True), "calico-operator", "blocker", "API group operator.tigera.io", "(tigera-"),
    Case(nodes.too_few, only_node, "node-single", "blocker", "node n1", "It is the only node of the cluster, with 3 pods to evict."),
    Case(bgp.nodes_without, drop_peer, "bgp-node-without-peer", "blocker", "nodes n2, n3", "None of 1 BGPPeer selects them (zone b)"),
    Case(bgp.peer_is_a_node, peers((0, {"peer_ip": "172.30.2.12"})), "bgp-peer-address", "warning", "BGPPeer tor-a", "the address of node n2"),
    Case(bgp.peer_is_a_node, peers((0, {"peer_ip": "10.244.0.1"})), "bgp-peer-address", "blocker", "BGPPeer tor-a", "inside the pod network"),
    # The way to other nodes' pods
    Case(routing.unknown, set_settings(routing="ipip"), "routing-unknown", "blocker", "podnet_calico_routing", "It is 'ipip'."),
    Case(
        routing.changes,
        all_of(lambda lab: lab.install_calico().move("n1"), set_settings(routing="cross_subnet")),
        "routing-changes",
        "blocker",
        "podnet_calico_routing",
        "It is 'cross_subnet', but Calico is set up for 'bgp', and node n1 uses it.",
    ),
    Case(
        routing.mesh_over_routers,
        set_settings(routing="bgp_mesh"),
        "routing-several-subnets",
        "blocker",
        "podnet_calico_routing",
        "the nodes are in 2 subnets: 172.30.1.0/24 (1 node), 172.30.2.0/24 (2 nodes).",
    ),
    Case(
        routing.mesh_too_large,
        all_of(many_nodes, set_settings(routing="bgp_mesh")),
        "routing-mesh-large",
        "warning",
        "podnet_calico_routing",
        "101 nodes make 5,050 sessions.",
    ),
    Case(
        routing.tunnel_taken,
        all_of(set_backend(port=4789, vni=4096), set_settings(routing="vxlan")),
        "routing-tunnel-taken",
        "blocker",
        "podnet_calico_routing",
        "Flannel's tunnel has UDP port 4789 and VNI 4096",
    ),
    Case(
        routing.tunnel_mtu,
        all_of(set_link("n2", "eth0", mtu=1480), set_settings(routing="cross_subnet")),
        "routing-mtu",
        "blocker",
        "podnet_calico_routing",
        "n2: 1480",
    ),
    Case(
        routing.tunnel_addresses,
        all_of(crowd(4), set_settings(routing="cross_subnet")),
        "routing-tunnel-block-shared",
        "warning",
        "node n1",
        "Every block of 1 node has pods of Flannel in it.",
    ),
    Case(
        routing.tunnel_addresses,
        all_of(one_address_left, set_settings(routing="cross_subnet")),
        "routing-tunnel-address-none",
        "blocker",
        "node n1",
        "No two addresses of a block are free.",
    ),
    Case(
        routing.tunnel_addresses,
        all_of(tunnel_of_a_pod, set_settings(routing="cross_subnet")),
        "routing-tunnel-address-twice",
        "blocker",
        "node n1",
        "the same address: n1: 10.244.0.",
    ),
    Case(
        routing.policies_of_nodes,
        all_of(lambda lab: lab.cluster.update(network_policies=[{"namespace": "demo", "name": "web"}]), set_settings(routing="vxlan")),
        "routing-policies-nodes",
        "warning",
        "1 NetworkPolicy",
        "these addresses: n1: 10.244.0.253, n2: 10.244.1.253, n3: 10.244.2.253.",
    ),
    Case(routing.peers_unused, set_settings(routing="cross_subnet"), "routing-peers-unused", "warning", "podnet_bgp_peers", "2 routers given"),
    Case(
        routing.source_check,
        on("aws"),
        "routing-aws-source-check",
        "warning",
        "podnet_calico_aws_source_check",
        "it is 'leave', and awsSrcDstCheck of FelixConfiguration default is not set.",
    ),
    Case(
        routing.source_check,
        all_of(on("aws"), lambda lab: lab.calico.update(felix={"awsSrcDstCheck": "Enable"})),
        "routing-aws-source-check",
        "blocker",
        "podnet_calico_aws_source_check",
        "awsSrcDstCheck of FelixConfiguration default is Enable.",
    ),
    Case(
        routing.source_check_rights,
        all_of(on("aws"), set_settings(aws_source_check="disable")),
        "routing-aws-rights",
        "warning",
        "nodes n1, n2, n3",
        "awsSrcDstCheck of FelixConfiguration default becomes Disable.",
    ),
    Case(
        routing.source_check_elsewhere,
        all_of(on("aws"), set_node("n2", provider_id="openstack:///region/1"), set_settings(aws_source_check="disable")),
        "routing-not-on-aws",
        "blocker",
        "node n2",
        "podnet_calico_aws_source_check is disable. Provider ids: n2: openstack:///region/1.",
    ),
    Case(
        routing.source_check_elsewhere,
        set_settings(aws_source_check="disable"),
        "routing-not-on-aws",
        "warning",
        "nodes n1, n2, n3",
        "Provider ids: n1: none, n2: none, n3: none.",
    ),
    Case(
        routing.recommended, lambda lab: None, "routing-recommended", "info", "podnet_calico_routing", "3 nodes in 2 subnets: 172.30.1.0/24 (1 node)"
    ),
    Case(
        bgp.invalid,
        set_settings(zone_as_numbers={"c": 65003}),
        "bgp-peer-invalid",
        "blocker",
        "podnet_bgp_zone_as_numbers",
        "No node is in zone 'c'; there are a, b.",
    ),
    Case(
        bgp.invalid,
        lambda lab: lab.settings["bgp_peers"][0].update(password={"name": "bgp-password"}),
        "bgp-peer-invalid",
        "blocker",
        "BGPPeer tor-a",
        "password does not have the name and the key of a Secret.",
    ),
    Case(
        bgp.passwords,
        with_password(present=False, has_key=False),
        "bgp-password-missing",
        "blocker",
        "Secret kube-system/bgp-password",
        "There is none. BGPPeer tor-a, BGPPeer tor-b have the password from its key router.",
    ),
    Case(
        bgp.passwords,
        with_password(has_key=False),
        "bgp-password-missing",
        "blocker",
        "Secret kube-system/bgp-password",
        "There is one, without a value for the key router.",
    ),
    Case(
        bgp.passwords,
        with_password(readable=False),
        "bgp-password-not-readable",
        "blocker",
        "ServiceAccount kube-system/calico-node",
        "It may not list and watch Secret kube-system/bgp-password, from which BGPPeer tor-a, BGPPeer tor-b have the password.",
    ),
    Case(
        bgp.passwords,
        with_password(present=None, has_key=None, problem="the user of the kubeconfig may not read this Secret"),
        "bgp-password-unknown",
        "warning",
        "Secret kube-system/bgp-password",
        "Not known: whether it has the password. The reason: the user of the kubeconfig may not read this Secret.",
    ),
    Case(
        bgp.passwords,
        with_password(readable=None, problem="x" * 1000),
        "bgp-password-unknown",
        "warning",
        "Secret kube-system/bgp-password",
        "Not known: whether calico-node may read it. The reason: xxx",
    ),
    Case(
        bgp.passwords,
        all_of(with_password(), lambda lab: lab.cluster.update(bgp_passwords=None)),
        "bgp-password-unknown",
        "warning",
        "Secret kube-system/bgp-password",
        "Not known: whether it has the password, whether calico-node may read it. The reason: nobody has asked for it.",
    ),
    Case(bgp.invalid, set_settings(zone_as_numbers={"a": 0}), "bgp-peer-invalid", "blocker", "podnet_bgp_zone_as_numbers", "'0' of zone a is not in"),
    Case(
        bgp.own_number_in_path,
        set_settings(as_number=65000),
        "bgp-own-as-in-path",
        "warning",
        "nodes n1, n2, n3",
        "AS 65000 is that of other nodes too, and what brings the routes to their pods is outside of it: tor-a, tor-b.",
    ),
    Case(
        bgp.own_number_in_path,
        set_settings(zone_as_numbers={"a": 65001, "b": 65002}),
        "bgp-own-as-in-path",
        "warning",
        "nodes n2, n3",
        "AS 65002 is that of other nodes too",
    ),
    # Route reflectors
    Case(
        reflectors.other_routing,
        set_settings(route_reflectors="auto", routing="vxlan"),
        "reflectors-need-bgp",
        "blocker",
        "podnet_route_reflectors",
        "It is set, and the way of routing is vxlan.",
    ),
    Case(
        reflectors.unusable,
        all_of(set_settings(route_reflectors=["n1", "n9", "n1", "n2"]), set_node("n2", ready=False)),
        "reflectors-unusable",
        "blocker",
        "podnet_route_reflectors",
        "n9 is no node of the cluster, n1 is named twice, n2 is not Ready.",
    ),
    Case(
        reflectors.unusable,
        all_of(set_settings(route_reflectors=["n1", "n2"]), set_node("n2", operating_system="windows")),
        "reflectors-unusable",
        "blocker",
        "podnet_route_reflectors",
        "n2 does not run Linux.",
    ),
    Case(
        reflectors.too_few,
        set_settings(route_reflectors="n2"),
        "reflectors-too-few",
        "blocker",
        "podnet_route_reflectors",
        "1 route reflector (n2), of 3 nodes that can be one.",
    ),
    Case(
        reflectors.too_few,
        all_of(set_settings(route_reflectors="auto"), only_one_ready),
        "reflectors-too-few",
        "blocker",
        "podnet_route_reflectors",
        "1 route reflector (n1), of 1 node that can be one.",
    ),
    Case(
        reflectors.one_zone,
        set_settings(route_reflectors=["n2", "n3"]),
        "reflectors-one-zone",
        "warning",
        "nodes n2, n3",
        "All route reflectors are in zone b, and the nodes in 2 zones.",
    ),
    Case(
        reflectors.need_routers,
        set_settings(route_reflectors="auto", bgp_peers=[]),
        "reflectors-need-routers",
        "blocker",
        "nodes n1, n2, n3",
        "n1 reaches n2 by 172.30.1.1, n2 reaches n1 by 172.30.2.1, n3 reaches n1 by 172.30.2.1, and podnet_bgp_peers names no router.",
    ),
    Case(
        reflectors.several_as_numbers,
        set_settings(route_reflectors="auto", zone_as_numbers={"b": 65002}),
        "reflectors-several-as",
        "blocker",
        "podnet_route_reflectors",
        "The nodes have 2 AS numbers: n1: 64512, n2: 65002, n3: 65002.",
    ),
    Case(
        reflectors.changed,
        all_of(set_settings(route_reflectors=["n1", "n2"]), reflects("n1"), reflects("n3")),
        "reflectors-changed",
        "blocker",
        "node n3",
        "An earlier run has made 1 route reflector that podnet_route_reflectors leaves out (n1, n2).",
    ),
    Case(reflectors.changed, all_of(reflects("n1"), reflects("n3")), "reflectors-changed", "blocker", "nodes n1, n3", "leaves out (off)."),
    Case(
        reflectors.foreign,
        all_of(set_settings(route_reflectors="auto"), lambda lab: lab.node("n2")["annotations"].update({CLUSTER_ID: "1.0.0.1"})),
        "reflectors-foreign",
        "blocker",
        "node n2",
        "set by somebody else (n2: 1.0.0.1)",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.id}-{case.rule.__name__}")
def test_rule_finds(case):
    lab = Lab()
    case.change(lab)
    found = [finding for finding in case.rule(lab.situation) if finding.id == case.id]
    assert len(found) == 1
    assert found[0].severity == case.severity
    assert found[0].subject.startswith(case.subject)
    assert case.evidence in found[0].evidence
    for text in (found[0].evidence, found[0].why, found[0].remedy):
        assert text[0] == text[0].strip() and text.endswith((".", "`.")), text
        assert "None" not in text.replace("None of", "") and "{" not in text.replace("{name, peer_ip, as_number, node_selector}", ""), text
        assert len(text) < 330, text
    assert found[0].source.count(":") == 1
    assert set(found[0].nodes) <= {node["name"] for node in lab.cluster["nodes"]}


@pytest.mark.parametrize("rule", preflight.BEFORE_MOVES, ids=lambda rule: f"{rule.__module__.rsplit('.', 1)[-1]}.{rule.__name__}")
def test_rule_finds_nothing_in_a_sound_cluster(rule):
    assert {finding.id for finding in rule(Lab().situation)} <= HARMLESS
    assert [finding for finding in rule(moved_lab().remove_flannel().finish().situation) if finding.severity == "blocker"] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.id}-{case.rule.__name__}")
def test_the_whole_plan_is_made_and_shown_whatever_is_wrong(case):
    lab = Lab()
    case.change(lab)
    record = plan.plan_migration(lab.cluster, lab.nodes, lab.settings)
    assert case.id in {finding["id"] for finding in record["findings"]} or not lab.situation.to_move
    assert case.id in texts.plan_table(record) or not lab.situation.to_move
    assert record["blocked"] or case.severity != "blocker"


def ipv6_only(lab):
    lab.flannel.update(network=None, ipv6_network="fd00::/48", net_conf={"EnableIPv4": False, "EnableIPv6": True, "IPv6Network": "fd00::/48"})
    for number, node in enumerate(lab.cluster["nodes"]):
        node.update(pod_cidr=f"fd00:0:0:{number}::/64", pod_cidrs=[f"fd00:0:0:{number}::/64"], internal_ip=f"2001:db8::{number}")


def test_a_cluster_of_ipv6_only_is_refused_in_one_piece():
    lab = Lab()
    ipv6_only(lab)
    record = plan.plan_migration(lab.cluster, lab.nodes, lab.settings)
    assert "flannel-ipv6" in {finding["id"] for finding in record["findings"] if finding["severity"] == "blocker"}
    assert "fd00::/48" in texts.plan_table(record)


@pytest.mark.parametrize("kind", [*flannel.BACKENDS, "of-my-own"])
def test_another_backend_is_told_once_without_what_follows_from_it(kind):
    """No device and no VTEP: each node would be told that flanneld never came up on it."""
    lab = Lab()
    lab.flannel["backend"]["type"] = kind
    for name, facts in lab.nodes.items():
        facts["vxlan"] = []
        lab.node(name)["flannel"].update(backend_type=kind, vtep_mac=None)
    assert [finding.id for finding in preflight.preflight(lab.situation) if finding.severity == "blocker"] == ["flannel-backend"]


def test_each_backend_has_words_of_its_own():
    remedies = {flannel.BACKENDS[kind] for kind in flannel.BACKENDS if not kind.endswith("-vpc") and kind != "gce"}
    assert len(remedies) == 7


def test_canal_is_refused_although_its_pods_are_on_calico():
    """Canal's CNI configuration is one of Calico, so that its nodes look as if they had moved, and Flannel as if it could go."""
    lab = moved_lab()
    lab.flannel["canal"] = True
    record = plan.plan_migration(lab.cluster, lab.nodes, lab.settings)
    assert not lab.situation.to_move
    assert [finding["id"] for finding in record["findings"] if finding["severity"] == "blocker"] == ["flannel-canal"]


def test_nodes_of_several_architectures_are_no_finding():
    lab = Lab()
    lab.node("n2")["labels"].update({"kubernetes.io/arch": "arm64", "beta.kubernetes.io/arch": "arm64"})
    assert {finding.id for finding in preflight.preflight(lab.situation)} <= HARMLESS


def test_every_rule_has_a_case_that_it_finds():
    assert {case.rule for case in CASES} == set(preflight.BEFORE_MOVES) | set(preflight.AFTER_MOVES)


def test_addresses_of_a_finished_cluster_are_not_judged():
    lab = moved_lab().remove_flannel().finish()
    lab.cluster["pods"].append({**lab.pod("web"), "name": "borrowed", "ip": "10.244.77.9"})
    lab.settings["block_size"] = 24
    assert preflight.preflight(lab.situation) == []


@pytest.mark.parametrize(
    ("everywhere", "own", "default", "expected"),
    [
        ("0", "0", "0", (0, True)),
        ("1", "0", "0", (1, True)),
        ("0", "1", "0", (1, True)),
        ("1", "2", "0", (2, True)),
        ("2", "1", "1", (2, True)),
        ("0", None, "1", (1, False)),
        ("1", None, "2", (2, False)),
        (None, None, None, (None, False)),
    ],
)
def test_the_kernel_uses_the_larger_value_of_all_and_of_the_link(everywhere, own, default, expected):
    values = {"net.ipv4.conf.all.rp_filter": everywhere, "net.ipv4.conf.flannel/1.rp_filter": own, "net.ipv4.conf.default.rp_filter": default}
    facts = {"sysctls": {name: value for name, value in values.items() if value is not None}}
    assert host.rp_filter_of(facts, "flannel.1") == expected


def test_a_tunnel_that_is_still_to_be_made_gets_the_filter_of_new_devices():
    lab = Lab(routing="vxlan")
    set_sysctl("n2", "default", "1")(lab)
    set_sysctl("n2", "eth0", "0")(lab)
    (found,) = host.reverse_path_filter(lab.situation)
    assert (found.severity, found.nodes) == ("warning", ("n2",))
    assert "vxlan.calico on n2" in found.evidence
    lab.settings["routing"] = "bgp"
    assert list(host.reverse_path_filter(lab.situation)) == []


def test_a_moved_node_needs_no_loose_filter():
    lab = moved_lab()
    set_sysctl("n2", "all", "1")(lab)
    assert list(host.reverse_path_filter(lab.situation)) == []


def test_pods_of_daemonsets_and_of_the_host_do_not_need_consent():
    lab = Lab()
    lab.add_pod("daemon", "n1", owner_kind="DaemonSet", owner_name="d", empty_dir=True)
    lab.add_pod("host", "n1", host_network=True, empty_dir=True, owner_kind=None)
    lab.add_pod("job", "n1", phase="Succeeded", empty_dir=True, owner_kind=None)
    assert [*pods.empty_dir(lab.situation), *pods.unmanaged(lab.situation)] == []


def test_pods_of_one_control_plane_go_to_another():
    lab = Lab()
    only_one_worker(lab)
    lab.cluster["pods"] = [pod for pod in lab.cluster["pods"] if pod["node"] != "n3"]
    assert list(nodes.too_few(lab.situation)) == []
    lab.node("n2")["schedulable"] = False
    assert [finding.nodes for finding in nodes.too_few(lab.situation)] == []  # the worker takes them
    lab.node("n3")["schedulable"] = False
    assert [finding.nodes for finding in nodes.too_few(lab.situation)] == [("n1",)]


def test_a_node_without_pods_to_evict_needs_no_other():
    lab = Lab()
    only_one_schedulable(lab)
    lab.cluster["pods"] = [pod for pod in lab.cluster["pods"] if pod["node"] != "n1"]
    assert list(nodes.too_few(lab.situation)) == []


def test_what_forbids_evictions_forbids_no_pod_to_move_as_it_runs():
    lab = Lab()
    only_one_schedulable(lab)
    lab.node("n2")["schedulable"] = False
    lab.add_pod("bare", "n2", owner_kind=None, owner_name=None)
    lab.cluster["pod_disruption_budgets"][1].update(disruptions_allowed=0)
    found = {finding.id for finding in preflight.preflight(lab.situation)}
    lab.settings["pod_move"] = "replug"
    gone = found - {finding.id for finding in preflight.preflight(lab.situation)}
    assert {"node-too-few", "pod-unmanaged"} <= gone, (found, gone)


def test_a_budget_of_other_pods_does_not_block():
    lab = Lab()
    lab.cluster["pod_disruption_budgets"][1].update(disruptions_allowed=0, selector={"matchLabels": {"app": "other"}})
    assert list(pods.budgets(lab.situation)) == []


def test_existing_peers_count():
    lab = Lab(bgp_peers=[])
    lab.calico["bgp_peers"] = [{"name": "tor", "peerIP": "172.30.1.1", "asNumber": 64512}]
    assert list(bgp.none_given(lab.situation)) == [] and list(bgp.nodes_without(lab.situation)) == []
    lab.calico["bgp_peers"] = [{"name": "old", "peerIP": "172.30.1.1", "asNumber": 64512, "nodeSelector": "rack == 'gone'"}]
    assert [finding.severity for finding in bgp.matches_nothing(lab.situation)] == ["warning"]


def test_findings_about_many_nodes_stay_short():
    lab = Lab()
    template = lab.node("n3")
    for number in range(4, 504):
        lab.cluster["nodes"].append({**template, "name": f"n{number}", "pod_cidr": f"10.{240 + number // 256}.{number % 256}.0/24", "ready": False})
    finding = next(iter(nodes.not_ready(lab.situation)))
    assert finding.subject == "nodes n4, n5, n6, n7, n8, n9, n10, n11 and 492 more"
    assert len(finding.nodes) == 500


def test_other_rules_go_on_when_a_selector_cannot_be_read():
    lab = Lab()
    lab.settings["bgp_peers"][0]["node_selector"] = "zone = a"
    lab.settings["bgp_peers"][1]["peer_ip"] = "router"
    found = preflight.preflight(lab.situation)
    assert [(finding.id, finding.subject) for finding in found if finding.severity == "blocker"] == [
        ("bgp-node-without-peer", "node n1"),
        ("bgp-peer-invalid", "BGPPeer tor-a"),
        ("bgp-peer-invalid", "BGPPeer tor-b"),
    ]


def test_blocks_of_nobody_and_of_another_family_are_passed_over():
    lab = Lab().install_calico()
    lab.calico["blocks"] += [{"cidr": "10.244.1.0/26", "node": None}, {"cidr": "fd00::/122", "node": "n3"}, {"cidr": None, "node": "n3"}]
    assert list(calico.blocks(lab.situation)) == []
    lab.calico["affinities"].append({"name": "x", "cidr": "10.244.1.0/26", "node": "n3", "state": "pending"})
    assert [finding.nodes for finding in calico.blocks(lab.situation)] == [("n2",)]


def test_without_a_network_nothing_is_said_of_pools():
    lab = Lab().install_calico()
    lab.flannel["network"] = None
    lab.calico["pools"].append({**POOL, "name": "b", "cidr": "192.168.0.0/16"})
    assert list(calico.pools(lab.situation)) == []
    assert calico.matching_pool(lab.situation) is None


def test_a_disabled_pool_elsewhere_is_nobodys_business():
    lab = Lab().install_calico()
    lab.calico["pools"].append({**POOL, "name": "b", "cidr": "192.168.0.0/16", "disabled": True})
    assert list(calico.pools(lab.situation)) == []


def test_worst_findings_come_first_and_a_severity_must_be_one():
    lab = Lab()
    lab.node("n2")["ready"] = False
    severities = [finding.severity for finding in preflight.preflight(lab.situation)]
    assert severities == sorted(severities, key=["blocker", "warning", "info"].index)
    with pytest.raises(ValueError, match="severity: 'fatal' is no severity; use one of blocker, warning, info"):
        Finding("a", "fatal", "", "", "", "", "")


@pytest.mark.parametrize(
    ("change", "best", "reason"),
    [
        (lambda lab: None, "bgp", "routers that learn the routes to pods by BGP are given"),
        (set_settings(bgp_peers=[]), "cross_subnet", "inside a subnet none is needed"),
        (all_of(set_settings(bgp_peers=[]), one_subnet, on("aws")), "cross_subnet", "nodes in other subnets of AWS could join"),
        (on("azure"), "vxlan", "Azure drops packets with addresses that it did not give"),
        (all_of(set_settings(bgp_peers=[]), one_subnet), "bgp_mesh", "all nodes are in one subnet and reach each other without a router"),
        (all_of(set_settings(bgp_peers=[]), one_subnet, many_nodes), "cross_subnet", "without a router and without BGP"),
    ],
)
def test_the_way_that_suits_a_cluster(change, best, reason):
    lab = Lab()
    change(lab)
    (found,) = routing.recommended(lab.situation)
    assert found.why.startswith(f"{best} suits this cluster: ")
    assert reason in found.why
    assert ("Nothing to do" in found.remedy) == (best == "bgp")


def test_what_a_way_saves_is_told_in_bytes():
    (found,) = routing.recommended(Lab(bgp_peers=[], routing="cross_subnet").situation)
    assert "It adds 0 bytes to a packet between nodes of one subnet and 50 between subnets" in found.why
    assert "50 are saved inside a subnet, 0 are saved between subnets" in found.why
    assert "Pods have MTU 1450 then." in found.why
    assert found.remedy == "Nothing to do: podnet_calico_routing is cross_subnet."


def test_a_source_check_that_is_off_and_a_way_that_does_not_need_it():
    lab = Lab(routing="vxlan")
    on("aws")(lab)
    assert list(routing.source_check(lab.situation)) == []
    lab.settings["routing"] = "cross_subnet"
    assert [finding.severity for finding in routing.source_check(lab.situation)] == ["warning"]
    lab.calico["felix"] = {"awsSrcDstCheck": "Disable"}
    assert list(routing.source_check(lab.situation)) == []
    lab.settings["aws_source_check"] = "disable"
    assert list(routing.source_check(lab.situation)) == []


@pytest.mark.parametrize(("mode", "written"), [("bgp", True), ("bgp_mesh", True), ("cross_subnet", True), ("vxlan", False)])
def test_the_source_check_is_turned_off_where_packets_have_addresses_of_pods(mode, written):
    lab = Lab(routing=mode, aws_source_check="disable")
    on("aws")(lab)
    ids = [finding.id for rule in routing.SOURCE_CHECK_RULES for finding in rule(lab.situation)]
    assert ids == (["routing-aws-rights"] if written else [])
    assert plan.plan_migration(lab.cluster, lab.nodes, lab.settings)["felix"] == ({"aws_source_check": "disable"} if written else {})
    lab.settings["aws_source_check"] = "leave"
    assert plan.plan_migration(lab.cluster, lab.nodes, lab.settings)["felix"] == {}


def test_another_cloud_needs_no_source_check_of_aws():
    lab = Lab(routing="vxlan", aws_source_check="disable")
    on("azure")(lab)
    assert [finding for rule in routing.SOURCE_CHECK_RULES for finding in rule(lab.situation)] == []


def test_a_password_that_is_there_and_may_be_read_and_one_that_nobody_uses():
    lab = Lab()
    with_password()(lab)
    assert list(bgp.passwords(lab.situation)) == []
    with_password(present=False, has_key=False, readable=False)(lab)
    assert [finding.id for finding in bgp.passwords(lab.situation)] == ["bgp-password-missing", "bgp-password-not-readable"]
    lab.settings["routing"] = "cross_subnet"
    assert list(bgp.passwords(lab.situation)) == []
    assert list(bgp.passwords(moved_lab(bgp_peers=lab.settings["bgp_peers"]).situation)) == []


def test_a_port_of_its_own_for_calicos_tunnel():
    lab = Lab(routing="cross_subnet")
    set_backend(port=4789)(lab)
    assert [finding.id for finding in routing.tunnel_taken(lab.situation)] == ["routing-tunnel-taken"]
    lab.calico["felix"] = {"vxlanPort": 4790}
    assert list(routing.tunnel_taken(lab.situation)) == []


def test_no_mtu_is_told_to_grow_where_a_tunnel_takes_it():
    assert list(mtu.grows(Lab(routing="cross_subnet").situation)) == []


def test_a_mode_with_a_tunnel_asks_for_no_peers():
    lab = Lab(bgp_peers=[], routing="cross_subnet")
    assert [finding.id for finding in preflight.preflight(lab.situation) if finding.severity == "blocker"] == []


@pytest.mark.parametrize(
    ("pool", "mesh", "name"),
    [
        ({}, None, "bgp"),
        ({}, True, "bgp_mesh"),
        ({"vxlanMode": "CrossSubnet"}, None, "cross_subnet"),
        ({"vxlanMode": "Always"}, True, "vxlan"),
        ({"ipipMode": "Always"}, None, None),
        ({"cidr": "10.0.0.0/16"}, None, None),
    ],
)
def test_the_mode_of_a_calico_that_is_there(pool, mesh, name):
    calico_facts = {"pools": [{**POOL, **pool}], "bgp_configuration": {"nodeToNodeMeshEnabled": mesh} if mesh is not None else None}
    assert modes.present(calico_facts, "10.244.0.0/16") == name
    assert modes.present(None, "10.244.0.0/16") is None


def test_a_finished_cluster_of_another_mode_is_left_alone():
    lab = moved_lab(routing="cross_subnet")
    assert [finding.id for finding in preflight.preflight(lab.situation)] == ["routing-changes"]
    assert preflight.preflight(lab.remove_flannel().finish().situation) == []


def test_reflectors_serve_all_nodes_of_one_subnet_without_a_router():
    lab = Lab(bgp_peers=[], route_reflectors="auto")
    for facts in lab.nodes.values():
        facts["routes"] = [entry for entry in facts["routes"] if entry["destination"] != "0.0.0.0/0"]
    found = {finding.id for finding in preflight.preflight(lab.situation)}
    assert found == {finding.id for finding in preflight.preflight(Lab().situation)}


def test_a_router_that_the_cluster_has_already_counts_for_reflectors():
    lab = Lab(bgp_peers=[], route_reflectors="auto")
    lab.calico["bgp_peers"] = [{"name": "tor", "peerIP": "172.30.1.1", "asNumber": 64512}]
    assert list(reflectors.need_routers(lab.situation)) == []


@pytest.mark.parametrize("change", [{"num_allowed_local_as_numbers": 1}, {"as_number": 65000}])
def test_an_as_that_may_come_back_or_that_the_router_has_too_is_no_loop(change):
    lab = Lab(as_number=65000)
    for peer in lab.settings["bgp_peers"]:
        peer.update(change)
    assert list(bgp.own_number_in_path(lab.situation)) == []


def test_reflectors_bring_the_routes_that_a_router_of_another_as_does_not():
    lab = Lab(as_number=65000, route_reflectors="auto")
    assert list(bgp.own_number_in_path(lab.situation)) == []


def test_a_selector_of_the_label_finds_the_nodes_that_are_going_to_have_it():
    lab = Lab(route_reflectors="auto")
    lab.settings["bgp_peers"][1]["node_selector"] = "zone == 'b' && has(podnet.cni/route-reflector)"
    assert list(bgp.matches_nothing(lab.situation)) == []
    lab.settings["route_reflectors"] = "off"
    assert [finding.severity for finding in bgp.matches_nothing(lab.situation)] == ["blocker"]
