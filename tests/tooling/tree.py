# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the clone at a path that ends in C(ansible_collections/podnet/cni): Ansible's tools look for collections there.

Only files that git knows or would add are copied, so that a check sees what a commit would hold.
Run as C(python3 -m tooling.tree) it prints the folder to put into C(ANSIBLE_COLLECTIONS_PATH).
"""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
from pathlib import Path

from tooling.places import ROOT, tree_folder


def wanted_files() -> list[str]:
    """Files of the clone that are tracked, or untracked and not ignored, and exist."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return [name for name in dict.fromkeys(names) if name and os.path.lexists(ROOT / name)]


def synchronize() -> Path:
    """Bring the copy up to date and return the folder that holds C(ansible_collections)."""
    target = tree_folder() / "ansible_collections" / "podnet" / "cni"
    wanted = wanted_files()
    for name in wanted:
        source, copy = ROOT / name, target / name
        if not os.path.lexists(copy) or source.is_symlink() or not filecmp.cmp(source, copy, shallow=False):
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.unlink(missing_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)
    keep = set(wanted)
    for folder, dummy, files in os.walk(target, topdown=False):
        for file in files:
            path = Path(folder) / file
            if str(path.relative_to(target)) not in keep and "tests/output" not in str(path):
                path.unlink()
        if not os.listdir(folder):
            os.rmdir(folder)
    return tree_folder()


if __name__ == "__main__":
    print(synchronize())
