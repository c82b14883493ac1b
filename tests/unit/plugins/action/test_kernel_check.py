# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kernel_check as ansible-playbook runs it, and what its action hands to the module; the playbook with files and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from ansible_collections.podnet.cni.plugins.action import kernel_check
from ansible_collections.podnet.cni.tests.unit import fixtures

ROOT = Path(kernel_check.__file__).parents[5]
CONFIGS = Path(fixtures.__file__).parent / "kernel_configs"
MINE = {
    "profiles": {
        "mine": {
            "title": "Mine",
            "requirements": [
                {"id": "it", "what": "It", "why": "So.", "remedy": "Do it.", "source": "a/b:c", "date": "2026-11-25", "config": ["CONFIG_VXLAN"]}
            ],
        }
    }
}


def same(path):
    return str(path)


def test_only_the_wanted_profiles_are_sent():
    found = kernel_check.with_data({"profiles": ["cilium:1.20", "flannel"], "root": "/mnt"}, same)
    assert sorted(found["data"]["profiles"]) == ["cilium", "flannel"]
    assert (found["root"], "profile_files" in found) == ("/mnt", False)
    assert json.loads(json.dumps(found)) == found


def test_files_of_users_are_found_beside_the_playbook(tmp_path):
    (tmp_path / "mine.yml").write_text(yaml.safe_dump(MINE))
    for given in (["mine.yml"], "mine.yml"):
        found = kernel_check.with_data({"profiles": "mine", "profile_files": given}, lambda name: str(tmp_path / name))
        assert found["data"] == MINE


def test_data_that_is_given_is_left_alone():
    assert kernel_check.with_data({"data": MINE}, same)["data"] is MINE


@pytest.mark.parametrize(("given", "words"), [({"profiles": "celium"}, "did you mean cilium"), ({"profile_files": ["/none.yml"]}, "cannot be read")])
def test_what_is_wrong_is_told_on_the_controller(given, words):
    with pytest.raises(ValueError, match=words):
        kernel_check.with_data(given, same)


def image(folder, name, release):
    """An image's boot folder with a real configuration."""
    boot = folder / "boot"
    boot.mkdir(parents=True)
    (boot / f"config-{release}").write_text((CONFIGS / f"{name}.config").read_text(encoding="utf-8"), encoding="utf-8")
    return folder


class Play:
    """The playbook without a cluster: hosts are images on this machine, and one that does not answer."""

    def __init__(self, folder):
        self.folder = folder
        bare = folder / "bare" / "boot"
        bare.mkdir(parents=True)
        (bare / "vmlinuz-6.1.0-28-amd64").write_bytes(b"")
        roots = {
            "good": image(folder / "good", "6.12-amd64_none_amd64", "6.12.117+deb13-amd64"),
            "old": image(folder / "old", "5.10-amd64_none_amd64", "5.4.0-42-generic"),
            "bare": bare.parent,
        }
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {name: {**local, "kernel_preflight_root": str(root)} for name, root in roots.items()}
        # 255 is what ssh ends with when it cannot connect.
        (folder / "ssh").write_text("#!/bin/sh\nexit 255\n")
        (folder / "ssh").chmod(0o755)
        hosts["gone"] = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_ssh_executable": str(folder / "ssh")}
        (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))

    def run(self, **variables):
        """Run it, and keep what it wrote."""
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_NOCOLOR": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        files = {"kernel_preflight_json_file": str(self.folder / "k.json"), "kernel_preflight_junit_file": str(self.folder / "k.xml")}
        given = json.dumps({"kernel_preflight_profiles": "cilium:1.20.2+wireguard", **files, **variables})
        command = [sys.executable, "-m", "ansible", "playbook", "podnet.cni.kernel_preflight", "-i", "hosts.yml", "-e", given]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=self.folder)
        self.said = done.stdout + done.stderr
        self.told = json.loads((self.folder / "k.json").read_text())
        self.cases = ElementTree.parse(self.folder / "k.xml").getroot()
        return done.returncode


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    return Play(tmp_path_factory.mktemp("play"))


def test_a_strict_gate_refuses_and_writes_files_for_pipelines(play):
    assert play.run(kernel_preflight_fail_on_unknown=True) != 0
    assert "Refused: bare, gone, old. The reasons are above and in " in play.said
    assert "| good | 6.12.117+deb13-amd64 | Cilium 1.20.2 +wireguard | yes" in play.said
    verdicts = {host: [profile["verdict"] for profile in result.get("profiles", [])] for host, result in play.told.items()}
    assert verdicts == {"good": ["supported"], "old": ["unsupported"], "bare": ["unknown"], "gone": []}
    assert play.told["gone"] == {"error": "The host could not be reached."}
    assert [play.cases.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["4", "1", "1", "1"]


def test_a_gate_lets_pass_what_is_supported_or_unknown(play):
    assert play.run(kernel_preflight_hosts="good,bare") == 0, play.said
    assert sorted(play.told) == ["bare", "good"]
    assert "1 of 2 verdicts supported, 1 unknown. No host is refused." in play.said
