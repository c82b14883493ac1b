# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs, interpreters, copies of the clone and the built collection."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tooling import artifact, check, debian_python, environment, packages, tree
from tooling.places import tree_folder

HERE = sys.version_info[:2]


def test_packages_of_missing_programs_are_named_once(monkeypatch, tmp_path):
    (tmp_path / "ls").write_text("#!/bin/sh\n")
    (tmp_path / "ls").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert packages.missing({"ls": "coreutils", "podnet-x": "some", "podnet-y": "some", "podnet-z": "other"}) == ["other", "some"]


def test_without_apt_it_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(packages.shutil, "which", lambda name, path=None: None)
    with pytest.raises(packages.MissingPackages, match="nftables, shellcheck; install them with your package manager"):
        packages.install(["nftables", "shellcheck"])


def test_only_root_installs_packages(monkeypatch):
    monkeypatch.setattr(packages.shutil, "which", lambda name, path=None: f"/usr/bin/{name}")
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)
    with pytest.raises(packages.MissingPackages, match="run: sudo apt-get install --no-install-recommends nftables"):
        packages.install(["nftables"])


def test_a_failure_of_apt_is_told_with_what_it_said(monkeypatch, tmp_path):
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho 'E: no such package' >&2; exit 100\n")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(packages.os, "geteuid", lambda: 0)
    with pytest.raises(packages.MissingPackages, match="(?s)'apt-get update -qq' failed.*E: no such package"):
        packages.install(["x"])


def test_the_interpreter_at_hand_is_found_and_another_is_not():
    assert environment.interpreter_version(environment.find_python((HERE,))) == HERE
    assert environment.missing_python((HERE,)) == ""
    assert "no working Python 3.99 or 3.98" in environment.missing_python(((3, 99), (3, 98)))


TARGETS = """\
Docker main bookworm http://else.example/docker/
Debian main bookworm-updates http://mirror.example/debian/
Debian main bookworm-security http://mirror.example/debian-security/
Debian main bookworm http://mirror.example/debian/
"""


def test_other_releases_come_from_the_mirror_of_this_one():
    assert debian_python.mirror_of(TARGETS) == "http://mirror.example/debian/"
    assert debian_python.mirror_of("Ubuntu main noble http://mirror.example/ubuntu/\n") is None


def test_without_apt_there_is_no_python_of_another_release(monkeypatch, tmp_path):
    monkeypatch.setenv("PODNET_CACHE", str(tmp_path))
    monkeypatch.setattr(debian_python.shutil, "which", lambda name: None)
    monkeypatch.setattr(environment, "installed_python", lambda versions: None)
    with pytest.raises(environment.MissingPython, match="no working Python 3.12 or 3.13 .*; Python 3.13 of Debian trixie can be unpacked only where"):
        environment.find_python(((3, 12), (3, 13)))
    assert [path.name for path in (tmp_path / "pythons").iterdir()] == ["lock"]


def test_an_installed_python_is_preferred(monkeypatch):
    monkeypatch.setattr(debian_python, "ensure", lambda version: "of another release")
    assert environment.interpreter_version(environment.find_python((HERE, (3, 13)))) == HERE


def test_every_version_that_is_wanted_has_a_release():
    assert environment.OLDEST_TARGET in debian_python.SUITES
    assert all(set(versions) & set(debian_python.SUITES) for versions in environment.PYTHONS.values())


def test_a_program_that_only_looks_like_an_interpreter_is_passed_over(tmp_path):
    fake = tmp_path / "python3.99"
    fake.write_text("#!/bin/sh\necho 'pyenv: version not installed' >&2; exit 127\n")
    fake.chmod(0o755)
    assert environment.interpreter_version(str(fake)) is None
    assert environment.interpreter_version(str(tmp_path / "none")) is None


def test_only_a_missing_interpreter_lets_the_newest_core_out(monkeypatch, tmp_path):
    def ensure(name):
        if name == "core-2.21":
            raise environment.MissingPython("no working Python 3.12")
        return tmp_path

    monkeypatch.setattr(environment, "ensure", ensure)
    assert check.environments() == ({"core-2.19": tmp_path}, {"core-2.21": "no working Python 3.12"})


@pytest.mark.parametrize(
    ("name", "error"),
    [("core-2.19", environment.MissingPython("no Python")), ("core-2.21", subprocess.CalledProcessError(1, ["pip"]))],
)
def test_anything_else_that_is_missing_stops_the_checks(name, error, monkeypatch, tmp_path):
    def ensure(wanted):
        if wanted == name:
            raise error
        return tmp_path

    monkeypatch.setattr(environment, "ensure", ensure)
    with pytest.raises(check.Broken):
        check.environments()


@pytest.fixture
def clone(tmp_path, monkeypatch):
    root = tmp_path / "clone"
    (root / "plugins").mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    (root / ".gitignore").write_text("*.log\n")
    for name in ("plugins/a.py", "plugins/b.py", "noise.log"):
        (root / name).write_text(name)
    monkeypatch.setattr(tree, "ROOT", root)
    return root


def copied(folder):
    target = folder / tree.COLLECTION
    return {str(path.relative_to(target)): path.read_text() for path in target.rglob("*") if path.is_file()}


def test_a_copy_holds_what_git_would(clone, tmp_path):
    folder = tree.synchronize(tmp_path / "copy")
    assert copied(folder) == {".gitignore": "*.log\n", "plugins/a.py": "plugins/a.py", "plugins/b.py": "plugins/b.py"}


def test_a_copy_follows_the_clone_and_keeps_what_was_made_of_it(clone, tmp_path):
    folder = tree.synchronize(tmp_path / "copy")
    target = folder / tree.COLLECTION
    for name in ("plugins/__pycache__/a.cpython-311.pyc", "plugins/__pycache__/b.cpython-311.pyc", "tests/output/x.json", "stray.txt"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text("made")
    inode = (target / "plugins/a.py").stat().st_ino
    (clone / "plugins/b.py").unlink()
    (clone / ".gitignore").write_text("*.txt\n")
    (clone / "noise.log").unlink()
    assert copied(tree.synchronize(folder)) == {
        ".gitignore": "*.txt\n",
        "plugins/a.py": "plugins/a.py",
        "plugins/__pycache__/a.cpython-311.pyc": "made",
        "tests/output/x.json": "made",
    }
    assert (target / "plugins/a.py").stat().st_ino == inode


def test_copies_for_different_purposes_lie_apart():
    assert len({tree_folder(), tree_folder("lint"), tree_folder("core-2.19")}) == 3


GOOD = [*artifact.WANTED, "plugins/modules/x.py"]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ([name for name in GOOD if name != "COPYING"], "COPYING is not in it"),
        ([*GOOD, "tests/unit/x.py"], "tests does not belong into it: add it to build_ignore in galaxy.yml"),
        ([*GOOD, "plugins/modules/__pycache__/x.pyc"], "plugins/modules/__pycache__/x.pyc does not belong into it"),
    ],
)
def test_what_does_not_belong_into_the_artifact_is_named(names, problem):
    assert artifact.problems_of(names) == [problem]
    assert artifact.problems_of(GOOD) == []
