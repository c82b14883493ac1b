#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cni_facts
short_description: Read the pod network of a node or of a cluster
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - With O(scope=node) it runs on a node and reads what its kernel and its files say about the CNI. It needs C(ip) and C(bridge) of
    iproute2, and reads firewall rules with whichever of iptables, iptables-legacy and nft the node has.
  - With O(scope=cluster) it runs where the cluster's API can be reached, usually on the controller, and reads the cluster once, in pages.
  - Flannel is recognized by what its DaemonSet runs and mounts, so it is found wherever it is and whatever it is called.
  - Nothing is changed.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.facts
  - podnet.cni._attributes.actiongroup_kube
  - podnet.cni._kube
attributes:
  platform:
    support: full
    platforms: linux
options:
  scope:
    description: What to read.
    type: str
    choices: [node, cluster]
    default: node
  cni_config_dir:
    description: Folder of CNI configurations on the node.
    type: path
    default: /etc/cni/net.d
  cni_bin_dir:
    description: Folder of CNI plugins on the node.
    type: path
    default: /opt/cni/bin
  cni_state_dir:
    description: Folder in which the CNI library and host-local keep their state on the node.
    type: path
    default: /var/lib/cni
  flannel_run_dir:
    description: Folder of Flannel's C(subnet.env) on the node.
    type: path
    default: /run/flannel
  access:
    description:
      - What the user of the kubeconfig is about to do, with O(scope=cluster). It is asked of the API server whether the user may, and the
        rights that are missing are in RV(ignore:ansible_facts.podnet_cluster.access).
      - V(plan) is to read what is needed for the plan, V(move) to take nodes from one network to the other, V(install) to install Calico,
        V(uninstall) to remove it, V(remove) to remove Flannel, V(restore) to put it back. See C(docs/examples/rbac.yml).
      - Empty, nothing is asked.
    type: list
    elements: str
    choices: [plan, move, install, remove, restore, uninstall]
    default: []
  bgp_passwords:
    description:
      - Secrets of C(kube-system) that BGP peers are going to have their passwords from, with O(scope=cluster). Whether they are there, and whether
        calico-node may read them, is in RV(ignore:ansible_facts.podnet_cluster.bgp_passwords), without the passwords.
      - Empty, nothing is asked.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the Secret.
        type: str
        required: true
      key:
        description: Key in it.
        type: str
        required: true
"""

EXAMPLES = r"""
- name: Read the nodes
  hosts: kube_node
  gather_facts: false
  tasks:
    - name: Read the node's network
      podnet.cni.cni_facts:

    - name: Show which CNI new pods get
      ansible.builtin.debug:
        var: ansible_facts.podnet_node.active_cni.cni

- name: Read the cluster
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Read the cluster's network
      podnet.cni.cni_facts:
        scope: cluster
        kubeconfig: ~/.kube/config
