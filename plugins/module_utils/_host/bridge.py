# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the bridge of Flannel's pods as the CNI plugin bridge does (containernetworking/plugins:plugins/main/bridge/bridge.go ensureBridge).

The plugin takes a bridge that is there, with its address, as it is.
"""

from __future__ import annotations

import ipaddress

from ansible_collections.podnet.cni.plugins.module_utils._host import commands, sysctl


def create(name: str, address: str, mtu: int) -> None:
    """Make a bridge with the gateway address of its pods (C(10.244.1.1/24)), all in one process.

    Its link address is made from the address and set: a bridge without one of its own takes those of its ports in turn, and pods would
    go on sending to the one before.
    """
    interface = ipaddress.IPv4Interface(address)
    link_address = ":".join(f"{part:02x}" for part in (0x0A, 0x58, *interface.ip.packed))
    lines = [
        f"link add name {name} address {link_address} mtu {mtu} type bridge",
        f"address add {interface} broadcast {interface.network.broadcast_address} dev {name}",
        f"link set dev {name} up",
    ]
    commands.run(["ip", "-batch", "-"], stdin="\n".join(lines) + "\n")
    router_advertisements = f"net.ipv6.conf.{name.replace('.', '/')}.accept_ra"
    sysctl.write(dict.fromkeys(sysctl.read([router_advertisements]), "0"))
