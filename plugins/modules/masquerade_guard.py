#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: masquerade_guard
short_description: Keep masqueraded connections of a node when their packets begin to leave by another interface
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Runs on a node. The kernel ends a masqueraded connection when the interface changes that it goes out of, which happens on every node to its
    connections with the pods of a node that changes its CNI. It does not end a connection whose source address was changed by a rule with that
    address.
  - This module puts such rules before those that masquerade, with the addresses that these would choose, in a table C(podnet-masquerade) of
    nf_tables. They are for what kube-proxy marks, and on a node with Flannel's device for all that comes from outside of O(network), as
    Flannel masquerades that. Nothing else is translated, and nothing else on the node is changed.
  - Connections of TCP and UDP that are there already are made independent of their interface in the same run.
  - The rules are for the devices by which the table C(main) leads to addresses of O(network) on other nodes, those below tunnels, and that of the
    default route. Run it again when these or their addresses change.
  - Asks the kernel by netlink, so the node needs neither C(nft) nor C(iptables).
extends_documentation_fragment:
  - podnet.cni._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: linux
options:
  state:
    description:
      - V(present) makes the rules, and connections independent when the rules were changed.
      - V(absent) removes the rules. Connections go on, and those that begin are masqueraded as they were before.
    type: str
    choices: [present, absent]
    required: true
  network:
    description: The pod network of IPv4. Required by V(present).
    type: str
  masquerade_mark:
    description: The mark by which kube-proxy has packets masqueraded, 2 to the power of its C(masqueradeBit).
    type: int
    default: 16384
  flannel_run_dir:
    description: Folder of Flannel's C(subnet.env), which says whether Flannel masquerades. Without that file it does.
    type: path
    default: /run/flannel
seealso:
  - module: podnet.cni.route_guard
  - module: podnet.cni.cni_switch
"""

EXAMPLES = r"""
- name: Let no connection depend on its interface while nodes change their CNI
  podnet.cni.masquerade_guard:
    state: present
    network: 10.244.0.0/16

- name: Leave it to the masquerading rules again
  podnet.cni.masquerade_guard:
    state: absent
"""

RETURN = r"""
devices:
  description: Devices that have rules, or would have, and the address that connections get which leave by them.
  returned: success
  type: list
  elements: dict
  contains:
    device:
      description: Its name.
      type: str
      returned: success
    address:
      description: The address.
      type: str
      returned: success
  sample: [{device: eth0, address: 172.30.1.11}, {device: flannel.1, address: 10.244.1.0}]
connections:
  description: How many connections were made independent of their interface, or would be.
  returned: success
  type: int
  sample: 12
"""

import ipaddress
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._host import cni_state, connections, masquerade_guard, nf_tables, ways_out

EXAMPLE = "give the pod network of IPv4, such as 10.244.0.0/16"


class Refused(Exception):
    """Why it cannot be done; the text has the remedy."""


def option_problem(params: t.Mapping[str, t.Any]) -> str | None:
    """The first wrong option with its value and remedy, or None."""
    if params["network"] is not None:
        try:
            network = ipaddress.IPv4Network(params["network"])
        except ValueError as exc:
            return f"network: '{params['network']}' is not an IPv4 network ({exc}); {EXAMPLE}"
        if not network.prefixlen:
            return f"network: '{network}' has every address, so it is not that of the pods only; {EXAMPLE}"
    mark = params["masquerade_mark"]
    if not 0 < mark < 1 << 32 or mark & (mark - 1):
        return f"masquerade_mark: {mark} is not a mark with one bit; give 2 to the power of kube-proxy's masqueradeBit, 16384 for its default of 14"
    return None


def wanted(params: t.Mapping[str, t.Any]) -> tuple[list[ways_out.WayOut], nf_tables.Table]:
    """The devices, and the table that they need.

    :raises Refused: when there is no device.
    """
    network = ipaddress.IPv4Network(params["network"])
    ways = ways_out.read(network)
    if not ways:
        raise Refused(
            f"network: no route of the table main leads to addresses of {network} on other nodes, and there is no default route; "
            "give the network that this node's pods have, and look at 'ip route'"
        )
    flannel = cni_state.read_subnet_env(cni_state.Places.of(params)) or {}
    return ways, masquerade_guard.table(ways, network, params["masquerade_mark"], flannel.get("FLANNEL_IPMASQ") != "false")


def run(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Carry the options out and return the module's results."""
    if params["state"] == "absent":
        return remove(check_mode)
    ways, table = wanted(params)
    now = nf_tables.read(masquerade_guard.NAME)
    changed = not nf_tables.same(now, table)
    number = 0
    if changed:
        if not check_mode:
            nf_tables.replace(table)
        # Afterwards, so that none begins in between.
        found = connections.masqueraded(ipaddress.IPv4Network(params["network"]), [way.address for way in ways])
        number = len(found) if check_mode else connections.make_independent(found)
    return {
        "changed": changed,
        "diff": {"before": {"rules": masquerade_guard.lines(now)}, "after": {"rules": masquerade_guard.lines(table)}},
        "devices": [{"device": way.device, "address": str(way.address)} for way in ways],
        "connections": number,
    }


def remove(check_mode: bool) -> dict[str, t.Any]:
    """Remove the rules."""
    try:
        now = nf_tables.read(masquerade_guard.NAME)
    except nf_tables.Unsupported:
        now = None
    if now and not check_mode:
        nf_tables.remove(masquerade_guard.NAME)
    diff = {"before": {"rules": masquerade_guard.lines(now)}, "after": {"rules": []}}
    return {"changed": now is not None, "diff": diff, "devices": [], "connections": 0}


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "required": True},
            "network": {"type": "str"},
            "masquerade_mark": {"type": "int", "default": 16384},
            "flannel_run_dir": {"type": "path", "default": "/run/flannel"},
        },
        required_if=[("state", "present", ["network"])],
        supports_check_mode=True,
    )
    problem = option_problem(module.params)
    if problem:
        module.fail_json(msg=problem)
    try:
        results = run(module.params, module.check_mode)
    except (Refused, nf_tables.Unsupported) as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"state: masqueraded connections could not be guarded: {exc}; this needs root in the node's own network namespace")
    module.exit_json(**results)


if __name__ == "__main__":
    main()
