#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cni_replug
short_description: Move running pods of a node from one network to the other without a restart
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Runs on a node after M(podnet.cni.cni_switch) has made the wanted network the active one. Each pod that is still on the other network gets an
    interface of the wanted one by its own plugins, with the address that the pod has, while its packets take the old interface. Then packets
    take the new one, it is verified, and the old one goes. Processes and connections of the pod go on.
  - A pod that does not answer on its new interface, or does not reach over it what it reached before, is put back on the old one.
  - What was left under way by a run that was killed is finished or taken back first.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._cni
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
      - The network that the pods are to have.
    type: str
    choices: [calico, flannel]
    required: true
  pods:
    description:
      - Pods to move, as C(NAMESPACE/NAME). All of the node that are on the other network by default.
    type: list
    elements: str
  reach:
    description:
      - IPv4 addresses to which each pod sends an ICMP echo, from its own network namespace, shortly before packets take its new interface and
        right after that. Those that answered over the old interface, within a second, have to answer over the new one within two. The others are
        not asked for again.
      - The answer of a pod on another node proves that the way back to this pod is right, since such packets keep their source. That of an address
        outside of the pod network proves the way out; both networks masquerade such packets.
      - NetworkPolicies, which Calico applies and Flannel does not, are no part of it. The echoes to an address are one flow, and what began before
        goes on.
    type: list
    elements: str
    default: []
  on_failure:
    description:
      - V(stop) moves no further pod after one that could not be moved, and none at all when O(pods) is not given and there are interfaces of which
        nothing is known. V(go_on) tries all.
    type: str
    choices: [stop, go_on]
    default: stop
  parallel:
    description: Pods for which the new network makes interfaces at a time, 1 to 32.
    type: int
    default: 4
  timeout:
    description: Seconds in which Felix has to set up an interface, and in which a pod that starts has to become known.
    type: int
    default: 10
  plugin_seconds:
    description:
      - Seconds, 0 to 600, for which plugins that fail are called again, from the first failure since one has made an interface. Calico's plugins need
        the API server, which may be away for a moment.
    type: int
    default: 60
  state_dir:
    description: Folder for what is under way.
    type: path
    default: /var/lib/podnet
seealso:
  - module: podnet.cni.cni_switch
  - module: podnet.cni.node_evict
"""

EXAMPLES = r"""
- name: Move all pods of the node to Calico
  podnet.cni.cni_replug:
    state: calico

- name: Move all pods, each of which has to reach another node and a pod there as before
  podnet.cni.cni_replug:
    state: calico
    reach: [172.30.1.12, 10.244.2.7]

- name: Move one back to Flannel
  podnet.cni.cni_replug:
    state: flannel
    pods: [shop/cart-0]
"""

RETURN = r"""
moved:
  description: Pods that were moved, or would be.
  returned: always
  type: list
  elements: dict
  contains:
    pod:
      description: Namespace and name.
      type: str
      returned: always
    address:
      description: Its address.
      type: str
      returned: always
    container_id:
      description: Id of its sandbox.
      type: str
      returned: always
    milliseconds:
      description: How long packets had no way, none in check mode.
      type: float
      returned: always
    reached:
      description: Those of O(reach) that answered it before, and over its new interface too; empty in check mode.
      type: list
      elements: str
      returned: always
  sample: [{pod: shop/cart-0, address: 10.244.1.7, container_id: 0a1b, milliseconds: 0.9, reached: [172.30.1.12, 10.244.2.7]}]
not_moved:
  description: Pods that could not be moved, and why. They are on the network that they were on.
  returned: always
  type: list
  elements: dict
  contains:
    pod:
      description: Namespace and name.
      type: str
      returned: always
    address:
      description: Its address.
      type: str
      returned: always
    reason:
      description: Why.
      type: str
      returned: always
  sample: []
ended:
  description: Pods that ended before they were moved.
  returned: always
  type: list
  elements: str
  sample: []
unknown:
  description: Why nothing can be done about interfaces on the other network, by the name of the node's end.
  returned: always
  type: dict
  sample: {}
recovered:
  description: What was done about pods that an earlier run had under way.
  returned: always
  type: list
  elements: str
  sample: []
