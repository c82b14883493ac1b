# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""offload_set on the real kernel, in network namespaces of its own."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from ansible_collections.podnet.cni.plugins.modules import offload_set
from ansible_collections.podnet.cni.tests.unit.fakes.node import node  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.podnet.cni.tests.unit.fakes.wire import INNER_PEER, PEER, wire  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.podnet.cni.tests.unit.plugins.modules.test_cni_switch import SYSTEMCTL, SYSTEMD_RUN

needs_root_netns = pytest.mark.needs_root_netns

OPTIONS = {"state": "present", "interfaces": ["eth0"], "features": {"tso": False}, "probe": None, "watchdog_seconds": 0}
PROBE = {"address": "10.0.0.1", "port": 80, "source": None, "bytes": 0, "timeout": 5.0, "ping": True}
GENERIC = "tx-checksum-ip-generic"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"interfaces": []}, ["interfaces", "state=present", "eth0"]),
        ({"features": {}}, ["features", "state=present", "tso: false"]),
        ({"features": {"tso": "maybe"}}, ["features: 'tso' is 'maybe'", "give true"]),
        ({"watchdog_seconds": 3}, ["watchdog_seconds: 3 is out of range", "10 to 86400", "0 to keep"]),
        ({"probe": {**PROBE, "address": "peer"}}, ["probe.address: 'peer'", "10.244.2.5"]),
        ({"probe": {**PROBE, "source": "eth0"}}, ["probe.source: 'eth0'"]),
        ({"probe": {**PROBE, "port": 0}}, ["probe.port: 0", "1 to 65535"]),
        ({"probe": {**PROBE, "timeout": 0.0}}, ["probe.timeout: 0.0"]),
        ({"probe": {**PROBE, "bytes": -1}}, ["probe.bytes: -1"]),
    ],
)
def test_bad_options_are_named_with_value_and_remedy(params, words):
    problem = offload_set.option_problem({**OPTIONS, **params})
    assert problem is not None
    assert all(word in problem for word in words), problem


def test_good_options():
    assert offload_set.option_problem(OPTIONS) is None
    assert offload_set.option_problem({**OPTIONS, "features": {"tso": "off", "gro": "on"}, "probe": PROBE}) is None
    assert offload_set.option_problem({**OPTIONS, "state": "committed", "interfaces": [], "features": {}}) is None


READ = """\
import json, sys
from ansible_collections.podnet.cni.plugins.module_utils._host import ethtool_ioctl
print(json.dumps(ethtool_ioctl.read(sys.argv[1])))
"""


class Host:
    """A node with a veth pair and a tunnel, and a systemd of its own."""

    def __init__(self, base):
        self.base = base
        base.options = {}
        self.systemd = base.folder / "systemd"
        self.systemd.mkdir()
        base.program("systemd-run", SYSTEMD_RUN.format(folder=self.systemd))
        base.program("systemctl", SYSTEMCTL.format(folder=self.systemd))
        self.state = base.folder / "podnet"

    def set(self, check=False, **options):
        return self.base.module("offload_set", check=check, **{"state_dir": str(self.state), "persistent": False, **options})

    def twice(self, **options):
        """In check mode, for real, and again: what the second says, once all three agree."""
        foretold, done, again = self.set(check=True, **options), self.set(**options), self.set(**options)
        told = [results.get("changed", results.get("msg")) for results in (foretold, done, again)]
        assert told == [True, True, False]
        return done

    def feature(self, device, name):
        """wanted, active, changeable, fixed, by the other of the kernel's two interfaces."""
        shown = self.base.run("env", f"PYTHONPATH={os.pathsep.join(path for path in os.sys.path if path)}", os.sys.executable, "-c", READ, device)
        return json.loads(shown)[name]

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
def host(node):  # noqa: F811
    made = Host(node)
    node.ip("link add eth0 type veth peer name far0\nlink add vx0 type vxlan id 7 dev eth0 dstport 4789\nlink set eth0 up\n")
    return made


@pytest.fixture
def behind(wire):  # noqa: F811
    made = Host(wire.node)
    made.wire = wire
    return made


def only(results):
    assert not results.get("failed"), results["msg"]
    (interface,) = results["interfaces"]
    return interface


