# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error of the lab that is meant for people."""

from __future__ import annotations


class LabError(Exception):
    """Something is missing or went wrong; the text says what, and what to do about it."""
