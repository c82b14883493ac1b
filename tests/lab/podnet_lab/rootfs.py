# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root file systems of Debian bookworm: one for nodes, with systemd, and a small one for images."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tooling.places import key_of

from podnet_lab.cache import cache_folder, publish
from podnet_lab.requirements import DEBIAN_KEYRING, Missing, mirror

SUITE = "bookworm"

IMAGE_PACKAGES = (
    # What workloads and probes use, and what calico-node expects in its image; BIRD 1.6.8 is Calico's routing daemon here.
    "bird", "ca-certificates", "conntrack", "ethtool", "iperf3", "iproute2", "ipset", "iptables", "iputils-ping", "kmod", "libreadline8",
    "nftables", "procps", "python3", "runit", "tcpdump",
)  # fmt: skip
NODE_PACKAGES = (
    "ca-certificates", "conntrack", "dbus", "ethtool", "iperf3", "iproute2", "ipset", "iptables", "iputils-ping", "kmod", "nftables",
    "openssh-server", "procps", "python3", "runc", "systemd", "systemd-sysv", "tcpdump",
)  # fmt: skip

# Units that have no place in a container or would touch the outside.
MASKED_UNITS = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "console-getty.service", "dev-hugepages.mount", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "getty-static.service", "getty@.service", "iperf3.service", "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount", "sys-kernel-config.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
    "systemd-binfmt.service", "systemd-logind.service", "systemd-modules-load.service", "systemd-timesyncd.service", "systemd-udevd.service",
)  # fmt: skip


def bootstrap(folder: Path, packages: tuple[str, ...]) -> None:
    """Run debootstrap, without recommended packages and without starting anything."""
    url = mirror(SUITE)
    downloads = cache_folder() / "debs"
    downloads.mkdir(parents=True, exist_ok=True)
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(sorted(packages))}", f"--cache-dir={downloads}"]
    command += [f"--keyring={DEBIAN_KEYRING}", SUITE, str(folder), *([url] if url else [])]
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        log = folder / "debootstrap" / "debootstrap.log"
        tail = log.read_text(errors="replace")[-3000:] if log.exists() else done.stderr[-3000:]
        raise Missing(
            f"debootstrap failed; is the Debian mirror {url or 'that debootstrap takes by itself'} reachable (PODNET_DEBIAN_MIRROR names"
            f" another one)? Its log ends with:\n{tail}"
        )
    remove_what_only_people_read(folder)
    # Debootstrap copies these from the machine it runs on.
    (folder / "etc/resolv.conf").write_text("")
    (folder / "etc/hostname").write_text("lab\n")


def remove_what_only_people_read(folder: Path) -> None:
    """Documents, translations and the package manager's own caches are half of a small root file system."""
    for pattern in ("usr/share/doc/*", "usr/share/info/*", "usr/share/locale/*", "usr/share/man/*", "var/cache/apt/*", "var/lib/apt/lists/*"):
        for path in folder.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    for name in ("var/cache/apt/archives/partial", "var/lib/apt/lists/partial"):  # apt-get wants them
        (folder / name).mkdir(parents=True, exist_ok=True)


def build_node(folder: Path) -> None:
    """A node: boots with systemd, takes SSH connections with the lab's key only."""
    bootstrap(folder, NODE_PACKAGES)
    units = folder / "etc/systemd/system"
    for unit in MASKED_UNITS:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    (units / "default.target").unlink(missing_ok=True)
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
    for key in (folder / "etc/ssh").glob("ssh_host_*"):  # the lab brings its own
        key.unlink()
    for settings in (folder / "usr/lib/sysctl.d").glob("*.conf"):  # of the whole kernel: the machine's, not the node's
        settings.unlink()
    (folder / "etc/ssh/sshd_config.d/lab.conf").write_text(
        "UseDNS no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nMaxStartups 100\nMaxSessions 100\nUsePAM no\n"
    )
    (folder / "etc/machine-id").write_text("")  # empty: each node makes its own when it starts
    (folder / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    (folder / "etc/sysctl.d/90-kubernetes.conf").write_text("net.ipv4.ip_forward = 1\n")
    for name in ("etc/kubernetes", "etc/cni/net.d", "opt/cni/bin", "var/lib/kubelet", "var/lib/containerd", "root/.ssh", "img"):
        (folder / name).mkdir(parents=True, exist_ok=True)


def build_image_base(folder: Path) -> None:
    """The base layer of every image that needs programs."""
    bootstrap(folder, IMAGE_PACKAGES)
    # Calico's health check runs this client without line editing; Debian's package has only the one with it.
    (folder / "usr/bin/birdcl").symlink_to("../sbin/birdc")


def node_root() -> Path:
    """The nodes' root file system; containers use it through an overlay, so it stays as it is."""
    return publish("roots", "node", key_of(SUITE, *NODE_PACKAGES, Path(__file__).read_bytes()), build_node)


def image_root() -> Path:
    """The images' root file system."""
    return publish("roots", "image", key_of(SUITE, *IMAGE_PACKAGES, Path(__file__).read_bytes()), build_image_base)
