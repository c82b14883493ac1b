# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""offload_set on a host in a folder, with a kernel that does as it is told: what lasts, and when."""

from __future__ import annotations

import errno
import os
import sys

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import ethtool, tcp_probe, two_phases
from ansible_collections.podnet.cni.plugins.modules import offload_set
from ansible_collections.podnet.cni.tests.unit.fakes import documentation
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils.host.test_offload_persistence import FEATURES, Host


class Machine(Host):
    """With devices of its own."""

    def __init__(self, root, monkeypatch):
        super().__init__(root, monkeypatch)
        self.devices = {"eth0": dict(FEATURES)}
        self.reached_without = None
        self.state = root / "state"
        self.programs["systemd-run"] = ""
        monkeypatch.setattr(ethtool, "read", self.read)
        monkeypatch.setattr(ethtool, "write", self.set)
        monkeypatch.setattr(tcp_probe, "connect", self.connect)
        monkeypatch.setattr(tcp_probe, "ping", lambda peer: True)
        monkeypatch.setattr(offload_set.socket, "if_nameindex", lambda: list(enumerate(self.devices, start=1)))

    def read(self, interface):
        if interface not in self.devices:
            raise OSError(errno.ENODEV, "No such device")
        return dict(self.devices[interface])

    def set(self, interface, values):
        self.read(interface)
        for name, value in values.items():
            self.devices[interface][name] = self.devices[interface][name]._replace(wanted=value, active=value)

    def connect(self, peer):
        works = self.reached_without is not None and not self.devices["eth0"][self.reached_without].active
        return tcp_probe.Answer(works, "connected" if works else "no connection")

    def active(self, name="tx-checksum-ip-generic"):
        return self.devices["eth0"][name].active

    def run_module(self, check=False, **options):
        given = {"state": "present", "interfaces": [], "features": {}, "probe": None, "persistent": True, "watchdog_seconds": 0}
        if not options.get("state"):
            given.update(interfaces=["eth0"], features={"tx": False})
        results = offload_set.Setter({**given, "state_dir": str(self.state), **options}, check, self.root).run()
        documentation.check_results("offload_set", results, complete=True)
        return results


@pytest.fixture
def machine(tmp_path, monkeypatch):
    made = Machine(tmp_path, monkeypatch)
    made.device()
    return made


PEER = {"address": "192.0.2.1", "port": 80, "source": None, "bytes": 0, "timeout": 1.0, "ping": True}


def test_it_lasts_and_is_put_back_as_a_whole(machine):
    foretold = machine.run_module(check=True)
    assert foretold["changed"] and not machine.link.exists() and machine.active()
    done = machine.run_module()
    assert done["interfaces"][0]["persistent_in"] == foretold["interfaces"][0]["persistent_in"] == [str(machine.link)]
    assert done["diff"] == foretold["diff"]
    assert machine.link.exists() and not machine.active()
    assert not machine.run_module()["changed"]
    assert machine.run_module(state="restored")["interfaces"][0]["persistent_in"] == [str(machine.link)]
    assert not machine.link.exists() and machine.active() and not machine.state.exists()


def test_what_is_in_force_already_is_made_to_last(machine):
    machine.run_module(persistent=False)
    assert not machine.link.exists()
    assert machine.run_module()["changed"]
    assert machine.link.exists()
    assert not machine.run_module(persistent=False)["changed"]
    assert machine.link.exists(), "that is left as it is"


def test_nothing_lasts_before_it_is_kept(machine):
    done = machine.run_module(watchdog_seconds=60)
    assert machine.ran[-2].startswith("systemd-run --unit=podnet-offload-watchdog --on-active=60s")
    assert machine.ran[-2].endswith(f"{sys.executable} {machine.state}/offload-watchdog.pyz {machine.state}")
    assert done["interfaces"][0]["persistent_in"] == [str(machine.link)] and not machine.link.exists()
    assert not machine.run_module(watchdog_seconds=60)["changed"]
    foretold = machine.run_module(state="committed", check=True)
    assert foretold["changed"] and not machine.link.exists()
    machine.run_module(state="committed")
    assert machine.link.exists()
    assert not machine.run_module(watchdog_seconds=60)["changed"]
    assert not machine.run_module(state="committed")["changed"]
    machine.run_module(state="restored")
    assert machine.active() and not machine.link.exists()


