# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the cluster that are built with Go, from pinned modules."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import yaml
from tooling.places import key_of

from podnet_lab.cache import publish
from podnet_lab.requirements import Missing, find_go

PARTS_FOLDER = Path(__file__).resolve().parents[1] / "parts"
CALICO_FOLDERS = ("confd/etc/calico", "manifests", "node/filesystem")


@dataclasses.dataclass(frozen=True)
class Part:
    """One go.mod and what is built from it."""

    name: str
    folder: str
    version: str
    binaries: list[str]
    module: str = ""
    module_version: str = ""
    ldflags: str = ""
    cgo: bool = False

    @property
    def source(self) -> Path:
        """Folder of go.mod and go.sum."""
        return PARTS_FOLDER / "go" / self.folder


def load_parts(text: str) -> list[Part]:
    """The parts that parts.yml lists."""
    return [Part(**entry) for entry in yaml.safe_load(text)]


def all_parts() -> dict[str, Part]:
    """Every part by its name."""
    return {part.name: part for part in load_parts((PARTS_FOLDER / "parts.yml").read_text())}


def link_flags(part: Part) -> str:
    """What the linker is told; flanneld uses C and is linked statically so that it runs in any image."""
    flags = f"-s -w {part.ldflags.format(version=part.version)}".strip()
    return flags + (' -extldflags "-static"' if part.cgo else "")


def part_key(part: Part, toolchain: str) -> str:
    """Changes with the pinned modules, the sources, the flags and the tool chain."""
    sources = sorted(path for path in part.source.iterdir() if path.is_file())
    return key_of(toolchain, link_flags(part), str(part.cgo), *(path.read_bytes() for path in sources))


def go_environment(part: Part) -> dict[str, str]:
    """Pinned modules only."""
    return {**os.environ, "CGO_ENABLED": "1" if part.cgo else "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def build_part(part: Part, go: str) -> Path:
    """The folder of the part's programs."""

    def build(folder: Path) -> None:
        target = ["."] if (part.source / "main.go").exists() else ["tool"]
        command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags", link_flags(part), "-o", f"{folder}/", *target]
        done = subprocess.run(command, cwd=part.source, env=go_environment(part), capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"building {part.name} {part.version} failed in {part.source}:\n{done.stderr[-4000:]}")
        absent = [name for name in part.binaries if not (folder / name).exists()]
        if absent:
            raise Missing(f"building {part.name} made no {', '.join(absent)} but {sorted(path.name for path in folder.iterdir())}")

    version = subprocess.run([go, "version"], capture_output=True, text=True, check=True).stdout
    return publish("parts", part.name, part_key(part, version), build)


def module_folder(part: Part, go: str) -> Path:
    """Where Go keeps the source of the part's module; fetches it when it is not there."""
    command = [go, "mod", "download", "-json", part.module]
    done = subprocess.run(command, cwd=part.source, env=go_environment(part), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"fetching {part.module} failed; is the Go module proxy reachable?\n{done.stdout}{done.stderr}"[-4000:])
    return Path(json.loads(done.stdout)["Dir"])


def build_programs() -> dict[str, Path]:
    """Folder of the programs of each part, built where they are not in the cache."""
    go = find_go()
    return {name: build_part(part, go) for name, part in all_parts().items()}


def calico_source() -> Path:
    """Folders of the pinned Calico's own source that the lab reads: manifests, templates and service scripts, unchanged."""
    part = all_parts()["calico"]

    def copy(folder: Path) -> None:
        module = module_folder(part, find_go())
        for name in CALICO_FOLDERS:
            shutil.copytree(module / name, folder / name)

    return publish("sources", "calico", key_of((part.source / "go.sum").read_bytes(), *CALICO_FOLDERS), copy)


def copy_program(source: Path, target: Path) -> None:
    """A hard link where possible, since programs are large, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def versions() -> t.Mapping[str, str]:
    """Name to version of every part."""
    return {part.name: part.version for part in all_parts().values()}
