#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: route_guard
short_description: Keep a node's way to other nodes' pods while Calico changes its routes
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Runs on a node. Changing how Calico leads packets to other nodes takes routes away before others are made. This module leads packets by routing
    tables of its own meanwhile, which come before the table C(main), and gives them back to it in one step.
  - Routes to pods of the node itself stay in C(main), which is asked for every address that the tables do not have.
  - Connections that are there can keep their way while new ones take the other one already. The kernel ends a masqueraded connection when the
    interface changes that it goes out of, unless M(podnet.cni.masquerade_guard) was there before.
  - A timer of systemd's takes everything away again, once C(main) has all routes, when nobody does it in time.
extends_documentation_fragment:
  - podnet.cni._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A timer that waits is set to O(watchdog_seconds) again, which does not count as a change.
  platform:
    support: full
    platforms: linux
options:
  state:
    description:
      - V(kept) copies the present ways to addresses of O(network) on other nodes, and leads all packets by this copy. A copy that is there already
        is left as it is.
      - V(split) leads connections that begin from now on by O(ways), or by C(main) without them, and all others by the copy, which must be
        there.
      - V(moved) leads all packets by O(ways), and removes the copy.
      - V(cleaned) leaves all that as it is, and removes routes from C(main) that Felix has left there when it was started without VXLAN, as
        BIRD makes no route where there is one. Nothing is removed as long as the device C(vxlan.calico) is there.
      - V(absent) leads all packets by C(main) again, and removes everything of this module.
    type: str
    choices: [kept, split, moved, cleaned, absent]
    required: true
  network:
    description: The pod network. Required by V(kept) and V(cleaned).
    type: str
  ways:
    description: New ways, over the nodes that have the destinations, by their links or through the router between them. Required by V(moved).
    type: list
    elements: dict
    default: []
    suboptions:
      destination:
        description: A block, or an address.
        type: str
        required: true
      node_address:
        description: Address of the node that has it.
        type: str
        required: true
  pass_by:
    description: Addresses inside O(network) that C(main) leads to although their block is in the copy, so that its ways can be proved.
    type: list
    elements: str
    default: []
  watchdog_seconds:
    description: Seconds after which the node takes the guard away by itself, 10 to 86400. V(0) works without a timer.
    type: int
    default: 300
  state_dir:
    description: Folder of the timer's script and log.
    type: path
    default: /var/lib/podnet
seealso:
  - module: podnet.cni.calico_fabric_probe
  - module: podnet.cni.masquerade_guard
"""

EXAMPLES = r"""
- name: Keep the present way
  podnet.cni.route_guard:
    state: kept
    network: 10.244.0.0/16

- name: Let new connections go by Calico's new routes
  podnet.cni.route_guard:
    state: split
  register: guard
  until: guard.connections == 0
  retries: 30
  delay: 2

- name: Lead all packets over the nodes' own links, before the tunnel goes
  podnet.cni.route_guard:
    state: moved
    ways:
      - {destination: 10.244.1.0/26, node_address: 172.30.1.11}

- name: Take the guard away
  podnet.cni.route_guard:
    state: absent
"""

RETURN = r"""
state:
  description: The state that was found.
  returned: success
  type: str
  sample: kept
kept:
  description: The copy of the ways that were there, by destination.
  returned: success
  type: dict
  sample: {10.244.2.0/26: via 172.30.1.1 dev eth0}
ways:
  description: The new ways, by destination.
  returned: success
  type: dict
  sample: {10.244.2.0/26: via 172.30.1.12 dev eth0}
connections:
  description: How many TCP connections of the node's own programs keep their way and end with Calico's tunnel, since they began at its address.
    -1 on a kernel that does not tell.
  returned: success
  type: int
  sample: 2
tunnel:
  description: Whether the device C(vxlan.calico) is there.
  returned: success
  type: bool
  sample: true
cleaned:
  description: The routes that were removed from C(main).
  returned: success
  type: list
  elements: str
  sample: [10.244.2.0/26 via 172.30.1.12 proto 80]
pods:
  description: The pods that these connections lead to.
  returned: success
  type: list
  elements: str
  sample: [10.244.2.7]
