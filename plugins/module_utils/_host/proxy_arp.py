# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let a bridge answer ARP for pods of the node that are not on it.

Flannel's pods believe that the whole podCIDR of their node is on their link (containernetworking/plugins:plugins/main/bridge), so they ask
for the link address of a neighbour that has moved to Calico, and nobody would answer. With proxy ARP the node answers for every address
that it routes elsewhere (RFC 1027; linux:Documentation/networking/ip-sysctl.rst), and routes the packets.
"""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import sysctl


def wanted(bridge: str) -> dict[str, str]:
    """Settings by name. The delay is there to let other proxies answer first, up to 0.8 s; a bridge of pods has none."""
    return {sysctl.of_link("proxy_arp", bridge): "1", sysctl.of_neighbours("proxy_delay", bridge): "0"}


def missing(bridge: str) -> dict[str, str]:
    """The present values of the settings that are not as wanted, empty when all are."""
    settings = wanted(bridge)
    return {name: value for name, value in sysctl.read(settings).items() if value != settings[name]}


def answer(bridge: str) -> None:
    """Answer from now on."""
    sysctl.write(wanted(bridge))


def restore(values: t.Mapping[str, str]) -> None:
    """Put values back that C(missing) told; a bridge that is gone has none."""
    sysctl.write({name: values[name] for name in sysctl.read(values)})
