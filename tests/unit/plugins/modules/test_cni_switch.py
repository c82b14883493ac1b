# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import guard_routes
from ansible_collections.podnet.cni.plugins.modules import cni_switch
from ansible_collections.podnet.cni.tests.unit.fakes import node as fake
from ansible_collections.podnet.cni.tests.unit.fakes.node import flannel_node, node  # noqa: F401  # pylint: disable=unused-import

needs_root_netns = pytest.mark.needs_root_netns

GUARDS = ["10.244.1.0/27", "10.244.1.32/27"]
SYSTEMD_RUN = """\
#!/bin/sh
[ -e {folder}/broken ] && {{ echo 'Failed to start transient timer unit' >&2; exit 1; }}
for word in "$@"; do case "$word" in --on-active=*) seconds=${{word#--on-active=}};; --*) ;; *) command="$command $word";; esac; done
echo "${{seconds%s}} $command" > {folder}/timer
"""
SYSTEMCTL = """\
#!/bin/sh
case "$1" in
show)
  if [ -e {folder}/timer ]; then
    read -r seconds rest < {folder}/timer
    up=$(python3 -c 'import time; print(int(time.monotonic()))')
    printf 'ActiveState=active\\nNextElapseUSecMonotonic=%dmin %ds\\n' $(( (up + seconds) / 60 )) $(( (up + seconds) % 60 ))
  else
    printf 'ActiveState=inactive\\nNextElapseUSecMonotonic=\\n'
  fi;;
stop) rm -f {folder}/timer;;
esac
"""
DEFAULTS = {"guard_routes": [], "reserved_addresses": [], "tunnel_address": None, "watchdog_seconds": 120, "settle_seconds": 15}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"guard_routes": ["10.244.1.0/27", "10.244.1.5/27"]}, ["guard_routes[1]", "10.244.1.5/27", "give its first address"]),
        ({"tunnel_address": "last"}, ["tunnel_address", "'last'", "10.244.1.253"]),
        ({"reserved_addresses": ["pod"]}, ["reserved_addresses[0]", "'pod'", "10.244.1.7"]),
        ({"watchdog_seconds": 5}, ["watchdog_seconds", "5", "10 to 86400"]),
        ({"settle_seconds": -1}, ["settle_seconds", "-1", "0 or more"]),
    ],
)
def test_bad_options_are_named_with_value_and_remedy(params, words):
    problem = cni_switch.option_problem({**DEFAULTS, **params})
    assert problem is not None
    assert all(word in problem for word in words)


class Machine:
    """A node with Flannel active, Calico's configuration beside it, and a systemd of its own."""

    def __init__(self, base):
        self.base = base
        base.flannel_files()
        base.flannel_kernel()
        base.plugin("calico", "calico-ipam", "portmap")
        base.config("99-podnet-calico.conflist", fake.CALICO)
        self.folder = base.folder / "systemd"
        self.folder.mkdir()
        base.program("systemd-run", SYSTEMD_RUN.format(folder=self.folder))
        base.program("systemctl", SYSTEMCTL.format(folder=self.folder))
        self.state = base.folder / "podnet"

    def switch(self, state, check=False, **options):
        return self.base.module("cni_switch", check=check, **{"state": state, "state_dir": str(self.state), "settle_seconds": 0, **options})

    @property
    def timer(self):
        path = self.folder / "timer"
        return path.read_text().split(" ", 1) if path.exists() else None

    def fire(self):
        assert self.timer is not None
        command = shlex.split(self.timer[1])
        (self.folder / "timer").unlink()
        self.base.run(*command)

    def guards(self):
        routes = json.loads(self.base.run("ip", "-json", "route", "show", "dev", "cni0"))
        return [route["dst"] for route in routes if route.get("metric") == guard_routes.METRIC]

    def helpers(self):
        """Helper files of the switch; the record of the bridge stays until the end of all."""
        return sorted(set(os.listdir(self.state)) - {cni_switch.BRIDGE_RECORD}) if self.state.exists() else []

    def bridge(self):
        """Whether the bridge answers for others, and after how long at most."""
        files = ["/proc/sys/net/ipv4/conf/cni0/proxy_arp", "/proc/sys/net/ipv4/neigh/cni0/proxy_delay"]
        return self.base.run("cat", *files).split()

    def calico_pod(self, address):
        self.base.ip(f"link add cali123 type veth peer name pod123\nlink set cali123 up\nroute add {address}/32 dev cali123 scope link\n")


@pytest.fixture
def machine(node):  # noqa: F811
    return Machine(node)


