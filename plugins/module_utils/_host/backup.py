# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup of files before they are removed, with a manifest by which people and programs can put them back."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import commands, files, netfilter

MANIFEST = "manifest.json"


class Backup:
    """One folder of a backup, named by the time; everything in it is readable by its owner only."""

    def __init__(self, parent: Path, purpose: str) -> None:
        self.purpose = purpose
        self.entries: list[dict[str, t.Any]] = []
        self.dumps: list[str] = []
        self.folder = self._new_folder(parent)

    @staticmethod
    def _new_folder(parent: Path) -> Path:
        time = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for suffix in ("", *(f"-{number}" for number in range(2, 100))):
            folder = parent / f"{time}{suffix}"
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                continue
            return folder
        raise OSError(f"'{parent}' has too many backups of this second")

    def add(self, path: Path) -> None:
        """Copy a file, note where a link leads, that there is a folder, or something that only the program that made it can make."""
        status = os.lstat(path)
        entry: dict[str, t.Any] = {"path": str(path), "mode": oct(status.st_mode & 0o7777), "uid": status.st_uid, "gid": status.st_gid}
        if path.is_symlink():
            entry["link"] = os.readlink(path)
        elif not path.is_dir() and not path.is_file():
            entry["special"] = True
        elif not path.is_dir():
            content = path.read_bytes()
            copy = Path("files") / str(path).lstrip("/")
            files.write_atomically(self.folder / copy, content)
            entry.update(copy=str(copy), sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        self.entries.append(entry)

    def add_dump(self, name: str, text: str) -> None:
        """Keep what a program printed."""
        files.write_atomically(self.folder / name, text.encode())
        self.dumps.append(name)

    def add_network_state(self) -> None:
        """Keep what the node's network looks like: addresses, routes, neighbours, forwarding entries and rules."""
        for name, words in (
            ("ip-address.json", ["ip", "-json", "-details", "address", "show"]),
            ("ip-route.json", ["ip", "-json", "-details", "route", "show", "table", "all"]),
            ("ip-route6.json", ["ip", "-json", "-details", "-6", "route", "show", "table", "all"]),
            ("ip-neighbor.json", ["ip", "-json", "neighbor", "show"]),
            ("bridge-fdb.json", ["bridge", "-json", "fdb", "show"]),
        ):
            if commands.find(words[0]):
                self.add_dump(name, commands.run(words).stdout)
        for variant in netfilter.variants():
            self.add_dump(f"{variant.save}.txt", commands.run([variant.save]).stdout)

    def add_nft_tables(self, tables: t.Iterable[t.Mapping[str, str]]) -> None:
        """Keep tables of nftables."""
        for table in tables:
            self.add_dump(f"nft-{table['family']}-{table['name']}.nft", netfilter.read_nft_table(table["family"], table["name"]))

    def finish(self, further: t.Mapping[str, t.Any]) -> None:
        """Write the manifest; without one the backup was not finished, and nothing was removed."""
        manifest = {"purpose": self.purpose, "files": self.entries, "dumps": self.dumps, **further}
        files.write_atomically(self.folder / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())

    def restore(self) -> None:
        """Put everything back that is not there any more, folders before what is in them."""
        for entry in sorted(self.entries, key=lambda entry: str(entry["path"])):
            path = Path(entry["path"])
            if os.path.lexists(path) or entry.get("special"):
                continue
            if "link" in entry:
                os.symlink(entry["link"], path)
                continue
            if "copy" in entry:
                files.write_atomically(path, (self.folder / entry["copy"]).read_bytes(), int(entry["mode"], 8))
            else:
                path.mkdir(parents=True)
                path.chmod(int(entry["mode"], 8))
            os.chown(path, entry["uid"], entry["gid"])
