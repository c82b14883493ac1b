# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of devices by both of the kernel's interfaces, which have to agree."""

from __future__ import annotations

import errno
import socket

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import ethtool, ethtool_ioctl, ethtool_netlink, netlink_socket
from ansible_collections.podnet.cni.plugins.module_utils._plan.features import Feature

ON = Feature(wanted=True, active=True, changeable=True, fixed=False)


@pytest.fixture
def netlink():
    try:
        return ethtool_netlink.read("lo")
    except ethtool_netlink.Missing as exc:
        pytest.skip(f"this kernel has no netlink for ethtool: {exc}")


def test_both_interfaces_say_the_same_of_every_feature(netlink):
    ioctl = ethtool_ioctl.read("lo")
    assert list(netlink) == list(ioctl)
    assert netlink == ioctl
    assert netlink["tx-checksum-ip-generic"] == Feature(wanted=False, active=True, changeable=False, fixed=True)
    assert netlink["rx-lro"].fixed and not netlink["rx-lro"].active
    assert not netlink["rx-gro"].fixed


@pytest.mark.parametrize("interface", ["podnet-none", "a-name-that-is-longer-than-any"])
@pytest.mark.parametrize("module", [ethtool_netlink, ethtool_ioctl])
def test_a_device_that_is_not_there(netlink, module, interface):
    with pytest.raises(OSError, match="No such device|out of range") as failed:
        module.read(interface)
    assert failed.value.errno in (errno.ENODEV, errno.ERANGE)


def test_an_older_kernel_is_asked_by_the_ioctl(monkeypatch):
    asked = []

    def missing(*given):
        raise ethtool_netlink.Missing

    monkeypatch.setattr(ethtool_netlink, "read", missing)
    monkeypatch.setattr(ethtool_netlink, "write", missing)
    monkeypatch.setattr(ethtool_ioctl, "read", lambda interface: {interface: ON})
    monkeypatch.setattr(ethtool_ioctl, "write", lambda interface, values: asked.append((interface, values)))
    assert ethtool.read("eth0") == {"eth0": ON}
    ethtool.write("eth0", {"rx-gro": False})
    assert asked == [("eth0", {"rx-gro": False})]


def test_a_kernel_without_the_family_is_known(monkeypatch):
    def refuse(self, kind, flags, body):
        raise OSError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(netlink_socket.Netlink, "ask", refuse)
    with pytest.raises(ethtool_netlink.Missing, match="no family ethtool"):
        ethtool_netlink.read("lo")


def test_a_kernel_without_generic_netlink_is_known(monkeypatch):
    def refuse(*given):
        raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(ethtool_netlink.Missing, match="Protocol not supported"):
        ethtool_netlink.read("lo")


def test_another_answer_is_an_error(monkeypatch):
    def refuse(self, kind, flags, body):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(netlink_socket.Netlink, "ask", refuse)
    with pytest.raises(PermissionError):
        ethtool.read("lo")