"""

import ipaddress
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._cni import config_files
from ansible_collections.podnet.cni.plugins.module_utils._host import cni_plugins, cni_state, commands, patience, replug_run


def option_problem(params: t.Mapping[str, t.Any]) -> str | None:
    """The first wrong option with its value and remedy, or None."""
    for index, pod in enumerate(params["pods"] or []):
        if len([part for part in pod.split("/") if part]) != 2 or pod.count("/") != 1:
            return f"pods[{index}]: '{pod}' is not a pod; give its namespace and name, such as shop/cart-0"
    for index, address in enumerate(params["reach"]):
        try:
            ipaddress.IPv4Address(address)
        except ValueError:
            return f"reach[{index}]: '{address}' is no IPv4 address; give one such as 172.30.1.12"
    if not 1 <= params["parallel"] <= 32:
        return f"parallel: {params['parallel']} is not a number of pods; give 1 to 32"
    if not 1 <= params["timeout"] <= 300:
        return f"timeout: {params['timeout']} is not a time-out; give 1 to 300 seconds"
    if not 0 <= params["plugin_seconds"] <= 600:
        return f"plugin_seconds: {params['plugin_seconds']} is not a time; give 0 to 600 seconds"
    return None


def outcome_problem(params: t.Mapping[str, t.Any], result: t.Mapping[str, t.Any]) -> str | None:
    """What was not done, or None."""
    if result["not_moved"]:
        number, first = len(result["not_moved"]), result["not_moved"][0]
        return f"state: {number} of the node's pods could not be moved to {params['state']}; {first['pod']}: {first['reason']}"
    if result["unknown"] and params["pods"] is None:
        name, reason = min(result["unknown"].items())
        return (
            f"state: {len(result['unknown'])} interfaces of pods could not be moved to {params['state']}; {name}: {reason}; restart their pods, or "
            "name those to move in pods"
        )
    return None


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["calico", "flannel"], "required": True},
            "pods": {"type": "list", "elements": "str"},
            "reach": {"type": "list", "elements": "str", "default": []},
            "on_failure": {"type": "str", "choices": ["stop", "go_on"], "default": "stop"},
            "parallel": {"type": "int", "default": 4},
            "timeout": {"type": "int", "default": 10},
            "plugin_seconds": {"type": "int", "default": 60},
            **cni_state.OPTIONS,
            "state_dir": {"type": "path", "default": "/var/lib/podnet"},
        },
        supports_check_mode=True,
    )
    params = module.params
    problem = option_problem(params)
    if problem:
        module.fail_json(msg=problem)
    places = cni_state.Places.of(params)
    try:
        active = config_files.active(cni_state.read_configs(places))
        config = cni_plugins.read_list(Path(active["path"])) if active and active["cni"] == params["state"] else None
        if config is None:
            present = f"it is {active['cni']}'s ({active['path']})" if active else "there is none"
            module.fail_json(
                msg=f"state: pods can be moved to {params['state']} when its CNI configuration is the active one, and {present}; "
                f"run podnet.cni.cni_switch with state={params['state']} first"
            )
        known = {entry.pod for entry in cni_plugins.read_remembered(places).values()} if params["pods"] else set()
        missing = [pod for pod in params["pods"] or [] if pod not in known]
        if missing:
            module.fail_json(
                msg=f"pods: {', '.join(missing)} is on none of this node's pod networks; give the namespace and name of pods that run here and are "
                "not on the host's network"
            )
        course = replug_run.Run(
            to=params["state"],
            config=config,
            places=places,
            folder=Path(params["state_dir"]) / "replug",
            bridge=params["bridge"],
            timeout=params["timeout"],
            plugins=patience.Patience(params["plugin_seconds"]),
            parallel=params["parallel"],
            go_on=params["on_failure"] == "go_on",
            reach=list(dict.fromkeys(params["reach"])),
        )
        result = course.run(params["pods"], module.check_mode)
    except (commands.CommandError, OSError) as exc:
        module.fail_json(msg=f"state: pods could not be moved to {params['state']}: {exc}")
    problem = outcome_problem(params, result)
    if problem and not module.check_mode:
        module.fail_json(msg=problem, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
