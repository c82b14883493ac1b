# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node of its own for a test: a network namespace with Flannel's devices, routes and rules, and its files in a temporary folder.

The modules run in it as they do on a node, as a program of their own.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import netfilter
from ansible_collections.podnet.cni.tests.unit.fakes import documentation

RUNNER = """\
import importlib, json, sys
from ansible.module_utils import basic
name, arguments = sys.argv[1], json.loads(sys.argv[2])
module = importlib.import_module(f"ansible_collections.podnet.cni.plugins.modules.{name}")
arguments = {"_ansible_remote_tmp": "/tmp", "_ansible_keep_remote_files": False, **arguments}
try:
    from ansible.module_utils.testing import patch_module_args
except ImportError:
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    module.main()
else:
    with patch_module_args(arguments):
        module.main()
"""
CONTAINER = "d5ae6b79e84c20424e674e7e3f83f3d769b4d2ade6e6d785b56652a8573aeda5"
FLANNEL = {"name": "cbr0", "cniVersion": "0.3.1", "plugins": [{"type": "flannel"}, {"type": "portmap", "capabilities": {"portMappings": True}}]}
CALICO = {
    "name": "k8s-pod-network",
    "cniVersion": "0.3.1",
    "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}}, {"type": "portmap", "capabilities": {"portMappings": True}}],
}
LINKS = """\
link add eth0 type veth peer name far0
address add 172.30.1.11/24 dev eth0
link set lo up
link set eth0 up
link set far0 up
link add flannel.1 type vxlan id 1 local 172.30.1.11 dev eth0 dstport 8472 nolearning
address add 10.244.1.0/32 dev flannel.1
link set flannel.1 up
link add cni0 type bridge
address add 10.244.1.1/24 dev cni0
link set cni0 up
route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink
route add 10.244.3.0/24 via 172.30.1.12 dev eth0
route add 10.244.4.0/26 via 172.30.1.13 dev eth0 proto bird
neighbor add 10.244.2.0 lladdr 22:c6:23:a2:89:f1 dev flannel.1
"""
RULES = """\
*filter
:FLANNEL-FWD - [0:0]
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
-A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-A FLANNEL-FWD -d 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
COMMIT
*nat
:FLANNEL-POSTRTG - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
:CNI-DN-0123456789abcdef01234 - [0:0]
-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A POSTROUTING -s 192.168.0.0/16 -j MASQUERADE
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"cbr0\\" id: \\"d5ae6b79\\"" -m tcp --dport 8080 -j CNI-DN-0123456789abcdef01234
-A CNI-DN-0123456789abcdef01234 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.244.1.5:80
COMMIT
"""
OLD_RULES = """\
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 10.244.0.0/16 -d 10.244.0.0/16 -j RETURN
-A POSTROUTING -s 10.244.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE
-A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE
COMMIT
"""
NFT = """\
table ip flannel-ipv4 {
  chain postrtg { type nat hook postrouting priority 100; policy accept; ip saddr 10.244.0.0/16 masquerade; }
}
"""


