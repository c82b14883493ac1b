# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs, with errors that say what failed and why."""

from __future__ import annotations

import os
import subprocess
import time
import typing as t
from collections.abc import Callable, Sequence
from pathlib import Path

from podnet_lab.errors import LabError

SEARCH_PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


def environment(extra: t.Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of this process with the system folders on the PATH."""
    return {**os.environ, "PATH": SEARCH_PATH, **(extra or {})}


def run(
    command: Sequence[str | Path],
    *,
    check: bool = True,
    capture: bool = True,
    stdin: str | bytes | None = None,
    env: t.Mapping[str, str] | None = None,
    timeout: float | None = 300,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; a failure names the program and shows the end of what it said."""
    words = [str(word) for word in command]
    data = stdin.decode("latin-1") if isinstance(stdin, bytes) else stdin
    try:
        done = subprocess.run(
            words,
            check=False,
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.PIPE if capture else None,
            text=True,
            errors="replace",
            env=environment(env),
            timeout=timeout,
            cwd=cwd,
        )
    except FileNotFoundError as error:
        raise LabError(f"{words[0]} is not there: install it (python3 -m podnet_lab build tells what is missing)") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"'{' '.join(words)}' did not end within {timeout} s") from error
    if check and done.returncode:
        output = ((done.stderr or "") + (done.stdout or "")).strip()[-2000:]
        raise LabError(f"'{' '.join(words)}' failed with code {done.returncode}: {output}")
    return done


def wait_for(what: str, seconds: float, probe: Callable[[], object], hint: str = "", pause: float = 0.2) -> None:
    """Ask C(probe) until it says something true; an exception of it counts as no, and is shown if time runs out."""
    deadline = time.monotonic() + seconds
    last = ""
    while True:
        try:
            answer = probe()
            if answer:
                return
        except LabError as error:
            last = str(error)
        if time.monotonic() >= deadline:
            raise LabError(" ".join(filter(None, [f"{what} did not happen within {seconds:.0f} s.", last, hint])))
        time.sleep(pause)