@needs_root_netns
def test_a_feature_is_set_and_the_kernel_tells_what_went_with_it(host):
    done = host.twice(interfaces=["eth0"], features={"tx": False})
    assert host.feature("eth0", GENERIC)[:2] == [False, False]
    told = only(done)
    assert told["features"][GENERIC] == {"wanted": False, "active": False, "hw": True, "fixed": False}
    assert "tx-tcp-segmentation" in told["changed_by_kernel"]
    assert done["diff"]["before"]["eth0"][GENERIC] == "on"
    assert done["diff"]["after"]["eth0"][GENERIC] == "off"
    assert done["diff"]["after"]["eth0"]["tx-tcp-segmentation"] == "off (on is wanted)"


@needs_root_netns
def test_check_mode_changes_nothing(host):
    host.set(check=True, interfaces=["eth0"], features={"tx": False, "gro": True})
    assert host.feature("eth0", GENERIC)[:2] == [True, True]
    assert not host.state.exists()


@needs_root_netns
def test_several_devices_by_names_of_the_kernel_and_of_ethtool(host):
    done = host.twice(interfaces=["eth0", "vx0"], features={"tso": False, "rx-gro": False, "generic-segmentation-offload": False})
    assert [entry["name"] for entry in done["interfaces"]] == ["eth0", "vx0"]
    for device in ("eth0", "vx0"):
        for name in ("tx-tcp-segmentation", "tx-tcp6-segmentation", "rx-gro", "tx-generic-segmentation"):
            assert host.feature(device, name)[:2] == [False, False], (device, name)
    assert host.set(interfaces=["eth0"], features={"tx-udp_tnl-segmentation": False})["changed"]
    assert host.feature("eth0", "tx-udp_tnl-segmentation")[:2] == [False, False]


@needs_root_netns
@pytest.mark.parametrize(
    ("device", "features", "words"),
    [
        ("lo", {"tx": False}, [f"'tx' ({GENERIC}", "of lo is fixed: its driver has it on", "leave it out for lo"]),
        ("vx0", {"tx-udp_tnl-segmentation": True}, ["'tx-udp_tnl-segmentation' of vx0 is fixed: its driver has it off"]),
        ("eth0", {"lro": True}, ["'lro' (rx-lro) of eth0 is fixed: its driver has it off"]),
        ("eth0", {"tx-udp-tnl-segmentation": False}, ["'tx-udp-tnl-segmentation' is none that this kernel knows", "tx-udp_tnl-segmentation"]),
        ("eth00", {"tx": False}, ["there is no 'eth00' on this host", "eth0"]),
    ],
)
def test_what_cannot_be_set_is_refused_before_anything_changes(host, device, features, words):
    refused = host.set(interfaces=["eth0", device], features={"gro": True, **features})
    assert refused["failed"]
    assert all(word in refused["msg"] for word in words), refused["msg"]
    assert host.feature("eth0", "rx-gro")[:2] == [False, False]
    assert not host.state.exists()


@needs_root_netns
def test_what_is_fixed_as_wanted_is_no_error(host):
    assert not host.set(interfaces=["lo"], features={"tx": True, "lro": False})["changed"]


@needs_root_netns
def test_all_or_nothing_when_the_kernel_does_not_do_what_was_asked(host):
    host.set(interfaces=["eth0"], features={"tx": False})
    refused = host.set(interfaces=["vx0", "eth0"], features={"gro": True, "tso": False, "tx-udp-segmentation": True})
    assert refused["failed"]
    assert "eth0 does not have tx-udp-segmentation on" in refused["msg"] and "everything was put back" in refused["msg"]
    assert host.feature("vx0", "tx-tcp-segmentation")[:2] == [True, True]
    assert host.feature("eth0", "rx-gro")[:2] == [False, False]
    restored = host.set(state="restored")
    assert [entry["name"] for entry in restored["interfaces"]] == ["eth0"]


@needs_root_netns
def test_what_was_there_before_the_first_change_is_restored(host):
    host.set(interfaces=["eth0", "vx0"], features={"tx": False})
    host.set(interfaces=["eth0"], features={"tx": True, "gro": True})
    assert host.set(state="restored", interfaces=["vx0"])["changed"]
    assert host.feature("vx0", GENERIC)[:2] == [True, True]
    assert host.feature("eth0", "rx-gro")[:2] == [True, True]
    host.twice(state="restored")
    assert host.feature("eth0", "rx-gro")[:2] == [False, False]
    assert not host.state.exists()


