# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/examples/rbac.yml and rbac-plan.yml: the rights that the playbooks need, from the one list of them."""

from __future__ import annotations

import textwrap
import typing as t

ACCOUNT = "podnet-migration"
NAMESPACE = "kube-system"
_API = "rbac.authorization.k8s.io"
WRITTEN = "# Written by tests/tooling/docs from plugins/module_utils/_kube/access_rules.py; a unit test fails when it is out of date.\n"
PLAN_HEAD = """\
# What the plan (--check) reads, and nothing else. rbac.yml has what a migration and the way back need.
"""
HEAD = """\
# All that migrate_to_calico and rollback_to_flannel ask of the cluster's API, and an account that may do it:
#   kubectl apply -f rbac.yml
#   kubectl -n kube-system create token podnet-migration --duration=8h      # for the kubeconfig, see docs/migrate_to_calico.md
#   kubectl delete -f rbac.yml                                              # when all is done
# The preflight asks for these rights before anything changes, and names those that are missing.
#
# Flannel has the names of its own manifest here. Where yours has others, put them into the rules that say Flannel's: the preflight names them.
#
# Keep the token as you keep an administrator's: Kubernetes lets nobody create a role with rights that he has not himself. So this account may
# create Calico's roles and Flannel's whatever is in them (escalate) and give them to accounts (bind), by name. calico-node, which it installs, has
# the rights of root on every node in any case.
"""


def _listed(values: t.Iterable[str]) -> str:
    return "[" + ", ".join(f'"{value}"' if value in ("", "*") else value for value in values) + "]"


def _rule(rule: t.Any) -> str:
    lines = [
        f"  # {rule.why}",
        f"  - apiGroups: {_listed(rule.groups)}",
        *_resources(rule.resources),
        *([f"    resourceNames: {_listed(rule.names)}"] if rule.names else []),
        f"    verbs: {_listed(rule.verbs)}",
    ]
    return "\n".join(lines)


def _resources(resources: t.Sequence[str]) -> list[str]:
    if len(resources) > 4:
        return ["    resources:", *(f"      - {resource}" for resource in resources)]
    return [f"    resources: {_listed(resources)}"]


def _metadata(name: str, namespace: str = "") -> str:
    place = f"  namespace: {namespace}\n" if namespace else ""
    return f"metadata:\n  name: {name}\n{place}  labels:\n    app.kubernetes.io/part-of: podnet.cni\n"


def _role(name: str, namespace: str, rules: t.Iterable[t.Any]) -> str:
    kind = "Role" if namespace else "ClusterRole"
    texts = "\n".join(_rule(rule) for rule in rules)
    return f"apiVersion: {_API}/v1\nkind: {kind}\n{_metadata(name, namespace)}rules:\n{texts}\n"


def _binding(name: str, namespace: str) -> str:
    kind = "Role" if namespace else "ClusterRole"
    return (
        f"apiVersion: {_API}/v1\nkind: {kind}Binding\n{_metadata(name, namespace)}"
        f"roleRef:\n  apiGroup: {_API}\n  kind: {kind}\n  name: {name}\n"
        f"subjects:\n  - kind: ServiceAccount\n    name: {ACCOUNT}\n    namespace: {NAMESPACE}\n"
    )


def plan() -> str:
    """docs/examples/rbac-plan.yml."""
    from ansible_collections.podnet.cni.plugins.module_utils._kube.access_rules import PLAN

    return WRITTEN + PLAN_HEAD + "---\n" + _role("podnet-plan", "", PLAN)


def whole() -> str:
    """docs/examples/rbac.yml."""
    from ansible_collections.podnet.cni.plugins.module_utils._kube.access_rules import all_rules

    rules = all_rules()
    parts = [f"apiVersion: v1\nkind: ServiceAccount\n{_metadata(ACCOUNT, NAMESPACE)}"]
    for namespace in sorted({rule.namespace for rule in rules}):
        parts.append(_role(ACCOUNT, namespace, [rule for rule in rules if rule.namespace == namespace]))
        parts.append(_binding(ACCOUNT, namespace))
    items = "".join(f"  - {textwrap.indent(part, '    ')[4:]}" for part in parts)
    return f"{WRITTEN}{HEAD}---\napiVersion: v1\nkind: List\nitems:\n{items}"
