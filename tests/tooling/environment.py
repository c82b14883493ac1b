# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments of the checks: one for each list in tests/requirements, made once and kept in the cache.

Run as C(python3 -m tooling.environment core-2.19) it prints the folder of the environment's programs.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tooling import debian_python
from tooling.places import ROOT, cache_folder, key_of

# Which Python versions an ansible-core supports on the controller (its package metadata says so).
PYTHONS = {"core-2.19": ((3, 11), (3, 12), (3, 13)), "core-2.21": ((3, 12), (3, 13), (3, 14))}

# What the modules need on the targets.
OLDEST_TARGET = (3, 9)


class MissingPython(Exception):
    """No interpreter of a wanted version was found."""


def interpreter_version(program: str) -> tuple[int, int] | None:
    """Major and minor version of an interpreter that works, else None (pyenv's shims exist without working)."""
    command = [program, "-c", "import sys, venv, ensurepip; print(*sys.version_info[:2])"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    words = done.stdout.split()
    return (int(words[0]), int(words[1])) if done.returncode == 0 and len(words) == 2 else None


def version_of(bin_folder: Path) -> tuple[int, int]:
    """Major and minor version of an environment's Python."""
    version = interpreter_version(str(bin_folder / "python"))
    if version is None:
        raise MissingPython(f"{bin_folder}/python does not work any more; remove {bin_folder.parent} to have it made again")
    return version


def candidates(version: tuple[int, int]) -> list[str]:
    """Programs that may be this version of Python: this one, those on the PATH, those of pyenv."""
    name = f"python{version[0]}.{version[1]}"
    found = [sys.executable, "python3", *(str(Path(folder) / name) for folder in os.get_exec_path())]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return found + [str(path) for path in sorted(pyenv.glob(f"{version[0]}.{version[1]}.*/bin/{name}"))]


def installed_python(versions: tuple[tuple[int, int], ...]) -> str | None:
    """The first working interpreter of one of the versions, in their order."""
    for version in versions:
        for program in candidates(version):
            if interpreter_version(program) == version:
                return program
    return None


def find_python(versions: tuple[tuple[int, int], ...]) -> str:
    """An interpreter of one of the versions: an installed one, else one of another Debian release."""
    program = installed_python(versions)
    if program:
        return program
    wanted = " or ".join(f"{major}.{minor}" for major, minor in versions)
    problem = f"no working Python {wanted} with venv was found on the PATH or under pyenv"
    for version in versions:
        if version in debian_python.SUITES:
            try:
                return debian_python.ensure(version)
            except debian_python.NotHere as exc:
                raise MissingPython(f"{problem}; {exc}") from exc
    raise MissingPython(problem)


def missing_python(versions: tuple[tuple[int, int], ...]) -> str:
    """Why there is no such interpreter, empty when there is one."""
    try:
        find_python(versions)
    except MissingPython as exc:
        return str(exc)
    return ""


def missing_packages() -> list[str]:
    """The Debian package that makes the system's Python able to make environments, when no other Python is."""
    return [] if installed_python(PYTHONS["core-2.19"]) else ["python3-venv"]


def newest() -> str:
    """The environment with the newest ansible-core."""
    return list(PYTHONS)[-1]


def ensure(name: str) -> Path:
    """The C(bin) folder of the environment for tests/requirements/NAME.txt, made when it is not there yet."""
    requirements = ROOT / "tests" / "requirements" / f"{name}.txt"
    python = find_python(PYTHONS[name])
    real = os.path.realpath(python)
    folder = cache_folder() / "environments" / f"{name}-{key_of(requirements.read_bytes(), real)}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / f"{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            print(f"making the environment {name} with {python} ...", file=sys.stderr, flush=True)
            debian_python.make_environment(python, folder)
            pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)]
            subprocess.run(pip, check=True, stdout=sys.stderr)
            (folder / "complete").touch()
    return folder / "bin"


if __name__ == "__main__":
    try:
        print(ensure(sys.argv[1]))
    except MissingPython as exc:
        sys.exit(str(exc))
