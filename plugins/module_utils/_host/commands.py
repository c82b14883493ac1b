# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run programs of the node."""

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t

EXTRA_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


class CommandError(Exception):
    """A program is missing or failed; the text says which and why."""


def find(program: str) -> str | None:
    """Path of a program, None when the node has none; folders of the administrator count even if the PATH lacks them."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *EXTRA_FOLDERS])
    return shutil.which(program, path=path)


def run(
    words: t.Sequence[str],
    stdin: str | None = None,
    check: bool = True,
    timeout: float = 60.0,
    environment: t.Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program in the C locale.

    :raises CommandError: when it is missing, takes longer than C(timeout) seconds, or fails and C(check) is set.
    """
    program = find(words[0])
    if program is None:
        raise CommandError(f"the program {words[0]} is missing on this node; install the package that holds it")
    variables = {**os.environ, "LC_ALL": "C", "LANG": "C", **(environment or {})}
    try:
        # AnsibleModule.run_command has no time limit, and a plugin of a CNI that hangs must not hold the node's switch.
        # pylint: disable-next=ansible-bad-function
        done = subprocess.run(  # noqa: S603 - a list of words, which no shell reads
            [program, *words[1:]], input=stdin, capture_output=True, text=True, check=False, env=variables, timeout=timeout
        )
    except OSError as exc:
        raise CommandError(f"'{words[0]}' cannot be run: {exc.strerror}") from exc
    except subprocess.TimeoutExpired as exc:
        raise CommandError(f"'{' '.join(words)}' did not end within {timeout:g} s") from exc
    if check and done.returncode:
        raise CommandError(f"'{' '.join(words)}' failed with code {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done
