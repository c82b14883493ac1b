# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests for templates about kernels; documented in the YAML file of each name."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_release
from ansible_collections.podnet.cni.plugins.plugin_utils._clear_errors import filters_with_clear_errors


def kernel_version(value: str, version: str, operator: str = ">=") -> bool:
    """See C(kernel_release.compare)."""
    return kernel_release.compare(value, operator, version)


class TestModule:
    """Tests of podnet.cni."""

    def tests(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return filters_with_clear_errors({"kernel_version": kernel_version})
