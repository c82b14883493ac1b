#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flannel_remove
short_description: Remove Flannel from a node completely
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Runs on a node whose pods have another CNI already and whose flanneld has gone (M(podnet.cni.flannel_uninstall) removes the DaemonSet).
  - Removes Flannel's devices and bridge with their routes, its routes to nodes of the same subnet, its chains and rules in every table of
    legacy iptables, nft iptables and both ip6tables, host ports of its pods, its nft tables, CNI configurations, plugin, address state and
    run-time files. Rules that are left would go on masquerading traffic of pods.
  - Plugins that other networks use too, such as bridge, host-local, portmap and loopback, stay.
  - Refuses, before anything changes, while Flannel is in use, and tells each reason.
  - Backs up first what it removes. When a step fails, what was removed is put back. At the end it reads the node again, and fails when
    something is still there.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._cni
attributes:
  check_mode:
    support: full
    details:
      - It refuses for the same reasons as outside check mode.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A run that finds nothing changes nothing and writes no backup.
  platform:
    support: full
    platforms: linux
options:
  state:
    description: V(absent) removes Flannel.
    type: str
    choices: [absent]
    default: absent
  force:
    description:
      - Remove Flannel even if a pod uses it, flanneld runs, packets flow, or no other CNI is there.
      - Pods that use it lose their network.
    type: bool
    default: false
  quiet_seconds:
    description: Seconds during which Flannel's devices must carry nothing. V(0) does not look at their counters.
    type: float
    default: 3.0
  quiet_packets:
    description:
      - Packets in O(quiet_seconds), received and sent, that still count as nothing.
      - Devices that are up send a few of IPv6's neighbour and multicast discovery by themselves.
    type: int
    default: 10
  backup_dir:
    description: Folder that gets a folder for the backup, named by the time, readable by root only.
    type: path
    default: /var/lib/podnet/backup
  devices:
    description: Further devices of Flannel's. Those whose names begin with C(flannel) are found without it.
    type: list
    elements: str
    default: []
  remove_plugin_binary:
    description: Whether to remove the plugin C(flannel) from O(cni_bin_dir).
    type: bool
    default: true
  flannel_run_dir:
    description: Folder of Flannel's C(subnet.env).
    type: path
    default: /run/flannel
seealso:
  - module: podnet.cni.flannel_uninstall
  - module: podnet.cni.cni_switch
"""

EXAMPLES = r"""
- name: See what would be removed
  podnet.cni.flannel_remove:
  check_mode: true
  diff: true

- name: Remove Flannel from the node
  podnet.cni.flannel_remove:
    state: absent
    backup_dir: /var/lib/podnet/backup
"""

RETURN = r"""
removed:
  description: What was removed, or would be in check mode. All lists are empty on a node without Flannel.
  returned: always
  type: dict
  contains:
    devices:
      description: Names of devices.
      returned: always
      type: list
      elements: str
    routes:
      description: Routes as iproute2 writes them.
      returned: always
      type: list
      elements: str
    files:
      description: Files and folders, without those of address state.
      returned: always
      type: list
      elements: str
    chains:
      description: Chains with backend (V(nft) or V(legacy)), family and table.
      returned: always
      type: list
      elements: dict
    rules:
      description: Rules in chains of others.
      returned: always
      type: list
      elements: dict
    nft_tables:
      description: Tables of nftables with family and name.
      returned: always
      type: list
      elements: dict
    ipam:
      description: Address state of host-local with network, directory and the addresses that were still handed out.
      returned: always
      type: list
      elements: dict
  sample:
    devices: [flannel.1, cni0]
    routes: [10.244.1.0/24 via 10.244.1.0 dev flannel.1 proto boot onlink]
    files: [/etc/cni/net.d/10-flannel.conflist, /run/flannel/subnet.env, /run/flannel]
    chains: [{backend: nft, family: ip, table: nat, chain: FLANNEL-POSTRTG}]
    rules: [{backend: nft, family: ip, table: nat, chain: POSTROUTING, rule: -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG}]
    nft_tables: []
    ipam: [{network: cbr0, directory: /var/lib/cni/networks/cbr0, addresses: []}]
backup:
  description: Folder of the backup with its C(manifest.json), none when nothing was removed.
  returned: always
  type: str
  sample: /var/lib/podnet/backup/20260101T120000Z
