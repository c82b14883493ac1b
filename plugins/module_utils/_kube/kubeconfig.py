# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a kubeconfig, in words that name the option, the value and the remedy. Reads files, changes nothing.

The Python package C(kubernetes) would notice most of it as well, but says it in words of its own code. Format:
kubernetes/client-go:tools/clientcmd/api/v1/types.go.
"""

from __future__ import annotations

import getpass
import os
import shutil
import typing as t

Content = t.Mapping[str, t.Any]
DEFAULT = "~/.kube/config"
_GIVE = "Give the path of a kubeconfig in kubeconfig (podnet_kubeconfig of the playbooks) or in K8S_AUTH_KUBECONFIG"
_FILES = (("user", "client-certificate"), ("user", "client-key"), ("cluster", "certificate-authority"))


class _Problem(Exception):
    """What is wrong; the text has the remedy."""


def paths_of(kubeconfig: str | None) -> list[str]:
    """The files that are read: there may be several, as in E(KUBECONFIG)."""
    return [os.path.expanduser(path) for path in (kubeconfig or DEFAULT).split(os.pathsep) if path]


def problem(kubeconfig: str | None, context: str | None) -> str | None:
    """What is wrong with a kubeconfig and a context in it, None when nothing is known to be."""
    try:
        _check(paths_of(kubeconfig), context)
    except _Problem as exc:
        return str(exc)
    return None


def _check(paths: t.Sequence[str], context: str | None) -> None:
    there = [path for path in paths if os.path.exists(path)]
    if not there:
        what = f"'{paths[0]}' does not exist" if len(paths) == 1 else f"none of {', '.join(paths)} exists"
        raise _Problem(f"kubeconfig: {what} on {os.uname().nodename}. {_GIVE}")
    contents = [(path, _read(path)) for path in there]
    found = _Merged(contents)
    wanted = context or found.current
    shown = " and ".join(there)
    known = ", ".join(sorted(found.contexts)) or "none"
    if not found.contexts:
        raise _Problem(f"kubeconfig: '{shown}' is no kubeconfig: it has no contexts. {_GIVE}")
    if not wanted:
        raise _Problem(
            f"context: '{shown}' does not say which context to use (current-context is empty). "
            f"Name one in context (podnet_context of the playbooks); it has {known}"
        )
    if wanted not in found.contexts:
        where = "context" if context else "current-context"
        raise _Problem(
            f"{where}: '{wanted}' is no context of '{shown}', which has {known}. Name one of them in context (podnet_context of the playbooks)"
        )
    _check_context(found, wanted, shown)


def _read(path: str) -> Content:
    """The content of one file.

    :raises _Problem: when it cannot be read.
    """
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.safe_load(file)
    except IsADirectoryError as exc:
        raise _Problem(f"kubeconfig: '{path}' is a folder. {_GIVE}") from exc
    except PermissionError as exc:
        raise _Problem(
            f"kubeconfig: '{path}' may not be read by user {_user()}. Give the file to the user that runs Ansible (chown), or name another one in "
            "kubeconfig (podnet_kubeconfig of the playbooks)"
        ) from exc
    except (OSError, UnicodeError) as exc:
        raise _Problem(f"kubeconfig: '{path}' cannot be read: {getattr(exc, 'strerror', None) or exc}. {_GIVE}") from exc
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1}: {getattr(exc, 'problem', '')})" if mark else ""
        raise _Problem(f"kubeconfig: '{path}' is not YAML{where}. Correct it; `kubectl config view --kubeconfig {path}` must show it") from exc
    if not isinstance(content, dict):
        raise _Problem(f"kubeconfig: '{path}' is {'empty' if content is None else 'no kubeconfig'}. {_GIVE}")
    return content


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container with a user id of its own
        return str(os.getuid())


class _Merged:
    """Several files as one: the first that has a name counts."""

    def __init__(self, contents: t.Sequence[tuple[str, Content]]) -> None:
        self.current: str | None = next((str(content["current-context"]) for _path, content in contents if content.get("current-context")), None)
        self.contexts = self._named(contents, "contexts", "context")
        self.clusters = self._named(contents, "clusters", "cluster")
        self.users = self._named(contents, "users", "user")

    @staticmethod
    def _named(contents: t.Sequence[tuple[str, Content]], plural: str, key: str) -> dict[str, dict[str, t.Any]]:
        found: dict[str, dict[str, t.Any]] = {}
        for path, content in contents:
            entries = content.get(plural) or []
            if not isinstance(entries, list):
                raise _Problem(f"kubeconfig: '{path}' is no kubeconfig: {plural} is not a list. {_GIVE}")
            for entry in entries:
                if isinstance(entry, dict) and entry.get("name"):
                    found.setdefault(str(entry["name"]), {**(entry.get(key) or {}), "_folder": os.path.dirname(os.path.abspath(path))})
        return found


def _check_context(found: _Merged, name: str, shown: str) -> None:
    """What the context leads to."""
    context = found.contexts[name]
    for key, entries in (("cluster", found.clusters), ("user", found.users)):
        other = str(context.get(key) or "")
        if other not in entries:
            raise _Problem(
                f"kubeconfig: the context '{name}' of '{shown}' names the {key} '{other}', which is not there. "
                f"Correct it, or name another context in context (podnet_context of the playbooks)"
            )
    cluster, user = found.clusters[str(context["cluster"])], found.users[str(context["user"])]
    if not str(cluster.get("server") or "").startswith(("https://", "http://")):
        raise _Problem(
            f"kubeconfig: the server of cluster '{context['cluster']}' in '{shown}' is '{cluster.get('server') or ''}', which is no address. "
            "Give one such as https://192.0.2.1:6443"
        )
    for kind, key in _FILES:
        entry = user if kind == "user" else cluster
        file = entry.get(key)
        if file and not entry.get(f"{key}-data") and not os.path.isfile(os.path.join(entry["_folder"], os.path.expanduser(str(file)))):
            raise _Problem(
                f"kubeconfig: {key} of {kind} '{context[kind]}' in '{shown}' names the file '{file}', which is not there. "
                "Copy it beside the kubeconfig, or embed it (kubectl config view --flatten)"
            )
    program = str((user.get("exec") or {}).get("command") or "")
    # One that is named with a path is beside the kubeconfig, any other one in the PATH.
    if program and not shutil.which(os.path.join(user["_folder"], program) if "/" in program else program):
        raise _Problem(
            f"kubeconfig: the user '{context['user']}' of '{shown}' gets its credentials from the program '{program}', which is not there. "
            "Install it where Ansible runs this module, or give a kubeconfig with a token or a certificate"
        )
