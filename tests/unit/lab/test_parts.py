# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import pytest
from podnet_lab import images, parts

PARTS = parts.all_parts()


def test_every_folder_of_a_go_mod_is_a_part() -> None:
    folders = {path.parent.name for path in (parts.PARTS_FOLDER / "go").glob("*/go.mod")}
    assert {part.folder for part in PARTS.values()} == folders


@pytest.mark.parametrize("part", [part for part in PARTS.values() if part.module], ids=lambda part: part.name)
def test_the_version_is_the_one_that_go_mod_pins(part: parts.Part) -> None:
    pinned = re.search(rf"(?m)^\s*{re.escape(part.module)} (\S+)", (part.source / "go.mod").read_text())
    assert pinned
    assert pinned.group(1) == (part.module_version or part.version)
    assert f"{part.module} {pinned.group(1)} h1:" in (part.source / "go.sum").read_text()


@pytest.mark.parametrize("part", [part for part in PARTS.values() if part.module], ids=lambda part: part.name)
def test_the_programs_are_the_tools_of_go_mod(part: parts.Part) -> None:
    text = (part.source / "go.mod").read_text()
    block = re.search(r"(?ms)^tool \((.*?)^\)", text)
    tools = block.group(1).split() if block else re.findall(r"(?m)^tool (\S+)", text)
    names = {re.sub(r"/v\d+$", "", tool).rsplit("/", 1)[1] for tool in tools}
    assert names == set(part.binaries)


def test_the_linker_puts_the_version_in() -> None:
    flags = parts.link_flags(PARTS["kubernetes"])
    assert flags.startswith("-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2 ")
    assert "{" not in "".join(parts.link_flags(part) for part in PARTS.values())


def test_programs_with_c_are_static() -> None:
    assert '-extldflags "-static"' in parts.link_flags(PARTS["flannel"])
    assert parts.go_environment(PARTS["flannel"])["CGO_ENABLED"] == "1"
    assert "-static" not in parts.link_flags(PARTS["etcd"])
    assert parts.go_environment(PARTS["etcd"])["CGO_ENABLED"] == "0"


def test_the_users_own_go_settings_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    monkeypatch.setenv("GOWORK", "/somewhere/go.work")
    environment = parts.go_environment(PARTS["etcd"])
    assert environment["GOFLAGS"] == "-mod=readonly"
    assert environment["GOWORK"] == "off"


def test_the_key_changes_with_every_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(parts.PARTS_FOLDER / "go" / "pause", tmp_path / "go" / "pause")
    monkeypatch.setattr(parts, "PARTS_FOLDER", tmp_path)
    part = PARTS["pause"]
    keys = {
        parts.part_key(part, "go1.26.6"),
        parts.part_key(part, "go1.26.7"),
        parts.part_key(dataclasses.replace(part, ldflags="-X a=b"), "go1.26.6"),
        parts.part_key(dataclasses.replace(part, cgo=True), "go1.26.6"),
    }
    with open(part.source / "main.go", "a", encoding="utf-8") as source:
        source.write("\n")
    keys.add(parts.part_key(part, "go1.26.6"))
    assert len(keys) == 5


def test_the_images_are_those_of_the_pinned_calico() -> None:
    assert all(name.endswith(f":{PARTS['calico'].version}") for name in images.CALICO_IMAGES.values())
