# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mtu_set on the real kernel, in network namespaces of its own: a node with Flannel's and Calico's devices, two pods, and peers behind a router."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from ansible_collections.podnet.cni.plugins.modules import mtu_set
from ansible_collections.podnet.cni.tests.unit.fakes.hops import FAR, NEAR, ROUTER, hops  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.podnet.cni.tests.unit.fakes.node import node  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.podnet.cni.tests.unit.plugins.modules.test_cni_switch import SYSTEMCTL, SYSTEMD_RUN

needs_root_netns = pytest.mark.needs_root_netns

OPTIONS = {"state": "present", "mtu": "auto", "interfaces": ["eth0"], "peers": ["10.0.0.1"], "probe_timeout": 1.0, "watchdog_seconds": 0}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"mtu": "jumbo"}, ["mtu: 'jumbo' is not an MTU", "576 to 65535", "auto"]),
        ({"mtu": "100"}, ["mtu: '100'"]),
        ({"peers": ["n2"]}, ["peers[0]: 'n2'", "192.168.10.12"]),
        ({"peers": []}, ["peers: mtu=auto is measured", "give mtu a number"]),
        ({"peers": [], "interfaces": [], "mtu": "1500"}, ["interfaces: without peers", "eth0"]),
        ({"state": "restored"}, ["interfaces: state=restored", "leave interfaces out"]),
        ({"probe_timeout": 0.0}, ["probe_timeout: 0.0"]),
        ({"watchdog_seconds": 3}, ["watchdog_seconds: 3 is out of range", "10 to 86400", "0 to keep"]),
    ],
)
def test_bad_options_are_named_with_value_and_remedy(params, words):
    problem = mtu_set.option_problem({**OPTIONS, **params})
    assert problem is not None
    assert all(word in problem for word in words), problem


def test_good_options():
    assert mtu_set.option_problem(OPTIONS) is None
    assert mtu_set.option_problem({**OPTIONS, "mtu": "9000", "peers": []}) is None
    assert mtu_set.option_problem({**OPTIONS, "state": "committed", "interfaces": [], "peers": []}) is None


CALICO = {"name": "k8s-pod-network", "cniVersion": "0.3.1", "plugins": [{"type": "calico", "mtu": 1400}]}


