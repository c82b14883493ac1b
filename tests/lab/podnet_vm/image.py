# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk of the machine: a root file system of Debian bookworm with GRUB on an MBR, made without loop devices and without mounts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from podnet_lab.cache import publish
from podnet_lab.shell import run
from tooling.places import key_of

from podnet_vm import kernels
from podnet_vm.needs import GRUB

DISK = "disk.raw"
KEY = "id_ed25519"
MIB = 2**20
SIZE_MIB = 3072
PARTITION_MIB = 1
FILE_SYSTEM = "5d3a1f3c-6f1c-4b69-9c37-0d8a4c1b7e21"
COMMAND_LINE = "console=ttyS0 net.ifnames=0"
PACKAGES = (
    # As on a server, and what Ansible needs. The kernel's own package brings the initramfs.
    "dbus", "grub-pc", "initramfs-tools", "iproute2", "kmod", "openssh-server", "procps", "python3", "systemd-sysv", "udev", "zstd",
)  # fmt: skip
# What is of no use without a network, a screen or a second disk, and costs seconds in a machine that is emulated.
MASKED = (
    "apt-daily-upgrade.timer", "apt-daily.timer", "dev-hugepages.mount", "dev-mqueue.mount", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "getty.target", "getty-static.service", "modprobe@drm.service", "modprobe@efi_pstore.service",
    "modprobe@fuse.service", "serial-getty@ttyS0.service", "sys-fs-fuse-connections.mount", "sys-kernel-config.mount", "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount", "systemd-networkd.service", "systemd-networkd.socket", "systemd-pstore.service", "systemd-timesyncd.service",
    "systemd-tmpfiles-clean.timer", "systemd-update-utmp-runlevel.service", "systemd-update-utmp.service",
)  # fmt: skip
MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "ext4", "crc32c_generic")

# The address that QEMU's network gives. Below /etc/podnet-fault the tests ask for a fault in kernels of a release.
NETWORK_UNIT = """\
[Unit]
Description=The network card
DefaultDependencies=no
Before=network.target ssh.service
After=systemd-remount-fs.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /etc/network.sh

[Install]
WantedBy=sysinit.target
"""
NETWORK_SCRIPT = """\
modprobe virtio_net
ip link set lo up
if [ -e /etc/podnet-fault/no-network ] && uname -r | grep -qxFf /etc/podnet-fault/no-network; then
  echo 'fault: no network with this kernel' > /dev/console
  exit 0
fi
ip address add 10.0.2.15/24 dev eth0
ip link set eth0 up
"""
HANG_UNIT = """\
[Unit]
Description=A fault
ConditionPathExists=/etc/podnet-fault/hang

[Service]
ExecStart=/bin/sh /etc/hang.sh

[Install]
WantedBy=multi-user.target
"""
# Real-time processes without a limit leave nothing to any other process; interrupts are still taken.
HANG_SCRIPT = """\
uname -r | grep -qxFf /etc/podnet-fault/hang || exit 0
sleep 10
echo 'fault: this machine hangs from now on' > /dev/console
echo -1 > /proc/sys/kernel/sched_rt_runtime_us
for number in $(seq 0 $(($(nproc) - 1))); do
  taskset -c "$number" chrt --fifo 99 sh -c 'while :; do :; done' &
done
wait
"""
GRUB_DEFAULTS = f"""\
GRUB_DEFAULT=0
GRUB_TIMEOUT=1
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="{COMMAND_LINE}"
GRUB_TERMINAL=serial
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_DISABLE_OS_PROBER=true
"""
# The one that starts the machine for the first time; update-grub writes the real one then.
FIRST_CONFIG = """\
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set timeout=0
menuentry 'first' {{
  linux /boot/vmlinuz-{release} root=UUID={uuid} ro {command_line}
  initrd /boot/initrd.img-{release}
}}
"""


def bootstrap(root: Path, release: str, packages: Path) -> None:
    """The root file system."""
    selections = "grub-pc grub-pc/install_devices_empty boolean true\ngrub-pc grub-pc/install_devices multiselect\n"
    (root.parent / "selections").write_text(selections, encoding="utf-8")
    (root.parent / "sources").write_text(kernels.sources() + f"deb [trusted=yes] copy:{packages} ./\n", encoding="utf-8")
    (root.parent / "modules").write_text("\n".join(MODULES) + "\n", encoding="utf-8")
    small = ["path-exclude=/usr/share/doc/*", "path-exclude=/usr/share/man/*", "path-exclude=/usr/share/locale/*", "force-unsafe-io"]
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join([*PACKAGES, f'linux-image-{release}'])}"]
    command += ["--aptopt=Apt::Install-Recommends false", *(f"--dpkgopt={line}" for line in small)]
    command += [
        f"--essential-hook=chroot $1 debconf-set-selections < {root.parent / 'selections'}",
        "--essential-hook=mkdir -p $1/etc/initramfs-tools/conf.d $1/usr/share/initramfs-tools/modules.d",
        "--essential-hook=printf 'MODULES=list\\nCOMPRESS=gzip\\n' > $1/etc/initramfs-tools/conf.d/vm",
        f"--essential-hook=cp {root.parent / 'modules'} $1/usr/share/initramfs-tools/modules.d/vm",
    ]
    run([*command, kernels.SUITE, root, root.parent / "sources"], timeout=1800)


