# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that show what kernel_check found; documented in the YAML file of each name."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_texts, table
from ansible_collections.podnet.cni.plugins.plugin_utils._clear_errors import filters_with_clear_errors

Results = t.Mapping[str, t.Mapping[str, t.Any]]


def kernel_table(results: Results, width: int = table.WIDTH, features: bool = False) -> str:
    """See C(kernel_texts.kernel_table)."""
    return kernel_texts.kernel_table(results, int(width), bool(features))


class FilterModule:
    """Filters of podnet.cni."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return filters_with_clear_errors({"kernel_table": kernel_table, "kernel_junit": kernel_texts.kernel_junit})
