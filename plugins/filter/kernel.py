# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters about kernels: what kernel_check found, and what an upgrade does; documented in the YAML file of each name."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import batches, kernel_texts, kernel_upgrade, kernel_upgrade_texts, table
from ansible_collections.podnet.cni.plugins.plugin_utils._clear_errors import filters_with_clear_errors

Results = t.Mapping[str, t.Mapping[str, t.Any]]


def kernel_table(results: Results, width: int = table.WIDTH, features: bool = False) -> str:
    """See C(kernel_texts.kernel_table)."""
    return kernel_texts.kernel_table(results, int(width), bool(features))


def kernel_upgrade_plan(state: t.Mapping[str, t.Any], host: str, settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """See C(kernel_upgrade.plan_host)."""
    return kernel_upgrade.plan_host(str(host), state, settings)


def kernel_upgrade_table(plans: Results, serial: t.Any = "1, 10%, 25%", width: int = table.WIDTH) -> str:
    """See C(kernel_upgrade_texts.plan_table)."""
    return kernel_upgrade_texts.plan_table(plans, batches.parse_serial(serial), int(width))


def kernel_unreadable(error: str, host: str) -> dict[str, t.Any]:
    """See C(kernel_upgrade_texts.unreadable)."""
    if not isinstance(error, str):
        raise ValueError(f"error: '{error}' is no text")
    return kernel_upgrade_texts.unreadable(str(host), str(error))


def kernel_result_table(results: Results, width: int = table.WIDTH) -> str:
    """See C(kernel_upgrade_texts.result_table)."""
    return kernel_upgrade_texts.result_table(results, int(width))


def kernel_came_back(state: t.Mapping[str, t.Any], before: str, wanted: str) -> str:
    """See C(kernel_upgrade_texts.came_back)."""
    return kernel_upgrade_texts.came_back(str(before), str(wanted), str(state.get("running") or ""), (state.get("trial") or {}).get("log") or [])


class FilterModule:
    """Filters of podnet.cni."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return filters_with_clear_errors(
            {
                "kernel_came_back": kernel_came_back,
                "kernel_junit": kernel_texts.kernel_junit,
                "kernel_result_table": kernel_result_table,
                "kernel_table": kernel_table,
                "kernel_unreadable": kernel_unreadable,
                "kernel_upgrade_plan": kernel_upgrade_plan,
                "kernel_upgrade_table": kernel_upgrade_table,
            }
        )
