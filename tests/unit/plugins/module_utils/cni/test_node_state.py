# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What files and rules of a node mean: configurations, leases, the CNI library's cache, Flannel's traces, the switch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._cni import (
    calico_traces,
    config_files,
    firewall,
    flannel_node,
    flannel_traces,
    host_local,
    switch,
)

TEXTS = Path(__file__).parents[1] / "host" / "texts"
FLANNEL = b'{"name": "cbr0", "plugins": [{"type": "flannel"}, {"type": "portmap"}]}'
CALICO = b'{"name": "k8s-pod-network", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}, "kubernetes": {"kubeconfig": "/k"}}]}'


def configs(**contents):
    named = {name.replace("_", "-").replace("-dot-", "."): content for name, content in contents.items()}
    return [config_files.parse(f"/etc/cni/net.d/{name}", content) for name, content in sorted(named.items())]


@pytest.mark.parametrize(
    ("path", "content", "cni", "error"),
    [
        ("10-a.conflist", FLANNEL, "flannel", None),
        ("10-a.conflist", CALICO, "calico", None),
        ("10-a.conf", b'{"name": "n", "type": "cilium-cni"}', "cilium", None),
        ("10-a.json", b'{"name": "n", "type": "bridge"}', "other", None),
        ("10-a.conf", FLANNEL, "other", "a plugin has no type"),
        ("10-a.conflist", b'{"name": "n", "plugins": []}', "other", "no plugin"),
        ("10-a.conflist", b'{"name": "n", "plugins": [{"type": "flannel"}, {}]}', "flannel", "a plugin has no type"),
        ("10-a.conflist", b'{"plugins": [{"type": "flannel"}]}', "flannel", "no name"),
        ("10-a.conflist", b'{"name": 5, "plugins": [{"type": "flannel"}]}', "flannel", "no name"),
        ("10-a.conflist", b"[]", "other", "no JSON object"),
        ("10-a.conflist", b"\xff", "other", "no JSON"),
        ("10-a.conflist", b"", "other", "no JSON"),
    ],
)
def test_configurations(path, content, cni, error):
    config = config_files.parse(path, content)
    assert (config["cni"], config["valid"]) == (cni, error is None)
    assert error is None or config["error"].startswith(error)


def test_the_first_valid_configuration_is_active():
    found = configs(**{"05_broken_dot_conf": b"{", "10_flannel_dot_conflist": FLANNEL, "99_calico_dot_conflist": CALICO})
    assert config_files.active(found)["path"].endswith("10-flannel.conflist")
    assert config_files.active([]) is None
    assert [name for name in ("a.conf", "a.conflist", "a.json", "a.conf.bak", ".a.x.podnet") if config_files.is_config_name(name)] == [
        "a.conf", "a.conflist", "a.json",
    ]  # fmt: skip


def test_programs_and_kubeconfig_of_a_configuration():
    assert config_files.programs_of("a.conflist", CALICO) == ["calico", "calico-ipam"]
    assert config_files.kubeconfig_of("a.conflist", CALICO) == "/k"
    assert config_files.kubeconfig_of("a.conflist", FLANNEL) is None


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["10-flannel.conflist"], "10-calico.conflist"),
        (["10-calico.conf"], "00-podnet-calico.conflist"),
        (["01-flannel.conf", "99-x.conf"], "00-podnet-calico.conflist"),
        (["00-flannel.conf"], None),
        ([], "10-calico.conflist"),
    ],
)
def test_the_copys_name_sorts_before_all_others(names, chosen):
    found = [config_files.parse(f"/etc/cni/net.d/{name}", b"{") for name in names]
    assert switch.name_for_copy(found) == chosen


def test_what_is_in_front_of_flannel():
    found = configs(**{"10_calico_dot_conflist": CALICO, "10_flannel_dot_conflist": FLANNEL, "99_podnet_calico_dot_conflist": CALICO})
    assert [config["path"] for config in switch.in_front_of_flannel(found)] == ["/etc/cni/net.d/10-calico.conflist"]
    assert switch.cni_of(switch.without(found, ["/etc/cni/net.d/10-calico.conflist"])) == "flannel"
    assert switch.in_front_of_flannel(configs(**{"10_calico_dot_conflist": CALICO})) == []


SOURCE = "/etc/cni/net.d/99-podnet-calico.conflist"


@pytest.mark.parametrize(
    ("names", "move", "removed"),
    [
        (["10-calico", "99-podnet-calico"], None, [SOURCE]),
        (["00-podnet-calico", "99-podnet-calico"], ("00-podnet-calico", "10-calico"), [SOURCE]),
        (["00-podnet-calico", "10-calico"], None, ["/etc/cni/net.d/00-podnet-calico.conflist"]),
        (["99-podnet-calico"], None, []),
        (["10-calico"], None, []),
    ],
)
def test_the_end_of_the_migrations_own_names(names, move, removed):
    found = [config_files.parse(f"/etc/cni/net.d/{name}.conflist", CALICO) for name in names]
    expected = move and tuple(f"/etc/cni/net.d/{name}.conflist" for name in move)
    assert switch.final_moves(found, SOURCE) == (expected, removed)


