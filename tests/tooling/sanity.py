# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(ansible-test sanity) without a container engine.

ansible-test fetches a script that installs pip into its own environments from a host that need not be reachable; its documented way
out is to place the script beforehand (ansible/ansible#77304). The script made here runs the pip wheel that the package index has.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tooling import environment
from tooling.places import cache_folder
from tooling.tree import COLLECTION, synchronize

BOOTSTRAP = '''"""Install pip with pip, from the wheel beside this file."""
import os
import runpy
import sys

folder = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(folder, "{wheel}"))
wanted = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.argv = ["pip", "install", "--no-index", "--find-links", folder, *wanted]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
'''

# Not for this collection: it has no PowerShell; the rest of what ansible-test knows is run.
SKIPPED = ("pslint",)

# Modules run on the targets; these tests load them there.
TARGET_TESTS = ("compile", "import")


def wanted_pip(bin_folder: Path) -> str:
    """The pip version that this ansible-test installs, read from ansible-test itself."""
    (package,) = bin_folder.parent.glob("lib/python3.*/site-packages/ansible_test")
    text = (package / "_internal" / "python_requirements.py").read_text()
    found = re.search(r"pip[\"']?\s*[=:]\s*[\"'](\d+(?:\.\d+)+)[\"']", text)
    if not found:
        sys.exit(f"cannot find the pip version that {package} wants")
    return found.group(1)


def prepare_home(bin_folder: Path) -> Path:
    """A home folder for ansible-test with the bootstrap script in its cache."""
    home = cache_folder() / "ansible-test-home"
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    version = wanted_pip(bin_folder)
    if not list(cache.glob(f"pip-{version}-*.whl")):
        command = [str(bin_folder / "pip"), "download", "--quiet", "--no-deps", "--disable-pip-version-check", "-d", str(cache), f"pip=={version}"]
        subprocess.run(command, check=True)
    (wheel,) = cache.glob(f"pip-{version}-*.whl")
    (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(BOOTSTRAP.format(wheel=wheel.name))
    return home


def main(arguments: Sequence[str] | None = None) -> int:
    """Run sanity tests; the exit code is ansible-test's."""
    parser = argparse.ArgumentParser(prog="tooling.sanity", description="Run ansible-test sanity.")
    parser.add_argument("environment", choices=sorted(environment.PYTHONS), help="whose ansible-core")
    parser.add_argument("--tree", type=Path, help="folder of ansible_collections (default: a fresh copy of the clone)")
    parser.add_argument("--target", action="store_true", help="only what must hold on targets, with the oldest Python that they may have")
    options = parser.parse_args(arguments)
    bin_folder = environment.ensure(options.environment)
    path = f"{bin_folder}:{os.environ['PATH']}"
    if options.target:
        version, words = environment.OLDEST_TARGET, [word for test in TARGET_TESTS for word in ("--test", test)]
        path += f":{Path(environment.find_python((version,))).parent}"
    else:
        version, words = environment.version_of(bin_folder), [word for test in SKIPPED for word in ("--skip-test", test)]
    command = [str(bin_folder / "ansible-test"), "sanity", "--local", "--requirements", "--color", "no"]
    variables = {**os.environ, "HOME": str(prepare_home(bin_folder)), "PATH": path, "PIP_CACHE_DIR": str(cache_folder() / "pip")}
    return subprocess.run(
        [*command, "--python", f"{version[0]}.{version[1]}", *words],
        cwd=(options.tree or synchronize()) / COLLECTION,
        env=variables,
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