"""

RETURN = r"""
ansible_facts:
  description: Facts to add to C(ansible_facts).
  returned: always
  type: dict
  contains:
    podnet_node:
      description: What the node says, with O(scope=node).
      returned: with O(scope=node)
      type: dict
      contains:
        hostname:
          description: The node's own host name.
          returned: always
          type: str
          sample: n1
        gathered_at:
          description: When it was read, in UTC.
          returned: always
          type: str
          sample: "2026-11-24T16:19:15Z"
        kernel:
          description: Release of the kernel.
          returned: always
          type: str
          sample: 6.1.0-18-amd64
        python:
          description: Version of the Python that read it.
          returned: always
          type: str
          sample: 3.11.2
        missing_tools:
          description: Programs that the modules of this collection use and that the node does not have.
          returned: always
          type: list
          elements: str
          sample: [nft]
        active_cni:
          description: The configuration that the runtime uses, the first valid one by name, and what it is. None without one.
          returned: always
          type: dict
          sample: {cni: flannel, network_name: cbr0, config_file: /etc/cni/net.d/10-flannel.conflist, plugin_types: [flannel, portmap]}
        cni_configs:
          description: All configurations in the runtime's order.
          returned: always
          type: list
          elements: dict
        cni_plugins:
          description: Plugins that are installed.
          returned: always
          type: list
          elements: dict
        links:
          description: Links with type, MTU (bytes), MAC and state.
          returned: always
          type: list
          elements: dict
        vxlan:
          description: VXLAN devices with VNI, UDP port, MTU (bytes), VTEP MAC and packet counters.
          returned: always
          type: list
          elements: dict
        cni0:
          description: Flannel's bridge with its ports, None without it.
          returned: always
          type: dict
        cali_interfaces:
          description: Calico's interfaces of pods.
          returned: always
          type: list
          elements: dict
        fdb:
          description: Forwarding entries of VXLAN devices.
          returned: always
          type: list
          elements: dict
        neighbors:
          description: Neighbour entries (ARP).
          returned: always
          type: list
          elements: dict
        routes:
          description: IPv4 routes of all tables but C(local).
          returned: always
          type: list
          elements: dict
        routes_by_protocol:
          description: Number of routes by protocol.
          returned: always
          type: dict
          sample: {kernel: 2, bird: 3}
        bgp_sessions:
          description: BGP sessions as the BIRD of calico-node tells them, none when it does not run.
          returned: always
          type: list
          elements: dict
          sample: [{node: n1, peer: 172.30.1.1, type: NodePeer, state: Established, info: null, since: "14:03:11", why: null}]
        pods:
          description: Pods of the node by the data plane that they are on, C(flannel), C(calico) or C(other).
          returned: always
          type: dict
        ipam:
          description: Addresses that host-local has handed out, by network.
          returned: always
          type: dict
        leftover_chains:
          description: Chains of Flannel and Calico in every table of legacy iptables, nft iptables and ip6tables.
          returned: always
          type: list
          elements: dict
        leftover_rules:
          description: Rules in other chains that belong to Flannel.
          returned: always
          type: list
          elements: dict
        nft_tables:
          description: nft tables of Flannel and Calico.
          returned: always
          type: list
          elements: dict
        subnet_env:
          description: Flannel's C(subnet.env), None without it.
          returned: always
          type: dict
        sysctls:
          description: Kernel settings that matter here.
          returned: always
          type: dict
        watchdog:
          description: Whether the timer that puts Flannel back is armed.
          returned: always
          type: dict
    podnet_cluster:
      description: What the cluster's API says, with O(scope=cluster).
      returned: with O(scope=cluster)
      type: dict
      contains:
        server_version:
          description: Version of the API server.
          returned: always
          type: str
          sample: v1.37.2
        gathered_at:
          description: When it was read, in UTC.
          returned: always
          type: str
          sample: "2026-11-24T16:19:15Z"
        flannel:
          description: Flannel's DaemonSet, ConfigMap, C(net-conf.json), backend, and who would put it back. None without Flannel.
          returned: always
          type: dict
        flannel_backup:
          description:
            - What the journal has of a Flannel that M(podnet.cni.flannel_uninstall) removed and M(podnet.cni.flannel_restore) can put back.
              None without such a backup, and for a user who may not read the journal.
          returned: always
          type: dict
          contains:
            daemonset:
              description: Namespace and name of its DaemonSet.
              returned: always
              type: str
              sample: kube-flannel/kube-flannel-ds
            network:
              description: Its network, None when the backup does not tell.
              returned: always
              type: str
              sample: 10.244.0.0/16
            backend_type:
              description: Type of its backend, None when the backup does not tell.
              returned: always
              type: str
              sample: vxlan
            cni_config_names:
              description: Names of the CNI configurations that its pods write, empty when their commands do not tell.
              returned: always
              type: list
              elements: str
              sample: [10-flannel.conflist]
        nodes:
          description: Nodes with podCIDR, addresses, conditions and what Flannel and Calico wrote on them.
          returned: always
          type: list
          elements: dict
        pods:
          description: Pods with node, address, owner and readiness.
          returned: always
          type: list
          elements: dict
        pod_disruption_budgets:
          description: Budgets and what they allow now.
          returned: always
          type: list
          elements: dict
        network_policies:
          description: Namespace and name of every NetworkPolicy.
          returned: always
          type: list
          elements: dict
        services:
          description: Addresses of the API server's Service and of cluster DNS.
          returned: always
          type: dict
        access:
          description: Who the user is, and the rights that are missing for what O(access) names. None when nothing was asked.
          returned: always
          type: dict
          sample:
            user: system:serviceaccount:kube-system:podnet-migration
            missing:
              - {verbs: [create], api_group: "", resource: pods/eviction, names: [], namespace: "", text: create pods/eviction}
            problem:
        bgp_passwords:
          description:
            - What is known of each Secret of O(bgp_passwords), and never what is in it. None when nothing was asked.
            - C(present), C(has_key) and C(readable) are None when the API server does not tell, and C(problem) says why.
          returned: always
          type: list
          elements: dict
          sample:
            - namespace: kube-system
              name: bgp-password
              key: router
              account: kube-system/calico-node
              present: true
              has_key: true
              readable: true
              problem:
        calico:
          description: Calico's DaemonSet, pools, blocks, peers and sessions. None without Calico.
          returned: always
          type: dict
        api_calls:
          description: Number of requests that this needed.
          returned: always
          type: int
          sample: 24
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._host.node_facts import collect_node_facts
from ansible_collections.podnet.cni.plugins.module_utils._kube import access_review, access_rules
from ansible_collections.podnet.cni.plugins.module_utils._kube.argspec import KUBE_ARGUMENTS
from ansible_collections.podnet.cni.plugins.module_utils._kube.bgp_passwords import read_passwords
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.cluster_facts import read_cluster
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, KubeError, Unauthorized


