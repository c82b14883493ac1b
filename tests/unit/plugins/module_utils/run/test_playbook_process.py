# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._run import playbook_process

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")


def token(process: int) -> str:
    return f"{playbook_process._machine()}/{process}/{playbook_process._status(process)[1]}"


def test_a_process_that_runs_has_not_ended():
    assert not playbook_process.has_ended(token(os.getpid()))


def test_a_process_that_ended_is_known():
    with subprocess.Popen(["sleep", "60"]) as process:
        text = token(process.pid)
        assert not playbook_process.has_ended(text)
        process.kill()
    assert playbook_process.has_ended(text)


def test_another_process_with_the_same_number_is_not_the_same():
    machine, number, dummy = token(os.getpid()).rsplit("/", 2)
    assert playbook_process.has_ended(f"{machine}/{number}/1")


@pytest.mark.parametrize("text", ["", "another-boot/4026531836/1/2", "a/b", "x"])
def test_elsewhere_nothing_is_known(text):
    assert not playbook_process.has_ended(text)


def playbook(folder, code, *words):
    """A program that is called ansible-playbook and runs Python code in a worker, a fork with the same command line, as Ansible does."""
    program = folder / "ansible-playbook"
    program.write_text(
        "import os, subprocess, sys\n"
        "print(os.getpid(), flush=True)\n"
        "if os.fork() == 0:\n"
        f"    subprocess.run([{sys.executable!r}, '-c', *sys.argv[1:]], check=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, str(program), code, *words], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.split()


CURRENT = "from ansible_collections.podnet.cni.plugins.module_utils._run import playbook_process as p; print(p.current(), flush=True)"


def test_the_playbook_above_is_found(tmp_path):
    process, found = playbook(tmp_path, CURRENT)
    assert found.split("/")[2] == process
    assert playbook_process.has_ended(found)


def test_a_playbook_that_runs_this_one_as_a_program_is_another_one(tmp_path):
    nested = f"import subprocess, sys; subprocess.run([sys.executable, {str(tmp_path / 'ansible-playbook')!r}, sys.argv[1]], check=True)"
    outer, inner, found = playbook(tmp_path, nested, CURRENT)
    assert outer != inner
    assert found.split("/")[2] == inner
