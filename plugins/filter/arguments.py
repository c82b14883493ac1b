# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that turn facts and a plan into the arguments of modules; documented in the YAML file of each name."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import arguments, reach, variables
from ansible_collections.podnet.cni.plugins.plugin_utils._clear_errors import filters_with_clear_errors


class FilterModule:
    """Filters of podnet.cni."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return filters_with_clear_errors(
            {
                "match_nodes": arguments.match_nodes,
                "block_claims": arguments.block_claims,
                "tunnel_problems": arguments.tunnel_problems,
                "probe_targets": arguments.probe_targets,
                "plugins_of_calico": arguments.plugins_of_calico,
                "migration_reservations": arguments.migration_reservations,
                "replug_reach": reach.replug_reach,
                "service_checks": arguments.service_checks,
                "vxlan_packets": arguments.vxlan_packets,
                "findings_line": arguments.findings_line,
                "unknown_variables": variables.unknown_variables,
                "variable_problems": variables.variable_problems,
            }
        )
