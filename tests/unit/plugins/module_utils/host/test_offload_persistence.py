# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features that last: what is written for NetworkManager, netplan and systemd's udev, and what is refused."""

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import commands, device_setup, offload_persistence, put_back
from ansible_collections.podnet.cni.plugins.module_utils._plan import link_file
from ansible_collections.podnet.cni.plugins.module_utils._plan.features import Feature

FREE = Feature(wanted=True, active=True, changeable=True, fixed=False)
FEATURES = {"tx-checksum-ip-generic": FREE, "rx-gro": FREE, "tx-udp_tnl-segmentation": FREE}
DEFAULT = "[Match]\nOriginalName=*\n[Link]\nNamePolicy=keep kernel\n"
UUID = "5fb06bd0-0bb0-7ffb-45f1-d6edd65f3e03"


class Host:
    """A host in a folder, with programs that answer from a table."""

    def __init__(self, root, monkeypatch):
        self.root = root
        self.programs = {"systemctl --version": "systemd 252 (252.30-1~deb12u2)\n+PAM"}
        self.ran = []
        self.failing = ()
        monkeypatch.setattr(commands, "find", lambda name: name if any(words.startswith(name) for words in self.programs) else None)
        monkeypatch.setattr(commands, "run", self.run)
        self.write("usr/lib/systemd/network/99-default.link", DEFAULT)

    def run(self, words, check=True, **named):
        line = " ".join(words)
        self.ran.append(line)
        code = 1 if any(part in line for part in self.failing) else 0
        if code and check:
            raise commands.CommandError(f"'{line}' failed with code 1")
        answer = self.programs.get(line, "")
        return type("Done", (), {"returncode": code, "stdout": answer})

    def write(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def device(self, name="eth0", link="/usr/lib/systemd/network/99-default.link", path="pci-0000:00:03.0", assigned="0"):
        for key, value in (("ifindex", "2"), ("address", "52:54:00:12:34:56"), ("addr_assign_type", assigned)):
            self.write(f"sys/class/net/{name}/{key}", f"{value}\n")
        lines = [f"E:ID_NET_LINK_FILE={link}", *([f"E:ID_PATH={path}"] if path else [])]
        self.write("run/udev/data/n2", "I:123\n" + "\n".join(lines) + "\n")

    def plan(self, wishes, name="eth0"):
        return offload_persistence.plan(name, wishes, FEATURES, self.root)

    def refusal(self, wishes, name="eth0"):
        with pytest.raises(device_setup.Refused) as refused:
            self.plan(wishes, name)
        return str(refused.value)

    @property
    def link(self):
        return self.root / "etc/systemd/network/05-podnet-offload-eth0.link"


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


def test_a_link_file_for_one_device_that_keeps_what_was_in_force(host):
    host.device()
    host.write("usr/lib/systemd/network/99-default.link.d/10-mtu.conf", "[Link]\nMTUBytes=1400\n")
    host.write("etc/systemd/network/99-default.link.d/10-mtu.conf", "[Link]\nMTUBytes=1450\n")
    change = host.plan({"tx": False})
    device_setup.apply(change)
    assert host.link.stat().st_mode & 0o777 == 0o644
    assert link_file.sections(host.link.read_text()) == {
        "Match": ["MACAddress=52:54:00:12:34:56", "Path=pci-0000:00:03.0"],
        "Link": ["NamePolicy=keep kernel", "MTUBytes=1450", "TransmitChecksumOffload=no"],
    }
    assert not host.plan({"tx": False}).needed
    assert change.before["files"] == {str(host.link): None}
    assert put_back.restore_setup(change.before) == []
    assert not host.link.exists()


def test_a_second_feature_is_added_to_what_is_there_also_after_a_restart(host):
    host.device()
    device_setup.apply(host.plan({"tx": False}))
    first = host.link.read_text()
    host.device(link="/etc/systemd/network/05-podnet-offload-eth0.link")
    change = host.plan({"gro": True})
    device_setup.apply(change)
    assert link_file.sections(host.link.read_text())["Link"] == ["NamePolicy=keep kernel", "TransmitChecksumOffload=no", "GenericReceiveOffload=yes"]
    put_back.restore_setup(change.before)
    assert host.link.read_text() == first


def test_a_device_whose_address_is_not_its_own_is_known_by_its_place(host):
    host.device(assigned="3")
    assert "[Match]\nPath=pci-0000:00:03.0\n" in next(iter(host.plan({"tx": False}).files.values()))


def test_a_device_that_a_program_makes_is_known_by_its_name(host):
    host.device("flannel.1", path=None)
    (path, text), *more = host.plan({"tx": False}, "flannel.1").files.items()
    assert path.endswith("05-podnet-offload-flannel.1.link") and "[Match]\nOriginalName=flannel.1\n" in text and not more


def test_netplan(host):
    host.device(link="/run/systemd/network/10-netplan-nic0.link")
    change = host.plan({"gro": False})
    device_setup.apply(change)
    path = host.root / "etc/netplan/90-podnet-offload-eth0.yaml"
    assert path.read_text().endswith('  ethernets:\n    "nic0":\n      generic-receive-offload: false\n')
    assert path.stat().st_mode & 0o777 == 0o600
    assert host.ran == ["netplan generate"]
    assert not host.plan({"gro": False}).needed
    put_back.restore_setup(change.before)
    assert not path.exists() and host.ran == ["netplan generate"] * 2


def test_what_netplan_refuses_is_put_back(host):
    host.device(link="/run/systemd/network/10-netplan-nic0.link")
    host.failing = ("netplan",)
    with pytest.raises(commands.CommandError, match="netplan generate"):
        device_setup.apply(host.plan({"gro": False}))
    assert not (host.root / "etc/netplan/90-podnet-offload-eth0.yaml").exists()


def test_network_manager(host):
    (host.root / "run/NetworkManager").mkdir(parents=True)
    host.programs.update(
        {
            "nmcli --get-values GENERAL.CON-UUID device show eth0": UUID,
            "nmcli --get-values UUID,FILENAME connection show": f"1:/run/x\n{UUID}:/etc/NetworkManager/system-connections/a.nmconnection",
            f"nmcli --get-values ethtool.feature-tx connection show {UUID}": "on\n",
            f"nmcli --get-values ethtool.feature-gro connection show {UUID}": "off\n",
        }
    )
    change = host.plan({"tx": False, "rx-gro": False, "tx-udp_tnl-segmentation": False})
    assert change.commands == [
        ["nmcli", "connection", "modify", UUID, "ethtool.feature-tx", "off"],
        ["nmcli", "connection", "modify", UUID, "ethtool.feature-tx-udp_tnl-segmentation", "off"],
    ]
    assert [words[-1] for words in change.before["commands"].values()] == ["on", ""]
    device_setup.apply(change)
    assert host.ran[-1] == " ".join(change.commands[-1])
    host.failing = ("feature-new",)
    assert "NetworkManager sets up eth0 and has no setting ethtool.feature-new" in host.refusal({"new": False})


@pytest.mark.parametrize("shown", ["", "--", "of-the-cni"])
def test_what_network_manager_only_follows_is_not_its_own(host, shown):
    (host.root / "run/NetworkManager").mkdir(parents=True)
    host.programs["nmcli --get-values GENERAL.CON-UUID device show eth0"] = shown
    host.programs["nmcli --get-values UUID,FILENAME connection show"] = "of-the-cni:/run/NetworkManager/system-connections/eth0.nmconnection"
    host.device()
    assert list(host.plan({"tx": False}).files) == [str(host.link)]


def test_what_ifupdown_would_change_again_is_refused(host):
    host.device()
    host.write("etc/network/interfaces", "auto eth0\niface eth1 inet dhcp\n  offload-tx on\niface eth0 inet dhcp\n  # offload-tx on\n")
    assert host.plan({"tx": False}).needed
    host.write("etc/network/interfaces.d/eth0", "iface eth0 inet6 auto\n  up ethtool -K eth0 tx on\n")
    told = host.refusal({"tx": False})
    assert f"line 2 of '{host.root}/etc/network/interfaces.d/eth0'" in told and "change it there" in told


def test_what_nothing_sets_up_is_refused(host):
    assert "udev did not see it (it does not run in containers); set persistent=false" in host.refusal({"tx": False})


def test_what_systemd_cannot_set_is_refused(host):
    host.device()
    assert "systemd has no setting for tx-udp_tnl-segmentation" in host.refusal({"tx-udp_tnl-segmentation": False})
    host.programs["systemctl --version"] = "systemd 239 (239-82.el8)"
    assert "too old for TransmitChecksumOffload" in host.refusal({"tx": False})


def test_what_netplan_cannot_set_is_refused(host):
    host.device(link="/run/systemd/network/10-netplan-nic0.link")
    assert "netplan sets up eth0 and has no key for NTupleFilter" in host.refusal({"ntuple": True})


def test_a_link_file_that_is_gone_is_told(host):
    host.device(link="/run/systemd/network/10-gone.link")
    assert "'/run/systemd/network/10-gone.link', by which udev set up eth0, is not there any more" in host.refusal({"tx": False})
