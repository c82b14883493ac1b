# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that every module of this collection states. Private: may change without notice."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments for C(attributes)."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
      - This assumes that the system controlled or queried by the module has not changed in a relevant way.
  platform:
    description: Target OS/families that can be operated against.
"""

    # For modules that read and never change anything.
    FACTS = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module does not modify state.
  diff_mode:
    support: N/A
    details:
      - This module does not modify state.
  idempotent:
    support: full
    details:
      - This module does not modify state.
"""

    # For modules of which module_defaults can set the cluster's options at once.
    ACTIONGROUP_KUBE = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/podnet.cni.kube) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - podnet.cni.kube
"""