class Node:
    """One namespace with its folders."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.programs = folder / "programs"
        self.options = {
            "cni_config_dir": str(folder / "net.d"),
            "cni_bin_dir": str(folder / "bin"),
            "cni_state_dir": str(folder / "cni"),
        }
        for part in ("net.d", "bin", "cni/results", "programs"):
            (folder / part).mkdir(parents=True)

    def run(self, *words: str, stdin: str | None = None) -> str:
        """Run a program in the namespace."""
        command = ["ip", "netns", "exec", self.name, *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: {done.stderr}{done.stdout}"
        return done.stdout

    def ip(self, lines: str) -> None:
        """Lines for iproute2."""
        self.run("ip", "-batch", "-", stdin=lines)

    def module(self, module_name: str, check: bool = False, **arguments: object) -> dict:
        """Run a module in the namespace and return what it printed."""
        process = self.start(module_name, check, **arguments)
        output, errors = process.communicate()
        printed = output.strip()
        assert printed.startswith("{"), f"{printed}{errors}"
        results = json.loads(printed)
        documentation.check_results(module_name, results, complete=not results.get("failed"))
        return results

    def start(self, module_name: str, check: bool = False, **arguments: object) -> subprocess.Popen[str]:
        """Start a module in the namespace, in a process group of its own."""
        given = {**self.options, **arguments, "_ansible_check_mode": check, "_ansible_diff": True}
        roots = [path for path in sys.path if (Path(path) / "ansible_collections" / "podnet").exists()]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(roots or sys.path), "PATH": f"{self.programs}:{os.environ['PATH']}"}
        command = ["ip", "netns", "exec", self.name, sys.executable, "-c", RUNNER, module_name, json.dumps(given)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)

    def program(self, name: str, text: str) -> None:
        """A program that goes before the machine's own."""
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def plugin(self, *names: str) -> None:
        """CNI plugins."""
        for name in names:
            path = self.folder / "bin" / name
            path.write_text("#!/bin/sh\n")
            path.chmod(0o755)

    def config(self, name: str, content: object) -> None:
        """A CNI configuration."""
        (self.folder / "net.d" / name).write_text(json.dumps(content))

    def configs(self) -> list[str]:
        """Names of the CNI configurations."""
        return sorted(os.listdir(self.folder / "net.d"))

    def flannel_files(self) -> None:
        """What Flannel writes."""
        self.config("10-flannel.conflist", FLANNEL)
        self.plugin("flannel", "host-local", "bridge", "portmap")
        (self.folder / "run").mkdir()
        (self.folder / "run" / "subnet.env").write_text("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\n")
        (self.folder / "cni" / "flannel").mkdir()
        (self.folder / "cni" / "networks" / "cbr0").mkdir(parents=True)
        (self.folder / "cni" / "networks" / "cbr0" / "lock").touch()

    def pod(self, address: str, port: str, container: str = CONTAINER) -> None:
        """What host-local, the plugin and the CNI library keep for a pod of Flannel."""
        (self.folder / "cni" / "networks" / "cbr0" / address).write_text(f"{container}\r\neth0")
        (self.folder / "cni" / "flannel" / container).write_text("{}")
        self.attachment(FLANNEL, address, ["cni0", port], container)

    def attachment(self, config: dict, address: str, interfaces: list[str], container: str, sandbox: str = "/var/run/netns/gone") -> Path:
        """What the CNI library keeps for a pod of any CNI."""
        cached = {
            "kind": "cniCacheV1",
            "containerId": container,
            "ifName": "eth0",
            "networkName": config["name"],
            "netns": sandbox,
            "config": base64.b64encode(json.dumps(config).encode()).decode(),
            "cniArgs": [["IgnoreUnknown", "1"]],
            "capabilityArgs": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}], "dns": {}},
            "result": {
                "interfaces": [*({"name": name} for name in interfaces), {"name": "eth0", "sandbox": sandbox}],
                "ips": [{"address": f"{address}/24"}],
            },
        }
        path = self.folder / "cni" / "results" / f"{config['name']}-{container}-eth0"
        path.write_text(json.dumps(cached))
        return path

    def flannel_kernel(self) -> None:
        """What flanneld and its plugin make in the kernel."""
        self.ip(LINKS)
        self.run("iptables-nft-restore", "--noflush", stdin=RULES)
        self.run("ip6tables-nft-restore", "--noflush", stdin="*filter\n:FLANNEL-FWD - [0:0]\n-A FORWARD -j FLANNEL-FWD\nCOMMIT\n")
        self.run("nft", "--file", "-", stdin=NFT)
        self.run("bridge", "fdb", "append", "22:c6:23:a2:89:f1", "dev", "flannel.1", "dst", "172.30.1.12")

    def old_rules(self) -> None:
        """Rules of a flanneld of old, in legacy iptables."""
        self.run("iptables-legacy-restore", stdin=OLD_RULES)

    def ruleset(self) -> str:
        """All rules of all kinds, as text."""
        return "".join(str(part) for part in self.rulesets())

    def rulesets(self) -> list[object]:
        """All rules: tables with chains with rules in their order, of each variant of iptables, and nft tables as text."""
        saved = [self.run("iptables-nft-save"), self.run("ip6tables-nft-save")]
        if self.run("cat", "/proc/net/ip_tables_names").strip():
            saved.append(self.run("iptables-legacy-save"))
        tables = [line for line in self.run("nft", "list", "tables").splitlines() if "flannel" in line]
        return [*map(netfilter.parse_save, saved), *(self.run("nft", "list", *line.split()) for line in tables)]


