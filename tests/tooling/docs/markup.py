# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the markup of Ansible's documentation to Markdown (ansible/ansible-documentation: developing_modules_documenting.rst)."""

from __future__ import annotations

import re

_MACRO = re.compile(r"\b(C|V|O|RV|E|M|P|I|B|U|L)\(((?:[^()\\]|\\.|\([^()]*\))*)\)")


def escape(text: str) -> str:
    """Text that Markdown would read as something else; code stays as it is."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece.startswith("`") else piece.replace("<", "&lt;").replace("*", "\\*") for piece in pieces).replace("|", "\\|")


def markdown(text: str) -> str:
    """A description as Markdown."""
    parts, end = [], 0
    for found in _MACRO.finditer(text):
        parts += [escape(text[end : found.start()]), _macro(found.group(1), found.group(2))]
        end = found.end()
    return "".join([*parts, escape(text[end:])])


def _macro(kind: str, value: str) -> str:
    value = value.replace("\\\\", "\\")
    if kind in ("I", "B"):
        return f"*{escape(value)}*" if kind == "I" else f"**{escape(value)}**"
    if kind == "L":
        text, dummy, target = value.rpartition(",")
        return f"[{escape(text.strip())}]({target.strip()})"
    if kind == "U":
        return value
    if kind in ("M", "P"):
        value = value.partition("#")[0]
        return f"[`{value}`](modules.md#{value.rsplit('.', 1)[-1]})" if value.startswith("podnet.cni.") and kind == "M" else f"`{value}`"
    return f"`{value}`".replace("|", "\\|")


def sentence(description: str | list[str]) -> str:
    """A description of one or more parts as one paragraph."""
    return " ".join(markdown(part) for part in ([description] if isinstance(description, str) else description))
