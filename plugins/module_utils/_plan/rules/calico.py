# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about a Calico that is already there: adopt what matches, refuse what would fight."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_resources import ENCAPSULATIONS
from ansible_collections.podnet.cni.plugins.module_utils._plan import node_state
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, INFO, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.modes import DEFAULT, MODES, Mode
from ansible_collections.podnet.cni.plugins.module_utils._plan.settings import POOL_NAME
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Facts, Situation
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed, natural, node_subject

NAMESPACE, DAEMONSET = "kube-system", "calico-node"
"""Where projectcalico/calico:manifests/calico.yaml puts calico-node."""
_POOL = "projectcalico/calico:api/pkg/apis/projectcalico/v3/ippool.go"


def encapsulation(pool: Facts) -> str:
    """The encapsulation of a pool, C(none) without."""
    for field, name in (("ipipMode", "IPIP"), ("vxlanMode", "VXLAN")):
        mode = pool.get(field) or "Never"
        if mode != "Never":
            return f"{name} {mode}"
    return "none"


def _wanted(mode: Mode) -> str:
    """The encapsulation of a mode's pool, as C(encapsulation) tells it."""
    return f"VXLAN {ENCAPSULATIONS[mode.encapsulation]}" if mode.tunnel else "none"


def pool_differences(pool: Facts, network: str, block_size: int, mode: Mode = MODES[DEFAULT]) -> list[str]:
    """How a pool differs from the one that the migration needs."""
    differences = []
    if pool.get("cidr") != network:
        differences.append(f"cidr {pool.get('cidr')} instead of {network}")
    if int(pool.get("blockSize") or 26) != block_size:
        differences.append(f"blockSize {pool.get('blockSize') or 26} instead of {block_size}")
    if encapsulation(pool) != _wanted(mode):
        differences.append(f"encapsulation {encapsulation(pool)} instead of {_wanted(mode)}")
    if pool.get("disabled"):
        differences.append("disabled")
    if (pool.get("nodeSelector") or "all()") != "all()":
        differences.append(f"nodeSelector {pool['nodeSelector']} instead of all()")
    return differences


def matching_pool(situation: Situation) -> Facts | None:
    """A pool that is just as the migration needs it."""
    if not situation.network:
        return None
    pools = (situation.calico or {}).get("pools") or []
    return next((pool for pool in pools if not pool_differences(pool, situation.network, situation.settings.block_size, situation.mode)), None)


def _overlaps(cidr: str, network: str) -> bool:
    first, second = ipaddress.ip_network(cidr, strict=False), ipaddress.ip_network(network, strict=False)
    return first.version == second.version and first.overlaps(second)


def pools(situation: Situation) -> t.Iterator[Finding]:
    """Pools that overlap with Flannel's network but are others, and pools from which pods could get addresses outside of it."""
    network = situation.network
    if not network or not situation.to_move:
        return
    for pool in (situation.calico or {}).get("pools") or []:
        differences = pool_differences(pool, network, situation.settings.block_size, situation.mode)
        cidr = str(pool.get("cidr"))
        if not differences:
            if pool["name"] != POOL_NAME:
                yield Finding(
                    "calico-pool-adopted",
                    INFO,
                    f"IPPool {pool['name']}",
                    f"It is {cidr} with blocks of /{situation.settings.block_size}, encapsulation {encapsulation(pool)}.",
                    "This is just the pool that the migration needs.",
                    "Nothing to do: it is used under its name.",
                    _POOL,
                )
        elif _overlaps(cidr, network):
            yield Finding(
                "calico-pool-differs",
                BLOCKER,
                f"IPPool {pool['name']}",
                f"It overlaps with the pod network {network} and has {listed(differences)}.",
                "cidr and blockSize of a pool cannot be changed, its encapsulation not while pods use it, and two pools must not overlap.",
                f"Delete the pool if no pod has an address of it (`calicoctl delete ippool {pool['name']}`), "
                f"or set podnet_block_size to {pool.get('blockSize') or 26} if only the block size differs, or podnet_calico_routing to what the "
                "pool is for if only the encapsulation does.",
                _POOL,
            )
        elif not pool.get("disabled") and ":" not in cidr:
            yield Finding(
                "calico-pool-foreign",
                BLOCKER,
                f"IPPool {pool['name']}",
                f"It is {cidr}, outside the pod network {network}, and not disabled.",
                "Pods that move could get its addresses, which Flannel's nodes masquerade and the routers may not know.",
                f"Set disabled: true in IPPool {pool['name']} until the migration is done, or delete it.",
                _POOL,
            )


def operator(situation: Situation) -> t.Iterator[Finding]:
    """Calico's operator, which installs a Calico of its own."""
    calico = situation.calico or {}
    if calico.get("operator") and situation.to_move:
        yield Finding(
            "calico-operator",
            BLOCKER,
            "API group operator.tigera.io",
            "The cluster serves it: Calico's operator (tigera-operator) is installed, or was.",
            "With an Installation it makes a calico-node of its own in calico-system, which writes its CNI configuration on all nodes at once.",
            "If no pod is on Calico, remove the operator and its definitions (`kubectl delete -f tigera-operator.yaml`, or `helm uninstall`), run "
            "again; the operator can take the installation over after the migration.",
            "tigera/operator:api/v1/installation_types.go",
        )


