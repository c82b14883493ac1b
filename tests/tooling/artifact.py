# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection, look into it, install it into an empty place and let Ansible find everything there.

Run as C(python3 -m tooling.artifact TREE), TREE being the folder of C(ansible_collections).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tooling.tree import COLLECTION

WANTED = ("README.md", "COPYING", "MANIFEST.json", "FILES.json", "meta/runtime.yml", "playbooks", "plugins", "roles")
UNWANTED = ("tests", "molecule", "extensions", "build", ".ansible-lint", ".ci", ".config", ".yamllint", "Makefile", "pyproject.toml")
KINDS = {"module": "plugins/modules", "filter": "plugins/filter", "test": "plugins/test"}


def run(words: list[str], folder: Path, variables: dict[str, str]) -> str:
    """The output of a program that must succeed, and what it warns of is an error too."""
    done = subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    if done.returncode or "[WARNING]" in done.stderr:
        sys.exit(f"{' '.join(words)}: code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def problems_of(names: list[str]) -> list[str]:
    """What is wrong with the files of a built collection."""
    tops = {name.split("/")[0] for name in names}
    found = [f"{name} is not in it" for name in WANTED if name not in names and name not in tops]
    found += [f"{name} does not belong into it: add it to build_ignore in galaxy.yml" for name in UNWANTED if name in tops]
    return found + [f"{name} does not belong into it" for name in names if name.endswith((".pyc", ".tar.gz")) or "__pycache__" in name]


def documented(folder: Path, kind: str, variables: dict[str, str]) -> set[str]:
    """The plugins of a kind that Ansible finds, with their documentation."""
    text = run(["ansible-doc", "--type", kind, "--json", "--list", "podnet.cni"], folder, variables)
    return {name.rpartition(".")[2] for name in json.loads(text)}


def main(tree: Path) -> int:
    """Exit code 0 when the collection can be built, installed and used."""
    source = tree / COLLECTION
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        variables = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(folder / "installed"), "ANSIBLE_HOME": str(folder / "home")}
        run(["ansible-galaxy", "collection", "build", "--output-path", str(folder), str(source)], folder, variables)
        (artifact,) = folder.glob("podnet-cni-*.tar.gz")
        with tarfile.open(artifact) as archive:
            problems = problems_of(archive.getnames())
        # The folder must be there before: Ansible warns of one that is not.
        (folder / "installed").mkdir()
        run(["ansible-galaxy", "collection", "install", "--no-deps", "--offline", "-p", str(folder / "installed"), str(artifact)], folder, variables)
        for kind, place in KINDS.items():
            files = {path.stem for path in (source / place).glob("*") if path.suffix == (".py" if kind == "module" else ".yml")}
            found = documented(folder, kind, variables)
            problems += [f"{kind} {plugin}: ansible-doc does not find it after the installation" for plugin in sorted(files - found)]
            print(f"{len(found)} of {kind}: {', '.join(sorted(found))}")
        for playbook in ("migrate_to_calico", "kernel_preflight"):
            run(["ansible-playbook", "--syntax-check", "--inventory", "localhost,", f"podnet.cni.{playbook}"], folder, variables)
        print(f"{artifact.name}: {artifact.stat().st_size} bytes")
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
