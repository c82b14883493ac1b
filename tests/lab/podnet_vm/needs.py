# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs and files that the virtual machine needs on this one, and the Debian packages that hold them."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from podnet_lab.cache import say
from podnet_lab.errors import LabError
from tooling import packages as debian

PROGRAMS: t.Mapping[str, str] = {
    "chrt": "util-linux",
    "grub-editenv": "grub2-common",
    "grub-mkimage": "grub2-common",
    "mkfs.ext4": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "sfdisk": "fdisk",
    "ssh": "openssh-client",
}
GRUB = Path("/usr/lib/grub/i386-pc")
FILES: t.Mapping[Path, str] = {
    GRUB / "boot.img": "grub-pc-bin",
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"): "debian-archive-keyring",
    Path("/usr/share/seabios/bios-256k.bin"): "seabios",
}


def ensure() -> None:
    """Install the packages that are missing.

    :raises LabError: when that cannot be done.
    """
    if os.geteuid():
        raise LabError("the image is made by mmdebstrap and dpkg in a root file system: run it as root")
    missing = sorted({*debian.missing(PROGRAMS), *(package for path, package in FILES.items() if not path.exists())})
    if not missing:
        return
    say(f"installing {' '.join(missing)} ...")
    try:
        debian.install(missing)
    except debian.MissingPackages as exc:
        raise LabError(str(exc)) from exc