FLANNEL_ONLY = ["10-flannel.conflist", "99-podnet-calico.conflist"]
SWITCHED = ["10-calico.conflist", *FLANNEL_ONLY]


@needs_root_netns
def test_prepared_adds_guard_routes_that_routers_do_not_learn(machine):
    predicted = machine.switch("prepared", check=True, guard_routes=GUARDS)
    assert predicted["guard_routes"]["added"] == GUARDS and machine.guards() == []
    done = machine.switch("prepared", guard_routes=GUARDS)
    assert done["changed"] and done["guard_routes"] == predicted["guard_routes"]
    assert machine.guards() == GUARDS
    assert "10.244.1.32/27 proto kernel scope link metric 27127" in machine.base.run("ip", "route", "show", "dev", "cni0")
    again = machine.switch("prepared", guard_routes=GUARDS)
    assert not again["changed"] and again["active_after"] == "flannel"


@needs_root_netns
def test_the_bridge_answers_for_pods_that_are_not_on_it_until_the_end(machine):
    before = machine.bridge()
    assert before[0] == "0"
    assert machine.switch("prepared", check=True)["changed"]
    assert machine.bridge() == before and not machine.state.exists()
    assert machine.switch("prepared")["changed"]
    assert machine.bridge() == ["1", "0"]
    assert not machine.switch("prepared")["changed"]
    assert machine.switch("absent", check=True)["changed"]
    assert machine.bridge() == ["1", "0"]
    assert machine.switch("absent")["changed"]
    assert machine.bridge() == before and not machine.state.exists()


@needs_root_netns
def test_a_bridge_that_is_gone_is_no_reason_to_fail_at_the_end(machine):
    machine.switch("prepared")
    machine.base.run("ip", "link", "delete", "cni0")
    assert machine.switch("absent")["changed"]
    assert not machine.state.exists()


@needs_root_netns
def test_prepared_has_nothing_to_do_without_a_bridge(machine):
    machine.base.run("ip", "link", "delete", "cni0")
    done = machine.switch("prepared", guard_routes=GUARDS)
    assert not done["changed"] and "no cni0" in done["guard_routes"]["skipped"]


@needs_root_netns
def test_prepared_makes_the_bridge_as_flannels_plugin_would(machine):
    machine.base.run("ip", "link", "delete", "cni0")
    options = {"create_bridge": True, "guard_routes": GUARDS, "flannel_run_dir": str(machine.base.folder / "run")}
    assert machine.switch("prepared", check=True, **options)["changed"]
    assert machine.base.run("ip", "-brief", "link", "show", "type", "bridge") == ""
    assert machine.switch("prepared", **options)["changed"]
    link = json.loads(machine.base.run("ip", "-json", "-details", "address", "show", "dev", "cni0"))[0]
    assert (link["mtu"], link["address"]) == (1450, "0a:58:0a:f4:01:01")
    assert {"local": "10.244.1.1", "prefixlen": 24, "broadcast": "10.244.1.255"}.items() <= link["addr_info"][0].items()
    machine.base.ip("link add veth1 address 02:00:00:00:00:01 type veth peer name pod1\nlink set veth1 master cni0\nlink set veth1 up\n")
    assert "0a:58:0a:f4:01:01" in machine.base.run("ip", "-brief", "link", "show", "dev", "cni0")
    assert machine.guards() == GUARDS
    assert not machine.switch("prepared", **options)["changed"]


@needs_root_netns
def test_no_bridge_is_made_before_flanneld_has_said_which_addresses_it_has(machine):
    machine.base.run("ip", "link", "delete", "cni0")
    refused = machine.switch("prepared", create_bridge=True, flannel_run_dir=str(machine.base.folder / "nothing"))
    assert all(word in refused["msg"] for word in ("create_bridge", "nothing/subnet.env", "wait until flanneld is Ready"))


@needs_root_netns
def test_prepared_releases_what_calicos_plugins_hold_for_pods_that_are_gone(machine):
    path = machine.base.attachment(fake.CALICO, "10.244.1.9", ["cali123"], "c" * 64)
    machine.calico_pod("10.244.1.9")
    assert machine.switch("prepared")["released"] == []
    machine.base.run("ip", "link", "delete", "cali123")
    done = machine.switch("prepared")
    assert done["released"] == ["10.244.1.9"] and not path.exists()


