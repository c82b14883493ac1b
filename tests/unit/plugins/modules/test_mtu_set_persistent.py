# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mtu_set on a host in a folder, with a kernel that does as it is told: what lasts, and when."""

from __future__ import annotations

import sys

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import device_setup, df_probe, mtu_links, mtu_places, rtnetlink, two_phases
from ansible_collections.podnet.cni.plugins.module_utils._plan import mtu
from ansible_collections.podnet.cni.plugins.module_utils._plan.path_mtu import Path
from ansible_collections.podnet.cni.plugins.modules import mtu_set
from ansible_collections.podnet.cni.tests.unit.fakes import documentation
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils.host.test_offload_persistence import Host

PEER = "192.0.2.2"


class Machine(Host):
    """With two links, and a peer whose ways are told by the test."""

    def __init__(self, root, monkeypatch):
        super().__init__(root, monkeypatch)
        self.mtus = {"eth0": 1500, "flannel.1": 1450}
        self.ways = []
        self.state = root / "state"
        self.programs["systemd-run"] = ""
        monkeypatch.setattr(rtnetlink, "read_devices", self.devices)
        monkeypatch.setattr(mtu_links, "read", self.read)
        monkeypatch.setattr(mtu_places, "read_mtu", lambda place: self.mtus.get(place.name))
        monkeypatch.setattr(mtu_places, "set_mtu", lambda place, value: self.mtus.update({place.name: value}))
        monkeypatch.setattr(mtu_places, "routes_to_change", lambda place, before, after: [])
        monkeypatch.setattr(df_probe, "measure_all", self.measure)

    def devices(self):
        return [
            rtnetlink.Device(number, name, "", mtu, 0, 0, True, 0, 0, None, False) for number, (name, mtu) in enumerate(self.mtus.items(), start=1)
        ]

    def read(self, interfaces, bridge, pods, root):
        links = [mtu.Link("eth0", mtu.UNDERLAY, "", self.mtus["eth0"])]
        links.append(mtu.Link("flannel.1", mtu.TUNNEL, "vxlan", self.mtus["flannel.1"], below="eth0", overhead=50))
        return mtu_links.Reading(links, {link.key: mtu_places.Place(None, number, link.key) for number, link in enumerate(links, start=1)})

    def measure(self, addresses, timeout):
        return [
            Path(address, "eth0", self.mtus["eth0"], *(self.ways.pop(0) if self.ways else (self.mtus["eth0"], None, None))) for address in addresses
        ]

    @property
    def file(self):
        return self.root / "etc/systemd/network/10-eth0.network.d/50-podnet-mtu.conf"

    def run_module(self, check=False, **options):
        given = {
            "state": "present",
            "mtu": "auto",
            "interfaces": [],
            "peers": [],
            "probe_timeout": 1.0,
            "overlay": True,
            "pods": "list",
            "bridge": "cni0",
        }
        given.update(persistent=True, watchdog_seconds=0, state_dir=str(self.state), calico_state_dir=str(self.root / "calico"))
        given.update({name: str(self.root / name) for name in ("cni_config_dir", "cni_state_dir", "flannel_run_dir")})
        if not options.get("state"):
            given.update(interfaces=["eth0"], mtu="1400")
        results = mtu_set.Setter({**given, **options}, check, self.root).run()
        documentation.check_results("mtu_set", results, complete=True)
        return results


@pytest.fixture
def machine(tmp_path, monkeypatch):
    made = Machine(tmp_path, monkeypatch)
    made.device()
    made.write("run/systemd/netif/links/2", "NETWORK_FILE=/etc/systemd/network/10-eth0.network\n")
    return made


def test_it_lasts_and_is_put_back_as_a_whole(machine):
    foretold = machine.run_module(check=True)
    assert foretold["changed"] and not machine.file.exists() and machine.mtus["eth0"] == 1500
    done = machine.run_module()
    assert done["links"] == foretold["links"] and done["diff"] == foretold["diff"]
    assert done["links"][0]["persistent_in"] == [str(machine.file)]
    assert machine.mtus == {"eth0": 1400, "flannel.1": 1350}
    assert "MTUBytes=1400" in machine.file.read_text()
    assert not machine.run_module()["changed"]
    machine.run_module(mtu="1300")
    restored = {link["name"]: link["persistent_in"] for link in machine.run_module(state="restored")["links"]}
    assert restored == {"eth0": [str(machine.file)], "flannel.1": []}
    assert not machine.file.exists() and not machine.state.exists()
    assert machine.mtus == {"eth0": 1500, "flannel.1": 1450}


