# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that nobody reads: a misspelled one would be passed over in silence. Pure: no input, no output."""

from __future__ import annotations

import difflib
import typing as t

PREFIX = "podnet_"
_FACTS = {"podnet_cluster", "podnet_node"}
"""Facts of this collection; a fact cache brings them back as variables."""


def unknown_variables(names: t.Iterable[str], known: t.Iterable[str]) -> list[str]:
    """A sentence with the remedy for each of the C(names) that begins like a variable of this collection, but is none of the C(known)."""
    options = sorted(set(known))
    return [_sentence(name, options) for name in sorted(set(names)) if name.startswith(PREFIX) and name not in options and name not in _FACTS]


def _sentence(name: str, options: list[str]) -> str:
    close = difflib.get_close_matches(name, options, n=1)
    remedy = f"did you mean {close[0]}?" if close else f"use one of {', '.join(options)}"
    return f"{name} is no variable of this playbook and would have no effect; {remedy}"
