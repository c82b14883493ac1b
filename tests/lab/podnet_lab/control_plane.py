# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control plane: etcd, kube-apiserver, kube-controller-manager and kube-scheduler as plain processes."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from podnet_lab.cluster_api import ApiRefusal, ClusterApi
from podnet_lab.errors import LabError
from podnet_lab.images import Artifacts
from podnet_lab.parts import versions
from podnet_lab.process import Daemon
from podnet_lab.shell import run, wait_for
from podnet_lab.topology import API_PORT, Topology

ETCD_URL = "http://127.0.0.1:2379"

# kubeadm's own groups need these two bindings, which `kubeadm init` would make.
BINDINGS = (
    ("kubeadm:cluster-admins", "cluster-admin", {"kind": "Group", "name": "kubeadm:cluster-admins"}),
    ("podnet-lab:kubelet-api-admin", "system:kubelet-api-admin", {"kind": "User", "name": "kube-apiserver-kubelet-client"}),
)


class ControlPlane:
    """Certificates, kubeconfigs and processes of the control plane."""

    def __init__(self, topology: Topology, artifacts: Artifacts | None, state: Path) -> None:
        self.topology = topology
        self.artifacts = artifacts
        self.state = state
        self.pki = state / "pki"
        self.kubeconfigs = state / "kubeconfigs"
        self.config = state / "kubeadm.yaml"

    @property
    def admin_kubeconfig(self) -> Path:
        """What a cluster's administrator uses."""
        return self.state / "kubeconfig"

    def start(self) -> None:
        """Bring everything up that is not up yet and wait until the API is ready."""
        self.prepare_certificates()
        etcd, apiserver, controller_manager, scheduler = self.daemons()
        etcd.start()
        apiserver.start()

        def ready(api: ClusterApi) -> bool:
            for daemon in (etcd, apiserver):
                daemon.require_alive()
            return api.request("GET", "/readyz") == "ok"

        with ClusterApi(self.kubeconfigs / "super-admin.conf", self.topology.netns("cp")) as api:
            wait_for("/readyz of the API server", 90, lambda: ready(api), f"Look into {apiserver.log} and {etcd.log}.")
            self.bind_roles(api)
        # They exit when RBAC is not bootstrapped yet, so they come last.
        controller_manager.start()
        scheduler.start()

    def stop(self) -> None:
        """End the processes, the API server before etcd."""
        for daemon in reversed(self.daemons()):
            daemon.stop(grace=30)

    def running(self) -> dict[str, int | None]:
        """The pid of each process, None for one that is not there."""
        return {daemon.name: daemon.pid() for daemon in self.daemons()}

    def bind_roles(self, api: ClusterApi) -> None:
        """Give kubeadm's groups and the API server's kubelet client their rights."""
        for name, role, subject in BINDINGS:
            api.apply(
                {
                    "apiVersion": "rbac.authorization.k8s.io/v1",
                    "kind": "ClusterRoleBinding",
                    "metadata": {"name": name},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", **subject}],
                }
            )

    def wait_controllers(self, api: ClusterApi) -> None:
        """Wait until the controller manager works: it makes the default service account."""
        controller_manager = self.daemons()[2]

        def made() -> bool:
            controller_manager.start()
            try:
                return bool(api.get("/api/v1/namespaces/default/serviceaccounts/default"))
            except ApiRefusal:
                return False

        wait_for("the default service account", 60, made, f"Look into {controller_manager.log}.")

    def prepare_certificates(self) -> None:
        """Certificates and kubeconfigs by kubeadm's phases; what exists stays."""
        self.state.mkdir(parents=True, exist_ok=True)
        self.config.write_text(yaml.safe_dump_all(self.kubeadm_documents(), sort_keys=False))
        if not (self.pki / "complete").exists():
            shutil.rmtree(self.pki, ignore_errors=True)
            self.kubeadm("init", "phase", "certs", "all", "--config", str(self.config))
            (self.pki / "complete").touch()
        for name in ("admin", "super-admin", "controller-manager", "scheduler"):
            if not (self.kubeconfigs / f"{name}.conf").exists():
                self.kubeadm("init", "phase", "kubeconfig", name, "--config", str(self.config), "--kubeconfig-dir", str(self.kubeconfigs))
        shutil.copyfile(self.kubeconfigs / "admin.conf", self.admin_kubeconfig)
        self.admin_kubeconfig.chmod(0o600)

    def user_kubeconfig(self, name: str, client: str, group: str | None = None) -> Path:
        """A kubeconfig for a client of the cluster, made once."""
        path = self.kubeconfigs / f"{name}.conf"
        if not path.exists():
            words = ["kubeconfig", "user", "--config", str(self.config), "--client-name", client]
            text = self.kubeadm(*words, *(["--org", group] if group else []))
            temporary = path.with_suffix(".new")
            temporary.touch(mode=0o600)
            temporary.write_text(text)
            temporary.rename(path)
        return path

    def kubeadm(self, *words: str) -> str:
        """Run kubeadm where its address checks see the control plane's addresses."""
        if self.artifacts is None:
            raise LabError("kubeadm is not built: run python3 -m podnet_lab build")
        program = self.artifacts.program("kubernetes", "kubeadm")
        return run(["nsenter", f"--net=/run/netns/{self.topology.netns('cp')}", "--", program, *words]).stdout

    def kubeadm_documents(self) -> list[dict[str, object]]:
        """Kubeadm's configuration."""
        address = self.topology.control_plane_address
        return [
            {
                "apiVersion": "kubeadm.k8s.io/v1beta4",
                "kind": "ClusterConfiguration",
                "kubernetesVersion": versions()["kubernetes"],
                "certificatesDir": str(self.pki),
                "clusterName": self.topology.name,
                "controlPlaneEndpoint": f"{address}:{API_PORT}",
                "encryptionAlgorithm": "ECDSA-P256",
                "networking": {"serviceSubnet": self.topology.service_cidr, "podSubnet": self.topology.pod_cidr},
                "apiServer": {"certSANs": [address, "127.0.0.1"]},
            },
            {
                "apiVersion": "kubeadm.k8s.io/v1beta4",
                "kind": "InitConfiguration",
                "localAPIEndpoint": {"advertiseAddress": address, "bindPort": API_PORT},
                "nodeRegistration": {"name": "cp"},
            },
        ]

    def daemons(self) -> tuple[Daemon, Daemon, Daemon, Daemon]:
        """etcd, API server, controller manager and scheduler, in the order in which they start."""
        pki = self.pki
        topology = self.topology
        manager = self.kubeconfigs / "controller-manager.conf"
        etcd = [
            f"--data-dir={self.state / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={ETCD_URL}",
            f"--advertise-client-urls={ETCD_URL}",
            "--listen-peer-urls=http://127.0.0.1:2380",
        ]
        apiserver = [
            f"--etcd-servers={ETCD_URL}",
            f"--advertise-address={topology.control_plane_address}",
            f"--secure-port={API_PORT}",
            f"--service-cluster-ip-range={topology.service_cidr}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-account-key-file={pki / 'sa.pub'}",
            f"--service-account-signing-key-file={pki / 'sa.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged",
            f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
            f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
        ]
        controller_manager = [
            f"--kubeconfig={manager}",
            f"--authentication-kubeconfig={manager}",
            f"--authorization-kubeconfig={manager}",
            f"--cluster-cidr={topology.pod_cidr}",
            f"--service-cluster-ip-range={topology.service_cidr}",
            "--allocate-node-cidrs",
            f"--node-cidr-mask-size={topology.node_pod_cidr_size}",
            f"--service-account-private-key-file={pki / 'sa.key'}",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--cluster-signing-cert-file={pki / 'ca.crt'}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            "--use-service-account-credentials",
            "--leader-elect=false",
        ]
        scheduler = [f"--kubeconfig={self.kubeconfigs / 'scheduler.conf'}", "--leader-elect=false"]
        return (
            self.daemon("etcd", "etcd", "server", etcd),
            self.daemon("kube-apiserver", "kubernetes", "kube-apiserver", apiserver),
            self.daemon("kube-controller-manager", "kubernetes", "kube-controller-manager", controller_manager),
            self.daemon("kube-scheduler", "kubernetes", "kube-scheduler", scheduler),
        )

    def daemon(self, name: str, part: str, program: str, options: list[str]) -> Daemon:
        """One of the processes."""
        path = str(self.artifacts.program(part, program)) if self.artifacts else program
        return Daemon(name, self.topology.netns("cp"), [path, *options], self.state / "control-plane", self.state / "logs")
