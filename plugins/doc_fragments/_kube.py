# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of every module that talks to the cluster's API. Private: may change without notice."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of C(module_utils/_kube/argspec.py)."""

    DOCUMENTATION = r"""
requirements:
  - kubernetes (Python package) on the host that runs the module, usually the controller
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file.
      - Without it E(K8S_AUTH_KUBECONFIG) and E(KUBECONFIG) are used, then C(~/.kube/config), then the service account of the pod
        that the module runs in.
    type: path
  context:
    description:
      - Name of a context in the kubeconfig. Without it E(K8S_AUTH_CONTEXT) is used, then the kubeconfig's current context.
    type: str
  request_timeout:
    description:
      - Seconds that one request may take, tries included. Requests that may be repeated are tried again while the API server is too busy,
        and twice as long while it does not answer at all, as when it restarts.
    type: float
    default: 30.0
  field_validation:
    description:
      - What the API server does with fields that it does not know. V(Strict) refuses the object.
    type: str
    choices: [Strict, Warn, Ignore]
    default: Strict
"""
