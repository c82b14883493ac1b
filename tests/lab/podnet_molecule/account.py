# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubeconfigs of accounts with few rights: those of the files that users get, under docs/examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import yaml
from podnet_lab import workloads
from podnet_lab.cluster_api import ClusterApi, Object, object_path
from podnet_lab.lab import Lab

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"
NAME = "podnet-migration"
NAMESPACE = "kube-system"
SECONDS = 4 * 3600


def path(lab: Lab) -> Path:
    """The kubeconfig of the account of rbac.yml."""
    return lab.state / "account.conf"


def objects(name: str = "rbac.yml") -> list[Object]:
    """The objects of one of the files."""
    return workloads.read_manifest(EXAMPLES / name)


def make(lab: Lab) -> None:
    """Apply rbac.yml, and write the kubeconfig of its account."""
    with lab.api() as api:
        apply(api, objects())
        write(lab, api, NAME, path(lab))


def apply(api: ClusterApi, items: Sequence[Object]) -> None:
    """As a cluster's administrator; what belongs into a namespace that is gone with Flannel is passed over, as kubectl does after an error."""
    for item in items:
        namespace = item["metadata"].get("namespace")
        if not namespace or api.get_or_none(f"/api/v1/namespaces/{namespace}"):
            api.apply(item)


def remove(api: ClusterApi, items: Sequence[Object]) -> None:
    """The last first."""
    for item in reversed(items):
        api.delete(object_path(item))


def write(lab: Lab, api: ClusterApi, account: str, file: Path) -> None:
    """A kubeconfig with a token of an account in kube-system."""
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": SECONDS}}
    answer = json.loads(api.request("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token", {}, request))
    administrator = yaml.safe_load(lab.kubeconfig.read_text(encoding="utf-8"))
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{**administrator["clusters"][0], "name": "lab"}],
        "users": [{"name": account, "user": {"token": answer["status"]["token"]}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": account}}],
        "current-context": "lab",
    }
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
