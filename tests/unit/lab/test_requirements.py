# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from podnet_lab import requirements


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.26 linux/arm64", (1, 26, 0)),
        ("go version go1.27rc1 linux/amd64", (1, 27, 0)),
        ("go version devel", None),
        ("", None),
    ],
)
def test_version_of_go(text: str, version: tuple[int, int, int] | None) -> None:
    assert requirements.parse_go_version(text) == version


TARGETS = """\
bookworm-updates main Debian http://mirror.example/debian/
bookworm-security main Debian http://mirror.example/debian-security/
bookworm main Someone http://else.example/debian/
bookworm contrib Debian http://mirror.example/debian/
bookworm main Debian http://mirror.example/debian/
"""


def test_the_mirror_is_the_one_of_debians_own_suite() -> None:
    assert requirements.mirror_of(TARGETS, "bookworm") == "http://mirror.example/debian"


def test_a_machine_with_another_system_leaves_the_choice_to_debootstrap() -> None:
    assert requirements.mirror_of("noble main Ubuntu http://mirror.example/ubuntu/\n", "bookworm") is None


def test_package_lists_that_were_never_fetched_have_no_origin() -> None:
    assert requirements.mirror_of("bookworm main $(ORIGIN) http://mirror.example/debian/\n", "bookworm") == "http://mirror.example/debian"


@pytest.mark.parametrize(
    ("files", "mode"),
    [(["cgroup.controllers"], "v2"), (["unified/cgroup.procs", "memory/tasks"], "hybrid"), (["memory/tasks"], "v1")],
)
def test_mode_of_control_groups(tmp_path: Path, files: list[str], mode: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert requirements.cgroup_mode(tmp_path) == mode


def test_missing_programs_are_named_as_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements.shutil, "which", lambda name, path=None: None if name in ("bird", "podman") else f"/usr/bin/{name}")
    monkeypatch.setattr(requirements, "FILES", {"/does/not/exist.a": "libc6-dev"})
    assert requirements.missing_packages() == ["bird2", "libc6-dev", "podman"]


def test_without_root_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements.os, "geteuid", lambda: 1000)
    with pytest.raises(requirements.Missing, match="run it as root"):
        requirements.ensure_host_packages()


def test_the_oldest_go_is_new_enough_for_every_part() -> None:
    folder = Path(requirements.__file__).parents[1] / "parts/go"
    wanted = [
        requirements.parse_go_version(f"go{line.split()[1]}")
        for path in folder.glob("*/go.mod")
        for line in path.read_text().splitlines()
        if line.startswith("go ")
    ]
    assert wanted
    assert all(version and version <= requirements.MINIMUM_GO for version in wanted)