@needs_root_netns
def test_absent_takes_away_what_a_removal_of_calico_had_begun(machine):
    machine.base.ip("route delete 10.244.4.0/26 via 172.30.1.13 dev eth0 proto bird\n")
    machine.base.module("calico_remove", state="bypassed", flannel_run_dir=str(machine.base.folder / "run"))
    assert "10.244.2.0/27 via" in machine.base.run("ip", "route")
    done = machine.switch("absent")
    assert "10.244.2.0/27" in done["guard_routes"]["removed"]
    assert "/27" not in machine.base.run("ip", "route")


@needs_root_netns
def test_the_whole_way_and_its_end(machine):
    predicted = machine.switch("calico", check=True, guard_routes=GUARDS)
    assert machine.base.configs() == FLANNEL_ONLY and machine.timer is None
    done = machine.switch("calico", guard_routes=GUARDS)
    assert done["changed"] and machine.base.configs() == SWITCHED
    for key in ("active_before", "active_after", "config_file", "guard_routes", "changed"):
        assert predicted[key] == done[key]
    assert (done["active_before"], done["active_after"]) == ("flannel", "calico")
    assert done["watchdog"]["armed"] and 100 < done["watchdog"]["seconds_left"] <= 120
    assert machine.helpers() == ["cni-switch.json", "cni-watchdog.sh"]
    renewed = machine.switch("calico", guard_routes=GUARDS, watchdog_seconds=600)
    assert not renewed["changed"] and machine.timer[0] == "600"
    assert "was not kept yet" in machine.switch("absent")["msg"]
    kept = machine.switch("committed")
    assert kept["changed"] and machine.timer is None and machine.helpers() == []
    assert not machine.switch("committed")["changed"]
    again = machine.switch("calico", guard_routes=GUARDS)
    assert not again["changed"] and machine.timer is None
    ended = machine.switch("absent")
    assert ended["changed"] and ended["guard_routes"]["removed"] == GUARDS and machine.guards() == []
    assert machine.base.configs() == ["10-calico.conflist", "10-flannel.conflist"]
    assert not machine.switch("absent")["changed"]


@needs_root_netns
def test_the_timer_goes_back_and_keeps_addresses_of_calicos_pods(machine):
    machine.switch("calico")
    machine.calico_pod("10.244.1.70")
    machine.fire()
    assert machine.base.configs() == FLANNEL_ONLY
    assert machine.helpers() == ["cni-watchdog.log"]
    leases = machine.base.folder / "cni" / "networks" / "cbr0"
    assert (leases / "10.244.1.70").read_bytes() == b"podnet-calico-pod\r\neth0"
    refused = machine.switch("committed")
    assert refused["failed"]
    assert all(word in refused["msg"] for word in ("that of 'flannel'", "was not kept in time", "run state=calico again".capitalize()))
    assert machine.switch("calico")["host_local_addresses"] == []
    assert machine.helpers() == ["cni-switch.json", "cni-watchdog.sh"]
    assert machine.switch("committed")["changed"]
    assert not (leases / "10.244.1.70").exists() and machine.helpers() == []


@needs_root_netns
def test_flannel_undoes_it_before_and_after_it_was_kept(machine):
    machine.switch("calico")
    predicted = machine.switch("flannel", check=True)
    undone = machine.switch("flannel")
    assert undone["changed"] and undone["active_after"] == predicted["active_after"] == "flannel"
    assert machine.base.configs() == FLANNEL_ONLY and machine.timer is None and machine.helpers() == []
    assert not machine.switch("flannel")["changed"]
    machine.switch("calico")
    machine.switch("committed")
    machine.calico_pod("10.244.1.70")
    assert machine.switch("flannel")["changed"]
    assert (machine.base.folder / "cni" / "networks" / "cbr0" / "10.244.1.70").exists()
    assert not machine.switch("flannel")["changed"]


@needs_root_netns
def test_flannel_keeps_calicos_only_configuration(machine):
    machine.base.config("05-calico.conflist", fake.CALICO)
    (machine.base.folder / "net.d" / "99-podnet-calico.conflist").unlink()
    assert machine.switch("flannel")["changed"]
    assert machine.base.configs() == FLANNEL_ONLY


@needs_root_netns
def test_flannel_refuses_when_there_is_none(machine):
    machine.switch("calico")
    (machine.base.folder / "net.d" / "10-flannel.conflist").unlink()
    assert "no configuration of Flannel's to go back to" in machine.switch("flannel")["msg"]
    assert machine.timer is not None


