# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubeconfigs that are wrong in one way each: real files, and the words that a user sees."""

from __future__ import annotations

import builtins
import copy
import os
import sys

import pytest
import yaml
from ansible_collections.podnet.cni.plugins.module_utils._kube import kubeconfig

GOOD = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1:6443", "certificate-authority-data": "eA=="}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "prod", "context": {"cluster": "c", "user": "u"}}, {"name": "test", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "prod",
}


def changed(**values):
    return yaml.safe_dump({**copy.deepcopy(GOOD), **values})


def with_user(**user):
    return changed(users=[{"name": "u", "user": user}])


CASES = {
    "empty": ("", None, "kubeconfig: '{path}' is empty. Give the path of a kubeconfig in kubeconfig (podnet_kubeconfig of the playbooks)"),
    "no YAML": ("a: [1\nb: 2\n", None, "kubeconfig: '{path}' is not YAML (line 2, column 2: "),
    "a text": ("hello", None, "kubeconfig: '{path}' is no kubeconfig. Give the path"),
    "something else": ("kind: Pod", None, "kubeconfig: '{path}' is no kubeconfig: it has no contexts. Give the path"),
    "no lists": (changed(users={"u": {}}), None, "kubeconfig: '{path}' is no kubeconfig: users is not a list"),
    "unknown context": (changed(), "there", "context: 'there' is no context of '{path}', which has prod, test. Name one of them in context"),
    "current context is gone": (changed(**{"current-context": "old"}), None, "current-context: 'old' is no context of '{path}', which has prod,"),
    "no current context": (changed(**{"current-context": ""}), None, "(current-context is empty). Name one in context (podnet_context of the"),
    "cluster is gone": (changed(clusters=[]), None, "the context 'prod' of '{path}' names the cluster 'c', which is not there"),
    "user is gone": (changed(users=[]), None, "the context 'prod' of '{path}' names the user 'u', which is not there"),
    "no server": (
        changed(clusters=[{"name": "c", "cluster": {"server": "192.0.2.1"}}]),
        None,
        "the server of cluster 'c' in '{path}' is '192.0.2.1', which is no address. Give one such as https://",
    ),
    "certificate is gone": (
        with_user(**{"client-certificate": "old/client.crt"}),
        None,
        "client-certificate of user 'u' in '{path}' names the file 'old/client.crt', which is not there. Copy it beside the kubeconfig, or embed",
    ),
    "authority is gone": (
        changed(clusters=[{"name": "c", "cluster": {"server": "https://192.0.2.1", "certificate-authority": "/nowhere/ca.crt"}}]),
        None,
        "certificate-authority of cluster 'c' in '{path}' names the file '/nowhere/ca.crt', which is not there",
    ),
    "program is gone": (
        with_user(exec={"command": "no-such-login-program"}),
        None,
        "the user 'u' of '{path}' gets its credentials from the program 'no-such-login-program', which is not there. Install it",
    ),
    "program beside it is gone": (with_user(exec={"command": "./login"}), None, "from the program './login', which is not there"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_told_with_the_remedy(tmp_path, name):
    text, context, says = CASES[name]
    path = tmp_path / "config"
    path.write_text(text)
    problem = kubeconfig.problem(str(path), context)
    assert says.format(path=path) in problem
    assert "\n" not in problem


def test_a_good_one_is_good(tmp_path):
    (tmp_path / "client.crt").write_text("x")
    path = tmp_path / "config"
    path.write_text(with_user(**{"client-certificate": "client.crt", "exec": {"command": sys.executable}}))
    assert kubeconfig.problem(str(path), None) is None
    assert kubeconfig.problem(str(path), "test") is None


def test_a_file_that_is_not_there():
    problem = kubeconfig.problem("/nowhere/config", None)
    assert problem.startswith(f"kubeconfig: '/nowhere/config' does not exist on {os.uname().nodename}. Give the path of a kubeconfig")


def test_a_folder(tmp_path):
    assert kubeconfig.problem(str(tmp_path), None).startswith(f"kubeconfig: '{tmp_path}' is a folder. Give the path")


def test_a_file_of_somebody_else(tmp_path, monkeypatch):
    """The tests may run as root, who may read everything."""
    path = tmp_path / "config"
    path.write_text(changed())

    def refuse(*_words, **_more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(builtins, "open", refuse)
    problem = kubeconfig.problem(str(path), None)
    monkeypatch.undo()
    assert f"kubeconfig: '{path}' may not be read by user " in problem
    assert "(chown)" in problem


def test_several_files_are_one_as_for_kubectl(tmp_path):
    contexts, rest = tmp_path / "contexts", tmp_path / "rest"
    contexts.write_text(yaml.safe_dump({"contexts": GOOD["contexts"]}))
    rest.write_text(changed(contexts=[]))
    assert kubeconfig.problem(f"{contexts}:{rest}:/nowhere/more", None) is None
    assert "names the cluster 'c'" in kubeconfig.problem(f"{contexts}", "prod")
    assert kubeconfig.problem("/nowhere/a:/nowhere/b", None).startswith("kubeconfig: none of /nowhere/a, /nowhere/b exists on ")
