# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account that the migration ran with: that of docs/examples/rbac.yml, which may do little else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from podnet_lab.cluster_api import ApiRefusal, ClusterApi
from podnet_lab.lab import Lab
from podnet_molecule import account

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [{"name": "x", "image": "x"}]}}
ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "mine"},
    "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
}


@pytest.fixture
def mine(lab: Lab) -> Iterator[ClusterApi]:
    connection = ClusterApi(account.path(lab), lab.topology.netns("ctl"))
    yield connection
    connection.close()


def test_it_reads_what_the_plan_needs(mine: ClusterApi, lab: Lab) -> None:
    assert len(mine.items("/api/v1/nodes")) == len(lab.nodes)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/namespaces/kube-system/secrets", None),
        ("POST", "/api/v1/namespaces/default/pods", POD),
        ("DELETE", "/api/v1/nodes/n1", None),
        ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", ROLE),
        ("GET", "/api/v1/namespaces/kube-system/pods/x/exec", None),
    ],
)
def test_it_may_do_nothing_else(mine: ClusterApi, method: str, path: str, body: dict[str, object] | None) -> None:
    with pytest.raises(ApiRefusal) as refused:
        mine.request(method, path, {"dryRun": "All"} if method != "GET" else {}, body)
    assert refused.value.status == 403
    assert f'User "system:serviceaccount:{account.NAMESPACE}:{account.NAME}"' in str(refused.value)


def test_the_right_in_the_namespace_of_flannel_went_with_it(mine: ClusterApi, api: ClusterApi) -> None:
    assert api.get_or_none("/api/v1/namespaces/kube-flannel") is None
    with pytest.raises(ApiRefusal) as refused:
        mine.items("/api/v1/namespaces/kube-flannel/secrets")
    assert refused.value.status == 403
