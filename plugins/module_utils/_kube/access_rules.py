# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbooks ask of the cluster's API, as rules of RBAC. Pure: no input, no output.

The one list of them: C(docs/examples/rbac.yml) and C(rbac-plan.yml) are written from it, M(podnet.cni.cni_facts) reviews it, and the
lab's scenarios C(migrate) and C(rollback) run with nothing else. What needs a new request needs a rule here.
"""

from __future__ import annotations

import typing as t

Facts = t.Mapping[str, t.Any]
RBAC = "rbac.authorization.k8s.io"
CALICO_GROUPS = ("crd.projectcalico.org", "projectcalico.org")
CALICO_NAMESPACE = "kube-system"
JOURNAL_NAMESPACE = "kube-system"
JOURNAL = "podnet-cni-migration"
CALICO_NAMES = ("calico-cni-plugin", "calico-kube-controllers", "calico-node")
"""Of the accounts and roles in projectcalico/calico:manifests/calico.yaml, v3.28.5."""
PROTECTED = ("default", "kube-system", "kube-public", "kube-node-lease")


class Rule(t.NamedTuple):
    """Verbs on resources: of the whole cluster, or of one namespace; on all objects, or on some by name."""

    why: str
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()
    namespace: str = ""
    optional: bool = False
    """Without it something stays that the run would remove, or is told as not known, but nothing fails."""


PLAN = (
    Rule("nodes, and the pods on them", ("",), ("nodes", "pods"), ("list",)),
    Rule("the Services of the API server and of cluster DNS", ("",), ("services",), ("get", "list")),
    Rule("Flannel's configuration and account, and the journal", ("",), ("configmaps", "serviceaccounts"), ("get",)),
    Rule("Flannel's DaemonSet, wherever it is, and Calico's", ("apps",), ("daemonsets",), ("list",)),
    Rule("NetworkPolicies that would begin to apply", ("networking.k8s.io",), ("networkpolicies",), ("list",)),
    Rule("budgets of the pods to evict", ("policy",), ("poddisruptionbudgets",), ("list",)),
    Rule("the roles of Flannel's account", (RBAC,), ("clusterrolebindings",), ("list",)),
    Rule("the roles of Flannel's account", (RBAC,), ("clusterroles",), ("get",)),
    Rule("who has the lock", ("coordination.k8s.io",), ("leases",), ("get",), (JOURNAL,)),
    Rule(
        "whether calico-node may read the Secret with the routers' password; nothing is kept of the question",
        ("authorization.k8s.io",),
        ("subjectaccessreviews",),
        ("create",),
        optional=True,
    ),
    Rule(
        "Calico, when it is there already",
        CALICO_GROUPS,
        (
            "bgpconfigurations",
            "bgppeers",
            "blockaffinities",
            "caliconodestatuses",
            "felixconfigurations",
            "ipamblocks",
            "ipamconfigs",
            "ipamconfigurations",
            "ippools",
            "ipreservations",
        ),
        ("list",),
    ),
)
"""To read the cluster and make the plan (C(--check)); nothing is written."""

MOVE = (
    Rule("cordon and uncordon, labels of the migration, Flannel's annotations", ("",), ("nodes",), ("get", "patch")),
    Rule("evict pods as their budgets allow", ("",), ("pods/eviction",), ("create",)),
    Rule("restart pods of DaemonSets", ("",), ("pods",), ("delete",)),
    Rule("begin the journal", ("",), ("configmaps",), ("create",), (), JOURNAL_NAMESPACE),
    Rule("go on with the journal", ("",), ("configmaps",), ("patch",), (JOURNAL,), JOURNAL_NAMESPACE),
    Rule("give empty blocks of a node back that goes back to Flannel", CALICO_GROUPS, ("blockaffinities",), ("create", "delete")),
    Rule("give empty blocks of a node back that goes back to Flannel", CALICO_GROUPS, ("ipamblocks",), ("delete",)),
    Rule("how Calico writes claims", ("apiextensions.k8s.io",), ("customresourcedefinitions",), ("get",)),
    Rule("take the lock", ("coordination.k8s.io",), ("leases",), ("create",), (), JOURNAL_NAMESPACE),
    Rule("renew and release the lock", ("coordination.k8s.io",), ("leases",), ("update", "delete"), (JOURNAL,), JOURNAL_NAMESPACE),
    Rule("keep addresses from being given twice", CALICO_GROUPS, ("ipreservations",), ("get", "create", "patch", "delete")),
)
"""To take nodes from one network to the other, in either direction."""

INSTALL = (
    Rule("Calico's resource definitions", ("apiextensions.k8s.io",), ("customresourcedefinitions",), ("get", "create", "patch")),
    Rule("Calico's accounts", ("",), ("serviceaccounts",), ("create", "patch"), CALICO_NAMES, CALICO_NAMESPACE),
    Rule("Calico's configuration", ("",), ("configmaps",), ("create", "patch"), ("calico-config",), CALICO_NAMESPACE),
    Rule("calico-node", ("apps",), ("daemonsets",), ("get", "create", "patch"), ("calico-node",), CALICO_NAMESPACE),
    Rule("Calico's controllers", ("apps",), ("deployments",), ("get", "create", "patch"), ("calico-kube-controllers",), CALICO_NAMESPACE),
    Rule(
        "the budget of Calico's controllers",
        ("policy",),
        ("poddisruptionbudgets",),
        ("get", "create", "patch"),
        ("calico-kube-controllers",),
        CALICO_NAMESPACE,
    ),
    Rule("why calico-node does not come up", ("",), ("events",), ("list",), (), CALICO_NAMESPACE),
    Rule(
        "Calico's roles, with rights that this account has not itself (escalate), given to Calico's accounts (bind)",
        (RBAC,),
        ("clusterroles",),
        ("create", "patch", "escalate", "bind"),
        CALICO_NAMES,
    ),
    Rule("who has Calico's roles", (RBAC,), ("clusterrolebindings",), ("get", "create", "patch"), CALICO_NAMES),
    Rule(
        "settings of BGP, IPAM and Felix",
        CALICO_GROUPS,
        ("bgpconfigurations", "felixconfigurations", "ipamconfigs", "ipamconfigurations"),
        ("get", "create", "patch"),
    ),
    Rule("the pool", CALICO_GROUPS, ("ippools",), ("create", "patch")),
    Rule("a claim for each block", CALICO_GROUPS, ("blockaffinities",), ("create",)),
    Rule("the routers", CALICO_GROUPS, ("bgppeers",), ("get", "create", "update", "delete")),
    Rule("the state of BGP sessions, told by calico-node", CALICO_GROUPS, ("caliconodestatuses",), ("create", "delete")),
)
"""To install Calico and to give it Flannel's addresses."""

