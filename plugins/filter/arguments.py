# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that turn facts and a plan into the arguments of modules; documented in the YAML file of each name."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.podnet.cni.plugins.module_utils._plan import arguments, variables


def service_checks(cluster: arguments.Facts, kind: str) -> list[dict[str, t.Any]]:
    """See C(arguments.service_checks)."""
    try:
        return arguments.service_checks(cluster, kind)
    except ValueError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """Filters of podnet.cni."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {
            "match_nodes": arguments.match_nodes,
            "block_claims": arguments.block_claims,
            "probe_targets": arguments.probe_targets,
            "migration_reservations": arguments.migration_reservations,
            "service_checks": service_checks,
            "vxlan_packets": arguments.vxlan_packets,
            "findings_line": arguments.findings_line,
            "unknown_variables": variables.unknown_variables,
        }
