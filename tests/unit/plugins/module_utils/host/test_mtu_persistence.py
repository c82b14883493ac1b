# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MTUs that last: what is written for NetworkManager, netplan, systemd-networkd and ifupdown, and what is refused."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import device_setup, mtu_persistence, put_back
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils.host.test_offload_persistence import UUID, Host


class Setup(Host):
    """A host in a folder whose devices are set up by one of four."""

    def lasting(self, value=9000, name="eth0", kind=""):
        return mtu_persistence.plan(name, kind, value, self.root)

    def refusal(self, **named):
        with pytest.raises(device_setup.Refused) as refused:
            self.lasting(**named)
        return str(refused.value)

    def networkd(self, index="2", path="/etc/systemd/network/10-eth0.network"):
        self.device()
        self.write(f"run/systemd/netif/links/{index}", f"# private\nADMIN_STATE=configured\nNETWORK_FILE={path}\n")

    def network_manager(self, path, value="auto", kind="802-3-ethernet"):
        (self.root / "run/NetworkManager").mkdir(parents=True, exist_ok=True)
        self.programs.update(
            {
                "nmcli --get-values GENERAL.CON-UUID device show eth0": UUID,
                "nmcli --get-values UUID,FILENAME connection show": f"1:/run/x\n{UUID}:{path}",
                f"nmcli --get-values connection.type connection show {UUID}": f"{kind}\n",
                f"nmcli --get-values 802-3-ethernet.mtu connection show {UUID}": f"{value}\n",
            }
        )


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Setup(tmp_path, monkeypatch)


def test_networkd(host):
    host.networkd()
    change = host.lasting()
    device_setup.apply(change)
    path = host.root / "etc/systemd/network/10-eth0.network.d/50-podnet-mtu.conf"
    assert path.read_text().endswith("[Link]\nMTUBytes=9000\n")
    assert path.stat().st_mode & 0o777 == 0o644
    assert not host.lasting().needed
    assert host.lasting(1500).needed
    assert put_back.restore_setup(change.before) == []
    assert not path.exists()


def test_a_file_of_networkd_for_several_links_is_refused(host):
    host.networkd()
    host.networkd(index="3", path="/usr/lib/systemd/network/10-eth0.network")
    assert "sets up 2 links, of which eth0 is one; give eth0 a .network file of its own" in host.refusal()


def test_an_addition_that_is_read_later_is_refused(host):
    host.networkd()
    host.write("etc/systemd/network/10-eth0.network.d/20-mtu.conf", "[Link]\nMTUBytes=1400\n")
    assert host.lasting().needed
    host.write("run/systemd/network/10-eth0.network.d/90-mtu.conf", "[Link]\nMTUBytes = 1400\n")
    assert "'/run/systemd/network/10-eth0.network.d/90-mtu.conf' is read later" in host.refusal()


@pytest.mark.parametrize(("kind", "section"), [("", "ethernets"), ("bond", "bonds"), ("vlan", "vlans")])
def test_netplan_with_networkd(host, kind, section):
    host.networkd(path="/run/systemd/network/10-netplan-nic0.network")
    change = host.lasting(kind=kind)
    device_setup.apply(change)
    path = host.root / "etc/netplan/90-podnet-mtu-eth0.yaml"
    assert path.read_text().endswith(f'  {section}:\n    "nic0":\n      mtu: 9000\n')
    assert path.stat().st_mode & 0o777 == 0o600
    assert host.ran == ["netplan generate"]
    assert not host.lasting(kind=kind).needed
    put_back.restore_setup(change.before)
    assert not path.exists() and host.ran == ["netplan generate"] * 2


def test_netplan_with_network_manager(host):
    host.network_manager("/run/NetworkManager/system-connections/netplan-nic0.nmconnection")
    assert '    "nic0":\n' in next(iter(host.lasting().files.values()))


def test_a_file_of_netplans_that_is_read_later_is_refused(host):
    host.networkd(path="/run/systemd/network/10-netplan-eth0.network")
    host.write("etc/netplan/50-cloud-init.yaml", "network:\n  ethernets:\n    eth0:\n      mtu: 1500\n")
    assert host.lasting().needed
    host.write("etc/netplan/99-mine.yaml", "network:\n  ethernets:\n    eth0:\n      mtu: 1500\n")
    assert "99-mine.yaml' is read after '90-podnet-mtu-eth0.yaml' and sets an MTU" in host.refusal()


def test_what_netplan_refuses_is_put_back(host):
    host.networkd(path="/run/systemd/network/10-netplan-eth0.network")
    host.failing = ("netplan",)
    with pytest.raises(mtu_persistence.commands.CommandError, match="netplan generate"):
        device_setup.apply(host.lasting())
    assert not (host.root / "etc/netplan/90-podnet-mtu-eth0.yaml").exists()


def test_network_manager(host):
    host.network_manager("/etc/NetworkManager/system-connections/a.nmconnection")
    change = host.lasting()
    words = ["nmcli", "connection", "modify", UUID, "802-3-ethernet.mtu"]
    assert change.commands == [[*words, "9000"]]
    assert list(change.before["commands"].values()) == [[*words, "auto"]]
    host.network_manager("/etc/NetworkManager/system-connections/a.nmconnection", value="9000")
    assert not host.lasting().needed
    host.network_manager("/etc/NetworkManager/system-connections/a.nmconnection", kind="infiniband")
    host.failing = ("infiniband.mtu",)
    assert "has no setting infiniband.mtu" in host.refusal()


def test_a_device_that_network_manager_only_follows(host):
    host.network_manager("/run/NetworkManager/system-connections/eth0.nmconnection")
    host.networkd()
    assert host.lasting().files


SCRIPT = "etc/network/if-up.d/podnet-mtu-eth0"


def test_ifupdown(host, tmp_path):
    host.programs["ifup"] = ""
    host.write("etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n  up true\n")
    device_setup.apply(host.lasting())
    script = host.root / SCRIPT
    assert script.stat().st_mode & 0o777 == 0o755
    assert not host.lasting().needed
    ip = tmp_path / "programs" / "ip"
    ip.parent.mkdir()
    ip.write_text('#!/bin/sh\necho "$*"\n')
    ip.chmod(0o755)
    for name, said in (("eth0", "link set dev eth0 mtu 9000\n"), ("eth1", "")):
        done = subprocess.run([script], env={"PATH": f"{ip.parent}:/usr/bin:/bin", "IFACE": name}, capture_output=True, text=True, check=True)
        assert done.stdout == said


def test_a_name_that_ifupdown_would_pass_over(host):
    host.programs["ifup"] = ""
    host.write("etc/network/interfaces.d/vlan", "iface eth0.5 inet dhcp\n")
    (path,) = host.lasting(name="eth0.5").files
    assert path.endswith("/podnet-mtu-eth0_5")


def test_a_line_of_ifupdowns_that_sets_an_mtu(host):
    host.programs["ifup"] = ""
    host.write("etc/network/interfaces", "iface eth0 inet static\n  mtu 9000\n")
    assert not host.lasting(9000).needed
    assert "line 2 of" in host.refusal(value=1500) and "'mtu 9000'); change it there" in host.refusal(value=1500)
    host.write("etc/network/interfaces", "iface eth0 inet dhcp\n  up ip link set eth0 mtu 9000\n")
    assert "change it there" in host.refusal()


def test_what_nothing_sets_up_is_refused_with_the_remedy(host):
    host.device()
    host.write("etc/network/interfaces", "iface eth0 inet dhcp\n")
    told = host.refusal()
    assert "nothing that is known here sets up eth0" in told and "set persistent=false and set it again after each restart" in told