def access_of(kube: KubeClient, purposes: t.Sequence[str], cluster: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """C(podnet_cluster.access); None when nothing was asked."""
    if not purposes:
        return None
    groups = {version.split("/")[0] for version in kube.served()}
    flannel, backup = cluster["flannel"] or {}, cluster["flannel_backup"]
    removed = access_rules.upstream_with(backup["daemonset"]) if backup and not flannel else []
    return access_review.review(kube, access_rules.rules_for(purposes, flannel.get("objects") or [], removed), groups)


def why_not(kube: KubeClient, error: KubeError) -> str:
    """Why the cluster cannot be read, with everything that the user may not read when that is the reason."""
    if not isinstance(error, Forbidden) or isinstance(error, Unauthorized):
        return f"the cluster cannot be read: {error}"
    found = access_review.review(kube, access_rules.rules_for(["plan"], []))
    if not found["missing"]:
        return f"the cluster cannot be read: {error}"
    who, missing = found["user"] or "the user of this kubeconfig", "; ".join(entry["text"] for entry in found["missing"])
    return (
        f"the cluster cannot be read: {who} may not {missing}. Give the user these rights: "
        "docs/examples/rbac-plan.yml of this collection is a ClusterRole that has all that the plan needs, "
        "docs/examples/rbac.yml all that a migration needs"
    )


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "scope": {"type": "str", "choices": ["node", "cluster"], "default": "node"},
            "cni_config_dir": {"type": "path", "default": "/etc/cni/net.d"},
            "cni_bin_dir": {"type": "path", "default": "/opt/cni/bin"},
            "cni_state_dir": {"type": "path", "default": "/var/lib/cni"},
            "flannel_run_dir": {"type": "path", "default": "/run/flannel"},
            "access": {"type": "list", "elements": "str", "choices": list(access_rules.PURPOSES), "default": []},
            "bgp_passwords": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "no_log": False,  # they name Secrets, and are none
                "options": {"name": {"type": "str", "required": True}, "key": {"type": "str", "required": True, "no_log": False}},
            },
            **KUBE_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    if module.params["scope"] == "node":
        module.exit_json(changed=False, ansible_facts={"podnet_node": collect_node_facts(module)})
    kube = KubeClient.from_module(module)
    try:
        facts = read_cluster(kube)
        facts["access"] = access_of(kube, module.params["access"], facts)
        facts["bgp_passwords"] = read_passwords(kube, module.params["bgp_passwords"], facts["calico"])
        facts["api_calls"] = kube.calls
    except KubeError as exc:
        module.fail_json(msg=why_not(kube, exc))
    module.exit_json(changed=False, ansible_facts={"podnet_cluster": facts})


if __name__ == "__main__":
    main()
