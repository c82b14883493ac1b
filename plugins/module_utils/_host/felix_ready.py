# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Felix has set up an interface: until then it drops what comes from it (projectcalico/calico:felix/rules/dispatch.go)."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._host import commands, iproute, netfilter

_POLL_SECONDS = 0.05


def _chains() -> set[str]:
    """Names of all chains for packets to pods, in iptables and in nft."""
    found: set[str] = set()
    for variant in netfilter.variants():
        if variant.family == "ip":
            found.update(netfilter.parse_save(commands.run([variant.save, "-t", "filter"]).stdout).get("filter", {}))
    if commands.find("nft"):
        shown = commands.run(["nft", "--stateless", "list", "chains", "ip"], check=False).stdout
        found.update(line.split()[1].removeprefix("filter-") for line in shown.splitlines() if line.strip().startswith("chain "))
    return found


def wait(interfaces: t.Mapping[str, str], seconds: float) -> dict[str, str]:
    """Wait until interfaces can be used; C(interfaces) has the address behind each. What is missing at the end, by interface."""
    until = time.monotonic() + seconds
    while True:
        missing = _missing(interfaces)
        if not missing or time.monotonic() > until:
            return missing
        time.sleep(_POLL_SECONDS)


def _missing(interfaces: t.Mapping[str, str]) -> dict[str, str]:
    routed = {(route["destination"], route["device"]) for route in iproute.read_routes() if route["table"] == "main"}
    missing = {name: f"no route to {address} over {name}" for name, address in interfaces.items() if (f"{address}/32", name) not in routed}
    rest = [name for name in interfaces if name not in missing]
    chains = _chains() if rest else set()
    # A name is shortened where it would be too long for a chain; those of Calico's interfaces are not.
    missing.update({name: f"Felix has no rules for {name}" for name in rest if f"cali-tw-{name}" not in chains})
    return missing