def test_the_name_of_its_own_stays_while_another_file_needs_it():
    found = [
        config_files.parse("/etc/cni/net.d/00-podnet-calico.conflist", CALICO),
        config_files.parse("/etc/cni/net.d/05-other.conflist", b'{"name": "x", "plugins": [{"type": "ptp"}]}'),
    ]
    assert switch.final_moves(found, SOURCE) == (None, [])
    assert switch.final_moves(found[1:], SOURCE) == (None, [])


def test_leases():
    assert host_local.parse_lease("10.244.0.16", "abc\r\neth0") == {"address": "10.244.0.16", "container_id": "abc", "interface": "eth0"}
    assert host_local.parse_lease("fd00::5", "abc") == {"address": "fd00::5", "container_id": "abc", "interface": ""}
    assert host_local.parse_lease("last_reserved_ip.0", "10.244.0.16") is None
    assert host_local.parse_lease("lock", "") is None


def test_the_cache_of_a_real_pod():
    (pod,) = host_local.parse_cached_result((TEXTS / "cni-result.json").read_bytes())
    assert (pod["cni"], pod["network_name"], pod["interface"]) == ("flannel", "cbr0", "eth0")
    assert pod["host_interfaces"][0] == "cni0" and pod["host_interfaces"][1].startswith("veth")
    assert host_local.flannel_networks([], [pod]) == ["cbr0"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"config": "*"}', b'{"config": "W10="}', b'{"result": {"ips": [{"address": "x"}]}}'])
def test_files_that_are_no_cache(content):
    assert host_local.parse_cached_result(content) == []


def attachment(address, container, cni, *ports):
    return host_local.Attachment(address=address, container_id=container, network_name="net", interface="eth0", cni=cni, host_interfaces=list(ports))


def test_a_pod_is_on_flannels_bridge_only_if_its_port_is_there():
    leases = [host_local.Lease(address=f"10.244.0.{n}", container_id=c, interface="eth0") for n, c in ((5, "live"), (6, "gone"), (7, "unknown"))]
    leases.append(host_local.Lease(address="10.244.0.8", container_id=host_local.RESERVED_BY_US, interface="eth0"))
    cached = [attachment("10.244.0.5", "live", "flannel", "cni0", "veth5"), attachment("10.244.0.6", "gone", "flannel", "cni0", "veth6")]

    def live(*ports):
        return [lease["address"] for lease in host_local.live_leases(leases, cached, ports)]

    assert live("veth5") == ["10.244.0.5"]
    assert live("veth5", "veth9") == ["10.244.0.5", "10.244.0.7"]
    assert live() == []


def test_pods_by_data_plane():
    leases = [host_local.Lease(address="10.244.0.5", container_id="a", interface="eth0")]
    cached = [
        attachment("10.244.0.5", "a", "flannel", "veth5"),
        attachment("10.244.0.70", "b", "calico", "cali7"),
        attachment("127.0.0.1", "a", "other"),
        attachment("192.168.0.2", "m", "other"),
    ]
    pods = host_local.pods_by_data_plane(leases, cached, ["veth5"], ["10.244.0.70", "10.244.0.9"])
    assert [pod["address"] for pod in pods["flannel"]] == ["10.244.0.5"]
    assert [(pod["address"], pod["container_id"]) for pod in pods["calico"]] == [("10.244.0.9", ""), ("10.244.0.70", "b")]
    assert [pod["address"] for pod in pods["other"]] == ["192.168.0.2"]
    assert set(pods["flannel"][0]) == {"address", "container_id", "network_name", "interface"}


@pytest.mark.parametrize(
    ("chain", "rule", "owned"),
    [
        ("POSTROUTING", '-m comment --comment "flanneld masq" -j FLANNEL-POSTRTG', True),
        ("FORWARD", "-j FLANNEL-FWD", True),
        ("FORWARD", "-g FLANNEL-FWD", True),
        ("POSTROUTING", '-s 10.244.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE', True),
        ("POSTROUTING", "-s 10.244.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE --random-fully", True),
        ("POSTROUTING", "! -s 10.244.0.0/16 -d 10.244.1.0/24 -j RETURN", True),
        ("POSTROUTING", "-s 10.244.0.0/16 -j MASQUERADE", False),
        ("POSTROUTING", '-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING', False),
        ("POSTROUTING", '-m comment --comment "about flanneld" -j ACCEPT', False),
        ("POSTROUTING", '--comment "unbalanced', False),
        ("POSTROUTING", "-j", False),
    ],
)
def test_rules_of_flannel(chain, rule, owned):
    assert flannel_node.is_flannel_rule(chain, rule, "ip", "10.244.0.0/16", "10.244.1.0/24") is owned


