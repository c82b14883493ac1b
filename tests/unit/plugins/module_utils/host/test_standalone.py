# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program in one file: it runs without the collection, and out of an archive, as Ansible sends modules."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import offload_way_back, standalone

AGAIN = """\
import sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.podnet.cni.plugins.module_utils._host import offload_way_back
sys.stdout.buffer.write(offload_way_back.KIND.content())
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.pyz"
    path.write_bytes(offload_way_back.KIND.content())
    return path


def contents(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archived:
        return {name: archived.read(name) for name in archived.namelist()}


def test_it_runs_by_itself(program, tmp_path):
    done = subprocess.run([sys.executable, "-I", str(program), str(tmp_path / "nothing-waits")], capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_can_be_made_out_of_an_archive(program):
    again = subprocess.run([sys.executable, "-c", AGAIN, str(program)], capture_output=True, check=True, cwd="/").stdout
    assert contents(again) == contents(program.read_bytes())


def test_a_text_that_cannot_be_read_is_an_error():
    with pytest.raises(OSError, match=r"module_utils\._host\.nothing cannot be read"):
        standalone.archive("_host.nothing", [])


def test_the_same_sources_give_the_same_bytes(program):
    with zipfile.ZipFile(program) as archived:
        assert {entry.date_time for entry in archived.infolist()} == {(1980, 1, 1, 0, 0, 0)}