_TIER_ROLE = "calico-tier-getter"
"""Of releases from v3.29."""
_DEPLOYMENTS = ("calico-kube-controllers", "calico-typha")
UNINSTALL = (
    Rule("what else runs Calico's pods", ("apps",), ("deployments",), ("list",)),
    Rule("who else has the roles of Calico's accounts", (RBAC,), ("rolebindings",), ("list",)),
    Rule("roles of Calico's accounts in a namespace", (RBAC,), ("roles",), ("get",), (), CALICO_NAMESPACE),
    Rule("whether Calico's operator would put it back", ("operator.tigera.io",), ("installations",), ("list",)),
    Rule("whether Calico has an API server of its own", ("apiregistration.k8s.io",), ("apiservices",), ("get",), ("v3.projectcalico.org",)),
    Rule("all resources of Calico, for the backup, and finalizers that would hold them up", ("crd.projectcalico.org",), ("*",), ("list", "patch")),
    Rule("Calico's DaemonSet, waiting until it is gone", ("apps",), ("daemonsets",), ("get", "delete"), ("calico-node",), CALICO_NAMESPACE),
    Rule("Calico's Deployments, waiting until they are gone", ("apps",), ("deployments",), ("get", "delete"), _DEPLOYMENTS, CALICO_NAMESPACE),
    Rule("Calico's budgets", ("policy",), ("poddisruptionbudgets",), ("get", "delete"), _DEPLOYMENTS, CALICO_NAMESPACE),
    Rule("the Service of Calico's Typha", ("",), ("services",), ("delete",), ("calico-typha",), CALICO_NAMESPACE),
    Rule("Calico's accounts", ("",), ("serviceaccounts",), ("delete",), CALICO_NAMES, CALICO_NAMESPACE),
    Rule("Calico's configuration", ("",), ("configmaps",), ("delete",), ("calico-config",), CALICO_NAMESPACE),
    Rule("Calico's roles", (RBAC,), ("clusterroles",), ("delete",), (*CALICO_NAMES, _TIER_ROLE)),
    Rule("who has Calico's roles", (RBAC,), ("clusterrolebindings",), ("get", "delete"), (*CALICO_NAMES, _TIER_ROLE)),
    Rule(
        "roles of Calico's accounts in their namespace, which v3.28 does not have",
        (RBAC,),
        ("roles", "rolebindings"),
        ("get", "delete"),
        CALICO_NAMES,
        CALICO_NAMESPACE,
        True,
    ),
    Rule("Calico's resource definitions, and all resources with them", ("apiextensions.k8s.io",), ("customresourcedefinitions",), ("get", "delete")),
    Rule("that nodes have a network, where calico-node has said that they have none", ("",), ("nodes/status",), ("patch",)),
)
"""To remove Calico."""