PROGRAMS = ("ip", "bridge", "nft", "ipset", "iptables-nft-restore", "iptables-legacy-restore")


@pytest.fixture
def node(tmp_path):
    """A node without anything of Flannel's; gone after the test."""
    if os.geteuid():
        pytest.skip("makes a network namespace, which only root can")
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        pytest.fail(f"{', '.join(missing)} not found; `make unit` installs what the tests need: iproute2, nftables, iptables")
    name = f"podnet-test-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"cannot make a network namespace: {made.stderr.strip()}")
    try:
        yield Node(name, tmp_path / "node")
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)


@pytest.fixture
def flannel_node(node):
    """A node that has Flannel, without pods, and Calico as its active CNI."""
    node.flannel_files()
    node.flannel_kernel()
    node.config("05-calico.conflist", CALICO)
    node.options["flannel_run_dir"] = str(node.folder / "run")
    return node


CALICO_LINES = """\
route delete 10.244.4.0/26 via 172.30.1.13 dev eth0 proto bird
route add blackhole 10.244.1.0/26 proto bird
route add 10.244.2.0/26 via 172.30.1.12 dev eth0 proto bird
link add vxlan.calico type vxlan id 4096 local 172.30.1.11 dev eth0 dstport 4789 nolearning
"""
CALICO_RULES = """\
*filter
:cali-FORWARD - [0:0]
:cali-from-wl-dispatch - [0:0]
-A FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD
-A FORWARD -m comment --comment "cali:S93hcgKJrXEqnTfs" -m mark --mark 0x10000/0x10000 -j ACCEPT
-A cali-FORWARD -i cali+ -m comment --comment "cali:8ZoYfO5HKXWbB3pk" -m set --match-set cali40all-ipam-pools src -j cali-from-wl-dispatch
COMMIT
*nat
:CNI-DN-fedcba9876543210fedcb - [0:0]
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"k8s-pod-network\\" id: \\"aa11\\"" -m tcp --dport 81 -j CNI-DN-fedcba9876543210fedcb
-A CNI-DN-fedcba9876543210fedcb -p tcp -m tcp --dport 81 -j DNAT --to-destination 10.244.1.6:80
COMMIT
"""


@pytest.fixture
def returned_node(flannel_node):
    """A node that has gone back to Flannel, with what Calico left when calico-node ended."""
    (flannel_node.folder / "net.d" / "05-calico.conflist").unlink()
    flannel_node.config("99-podnet-calico.conflist", CALICO)
    flannel_node.config("calico-kubeconfig", {"kind": "Config"})
    flannel_node.plugin("calico", "calico-ipam", "bandwidth")
    for name in ("state", "calico-run"):
        (flannel_node.folder / name).mkdir()
    (flannel_node.folder / "state" / "nodename").write_text("n1")
    os.mkfifo(flannel_node.folder / "calico-run" / "bird.ctl")
    flannel_node.options["calico_state_dir"] = str(flannel_node.folder / "state")
    flannel_node.options["calico_run_dir"] = str(flannel_node.folder / "calico-run")
    flannel_node.options["backup_dir"] = str(flannel_node.folder / "backup")
    flannel_node.ip(CALICO_LINES)
    flannel_node.run("ipset", "create", "cali40all-ipam-pools", "hash:net")
    flannel_node.run("ipset", "add", "cali40all-ipam-pools", "10.244.0.0/16")
    flannel_node.run("ipset", "create", "somebody-else", "hash:ip")
    flannel_node.run("iptables-nft-restore", "--noflush", stdin=CALICO_RULES)
    return flannel_node
