# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the API server what the user of the kubeconfig may do, before it is tried. Changes nothing.

Each question is a SelfSubjectAccessReview (kubernetes/api:authorization/v1/types.go), which every known user may create. A
SelfSubjectRulesReview would be one request for a namespace, but does not know what webhooks allow, and says nothing of the whole cluster.
"""

from __future__ import annotations

import concurrent.futures
import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._kube.access_rules import Rule
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

Facts = dict[str, t.Any]
ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
PARALLEL = 16


class Question(t.NamedTuple):
    """May the user do this? An empty name stands for all objects, an empty namespace for the whole cluster."""

    verb: str
    group: str
    resource: str
    name: str = ""
    namespace: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """As C(resourceAttributes) of the review."""
        resource, dummy, subresource = self.resource.partition("/")
        given = {
            "verb": self.verb,
            "group": self.group,
            "resource": resource,
            "subresource": subresource,
            "name": self.name,
            "namespace": self.namespace,
        }
        return {key: value for key, value in given.items() if value or key in ("verb", "group", "resource")}


NEVER_THERE = {("crd.projectcalico.org", "ipamconfigurations"), ("projectcalico.org", "ipamconfigs")}
"""The same settings have two names, one in each of Calico's groups."""
EVERYTHING = Question("*", "*", "*")
"""What an administrator of the cluster may do."""


def questions_of(rule: Rule, served: t.Container[str]) -> list[Question]:
    """All that a rule allows, one by one; of Calico's two groups the one that is used (C(served) are groups that the API serves)."""
    groups = rule.groups[:1]
    if len(rule.groups) > 1:
        groups = tuple(group for group in rule.groups if group in served) or rule.groups[:1]
    return [
        Question(verb, group, resource, name, rule.namespace)
        for group in groups
        for resource in rule.resources
        for verb in rule.verbs
        for name in rule.names or ("",)
        if (group, resource) not in NEVER_THERE
    ]


def may(kube: KubeClient, question: Question) -> bool:
    """Whether the user may do it.

    :raises KubeError: when the API server does not answer such questions.
    """
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": question.attributes},
    }
    return bool((kube.create(ACCESS, body).get("status") or {}).get("allowed"))


def user_of(kube: KubeClient) -> str | None:
    """Who the API server takes the user for, None before Kubernetes 1.28."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        status = kube.create(WHO, body).get("status") or {}
    except KubeError:
        return None
    return t.cast("str | None", (status.get("userInfo") or {}).get("username"))


def review(kube: KubeClient, rules: t.Iterable[Rule], served: t.Container[str] = ()) -> Facts:
    """C(podnet_cluster.access): who the user is, and which of the C(rules) it has not, the verbs of each resource together.

    An administrator is known by one question, of anybody else all are asked at the same time.
    """
    wanted = [rule for rule in rules if not rule.optional]
    try:
        if may(kube, EVERYTHING):
            return {"user": None, "missing": [], "problem": None}
        questions = list(dict.fromkeys(question for rule in wanted for question in questions_of(rule, served)))
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            answers = list(pool.map(lambda question: may(kube, question), questions))
    except KubeError as exc:
        return {"user": None, "missing": [], "problem": str(exc)}
    refused = [question for question, allowed in zip(questions, answers) if not allowed]
    return {"user": user_of(kube) if refused else None, "missing": together(refused), "problem": None}


def together(questions: t.Iterable[Question]) -> list[Facts]:
    """What is refused, as few rules of RBAC as it takes."""
    names: dict[tuple[str, str, str, str], list[str]] = {}
    for question in questions:
        names.setdefault((question.namespace, question.group, question.resource, question.verb), []).append(question.name)
    verbs: dict[tuple[str, str, str, tuple[str, ...]], list[str]] = {}
    for (namespace, group, resource, verb), some in names.items():
        verbs.setdefault((namespace, group, resource, tuple(some)), []).append(verb)
    entries = [
        {"namespace": namespace, "api_group": group, "resource": resource, "names": [name for name in some if name], "verbs": found}
        for (namespace, group, resource, some), found in verbs.items()
    ]
    return [{**entry, "text": sentence(entry)} for entry in entries]


def sentence(entry: t.Mapping[str, t.Any]) -> str:
    """One entry for people: C(create, patch clusterroles.rbac.authorization.k8s.io calico-node)."""
    group = f".{entry['api_group']}" if entry["api_group"] else ""
    resource, slash, subresource = entry["resource"].partition("/")
    which = f" {', '.join(entry['names'])}" if entry["names"] else ""
    where = f" in namespace {entry['namespace']}" if entry["namespace"] else ""
    return f"{', '.join(entry['verbs'])} {resource}{group}{slash}{subresource}{which}{where}"