@needs_root_netns
def test_refuses_what_would_leave_pods_without_a_network(machine):
    net_d = machine.base.folder / "net.d"
    source = net_d / "99-podnet-calico.conflist"
    content = source.read_text()
    source.unlink()
    assert "source: there is no" in machine.switch("calico")["msg"]
    source.write_text("{")
    assert "no JSON" in machine.switch("calico")["msg"]
    source.write_text(json.dumps(fake.FLANNEL))
    assert "it is a configuration of 'flannel'" in machine.switch("calico")["msg"]
    source.write_text(json.dumps({**fake.CALICO, "plugins": [{"type": "calico", "kubernetes": {"kubeconfig": "/nowhere/config"}}]}))
    assert "/nowhere/config" in machine.switch("calico")["msg"]
    source.write_text(content)
    (machine.base.folder / "bin" / "calico-ipam").unlink()
    assert "has no calico-ipam" in machine.switch("calico")["msg"]
    machine.base.plugin("calico-ipam")
    machine.base.config("00-first.conf", {"name": "x", "type": "ptp"})
    assert "is that of 'other'" in machine.switch("calico")["msg"]
    (net_d / "00-first.conf").write_text("{")
    assert "sorts before" in machine.switch("calico")["msg"]
    (net_d / "00-first.conf").unlink()
    (machine.folder / "broken").touch()
    assert "Failed to start transient timer unit" in machine.switch("calico")["msg"]
    assert machine.base.configs() == FLANNEL_ONLY and machine.helpers() == []
    (machine.folder / "broken").unlink()
    net_d.joinpath("10-calico.conf").write_text(json.dumps(fake.FLANNEL["plugins"][0] | {"name": "cbr0"}))
    assert machine.switch("calico")["config_file"].endswith("00-podnet-calico.conflist")


@needs_root_netns
def test_refuses_while_calico_could_give_away_the_address_of_a_running_pod(machine):
    machine.base.ip("link add veth5 type veth peer name pod5\nlink set veth5 master cni0\n")
    machine.base.pod("10.244.1.5", "veth5")
    machine.base.pod("10.244.1.6", "vethgone", container="f" * 64)
    refused = machine.switch("calico")
    assert "10.244.1.5 belong to running pods" in refused["msg"] and "10.244.1.6" not in refused["msg"]
    assert re.search(r"`crictl stopp [0-9a-f]{13}` on the node", refused["msg"])
    done = machine.switch("calico", reserved_addresses=["10.244.1.5"])
    assert done["changed"] and done["host_local_addresses"] == ["10.244.1.5", "10.244.1.6"]


@needs_root_netns
def test_absent_gives_calicos_configuration_its_usual_name(machine):
    net_d = machine.base.folder / "net.d"
    machine.base.config("10-calico.conf", {"name": "cbr0", "type": "flannel"})
    machine.switch("calico")
    machine.switch("committed")
    (net_d / "10-calico.conf").unlink()
    (net_d / "10-flannel.conflist").unlink()
    predicted = machine.switch("absent", check=True)
    done = machine.switch("absent")
    assert machine.base.configs() == ["10-calico.conflist"]
    assert done["config_file"] == predicted["config_file"] == str(net_d / "10-calico.conflist")


@needs_root_netns
def test_absent_refuses_to_cut_pods_off(machine):
    machine.switch("prepared", guard_routes=GUARDS)
    machine.base.ip("link add veth5 type veth peer name pod5\nlink set veth5 master cni0\nroute add blackhole 10.244.1.0/26 proto bird\n")
    refused = machine.switch("absent")
    assert all(word in refused["msg"] for word in ("1 pods are still on cni0", "10.244.1.0/27", "restart these pods"))
    machine.base.run("ip", "link", "delete", "veth5")
    assert machine.switch("absent")["guard_routes"]["removed"] == GUARDS


@needs_root_netns
def test_committed_releases_what_flannels_plugins_hold_for_pods_that_are_gone(machine):
    machine.switch("calico")
    machine.base.pod("10.244.1.5", "vethgone")
    calls = machine.base.folder / "calls"
    for name in ("flannel", "portmap"):
        program = machine.base.folder / "bin" / name
        program.write_text(f'#!/bin/sh\necho "{name} $CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $(cat)" >> {calls}\n')
    kept = machine.switch("committed")
    assert kept["released"] == ["10.244.1.5"]
    first, second = calls.read_text().splitlines()
    assert first.startswith(f"portmap DEL {fake.CONTAINER} eth0 ") and second.startswith(f"flannel DEL {fake.CONTAINER} eth0 ")
    given = json.loads(first.split(" ", 4)[4])
    assert given["runtimeConfig"]["portMappings"][0]["hostPort"] == 8080
    assert (given["name"], given["cniVersion"], "capabilities" in given) == ("cbr0", "0.3.1", False)
    assert os.listdir(machine.base.folder / "cni" / "results") == []
    assert machine.switch("committed")["released"] == []


