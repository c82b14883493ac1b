# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a migration in words. Pure: no input, no output."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan.modes import DEFAULT, MODES, Mode
from ansible_collections.podnet.cni.plugins.module_utils._plan.words import count, listed

Step = dict[str, t.Any]


def step(identifier: str, title: str, cuts: bool = False) -> Step:
    """One step; C(cuts) says that pods are restarted or something is removed."""
    return {"id": identifier, "title": title, "cuts": cuts}


class Pods(t.NamedTuple):
    """What happens to the pods of a node, in numbers."""

    evict: int = 0
    restart: int = 0
    replug: int | None = None
    """Pods that move as they run; then none is evicted or restarted."""


def _uncordon(cordoned: bool) -> list[Step]:
    return [] if cordoned else [step("uncordon", "Let pods come again")]


def node_steps(pods: Pods, cordoned: bool) -> list[Step]:
    """What happens to one node, in order."""
    switch = step("switch", "Arm the timer that restores Flannel, make Calico's CNI configuration the first one")
    prove = step("prove", "Probe pods, Services and DNS; then disarm the timer")
    number = pods.evict + pods.restart if pods.replug is None else pods.replug
    reserve = step("reserve", f"Keep the addresses of its {count(number, 'pod')} from Calico's address management")
    if pods.replug is not None:
        move = step("replug", f"Move {count(pods.replug, 'running pod')} to Calico's network")
        return [step("cordon", "Cordon it"), reserve, switch, move, prove, *_uncordon(cordoned)]
    return [
        reserve,
        step("evict", f"Cordon it, evict {count(pods.evict, 'pod')} as their budgets allow", pods.evict > 0),
        switch,
        step("restart", f"Restart {count(pods.restart, 'pod')} of DaemonSets on Calico's network", pods.restart > 0),
        prove,
        *_uncordon(cordoned),
    ]


def return_steps(pods: Pods, cordoned: bool) -> list[Step]:
    """What happens to one node on the way back, in order."""
    switch = step("switch", "Keep the addresses of Calico's pods from Flannel, make Flannel's CNI configuration the first one")
    prove = step("prove", "Probe pods, Services and DNS; else make Calico's configuration the first one again")
    if pods.replug is not None:
        move = step("replug", f"Move {count(pods.replug, 'running pod')} to Flannel's network, give its blocks back")
        return [step("cordon", "Cordon it"), switch, move, prove, *_uncordon(cordoned)]
    return [
        step("evict", f"Cordon it, evict {count(pods.evict, 'pod')} as their budgets allow", pods.evict > 0),
        switch,
        step("restart", f"Restart {count(pods.restart, 'pod')} of DaemonSets on Flannel's network, give its blocks back", pods.restart > 0),
        prove,
        *_uncordon(cordoned),
    ]


def rollback_steps(nodes: int, batches: int, restore: bool, relocate: int, remove: bool, restarts: bool = True) -> list[Step]:
    """What happens to the cluster on the way back; C(relocate) is the number of pods that have addresses of Flannel's own."""
    steps: list[Step] = []
    if restore:
        steps += [
            step("reserve", "Keep Flannel's own addresses from Calico, and Calico's configuration from coming first again"),
            step("restore", "Put Flannel's objects back from the journal, wait until flanneld is Ready on all nodes"),
        ]
        if relocate:
            title = f"Restart {count(relocate, 'pod')} whose {'address belongs' if relocate == 1 else 'addresses belong'} to Flannel, on Calico"
            steps.insert(1, step("relocate", title, True))
    if nodes:
        title = f"Bring {count(nodes, 'node')} back in {count(batches, 'batch', 'batches')}, with a gate on the cluster's state after each"
        steps.append(step("move", title, restarts))
    if remove:
        steps += [
            step("bypass", "Lead packets between nodes through Flannel only, so that nothing needs Calico's routes"),
            step("calico-daemonset", "Delete calico-node and kube-controllers, wait until their pods are gone", True),
            step("calico-nodes", "Remove Calico's routes, rules, sets, files and plugins from every node", True),
            step("calico-rest", "Delete Calico's resources and definitions, which are kept in the journal, and its accounts", True),
        ]
    return steps


def _way_steps(mode: Mode, peers: int, reflectors: t.Sequence[str]) -> list[Step]:
    """What is made for the way to other nodes' pods, before calico-node starts."""
    if mode.tunnel:
        title = (
            "Keep one address of each node for Calico's tunnel from Flannel, and Flannel's pods within reach when their blocks get Calico's routes"
        )
        return [step("tunnel", title)]
    if mode.node_mesh:
        return [step("mesh", "Let every node speak BGP with every other one")]
    chosen = [step("reflectors", f"Make {listed(reflectors)} the route reflectors of all nodes")] if reflectors else []
    return [*chosen, step("peers", f"Create {count(peers, 'BGPPeer')}, turn the mesh of the nodes off")]


def _proof(mode: Mode) -> str:
    if mode.tunnel:
        return "Prove routes and packets between pod addresses of all nodes; else move no pod"
    if mode.node_mesh:
        return "Prove sessions, next hops and packets between pod addresses of all nodes; else move no pod"
    return "Prove sessions, next hops and packets between pod addresses of all nodes; else take the peers back"


def cluster_steps(
    nodes: int,
    batches: int,
    peers: int,
    remove_flannel: bool,
    keep_configmap: bool,
    mode: Mode = MODES[DEFAULT],
    reflectors: t.Sequence[str] = (),
    restarts: bool = True,
) -> list[Step]:
    """What happens to the cluster, in order; C(nodes) are those that are still to be moved, C(restarts) is whether that restarts pods."""
    steps: list[Step] = []
    if nodes:
        steps += [
            step("definitions", "Install Calico's resource definitions"),
            step("addresses", "Create the pool, claim every node's blocks for it, reserve Flannel's own addresses"),
            *_way_steps(mode, peers, reflectors),
            step("calico", "Start calico-node on all nodes; Flannel's CNI configuration stays the active one"),
            step("prove", _proof(mode)),
            step(
                "move",
                f"Move {count(nodes, 'node')} in {count(batches, 'batch', 'batches')}, with a gate on the cluster's state after each",
                restarts,
            ),
        ]
    if remove_flannel:
        kept = " (its ConfigMap is kept)" if keep_configmap else ""
        steps += [
            step("quiet", "Prove on every node that Flannel's device carries nothing any more"),
            step("flannel-daemonset", "Delete Flannel's DaemonSet, wait until its pods are gone", True),
            step("flannel-nodes", "Remove Flannel's devices, routes, files and firewall rules from every node", True),
            step("flannel-rest", f"Delete what else belongs to Flannel in the cluster{kept}", True),
            step("finish", "Give Calico's CNI configuration its normal name, remove what only the migration needed"),
        ]
    return steps
