# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a program of this clone in its environment: C(python3 -m tooling.launch MODULE [argument...])."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t

from tooling import environment, packages
from tooling.places import ROOT

ENVIRONMENT = "core-2.19"


def main() -> t.NoReturn:
    """Become the program."""
    try:
        packages.install(environment.missing_packages())
        bin_folder = environment.ensure(ENVIRONMENT)
    except (environment.MissingPython, packages.MissingPackages, subprocess.CalledProcessError) as exc:
        sys.exit(f"{sys.argv[1]} cannot be run: {exc}")
    python = str(bin_folder / "python")
    variables = {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT / "tests" / "lab")]),
    }
    os.execve(python, [python, "-m", *sys.argv[1:]], variables)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
