# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root file systems of Debian bookworm: one for nodes, with systemd, and a small one for images."""

from __future__ import annotations

import subprocess
from pathlib import Path

from podnet_lab.cache import publish
from podnet_lab.requirements import Missing, mirror
from tooling.places import key_of

SUITE = "bookworm"

IMAGE_PACKAGES = (
    # What workloads and probes use, and what calico-node expects in its image; BIRD 1.6.8 is Calico's routing daemon here.
    "bird", "conntrack", "iperf3", "iproute2", "ipset", "iptables", "iputils-ping", "kmod", "libreadline8", "nftables", "procps",
    "python3", "runit", "tcpdump", "ca-certificates",
)  # fmt: skip
NODE_PACKAGES = (
    "ca-certificates", "conntrack", "dbus", "ethtool", "iperf3", "iproute2", "ipset", "iptables", "iputils-ping", "kmod", "nftables",
    "openssh-server", "procps", "python3", "runc", "systemd", "systemd-sysv", "tcpdump",
)  # fmt: skip

# Units that have no place in a container or would touch the outside.
MASKED_UNITS = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer", "getty@.service",
    "console-getty.service", "iperf3.service", "systemd-timesyncd.service", "systemd-logind.service", "systemd-udevd.service",
)  # fmt: skip


def bootstrap(folder: Path, packages: tuple[str, ...]) -> None:
    """Run debootstrap, without recommended packages and without starting anything."""
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(sorted(packages))}", SUITE, str(folder), mirror()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        log = folder / "debootstrap" / "debootstrap.log"
        tail = log.read_text(errors="replace")[-3000:] if log.exists() else done.stderr[-3000:]
        raise Missing(f"debootstrap failed; is the Debian mirror {mirror()} reachable? Its log ends with:\n{tail}")
    for cache in (folder / "var/cache/apt/archives").glob("*.deb"):
        cache.unlink()
    for index in (folder / "var/lib/apt/lists").glob("*_*"):
        index.unlink()


def build_node(folder: Path) -> None:
    """A node: boots with systemd, takes SSH connections with the lab's key only."""
    bootstrap(folder, NODE_PACKAGES)
    units = folder / "etc/systemd/system"
    for unit in MASKED_UNITS:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    for key in (folder / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (folder / "etc/ssh/sshd_config.d/lab.conf").write_text(
        "UseDNS no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nMaxStartups 100\nMaxSessions 100\nUsePAM no\n"
    )
    (folder / "etc/machine-id").write_text("")
    (folder / "etc/sysctl.d/90-kubernetes.conf").write_text("net.ipv4.ip_forward = 1\n")
    for name in ("etc/kubernetes", "etc/cni/net.d", "opt/cni/bin", "var/lib/kubelet", "var/lib/containerd", "root/.ssh", "img"):
        (folder / name).mkdir(parents=True, exist_ok=True)


def build_image_base(folder: Path) -> None:
    """The base layer of every image that needs programs."""
    bootstrap(folder, IMAGE_PACKAGES)
    client = folder / "usr/bin/birdcl"
    if not client.exists():
        client.symlink_to("/usr/sbin/birdcl")


def node_root() -> Path:
    """The nodes' root file system; containers use it through an overlay, so it stays as it is."""
    return publish("roots", "node", key_of(SUITE, *NODE_PACKAGES, Path(__file__).read_bytes()), build_node)


def image_root() -> Path:
    """The images' root file system."""
    return publish("roots", "image", key_of(SUITE, *IMAGE_PACKAGES, Path(__file__).read_bytes()), build_image_base)