class Host:
    """A node with tunnels, a bridge, two pods, and a systemd of its own."""

    def __init__(self, wires):
        self.hops = wires
        self.base = wires.node
        self.base.options = {
            "cni_config_dir": str(self.base.folder / "net.d"),
            "cni_state_dir": str(self.base.folder / "cni"),
            "flannel_run_dir": str(self.base.folder / "run"),
            "calico_state_dir": str(self.base.folder / "calico"),
        }
        self.systemd = self.base.folder / "systemd"
        self.systemd.mkdir()
        self.base.program("systemd-run", SYSTEMD_RUN.format(folder=self.systemd))
        self.base.program("systemctl", SYSTEMCTL.format(folder=self.systemd))
        self.state = self.base.folder / "podnet"
        self.pods = {"cali0a": f"{self.base.name}-pod-a", "veth0b": f"{self.base.name}-pod-b"}
        self.subnet = self.base.folder / "run" / "subnet.env"
        self.felix = self.base.folder / "calico" / "mtu"

    def build(self):
        for folder in (self.subnet.parent, self.felix.parent):
            folder.mkdir()
        self.subnet.write_text("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_MTU=1450\n")
        self.felix.write_text("1450")
        self.base.ip(
            "link add flannel.1 mtu 1450 type vxlan id 1 local 10.1.0.1 dev eth0 dstport 8472 nolearning\nlink set flannel.1 up\n"
            "link add vxlan.calico mtu 1450 type vxlan id 4096 local 10.1.0.1 dev eth0 dstport 4789 nolearning\nlink set vxlan.calico up\n"
            "link add other mtu 1400 type vxlan id 9 remote 10.2.0.1 dev eth0 dstport 4790\nlink set other up\n"
            "link add cni0 mtu 1450 type bridge\nlink set cni0 up\n"
        )
        for end, pod in self.pods.items():
            subprocess.run(["ip", "netns", "add", pod], check=True)
            self.base.ip(f"link add {end} mtu 1450 type veth peer name eth0 mtu 1450 netns {pod}\nlink set {end} up\n")
            for words in ("address add 10.244.1.7/24 dev eth0", "link set eth0 up", "route add 192.0.2.0/24 dev eth0 mtu 1450"):
                self.hops.within(pod, "ip", *words.split())
        self.base.ip("link set veth0b master cni0\n")
        cached = {"containerId": "c", "ifName": "eth0", "networkName": "k8s-pod-network",
                  "cniArgs": [["K8S_POD_NAMESPACE", "shop"], ["K8S_POD_NAME", "web-0"]],
                  "result": {"interfaces": [{"name": "cali0a"}], "ips": [{"address": "10.244.1.7/32"}]}}  # fmt: skip
        (self.base.folder / "cni" / "results" / "k8s-pod-network-c-eth0").write_text(json.dumps(cached))

    def remove(self):
        for pod in self.pods.values():
            subprocess.run(["ip", "netns", "delete", pod], check=False)

    def set(self, check=False, **options):
        return self.base.module("mtu_set", check=check, **{"state_dir": str(self.state), "persistent": False, "probe_timeout": 0.5, **options})

    def twice(self, **options):
        """In check mode, for real, and again: what the second says, once all three agree."""
        foretold, done, again = self.set(check=True, **options), self.set(**options), self.set(**options)
        told = [results.get("changed", results.get("msg")) for results in (foretold, done, again)]
        assert told == [True, True, False]
        assert foretold["links"] == done["links"] and foretold["pods"] == done["pods"]
        return done

    @property
    def sizes(self):
        """The MTU of every link, as iproute2 tells it."""
        found = {link["ifname"]: link["mtu"] for link in json.loads(self.base.run("ip", "-json", "link", "show"))}
        for end, pod in self.pods.items():
            (link,) = json.loads(self.hops.within(pod, "ip", "-json", "link", "show", "eth0"))
            found[f"{end}:eth0"] = link["mtu"]
        return {name: mtu for name, mtu in found.items() if name not in ("lo", "other") and not name.startswith("tunl")}

    def all(self, nic, others):
        names = ("flannel.1", "vxlan.calico", "cni0", "cali0a", "veth0b", "cali0a:eth0", "veth0b:eth0")
        return {"eth0": nic, **dict.fromkeys(names, others)}

    def route(self, end):
        """What a route of a pod has as its MTU."""
        (route,) = json.loads(self.hops.within(self.pods[end], "ip", "-json", "-details", "route", "show", "192.0.2.0/24"))
        return route["metrics"][0]["mtu"]

    @property
    def timer(self):
        path = self.systemd / "timer"
        return path.read_text().split() if path.exists() else None

    def elapse(self):
        """What systemd does when the time is over: start the program, without anything of the collection."""
        dummy, *command = self.timer
        (self.systemd / "timer").unlink()
        words = ["ip", "netns", "exec", self.base.name, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *command]
        return subprocess.run(words, capture_output=True, text=True, check=True, cwd="/").stdout


@pytest.fixture
def host(hops):  # noqa: F811
    made = Host(hops)
    try:
        made.build()
        yield made
    finally:
        made.remove()


def ids(results):
    assert not results.get("failed"), results["msg"]
    return [finding["id"] for finding in results["findings"]]


@needs_root_netns
def test_everything_is_given_what_gets_through_and_put_back(host):
    host.hops.resize(1400)
    before = host.sizes
    assert before == host.all(1500, 1450)
    done = host.twice(peers=[FAR, ROUTER, "10.1.0.1"], pods="repair")
    assert host.sizes == host.all(1400, 1350)
    assert (done["mtu"], done["pod_mtu"]) == (1400, 1350)
    assert {(path["address"], path["mtu"]) for path in done["peers"]} == {(FAR, 1400), (ROUTER, 1400)}
    assert host.subnet.read_text().endswith("FLANNEL_MTU=1350\n") and host.felix.read_text() == "1350"
    assert host.route("cali0a") == 1350
    assert [(link["name"], link["overhead"], link["after"]) for link in done["links"] if link["role"] == "tunnel"] == [
        ("flannel.1", 50, 1350),
        ("vxlan.calico", 50, 1350),
    ]
    assert {pod["interface"]: (pod["pod"], pod["before"], pod["after"], pod["old"]) for pod in done["pods"]} == {
        "cali0a": ("shop/web-0", 1450, 1350, False),
        "veth0b": (None, 1450, 1350, False),
    }
    assert done["diff"]["before"]["eth0"] == {"mtu": 1500} and done["diff"]["after"]["cali0a:eth0"] == {"mtu": 1350}
    assert ids(done) == ["mtu-felix"]
    host.twice(state="restored")
    assert host.sizes == before and host.route("cali0a") == 1450
    assert host.subnet.read_text().endswith("FLANNEL_MTU=1450\n") and host.felix.read_text() == "1450"
    assert not host.state.exists()


