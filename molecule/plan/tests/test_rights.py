# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights in the cluster: what is missing is named before anything changes, and who may only read gets the plan."""

from __future__ import annotations

import copy
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podnet_lab.cluster_api import ClusterApi, Object
from podnet_lab.lab import Lab
from podnet_molecule import account, snapshot
from podnet_molecule.playbook import Outcome

EVICTION = "pods/eviction"
Refuse = Callable[..., None]


def without(items: list[Object], resource: str, verb: str) -> list[Object]:
    """The objects with one verb on a resource taken out of all of their rules."""
    items = copy.deepcopy(items)
    taken = 0
    for item in items:
        for rule in item.get("rules") or []:
            if resource in rule["resources"] and verb in rule["verbs"]:
                rule["verbs"] = [other for other in rule["verbs"] if other != verb]
                taken += 1
        item["rules"] = [rule for rule in item["rules"] if rule["verbs"]] if item.get("rules") else item.get("rules")
    assert taken
    return [{key: value for key, value in item.items() if value is not None} for item in items]


def reader() -> list[Object]:
    """An account with the role for the plan."""
    (role,) = account.objects("rbac-plan.yml")
    name = "podnet-reader"
    subject = {"kind": "ServiceAccount", "name": name, "namespace": account.NAMESPACE}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role["metadata"]["name"]}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name}}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": account.NAMESPACE}},
        role,
        {**binding, "roleRef": reference, "subjects": [subject]},
    ]


@pytest.fixture
def with_rights(lab: Lab, api: ClusterApi, tmp_path: Path) -> Iterator[Callable[[list[Object], str], str]]:
    """Apply objects, and give the kubeconfig of an account among them; all of it is taken away at the end."""
    applied: list[Object] = []

    def make(items: list[Object], name: str) -> str:
        applied.extend(items)
        account.apply(api, items)
        account.write(lab, api, name, tmp_path / "kubeconfig")
        return str(tmp_path / "kubeconfig")

    yield make
    account.remove(api, applied)


def refused(lab: Lab, migrate: Callable[..., Outcome], says: t.Iterable[str], **variables: t.Any) -> None:
    """The run fails with some words and changes nothing."""
    before = snapshot.take(lab)
    outcome = migrate(podnet_confirm=True, **variables)
    assert outcome.code == 2, outcome.output
    assert [words for words in says if words not in outcome.text] == [], outcome.output
    assert "Traceback" not in outcome.output
    assert outcome.changed == 0
    assert snapshot.difference(before, snapshot.take(lab)) == []


def test_all_rights_are_there(migrate: Callable[..., Outcome], with_rights: Callable[..., str]) -> None:
    outcome = migrate("--check", podnet_kubeconfig=with_rights(account.objects(), account.NAME))
    assert outcome.code == 0, outcome.output
    assert "access-" not in outcome.text


@pytest.mark.parametrize(
    ("resource", "verb", "says"),
    [
        (EVICTION, "create", "It may not: create pods/eviction."),
        ("clusterroles", "escalate", "escalate clusterroles.rbac.authorization.k8s.io calico-cni-plugin, calico-kube-controllers, calico-node."),
        ("leases", "update", "It may not: update leases.coordination.k8s.io podnet-cni-migration in namespace kube-system."),
    ],
)
def test_one_right_is_missing(
    lab: Lab, migrate: Callable[..., Outcome], with_rights: Callable[..., str], resource: str, verb: str, says: str
) -> None:
    kubeconfig = with_rights(without(account.objects(), resource, verb), account.NAME)
    refused(lab, migrate, ["nothing was changed", says, "rbac.yml"], podnet_kubeconfig=kubeconfig)


def test_who_may_only_read_gets_the_plan(migrate: Callable[..., Outcome], with_rights: Callable[..., str]) -> None:
    outcome = migrate("--check", podnet_kubeconfig=with_rights(reader(), "podnet-reader"))
    assert outcome.code == 0, outcome.output
    assert "access-missing" in outcome.text
    assert "BLOCKER" not in outcome.output


def test_who_may_only_read_cannot_carry_it_out(lab: Lab, migrate: Callable[..., Outcome], with_rights: Callable[..., str]) -> None:
    refused(lab, migrate, ["create pods/eviction", "nothing was changed"], podnet_kubeconfig=with_rights(reader(), "podnet-reader"))


def test_who_may_do_nothing_is_told_what_is_missing(lab: Lab, migrate: Callable[..., Outcome], with_rights: Callable[..., str]) -> None:
    stranger: list[Object] = [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "podnet-stranger", "namespace": account.NAMESPACE}}]
    says = ["system:serviceaccount:kube-system:podnet-stranger may not list nodes", "rbac-plan.yml"]
    refused(lab, migrate, says, podnet_kubeconfig=with_rights(stranger, "podnet-stranger"))
