#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_ready
short_description: Wait until a node is in service after a reboot, and say what is missing
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Finds a node of the cluster by its name or by the identifier of its boot, and looks whether it is as it should be.
  - The node is Ready, its network is not unavailable, its kubelet tells the expected kernel and boot, and every pod of a DaemonSet on it is
    Ready, those of the CNI among them. So nothing is believed that the cluster remembers from before the reboot.
  - It fails when that is not so within O(timeout).
  - Runs against the cluster's API, usually on the controller.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.facts
  - podnet.cni._attributes.actiongroup_kube
  - podnet.cni._kube
attributes:
  platform:
    support: full
    platforms: posix
options:
  node:
    description: Name of the node. Without it the node with O(boot_id) is meant.
    type: str
  boot_id:
    description: Identifier of the boot that the node must be in, as in C(/proc/sys/kernel/random/boot_id). At least one of it and O(node) is needed.
    type: str
  release:
    description: Release of the kernel that the node must run.
    type: str
  except_pods:
    description: DaemonSets, as C(namespace/name), whose pods need not be Ready, such as RV(not_ready) from before the reboot.
    type: list
    elements: str
    default: []
  wait:
    description: Whether to wait, and to fail if it does not come true. Without it the module tells how it is.
    type: bool
    default: true
  timeout:
    description: Seconds to wait.
    type: float
    default: 300.0
"""

EXAMPLES = r"""
- name: Which node is this host?
  podnet.cni.node_ready:
    boot_id: "{{ kernels.state.boot_id }}"
    wait: false
  delegate_to: localhost
  register: before

- name: Wait until it is back with its new kernel
  podnet.cni.node_ready:
    node: "{{ before.node }}"
    release: 6.12.117+deb12-cloud-amd64
    except_pods: "{{ before.not_ready }}"
  delegate_to: localhost
"""

RETURN = r"""
node:
  description: Name of the node.
  returned: success
  type: str
  sample: n1
ready:
  description: Whether all is as it should be.
  returned: success
  type: bool
missing:
  description: What is not as it should be, as sentences.
  returned: success
  type: list
  elements: str
  sample: []
release:
  description: The kernel that the node tells.
  returned: success
  type: str
  sample: 6.12.117+deb12-cloud-amd64
schedulable:
  description: Whether new pods may come.
  returned: success
  type: bool
not_ready:
  description: DaemonSets with a pod on the node that is not Ready.
  returned: success
  type: list
  elements: str
  sample: []
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 12.5
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._kube import evict, pods
from ansible_collections.podnet.cni.plugins.module_utils._kube.argspec import KUBE_ARGUMENTS
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError, NotFound, Unreachable

POLL_SECONDS = 2.0
Node = t.Mapping[str, t.Any]


class Failure(Exception):
    """What the module fails with."""


def condition_of(node: Node, kind: str) -> str:
    """A condition's status, empty when the node has none of that kind."""
    return next((str(item.get("status", "")) for item in node.get("status", {}).get("conditions") or [] if item.get("type") == kind), "")


def info_of(node: Node, key: str) -> str:
    """What the kubelet tells of its system."""
    return str((node.get("status", {}).get("nodeInfo") or {}).get(key, ""))


def waiting_daemonsets(node_pods: t.Iterable[pods.Pod]) -> list[str]:
    """DaemonSets with a pod on the node that is not Ready."""
    found = set()
    for pod in node_pods:
        kind, name, dummy = pods.owner_of(pod)
        if kind == "DaemonSet" and not pods.is_ready(pod):
            found.add(f"{pod['metadata'].get('namespace', '')}/{name}")
    return sorted(found)


def missing_of(node: Node, waiting: t.Sequence[str], params: t.Mapping[str, t.Any]) -> list[str]:
    """What is not as it should be."""
    missing = []
    # First what the kubelet says of the reboot: before it has spoken everything else is from before.
    for option, key, what in (("release", "kernelVersion", "kernel"), ("boot_id", "bootID", "boot")):
        wanted, told = params[option], info_of(node, key)
        if wanted and wanted != told:
            missing.append(f"its kubelet tells of {what} {told or 'nothing'}, not of {wanted}")
    status = condition_of(node, "Ready")
    if status != "True":
        missing.append("it is not Ready" if status == "False" else "its kubelet has not been heard of")
    if condition_of(node, "NetworkUnavailable") == "True":
        missing.append("its network is unavailable")
    missing += [f"the pod of DaemonSet {name} is not Ready" for name in waiting if name not in params["except_pods"]]
    return missing


class Watcher:
    """Looks at one node."""

    def __init__(self, kube: KubeClient, params: t.Mapping[str, t.Any], sleep: t.Callable[[float], None] = time.sleep) -> None:
        self.kube = kube
        self.params = params
        self.sleep = sleep
        self.begin = time.monotonic()
        self.name = params["node"] or self._name_by_boot()

    def _name_by_boot(self) -> str:
        nodes = list(self.kube.list("/api/v1/nodes"))
        found = [str(node["metadata"]["name"]) for node in nodes if info_of(node, "bootID") == self.params["boot_id"]]
        if len(found) != 1:
            raise Failure(
                f"boot_id: {len(found)} of {len(nodes)} nodes of the cluster are in the boot {self.params['boot_id']}: this host is no node of it, "
                "or its kubelet does not run. Give the node's name, or another kubeconfig"
            )
        return found[0]

    def look(self) -> dict[str, t.Any]:
        """How it is now."""
        try:
            node = self.kube.get(f"/api/v1/nodes/{self.name}")
        except NotFound as exc:
            raise Failure(f"node: the cluster has no node '{self.name}'; use a name that `kubectl get nodes` shows") from exc
        waiting = waiting_daemonsets(evict.list_pods(self.kube, self.name))
        missing = missing_of(node, waiting, self.params)
        return {
            "changed": False,
            "node": self.name,
            "ready": not missing,
            "missing": missing,
            "release": info_of(node, "kernelVersion"),
            "schedulable": not node.get("spec", {}).get("unschedulable"),
            "not_ready": waiting,
            "seconds": round(time.monotonic() - self.begin, 1),
        }

    def run(self) -> dict[str, t.Any]:
        """Look until all is well, or once."""
        deadline = self.begin + self.params["timeout"]
        missing = ["the cluster's API was not reached"]
        while True:
            try:
                results = self.look()
                missing = results["missing"]
                if not missing or not self.params["wait"]:
                    return results
            except Unreachable as exc:
                # The node may be the one that the API server runs on.
                missing = [str(exc)]
                if not self.params["wait"]:
                    raise
            if time.monotonic() >= deadline:
                raise Failure(f"node {self.name} is not in service after {self.params['timeout']:g} s: {'; '.join(missing)}")
            self.sleep(POLL_SECONDS)


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str"},
            "boot_id": {"type": "str"},
            "release": {"type": "str"},
            "except_pods": {"type": "list", "elements": "str", "default": []},
            "wait": {"type": "bool", "default": True},
            "timeout": {"type": "float", "default": 300.0},
            **KUBE_ARGUMENTS,
        },
        required_one_of=[("node", "boot_id")],
        supports_check_mode=True,
    )
    if module.params["timeout"] < 0:
        module.fail_json(msg=f"timeout: {module.params['timeout']} is not a duration; give seconds, or 0 to look once")
    try:
        results = Watcher(KubeClient.from_module(module), module.params).run()
    except Failure as exc:
        module.fail_json(msg=str(exc))
    except KubeError as exc:
        module.fail_json(msg=f"the cluster's API refused: {exc}")
    module.exit_json(**results)


if __name__ == "__main__":
    main()
