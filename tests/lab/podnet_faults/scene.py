# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fault sees of the lab and of the run that it disturbs."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

from podnet_lab.cluster_api import ClusterApi
from podnet_lab.lab import Lab
from podnet_molecule.breaking import JOURNAL, LOCK, node_records

from podnet_faults import replug_steps

CALICO_NODE = "/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node"
FLANNEL = "/apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds"
CONFIGURATIONS = "etc/cni/net.d"
OF_CALICO = ("00-podnet-calico.conflist", "10-calico.conflist")
TIMER_SCRIPT = "var/lib/podnet/cni-watchdog.sh"

Memory = dict[str, t.Any]


class Scene:
    """The lab, the run, and what a fault has to remember until it is lifted. C(node) is the one that things happen to."""

    def __init__(self, lab: Lab, api: ClusterApi, log: Path, node: str) -> None:
        self.lab = lab
        self.api = api
        self.log = log
        self.node = node
        self.process: subprocess.Popen[bytes] | None = None
        self.memory: Memory = {}

    def output(self) -> str:
        """What the run has said until now."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def running(self) -> bool:
        """Whether the disturbed run goes on."""
        return self.process is not None and self.process.poll() is None

    def on(self, node: str, script: str, check: bool = True) -> str:
        """Run a shell script on a node, as somebody at its console would."""
        return self.lab.run_in(node, ["sh", "-c", script], check=check).stdout

    def root(self, node: str) -> Path:
        """The file system of a node, as this machine sees it."""
        container = next(item.container for item in self.lab.nodes if item.name == node)
        return Path(f"/proc/{self.lab.podman.pid(container)}/root")

    # Where the run is

    def locked(self) -> bool:
        """The run has the lock."""
        return self.api.get_or_none(LOCK) is not None

    def cordoned(self) -> bool:
        """The node is cordoned, its pods are about to be evicted."""
        return bool(self.api.get(f"/api/v1/nodes/{self.node}")["spec"].get("unschedulable"))

    def switched(self) -> bool:
        """The timer of the node is armed and Calico's configuration is the active one."""
        root = self.root(self.node)
        return (root / TIMER_SCRIPT).exists() and any((root / CONFIGURATIONS / name).exists() for name in OF_CALICO)

    def replugging(self) -> bool:
        """A pod of the node is being moved as it runs."""
        return bool(replug_steps.stages(self.root(self.node)))

    def back_on_flannel(self) -> bool:
        """Flannel's configuration is the active one of the node."""
        folder = self.root(self.node) / CONFIGURATIONS
        return folder.is_dir() and not any((folder / name).exists() for name in OF_CALICO)

    def calico_starting(self) -> bool:
        """The DaemonSet of calico-node is there and not Ready everywhere."""
        return self.api.get_or_none(CALICO_NODE) is not None

    def moved(self) -> bool:
        """The run has moved a node and goes on with the next one."""
        lease = self.api.get_or_none(LOCK)
        run = lease["spec"].get("holderIdentity") if lease else None
        records = node_records(self.api.get_or_none(JOURNAL))
        return any(record.get("run") == run and record.get("phase") == "moved" for record in records.values())

    def quieting(self) -> bool:
        """All nodes are on Calico; the run looks whether Flannel's device is quiet."""
        return "Wait while nothing should be sent" in self.output()

    def calico_gone(self) -> bool:
        """The DaemonSet of calico-node is not there any more."""
        return self.api.get_or_none(CALICO_NODE) is None

    def flannel_gone(self) -> bool:
        """The DaemonSet of Flannel is not there any more."""
        return self.api.get_or_none(FLANNEL) is None