@needs_root_netns
def test_check_mode_changes_nothing_and_tells_a_mixture(host):
    host.hops.resize(1400)
    before = host.sizes
    foretold = host.set(check=True, peers=[FAR, NEAR])
    assert foretold["changed"] and foretold["mtu"] == 1400
    assert host.sizes == before and not host.state.exists()
    assert {"mtu-mixture", "mtu-path-smaller", "mtu-pods-old"} <= set(ids(foretold))
    (mixture,) = [finding for finding in foretold["findings"] if finding["id"] == "mtu-mixture"]
    assert f"1500 to {NEAR}; 1400 to {FAR}" in mixture["evidence"]


@needs_root_netns
def test_a_hop_that_drops_without_a_word_is_found(host):
    host.hops.resize(1400)
    host.hops.silence()
    done = host.set(peers=[FAR], pods="repair")
    assert done["changed"] and done["mtu"] == 1400
    assert host.sizes == host.all(1400, 1350)


@needs_root_netns
def test_pods_are_listed_or_left(host):
    done = host.twice(mtu="1400", interfaces=["eth0"])
    assert host.sizes == {**host.all(1400, 1350), **dict.fromkeys(("cali0a", "cali0a:eth0", "veth0b", "veth0b:eth0"), 1450)}
    assert [pod["old"] for pod in done["pods"]] == [True, True]
    assert "mtu-pods-old" in ids(done)
    left = host.set(mtu="1400", interfaces=["eth0"], pods="leave")
    assert not left["changed"] and left["pods"] == [] and "mtu-pods-old" not in ids(left)
    host.twice(mtu="1400", interfaces=["eth0"], pods="repair")
    assert host.sizes == host.all(1400, 1350)
    host.set(state="restored")
    assert host.sizes == host.all(1500, 1450)


@needs_root_netns
def test_the_device_alone(host):
    host.base.config("10-calico.conflist", CALICO)
    done = host.set(mtu="1480", interfaces=["eth0"], overlay=False, pods="leave")
    assert done["changed"] and [link["name"] for link in done["links"] if link["before"] != link["after"]] == ["eth0"]
    assert done["pod_mtu"] == 1430
    assert host.sizes == host.all(1480, 1450)
    assert host.felix.read_text() == "1450"
    assert ids(done) == ["mtu-cni-config"]


@needs_root_netns
def test_growing_is_proved_at_once_or_put_back(host):
    before = host.sizes
    refused = host.set(mtu="9000", interfaces=["eth0"], peers=[NEAR], pods="repair")
    assert refused["failed"]
    assert f"packets of full size do not get through: {NEAR} gets 1500 of 9000 bytes" in refused["msg"]
    assert "everything was put back" in refused["msg"] and refused["peers"][0]["mtu"] == 1500
    assert host.sizes == before and not host.state.exists()
    assert host.subnet.read_text().endswith("FLANNEL_MTU=1450\n")


@needs_root_netns
def test_growing_in_two_phases(host):
    done = host.twice(mtu="9000", interfaces=["eth0"], peers=[FAR], pods="repair", watchdog_seconds=60)
    assert done["watchdog"]["armed"] and done["watchdog"]["unit"] == "podnet-mtu-watchdog"
    assert host.sizes == host.all(9000, 8950)
    refused = host.set(state="committed", peers=[FAR])
    assert refused["failed"] and "leave it to the timer" in refused["msg"] and host.timer is not None
    for name in (host.hops.router, host.hops.far):
        for link in ("node", "far", "eth0"):
            subprocess.run(["ip", "-netns", name, "link", "set", link, "mtu", "9000"], check=False, capture_output=True)
    kept = host.twice(state="committed", peers=[FAR])
    assert kept["peers"][0]["mtu"] == 9000
    assert (kept["diff"]["before"]["kept"], kept["diff"]["after"]["kept"]) == (False, True)
    assert host.timer is None and host.sizes == host.all(9000, 8950)
    host.twice(state="restored")
    assert host.sizes == host.all(1500, 1450) and not host.state.exists()


@needs_root_netns
def test_the_timer_heals_a_link_that_was_lost_without_the_collection(host):
    host.set(mtu="1480", interfaces=["eth0"])
    before, route = host.sizes, host.route("veth0b")
    host.set(mtu="1290", interfaces=["eth0"], overlay=False, pods="leave", watchdog_seconds=60)
    assert "mtu-felix" in ids(host.set(mtu="1300", interfaces=["eth0"], pods="repair"))
    assert host.sizes == host.all(1300, 1250) and host.route("veth0b") == 1250
    said = host.elapse()
    assert "the change was not kept in time: MTUs of eth0, " in said and "were put back\n" in said
    assert host.sizes == before and host.route("veth0b") == route
    assert host.subnet.read_text().endswith("FLANNEL_MTU=1430\n")
    refused = host.set(state="committed")
    assert refused["failed"] and "not kept in time" in refused["msg"] and "more watchdog_seconds" in refused["msg"]
    assert sorted(os.listdir(host.state)) == ["mtu-watchdog.log", "mtu.json"]
    host.set(state="restored")
    assert host.sizes == host.all(1500, 1450) and not host.state.exists()


