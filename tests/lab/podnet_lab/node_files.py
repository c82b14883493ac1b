# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's root file system gets on top of the shared one: units and configuration. Pure texts."""

from __future__ import annotations

import typing as t

import yaml

from podnet_lab.images import PAUSE_IMAGE
from podnet_lab.topology import Node, Topology

CONTAINERD_UNIT = """\
[Unit]
Description=containerd
After=network.target

[Service]
# Pods and their volumes need shared mounts, which a container's root does not have.
ExecStartPre=/bin/mount --make-rshared /
ExecStart=/usr/local/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=1
LimitNOFILE=infinity
TasksMax=infinity

[Install]
WantedBy=multi-user.target
"""

# With cgroup v2 the kubelet's own tree needs the controllers at the root of this container's tree.
_DELEGATE = (
    "f=/sys/fs/cgroup/cgroup.subtree_control; [ ! -e $f ] || for c in cpuset cpu io memory pids hugetlb; do echo +$c > $f || true; done 2>/dev/null"
)
_KUBELET_OPTIONS = (
    "--config=/etc/kubernetes/kubelet.yaml --kubeconfig=/etc/kubernetes/kubelet.conf --hostname-override={name} --node-ip={address}"
    " --node-labels=zone={zone},topology.kubernetes.io/zone={zone}"
)
KUBELET_UNIT = f"""\
[Unit]
Description=kubelet
After=containerd.service
Wants=containerd.service

[Service]
ExecStartPre=/bin/sh -c '{_DELEGATE}'
ExecStart=/usr/local/bin/kubelet {_KUBELET_OPTIONS}
Restart=always
RestartSec=1
StartLimitIntervalSec=0

[Install]
WantedBy=multi-user.target
"""

KUBE_PROXY_UNIT = """\
[Unit]
Description=kube-proxy
After=network.target

[Service]
ExecStart=/usr/local/bin/kube-proxy --config=/etc/kubernetes/kube-proxy.yaml
Restart=always
RestartSec=1
StartLimitIntervalSec=0

[Install]
WantedBy=multi-user.target
"""

UNITS = ("containerd.service", "kubelet.service", "kube-proxy.service")


def containerd_config(systemd_cgroups: bool) -> str:
    """Containerd's configuration; lowering the OOM score is not permitted in a container without CAP_SYS_RESOURCE."""
    return f"""\
version = 3

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{PAUSE_IMAGE}'

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = {str(systemd_cgroups).lower()}

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['/opt/cni/bin']
  conf_dir = '/etc/cni/net.d'
"""


def kubelet_config(topology: Topology, systemd_cgroups: bool) -> dict[str, t.Any]:
    """The kubelet's configuration: no eviction and no limits, since nodes share one machine."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "systemd" if systemd_cgroups else "cgroupfs",
        "cgroupRoot": "/",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [topology.dns_address],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%"},
        "enforceNodeAllocatable": [],
        "nodeStatusUpdateFrequency": "4s",
        "resolvConf": "/etc/resolv.conf",
        "registerNode": True,
    }


def kube_proxy_config(topology: Topology, node: Node) -> dict[str, t.Any]:
    """kube-proxy's configuration; connection tracking limits belong to the machine and stay as they are."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": "/etc/kubernetes/kube-proxy.conf"},
        "clusterCIDR": topology.pod_cidr,
        "mode": "iptables",
        "hostnameOverride": node.name,
        "conntrack": {"maxPerCore": 0, "min": 0},
    }


def files(topology: Topology, node: Node, cgroup_v2: bool) -> dict[str, str]:
    """Path in the node to text."""
    hosts = "".join(f"{other.address} {other.name}\n" for other in topology.nodes)
    return {
        "etc/hostname": f"{node.name}\n",
        "etc/hosts": f"127.0.0.1 localhost\n{hosts}",
        # Nobody outside may be asked for names.
        "etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        "etc/containerd/config.toml": containerd_config(cgroup_v2),
        "etc/kubernetes/kubelet.yaml": yaml.safe_dump(kubelet_config(topology, cgroup_v2), sort_keys=False),
        "etc/kubernetes/kube-proxy.yaml": yaml.safe_dump(kube_proxy_config(topology, node), sort_keys=False),
        "etc/systemd/system/containerd.service": CONTAINERD_UNIT,
        "etc/systemd/system/kubelet.service": KUBELET_UNIT.format(name=node.name, address=node.address, zone=node.zone),
        "etc/systemd/system/kube-proxy.service": KUBE_PROXY_UNIT,
        "etc/sysctl.d/90-kubernetes.conf": "net.ipv4.ip_forward = 1\n",
    }
