# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import calico_reader, netlink_messages
from ansible_collections.podnet.cni.plugins.modules import calico_remove
from ansible_collections.podnet.cni.tests.unit.fakes.node import CALICO, flannel_node, node, returned_node  # noqa: F401  # pylint: disable=unused-import

# pylint: disable=redefined-outer-name

needs_root_netns = pytest.mark.needs_root_netns
DEFAULTS = {
    "prefix_length": 27,
    "programs": [],
    "backup_dir": "/var/lib/podnet/backup",
    "calico_state_dir": "/var/lib/calico",
    "calico_run_dir": "/run/calico",
}
PARTS = [f"10.244.2.{number}/27" for number in range(0, 256, 32)]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"prefix_length": 33}, ["prefix_length", "33", "27"]),
        ({"programs": ["tuning", "../bridge"]}, ["programs[1]", "../bridge", "names of files"]),
        ({"backup_dir": "/var/lib/calico/backup"}, ["backup_dir", "/var/lib/calico/backup", "another folder"]),
    ],
)
def test_bad_options_are_named_with_value_and_remedy(params, words):
    problem = calico_remove.option_problem({**DEFAULTS, **params})
    assert problem is not None
    assert all(word in problem for word in words)


def remove(node, state="absent", check=False, **options):  # noqa: F811
    return node.module("calico_remove", state=state, check=check, **options)


def routes(node):  # noqa: F811
    return node.run("ip", "route")


def looks(node):  # noqa: F811
    """All that a removal could change, as text."""
    links = sorted(link["ifname"] for link in json.loads(node.run("ip", "-json", "link", "show")))
    files = sorted(str(path) for path in node.folder.rglob("*") if "backup" not in path.parts)
    return links, routes(node), node.ruleset(), node.run("ipset", "list", "-name"), files


@needs_root_netns
def test_packets_go_around_calico_before_it_goes(returned_node):  # noqa: F811
    predicted = remove(returned_node, "bypassed", check=True)
    assert "/27" not in routes(returned_node)
    done = remove(returned_node, "bypassed")
    assert done["changed"] and done["bypass"] == predicted["bypass"]
    assert set(PARTS) <= set(done["bypass"]["added"])
    assert "10.244.2.0/27 via 10.244.2.0 dev flannel.1 proto kernel onlink" in " ".join(routes(returned_node).replace("metric 27127 ", "").split())
    assert "dev flannel.1" in returned_node.run("ip", "route", "get", "10.244.2.7")
    assert done["removed"]["routes"] == [] and done["backup"] is None
    assert remove(returned_node, "bypassed")["changed"] is False


@needs_root_netns
@pytest.mark.parametrize("way", ["172.30.1.13 dev eth0 proto bird", "172.30.1.13 dev eth0 proto 80 onlink", "10.244.9.62 dev vxlan.calico onlink"])
def test_refuses_to_go_around_where_flannel_has_no_way(returned_node, way):  # noqa: F811
    returned_node.ip(f"link set vxlan.calico up\nroute add 10.244.9.0/26 via {way}\n")
    before = looks(returned_node)
    refused = remove(returned_node, "bypassed")
    assert refused["failed"]
    assert all(word in refused["msg"] for word in ("10.244.9.0/26", "flanneld is Ready", "nothing was changed"))
    assert looks(returned_node) == before


@needs_root_netns
def test_a_podcidr_that_is_longer_is_named(returned_node):  # noqa: F811
    returned_node.ip("route add 10.244.5.0/28 via 10.244.5.0 dev flannel.1 onlink\n")
    refused = remove(returned_node, "bypassed")
    assert all(word in refused["msg"] for word in ("prefix_length", "10.244.5.0/28", "/27"))


@needs_root_netns
def test_everything_of_calico_goes_and_nothing_else(returned_node):  # noqa: F811
    remove(returned_node, "bypassed")
    predicted = remove(returned_node, check=True)
    assert "cali-FORWARD" in returned_node.ruleset()
    done = remove(returned_node)
    assert done["changed"] and done["leftovers"] == [], done
    assert predicted["removed"] == done["removed"]
    assert (predicted["backup"], predicted["bypass"]) == (None, done["bypass"])
    links, left, rules, sets, files = looks(returned_node)
    assert links == ["cni0", "eth0", "far0", "flannel.1", "lo"]
    assert "bird" not in left and "/27" not in left and "blackhole" not in left
    assert "10.244.2.0/24 via 10.244.2.0 dev flannel.1" in left
    assert "cali" not in rules and "CNI-DN-fedcba" not in rules
    assert "FLANNEL-POSTRTG" in rules and "CNI-DN-0123456789" in rules and "KUBE-FORWARD" in rules
    assert sets.split() == ["somebody-else"]
    names = {Path(path).name for path in files}
    assert names.isdisjoint({"calico", "calico-ipam", "calico-kubeconfig", "99-podnet-calico.conflist", "nodename", "bird.ctl", "state"})
    assert {"10-flannel.conflist", "flannel", "portmap", "bandwidth", "subnet.env"} <= names
    assert done["removed"]["sets"] == ["cali40all-ipam-pools"]
    again = remove(returned_node)
    assert (again["changed"], again["backup"]) == (False, None)


FELIX_LINES = """\
address add 10.244.1.253/32 dev vxlan.calico
link set vxlan.calico up
route add 10.244.2.128/26 via 10.244.2.253 dev vxlan.calico onlink
route add 10.244.2.64/26 via 172.30.1.13 dev eth0 proto 80 onlink
route add blackhole 10.244.1.192/26 proto 80
"""


