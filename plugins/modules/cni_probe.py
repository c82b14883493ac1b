#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cni_probe
short_description: Prove that the pod network of a node works
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Runs on a node and checks, all at once, that Services and cluster DNS answer, that the node's own Calico pods are reachable,
    and that routes to given destinations are usable.
  - Every check is tried again until it succeeds or O(timeout) has passed. It fails, naming each check that failed and why,
    when one is still failing then.
  - Nothing is changed. The number of packets is bounded by the number of checks and O(timeout).
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.facts
attributes:
  platform:
    support: full
    platforms: linux
options:
  tcp:
    description: TCP connections to open.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it is, for people.
        type: str
        required: true
      address:
        description: IPv4 address.
        type: str
        required: true
      port:
        description: Port, 1 to 65535.
        type: int
        required: true
  dns:
    description: Names to resolve over UDP, one query each try.
    type: list
    elements: dict
    default: []
    suboptions:
      server:
        description: IPv4 address of the server.
        type: str
        required: true
      name:
        description: Fully qualified name.
        type: str
        required: true
  local_pods:
    description:
      - Whether to reach every Calico pod of this node from the node, found by the host routes over C(cali) interfaces.
      - An echo reply counts, and so does an answer to ARP from a pod that drops ICMP.
    type: bool
    default: true
  routes:
    description: Destinations to which the kernel must have a usable route.
    type: list
    elements: dict
    default: []
    suboptions:
      destination:
        description: IPv4 address.
        type: str
        required: true
      forbidden_devices:
        description: Devices by which the packet must not leave.
        type: list
        elements: str
        default: []
  attempt_timeout:
    description: Seconds that one try may take.
    type: float
    default: 1.0
  timeout:
    description: Seconds in which every check must have succeeded once.
    type: float
    default: 20.0
"""

EXAMPLES = r"""
- name: Prove that the node's pods, Services and DNS work
  podnet.cni.cni_probe:
    tcp:
      - name: API server by its Service
        address: 10.96.0.1
        port: 443
    dns:
      - server: 10.96.0.10
        name: kubernetes.default.svc.cluster.local
    routes:
      - destination: 10.244.2.64
        forbidden_devices: [flannel.1]
"""

RETURN = r"""
checks:
  description: Every check in the order tcp, dns, routes, local pods.
  returned: always
  type: list
  elements: dict
  contains:
    kind:
      description: One of V(tcp), V(dns), V(route), V(pod).
      type: str
      returned: always
    name:
      description: What it is, for people.
      type: str
      returned: always
    target:
      description: Address, or name and server.
      type: str
      returned: always
    ok:
      description: Whether it succeeded.
      type: bool
      returned: always
    attempts:
      description: How often it was tried.
      type: int
      returned: always
    milliseconds:
      description: Duration of the last try.
      type: float
      returned: always
    reason:
      description: Why the last try failed, empty when it did not.
      type: str
      returned: always
  sample:
    - {kind: pod, name: pod of this node, target: 10.244.1.66, ok: true, attempts: 1, milliseconds: 0.4, reason: ""}
"""

import ipaddress
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._host.commands import CommandError
from ansible_collections.podnet.cni.plugins.module_utils._run import probe


def option_problem(params: t.Mapping[str, t.Any]) -> str | None:
    """The first wrong option with its value and remedy, or None."""
    addresses = [(f"tcp[{index}].address", item["address"]) for index, item in enumerate(params["tcp"])]
    addresses += [(f"dns[{index}].server", item["server"]) for index, item in enumerate(params["dns"])]
    addresses += [(f"routes[{index}].destination", item["destination"]) for index, item in enumerate(params["routes"])]
    for option, value in addresses:
        try:
            ipaddress.IPv4Address(value)
        except ValueError:
            return f"{option}: '{value}' is not an IPv4 address; give one such as 10.96.0.1"
    for index, item in enumerate(params["tcp"]):
        if not 1 <= item["port"] <= 65535:
            return f"tcp[{index}].port: {item['port']} is not a port; give a number from 1 to 65535"
    for index, item in enumerate(params["dns"]):
        if not all(0 < len(label) < 64 and label.isascii() for label in item["name"].rstrip(".").split(".")):
            return f"dns[{index}].name: '{item['name']}' is not a DNS name; give a full name such as kubernetes.default.svc.cluster.local"
    for option in ("attempt_timeout", "timeout"):
        if params[option] <= 0:
            return f"{option}: {params[option]} is not a duration; give seconds greater than 0"
    return None


def build_checks(params: t.Mapping[str, t.Any], pods: t.Iterable[str]) -> list[probe.Check]:
    """The checks that the options ask for."""
    checks = [
        probe.Check("tcp", item["name"], f"{item['address']}:{item['port']}", probe.tcp_attempt(item["address"], item["port"]))
        for item in params["tcp"]
    ]
    checks += [
        probe.Check("dns", "cluster DNS", f"{item['name']} at {item['server']}", probe.dns_attempt(item["server"], item["name"]))
        for item in params["dns"]
    ]
    checks += [
        probe.Check("route", "route", item["destination"], probe.route_attempt(item["destination"], item["forbidden_devices"] or []))
        for item in params["routes"]
    ]
    return checks + [probe.Check("pod", "pod of this node", address, probe.pod_attempt(address)) for address in pods]


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "tcp": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "address": {"type": "str", "required": True},
                    "port": {"type": "int", "required": True},
                },
            },
            "dns": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"server": {"type": "str", "required": True}, "name": {"type": "str", "required": True}},
            },
            "local_pods": {"type": "bool", "default": True},
            "routes": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "destination": {"type": "str", "required": True},
                    "forbidden_devices": {"type": "list", "elements": "str", "default": []},
                },
            },
            "attempt_timeout": {"type": "float", "default": 1.0},
            "timeout": {"type": "float", "default": 20.0},
        },
        supports_check_mode=True,
    )
    problem = option_problem(module.params)
    if problem:
        module.fail_json(msg=problem)
    try:
        pods = probe.read_workload_addresses() if module.params["local_pods"] else []
    except CommandError as exc:
        module.fail_json(msg=f"local_pods: the pods of this node cannot be listed: {exc}", changed=False)
    checks = build_checks(module.params, pods)
    if not checks:
        module.warn("nothing was proved: tcp, dns and routes are empty, and the node has no pod of Calico to reach")
    results = probe.run_checks(checks, module.params["attempt_timeout"], module.params["timeout"])
    failed = [result for result in results if not result["ok"]]
    if failed:
        reasons = "; ".join(f"{result['name']}: {result['reason']}" for result in failed)
        module.fail_json(
            msg=f"{len(failed)} of {len(results)} checks still failed after {module.params['timeout']:g} s: {reasons}",
            checks=results,
            changed=False,
        )
    module.exit_json(changed=False, checks=results)


if __name__ == "__main__":
    main()
