# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers by which M(podnet.cni.route_guard) makes what it keeps known, and others recognize it. Pure: no input, no output."""

from __future__ import annotations

OLD = 27127
"""The table with the ways that were there, and the priority of its rule: the table main has 32766."""
NEW = 27128
"""The same of new ways."""
