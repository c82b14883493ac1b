# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the profiles on the controller and hand those that are wanted to the module, so that nodes need no YAML."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_data
from ansible_collections.podnet.cni.plugins.plugin_utils._kernel_profiles import read_data


def with_data(arguments: t.Mapping[str, t.Any], find: t.Callable[[str], str]) -> dict[str, t.Any]:
    """Arguments of the module with the data of the wanted profiles only; C(find) turns a path of the playbook into one of the controller.

    :raises ValueError: for files that cannot be used, and for profiles that there are none of.
    """
    given = dict(arguments)
    paths = given.pop("profile_files", None) or []
    if given.get("data") is not None:
        return {**given, "profile_files": paths}
    data = read_data(find(path) for path in ([paths] if isinstance(paths, str) else paths))
    wishes = kernel_data.read_wishes(given.get("profiles") or [], kernel_data.read_profiles(data))
    names = {wish.profile.name for wish in wishes}
    return {**given, "data": {"profiles": {name: profile for name, profile in data["profiles"].items() if name in names}}}


class ActionModule(ActionBase):
    """The action."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the module with the data."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        try:
            arguments = with_data(self._task.args, self._find)
        except ValueError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        result.update(self._execute_module(module_name="podnet.cni.kernel_check", module_args=arguments, task_vars=task_vars))
        # The data is long, and of no use to who reads the invocation.
        (result.get("invocation") or {}).get("module_args", {}).pop("data", None)
        return result

    def _find(self, path: str) -> str:
        """A path beside the playbook, or as it is."""
        return str(self._loader.path_dwim(path))