def test_host_ports_of_a_network():
    rule = '-p tcp -m comment --comment "dnat name: \\"cbr0\\" id: \\"d5ae\\"" -m multiport --dports 8080 -j CNI-DN-0123'
    assert flannel_node.host_port_chain(rule, ["cbr0"]) == "CNI-DN-0123"
    assert flannel_node.host_port_chain(rule, ["k8s-pod-network"]) is None


def test_rules_are_removed_and_put_back_where_they_were():
    tables = {"nat": {"POSTROUTING": ["-j KUBE-POSTROUTING", "-j FLANNEL-POSTRTG", "-j OTHER"], "FLANNEL-POSTRTG": ["-j RETURN"]}}
    found = flannel_traces.select_firewall(tables, "ip", [], [])
    assert firewall.removal_text(found) == "*nat\n-D POSTROUTING -j FLANNEL-POSTRTG\n-F FLANNEL-POSTRTG\n-X FLANNEL-POSTRTG\nCOMMIT\n"
    assert firewall.restoration_text(found) == (
        "*nat\n:FLANNEL-POSTRTG - [0:0]\n-A FLANNEL-POSTRTG -j RETURN\n-I POSTROUTING 2 -j FLANNEL-POSTRTG\nCOMMIT\n"
    )
    assert firewall.by_table(found) == [found]


def test_networks_of_both_families():
    env = flannel_node.parse_subnet_env(
        "# x\nFLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_IPV6_NETWORK=fd00::/48\nFLANNEL_IPV6_SUBNET=fd00:0:0:1::1/64\n"
    )
    assert flannel_traces.networks_of(env) == [("ip", "10.244.0.0/16", "10.244.1.0/24"), ("ip6", "fd00::/48", "fd00:0:0:1::/64")]
    assert flannel_traces.networks_of(None) == []


def route(destination, device="eth0", gateway="172.30.1.12", protocol="boot", kind="unicast"):
    return {
        "destination": destination, "device": device, "gateway": gateway, "protocol": protocol, "type": kind,
        "metric": 0, "table": "main", "flags": [],
    }  # fmt: skip


def test_routes_of_flannel():
    networks = [flannel_traces.Network("ip", "10.244.0.0/16", None)]
    routes = [
        route("10.244.2.0/24", "flannel.1", "10.244.2.0"),
        route("10.244.3.0/24"),
        route("10.244.4.0/26", protocol="bird"),
        route("10.244.0.0/16"),
        route("10.1.0.0/16"),
        route("0.0.0.0/0"),
        route("10.244.5.0/26", None, None, kind="blackhole"),
        route("10.244.6.192/26", "vxlan.calico", "10.244.6.253"),
        route("10.244.7.192/26", "wireguard.cali", "10.244.7.253"),
    ]
    by_device, direct = flannel_traces.select_routes(routes, ["flannel.1"], networks)
    assert [item["destination"] for item in by_device] == ["10.244.2.0/24"]
    assert [flannel_traces.route_text(item) for item in direct] == ["10.244.3.0/24 via 172.30.1.12 dev eth0 proto boot"]


def test_devices_of_flannel_end_with_the_bridge():
    links = [{"ifname": name} for name in ("lo", "cni0", "flannel.1", "flannel-v6.1", "vxlan.calico", "odd", "cali1")]
    assert flannel_traces.select_devices(links, "cni0", ["odd"]) == ["flannel.1", "flannel-v6.1", "odd", "cni0"]


def test_the_real_rules_of_a_node():
    from ansible_collections.podnet.cni.plugins.module_utils._host import netfilter

    tables = netfilter.parse_save((TEXTS / "iptables-nft-save.txt").read_text())
    found = flannel_traces.select_firewall(tables, "ip", [], ["cbr0"])
    assert {table: list(chains) for table, chains in found.chains.items()} == {"filter": ["FLANNEL-FWD"], "nat": ["FLANNEL-POSTRTG"]}
    assert len(found.rules) == 2
    assert json.loads((TEXTS / "nft-tables.json").read_text())
    assert all(table["name"] != "flannel-ipv4" for table in netfilter.parse_nft_tables((TEXTS / "nft-tables.json").read_text()))


def test_routes_through_calicos_tunnel_are_no_way_around_calico():
    routes = [route("10.244.2.0/24", "flannel.1", "10.244.2.0"), route("10.244.2.192/26", "vxlan.calico", "10.244.2.253")]
    assert [detour.device for detour in calico_traces.flannel_detours(routes, ["10.244.0.0/16"], "cni0")] == ["flannel.1"]
