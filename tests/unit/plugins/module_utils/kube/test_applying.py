# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube.applying import apply_object, covers

PATH = "/api/v1/namespaces/ns/configmaps/c"
WANTED = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "ns"}, "data": {"a": "1"}}


@pytest.mark.parametrize(
    ("current", "wanted", "covered"),
    [
        ({"a": 1, "default": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([{"name": "x", "default": 1}], [{"name": "x"}], True),
        ([{"name": "x"}, {"name": "y"}], [{"name": "x"}], False),
        ({"a": "1"}, {"a": 1}, False),
        ("text", {"a": 1}, False),
    ],
)
def test_covers(current, wanted, covered):
    assert covers(current, wanted) is covered


def manager(fields):
    return [{"manager": "podnet.cni", "operation": "Apply", "fieldsV1": fields}]


def test_one_request_when_it_is_as_wanted(kube):
    kube.add("/api/v1/namespaces/ns/configmaps", {**WANTED, "metadata": {**WANTED["metadata"], "managedFields": manager({"f:data": {"f:a": {}}})}})
    assert not apply_object(kube, PATH, WANTED, False).changed
    assert kube.calls == 1


def test_a_field_that_is_no_longer_wanted_needs_an_apply(kube):
    fields = {"f:data": {"f:a": {}, "f:old": {}}}
    item = {**WANTED, "data": {"a": "1", "old": "2"}, "metadata": {**WANTED["metadata"], "managedFields": manager(fields)}}
    kube.add("/api/v1/namespaces/ns/configmaps", item)
    apply_object(kube, PATH, WANTED, False)
    assert kube.writes() == [("APPLY", PATH)]


def test_taking_over_an_equal_object_is_no_change(kube):
    kube.add("/api/v1/namespaces/ns/configmaps", WANTED)
    assert not apply_object(kube, PATH, WANTED, False).changed
    assert kube.writes() == [("APPLY", PATH)]


def test_create_change_and_dry_run(kube):
    assert apply_object(kube, PATH, WANTED, True).changed
    assert kube.objects == {}
    result = apply_object(kube, PATH, WANTED, False)
    assert (result.name, result.changed, result.before) == ("ConfigMap c", True, {})
    assert apply_object(kube, PATH, {**WANTED, "data": {"a": "2"}}, False).changed
