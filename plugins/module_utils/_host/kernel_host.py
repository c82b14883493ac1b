# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What matters of a host for another kernel: its system, the kernels that it has and can get, its boot loader, the room in /boot."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._host import boot_loader, files, kernel_files, kernel_package_manager, kernel_trial

BOOT_ID = "proc/sys/kernel/random/boot_id"
_ARCHIVES = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"\x02\x21\x4c\x18", b"\x04\x22\x4d\x18", b"BZh", b"\x89LZO", b"\x5d\x00\x00", b"0707")
"""How compressed archives begin, and cpio itself."""
_INITRDS = ("initrd.img-{}", "initramfs-{}.img", "initrd-{}")
_IMAGES = ("vmlinuz-{}", "vmlinux-{}", "Image-{}")


def os_release(root: Path) -> dict[str, str]:
    """What C(os-release) says, with small keys."""
    text = files.read_text(root / "etc/os-release") or files.read_text(root / "usr/lib/os-release") or ""
    found = {}
    for line in text.splitlines():
        name, sign, value = line.partition("=")
        if sign and not name.startswith("#"):
            found[name.strip().lower()] = " ".join(shlex.split(value))
    return found


def immutable(root: Path, system: t.Mapping[str, str]) -> str:
    """Which kind of system it is whose kernel is not changed by a package, empty for others."""
    if (root / "run/ostree-booted").exists():
        return "ostree"
    identifier = system.get("id", "")
    if identifier in ("flatcar", "talos", "bottlerocket", "cos", "nixos"):
        return identifier
    if (root / "usr/sbin/transactional-update").exists() and not os.access(root / "usr", os.W_OK):
        return "transactional"
    return ""


def container(root: Path) -> str:
    """Which kind of container this is, empty for a machine."""
    kind = (files.read_text(root / "run/systemd/container") or "").strip()
    if kind or (root / "run/.containerenv").exists():
        return kind or "podman"
    return "docker" if (root / ".dockerenv").exists() else ""


def boot_folder(root: Path) -> Path:
    """Where kernels lie."""
    return root / "boot"


def image_of(root: Path, release: str) -> Path | None:
    """The kernel of a release."""
    paths = [boot_folder(root) / name.format(release) for name in _IMAGES]
    paths += [root / folder / release / "vmlinuz" for folder in ("lib/modules", "usr/lib/modules")]
    return next((path for path in paths if path.exists()), None)


def initrd_of(root: Path, release: str) -> Path | None:
    """The initramfs of a release."""
    return next((path for path in (boot_folder(root) / name.format(release) for name in _INITRDS) if path.exists()), None)


def file_problems(root: Path, release: str) -> list[str]:
    """What is wrong with the files of a release, as sentences; none when they are whole as far as that can be seen without starting it."""
    problems = []
    image, initrd = image_of(root, release), initrd_of(root, release)
    if image is None or not image.stat().st_size:
        problems.append(f"there is no kernel {boot_folder(root) / _IMAGES[0].format(release)}")
    if initrd is None:
        problems.append(f"there is no initramfs {boot_folder(root) / _INITRDS[0].format(release)}")
    else:
        with open(initrd, "rb") as stream:
            head = stream.read(8)
        if not head.startswith(_ARCHIVES):
            problems.append(f"{initrd} is no archive")
    folder = kernel_files.module_folder(root, release)
    if folder is None or not (folder / "modules.dep").exists():
        problems.append(f"/lib/modules/{release} has no index of modules (depmod has not run)")
    return problems


def space(root: Path, release: str) -> dict[str, t.Any]:
    """Room where kernels lie, and what the running one takes there."""
    folder = boot_folder(root)
    taken = sum(path.stat().st_size for path in (image_of(root, release), initrd_of(root, release)) if path is not None)
    return {"path": str(folder), "free": shutil.disk_usage(folder).free if folder.is_dir() else 0, "kernel": taken}


def secure_boot(root: Path) -> bool:
    """Whether the firmware only starts what is signed."""
    data = files.read_bytes(root / "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c") or b""
    return len(data) == 5 and data[4] == 1


def read(root: Path = Path("/"), refresh: bool = False, packages: bool = True) -> dict[str, t.Any]:
    """Everything that the judge asks for; without C(packages) what the package manager knows is left out.

    :raises CommandError: when the package manager fails.
    """
    system = os_release(root)
    running = platform.release()
    found: dict[str, t.Any] = {
        "system": {name: system.get(name, "") for name in ("id", "id_like", "version_id", "pretty_name")},
        "machine": platform.machine(),
        "running": running,
        "banner": platform.version(),
        "boot_id": (files.read_text(root / BOOT_ID) or "").strip(),
        "uptime": float((files.read_text(root / "proc/uptime") or "0").split()[0]),
        "container": container(root),
        "immutable": immutable(root, system),
        "manager": "",
        "packages": [],
        "metas": {},
        "installed": [release for release in kernel_files.releases_below(root) if image_of(root, release)],
        "space": space(root, running),
        "secure_boot": secure_boot(root),
        "trial": kernel_trial.read(root),
        "record": kernel_trial.read_record(root),
        "watchdog": kernel_trial.watchdog_state(root),
        "reboot_required": [line for line in (files.read_text(root / "run/reboot-required.pkgs") or "").splitlines() if line],
        "boot": boot_loader.EMPTY,
    }
    if found["container"] or found["immutable"]:
        return found
    found["boot"] = boot_loader.state(root)
    manager = kernel_package_manager.find() if packages else None
    if manager is not None:
        if refresh:
            manager.refresh()
        found.update(manager=manager.name, packages=manager.packages(), metas=manager.metas())
    return found
