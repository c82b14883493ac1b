# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the clone at a path that ends in C(ansible_collections/podnet/cni): Ansible's tools look for collections there.

Only files that git knows or would add are copied, so that a check sees what a commit would hold.
Run as C(python3 -m tooling.tree) it prints the folder to put into C(ANSIBLE_COLLECTIONS_PATH).
"""

from __future__ import annotations

import fcntl
import filecmp
import os
import shutil
import subprocess
from pathlib import Path

from tooling.places import ROOT, tree_folder

COLLECTION = Path("ansible_collections") / "podnet" / "cni"


def wanted_files() -> list[str]:
    """Files of the clone that are tracked, or untracked and not ignored, and exist."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return [name for name in dict.fromkeys(names) if name and os.path.lexists(ROOT / name)]


def synchronize(folder: Path | None = None) -> Path:
    """Bring the copy up to date and return the folder that holds C(ansible_collections)."""
    folder = folder or tree_folder()
    target = folder / COLLECTION
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = wanted_files()
        for name in wanted:
            _copy(ROOT / name, target / name)
        _remove_others(target, set(wanted))
    return folder


def _copy(source: Path, copy: Path) -> None:
    """Copy a file that differs; a check that runs at this moment sees the old one or the new one, never none."""
    if os.path.lexists(copy) and not source.is_symlink() and filecmp.cmp(source, copy, shallow=False):
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    temporary = copy.with_name(f".{copy.name}.new")
    temporary.unlink(missing_ok=True)
    shutil.copy2(source, temporary, follow_symlinks=False)
    temporary.replace(copy)


def _remove_others(target: Path, keep: set[str]) -> None:
    """Remove what the clone does not have; what Python and the tests made of a file that is still there stays."""
    for folder, dummy, files in os.walk(target, topdown=False):
        for file in files:
            path = Path(folder) / file
            compiled_from = path.parent.with_name(f"{file.split('.')[0]}.py") if path.parent.name == "__pycache__" else path
            if str(compiled_from.relative_to(target)) not in keep and "tests/output" not in folder:
                path.unlink(missing_ok=True)
        if not os.listdir(folder):
            os.rmdir(folder)


if __name__ == "__main__":
    print(synchronize())
