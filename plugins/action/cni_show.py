# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print text for people as it is, and where a migration is. Works on the controller, sends nothing to the target."""

from __future__ import annotations

import json
import time
import typing as t

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.podnet.cni.plugins.module_utils._plan.progress import progress_line

display = Display()

ARGUMENTS = {
    "text": {"type": "raw"},
    "level": {"type": "str", "choices": ["info", "warning"], "default": "info"},
    "progress": {
        "type": "dict",
        "options": {
            "position": {"type": "int", "required": True},
            "total": {"type": "int", "required": True},
            "node": {"type": "str", "required": True},
            "zone": {"type": "str", "default": ""},
            "phase": {"type": "str", "required": True},
            "seconds": {"type": "float"},
            "since": {"type": "float"},
        },
    },
    "probe_file": {"type": "path"},
}


def read_probe(path: str | None) -> dict[str, t.Any] | None:
    """What a prober has counted so far; None when there is no such file or it is just being written."""
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            counters = json.load(file)
        return {"failed": int(counters["failed"]), "requests": int(counters["requests"]) if "requests" in counters else None}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def lines_of(text: t.Any) -> list[str]:
    """The lines of a text or of a list of texts."""
    items = text if isinstance(text, (list, tuple)) else [text]
    return [line for item in items for line in ("" if item is None else str(item)).splitlines() or [""]]


class ActionModule(ActionBase):
    """The action."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Print, and return what was printed and when."""
        now = time.time()
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        dummy, arguments = self.validate_argument_spec(
            argument_spec=ARGUMENTS, mutually_exclusive=[("text", "progress")], required_one_of=[("text", "progress")]
        )
        progress = arguments["progress"]
        elapsed = None
        if progress is None:
            lines = lines_of(arguments["text"])
        else:
            elapsed = self._elapsed(progress, now)
            lines = [progress_line(progress, elapsed, read_probe(arguments["probe_file"]))]
        colour = constants.COLOR_WARN if arguments["level"] == "warning" else None
        display.display("\n".join(lines), color=colour)
        result.update(changed=False, at=now, lines=lines, seconds=elapsed)
        return result

    @staticmethod
    def _elapsed(progress: t.Mapping[str, t.Any], now: float) -> float | None:
        """Seconds as given, or since the time that was given."""
        if progress["seconds"] is not None and progress["since"] is not None:
            raise AnsibleActionFail("progress: seconds and since exclude each other; give the one or the other")
        if progress["since"] is not None:
            return max(0.0, now - float(progress["since"]))
        return None if progress["seconds"] is None else float(progress["seconds"])
