#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_check
short_description: Tell whether a kernel can carry a CNI
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Judges the running kernel of a host, or a kernel that lies in a mounted image, for each wanted profile. The profiles of this collection
    are V(flannel), V(calico_iptables), V(calico_nftables), V(calico_ebpf), V(cilium) by version and feature, and V(kube_proxy_nftables).
  - Features count before versions. It asks the kernel itself, then reads its configuration, then its modules, and goes by the version only
    for what none of them tells. So kernels to which a vendor has brought newer features are judged by what they can do.
  - What cannot be found out is unknown, which is neither a pass nor a failure.
  - What is required, with source and date, and kernels that are known to fail, are data in C(plugins/plugin_utils/kernel_profiles) of the
    collection. O(profile_files) adds more.
  - It does not fail because of what it finds. Look at RV(passed) and RV(findings), or use the playbook C(podnet.cni.kernel_preflight).
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.facts
attributes:
  action:
    description: Has a corresponding action plugin, which reads the profiles on the controller.
    support: full
  platform:
    support: full
    platforms: linux
options:
  profiles:
    description:
      - What to judge, as V(NAME), V(NAME:VERSION) or V(NAME:VERSION+FEATURE+FEATURE), in a list or as text with commas; or as mappings with
        C(name), C(version) and C(features). All profiles without it.
      - Without a version the newest one that the data has is meant.
    type: raw
    default: []
  profile_files:
    description: YAML files on the controller with further profiles; one of the same name replaces that of the collection.
    type: list
    elements: path
    default: []
  data:
    description: The profiles themselves. Filled in by the action plugin; give it only to use your own ones and none of the collection.
    type: dict
  root:
    description:
      - Root of a file system, such as V(/mnt/image), or a boot folder, whose kernel is judged instead of the running one. Nothing can be
        probed then; its configuration, modules and release are read.
      - With V(/) and O(kernel) it is a kernel of this host, such as one that was installed and not started yet.
    type: path
  config:
    description: A kernel configuration, plain or compressed, to judge by itself. Excludes O(root).
    type: path
  kernel:
    description: Release of the kernel below O(root), by default the newest, or of that which O(config) belongs to.
    type: str
    default: ''
  probe:
    description:
      - How to ask the running kernel. V(all) loads tiny BPF programs, and in a network namespace that is gone afterwards it makes devices and
        rules, for which the kernel may load modules as it would for a CNI. V(bpf) does without what may load modules, as does check mode.
        V(none) only reads files.
    type: str
    choices: [all, bpf, none]
    default: all
seealso:
  - plugin: podnet.cni.kernel_table
    plugin_type: filter
  - plugin: podnet.cni.kernel_junit
    plugin_type: filter
  - plugin: podnet.cni.kernel_version
    plugin_type: test
"""

EXAMPLES = r"""
- name: Judge the running kernel for everything
  podnet.cni.kernel_check:

- name: Judge it for a version of Cilium with two of its features, and for nftables
  podnet.cni.kernel_check:
    profiles: [cilium:1.20+wireguard+bandwidth_manager, kube_proxy_nftables]
  register: checked

- name: Go no further when something is missing
  ansible.builtin.assert:
    that: checked.passed
    fail_msg: "{{ checked.required_actions | map(attribute='action') | join(' ') }}"

- name: Judge a kernel that was installed before it is started
  podnet.cni.kernel_check:
    root: /
    kernel: 6.12.117+deb12-amd64
    profiles: [calico_ebpf]

- name: Judge the newest kernel in an image that is mounted
  podnet.cni.kernel_check:
    root: /mnt/image
    profiles: [calico_ebpf]
  delegate_to: localhost
"""

RETURN = r"""
kernel:
  description: The kernel that was judged, and how.
  returned: success
  type: dict
  contains:
    release:
      description: Its release.
      returned: always
      type: str
      sample: 6.1.0-28-amd64
    family:
      description: Its vendor as the release shows it, empty when it does not.
      returned: always
      type: str
      sample: debian
    upstream:
      description: Version of upstream with the patch level, none where the vendor hides it.
      returned: always
      type: str
      sample: 6.1.119
    running:
      description: Whether it is the running kernel.
      returned: always
      type: bool
    config:
      description: The configuration that was read, empty when none was found.
      returned: always
      type: str
      sample: /boot/config-6.1.0-28-amd64
    modules:
      description: The folder of modules that was read, empty when none was found.
      returned: always
      type: str
      sample: /lib/modules/6.1.0-28-amd64
    others:
      description: Other kernels below O(root), which were not judged.
      returned: always
      type: list
      elements: str
    probes:
      description: What the running kernel answered, by probe.
      returned: always
      type: dict
