# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program in one file that holds parts of this collection, for a node that has to go on without it (Python's zipapp)."""

from __future__ import annotations

import importlib.util
import io
import typing as t
import zipfile

_MAIN = "import sys\n\nfrom {module} import main\n\nsys.exit(main(sys.argv[1:]))\n"
_DATE = (1980, 1, 1, 0, 0, 0)
"""The same for each file, the earliest that the format has, so that the same sources give the same bytes."""
_PACKAGE = "ansible_collections.podnet.cni.plugins.module_utils"


def _source(name: str) -> str:
    """The text of a module, which may be in the archive that Ansible sends to a host."""
    found = importlib.util.find_spec(name)
    loader = t.cast("importlib.abc.InspectLoader", found.loader) if found else None
    text = loader.get_source(name) if loader else None
    if text is None:
        raise OSError(f"the text of {name} cannot be read")
    return text


def archive(main: str, others: t.Iterable[str]) -> bytes:
    """A program that runs C(main(arguments)) of a module of C(module_utils), named like C(_host.files), with the others that it needs."""
    content = io.BytesIO()
    names = [f"{_PACKAGE}.{part}" for part in (main, *others)]
    # With a file of its own each package goes before one of the same name that is installed on the node.
    packages = sorted({"/".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 1)})
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archived:
        texts = {f"{package}/__init__.py": "" for package in packages}
        texts.update({f"{name.replace('.', '/')}.py": _source(name) for name in names})
        texts["__main__.py"] = _MAIN.format(module=f"{_PACKAGE}.{main}")
        for path, text in texts.items():
            archived.writestr(zipfile.ZipInfo(path, _DATE), text, zipfile.ZIP_DEFLATED)
    return content.getvalue()
