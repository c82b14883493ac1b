#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_state
short_description: Tell which kernel runs, which starts by default, and which can be had
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Reads what P(podnet.cni.kernel_upgrade_plan#filter) needs to decide what a host needs so that it runs another kernel.
  - Kernels are looked up in what the package manager (apt, dnf or zypper) has installed and knows from its repositories.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.facts
attributes:
  platform:
    support: full
    platforms: linux
options:
  refresh:
    description:
      - Whether to have the package manager read its repositories anew before. That writes its own lists only, so it is done in check mode too.
    type: bool
    default: false
  packages:
    description:
      - Whether to ask the package manager at all. Without it RV(state.packages), RV(state.metas) and RV(state.manager) are empty, and it is
        quick enough to look again and again.
    type: bool
    default: true
seealso:
  - module: podnet.cni.kernel_install
  - module: podnet.cni.kernel_boot
  - plugin: podnet.cni.kernel_upgrade_plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read which kernels there are
  podnet.cni.kernel_state:
    refresh: true
  register: kernels

- name: Tell whether the host runs what it would start
  ansible.builtin.debug:
    msg: "{{ kernels.state.running }} runs, {{ kernels.state.boot.default }} would be started"
"""

RETURN = r"""
state:
  description: What was read.
  returned: success
  type: dict
  contains:
    running:
      description: Release of the running kernel.
      returned: always
      type: str
      sample: 6.1.0-56-cloud-amd64
    boot_id:
      description: Identifier of this boot. It is another one after a reboot.
      returned: always
      type: str
    uptime:
      description: Seconds since the boot.
      returned: always
      type: float
    boot:
      description: Name of the boot loader, the release that it starts by C(default), the entry that it starts C(once), all C(releases) that
        it has, whether this collection has C(pinned) the default, and in C(problem) and C(remedy) why a kernel cannot be started once.
      returned: always
      type: dict
    packages:
      description: Packages of kernels, their headers and further modules that are installed or can be, with C(name), C(version), C(arch) and
        C(installed).
      returned: always
      type: list
      elements: dict
    metas:
      description: Packages that depend on the newest kernel of a line, with the packages that they depend on.
      returned: always
      type: dict
    installed:
      description: Releases of the kernels whose files are there, the newest first.
      returned: always
      type: list
      elements: str
    manager:
      description: The package manager, empty without one that is known.
      returned: always
      type: str
      sample: apt
    system:
      description: C(id), C(id_like), C(version_id) and C(pretty_name) of C(/etc/os-release).
      returned: always
      type: dict
    immutable:
      description: Kind of a system whose kernel is not changed by packages, such as V(ostree); empty for others.
      returned: always
      type: str
    container:
      description: Kind of container that this is, empty for a machine.
      returned: always
      type: str
    space:
      description: Where kernels lie (C(path)), the bytes that are C(free) there, and those that the running C(kernel) takes.
      returned: always
      type: dict
    trial:
      description: Whether a trial was begun (C(armed)), whether this boot is one (C(on_trial)), of which C(release), and in C(log) what the
        timer of M(podnet.cni.kernel_boot) wrote.
      returned: always
      type: dict
    record:
      description: The C(release) that was kept last and the C(previous) one.
      returned: always
      type: dict
    watchdog:
      description: Whether there is a hardware watchdog (C(device)), its C(identity), and whether something uses it (C(active)).
      returned: always
      type: dict
    reboot_required:
      description: Packages for which the system itself asks for a reboot.
      returned: always
      type: list
      elements: str
    machine:
      description: The architecture.
      returned: always
      type: str
      sample: x86_64
    banner:
      description: What C(uname -v) prints.
      returned: always
      type: str
    secure_boot:
      description: Whether the firmware only starts what is signed.
      returned: always
      type: bool
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._host import kernel_host
from ansible_collections.podnet.cni.plugins.module_utils._host.commands import CommandError


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"refresh": {"type": "bool", "default": False}, "packages": {"type": "bool", "default": True}}, supports_check_mode=True
    )
    try:
        state = kernel_host.read(refresh=module.params["refresh"], packages=module.params["packages"])
    except CommandError as exc:
        module.fail_json(msg=f"the kernels of this host cannot be told: {exc}")
    module.exit_json(changed=False, state=state)


if __name__ == "__main__":
    main()
