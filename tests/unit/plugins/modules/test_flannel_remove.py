# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.podnet.cni.plugins.modules import flannel_remove
from ansible_collections.podnet.cni.tests.unit.fakes.node import flannel_node, node  # noqa: F401  # pylint: disable=unused-import

needs_root_netns = pytest.mark.needs_root_netns

SENDER = """
import socket, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    while True:
        sender.sendto(b"x", ("10.244.2.9", 9))
        time.sleep(0.01)
"""
DEFAULTS = {
    "quiet_seconds": 3.0,
    "quiet_packets": 10,
    "devices": [],
    "bridge": "cni0",
    "backup_dir": "/var/lib/podnet/backup",
    "flannel_run_dir": "/run/flannel",
}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"quiet_seconds": -1}, ["quiet_seconds", "-1", "give 0"]),
        ({"quiet_packets": -2}, ["quiet_packets", "-2", "give 0 or more"]),
        ({"devices": ["flannel.7", "vxlan.calico"]}, ["devices[1]", "vxlan.calico", "name only"]),
        ({"bridge": ""}, ["bridge", "''", "cni0"]),
        ({"backup_dir": "/run/flannel/backup"}, ["backup_dir", "/run/flannel/backup", "another folder"]),
    ],
)
def test_bad_options_are_named_with_value_and_remedy(params, words):
    problem = flannel_remove.option_problem({**DEFAULTS, **params})
    assert problem is not None
    assert all(word in problem for word in words)


def test_undo_puts_the_last_thing_back_first_and_tells_what_it_could_not():
    done = []

    def fail():
        raise OSError("read-only")

    undo = flannel_remove.Undo()
    undo.add("first", lambda: done.append("first"))
    undo.add("second", fail)
    undo.add("third", lambda: done.append("third"))
    assert undo.run() == ["second: read-only"]
    assert done == ["third", "first"]


def remove(node, check=False, **options):  # noqa: F811
    return node.module("flannel_remove", check=check, **{"quiet_seconds": 0.3, "backup_dir": str(node.folder / "backup"), **options})


def links(node):  # noqa: F811
    return {link["ifname"] for link in json.loads(node.run("ip", "-json", "link", "show"))}


def files_of(node):  # noqa: F811
    return sorted(str(path.relative_to(node.folder)) for path in node.folder.rglob("*") if "backup" not in path.parts)


@needs_root_netns
def test_everything_of_flannel_goes_and_nothing_else(flannel_node):  # noqa: F811
    flannel_node.old_rules()
    flannel_node.pod("10.244.1.5", "vethgone")
    flannel_node.config("10-flannel.conflist.bak", {})
    predicted = remove(flannel_node, check=True)
    assert "flannel.1" in links(flannel_node)
    done = remove(flannel_node)
    assert done["changed"] and done["leftovers"] == [], done
    assert predicted["removed"] == done["removed"]
    assert (predicted["backup"], predicted["leftovers"], predicted["changed"]) == (None, [], True)
    assert links(flannel_node) == {"lo", "eth0", "far0"}
    rules = flannel_node.ruleset()
    assert "flannel" not in rules.lower() and "CNI-DN-" not in rules and "10.244.0.0/16" not in rules
    for foreign in ("KUBE-FORWARD", "192.168.0.0/16", "10.9.0.0/16", "CNI-HOSTPORT-DNAT"):
        assert foreign in rules
    routes = flannel_node.run("ip", "route")
    assert "10.244.3.0/24" not in routes and "10.244.4.0/26 via 172.30.1.13" in routes
    assert files_of(flannel_node) == sorted(
        ["bin", "bin/bridge", "bin/host-local", "bin/portmap", "cni", "cni/networks", "cni/results", "net.d", "net.d/05-calico.conflist", "programs"]
    )
    assert done["removed"]["devices"] == ["flannel.1", "cni0"]
    assert {"backend": "legacy", "family": "ip", "table": "nat"}.items() <= done["removed"]["rules"][-1].items()
    assert done["removed"]["nft_tables"] == [{"family": "ip", "name": "flannel-ipv4"}]
    assert done["removed"]["ipam"][0]["addresses"] == ["10.244.1.5"]
    assert "device flannel.1" in done["diff"]["before"] and done["diff"]["after"] == ""


@needs_root_netns
def test_a_second_run_changes_nothing_and_writes_no_backup(flannel_node):  # noqa: F811
    assert remove(flannel_node)["changed"]
    backups = os.listdir(flannel_node.folder / "backup")
    again = remove(flannel_node)
    assert (again["changed"], again["backup"], again["removed"]) == (False, None, flannel_remove.NOTHING)
    assert os.listdir(flannel_node.folder / "backup") == backups


