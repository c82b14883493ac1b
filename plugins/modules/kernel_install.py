#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_install
short_description: Install exactly one kernel beside the running one, and see that its files are whole
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Installs the given packages with the host's package manager (apt, dnf or zypper), each with exactly the version that it names. Nothing
    is removed, nothing else is upgraded unless a package needs it.
  - Then it looks at what was installed. There must be a kernel, an initramfs that is an archive, the index of its modules, and an entry of
    the boot loader. Where that is not so, or the installation fails, the packages are removed again and the module fails.
  - It does not change which kernel is started, but a package's own scripts may. Use M(podnet.cni.kernel_boot) with C(state=pinned) before.
extends_documentation_fragment:
  - podnet.cni._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: linux
options:
  release:
    description: Release of the kernel that the packages bring, as C(uname -r) will print it.
    type: str
    required: true
  packages:
    description: Packages with their versions, as the package manager writes them, C(name=version) for apt and zypper, C(name-version.arch) for dnf.
    type: list
    elements: str
    default: []
seealso:
  - module: podnet.cni.kernel_state
  - module: podnet.cni.kernel_boot
"""

EXAMPLES = r"""
- name: Install a kernel beside the running one
  podnet.cni.kernel_install:
    release: 6.12.117+deb12-cloud-amd64
    packages:
      - linux-image-6.12.117+deb12-cloud-amd64=6.12.117-1~deb12u1
"""

RETURN = r"""
release:
  description: The release.
  returned: success
  type: str
  sample: 6.12.117+deb12-cloud-amd64
installed:
  description: Packages that were installed, or would be in check mode.
  returned: success
  type: list
  elements: str
image:
  description: The kernel's file, none when it is not there yet in check mode.
  returned: success
  type: str
  sample: /boot/vmlinuz-6.12.117+deb12-cloud-amd64
initrd:
  description: Its initramfs, none when it is not there yet in check mode.
  returned: success
  type: str
  sample: /boot/initrd.img-6.12.117+deb12-cloud-amd64
"""

import re
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._host import boot_loader, kernel_host, kernel_package_manager
from ansible_collections.podnet.cni.plugins.module_utils._host.commands import CommandError

_RPM = re.compile(r"(.+)-([^-]+-[^-]+)\.([^.]+)")


class Failure(Exception):
    """What the module fails with."""


def split_package(text: str) -> tuple[str, str]:
    """Name and version.

    :raises Failure: for a package without a version.
    """
    name, sign, version = text.partition("=")
    if sign and name and version:
        return name, version
    found = _RPM.fullmatch(text)
    if not found:
        raise Failure(f"packages: '{text}' has no version; give NAME=VERSION (apt, zypper) or NAME-VERSION-RELEASE.ARCH (dnf)")
    return found.group(1), found.group(2)


class Installer:
    """Installs, proves, and undoes."""

    def __init__(self, params: t.Mapping[str, t.Any], check_mode: bool, root: Path = Path("/")) -> None:
        self.release = str(params["release"])
        self.packages = list(params["packages"])
        self.check_mode = check_mode
        self.root = root

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results."""
        kind = kernel_host.container(self.root)
        if kind:
            raise Failure(f"this is a container ({kind}), which runs on the kernel of its machine; run it on the machine")
        missing = self._missing()
        if missing and not self.check_mode:
            self._install(missing)
        if not missing or not self.check_mode:
            problems = self.problems()
            if problems:
                self._undo(missing, "; ".join(problems))
        image, initrd = kernel_host.image_of(self.root, self.release), kernel_host.initrd_of(self.root, self.release)
        results: dict[str, t.Any] = {
            "changed": bool(missing),
            "release": self.release,
            "installed": missing,
            "image": str(image) if image else None,
            "initrd": str(initrd) if initrd else None,
        }
        if missing:
            results["diff"] = {"before": {"packages": []}, "after": {"packages": missing}}
        return results

    def _missing(self) -> list[str]:
        """Packages that are not installed in this version.

        :raises Failure: when there is no package manager, or one of them cannot be had.
        """
        if not self.packages:
            return []
        manager = kernel_package_manager.find()
        if manager is None:
            raise Failure("none of apt-get, dnf and zypper is on this host; install the kernel by its own means")
        known = manager.packages()
        have = {(item["name"], item["version"]) for item in known if item["installed"]}
        there = {(item["name"], item["version"]) for item in known}
        wanted = [(package, split_package(package)) for package in self.packages]
        lost = [package for package, parts in wanted if parts not in there]
        if lost:
            raise Failure(
                f"packages: {', '.join(lost)} is in no repository of this host; enable the one that has it, or give a version that is there"
            )
        return [package for package, parts in wanted if parts not in have]

    def problems(self) -> list[str]:
        """What is wrong with what is installed."""
        found = kernel_host.file_problems(self.root, self.release)
        loader = boot_loader.find(self.root)
        if loader is not None and not any(entry.release == self.release for entry in loader.entries()):
            found.append(f"the boot loader ({loader.name}) has no entry for it")
        return found

    def _install(self, packages: t.Sequence[str]) -> None:
        manager = kernel_package_manager.find()
        try:
            if manager is not None:
                manager.install(packages)
        except CommandError as exc:
            self._undo(packages, str(exc))

    def _undo(self, packages: t.Sequence[str], why: str) -> t.NoReturn:
        """Remove what was installed.

        :raises Failure: always.
        """
        text = f"kernel {self.release} cannot be used: {why}"
        manager = kernel_package_manager.find()
        if not packages or manager is None:
            raise Failure(f"{text}. Install its package again, or choose another kernel")
        try:
            manager.remove(packages)
        except CommandError as exc:
            raise Failure(f"{text}. It could not be removed again: {exc}") from exc
        raise Failure(f"{text}. It was removed again")


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"release": {"type": "str", "required": True}, "packages": {"type": "list", "elements": "str", "default": []}},
        supports_check_mode=True,
    )
    try:
        results = Installer(module.params, module.check_mode).run()
    except (Failure, CommandError, OSError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**results)


if __name__ == "__main__":
    main()