def daemonset(situation: Situation) -> t.Iterator[Finding]:
    """A calico-node that was installed in another way, or in another mode."""
    calico = situation.calico
    found = (calico or {}).get("daemonset")
    if not found or not situation.to_move:
        return
    name = f"DaemonSet {found['namespace']}/{found['name']}"
    if (found["namespace"], found["name"]) != (NAMESPACE, DAEMONSET):
        yield Finding(
            "calico-installed-otherwise",
            BLOCKER,
            name,
            f"calico-node runs here, not as {NAMESPACE}/{DAEMONSET}.",
            "It was installed by Calico's operator or by a chart, which would undo what this migration sets, and a second one would fight it.",
            "Remove it if no pod uses it. If pods do, this cluster has moved to Calico in another way: go on with the means of what installed it.",
            "tigera/operator:pkg/render/node.go",
        )
    backend = found.get("backend")
    if backend not in (None, situation.mode.backend):
        yield Finding(
            "calico-backend",
            BLOCKER,
            name,
            f'CALICO_NETWORKING_BACKEND is "{backend}".',
            f"With podnet_calico_routing={situation.mode.name} calico-node runs with the backend {situation.mode.backend}: bird speaks BGP, vxlan "
            "does "
            "not need to.",
            "Remove this Calico if no pod uses it, then run again; it will be installed with the right backend.",
            "projectcalico/calico:node/filesystem/etc/rc.local",
        )


def blocks(situation: Situation) -> t.Iterator[Finding]:
    """Blocks inside a node's podCIDR that another node owns."""
    owner_of = [(ipaddress.ip_network(node["pod_cidr"]), node["name"]) for node in situation.cluster_nodes if node.get("pod_cidr")]
    moving = {node["name"] for node in situation.to_move}
    wrong = []
    entries = [*((situation.calico or {}).get("blocks") or []), *((situation.calico or {}).get("affinities") or [])]
    for entry in entries:
        if not entry.get("cidr") or not entry.get("node"):
            continue
        block = ipaddress.ip_network(entry["cidr"])
        for network, name in owner_of:
            if name in moving and entry["node"] != name and network.version == block.version and network.overlaps(block):
                wrong.append((str(block), str(entry["node"]), name))
    if wrong:
        shown = natural({f"{block} belongs to {owner}, but is in the podCIDR of {name}" for block, owner, name in wrong})
        names = natural({name for dummy, dummy2, name in wrong})
        yield Finding(
            "calico-block-foreign",
            BLOCKER,
            node_subject(names),
            f"{listed(shown, 4)}.",
            "Two nodes would give out the same addresses.",
            "Move or delete the pods with addresses of these blocks, then `calicoctl ipam release --from-report` or delete the BlockAffinity.",
            "projectcalico/calico:libcalico-go/lib/ipam/ipam.go",
            tuple(names),
        )


def mesh(situation: Situation) -> t.Iterator[Finding]:
    """A node mesh that is in use and would be turned off."""
    calico = situation.calico or {}
    configuration = calico.get("bgp_configuration")
    sessions = [session for session in calico.get("sessions") or [] if session.get("type") == "NodeMesh"]
    explicit = (configuration or {}).get("nodeToNodeMeshEnabled")
    if situation.to_move and situation.mode.peers and (explicit is True or sessions):
        yield Finding(
            "calico-mesh",
            WARNING,
            "BGPConfiguration default",
            "nodeToNodeMeshEnabled is true" + (f", with {count(len(sessions), 'session')}." if sessions else "."),
            "The nodes will peer with the routers, so the mesh is turned off; routes that only it carried go with it.",
            "Check that nothing else needs the mesh.",
            "projectcalico/calico:libcalico-go/lib/clientv3/bgpconfig.go",
        )


def not_ready(situation: Situation) -> t.Iterator[Finding]:
    """calico-node is not Ready on nodes that have moved."""
    found = (situation.calico or {}).get("daemonset")
    if not found or "ready_nodes" not in found:
        return
    ready = set(found["ready_nodes"])
    names = [name for name, state in situation.states.items() if state == node_state.CALICO and name not in ready]
    if names:
        yield Finding(
            "calico-not-ready",
            BLOCKER,
            node_subject(names),
            "Its pods are on Calico, but calico-node is not Ready there.",
            "New pods get no network there, and routes and policies are not kept up to date.",
            f"Look at `kubectl -n {found['namespace']} get pods -l k8s-app=calico-node -o wide`, repair it, run again.",
            "projectcalico/calico:node/pkg/health/health.go",
            tuple(names),
        )


RULES = (pools, operator, daemonset, blocks, mesh, not_ready)