def test_what_is_in_force_already_is_made_to_last(machine):
    machine.run_module(persistent=False)
    assert not machine.file.exists()
    assert machine.run_module()["changed"] and machine.file.exists()
    assert not machine.run_module(persistent=False)["changed"]
    machine.run_module(state="restored")
    assert machine.mtus["eth0"] == 1500 and not machine.file.exists()


def test_nothing_lasts_before_it_is_kept(machine):
    machine.run_module(watchdog_seconds=60)
    (started,) = [line for line in machine.ran if line.startswith("systemd-run")]
    assert started.startswith("systemd-run --unit=podnet-mtu-watchdog --on-active=60s")
    assert started.endswith(f"{sys.executable} {machine.state}/mtu-watchdog.pyz {machine.state}")
    assert not machine.file.exists()
    assert not machine.run_module(watchdog_seconds=60)["changed"]
    assert machine.run_module(state="committed", check=True)["changed"] and not machine.file.exists()
    machine.run_module(state="committed", peers=[PEER])
    assert machine.file.exists()
    assert not machine.run_module(watchdog_seconds=60)["changed"]
    assert not machine.run_module(state="committed")["changed"]
    machine.run_module(state="restored")
    assert machine.mtus["eth0"] == 1500 and not machine.file.exists()


def test_a_change_is_put_back_when_it_cannot_be_made_to_last(machine):
    machine.write("run/systemd/netif/links/2", "NETWORK_FILE=/run/systemd/network/10-netplan-eth0.network\n")
    machine.failing = ("netplan",)
    with pytest.raises(mtu_set.Failure, match="netplan generate.*everything was put back"):
        machine.run_module()
    assert machine.mtus["eth0"] == 1500 and not machine.state.exists()
    machine.run_module(watchdog_seconds=60)
    with pytest.raises(mtu_set.Failure, match="persistent: .*netplan generate.*everything was put back"):
        machine.run_module(state="committed")
    assert machine.mtus["eth0"] == 1500 and not machine.state.exists()


def test_a_setup_that_is_unknown_is_refused_before_anything_changes(machine):
    (machine.root / "run/systemd/netif/links/2").unlink()
    with pytest.raises(device_setup.Refused, match="set persistent=false"):
        machine.run_module()
    assert machine.mtus["eth0"] == 1500


def test_a_timer_that_was_quicker(machine, monkeypatch):
    machine.run_module(watchdog_seconds=60)
    monkeypatch.setattr(two_phases.Change, "disarm", lambda change: (change.folder / "mtu-pending.json").unlink())
    with pytest.raises(mtu_set.Failure, match="the timer was quicker"):
        machine.run_module(state="committed")
    assert not machine.file.exists()


def test_a_host_without_timers(machine):
    del machine.programs["systemd-run"]
    with pytest.raises(mtu_set.Failure, match="watchdog_seconds: the program systemd-run is missing.*set it to 0"):
        machine.run_module(watchdog_seconds=60)
    assert machine.mtus["eth0"] == 1500


def test_what_is_measured_is_less_than_the_way_back_carries(machine):
    machine.ways = [(1500, None, 1396)]
    done = machine.run_module(mtu="auto", peers=[PEER], interfaces=[])
    assert done["mtu"] == 1396 and machine.mtus == {"eth0": 1396, "flannel.1": 1346}


@pytest.mark.parametrize("way", [(1380, None, None), (1400, None, 1376)])
def test_a_way_that_is_smaller_there_or_back_is_not_kept(machine, way):
    machine.run_module(watchdog_seconds=60)
    machine.ways = [way]
    with pytest.raises(mtu_set.Failure, match=f"peers: packets of full size do not get through: {PEER} gets 13[78][06] of 1400 bytes"):
        machine.run_module(state="committed", peers=[PEER])
    machine.ways = [(None, None, None)]
    with pytest.raises(mtu_set.Failure, match="does not answer pings, so that nothing is proved; the timer goes on"):
        machine.run_module(state="committed", peers=[PEER])
    assert (machine.state / "mtu-pending.json").exists()


def test_peers_behind_tunnels_alone_do_not_tell_the_device(machine, monkeypatch):
    monkeypatch.setattr(df_probe, "measure_all", lambda addresses, timeout: [Path(PEER, "flannel.1", 1450, 1450, None, None)])
    monkeypatch.setattr(mtu_links, "is_tunnel", lambda device: device.name == "flannel.1")
    with pytest.raises(mtu_set.Failure, match="no peer is on another node and not behind a tunnel; name the devices"):
        machine.run_module(mtu="auto", interfaces=[], peers=[PEER])