@needs_root_netns
def test_a_tunnel_that_was_too_large_is_mended_and_cannot_be_put_back(host):
    host.base.ip("link set eth0 mtu 1400\n")
    done = host.twice(mtu="1400", interfaces=["eth0"], pods="repair")
    assert ids(done) == ["mtu-tunnel-too-large", "mtu-tunnel-too-large", "mtu-felix"]
    assert host.sizes == host.all(1400, 1350)
    assert host.set(state="restored")["changed"] and not host.state.exists()
    assert host.sizes == {**host.all(1400, 1450), "flannel.1": 1350, "vxlan.calico": 1350}


@needs_root_netns
def test_a_pod_that_ended_has_nothing_to_be_put_back(host):
    host.set(mtu="1400", interfaces=["eth0"], pods="repair", watchdog_seconds=60)
    subprocess.run(["ip", "netns", "delete", host.pods.pop("cali0a")], check=True)
    host.base.run("sh", "-c", "i=0; while [ -e /sys/class/net/cali0a ] && [ $i -lt 50 ]; do sleep 0.1; i=$((i+1)); done")
    host.set(state="committed")
    assert host.timer is None
    done = host.set(state="restored")
    assert done["changed"] and "cali0a" not in [link["name"] for link in done["links"]]
    assert host.sizes["veth0b:eth0"] == 1450 and not host.state.exists()


@needs_root_netns
def test_a_change_that_somebody_else_took_back_is_not_kept(host):
    host.set(mtu="1400", interfaces=["eth0"], watchdog_seconds=60)
    host.base.ip("link set vxlan.calico mtu 1300\n")
    refused = host.set(state="committed")
    assert refused["failed"] and "vxlan.calico has 1300 instead of 1350" in refused["msg"] and "Felix" in refused["msg"]
    assert host.timer is not None


@needs_root_netns
def test_a_peer_that_is_lost_is_told_and_everything_put_back(host):
    before = host.sizes
    rule = "add rule inet t i icmp type echo-request limit rate over 1/hour burst 2 packets drop"
    for words in ("add table inet t", "add chain inet t i { type filter hook forward priority 0; }", rule):
        host.hops.within(host.hops.router, "nft", words)
    refused = host.set(mtu="1400", interfaces=["eth0"], peers=[FAR], watchdog_seconds=60, probe_timeout=1.0)
    assert refused["failed"] and f"{FAR} does not answer pings any more" in refused["msg"] and "everything was put back" in refused["msg"]
    assert host.sizes == before and host.timer is None and not host.state.exists()


@needs_root_netns
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"interfaces": ["eth00"], "mtu": "1400"}, ["there is no 'eth00' on this host", "eth0"]),
        ({"interfaces": ["eth0"], "mtu": "1279"}, ["eth0 would get 1279 and lose its IPv6 addresses", "at least 1280"]),
        ({"interfaces": ["flannel.1"], "mtu": "1400"}, ["'flannel.1' is no device of a wire", "name the one below"]),
        ({"peers": ["10.2.0.9"]}, ["cannot be measured", "10.2.0.9", "or a number"]),
        ({"mtu": "1400", "interfaces": ["eth0"], "persistent": True}, ["nothing that is known here sets up eth0", "set persistent=false"]),
    ],
)
def test_what_cannot_be_is_refused_before_anything_changes(host, options, words):
    before = host.sizes
    refused = host.set(**options)
    assert refused["failed"]
    assert all(word in refused["msg"] for word in words), refused["msg"]
    assert host.sizes == before and not host.state.exists()


@needs_root_netns
def test_a_timer_that_cannot_be_had_leaves_everything_as_it_was(host):
    before = host.sizes
    (host.systemd / "broken").touch()
    refused = host.set(mtu="1400", interfaces=["eth0"], watchdog_seconds=60)
    assert refused["failed"] and "Failed to start transient timer unit" in refused["msg"]
    assert host.sizes == before and not host.state.exists()


@needs_root_netns
def test_a_bridge_without_ports_is_left(host):
    host.base.ip("link set veth0b nomaster\n")
    before = host.sizes["cni0"]
    done = host.twice(interfaces=["eth0"], mtu="1480")
    assert host.sizes["eth0"] == 1480 and host.sizes["cni0"] == before
    assert "cni0" not in {link["name"] for link in done["links"]}
