# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about the rights of the user in the cluster."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import BLOCKER, WARNING, Finding
from ansible_collections.podnet.cni.plugins.module_utils._plan.situation import Situation

_SOURCE = "kubernetes/website:content/en/docs/reference/access-authn-authz/rbac.md"


def missing(situation: Situation) -> t.Iterator[Finding]:
    """Rights that the run needs and the user has not."""
    access = situation.cluster.get("access") or {}
    if access.get("missing"):
        yield Finding(
            "access-missing",
            BLOCKER if situation.settings.carry_out else WARNING,
            f"user {access['user']}" if access.get("user") else "the user of the kubeconfig",
            f"It may not: {'; '.join(entry['text'] for entry in access['missing'])}.",
            "The run would stop in the middle, where the API server refuses what it needs.",
            "Apply docs/examples/rbac.yml of this collection and use a kubeconfig of its ServiceAccount kube-system/podnet-migration, or give these "
            "rights to the user that you have. For a plan alone docs/examples/rbac-plan.yml is enough.",
            _SOURCE,
        )


def unknown(situation: Situation) -> t.Iterator[Finding]:
    """The API server does not tell which rights the user has."""
    access = situation.cluster.get("access") or {}
    if access.get("problem"):
        yield Finding(
            "access-unknown",
            WARNING,
            "the user of the kubeconfig",
            f"The API server did not tell what it may do: {access['problem']}.",
            "Rights that are missing would be noticed in the middle of the run.",
            "Compare the user's rights with docs/examples/rbac.yml of this collection, and let it create SelfSubjectAccessReviews, as the role "
            "system:basic-user does.",
            _SOURCE,
        )


RULES = (missing, unknown)