_KINDS = {
    "ClusterRole": (RBAC, "clusterroles", "Flannel's role"),
    "ClusterRoleBinding": (RBAC, "clusterrolebindings", "who has Flannel's role"),
    "ConfigMap": ("", "configmaps", "Flannel's configuration"),
    "DaemonSet": ("apps", "daemonsets", "Flannel's DaemonSet, waiting until it is gone"),
    "ServiceAccount": ("", "serviceaccounts", "Flannel's account"),
}
UPSTREAM = (
    {"kind": "DaemonSet", "namespace": "kube-flannel", "name": "kube-flannel-ds"},
    {"kind": "ConfigMap", "namespace": "kube-flannel", "name": "kube-flannel-cfg"},
    {"kind": "ServiceAccount", "namespace": "kube-flannel", "name": "flannel"},
    {"kind": "ClusterRoleBinding", "namespace": "", "name": "flannel"},
    {"kind": "ClusterRole", "namespace": "", "name": "flannel"},
)
"""Flannel's objects by the names of flannel-io/flannel:Documentation/kube-flannel.yml."""


def remove_rules(objects: t.Iterable[Facts]) -> tuple[Rule, ...]:
    """To remove Flannel's objects, which are C(podnet_cluster.flannel.objects), and its namespace."""
    rules = []
    items = list(objects)
    for item in items:
        if item["kind"] not in _KINDS:
            continue
        group, resource, why = _KINDS[item["kind"]]
        verbs = ("get", "delete") if item["kind"] == "DaemonSet" else ("delete",)
        if item["kind"] == "ClusterRoleBinding":
            verbs = ("get", "delete")
        rules.append(Rule(why, (group,), (resource,), verbs, (item["name"],), item.get("namespace") or ""))
    for namespace in sorted({item["namespace"] for item in items if item.get("namespace")} - set(PROTECTED)):
        rules.append(Rule("Flannel's namespace", ("",), ("namespaces",), ("get", "delete"), (namespace,)))
        rules.append(
            Rule("whether the namespace holds anything that somebody would miss; else it stays", ("*",), ("*",), ("list",), (), namespace, True)
        )
    return tuple(rules)


def restore_rules(objects: t.Iterable[Facts]) -> tuple[Rule, ...]:
    """To put Flannel's objects back after they were removed. Their namespace is gone, so that no rule can be of it."""
    items = list(objects)
    rules = []
    for item in items:
        group, resource, why = _KINDS[item["kind"]]
        escalates = ("escalate", "bind") if item["kind"] == "ClusterRole" else ()
        rules.append(Rule(f"{why}, put back", (group,), (resource,), ("get", "create", "patch", *escalates), (item["name"],)))
    namespaces = sorted({item["namespace"] for item in items if item["namespace"]} - set(PROTECTED))
    rules += [Rule("Flannel's namespace, put back", ("",), ("namespaces",), ("get", "create", "patch"), (namespace,)) for namespace in namespaces]
    return (
        *rules,
        Rule(
            "a name for Calico's configuration that comes after Flannel's", ("",), ("configmaps",), ("patch",), ("calico-config",), CALICO_NAMESPACE
        ),
        Rule("Flannel's addresses kept from Calico", CALICO_GROUPS, ("bgpconfigurations", "ipamconfigs", "ipamconfigurations"), ("get", "patch")),
    )


def upstream_with(daemonset: str) -> list[Facts]:
    """Flannel's objects of which only the DaemonSet, C(namespace/name), is known."""
    namespace, dummy, name = daemonset.partition("/")
    return [
        {**item, "namespace": namespace if item["namespace"] else "", "name": name if item["kind"] == "DaemonSet" else item["name"]}
        for item in UPSTREAM
    ]


PURPOSES = ("plan", "move", "install", "remove", "restore", "uninstall")
"""What somebody may be about to do: C(remove) and C(restore) are about Flannel, C(install) and C(uninstall) about Calico."""


def rules_for(purposes: t.Collection[str], flannel: t.Iterable[Facts], removed: t.Iterable[Facts] = ()) -> tuple[Rule, ...]:
    """The rules of some purposes; C(flannel) are Flannel's objects, C(removed) those of a Flannel that can be put back."""
    parts = {
        "plan": PLAN,
        "move": MOVE,
        "install": INSTALL,
        "remove": remove_rules(flannel),
        "restore": restore_rules(list(removed)) if removed else (),
        "uninstall": UNINSTALL,
    }
    return tuple(rule for purpose in PURPOSES if purpose in purposes for rule in parts[purpose])


def all_rules() -> tuple[Rule, ...]:
    """What docs/examples/rbac.yml has."""
    return rules_for(PURPOSES, UPSTREAM, UPSTREAM)
