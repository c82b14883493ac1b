# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the Secrets with passwords of BGP peers are there, and whether calico-node may read them. Changes nothing.

calico-node lists and watches each of them by its name in C(kube-system) (projectcalico/calico:confd/pkg/backends/calico/secret_watcher.go), and its
own role lets it read none. Whether it may is asked of the API server, by a SubjectAccessReview (kubernetes/api:authorization/v1/types.go): that is
one right, and no value of any Secret, where to work it out from roles would need to read all of them and would still miss other authorizers.
Whether a Secret has a key cannot be asked without its value, which stays in this module.
"""

from __future__ import annotations

import typing as t
import urllib.parse

from ansible_collections.podnet.cni.plugins.module_utils._kube.access_review import Question
from ansible_collections.podnet.cni.plugins.module_utils._kube.access_rules import CALICO_NAMESPACE
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, KubeError

if t.TYPE_CHECKING:
    from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

Facts = dict[str, t.Any]
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
ACCOUNT = "calico-node"
"""Of projectcalico/calico:manifests/calico.yaml."""
VERBS = ("list", "watch")


class _Answer(t.NamedTuple):
    """What the API server says, or why it does not."""

    value: t.Any
    problem: str | None = None


def read_passwords(kube: KubeClient, wanted: t.Iterable[t.Mapping[str, str]], calico: t.Mapping[str, t.Any] | None) -> list[Facts] | None:
    """C(podnet_cluster.bgp_passwords): of each C(name) and C(key) what there is; None when none is wanted.

    C(present), C(has_key) and C(readable) are None when the API server does not tell, and C(problem) says why.
    """
    pairs = list(dict.fromkeys((entry["name"], entry["key"]) for entry in wanted))
    daemonset = (calico or {}).get("daemonset") or {}
    account = f"{daemonset.get('namespace') or CALICO_NAMESPACE}/{daemonset.get('account') or ACCOUNT}"
    names = dict.fromkeys(name for name, dummy in pairs)
    keys = {name: _keys(kube, name) for name in names}
    reading = {name: _may_read(kube, account, name) for name in names}
    return [_entry(name, key, account, keys[name], reading[name]) for name, key in pairs] or None


def _entry(name: str, key: str, account: str, keys: _Answer, reading: _Answer) -> Facts:
    return {
        "namespace": CALICO_NAMESPACE,
        "name": name,
        "key": key,
        "account": account,
        "present": None if keys.problem else keys.value is not None,
        "has_key": None if keys.problem else key in (keys.value or ()),
        "readable": reading.value,
        "problem": "; ".join(answer.problem for answer in (keys, reading) if answer.problem) or None,
    }


def _keys(kube: KubeClient, name: str) -> _Answer:
    """Keys of a Secret that have a value, None when there is no such Secret."""
    try:
        secret = kube.get_or_none(f"/api/v1/namespaces/{CALICO_NAMESPACE}/secrets/{urllib.parse.quote(name, safe='')}")
    except KubeError as exc:
        return _Answer(None, _why(exc, "read this Secret"))
    return _Answer(None if secret is None else sorted(key for key, value in (secret.get("data") or {}).items() if value))


def _may_read(kube: KubeClient, account: str, name: str) -> _Answer:
    """Whether an account may do with a Secret what calico-node does with it."""
    namespace, dummy, user = account.partition("/")
    allowed = True
    for verb in VERBS:
        question = Question(verb, "", "secrets", name, CALICO_NAMESPACE)
        spec = {
            "resourceAttributes": question.attributes,
            "user": f"system:serviceaccount:{namespace}:{user}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
        }
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        try:
            allowed = allowed and bool((kube.create(REVIEWS, body).get("status") or {}).get("allowed"))
        except KubeError as exc:
            return _Answer(None, _why(exc, f"ask what {user} may do"))
    return _Answer(allowed)


def _why(error: KubeError, what: str) -> str:
    return f"the user of the kubeconfig may not {what}" if isinstance(error, Forbidden) else str(error)