@needs_root_netns
def test_a_device_that_is_gone_has_nothing_to_be_restored(host):
    host.set(interfaces=["vx0"], features={"tx": False})
    host.base.ip("link delete vx0\n")
    done = host.set(state="restored")
    assert done["changed"] and done["interfaces"] == []
    assert not host.state.exists()


@needs_root_netns
def test_a_change_that_is_kept(host):
    done = host.twice(interfaces=["eth0"], features={"tx": False}, watchdog_seconds=60)
    assert done["watchdog"]["armed"] and done["watchdog"]["unit"] == "podnet-offload-watchdog"
    kept = host.twice(state="committed")
    assert not kept["watchdog"]["armed"]
    assert (kept["diff"]["before"]["kept"], kept["diff"]["after"]["kept"]) == (False, True)
    assert host.timer is None
    assert host.feature("eth0", GENERIC)[:2] == [False, False]
    host.twice(state="restored")
    assert host.feature("eth0", GENERIC)[:2] == [True, True]


@needs_root_netns
def test_the_timer_puts_back_what_was_not_kept_without_the_collection(host):
    host.set(interfaces=["eth0"], features={"gro": True})
    host.set(interfaces=["eth0", "vx0"], features={"tx": False}, watchdog_seconds=60)
    host.set(interfaces=["vx0"], features={"tso": False})
    said = host.elapse()
    assert "the change was not kept in time: features of eth0, vx0 were put back" in said
    assert host.feature("eth0", GENERIC)[:2] == [True, True]
    assert host.feature("vx0", "tx-tcp-segmentation")[:2] == [True, True]
    assert host.feature("eth0", "rx-gro")[:2] == [True, True], "that was kept before"
    refused = host.set(state="committed")
    assert refused["failed"] and "not kept in time" in refused["msg"] and "more watchdog_seconds" in refused["msg"]
    assert sorted(os.listdir(host.state)) == ["offload-watchdog.log", "offload.json"]
    host.set(state="restored")
    assert host.feature("eth0", "rx-gro")[:2] == [False, False]
    assert not host.state.exists()


@needs_root_netns
def test_a_change_that_a_restart_has_ended_is_not_kept(host):
    host.set(interfaces=["eth0"], features={"tx": False}, watchdog_seconds=60)
    host.base.ip("link delete eth0\nlink add eth0 type veth peer name far0\n")
    refused = host.set(state="committed")
    assert refused["failed"] and "not in force any more" in refused["msg"]
    assert host.timer is not None


@needs_root_netns
def test_restoring_ends_the_timer_too(host):
    host.set(interfaces=["eth0", "vx0"], features={"tx": False}, watchdog_seconds=60)
    host.set(state="restored", interfaces=["vx0"])
    assert host.timer is not None
    host.set(state="restored")
    assert host.timer is None and not host.state.exists()


@needs_root_netns
def test_a_timer_that_cannot_be_had_leaves_everything_as_it_was(host):
    (host.systemd / "broken").touch()
    refused = host.set(interfaces=["eth0"], features={"tx": False}, watchdog_seconds=60)
    assert refused["failed"] and "Failed to start transient timer unit" in refused["msg"]
    assert host.feature("eth0", GENERIC)[:2] == [True, True]
    assert not host.state.exists()


@needs_root_netns
def test_what_nothing_of_this_host_can_make_persistent_is_refused(host):
    refused = host.set(interfaces=["eth0"], features={"tx": False}, persistent=True)
    assert refused["failed"] and "persistent: " in refused["msg"] and "set persistent=false" in refused["msg"]
    assert host.feature("eth0", GENERIC)[:2] == [True, True]


def probe(address=PEER, **options):
    return {"address": address, "port": 9, "timeout": 0.6, **options}