def test_what_joins_a_change_that_waits_lasts_with_it(machine):
    machine.run_module(watchdog_seconds=60, persistent=False)
    machine.run_module(features={"tx": False})
    machine.run_module(features={"gro": False})
    assert not machine.link.exists()
    machine.run_module(state="committed")
    assert "TransmitChecksumOffload=no\nGenericReceiveOffload=no\n" in machine.link.read_text()


def test_a_change_is_put_back_when_it_cannot_be_made_to_last(machine):
    machine.device(link="/run/systemd/network/10-netplan-eth0.link")
    machine.failing = ("netplan",)
    with pytest.raises(offload_set.Failure, match="netplan generate.*everything was put back"):
        machine.run_module()
    assert machine.active() and not machine.state.exists()
    machine.run_module(watchdog_seconds=60)
    with pytest.raises(offload_set.Failure, match="persistent: .*netplan generate.*everything was put back"):
        machine.run_module(state="committed")
    assert machine.active() and not machine.state.exists()


def test_what_could_not_last_is_refused_before_anything_is_tried(machine):
    machine.reached_without = "tx-udp_tnl-segmentation"
    with pytest.raises(offload_set.offload_persistence.Refused, match="no setting for tx-udp_tnl-segmentation"):
        machine.run_module(features={"tx-udp_tnl-segmentation": False}, probe=PEER)
    assert machine.active(machine.reached_without)


def test_only_what_helped_lasts(machine):
    machine.reached_without = "rx-gro"
    done = machine.run_module(features={"tx": False, "gro": False}, probe=PEER)
    assert [trial["helped"] for trial in done["probe"]["tried"]] == [False, True]
    text = machine.link.read_text()
    assert "GenericReceiveOffload=no" in text and "TransmitChecksumOffload" not in text
    machine.run_module(state="restored")
    assert machine.active("rx-gro") and not machine.link.exists() and not machine.state.exists()


def test_a_probe_with_a_timer_lasts_when_it_is_kept(machine):
    machine.reached_without = "rx-gro"
    machine.run_module(features={"tx": False, "gro": False}, probe=PEER, watchdog_seconds=60)
    assert not machine.link.exists()
    machine.run_module(features={"tx": False, "gro": False}, probe=PEER, watchdog_seconds=60)
    machine.run_module(state="committed")
    assert "GenericReceiveOffload=no" in machine.link.read_text()


def test_a_probe_that_helps_and_cannot_last_is_put_back(machine):
    machine.device(link="/run/systemd/network/10-netplan-eth0.link")
    machine.failing = ("netplan",)
    machine.reached_without = "rx-gro"
    with pytest.raises(offload_set.Failure, match="everything was put back") as failed:
        machine.run_module(features={"gro": False}, probe=PEER)
    assert failed.value.results["probe"]["tried"][0]["helped"]
    assert machine.active("rx-gro") and not machine.state.exists()


def test_a_timer_that_was_quicker(machine, monkeypatch):
    machine.run_module(watchdog_seconds=60)
    monkeypatch.setattr(two_phases.Change, "disarm", lambda change: (change.folder / "offload-pending.json").unlink())
    with pytest.raises(offload_set.Failure, match="the timer was quicker"):
        machine.run_module(state="committed")
    assert not machine.link.exists()


def test_a_host_without_timers(machine, monkeypatch):
    del machine.programs["systemd-run"]
    with pytest.raises(offload_set.Failure, match="watchdog_seconds: the program systemd-run is missing.*set it to 0"):
        machine.run_module(watchdog_seconds=60)
    assert machine.active()


def test_what_cannot_be_put_back_is_told_and_stays_in_the_record(machine):
    machine.run_module()
    machine.link.unlink()
    machine.link.mkdir()
    with pytest.raises(offload_set.Failure, match="could not be put back: .*run state=restored again"):
        machine.run_module(state="restored")
    machine.link.rmdir()
    assert machine.run_module(state="restored")["changed"]
    assert not os.path.exists(machine.state)


def test_a_kernel_that_says_nothing(machine, monkeypatch):
    def refuse(interface):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(ethtool, "read", refuse)
    with pytest.raises(offload_set.Failure, match="does not tell features of 'eth0': Operation not permitted"):
        machine.run_module()
