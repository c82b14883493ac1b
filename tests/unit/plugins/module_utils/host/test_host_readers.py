# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The readers on what the programs of a real node printed (texts/)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import (
    backup,
    cni_state,
    commands,
    files,
    iproute,
    netfilter,
    node_facts,
    processes,
    sysctl,
    systemd_timer,
    watchdog,
)

TEXTS = Path(__file__).parent / "texts"
PRINTED = {
    "ip -json -details -statistics address show": "ip-address.json",
    "ip -json -details -family inet route show table all": "ip-route.json",
    "ip -json -4 neighbor show": "ip-neighbor.json",
    "bridge -json fdb show": "bridge-fdb.json",
    "iptables-nft-save": "iptables-nft-save.txt",
    "nft --json list tables": "nft-tables.json",
}


@pytest.fixture
def node_programs(monkeypatch):
    """Programs that print what they printed on a node; others print nothing."""
    ran = []

    def run(words, **kwargs):
        ran.append(" ".join(words))
        name = PRINTED.get(ran[-1])
        return subprocess.CompletedProcess(words, 0, (TEXTS / name).read_text() if name else "", "")

    monkeypatch.setattr(commands, "run", run)
    monkeypatch.setattr(commands, "find", lambda program: f"/usr/sbin/{program}")
    monkeypatch.setattr(netfilter, "_TABLE_NAMES", {"ip": Path("/nowhere"), "ip6": Path("/nowhere")})
    return ran


@pytest.fixture
def places(tmp_path):
    """Files of a node with one pod."""
    found = cni_state.Places(*(tmp_path / name for name in ("net.d", "bin", "cni", "run")))
    for folder in (found.config, found.programs, found.state / "results", found.leases / "cbr0", found.flannel):
        folder.mkdir(parents=True)
    (found.config / "10-flannel.conflist").write_text('{"name": "cbr0", "plugins": [{"type": "flannel"}]}')
    (found.programs / "flannel").write_bytes(b"12345")
    (found.flannel / "subnet.env").write_text("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.0.1/24\n")
    (found.state / "results" / "one").write_text((TEXTS / "cni-result.json").read_text())
    return found


def test_a_whole_node(node_programs, places):
    facts = node_facts.read_node(places)
    device = facts["vxlan"][0]
    assert (device["name"], device["vni"], device["port"], device["mtu"], device["local"]) == ("flannel.1", 1, 8472, 1450, "172.30.1.11")
    assert device["mac"] == "de:a1:0a:10:12:19" and device["addresses"] == ["10.244.0.0/32"] and device["learning"] is False
    assert device["rx_packets"] > 0 and device["tx_packets"] > 0
    assert facts["cni0"]["addresses"] == ["10.244.0.1/24"] and len(facts["cni0"]["ports"]) == 1
    assert {link["name"]: link["mtu"] for link in facts["links"]}["eth0"] == 1500
    assert [route["destination"] for route in facts["routes"]] == [
        "0.0.0.0/0", "10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24", "172.30.1.0/24",
    ]  # fmt: skip
    assert facts["routes"][2]["flags"] == ["onlink"] and facts["routes"][2]["type"] == "unicast"
    assert facts["routes_by_protocol"] == {"boot": 3, "kernel": 2}
    assert {entry["destination"] for entry in facts["fdb"]} == {"172.30.2.12", "172.30.2.13"}
    assert {entry["state"] for entry in facts["neighbors"] if entry["device"] == "flannel.1"} == {"PERMANENT"}
    assert [(chain["table"], chain["chain"], chain["rules"]) for chain in facts["leftover_chains"]] == [
        ("filter", "FLANNEL-FWD", 2), ("nat", "FLANNEL-POSTRTG", 6),
    ]  # fmt: skip
    assert [rule["chain"] for rule in facts["leftover_rules"]] == ["FORWARD", "POSTROUTING"]
    assert facts["nft_tables"] == [] and facts["missing_tools"] == []
    assert facts["active_cni"]["cni"] == "flannel" and facts["active_cni"]["network_name"] == "cbr0"
    assert facts["cni_plugins"] == [{"name": "flannel", "path": str(places.programs / "flannel"), "size": 5}]
    assert facts["watchdog"] == {"unit": "podnet-cni-watchdog", "armed": False, "seconds_left": None}


def test_a_node_is_read_with_few_programs(node_programs, places):
    node_facts.read_node(places)
    assert len(node_programs) <= 9