@needs_root_netns
def test_broken_checksums_are_found_and_only_the_feature_that_helps_is_turned_off(behind):
    options = {"interfaces": ["eth0"], "features": {"gso": False, "tx": False}, "probe": probe()}
    foretold = behind.set(check=True, **options)
    assert foretold["changed"] and foretold["probe"] == {"works": False, "detail": "no connection within 0.6 s", "tried": []}
    assert behind.feature("eth0", GENERIC)[:2] == [True, True]
    done = behind.set(**options)
    assert only(done)["features"] == {
        GENERIC: {"wanted": False, "active": False, "hw": True, "fixed": False},
        "tx-checksum-sctp": {"wanted": False, "active": False, "hw": True, "fixed": False},
    }
    assert [(trial["feature"], trial["helped"]) for trial in done["probe"]["tried"]] == [("gso", False), ("tx", True)]
    assert behind.feature("eth0", "tx-generic-segmentation")[:2] == [True, True]
    again = behind.set(**options)
    assert not again["changed"] and again["probe"]["works"]
    behind.set(state="restored")
    assert behind.feature("eth0", GENERIC)[:2] == [True, True]


@needs_root_netns
def test_broken_checksums_in_a_tunnel_are_mended_on_the_tunnel_alone(behind):
    options = {"interfaces": ["vx0", "eth0"], "features": {"gro": True, "tx": False}, "probe": probe(INNER_PEER, timeout=1.5), "watchdog_seconds": 60}
    done = behind.set(**options)
    tried = [(trial["interface"], trial["feature"], trial["helped"]) for trial in done["probe"]["tried"]]
    assert tried == [("vx0", "tx", True)], "GRO of a tunnel is on already"
    assert behind.feature("vx0", GENERIC)[:2] == [False, False]
    assert behind.feature("eth0", GENERIC)[:2] == [True, True]
    assert done["watchdog"]["armed"]
    behind.set(state="committed")
    assert not behind.set(**options)["changed"]
    record = json.loads((behind.state / "offload.json").read_text())
    assert list(record) == ["vx0"]


LISTENER = """\
import socket, sys
server = socket.create_server((sys.argv[1], 9))
print("ready", flush=True)
while True:
    connection, address = server.accept()
    while connection.recv(65536):
        pass
"""


@needs_root_netns
def test_a_payload_has_to_get_through_as_well(behind):
    command = ["ip", "netns", "exec", behind.wire.peer, os.sys.executable, "-c", LISTENER, PEER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
        try:
            assert listener.stdout.readline() == "ready\n"
            # What is larger than a packet does not get over the wire either.
            done = behind.set(interfaces=["eth0"], features={"tso": False, "tx": False}, probe=probe(bytes=50000, timeout=2.0))
        finally:
            listener.terminate()
    assert [(trial["feature"], trial["helped"]) for trial in done["probe"]["tried"]] == [("tso", False), ("tx", True)]
    assert done["probe"]["tried"][1]["detail"] == "connected, 50000 bytes were taken"


@needs_root_netns
def test_what_does_not_help_is_put_back(behind):
    behind.wire.in_peer(
        "nft", "add table inet podnet; add chain inet podnet i { type filter hook input priority 0; }; add rule inet podnet i tcp dport 9 drop"
    )
    refused = behind.set(interfaces=["eth0", "vx0"], features={"tx": False, "gro": True}, probe=probe(), watchdog_seconds=60)
    assert refused["failed"]
    assert f"port 9 of {PEER} answers pings only, and none of tx of eth0, gro of eth0, tx of vx0 is why; everything was put back" in refused["msg"]
    assert len(refused["probe"]["tried"]) == 3
    for device in ("eth0", "vx0"):
        assert behind.feature(device, GENERIC)[:2] == [True, True]
    assert behind.timer is None and not behind.state.exists()


@needs_root_netns
def test_a_peer_that_is_not_there_says_nothing_about_features(behind):
    behind.wire.in_peer("ip", "link", "set", "eth0", "down")
    refused = behind.set(interfaces=["eth0"], features={"tx": False}, probe=probe())
    assert refused["failed"] and "neither a ping nor TCP" in refused["msg"] and "look at routes and firewalls" in refused["msg"]
    refused = behind.set(interfaces=["eth0"], features={"gso": False}, probe=probe(ping=False))
    assert refused["failed"] and "none of gso of eth0 is why" in refused["msg"]
    behind.set(interfaces=["eth0"], features={"tx": False})
    refused = behind.set(interfaces=["eth0"], features={"tx": False}, probe=probe(ping=False))
    assert refused["failed"] and "with all features as given; give others" in refused["msg"]
