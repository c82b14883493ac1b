# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._cni import config_files
from ansible_collections.podnet.cni.plugins.module_utils._host import cni_state, commands, flannel_reader, netfilter, processes


def process(proc, number, name, network):
    folder = proc / str(number)
    (folder / "ns").mkdir(parents=True)
    (folder / "comm").write_text(f"{name}\n")
    if network:
        (folder / "ns" / "net").symlink_to(network)


def test_a_process_of_a_container_with_its_own_network_is_not_one_of_the_node(tmp_path):
    process(tmp_path, "self", "pytest", "net:[1]")
    process(tmp_path, 20, "flanneld", "net:[1]")
    process(tmp_path, 7, "flanneld", "net:[1]")
    process(tmp_path, 8, "flanneld", "net:[2]")
    process(tmp_path, 9, "flanneld", None)  # ended meanwhile
    process(tmp_path, 10, "flanneld-helper", "net:[1]")
    (tmp_path / "meminfo").write_text("flanneld")
    assert processes.named("flanneld", tmp_path) == [7, 20]


def test_without_its_own_namespace_no_process_is_known(tmp_path):
    process(tmp_path, 7, "flanneld", "net:[1]")
    assert processes.named("flanneld", tmp_path) == []


def test_programs_of_the_administrator_are_found_even_if_the_path_lacks_them(tmp_path, monkeypatch):
    program = tmp_path / "bridge"
    program.write_text("#!/bin/sh\n")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(commands, "EXTRA_FOLDERS", (str(tmp_path),))
    assert commands.find("bridge") is None
    program.chmod(0o755)
    assert commands.find("bridge") == str(program)
    assert commands.run(["bridge"]).returncode == 0


def test_programs_run_in_the_c_locale_and_with_the_given_environment():
    done = commands.run(["sh", "-c", "echo $LC_ALL $WORD; cat"], stdin="in", environment={"WORD": "here"})
    assert done.stdout == "C here\nin"
    assert commands.run(["false"], check=False).returncode == 1


def test_a_file_that_is_no_program_is_told(tmp_path):
    program = tmp_path / "ip"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    with pytest.raises(commands.CommandError, match="cannot be run: Exec format error"):
        commands.run([str(program)])


def test_folders_are_options_with_the_usual_defaults(tmp_path):
    assert cni_state.Places.of({}) == cni_state.Places()
    places = cni_state.Places.of({"cni_state_dir": str(tmp_path), "cni_config_dir": None})
    assert (places.state, str(places.config)) == (tmp_path, "/etc/cni/net.d")
    assert places.leases == tmp_path / "networks"
    assert places.caches == (tmp_path / "results", tmp_path / "cache" / "results")


def test_plugins_are_files_and_links_that_lead_nowhere_are_passed_over(tmp_path):
    (tmp_path / "bridge").write_bytes(b"123")
    (tmp_path / "old").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    places = cni_state.Places(programs=tmp_path)
    assert [(entry["name"], entry["size"]) for entry in cni_state.read_programs(places)] == [("bridge", 3)]
    assert cni_state.read_programs(cni_state.Places(programs=tmp_path / "no")) == []


def test_only_files_that_the_runtime_looks_at_are_configurations(tmp_path):
    for name in ("10-flannel.conflist", "20-x.conf.bak", ".10-calico.conflist.x.podnet", "30-y.json"):
        (tmp_path / name).write_text('{"name": "n", "type": "x", "plugins": [{"type": "flannel"}]}')
    (tmp_path / "05-folder.conf").mkdir()
    configs = cni_state.read_configs(cni_state.Places(config=tmp_path))
    assert [os.path.basename(config["path"]) for config in configs] == ["10-flannel.conflist", "30-y.json"]


def test_a_folder_is_removed_after_what_is_in_it(tmp_path):
    (tmp_path / "run" / "inner").mkdir(parents=True)
    (tmp_path / "run" / "inner" / "file").touch()
    (tmp_path / "run" / "link").symlink_to("inner")
    found = flannel_reader.tree(tmp_path / "run")
    assert found.index(tmp_path / "run" / "inner" / "file") < found.index(tmp_path / "run" / "inner") < found.index(tmp_path / "run")
    assert len(found) == 4
    assert flannel_reader.tree(tmp_path / "no") == []


def test_flannels_configurations_are_found_by_content_and_old_copies_by_name(tmp_path):
    for name, kind in (("10-net.conflist", "flannel"), ("05-calico.conflist", "calico"), ("10-flannel.conflist.bak", "flannel")):
        (tmp_path / name).write_text(json.dumps({"name": "n", "plugins": [{"type": kind}]}))
    (tmp_path / "flannel.d").mkdir()
    places = cni_state.Places(config=tmp_path)
    found = flannel_reader.config_file_paths(places, cni_state.read_configs(places))
    assert [path.name for path in found] == ["10-flannel.conflist.bak", "10-net.conflist"]
    assert config_files.active(cni_state.read_configs(places))["cni"] == "calico"


def test_a_variant_of_iptables_that_cannot_be_read_is_an_error_and_not_an_empty_one(monkeypatch):
    variant = netfilter.SaveProgram("nft", "ip", "iptables-nft-save", "iptables-nft")
    monkeypatch.setattr(netfilter, "variants", lambda: [variant])

    def run(words, **options):
        raise commands.CommandError("incompatible")

    monkeypatch.setattr(commands, "run", run)
    with pytest.raises(commands.CommandError):
        netfilter.read_rulesets()


def test_nothing_to_restore_starts_no_program(monkeypatch):
    ran = []
    monkeypatch.setattr(commands, "run", lambda *words, **dummy: ran.append(words))
    netfilter.restore(netfilter.SaveProgram("nft", "ip", "iptables-nft-save", "iptables-nft"), "")
    assert ran == []


def test_rules_are_changed_with_the_restore_program_of_their_variant(monkeypatch):
    ran = []

    def run(words, stdin=None):
        ran.append((words, stdin))
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(commands, "run", run)
    netfilter.restore(netfilter.SaveProgram("legacy", "ip6", "ip6tables-legacy-save", "ip6tables-legacy"), "*nat\nCOMMIT\n")
    assert ran == [(["ip6tables-legacy-restore", "--noflush", "--wait", "10"], "*nat\nCOMMIT\n")]


def test_a_node_without_nft_has_no_nft_tables(monkeypatch):
    monkeypatch.setattr(commands, "find", lambda program: None)
    assert netfilter.read_nft_tables() == []
    assert netfilter.parse_nft_tables(" \n") == []