@needs_root_netns
def test_the_backup_holds_everything_and_is_for_its_owner_only(flannel_node):  # noqa: F811
    content = (flannel_node.folder / "net.d" / "10-flannel.conflist").read_bytes()
    folder = Path(remove(flannel_node)["backup"])
    manifest = json.loads((folder / "manifest.json").read_text())
    entry = next(entry for entry in manifest["files"] if entry["path"].endswith("10-flannel.conflist"))
    assert (folder / entry["copy"]).read_bytes() == content
    assert "FLANNEL-POSTRTG" in (folder / "iptables-nft-save.txt").read_text()
    assert "22:c6:23:a2:89:f1" in (folder / "bridge-fdb.json").read_text()
    assert "masquerade" in (folder / "nft-ip-flannel-ipv4.nft").read_text()
    assert manifest["removed"]["devices"] == ["flannel.1", "cni0"]
    for path in [folder, *(path for path in folder.rglob("*") if path.is_file())]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@needs_root_netns
def test_refuses_while_a_pod_is_on_the_bridge(flannel_node):  # noqa: F811
    flannel_node.ip("link add veth9 type veth peer name pod9\nlink set veth9 master cni0\n")
    flannel_node.pod("10.244.1.9", "veth9")
    before = (links(flannel_node), flannel_node.ruleset(), files_of(flannel_node))
    for check in (True, False):
        refused = remove(flannel_node, check=check)
        assert refused["failed"]
        assert all(word in refused["msg"] for word in ("cni0 has the ports veth9", "10.244.1.9", "restart these pods", "force"))
    assert (links(flannel_node), flannel_node.ruleset(), files_of(flannel_node)) == before
    assert not (flannel_node.folder / "backup").exists()
    forced = remove(flannel_node, force=True)
    assert forced["changed"] and "cni0" not in links(flannel_node)


@needs_root_netns
def test_refuses_while_packets_flow(flannel_node):  # noqa: F811
    with subprocess.Popen(["ip", "netns", "exec", flannel_node.name, sys.executable, "-c", SENDER]) as sender:
        refused = remove(flannel_node, quiet_seconds=0.5)
        sender.kill()
    assert refused["failed"] and refused["packets"] > 10
    assert all(word in refused["msg"] for word in ("packets went through flannel.1", "quiet_packets allows 10", "tcpdump"))
    assert "flannel.1" in links(flannel_node)
    assert remove(flannel_node, quiet_seconds=0)["changed"]


@needs_root_netns
def test_refuses_to_leave_the_node_without_a_cni(flannel_node):  # noqa: F811
    (flannel_node.folder / "net.d" / "05-calico.conflist").unlink()
    refused = remove(flannel_node)
    assert "would have no CNI configuration" in refused["msg"]
    flannel_node.config("99-calico.conflist", {"name": "x", "plugins": [{"type": "calico"}]})
    assert "new pods still get its network" in remove(flannel_node)["msg"]


@needs_root_netns
def test_refuses_while_flanneld_runs(flannel_node):  # noqa: F811
    program = flannel_node.folder / "flanneld"
    shutil.copy(shutil.which("sleep"), program)
    with subprocess.Popen(["ip", "netns", "exec", flannel_node.name, str(program), "30"]) as process:
        try:
            refused = remove(flannel_node)
        finally:
            process.kill()
    assert f"flanneld runs (process {process.pid})" in refused["msg"]


@needs_root_netns
def test_a_failure_puts_everything_back(flannel_node):  # noqa: F811
    rules = flannel_node.rulesets()
    routes = flannel_node.run("ip", "route")
    files = files_of(flannel_node)
    ip = "#!/bin/sh\ncase \"$*\" in 'link delete'*) echo 'RTNETLINK answers: Device or resource busy' >&2; exit 2;; esac\nexec /sbin/ip \"$@\"\n"
    flannel_node.program("ip", ip)
    failed = remove(flannel_node)
    assert failed["failed"]
    assert "Device or resource busy" in failed["msg"] and "what had been removed was put back" in failed["msg"], failed
    assert flannel_node.rulesets() == rules
    assert flannel_node.run("ip", "route") == routes
    flannel_node.programs.joinpath("ip").unlink()
    assert files_of(flannel_node) == files
    assert remove(flannel_node)["leftovers"] == []


@needs_root_netns
def test_fails_when_something_comes_back(flannel_node):  # noqa: F811
    ip = (
        '#!/bin/sh\n/sbin/ip "$@"; code=$?\n'
        "case \"$*\" in 'link delete dev cni0') /sbin/ip link add flannel.1 type vxlan id 1 dev eth0 dstport 8472;; esac\nexit $code\n"
    )
    flannel_node.program("ip", ip)
    failed = remove(flannel_node)
    assert failed["failed"] and failed["leftovers"] == ["device flannel.1"]
    assert "Something made it again" in failed["msg"] and failed["changed"]