"""

import ipaddress
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._host import (
    commands,
    felix_leftovers,
    guard_timer,
    kept_connections,
    route_guard,
    way_back,
)
from ansible_collections.podnet.cni.plugins.module_utils._host.route_guard import Guard


class Refused(Exception):
    """Why it cannot be done; the text has the remedy."""


def option_problem(params: t.Mapping[str, t.Any]) -> str | None:
    """What is wrong with the options, with the remedy."""
    try:
        ipaddress.IPv4Network(params["network"] or "10.244.0.0/16")
    except ValueError as exc:
        return f"network: '{params['network']}' is not an IPv4 network ({exc}); give the pod network, such as 10.244.0.0/16"
    for index, way in enumerate(params["ways"]):
        try:
            ipaddress.IPv4Network(way["destination"])
            ipaddress.IPv4Address(way["node_address"])
        except ValueError as exc:
            return f"ways[{index}]: {exc}; give a block such as 10.244.1.0/26, and the IPv4 address of the node that has it"
    for index, address in enumerate(params["pass_by"]):
        try:
            ipaddress.IPv4Address(address)
        except ValueError:
            return f"pass_by[{index}]: '{address}' is no IPv4 address; give one such as 10.244.1.60"
    return way_back.seconds_problem(params["watchdog_seconds"], "work without a timer")


def wanted_guard(now: Guard, params: t.Mapping[str, t.Any]) -> Guard:
    """What is to be there.

    :raises Refused: when the step before is missing.
    """
    state = params["state"]
    if state in ("absent", "cleaned"):
        return now if state == "cleaned" else route_guard.NOTHING
    if state == "split" and not now.keeps:
        raise Refused("state: 'split' needs a copy of the ways that were there, and this node has none; run state=kept before anything changes")
    new = route_guard.ways_over_nodes(params["ways"])
    if state == "moved":
        return Guard({}, new, False, True, False)
    passed = {f"{address}/32": "throw" for address in params["pass_by"]}
    old = now.old if now.keeps else route_guard.present_ways(ipaddress.IPv4Network(params["network"]))
    return Guard({**{key: words for key, words in old.items() if words != "throw"}, **passed}, new, True, bool(new), state == "split")


def shown(guard: Guard) -> dict[str, t.Any]:
    """For a diff."""
    return {"state": guard.name, "kept": guard.old, "ways": guard.new}


def run(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Carry the options out and return the module's results."""
    folder = Path(params["state_dir"])
    now = route_guard.read()
    wanted = wanted_guard(now, params)
    if wanted.marks and not commands.find("nft"):
        raise Refused("state: 'split' marks connections with nftables, and the program nft is missing on this node; install nftables")
    tunnel = felix_leftovers.has_tunnel()
    stale = felix_leftovers.read(ipaddress.IPv4Network(params["network"])) if params["state"] == "cleaned" and not tunnel else []
    changed = now != wanted or bool(stale)
    if not check_mode:
        felix_leftovers.remove(stale)
        if wanted != route_guard.NOTHING and params["watchdog_seconds"]:
            way_back.require()
            guard_timer.way_back(folder).arm(params["watchdog_seconds"], guard_timer.script_text(folder).encode())
        if now != wanted:
            route_guard.apply(now, wanted)
        if wanted == route_guard.NOTHING:
            changed = guard_timer.way_back(folder).disarm() or changed
    left = kept_connections.read(route_guard.MARK, [key for key, words in wanted.old.items() if words != "throw"])
    return {
        "changed": changed,
        "diff": {"before": {**shown(now), "left": stale}, "after": {**shown(wanted), "left": []}},
        "state": now.name,
        "kept": wanted.old,
        "ways": wanted.new,
        "tunnel": tunnel,
        "cleaned": stale,
        "connections": -1 if left is None else len(left),
        "pods": sorted({str(connection.reply.source) for connection in left or []}),
    }


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["kept", "split", "moved", "cleaned", "absent"], "required": True},
            "network": {"type": "str"},
            "ways": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"destination": {"type": "str", "required": True}, "node_address": {"type": "str", "required": True}},
            },
            "pass_by": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "watchdog_seconds": {"type": "int", "default": 300},
            "state_dir": {"type": "path", "default": "/var/lib/podnet"},
        },
        required_if=[("state", "kept", ["network"]), ("state", "cleaned", ["network"])],
        supports_check_mode=True,
    )
    problem = option_problem(module.params)
    if problem:
        module.fail_json(msg=problem)
    try:
        results = run(module.params, module.check_mode)
    except (Refused, commands.CommandError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**results)


if __name__ == "__main__":
    main()
