# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets with passwords of routers: what is asked of the API server, what is told, and that no password is."""

from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._kube.bgp_passwords import REVIEWS, read_passwords
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import error_of
from ansible_collections.podnet.cni.tests.unit.fakes.kube import FakeKube

SECRETS = "/api/v1/namespaces/kube-system/secrets"
WANTED = [{"name": "bgp-password", "key": "router"}]
VALUE = base64.b64encode(b"kept-to-itself").decode()


def cluster(allowed=("list", "watch"), fails=None):
    """A cluster with the Secret, in which calico-node may do what is C(allowed) with it; C(fails) is a path that is answered with a status."""
    kube = FakeKube()
    kube.asked = []
    kube.add(SECRETS, {"metadata": {"name": "bgp-password"}, "data": {"router": VALUE, "empty": ""}})

    @kube.on
    def answer(method, path, body):
        if fails and path.startswith(fails[0]):
            raise error_of(fails[1], "", "no", path)
        if path == REVIEWS:
            kube.asked.append(body["spec"])
            return {"status": {"allowed": body["spec"]["resourceAttributes"]["verb"] in allowed}}
        return None

    return kube


def test_a_secret_that_is_there_and_may_be_read():
    kube = cluster()
    (entry,) = read_passwords(kube, WANTED, None)
    assert entry == {
        "namespace": "kube-system",
        "name": "bgp-password",
        "key": "router",
        "account": "kube-system/calico-node",
        "present": True,
        "has_key": True,
        "readable": True,
        "problem": None,
    }
    assert kube.asked[0] == {
        "resourceAttributes": {"verb": "list", "group": "", "resource": "secrets", "name": "bgp-password", "namespace": "kube-system"},
        "user": "system:serviceaccount:kube-system:calico-node",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
    }
    assert [spec["resourceAttributes"]["verb"] for spec in kube.asked] == ["list", "watch"]


def test_nothing_is_asked_when_no_peer_has_a_password():
    kube = cluster()
    assert read_passwords(kube, [], None) is None
    assert kube.calls == 0


def test_peers_that_share_a_secret_need_one_look_at_it():
    kube = cluster()
    entries = read_passwords(kube, [*WANTED, *WANTED, {"name": "bgp-password", "key": "empty"}], None)
    assert [(entry["key"], entry["has_key"]) for entry in entries] == [("router", True), ("empty", False)]
    assert kube.calls == 3


def test_a_secret_that_is_not_there():
    (entry,) = read_passwords(cluster(), [{"name": "other", "key": "router"}], None)
    assert (entry["present"], entry["has_key"], entry["problem"]) == (False, False, None)


@pytest.mark.parametrize("allowed", [(), ("list",), ("watch",), ("get",)])
def test_calico_node_needs_both_rights(allowed):
    (entry,) = read_passwords(cluster(allowed), WANTED, None)
    assert entry["readable"] is False


def test_the_account_is_that_of_the_calico_node_that_runs():
    kube = cluster()
    read_passwords(kube, WANTED, {"daemonset": {"namespace": "calico-system", "account": "node"}})
    assert kube.asked[0]["user"] == "system:serviceaccount:calico-system:node"


@pytest.mark.parametrize(
    ("path", "status", "known", "problem"),
    [
        (SECRETS, 403, (None, None, True), "the user of the kubeconfig may not read this Secret"),
        (REVIEWS, 403, (True, True, None), "the user of the kubeconfig may not ask what calico-node may do"),
        (REVIEWS, 500, (True, True, None), f"{REVIEWS}: no"),
    ],
)
def test_what_the_api_server_does_not_tell_is_not_known(path, status, known, problem):
    (entry,) = read_passwords(cluster(fails=(path, status)), WANTED, None)
    assert (entry["present"], entry["has_key"], entry["readable"]) == known
    assert entry["problem"] == problem


def test_the_password_is_nowhere():
    text = json.dumps(read_passwords(cluster(), WANTED, None))
    assert VALUE not in text and "kept-to-itself" not in text