@needs_root_netns
def test_the_tunnel_goes_with_its_address_and_felixs_routes_with_it(returned_node):  # noqa: F811
    returned_node.ip(FELIX_LINES)
    assert remove(returned_node, "bypassed")["changed"]
    assert [address for address in ("10.244.2.70", "10.244.2.130") if "dev flannel.1" not in returned_node.run("ip", "route", "get", address)] == []
    done = remove(returned_node)
    assert done["leftovers"] == [], done
    assert [word for word in ("proto 80", "vxlan.calico", "blackhole", "/26", "/27") if word in routes(returned_node)] == []
    assert "10.244.1.253" not in returned_node.run("ip", "address")
    assert "dev flannel.1" in returned_node.run("ip", "route", "get", "10.244.2.130")


@needs_root_netns
def test_the_backup_holds_what_was_removed(returned_node):  # noqa: F811
    folder = Path(remove(returned_node)["backup"])
    manifest = json.loads((folder / "manifest.json").read_text())
    entries = {Path(entry["path"]).name: entry for entry in manifest["files"]}
    assert json.loads((folder / entries["99-podnet-calico.conflist"]["copy"]).read_text()) == CALICO
    assert entries["bird.ctl"]["special"]
    assert "cali-FORWARD" in (folder / "iptables-nft-save.txt").read_text()


@needs_root_netns
def test_refuses_while_calico_is_in_use_and_tells_every_reason(returned_node):  # noqa: F811
    returned_node.config("00-podnet-calico.conflist", CALICO)
    returned_node.ip("link add cali1 type veth peer name pod1\nlink set cali1 up\nroute add 10.244.1.6/32 dev cali1 scope link\n")
    before = looks(returned_node)
    refused = remove(returned_node, check=True)
    assert refused["failed"]
    for words in ("10.244.1.6", "restart them on the other network", "new pods still get its network", "force", "nothing was changed"):
        assert words in refused["msg"]
    assert looks(returned_node) == before


@needs_root_netns
def test_refuses_without_another_cni(returned_node):  # noqa: F811
    (returned_node.folder / "net.d" / "10-flannel.conflist").unlink()
    refused = remove(returned_node)
    assert "would have no CNI configuration" in refused["msg"] and "install the other CNI first" in refused["msg"]


@needs_root_netns
def test_refuses_while_calico_node_runs(returned_node):  # noqa: F811
    # A program keeps its own name, as calico-node has it in the host's network.
    words = ["ip", "netns", "exec", returned_node.name, sys.executable, "-c", "open('/proc/self/comm', 'w').write('calico-node'); input()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as daemon:
        try:
            while "calico-node" not in Path(f"/proc/{daemon.pid}/comm").read_text():
                assert daemon.poll() is None
            refused = remove(returned_node)
        finally:
            daemon.kill()
    assert f"calico-node runs (process {daemon.pid})" in refused["msg"]


@needs_root_netns
def test_a_pod_whose_sandbox_is_there_still_counts(returned_node, tmp_path):  # noqa: F811
    sandbox = tmp_path / "sandbox"
    sandbox.touch()
    path = returned_node.attachment(CALICO, "10.244.1.8", ["cali2"], "aa11", str(sandbox))
    assert "10.244.1.8" in remove(returned_node, check=True)["msg"]
    sandbox.unlink()
    done = remove(returned_node)
    assert done["changed"] and not path.exists()
    assert str(path) in done["removed"]["files"]


@needs_root_netns
def test_plugins_that_came_with_calico_go_unless_something_uses_them(returned_node):  # noqa: F811
    refused = remove(returned_node, programs=["bandwidth", "portmap"])
    assert "programs: portmap is used by" in refused["msg"] and "10-flannel.conflist" in refused["msg"]
    done = remove(returned_node, programs=["bandwidth"])
    assert str(returned_node.folder / "bin" / "bandwidth") in done["removed"]["files"]
    assert sorted(os.listdir(returned_node.folder / "bin")) == ["bridge", "flannel", "host-local", "portmap"]


@needs_root_netns
def test_a_step_that_fails_puts_everything_back(returned_node):  # noqa: F811
    returned_node.ip("link set vxlan.calico up\n")
    before = looks(returned_node)
    returned_node.program("ip", '#!/bin/sh\ncase "$*" in "link delete"*) echo busy >&2; exit 2;; esac\nexec /usr/sbin/ip "$@"\n')
    refused = remove(returned_node)
    assert "busy" in refused["msg"] and "what had been removed was put back" in refused["msg"]
    links, left, rules, dummy, files = looks(returned_node)
    assert (links, rules) == (before[0], before[2])
    assert sorted(left.splitlines()) == sorted(before[1].splitlines())
    assert [path for path in before[4] if path not in files and "bird.ctl" not in path] == []


@needs_root_netns
def test_a_set_that_somebody_else_uses_is_told(returned_node):  # noqa: F811
    returned_node.run("iptables-nft", "-A", "INPUT", "-m", "set", "--match-set", "cali40all-ipam-pools", "src", "-j", "ACCEPT")
    left = remove(returned_node)
    assert left["failed"] and left["leftovers"] == ["set cali40all-ipam-pools"]
    assert "Calico is not gone from this node: set cali40all-ipam-pools" in left["msg"]


@pytest.mark.parametrize("data", [b"", b"\x10\0\0\0", b"\0" * 16])
def test_answers_that_end_early_are_no_endless_loop(data):
    assert list(netlink_messages.messages_of(data)) == []


def test_mounts_below_a_folder_are_found_deepest_first(tmp_path):
    table = tmp_path / "mounts"
    table.write_text("none /run/calico tmpfs rw 0 0\nnone /run/calico/cgroup cgroup2 rw 0 0\nnone /run/calico2 tmpfs rw 0 0\n")
    assert calico_reader.mounts_below(Path("/run/calico"), table) == ["/run/calico/cgroup", "/run/calico"]
