#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: calico_bgp_node
short_description: AS numbers of nodes, and nodes as route reflectors, for Calico's BGP
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Writes what calico-node reads from its Node - the annotations C(projectcalico.org/ASNumber) and
    C(projectcalico.org/RouteReflectorClusterID) - and gives route reflectors the label C(podnet.cni/route-reflector), by which a BGPPeer selects
    them.
  - A setting that is not given is left as it is, on nodes that are not named too.
  - calico-node reads a change at once, and sessions that are concerned begin anew.
  - Runs against the cluster's API, usually on the controller.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.actiongroup_kube
  - podnet.cni._kube
attributes:
  check_mode:
    support: full
    details:
      - The API server checks the changes in a dry run.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: posix
options:
  state:
    description:
      - V(absent) removes all of these settings from the nodes, whichever are given, so that they have the AS number of all nodes and reflect
        nothing.
    type: str
    choices: [present, absent]
    default: present
  nodes:
    description: The nodes.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the node in the cluster.
        type: str
        required: true
      as_number:
        description: Its AS number, plain or dotted, if it is not that of all nodes. Quote a dotted one, since YAML would read a fraction.
        type: raw
      cluster_id:
        description:
          - Makes it a route reflector with this cluster id, which looks like an IPv4 address. Reflectors that every node peers with should have the
            same id; use an address that nobody has.
        type: str
seealso:
  - module: podnet.cni.calico_bgp_peer
"""

EXAMPLES = r"""
- name: Make two nodes route reflectors
  podnet.cni.calico_bgp_node:
    nodes:
      - {name: n1, cluster_id: 244.0.0.1}
      - {name: n4, cluster_id: 244.0.0.1}
  delegate_to: localhost

- name: Let every node peer with them
  podnet.cni.calico_bgp_peer:
    name: route-reflectors
    node_selector: all()
    peer_selector: has(podnet.cni/route-reflector)
  delegate_to: localhost

- name: An AS number for each rack
  podnet.cni.calico_bgp_node:
    nodes:
      - {name: n1, as_number: 65001}
      - {name: n2, as_number: 65002}
  delegate_to: localhost
"""

RETURN = r"""
nodes:
  description: Nodes that were changed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [n1, n4]
api_calls:
  description: Requests to the cluster's API.
  returned: always
  type: int
  sample: 3
seconds:
  description: Duration.
  returned: always
  type: float
  sample: 0.1
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_bgp_node
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_bgp_peer_spec import parse_as_number
from ansible_collections.podnet.cni.plugins.module_utils._kube.argspec import KUBE_ARGUMENTS
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError

Metadata = dict[str, dict[str, t.Any]]


class Failure(Exception):
    """Why nothing was changed; the text has the remedy."""


def option_problems(params: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the options, with remedies."""
    problems = []
    seen: set[str] = set()
    for index, node in enumerate(params["nodes"]):
        if node["name"] in seen:
            problems.append(f"nodes[{index}].name: '{node['name']}' is there twice; put its settings into one entry")
        seen.add(node["name"])
        given = [key for key in ("as_number", "cluster_id") if node.get(key) not in (None, "")]
        if params["state"] == "absent":
            continue
        if not given:
            problems.append(f"nodes[{index}]: '{node['name']}' has no settings; give as_number or cluster_id")
        if "as_number" in given:
            try:
                parse_as_number(node["as_number"])
            except ValueError as exc:
                problems.append(f"nodes[{index}].as_number: '{node['as_number']}' {exc}; give 64512, or '1.10' in quotes")
        problem = calico_bgp_node.cluster_id_problem(node["cluster_id"]) if "cluster_id" in given else None
        if problem:
            problems.append(f"nodes[{index}].cluster_id: '{node['cluster_id']}' {problem}; give one that nobody has, such as 244.0.0.1")
    return problems


class Nodes:
    """Brings the settings of some nodes to what the options say."""

    def __init__(self, kube: KubeClient, params: t.Mapping[str, t.Any], check_mode: bool) -> None:
        self.kube = kube
        self.params = params
        self.check_mode = check_mode
        self.before: dict[str, Metadata] = {}
        self.after: dict[str, Metadata] = {}

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results. All reasons to refuse are looked for before the first write."""
        nodes = {node["metadata"]["name"]: node for node in self.kube.list("/api/v1/nodes")}
        unknown = [entry["name"] for entry in self.params["nodes"] if entry["name"] not in nodes]
        if unknown:
            raise Failure(f"nodes: '{', '.join(unknown)}' is no node of the cluster; it has {', '.join(sorted(nodes))}")
        for entry in self.params["nodes"]:
            self._bring(nodes[entry["name"]], entry)
        return {"changed": self.before != self.after, "nodes": list(self.after), "diff": {"before": self.before, "after": self.after}}

    def _bring(self, node: t.Mapping[str, t.Any], entry: t.Mapping[str, t.Any]) -> None:
        present = calico_bgp_node.present_metadata(node)
        patch: Metadata
        if self.params["state"] == "absent":
            patch = {part: dict.fromkeys(values) for part, values in present.items() if values}
        else:
            as_number = None if entry.get("as_number") in (None, "") else parse_as_number(entry["as_number"])
            wanted = calico_bgp_node.wanted_metadata(as_number, entry.get("cluster_id") or None)
            changes = {part: {key: value for key, value in values.items() if present[part].get(key) != value} for part, values in wanted.items()}
            patch = {part: values for part, values in changes.items() if values}
        if not patch:
            return
        name = node["metadata"]["name"]
        self.kube.merge_patch(f"/api/v1/nodes/{name}", {"metadata": patch}, dry_run=self.check_mode)
        self.before[name] = present
        self.after[name] = {
            part: {key: value for key, value in {**values, **patch.get(part, {})}.items() if value is not None} for part, values in present.items()
        }


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "nodes": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "as_number": {"type": "raw"},
                    "cluster_id": {"type": "str"},
                },
            },
            **KUBE_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    problems = option_problems(module.params)
    if problems:
        module.fail_json(msg="; ".join(problems))
    started = time.monotonic()
    kube = KubeClient.from_module(module)
    try:
        results = Nodes(kube, module.params, module.check_mode).run()
    except Failure as exc:
        module.fail_json(msg=str(exc))
    except KubeError as exc:
        module.fail_json(msg=f"the cluster's API refused: {exc}")
    module.exit_json(api_calls=kube.calls, seconds=round(time.monotonic() - started, 3), **results)


if __name__ == "__main__":
    main()
