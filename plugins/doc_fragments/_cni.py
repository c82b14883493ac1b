# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of modules that work on a node's pods. Private: may change without notice."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of C(OPTIONS) in C(module_utils/_host/cni_state.py)."""

    DOCUMENTATION = r"""
options:
  bridge:
    description: Flannel's bridge.
    type: str
    default: cni0
  cni_config_dir:
    description: Folder of CNI configurations.
    type: path
    default: /etc/cni/net.d
  cni_bin_dir:
    description: Folder of CNI plugins.
    type: path
    default: /opt/cni/bin
  cni_state_dir:
    description: Folder in which the CNI library, host-local and Flannel's plugin keep their state.
    type: path
    default: /var/lib/cni
"""