def settle(root: Path, folder: Path, packages: Path) -> None:
    """Names, keys, units and packages of the machine."""

    def put(name: str, text: str, mode: int = 0o644) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)

    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "podnet_vm", "-f", folder / KEY])
    put("root/.ssh/authorized_keys", (folder / f"{KEY}.pub").read_text(encoding="utf-8"), 0o600)
    (root / "root/.ssh").chmod(0o700)
    put("etc/hostname", "vm\n")
    put("etc/hosts", "127.0.0.1 localhost vm\n")
    put("etc/fstab", f"UUID={FILE_SYSTEM} / ext4 errors=remount-ro 0 0\n")
    put("etc/machine-id", "6f0f2b0fd1d64d0f9dd0a4c1fdbd0c11\n")
    put("etc/default/grub", GRUB_DEFAULTS)
    put("etc/network.sh", NETWORK_SCRIPT)
    put("etc/systemd/system/card.service", NETWORK_UNIT)
    put("etc/hang.sh", HANG_SCRIPT)
    put("etc/systemd/system/hang.service", HANG_UNIT)
    put("etc/ssh/sshd_config.d/vm.conf", "UseDNS no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n")
    put("etc/apt/sources.list", "deb [trusted=yes] file:/srv/kernels ./\n")
    for path in (root / "etc/apt/sources.list.d").glob("*"):
        path.unlink()
    shutil.copytree(packages, root / "srv/kernels")
    units = root / "etc/systemd/system"
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    run(["chroot", root, "systemctl", "--quiet", "enable", "card.service", "hang.service"])
    run(["chroot", root, "systemctl", "--quiet", "set-default", "multi-user.target"])
    run(["chroot", root, "apt-get", "update", "-qq"])


def install_grub(root: Path, release: str) -> None:
    """GRUB's own files; there is no device to install it on yet."""
    folder = root / "boot/grub/i386-pc"
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in ("*.mod", "*.lst"):
        for path in GRUB.glob(pattern):
            shutil.copy(path, folder)
    text = FIRST_CONFIG.format(release=release, uuid=FILE_SYSTEM, command_line=COMMAND_LINE)
    (root / "boot/grub/grub.cfg").write_text(text, encoding="utf-8")
    run(["grub-editenv", root / "boot/grub/grubenv", "create"])


def write_disk(root: Path, folder: Path) -> None:
    """One partition behind an MBR with GRUB's first sectors."""
    partition, disk = folder / "partition", folder / DISK
    with open(partition, "wb") as stream:
        stream.truncate((SIZE_MIB - PARTITION_MIB) * MIB)
    # GRUB 2.06 cannot read file systems with these two features.
    features = "^metadata_csum_seed,^orphan_file"
    run(["mkfs.ext4", "-q", "-F", "-U", FILE_SYSTEM, "-O", features, "-E", "root_owner=0:0,lazy_itable_init=0", "-d", root, partition], timeout=600)
    with open(disk, "wb") as stream:
        stream.truncate(SIZE_MIB * MIB)
    run(["sfdisk", "--quiet", disk], stdin=f"label: dos\nstart={PARTITION_MIB}MiB, type=83, bootable\n")
    run(["dd", f"if={partition}", f"of={disk}", "bs=1M", f"seek={PARTITION_MIB}", "conv=notrunc,sparse", "status=none"], timeout=600)
    core = folder / "core.img"
    run(["grub-mkimage", "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub", "-o", core, "biosdisk", "part_msdos", "ext2"])
    if core.stat().st_size > PARTITION_MIB * MIB - 512:
        raise AssertionError("GRUB's core does not fit before the partition")
    with open(disk, "r+b") as stream:
        stream.write((GRUB / "boot.img").read_bytes()[:440])  # the rest of the sector is the partition table
        stream.seek(512)
        stream.write(core.read_bytes())
    partition.unlink()
    core.unlink()


def build(folder: Path) -> None:
    """Root file system and disk."""
    found = kernels.ensure()
    work = folder / "work"
    work.mkdir()
    root = work / "root"
    bootstrap(root, found.old, found.folder)
    settle(root, folder, found.folder)
    install_grub(root, found.old)
    write_disk(root, folder)
    shutil.rmtree(work)
    os.chmod(folder / KEY, 0o600)


def ensure() -> Path:
    """The folder with the disk and the key, made once."""
    found = kernels.ensure()
    sources = [Path(__file__).read_bytes(), Path(kernels.__file__).read_bytes()]
    return publish("vm", "image", key_of(*sources, found.old, *found.new), build)