profiles:
  description: One record for each wanted profile.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      returned: always
      type: str
      sample: cilium
    title:
      description: Its name for people.
      returned: always
      type: str
      sample: Cilium
    version:
      description: The version that was meant, empty for profiles without versions.
      returned: always
      type: str
      sample: "1.20"
    features_wanted:
      description: Features that were asked for.
      returned: always
      type: list
      elements: str
    verdict:
      description: One of V(supported), V(unsupported), V(unknown).
      returned: always
      type: str
      sample: supported
    features:
      description: The verdict of every feature that the profile has, asked for or not.
      returned: always
      type: dict
      sample: {wireguard: supported, netkit: unsupported}
    requirements:
      description: Every requirement that was asked for, whether it is met (V(yes), V(no), V(unknown)), which way told so, and what it saw.
      returned: always
      type: list
      elements: dict
findings:
  description: What is missing, doubtful or known to fail, with C(id), C(severity), C(subject), C(evidence), C(why), C(remedy) and C(source).
  returned: success
  type: list
  elements: dict
required_actions:
  description: What has to be done before the kernel can carry all that is wanted.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: What to do.
      returned: always
      type: str
    findings:
      description: Ids of the findings that it resolves.
      returned: always
      type: list
      elements: str
passed:
  description: Whether no finding is a blocker.
  returned: success
  type: bool
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._host import kernel_facts
from ansible_collections.podnet.cni.plugins.module_utils._host.kernel_files import NotFound
from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_data, kernel_judge


def read_facts(params: t.Mapping[str, t.Any], needs: kernel_facts.Needs, check_mode: bool) -> dict[str, t.Any]:
    """Facts of the kernel that the options name.

    :raises NotFound: when there is none.
    """
    if params["config"]:
        return kernel_facts.config_facts(needs, params["config"], params["kernel"])
    if params["root"] and (params["root"] != "/" or params["kernel"]):
        return kernel_facts.stored_facts(needs, params["root"], params["kernel"])
    if params["kernel"]:
        raise NotFound(f"kernel: '{params['kernel']}' is only of use with root or config; without them the running kernel is judged")
    depth = "bpf" if check_mode and params["probe"] == "all" else params["probe"]
    return kernel_facts.running_facts(needs, depth)


def about(facts: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The kernel as the module tells it."""
    kernel = kernel_judge.Kernel(facts)
    return {
        "release": kernel.release.text,
        "family": kernel.release.family,
        "upstream": ".".join(map(str, kernel.upstream)) if kernel.upstream else None,
        "running": facts["running"],
        "config": facts["config"]["source"],
        "modules": facts["modules"]["source"],
        "others": facts["others"],
        "probes": facts["probes"],
    }


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "profiles": {"type": "raw", "default": []},
            "profile_files": {"type": "list", "elements": "path", "default": []},
            "data": {"type": "dict"},
            "root": {"type": "path"},
            "config": {"type": "path"},
            "kernel": {"type": "str", "default": ""},
            "probe": {"type": "str", "choices": ["all", "bpf", "none"], "default": "all"},
        },
        mutually_exclusive=[("root", "config")],
        supports_check_mode=True,
    )
    if module.params["data"] is None:
        module.fail_json(msg="data: no profiles were given; run the module as podnet.cni.kernel_check, whose action reads them on the controller")
    try:
        wishes = kernel_data.read_wishes(module.params["profiles"], kernel_data.read_profiles(module.params["data"]))
        facts = read_facts(module.params, kernel_data.needs(wishes), module.check_mode)
        verdict = kernel_judge.judge(facts, wishes)
    except (NotFound, ValueError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, kernel=about(facts), **verdict)


if __name__ == "__main__":
    main()
