# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shortly after pods were evicted their budget allows nothing. That passes, so the plan waits for it as long as it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from podnet_lab.cluster_api import ClusterApi, Object
from podnet_lab.lab import Lab
from podnet_lab.shell import wait_for
from podnet_molecule.playbook import Outcome

READY_AFTER = 15
PODS = "/api/v1/namespaces/default/pods"
BUDGET = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/slow"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/slow"
LABELS = {"app": "slow"}
SLOW: list[Object] = [
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "slow", "namespace": "default"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "automountServiceAccountToken": False,
                    "containers": [
                        {
                            "name": "server",
                            "image": "localhost/podnet-lab-tools:1",
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["sleep", "infinity"],
                            "readinessProbe": {"exec": {"command": ["true"]}, "initialDelaySeconds": READY_AFTER},
                        }
                    ],
                },
            },
        },
    },
    {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "slow", "namespace": "default"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": LABELS}},
    },
]


def pods(api: ClusterApi) -> list[Object]:
    return api.items(PODS, labelSelector="app=slow")


def allowed(api: ClusterApi) -> int:
    status = (api.get_or_none(BUDGET) or {}).get("status") or {}
    return int(status.get("disruptionsAllowed") or 0)


@pytest.fixture(scope="module")
def slow(lab: Lab) -> Iterator[ClusterApi]:
    """A Deployment whose pods take a while to be Ready, and its budget."""
    with lab.api() as api:
        try:
            for item in SLOW:
                api.apply(item)
            wait_for("the budget of slow pods allows an eviction", 90, lambda: allowed(api) == 1)
            yield api
        finally:
            api.delete(BUDGET)
            api.delete(DEPLOYMENT)
            wait_for("slow pods are gone", 60, lambda: not pods(api))


@pytest.fixture
def one_is_on_its_way(slow: ClusterApi) -> None:
    """Its budget allows nothing for the next seconds."""
    slow.delete(f"{PODS}/{pods(slow)[0]['metadata']['name']}")
    wait_for("the budget of slow pods allows nothing", 30, lambda: allowed(slow) == 0, pause=0.1)


@pytest.mark.usefixtures("one_is_on_its_way")
def test_the_plan_waits_until_the_budget_allows_an_eviction(migrate: Callable[..., Outcome], api: ClusterApi) -> None:
    begin = time.monotonic()
    outcome = migrate("--check")
    assert outcome.code == 0, outcome.output
    assert "budget-allows-nothing-now" not in outcome.text
    assert allowed(api) == 1
    assert time.monotonic() - begin > READY_AFTER / 2


@pytest.mark.usefixtures("one_is_on_its_way")
def test_it_is_refused_when_the_time_is_over(migrate: Callable[..., Outcome], api: ClusterApi) -> None:
    outcome = migrate("--check", podnet_settle_seconds=0)
    assert outcome.code == 2, outcome.output
    assert "PodDisruptionBudget default/slow" in outcome.text
    assert "nothing was changed" in outcome.text
    assert allowed(api) == 0