def test_a_node_without_a_cni(node_programs, tmp_path, monkeypatch):
    monkeypatch.setattr(iproute, "read_links", list)
    facts = node_facts.read_node(cni_state.Places(*(tmp_path / name for name in "abcd")))
    assert (facts["active_cni"], facts["cni0"], facts["vxlan"], facts["fdb"], facts["subnet_env"]) == (None, None, [], [], None)
    assert facts["pods"] == {"flannel": [], "calico": [], "other": []} and facts["ipam"] == {"host_local": []}


def test_legacy_tables_are_read_only_where_they_exist(monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "find", lambda program: program)
    names = tmp_path / "names"
    names.write_text("")
    monkeypatch.setattr(netfilter, "_TABLE_NAMES", {"ip": names, "ip6": tmp_path / "missing"})
    assert [(variant.backend, variant.family) for variant in netfilter.variants()] == [("nft", "ip"), ("nft", "ip6")]
    names.write_text("nat\n")
    assert ("legacy", "ip", "iptables-legacy-restore") in [(v.backend, v.family, v.restore) for v in netfilter.variants()]


def test_a_node_with_one_iptables_only(monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "find", lambda program: program if program in ("iptables", "iptables-save") else None)
    monkeypatch.setattr(commands, "run", lambda words, **kwargs: subprocess.CompletedProcess(words, 0, "iptables v1.8.7 (nf_tables)", ""))
    monkeypatch.setattr(netfilter, "_TABLE_NAMES", {"ip": tmp_path / "missing", "ip6": tmp_path / "missing"})
    assert netfilter.variants() == [netfilter.SaveProgram("nft", "ip", "iptables-save", "iptables")]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h 3min 4.5s", 7384.5), ("120s", 120), ("1d 500ms", 86400.5), ("", None), ("infinity", None), ("5 parsecs", None)],
)
def test_time_spans_of_systemd(text, seconds):
    assert systemd_timer.parse_timespan(text) == seconds


def test_a_missing_program_and_a_failing_one_say_so():
    with pytest.raises(commands.CommandError, match="no-such-program is missing on this node"):
        commands.run(["no-such-program"])
    with pytest.raises(commands.CommandError, match="'ls /nowhere' failed with code 2: .*No such file"):
        commands.run(["ls", "/nowhere"])
    with pytest.raises(commands.CommandError, match="did not end within 0.1 s"):
        commands.run(["sleep", "5"], timeout=0.1)


def test_files_are_written_whole_and_leave_nothing_beside(tmp_path):
    target = tmp_path / "new" / "file.conflist"
    files.write_atomically(target, b"one", 0o640)
    files.write_atomically(target, b"two", 0o640)
    assert target.read_bytes() == b"two" and files.names(target.parent) == ["file.conflist"]
    assert target.stat().st_mode & 0o777 == 0o640
    assert files.remove(target) and not files.remove(target)
    assert files.remove_if_empty(target.parent) and not files.remove_if_empty(target.parent)


def test_settings_of_links_with_a_dot():
    assert sysctl.of_link("rp_filter", "flannel.1") == "net.ipv4.conf.flannel/1.rp_filter"
    assert str(sysctl.path_of("net.ipv4.conf.flannel/1.rp_filter")) == "/proc/sys/net/ipv4/conf/flannel.1/rp_filter"
    assert sysctl.read(["net.ipv4.ip_forward", "net.no.such"]).keys() == {"net.ipv4.ip_forward"}


def test_a_backup_puts_files_folders_and_links_back(tmp_path):
    folder = tmp_path / "data"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_bytes(b"\x00content")
    (folder / "inner" / "file").chmod(0o644)
    (folder / "empty").mkdir()
    (folder / "link").symlink_to("inner/file")
    kept = backup.Backup(tmp_path / "backup", "test")
    for path in (folder, folder / "inner", folder / "inner" / "file", folder / "empty", folder / "link"):
        kept.add(path)
    kept.finish({})
    subprocess.run(["rm", "-r", str(folder)], check=True)
    kept.restore()
    assert (folder / "link").read_bytes() == b"\x00content" and (folder / "empty").is_dir()
    assert (folder / "inner" / "file").stat().st_mode & 0o777 == 0o644
    assert backup.Backup(tmp_path / "backup", "test").folder != kept.folder


def test_processes_are_found_by_their_own_name():
    with open("/proc/self/comm", encoding="utf-8") as file:
        name = file.read().strip()
    assert processes.named(name)
    assert processes.named("no-such-process") == []


def test_the_watchdogs_script_is_valid_shell_with_any_path(tmp_path):
    text = watchdog.script_text(tmp_path / "it's 10.conflist", tmp_path / "a b", tmp_path / "log", [tmp_path / "script"])
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0
