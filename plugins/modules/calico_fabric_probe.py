#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: calico_fabric_probe
short_description: Prove that the fabric carries packets between pod addresses, before any pod has one of Calico's
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Takes one unused address of the node's own block from Calico's IPAM, with Calico's own plugin, gives it to the loopback interface and
    answers TCP connections there. Calico then announces the node's block as it would for a pod.
  - Connects from there to the same on other nodes, both with pod addresses and encapsulated as those of pods, and sends packets of full size.
  - Tells in plain words what is missing. No pod is touched.
  - Runs on the node.
extends_documentation_fragment:
  - podnet.cni._attributes
attributes:
  check_mode:
    support: full
    details:
      - With O(state=probed), nothing is sent in check mode unless the node has the address.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: linux
options:
  state:
    description:
      - V(present) takes the address and answers.
      - V(probed) connects to O(targets) and fails if one cannot be reached in time. Changes nothing.
      - V(absent) gives everything back, also after a failure in between.
    type: str
    choices: [present, probed, absent]
    default: present
  address:
    description:
      - An address in a block of this node that no pod uses. The block's routes must not cut pods of another CNI off. With Flannel add
        guard routes first (M(podnet.cni.cni_switch)).
    type: str
    required: true
  targets:
    description: The other nodes, for O(state=probed).
    type: list
    elements: dict
    default: []
    suboptions:
      node:
        description: Name of the node, for the result.
        type: str
        required: true
      address:
        description: The address that the probe has there.
        type: str
        required: true
  encapsulation:
    description:
      - How packets to pods of other nodes are encapsulated, see O(podnet.cni.calico_ipam#module:pool). With V(none) the routes have to be
        those of BGP, else those of Felix.
    type: str
    choices: [none, vxlan_cross_subnet, vxlan]
    default: none
  table:
    description:
      - Number of the routing table that has the ways to the targets, such as that of M(podnet.cni.route_guard) with new ways. By default it is the
        table C(main).
    type: int
    default: 254
  port:
    description: TCP port of the probe.
    type: int
    default: 9097
  timeout:
    description: Seconds until every target has to be reached. Routes may still be on their way.
    type: float
    default: 60.0
  attempt_timeout:
    description: Seconds that one connection may take.
    type: float
    default: 2.0
  cni_config_dir:
    description: Folder of the CNI configurations.
    type: path
    default: /etc/cni/net.d
  cni_bin_dir:
    description: Folder of the CNI plugins.
    type: path
    default: /opt/cni/bin
  state_dir:
    description: Folder for the files of the probe.
    type: path
    default: /var/lib/podnet
notes:
  - Needs systemd and the program C(ip) with JSON output (iproute2 4.13 or newer).
seealso:
  - module: podnet.cni.cni_switch
  - module: podnet.cni.calico_ipam
"""

EXAMPLES = r"""
- name: Take one unused address of this node's last block
  podnet.cni.calico_fabric_probe:
    address: 10.244.1.200

- name: Reach the same on the other nodes
  podnet.cni.calico_fabric_probe:
    state: probed
    address: 10.244.1.200
    targets:
      - {node: n2, address: 10.244.2.200}
      - {node: n3, address: 10.244.3.200}

- name: Give the address back
  podnet.cni.calico_fabric_probe:
    state: absent
    address: 10.244.1.200
"""

RETURN = r"""
results:
  description: What came of each target.
  returned: with O(state=probed)
  type: list
  elements: dict
  sample:
    - node: n2
      address: 10.244.2.200
      reachable: true
      route: 10.244.2.192/26 via 172.30.1.1 dev eth0 proto bird
      milliseconds: 0.8
      reason: null
seconds:
  description: Duration.
  returned: always
  type: float
  sample: 0.9
"""

import concurrent.futures
import ipaddress
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_fabric
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_resources import ENCAPSULATIONS

UNIT = "podnet-fabric-probe.service"
STATE_FILE = "fabric-probe.json"
LISTENER_FILE = "fabric_probe_listener.py"
HOST_LOCAL = "/var/lib/cni/networks"
PAYLOAD = 8000  # several packets of full size in each direction
MAIN = 254
"""Number of the routing table main."""
POLL_SECONDS = 0.25
MOST_AT_ONCE = 32
LISTENER = '''"""Sends back what it gets. Written by podnet.cni.calico_fabric_probe, which removes it again."""
import socket
import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.settimeout(10)
        try:
            while True:
                data = self.request.recv(65536)
                if not data:
                    return
                self.request.sendall(data)
        except OSError:
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET


Server((sys.argv[1], int(sys.argv[2])), Echo).serve_forever()
'''


class Failure(Exception):
    """What went wrong; the text has the remedy."""

    def __init__(self, message: str, **results: t.Any) -> None:
        super().__init__(message)
        self.results = results


def option_problem(params: t.Mapping[str, t.Any]) -> str | None:
    """What is wrong with the options, with the remedy."""
    addresses = [("address", params["address"])] + [(f"targets: {target['node']}", target["address"]) for target in params["targets"]]
    for option, value in addresses:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            return f"{option}: '{value}' is not an IP address; give one without prefix length"
    if not 1 <= params["port"] <= 65535:
        return f"port: {params['port']} is not a TCP port; give 1 to 65535"
    for option in ("timeout", "attempt_timeout"):
        if params[option] <= 0:
            return f"{option}: {params[option]} is not a duration; give seconds greater than 0"
    if params["state"] != "probed" and params["targets"]:
        return f"targets: they have no meaning with state={params['state']}; use state=probed"
    return None


class Probe:
    """The probe's parts on this node: an address of Calico's IPAM, the same on lo, and a listener."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        self.address = str(ipaddress.ip_address(module.params["address"]))
        self.state_file = os.path.join(module.params["state_dir"], STATE_FILE)
        self.listener_file = os.path.join(module.params["state_dir"], LISTENER_FILE)
        self.one_at_a_time = threading.Lock()  # run_command is not made for threads

    # -- reading

    def run(self, *words: str, check: bool = True, **kwargs: t.Any) -> str:
        """The output of a program of this node."""
        code, output, error = self.module.run_command(list(words), **kwargs)
        if check and code:
            raise Failure(f"'{' '.join(words)}' failed with code {code}: {(error or output).strip()}")
        return t.cast(str, output)

    def saved(self) -> dict[str, t.Any]:
        """What an earlier call left behind."""
        try:
            with open(self.state_file, encoding="utf-8") as file:
                return t.cast("dict[str, t.Any]", json.load(file))
        except (OSError, ValueError):
            return {}

    def device_of(self, address: str) -> str | None:
        """The link that has an address."""
        for link in json.loads(self.run("ip", "-j", "address", "show") or "[]"):
            if any(entry.get("local") == address for entry in link.get("addr_info") or []):
                return t.cast(str, link["ifname"])
        return None

    def listening(self) -> bool:
        """Whether the listener's unit runs."""
        return self.run("systemctl", "is-active", UNIT, check=False).strip() == "active"

    def config(self) -> dict[str, t.Any]:
        """Input for calico-ipam, from the first of Calico's CNI configurations."""
        folder = self.params["cni_config_dir"]
        try:
            names = sorted(name for name in os.listdir(folder) if name.endswith(".conflist") and "calico" in name)
        except OSError:
            names = []
        if not names:
            raise Failure(
                f"cni_config_dir: '{folder}' has no CNI configuration of Calico; wait until calico-node is Ready on this node, or give the "
                "folder that it writes to"
            )
        path = os.path.join(folder, names[0])
        with open(path, encoding="utf-8") as file:
            return calico_fabric.ipam_input(file.read(), path)

    # -- present

    def present(self) -> dict[str, t.Any]:
        """Take the address and answer."""
        config = self.config()
        saved = self.saved()
        device = self.device_of(self.address)
        same = saved.get("address") == self.address and saved.get("port") == self.params["port"]
        if same and saved.get("complete") and device == "lo" and self.listening():
            return self.result(False, saved, saved)
        if device and not (device == "lo" and same):
            raise Failure(f"address: '{self.address}' belongs to {device} of this node already; choose an address that nothing uses")
        self.refuse_pod_address()
        wanted = {"address": self.address, "port": self.params["port"], "complete": True}
        if not self.module.check_mode:
            if saved:
                self.undo(saved)
            self.take(config, wanted)
        return self.result(True, saved, wanted)

    def refuse_pod_address(self) -> None:
        """Refuse the address of a pod of another CNI."""
        try:
            networks = os.listdir(HOST_LOCAL)
        except OSError:
            return
        for network in networks:
            path = os.path.join(HOST_LOCAL, network, self.address)
            if os.path.exists(path):
                raise Failure(f"address: '{self.address}' is that of a pod ({path}); choose an address that nothing uses")

    def take(self, config: dict[str, t.Any], wanted: dict[str, t.Any]) -> None:
        """All parts, or none of them."""
        started = {**wanted, "complete": False}
        self.write(self.state_file, json.dumps(started))
        try:
            self.ipam("DEL", config)  # what a run that was killed may have left behind
            self.ipam("ADD", config, self.address)
            self.run("ip", "address", "add", f"{self.address}/{ipaddress.ip_address(self.address).max_prefixlen}", "dev", "lo")
            self.write(self.listener_file, LISTENER)
            self.listen()
            self.write(self.state_file, json.dumps(wanted))
        except Exception:
            self.undo(started)
            raise

    def ipam(self, command: str, config: dict[str, t.Any], address: str | None = None) -> None:
        """Run Calico's IPAM plugin as a container runtime would (containernetworking/cni:SPEC.md)."""
        program = os.path.join(self.params["cni_bin_dir"], "calico-ipam")
        if not os.path.exists(program):
            raise Failure(f"cni_bin_dir: there is no '{program}'; wait until calico-node is Ready on this node, or give the plugins' folder")
        node = str(config.get("nodename") or socket.gethostname())
        environment = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": calico_fabric.container_id(node),
            "CNI_NETNS": "/proc/1/ns/net",
            # A pod's namespace is never the plugin's own, so plugins refuse it (containernetworking/cni:pkg/skel/skel.go); ours is no pod.
            "CNI_NETNS_OVERRIDE": "true",
            "CNI_IFNAME": "eth0",
            "CNI_PATH": self.params["cni_bin_dir"],
            "CNI_ARGS": "IgnoreUnknown=1" + (f";IP={address}" if address else ""),
        }
        code, output, error = self.module.run_command([program], data=json.dumps(config), environ_update=environment, binary_data=False)
        if code == 0:
            return
        try:
            told = json.loads(output)
            reason = f"{told.get('msg')} {told.get('details') or ''}".strip()
        except (ValueError, AttributeError):
            reason = (error or output).strip()[-500:]
        raise Failure(
            f"address: Calico's IPAM plugin refused {command} of '{address or self.address}' on node {node}: {reason}. "
            "It has to be in a block of this node, inside a pool, and free: see podnet.cni.calico_ipam"
        )

    def listen(self) -> None:
        """Start the listener as a transient unit and wait until it answers."""
        if not shutil.which("systemd-run"):
            raise Failure("the program systemd-run is missing on this node; the probe needs systemd to run its listener")
        self.run("systemctl", "reset-failed", UNIT, check=False)
        words = ["systemd-run", "--quiet", f"--unit={UNIT}", "--description=Fabric probe of podnet.cni", "--collect"]
        self.run(*words, sys.executable, self.listener_file, self.address, str(self.params["port"]))
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((self.address, self.params["port"]), timeout=1).close()
                return
            except OSError as exc:
                if time.monotonic() >= deadline:
                    log = self.run("journalctl", "-u", UNIT, "-n", "5", "--no-pager", "-o", "cat", check=False)
                    raise Failure(
                        f"port: the listener on {self.address} port {self.params['port']} does not answer: {exc}. {log.strip()}; choose another port"
                    ) from exc
                time.sleep(0.05)

    def write(self, path: str, text: str) -> None:
        """Write a file of the probe, whole or not at all."""
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        self.module.atomic_move(temporary, path)

    # -- absent

    def absent(self) -> dict[str, t.Any]:
        """Give everything back."""
        saved = self.saved()
        if not saved:
            return self.result(False, {}, {})
        if not self.module.check_mode:
            self.undo(saved)
        return self.result(True, saved, {})

    def undo(self, saved: t.Mapping[str, t.Any]) -> None:
        """Take each part away even if another cannot be; the state file stays until all are gone.

        :raises Failure: with everything that could not be done.
        """
        address = str(saved["address"])
        problems = []
        steps: list[t.Callable[[], t.Any]] = [
            lambda: self.run("systemctl", "stop", UNIT, check=False),
            lambda: self.remove_address(address),
            lambda: self.ipam("DEL", self.config()),
        ]
        for step in steps:
            try:
                step()
            except (Failure, calico_fabric.ConfigError, OSError) as exc:
                problems.append(str(exc))
        if problems:
            raise Failure(f"the probe with address {address} was not removed completely: {'; '.join(problems)}. Run state=absent again")
        for path in (self.listener_file, self.state_file):
            if os.path.exists(path):
                os.remove(path)

    def remove_address(self, address: str) -> None:
        if self.device_of(address) == "lo":
            self.run("ip", "address", "del", f"{address}/{ipaddress.ip_address(address).max_prefixlen}", "dev", "lo")

    # -- probed

    def probed(self) -> dict[str, t.Any]:
        """Connect to all targets at once."""
        if self.device_of(self.address) != "lo":
            if self.module.check_mode:
                return {"changed": False, "results": []}
            raise Failure(f"address: '{self.address}' is not on lo of this node; run the probe with state=present first")
        deadline = time.monotonic() + self.params["timeout"]
        with concurrent.futures.ThreadPoolExecutor(MOST_AT_ONCE) as pool:
            results = list(pool.map(lambda target: self.reach(target, deadline), self.params["targets"]))
        failed = [result for result in results if not result["reachable"]]
        if failed:
            reasons = "; ".join(f"{result['node']} ({result['address']}): {result['reason']}" for result in failed)
            raise Failure(
                f"from {self.address}, {len(failed)} of {len(results)} nodes cannot be reached with pod addresses within "
                f"{self.params['timeout']:g} s: {reasons}",
                results=results,
            )
        return {"changed": False, "results": results}

    def reach(self, target: t.Mapping[str, str], deadline: float) -> dict[str, t.Any]:
        """One target, again and again until it answers or the time is over."""
        while True:
            result = self.attempt(target)
            if result["reachable"] or time.monotonic() >= deadline:
                return result
            time.sleep(POLL_SECONDS)

    def attempt(self, target: t.Mapping[str, str]) -> dict[str, t.Any]:
        """Look at the route and connect."""
        family = "-6" if ":" in target["address"] else "-4"
        with self.one_at_a_time:
            routes = json.loads(self.run("ip", "-j", family, "route", "show", "table", str(self.params["table"]), "match", target["address"]) or "[]")
        route = calico_fabric.best_route(routes, target["address"])
        result: dict[str, t.Any] = {**target, "reachable": False, "route": calico_fabric.route_words(route), "milliseconds": None}
        result["reason"] = calico_fabric.route_problem(route, self.params["encapsulation"])
        if result["reason"]:
            return result
        try:
            result["milliseconds"] = round(self.exchange(target["address"]) * 1000, 3)
            result["reachable"] = True
        except OSError as exc:
            problem = TimeoutError() if isinstance(exc, socket.timeout) else exc  # two classes before Python 3.10
            result["reason"] = calico_fabric.connect_problem(problem, route, self.params["attempt_timeout"])
        except LargeLost:
            result["reason"] = (
                f"small packets pass, packets of full size are lost ({result['route']}): raise the MTU of the fabric, or lower that of the pods "
                "(veth_mtu of podnet.cni.calico_install)"
            )
        return result

    def exchange(self, address: str) -> float:
        """Seconds for a connection and one byte; then packets of full size both ways."""
        started = time.monotonic()
        with socket.create_connection((address, self.params["port"]), self.params["attempt_timeout"], (self.address, 0)) as link:
            echo(link, 1)
            elapsed = time.monotonic() - started
            try:
                echo(link, PAYLOAD)
            except OSError as exc:
                raise LargeLost from exc
        return elapsed

    def result(self, changed: bool, before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """The module's results."""
        return {"changed": changed, "diff": {"before": dict(before), "after": dict(after)}}


class LargeLost(Exception):
    """One byte came back, a larger amount did not."""


def echo(link: socket.socket, size: int) -> None:
    """Send bytes and wait until they are back."""
    link.sendall(b"x" * size)
    missing = size
    while missing:
        data = link.recv(65536)
        if not data:
            raise ConnectionResetError("closed by the other side")
        missing -= len(data)


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "probed", "absent"], "default": "present"},
            "address": {"type": "str", "required": True},
            "targets": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"node": {"type": "str", "required": True}, "address": {"type": "str", "required": True}},
            },
            "encapsulation": {"type": "str", "choices": list(ENCAPSULATIONS), "default": "none"},
            "table": {"type": "int", "default": MAIN},
            "port": {"type": "int", "default": 9097},
            "timeout": {"type": "float", "default": 60.0},
            "attempt_timeout": {"type": "float", "default": 2.0},
            "cni_config_dir": {"type": "path", "default": "/etc/cni/net.d"},
            "cni_bin_dir": {"type": "path", "default": "/opt/cni/bin"},
            "state_dir": {"type": "path", "default": "/var/lib/podnet"},
        },
        supports_check_mode=True,
    )
    problem = option_problem(module.params)
    if problem:
        module.fail_json(msg=problem)
    started = time.monotonic()
    probe = Probe(module)
    try:
        results = getattr(probe, module.params["state"])()
    except Failure as exc:
        module.fail_json(msg=str(exc), seconds=round(time.monotonic() - started, 3), **exc.results)
    except calico_fabric.ConfigError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(seconds=round(time.monotonic() - started, 3), **results)


if __name__ == "__main__":
    main()
