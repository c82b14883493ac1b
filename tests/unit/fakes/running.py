# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module's main function as Ansible would: options in, what it prints out."""

from __future__ import annotations

import contextlib
import io
import json
import typing as t

import pytest
from ansible.module_utils import basic
from ansible_collections.podnet.cni.tests.unit.fakes import documentation


def _give(monkeypatch: pytest.MonkeyPatch, arguments: t.Mapping[str, t.Any]) -> t.ContextManager[t.Any]:
    try:
        from ansible.module_utils.testing import patch_module_args
    except ImportError:  # an older ansible-core
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
        return contextlib.nullcontext()
    return patch_module_args(dict(arguments))


def run_module(monkeypatch: pytest.MonkeyPatch, module_name: str, /, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    """What a module returns, held against its documentation."""
    arguments = {"_ansible_remote_tmp": "/tmp", "_ansible_keep_remote_files": False, "_ansible_check_mode": check_mode, **options}
    printed, warned = io.StringIO(), []
    # Where Ansible's controller code is loaded as well, warnings go to the terminal instead of into the results.
    monkeypatch.setattr(basic.AnsibleModule, "warn", lambda module, text: warned.append(text))
    with _give(monkeypatch, arguments), contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as ended:
        documentation.module_of(module_name).main()
    results: dict[str, t.Any] = json.loads(printed.getvalue())
    assert bool(ended.value.code) == bool(results.get("failed"))
    results["warnings"] = warned
    documentation.check_results(module_name, results, complete=not results.get("failed"))
    return results
