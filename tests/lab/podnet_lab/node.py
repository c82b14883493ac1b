# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker: a podman container with systemd, containerd, kubelet, kube-proxy and sshd in a namespace of its own."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from podnet_lab import node_files
from podnet_lab.control_plane import ControlPlane
from podnet_lab.errors import LabError
from podnet_lab.image_store import clone_store
from podnet_lab.images import Artifacts
from podnet_lab.parts import copy_program
from podnet_lab.podman import Podman, unmount_below
from podnet_lab.requirements import cgroup_mode
from podnet_lab.shell import run, wait_for
from podnet_lab.ssh_keys import SshKeys
from podnet_lab.topology import Node, Topology

PROGRAMS = {
    "kubernetes": ("kubelet", "kube-proxy"),
    "containerd": ("containerd", "containerd-shim-runc-v2", "ctr"),
}


def build_layer(artifacts: Artifacts, folder: Path) -> None:
    """The read-only layer with the programs of a node, shared by all nodes of a lab."""
    shutil.rmtree(folder, ignore_errors=True)
    for part, names in PROGRAMS.items():
        for name in names:
            copy_program(artifacts.program(part, name), folder / "usr/local/bin" / name)
    for plugin in artifacts.programs["cni-plugins"].iterdir():
        copy_program(plugin, folder / "opt/cni/bin" / plugin.name)


class NodeContainer:
    """Start, stop and look into one node."""

    def __init__(self, topology: Topology, node: Node, state: Path) -> None:
        self.topology = topology
        self.node = node
        self.state = state
        self.podman = Podman(topology.name, state)
        self.folder = state / "nodes" / node.name
        self.log = state / "logs" / f"{node.name}.log"

    def running(self) -> bool:
        """Whether the container runs."""
        return self.podman.containers().get(self.node.container) == "running"

    def start(self, artifacts: Artifacts, layer: Path, store: Path, control_plane: ControlPlane) -> None:
        """Make the node's disk and start it. What a crash left is thrown away first."""
        self.remove()
        for name in ("upper", "work", "root", "kubelet"):
            (self.folder / name).mkdir(parents=True)
        clone_store(store, self.folder / "containerd")
        root = self.mount(artifacts.node_root, layer)
        self.write_files(root, control_plane)
        words: list[str | Path] = ["run", "--detach", "--name", self.node.container, "--hostname", self.node.name]
        words += ["--privileged", "--systemd=always", "--cgroupns=private", "--cgroup-parent", self.podman.cgroup_parent]
        words += ["--network", f"ns:/run/netns/{self.node.netns}", "--no-hosts", "--dns=none"]
        words += ["--volume", f"{self.folder / 'containerd'}:/var/lib/containerd"]
        words += ["--volume", f"{self.folder / 'kubelet'}:/var/lib/kubelet"]
        words += ["--rootfs", root, "/sbin/init"]
        self.podman.start(self.log, *words)
        self.podman.favour_nodes()

    def mount(self, base: Path, layer: Path) -> Path:
        """Mount the node's root file system: what it writes, the programs, the shared Debian."""
        root = self.folder / "root"
        options = f"lowerdir={layer}:{base},upperdir={self.folder / 'upper'},workdir={self.folder / 'work'}"
        run(["mount", "-t", "overlay", "-o", options, f"podnet-lab-{self.node.container}", root])
        return root

    def write_files(self, root: Path, control_plane: ControlPlane) -> None:
        """Put configuration, keys and units in place before the node boots."""
        for name, text in node_files.files(self.topology, self.node, cgroup_mode() == "v2").items():
            _write(root / name, text)
        wants = root / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        for unit in node_files.UNITS:
            with contextlib.suppress(FileExistsError):
                (wants / unit).symlink_to(f"/etc/systemd/system/{unit}")
        kubelet = control_plane.user_kubeconfig(f"kubelet-{self.node.name}", f"system:node:{self.node.name}", "system:nodes")
        proxy = control_plane.user_kubeconfig("kube-proxy", "system:kube-proxy")
        _copy(kubelet, root / "etc/kubernetes/kubelet.conf", 0o600)
        _copy(proxy, root / "etc/kubernetes/kube-proxy.conf", 0o600)
        _copy(control_plane.pki / "ca.crt", root / "etc/kubernetes/pki/ca.crt", 0o644)
        keys = SshKeys(self.state)
        _copy(keys.public_key, root / "root/.ssh/authorized_keys", 0o600)
        _copy(keys.host_key, root / "etc/ssh/ssh_host_ed25519_key", 0o600)
        (root / "root/.ssh").chmod(0o700)

    def wait_booted(self) -> None:
        """Wait until the services of the node are active."""
        units = ["containerd", "kubelet", "kube-proxy", "ssh"]

        def active() -> bool:
            done = self.podman.run("exec", self.node.container, "systemctl", "is-active", *units, check=False)
            if done.returncode and not self.running():
                raise LabError(f"the container {self.node.container} ended")
            return done.stdout.split() == ["active"] * len(units)

        hint = f"Look with: python3 -m podnet_lab --name {self.topology.name} exec --in {self.node.name} -- journalctl -b"
        wait_for(f"the start of {', '.join(units)} on {self.node.name}", 60, active, hint, pause=0.5)

    def remove(self) -> None:
        """Remove the container, its mounts and its disk."""
        self.podman.remove(self.node.container)
        unmount_below(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.exists():
            unmount_below(self.folder)
            shutil.rmtree(self.folder)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()
    path.write_text(text)


def _copy(source: Path, target: Path, mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)