leftovers:
  description: What the node still had of Flannel afterwards, one line each. Empty, or the module fails. Empty in check mode.
  returned: always
  type: list
  elements: str
  sample: []
packets:
  description: Packets that Flannel's devices received and sent in O(quiet_seconds).
  returned: always
  type: int
  sample: 0
"""

import time
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._cni import config_files, host_local
from ansible_collections.podnet.cni.plugins.module_utils._host import (
    backup,
    cni_state,
    commands,
    flannel_reader,
    iproute,
    processes,
)
from ansible_collections.podnet.cni.plugins.module_utils._host.undo import Left, Undo, remove_paths

PURPOSE = "Flannel, removed by podnet.cni.flannel_remove"
NOTHING: dict[str, t.Any] = {"devices": [], "routes": [], "files": [], "chains": [], "rules": [], "nft_tables": [], "ipam": []}


class Refused(Exception):
    """Why Flannel was not removed."""


def option_problem(params: t.Mapping[str, t.Any]) -> str | None:
    """The first wrong option with its value and remedy, or None."""
    if not 0 <= params["quiet_seconds"] <= 3600:
        return f"quiet_seconds: {params['quiet_seconds']} is out of range; give 0 to 3600, where 0 does not look at counters"
    if params["quiet_packets"] < 0:
        return f"quiet_packets: {params['quiet_packets']} is not a number of packets; give 0 or more"
    for index, device in enumerate(params["devices"]):
        if device in ("lo", "vxlan.calico", "tunl0") or device.startswith("cali"):
            return f"devices[{index}]: '{device}' is not Flannel's; name only devices that flanneld made"
    if not params["bridge"]:
        return "bridge: '' is no name; give the name of Flannel's bridge, usually cni0"
    if Path(params["backup_dir"]).is_relative_to(params["flannel_run_dir"]):
        return f"backup_dir: '{params['backup_dir']}' would be removed with flannel_run_dir; give another folder"
    return None


class Remover:
    """Removes Flannel from this node."""

    def __init__(self, module: AnsibleModule) -> None:
        self.params = module.params
        self.check_mode = module.check_mode
        self.places = cni_state.Places.of(module.params)
        self.packets = 0
        self.undo = Undo()

    def read(self) -> flannel_reader.Reading:
        """The node as it is now."""
        return flannel_reader.read(self.places, self.params["bridge"], self.params["devices"], self.params["remove_plugin_binary"])

    def run(self) -> dict[str, t.Any]:
        """Remove it and return the module's results."""
        reading = self.read()
        lines = reading.traces.lines()
        if not lines:
            return self.results(NOTHING, None, [])
        if not self.params["force"]:
            self.refuse_if_used(reading)
        if self.check_mode:
            return self.results(reading.traces.removed(), None, lines)
        folder = self.back_up(reading.traces)
        self.remove(reading.traces, folder)
        left = self.read().traces.lines()
        results = self.results(reading.traces.removed(), str(folder.folder), lines, left)
        if left:
            raise Left(f"Flannel is not gone from this node: {'; '.join(left)}. Something made it again; a backup is in {folder.folder}", results)
        return results

    def results(self, removed: dict[str, t.Any], folder: str | None, before: list[str], left: t.Sequence[str] = ()) -> dict[str, t.Any]:
        """The module's results."""
        return {
            "changed": bool(before),
            "removed": removed,
            "backup": folder,
            "leftovers": list(left),
            "packets": self.packets,
            "diff": {"before": "".join(f"{line}\n" for line in before), "after": "".join(f"{line}\n" for line in left)},
        }

    # Refusing

    def refuse_if_used(self, reading: flannel_reader.Reading) -> None:
        """Refuse with every reason at once."""
        reasons = [*self.users(reading), *self.missing_successor(reading), *self.traffic(reading)]
        if reasons:
            told = " ".join(reasons)
            raise Refused(f"Flannel is still in use on this node, and nothing was changed: {told} Or set force to remove it all the same.")

    def users(self, reading: flannel_reader.Reading) -> list[str]:
        """Pods on the bridge, and flanneld itself."""
        bridge = iproute.bridge_facts(reading.links, self.params["bridge"])
        ports = bridge["ports"] if bridge else []
        reasons = []
        if ports:
            addresses = [lease["address"] for lease in host_local.live_leases(reading.leases, reading.attachments, ports)]
            pods = f" of pods with the addresses {', '.join(addresses)}" if addresses else ""
            reasons.append(f"{self.params['bridge']} has the ports {', '.join(ports)}{pods}; restart these pods on the other network.")
        numbers = processes.named("flanneld")
        if numbers:
            listed = ", ".join(map(str, numbers))
            reasons.append(
                f"flanneld runs (process {listed}) and would make its devices again; remove the DaemonSet first (podnet.cni.flannel_uninstall)."
            )
        return reasons

    def missing_successor(self, reading: flannel_reader.Reading) -> list[str]:
        """A node that would be without a CNI."""
        active = config_files.active(reading.configs)
        if active is None or active["cni"] != "flannel":
            return []
        if reading.active_after is None:
            return [f"{self.places.config} would have no CNI configuration, and no pod could start; install the other CNI first."]
        return [f"new pods still get its network ({active['path']}); make the other CNI active first (podnet.cni.cni_switch)."]

    def traffic(self, reading: flannel_reader.Reading) -> list[str]:
        """Packets through its devices."""
        names = [name for name in reading.traces.devices if name != self.params["bridge"]]
        if not names or not self.params["quiet_seconds"]:
            return []
        before = iproute.packets_of(iproute.read_links(), names)
        time.sleep(self.params["quiet_seconds"])
        self.packets = iproute.packets_of(iproute.read_links(), names) - before
        if self.packets <= self.params["quiet_packets"]:
            return []
        return [
            (
                f"{self.packets} packets went through {', '.join(names)} in {self.params['quiet_seconds']:g} s, and quiet_packets allows "
                f"{self.params['quiet_packets']}; find what sends there (tcpdump -ni {names[0]})."
            )
        ]

    # Backing up

    def back_up(self, traces: flannel_reader.Traces) -> backup.Backup:
        """Keep all that is removed, and what the node looked like."""
        kept = backup.Backup(Path(self.params["backup_dir"]), PURPOSE)
        for path in [*traces.files, *(path for dummy, folder, dummy2 in traces.ipam for path in flannel_reader.tree(folder))]:
            kept.add(path)
        kept.add_network_state()
        kept.add_nft_tables(traces.nft_tables)
        kept.finish({"removed": traces.removed()})
        return kept

    # Removing

    def remove(self, traces: flannel_reader.Traces, kept: backup.Backup) -> None:
        """All of it, or nothing: what cannot be made again, the devices, goes last."""
        try:
            self.undo.remove_firewall(traces.firewall)
            self.undo.remove_nft_tables(traces.nft_tables)
            self.undo.remove_routes(traces.direct_routes)
            self.undo.add("files", kept.restore)
            remove_paths([path for dummy, folder, dummy2 in traces.ipam for path in flannel_reader.tree(folder)])
            remove_paths(traces.files)
            for device in traces.devices:
                commands.run(["ip", "link", "delete", "dev", device])
        except (commands.CommandError, OSError) as exc:
            raise Refused(f"Flannel was not removed: {exc}; {self.undo.told()}. The backup is in {kept.folder}") from exc


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["absent"], "default": "absent"},
            "force": {"type": "bool", "default": False},
            "quiet_seconds": {"type": "float", "default": 3.0},
            "quiet_packets": {"type": "int", "default": 10},
            "backup_dir": {"type": "path", "default": "/var/lib/podnet/backup"},
            "devices": {"type": "list", "elements": "str", "default": []},
            "remove_plugin_binary": {"type": "bool", "default": True},
            **cni_state.OPTIONS,
            "flannel_run_dir": {"type": "path", "default": "/run/flannel"},
        },
        supports_check_mode=True,
    )
    problem = option_problem(module.params)
    if problem:
        module.fail_json(msg=problem)
    remover = Remover(module)
    try:
        results = remover.run()
    except Refused as exc:
        module.fail_json(msg=str(exc), packets=remover.packets)
    except Left as exc:
        module.fail_json(msg=str(exc), **exc.results)
    except (commands.CommandError, OSError) as exc:
        module.fail_json(msg=f"Flannel was not removed from this node: {exc}")
    module.exit_json(**results)


if __name__ == "__main__":
    main()
