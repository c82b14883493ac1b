# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights of a user: what is asked of the API server, and what its answers come to."""

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube import access_review, access_rules
from ansible_collections.podnet.cni.plugins.module_utils._kube.access_review import Question
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import error_of
from ansible_collections.podnet.cni.tests.unit.fakes.kube import FakeKube


def cluster(*refused, known=True):
    """An API server that refuses some (verb, resource)."""
    kube = FakeKube()
    kube.asked = []

    @kube.on
    def answer(method, path, body):
        if path == access_review.ACCESS:
            asked = body["spec"]["resourceAttributes"]
            kube.asked.append(asked)
            resource = "/".join(filter(None, [asked["resource"], asked.get("subresource")]))
            return {"status": {"allowed": asked["verb"] != "*" and (asked["verb"], resource) not in refused}}
        if path == access_review.WHO:
            if not known:
                raise error_of(404, "NotFound", "", path)
            return {"status": {"userInfo": {"username": "somebody"}}}
        return None

    return kube


all_rules = access_rules.all_rules


def test_an_administrator_is_known_by_one_question():
    kube = FakeKube()
    kube.on(lambda method, path, body: {"status": {"allowed": True}})
    assert access_review.review(kube, all_rules()) == {"user": None, "missing": [], "problem": None}
    assert [body["spec"]["resourceAttributes"] for dummy, dummy2, body, dummy3 in kube.log] == [{"verb": "*", "group": "*", "resource": "*"}]


def test_who_has_all_rights_misses_none():
    kube = cluster()
    assert access_review.review(kube, all_rules()) == {"user": None, "missing": [], "problem": None}
    asked = [tuple(sorted(item.items())) for item in kube.asked]
    assert len(asked) == len(set(asked)), "nothing is asked twice"
    assert 60 < len(asked) < 170


def test_what_is_missing_is_told_as_few_rules():
    kube = cluster(("create", "pods/eviction"), ("get", "nodes"), ("patch", "nodes"), ("escalate", "clusterroles"), ("update", "leases"))
    found = access_review.review(kube, all_rules())
    assert found["user"] == "somebody"
    assert [entry["text"] for entry in found["missing"]] == [
        "get, patch nodes",
        "create pods/eviction",
        "update leases.coordination.k8s.io podnet-cni-migration in namespace kube-system",
        "escalate clusterroles.rbac.authorization.k8s.io calico-cni-plugin, calico-kube-controllers, calico-node, flannel",
    ]
    assert found["missing"][1] == {
        "namespace": "",
        "api_group": "",
        "resource": "pods/eviction",
        "names": [],
        "verbs": ["create"],
        "text": "create pods/eviction",
    }


def test_a_cluster_without_a_name_for_the_user():
    assert access_review.review(cluster(("list", "nodes"), known=False), access_rules.PLAN)["user"] is None


def test_an_api_server_that_answers_no_such_question_is_told():
    kube = FakeKube()

    @kube.on
    def refuse(method, path, body):
        raise error_of(403, "Forbidden", "not for you", path)

    found = access_review.review(kube, all_rules())
    assert found["missing"] == []
    assert "not for you" in found["problem"]


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        ((), {("crd.projectcalico.org", "ipamconfigs")}),
        (("crd.projectcalico.org",), {("crd.projectcalico.org", "ipamconfigs")}),
        (
            ("crd.projectcalico.org", "projectcalico.org"),
            {("crd.projectcalico.org", "ipamconfigs"), ("projectcalico.org", "ipamconfigurations")},
        ),
    ],
)
def test_calicos_group_is_the_one_that_is_served(served, expected):
    questions = [question for rule in access_rules.INSTALL for question in access_review.questions_of(rule, served)]
    assert {(question.group, question.resource) for question in questions if question.resource.startswith("ipamconfig")} == expected


def test_a_question_names_only_what_it_is_about():
    assert Question("create", "", "pods/eviction").attributes == {"verb": "create", "group": "", "resource": "pods", "subresource": "eviction"}
    assert Question("patch", "apps", "daemonsets", "calico-node", "kube-system").attributes == {
        "verb": "patch",
        "group": "apps",
        "resource": "daemonsets",
        "name": "calico-node",
        "namespace": "kube-system",
    }


def test_flannel_is_removed_by_the_names_that_it_has():
    objects = [
        {"kind": "DaemonSet", "namespace": "kube-system", "name": "flannel"},
        {"kind": "ConfigMap", "namespace": "kube-system", "name": "net"},
        {"kind": "Secret", "namespace": "kube-system", "name": "passed over"},
    ]
    rules = access_rules.remove_rules(objects)
    assert [(rule.resources, rule.names, rule.namespace) for rule in rules] == [
        (("daemonsets",), ("flannel",), "kube-system"),
        (("configmaps",), ("net",), "kube-system"),
    ], "and a namespace that others use is left alone"
    assert [rule.namespace for rule in all_rules() if rule.optional and "*" in rule.resources] == ["kube-flannel"]


def test_no_rule_gives_more_than_it_should():
    for rule in all_rules():
        assert "*" not in rule.verbs
        assert not {"secrets", "pods/exec", "nodes/proxy"} & set(rule.resources)
        if "*" in rule.resources:
            assert (rule.optional and rule.verbs == ("list",)) or rule.groups == ("crd.projectcalico.org",)
        if {"escalate", "bind"} & set(rule.verbs):
            assert rule.names in (access_rules.CALICO_NAMES, ("flannel",))
        if "delete" in rule.verbs and not rule.groups[0].endswith("projectcalico.org"):
            assert rule.names or rule.resources in (("pods",), ("customresourcedefinitions",))


def test_flannel_is_put_back_by_the_names_that_it_had():
    rules = access_rules.rules_for(["restore"], [], access_rules.upstream_with("net/daemon"))
    assert [(rule.names, rule.namespace) for rule in rules if rule.resources in (("daemonsets",), ("namespaces",))] == [
        (("daemon",), ""),
        (("net",), ""),
    ], "and by no rule of a namespace, which is gone"
    assert access_rules.rules_for(["restore"], [], []) == ()
