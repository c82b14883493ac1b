# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of every module that talks to the cluster's API; documented in the fragment C(podnet.cni._kube)."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback

KUBE_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "kubeconfig": {"type": "path", "fallback": (env_fallback, ["K8S_AUTH_KUBECONFIG", "KUBECONFIG"])},
    "context": {"type": "str", "fallback": (env_fallback, ["K8S_AUTH_CONTEXT"])},
    "request_timeout": {"type": "float", "default": 30.0},
    "field_validation": {"type": "str", "choices": ["Strict", "Warn", "Ignore"], "default": "Strict"},
}
