# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time

import pytest
from ansible_collections.podnet.cni.plugins.modules import calico_fabric_probe as module
from ansible_collections.podnet.cni.tests.unit.fakes.running import run_module

PARAMS = {
    "state": "present",
    "address": "10.244.1.200",
    "targets": [],
    "port": 9097,
    "table": 254,
    "encapsulation": "none",
    "timeout": 0.2,
    "attempt_timeout": 0.2,
    "cni_bin_dir": "",
    "cni_config_dir": "",
    "state_dir": "",
}
CONFIG = {"name": "k8s-pod-network", "cniVersion": "0.3.1", "plugins": [{"type": "calico", "nodename": "n1", "ipam": {"type": "calico-ipam"}}]}


class Host:
    """A node: answers the programs that the module runs and remembers them."""

    def __init__(self, folder, **params):
        self.check_mode = False
        self.ran = []
        self.lo = []
        self.active = False
        self.fail = ()
        self.routes = []
        for name in ("cni", "bin", "state"):
            (folder / name).mkdir(exist_ok=True)
        (folder / "cni" / "99-podnet-calico.conflist").write_text(json.dumps(CONFIG))
        (folder / "bin" / "calico-ipam").touch()
        folders = {"cni_config_dir": str(folder / "cni"), "cni_bin_dir": str(folder / "bin"), "state_dir": str(folder / "state")}
        self.params = {**PARAMS, **folders, **params}

    def run_command(self, words, data=None, environ_update=None, binary_data=None):
        name = words[0].rsplit("/", 1)[-1]
        if name == "calico-ipam":
            name += " " + environ_update["CNI_COMMAND"]
            self.ipam_environment = environ_update
        self.ran.append(" ".join([name, *words[1:]]))
        if any(part in self.ran[-1] for part in self.fail):
            return 1, json.dumps({"msg": "Address already assigned in block"}), ""
        if words[:4] == ["ip", "-j", "address", "show"]:
            return 0, json.dumps([{"ifname": "lo", "addr_info": [{"local": address} for address in self.lo]}]), ""
        if "route" in words:
            return 0, json.dumps(self.routes), ""
        if words[:3] == ["ip", "address", "add"]:
            self.lo.append(words[3].split("/")[0])
        if words[:3] == ["ip", "address", "del"]:
            self.lo.remove(words[3].split("/")[0])
        if words[0] == "systemd-run":
            self.active = True
        if words[:2] == ["systemctl", "stop"]:
            self.active = False
        if words[:2] == ["systemctl", "is-active"]:
            return 0, "active\n" if self.active else "inactive\n", ""
        return 0, "", ""

    def atomic_move(self, source, target):
        import os

        os.replace(source, target)


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "HOST_LOCAL", str(tmp_path / "networks"))
    monkeypatch.setattr(module.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(module.socket, "create_connection", lambda *args, **kwargs: socket.socket())
    return Host(tmp_path)


def files(host):
    import os

    return sorted(os.listdir(host.params["state_dir"]))


def test_present_again_absent_again(host):
    assert module.Probe(host).present()["changed"]
    assert [line for line in host.ran if line.startswith("calico-ipam")] == ["calico-ipam DEL", "calico-ipam ADD"]
    assert host.ipam_environment["CNI_ARGS"] == "IgnoreUnknown=1;IP=10.244.1.200"
    assert host.ipam_environment["CNI_CONTAINERID"] == "podnet-fabric-probe-n1"
    assert host.lo == ["10.244.1.200"]
    assert files(host) == ["fabric-probe.json", "fabric_probe_listener.py"]
    assert not module.Probe(host).present()["changed"]
    assert module.Probe(host).absent()["changed"]
    assert (host.lo, host.active, files(host)) == ([], False, [])
    assert host.ran[-1] == "calico-ipam DEL"
    assert not module.Probe(host).absent()["changed"]


def test_check_mode(host):
    host.check_mode = True
    assert module.Probe(host).present()["changed"]
    assert module.Probe(host).probed() == {"changed": False, "results": []}
    assert (host.lo, files(host)) == ([], [])


@pytest.mark.parametrize(("fail", "words"), [("calico-ipam ADD", "Address already assigned"), ("address add", "failed with code 1")])
def test_a_failure_leaves_nothing_behind(host, fail, words):
    host.fail = (fail,)
    with pytest.raises(module.Failure, match=words):
        module.Probe(host).present()
    assert (host.lo, host.active, files(host)) == ([], False, [])


def test_what_cannot_be_removed_is_told_and_tried_again(host):
    module.Probe(host).present()
    host.fail = ("calico-ipam DEL",)
    with pytest.raises(module.Failure, match="Run state=absent again"):
        module.Probe(host).absent()
    assert host.lo == []
    assert "fabric-probe.json" in files(host)
    host.fail = ()
    assert module.Probe(host).absent()["changed"]
    assert files(host) == []


def test_another_address_replaces_the_first(host):
    module.Probe(host).present()
    host.params["address"] = "10.244.1.201"
    assert module.Probe(host).present()["changed"]
    assert host.lo == ["10.244.1.201"]


def test_an_address_in_use_is_refused(host, tmp_path):
    (tmp_path / "networks" / "cbr0").mkdir(parents=True)
    (tmp_path / "networks" / "cbr0" / "10.244.1.200").touch()
    with pytest.raises(module.Failure, match="is that of a pod"):
        module.Probe(host).present()
    host.lo.append("10.244.1.200")
    with pytest.raises(module.Failure, match="belongs to lo"):
        module.Probe(host).present()


def test_without_calico_on_the_node(host, tmp_path):
    (tmp_path / "cni" / "99-podnet-calico.conflist").unlink()
    with pytest.raises(module.Failure, match="wait until calico-node is Ready"):
        module.Probe(host).present()


def test_probing_needs_the_address(host):
    with pytest.raises(module.Failure, match="state=present first"):
        module.Probe(host).probed()


def test_probing_tells_each_target(host):
    module.Probe(host).present()
    host.params["targets"] = [{"node": "n2", "address": "10.244.2.200"}]
    host.routes = [{"dst": "10.244.2.0/24", "dev": "flannel.1"}]
    with pytest.raises(module.Failure, match=r"1 of 1 nodes cannot be reached.*n2 \(10.244.2.200\): routed by flannel.1") as caught:
        module.Probe(host).probed()
    assert caught.value.results["results"][0]["reachable"] is False


def test_a_real_exchange_over_loopback(tmp_path):
    """The listener as it is written, a connection from an own address, and packets of full size."""
    script = tmp_path / "listener.py"
    script.write_text(module.LISTENER)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listener = subprocess.Popen([sys.executable, str(script), "127.0.0.2", str(port)])
    try:
        host = Host(tmp_path, address="127.0.0.3", port=port, targets=[{"node": "n2", "address": "127.0.0.2"}], timeout=10)
        host.lo = ["127.0.0.3"]
        host.routes = [{"dst": "127.0.0.0/8", "dev": "eth0", "protocol": "bird"}]
        (result,) = module.Probe(host).probed()["results"]
    finally:
        listener.terminate()
        listener.wait(10)
    assert result["reachable"]
    assert result["reason"] is None
    assert result["milliseconds"] > 0


def test_nothing_listens(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    host = Host(tmp_path, address="127.0.0.3", port=port, targets=[{"node": "n2", "address": "127.0.0.2"}])
    host.lo = ["127.0.0.3"]
    host.routes = [{"dst": "127.0.0.0/8", "dev": "eth0", "protocol": "bird"}]
    started = time.monotonic()
    with pytest.raises(module.Failure, match="its end of the probe does not run"):
        module.Probe(host).probed()
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"address": "10.244.1.0/24"}, ["address: '10.244.1.0/24'", "without prefix length"]),
        ({"targets": [{"node": "n2", "address": "x"}], "state": "probed"}, ["targets: n2: 'x'"]),
        ({"targets": [{"node": "n2", "address": "10.0.0.1"}]}, ["targets", "state=present"]),
        ({"port": 0}, ["port: 0"]),
        ({"timeout": 0}, ["timeout: 0"]),
        ({"attempt_timeout": -1}, ["attempt_timeout: -1"]),
    ],
)
def test_bad_options_are_named_with_value_and_remedy(change, words):
    problem = module.option_problem({**PARAMS, **change})
    assert problem and all(word in problem for word in words)
    assert module.option_problem(PARAMS) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"address": "10.244.1.0/26"}, "address: '10.244.1.0/26' is not an IP address; give one without prefix length"),
        ({"port": 70000}, "port: 70000 is not a TCP port"),
        ({"timeout": 0}, "timeout: 0.0 is not a duration"),
        ({"targets": [{"node": "n2", "address": "10.244.2.200"}]}, "targets: they have no meaning with state=present; use state=probed"),
        ({"state": "probed", "targets": [{"node": "n2", "address": "n2"}]}, "targets: n2: 'n2' is not an IP address"),
        ({"state": "probed"}, "address: '192.0.2.77' is not on lo of this node; run the probe with state=present first"),
        ({"cni_config_dir": "/nowhere"}, "cni_config_dir: '/nowhere' has no CNI configuration of Calico; wait until calico-node is Ready"),
    ],
)
def test_bad_options_end_the_module(monkeypatch, tmp_path, options, words):
    results = run_module(monkeypatch, "calico_fabric_probe", **{"address": "192.0.2.77", "state_dir": str(tmp_path), **options})
    assert results["failed"]
    assert words in results["msg"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("state", ["probed", "absent"])
def test_nothing_to_do_in_check_mode_is_no_change(monkeypatch, tmp_path, state):
    results = run_module(monkeypatch, "calico_fabric_probe", check_mode=True, address="192.0.2.77", state=state, state_dir=str(tmp_path))
    assert not results["changed"]


def test_a_configuration_that_cannot_be_read_is_told(monkeypatch, tmp_path):
    (tmp_path / "10-calico.conflist").write_text("{")
    results = run_module(monkeypatch, "calico_fabric_probe", address="192.0.2.77", state_dir=str(tmp_path), cni_config_dir=str(tmp_path))
    assert results["failed"]
    assert str(tmp_path / "10-calico.conflist") in results["msg"]
