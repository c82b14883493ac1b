# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as one object: up, down, status, and running programs in its places."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import typing as t
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from podnet_lab import addons, inventory, network, router
from podnet_lab.cache import cache_folder, exclusive, lab_folder, say
from podnet_lab.cluster_api import ClusterApi
from podnet_lab.control_plane import ControlPlane
from podnet_lab.errors import LabError
from podnet_lab.image_store import image_store
from podnet_lab.images import Artifacts, build_all
from podnet_lab.node import NodeContainer, build_layer
from podnet_lab.podman import Podman, mounts_below, unmount_below
from podnet_lab.process import processes_in
from podnet_lab.requirements import ensure_host_packages
from podnet_lab.shell import environment, run
from podnet_lab.ssh_keys import SshKeys
from podnet_lab.topology import Node, Topology, load, resolve

TOPOLOGIES = Path(__file__).resolve().parents[1] / "topologies"
DEFAULT_TOPOLOGY = TOPOLOGIES / "default.yml"
TOPOLOGY_COPY = "topology.yml"
FIXED_PLACES = ("tor", "cp", "ctl")


class Lab:
    """One lab, up or not."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.name = topology.name
        self.state = lab_folder(topology.name)
        self.podman = Podman(topology.name, self.state)

    @classmethod
    def load(cls, topology: Path = DEFAULT_TOPOLOGY, name: str | None = None) -> Lab:
        """A lab from a topology file."""
        return cls(load(topology, name))

    @classmethod
    def open(cls, name: str = "podnet") -> Lab:
        """A lab that is up (or was left half way) by its name."""
        copy = lab_folder(name) / TOPOLOGY_COPY
        if not copy.exists():
            raise LabError(f"there is no lab named {name}: bring it up with: python3 -m podnet_lab --name {name} up")
        return cls(load(copy, name))

    @staticmethod
    def names() -> list[str]:
        """Names of all labs that have a state folder."""
        folder = cache_folder() / "labs"
        return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []

    @property
    def nodes(self) -> list[Node]:
        """The workers, zone by zone."""
        return list(self.topology.nodes)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "kubeconfig"

    @property
    def inventory(self) -> Path:
        """Ansible's inventory."""
        return self.state / "inventory.yml"

    @property
    def logs(self) -> Path:
        """Logs of everything that runs outside the nodes."""
        return self.state / "logs"

    # Up and down

    def up(self) -> None:
        """Bring up what is not up yet."""
        ensure_host_packages()
        artifacts = build_all()
        store = image_store(artifacts)
        with exclusive(f"lab-{self.name}"):
            self._up(artifacts, store)

    def _up(self, artifacts: Artifacts, store: Path) -> None:
        self._remember_topology()
        control_plane = ControlPlane(self.topology, artifacts, self.state)
        say(f"lab {self.name}: network, {len(self.nodes)} nodes in {len(self.topology.zones)} zones")
        fresh = self._stale_nodes()
        network.create(self.topology)
        SshKeys(self.state).prepare(self.topology)
        self.podman.prepare()
        router.start(self.topology, self.state)
        say("certificates")
        control_plane.prepare_certificates()
        control_plane.user_kubeconfig("kube-proxy", "system:kube-proxy")
        inventory.write(self.topology, self.state)
        shutil.copyfile(artifacts.calico_manifest, self.state / "calico.yaml")
        with ThreadPoolExecutor(max_workers=3) as pool:
            pending = pool.submit(control_plane.start)
            starts = self._start_nodes(pool, fresh, artifacts, store, control_plane)
            pending.result()
            say("the API server is ready")
            with self.api() as api:
                addons.install(api, self.topology)
                control_plane.wait_controllers(api)
                for start in starts:
                    start()
                say("services of the nodes are active")
                addons.wait_nodes_ready(api, self.topology, 120)
                say("all nodes are Ready")
                addons.wait_rollouts(api, self.topology, 120)
        say(f"lab {self.name} is up: Flannel and CoreDNS are ready; state in {self.state}")

    def _remember_topology(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        copy = self.state / TOPOLOGY_COPY
        if copy.exists() and load(copy, self.name) != self.topology:
            raise LabError(
                f"lab {self.name} exists with another topology: run 'python3 -m podnet_lab --name {self.name} down' first, or use another --name"
            )
        copy.write_text(json.dumps(_source_form(self.topology), indent=2))
        (self.state / "topology.json").write_text(json.dumps(self.topology.as_dict(), indent=2))

    def _stale_nodes(self) -> list[Node]:
        """Nodes that have to be made from scratch: no running container, or its namespace is gone."""
        states = self.podman.containers()
        return [node for node in self.nodes if states.get(node.container) != "running" or not network.exists(node.netns)]

    def _start_nodes(
        self, pool: ThreadPoolExecutor, nodes: Sequence[Node], artifacts: Artifacts, store: Path, control_plane: ControlPlane
    ) -> list[Callable[[], None]]:
        layer = self.state / "nodes" / "layer"
        if nodes:
            for node in nodes:
                NodeContainer(self.topology, node, self.state).remove()
            if len(nodes) == len(self.nodes) or not layer.exists():
                build_layer(artifacts, layer)

        def start(node: Node) -> None:
            container = NodeContainer(self.topology, node, self.state)
            container.start(artifacts, layer, store, control_plane)
            say(f"node {node.name} ({node.address}, zone {node.zone}) boots")

        futures = [pool.submit(start, node) for node in nodes]
        waits = [NodeContainer(self.topology, node, self.state).wait_booted for node in self.nodes]
        return [*(future.result for future in futures), *waits]

    def down(self) -> None:
        """Remove everything of the lab but the builds."""
        with exclusive(f"lab-{self.name}"):
            control_plane = ControlPlane(self.topology, None, self.state)
            self.podman.remove_all()
            for node in self.nodes:
                unmount_below(self.state / "nodes" / node.name)
            control_plane.stop()
            router.daemon(self.topology, self.state).stop()
            for line in network.remove(self.topology):
                say(f"ended a process that was left in the lab: {line[:120]}")
            self.podman.remove_cgroups()
            unmount_below(self.state)
            shutil.rmtree(self.state, ignore_errors=True)
            if self.state.exists():
                shutil.rmtree(self.state)
            with contextlib.suppress(OSError):
                self.state.parent.rmdir()
        say(f"lab {self.name} is down")

    def status(self) -> dict[str, t.Any]:
        """What runs, for people and for programs."""
        control_plane = ControlPlane(self.topology, None, self.state)
        states = self.podman.containers()
        report: dict[str, t.Any] = {
            "name": self.name,
            "state": str(self.state),
            "namespaces": {place: network.exists(self.topology.netns(place)) for place in self.topology.places},
            "control_plane": control_plane.running(),
            "router": router.daemon(self.topology, self.state).pid(),
            "containers": {node.name: states.get(node.container, "missing") for node in self.nodes},
            "mounts": len(mounts_below(self.state)),
            "processes": len(processes_in(self.topology.netns(place) for place in self.topology.places)),
            "ready": [],
        }
        if control_plane.running()["kube-apiserver"] and self.kubeconfig.exists():
            with contextlib.suppress(LabError), self.api() as api:
                report["ready"] = sorted(addons.ready_nodes(api))
        report["up"] = len(report["ready"]) == len(self.nodes) and bool(report["router"])
        return report

    # Use

    def api(self) -> ClusterApi:
        """A connection to the API server, from where a controller is."""
        return ClusterApi(self.kubeconfig, self.topology.netns("ctl"))

    def command_in(self, place: str, command: Sequence[str | Path]) -> list[str]:
        """The command line that runs a program in a place: C(tor), C(cp), C(ctl) or a node."""
        words = [str(word) for word in command]
        if place in FIXED_PLACES:
            return ["nsenter", f"--net=/run/netns/{self.topology.netns(place)}", "--", *words]
        for node in self.nodes:
            if node.name == place:
                return self.podman.command("exec", "--interactive", node.container, *words)
        raise LabError(f"there is no place named {place}: use one of {', '.join(self.topology.places)}")

    def run_in(
        self,
        place: str,
        command: Sequence[str | Path],
        check: bool = True,
        capture: bool = True,
        stdin: str | None = None,
        timeout: float | None = 600,
        env: t.Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in a place to its end."""
        words = self.command_in(place, command)
        return run(words, check=check, capture=capture, stdin=stdin, timeout=timeout, env=self.user_environment(env))

    def popen_in(self, place: str, command: Sequence[str | Path], **options: t.Any) -> subprocess.Popen[t.Any]:
        """Start a program in a place. On a node, ending it ends only podman's side: let the program end by itself."""
        options["env"] = environment(self.user_environment(options.pop("env", None)))
        return subprocess.Popen(self.command_in(place, command), **options)

    def user_environment(self, extra: t.Mapping[str, str] | None = None) -> dict[str, str]:
        """What Ansible and kubectl need; what the caller's environment sets already stays."""
        settings = {
            "KUBECONFIG": str(self.kubeconfig),
            "K8S_AUTH_KUBECONFIG": str(self.kubeconfig),
            "ANSIBLE_CONFIG": os.environ.get("ANSIBLE_CONFIG") or str(self.state / "ansible.cfg"),
            "ANSIBLE_INVENTORY": os.environ.get("ANSIBLE_INVENTORY") or str(self.inventory),
        }
        return {**settings, **self.podman.env, **(extra or {})}


def _source_form(topology: Topology) -> dict[str, t.Any]:
    """The topology as its file would say it, so that it can be read again."""
    data = topology.as_dict()
    for key in ("controller_address", "controller_gateway", "control_plane_address", "dns_address"):
        del data[key]
    data["zones"] = [{"name": z.name, "subnet": z.subnet, "as_number": z.as_number, "nodes": [n.name for n in z.nodes]} for z in topology.zones]
    if resolve(data, topology.name) != topology:
        raise AssertionError(f"the topology {topology.name} would be read differently from its own file")
    return data