@needs_root_netns
def test_committed_does_not_fail_when_a_plugin_does(machine):
    machine.switch("calico")
    machine.base.pod("10.244.1.5", "vethgone")
    (machine.base.folder / "bin" / "portmap").write_text('#!/bin/sh\necho \'{"msg": "broken"}\'; exit 1\n')
    kept = machine.switch("committed")
    assert kept["changed"] and kept["released"] == [] and machine.timer is None
    assert "broken" in str(kept["warnings"]), kept["warnings"]


@needs_root_netns
def test_after_a_restart_of_the_node_the_timer_is_armed_again(machine):
    machine.switch("calico")
    (machine.folder / "timer").unlink()  # transient units do not survive
    predicted = machine.switch("calico", check=True, watchdog_seconds=300)
    assert predicted["changed"] and predicted["watchdog"]["armed"] and machine.timer is None
    again = machine.switch("calico", watchdog_seconds=300)
    assert again["changed"] and again["watchdog"]["armed"] and machine.timer[0] == "300"
    machine.fire()
    assert machine.base.configs() == FLANNEL_ONLY


@needs_root_netns
def test_without_a_timer_the_change_stays_and_is_kept_all_the_same(machine):
    predicted = machine.switch("calico", check=True, watchdog_seconds=0)
    done = machine.switch("calico", watchdog_seconds=0)
    assert done["changed"] and not done["watchdog"]["armed"] and not predicted["watchdog"]["armed"] and machine.timer is None
    assert machine.base.configs() == SWITCHED
    assert not machine.switch("calico", watchdog_seconds=0)["changed"] and machine.timer is None
    assert "was not kept yet" in machine.switch("absent")["msg"]
    assert machine.switch("committed")["changed"] and machine.helpers() == []


@needs_root_netns
def test_a_pod_that_is_just_ending_is_waited_for(machine):
    machine.base.ip("link add veth5 type veth peer name pod5\nlink set veth5 master cni0\n")
    machine.base.pod("10.244.1.5", "veth5")
    with subprocess.Popen(["sh", "-c", f"sleep 1; exec ip netns exec {machine.base.name} ip link delete veth5"]) as ending:
        done = machine.switch("calico", settle_seconds=20)
    assert ending.returncode == 0
    assert done["changed"] and done["active_after"] == "calico" and done["host_local_addresses"] == ["10.244.1.5"]


@needs_root_netns
def test_bad_options_end_the_module(machine):
    assert machine.switch("calico", watchdog_seconds=5)["msg"].startswith("watchdog_seconds: 5 is out of range")
    assert machine.switch("calico", watchdog_seconds=5)["failed"] and machine.base.configs() == FLANNEL_ONLY


@needs_root_netns
def test_prepared_keeps_the_address_of_the_tunnel_and_never_that_of_a_pod(machine):
    assert machine.switch("prepared", check=True, tunnel_address="10.244.1.253")["changed"]
    assert machine.switch("prepared", tunnel_address="10.244.1.253")["changed"]
    assert not machine.switch("prepared", tunnel_address="10.244.1.253")["changed"]
    kept = next(path for path in machine.base.folder.rglob("10.244.1.253"))
    assert kept.read_bytes() == b"podnet-calico-tunnel\r\neth0"
    kept.write_bytes(b"a" * 64 + b"\r\neth0")
    refused = machine.switch("prepared", tunnel_address="10.244.1.253")
    assert all(word in refused["msg"] for word in ("tunnel_address: '10.244.1.253'", "that of a pod", "choose another one"))


@needs_root_netns
def test_absent_lets_flannel_have_the_address_of_a_tunnel_once_that_is_gone(machine):
    machine.switch("prepared", tunnel_address="10.244.1.253")
    kept = next(path for path in machine.base.folder.rglob("10.244.1.253"))
    machine.base.ip("link add vxlan.calico type vxlan id 4096 dstport 4789\n")
    machine.switch("absent")
    assert kept.exists()
    machine.base.ip("link delete vxlan.calico\n")
    assert machine.switch("absent", check=True)["changed"]
    assert kept.exists()
    assert machine.switch("absent")["diff"]["after"]["changes"] == ["let Flannel have 10.244.1.253 of Calico's tunnel"]
    assert not kept.exists()
    assert not machine.switch("absent")["changed"]
