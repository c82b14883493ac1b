# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


def pytest_configure(config):
    config.addinivalue_line("markers", "needs_root_netns: makes a network namespace of its own; skipped where that is not possible")
