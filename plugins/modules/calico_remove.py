#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: calico_remove
short_description: Remove Calico from a node whose pods are on Flannel
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Runs on a node whose pods have all gone back to Flannel, in two steps. First, while calico-node still runs everywhere, every node sends
    packets to pods of others through Flannel (O(state=bypassed)), so that nothing needs the routes that BIRD has. Then, when
    calico-node is gone (M(podnet.cni.calico_uninstall) removes its DaemonSet), what it left is removed (O(state=absent)).
  - Removes routes of BIRD and Felix with their blackholes, Calico's devices, its chains and rules in every table of legacy iptables, nft
    iptables and both ip6tables, host ports of its pods, its nft tables, IP sets, CNI configuration with kubeconfig, plugins, and run-time files.
  - Plugins that other networks use too, such as bridge, portmap and loopback, stay unless O(programs) names them. Logs stay in
    C(/var/log/calico).
  - Refuses, before anything changes, while Calico is in use, and tells each reason.
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
    description:
      - V(bypassed) adds routes to the pods of other nodes over Flannel, with prefixes longer than those of Calico's blocks.
      - V(absent) removes Calico, and those routes at the end.
    type: str
    choices: [bypassed, absent]
    default: absent
  prefix_length:
    description: Prefix length of the routes of O(state=bypassed), one more than that of a block.
    type: int
    default: 27
  force:
    description:
      - Remove Calico even if a pod uses it, calico-node runs, or no other CNI is there.
      - Pods that use it lose their network.
    type: bool
    default: false
  programs:
    description:
      - Further plugins to remove from O(cni_bin_dir), such as those that only came with Calico. One that a remaining CNI configuration
        uses is refused.
    type: list
    elements: str
    default: []
  backup_dir:
    description: Folder that gets a folder for the backup, named by the time, readable by root only.
    type: path
    default: /var/lib/podnet/backup
  flannel_run_dir:
    description: Folder of Flannel's C(subnet.env).
    type: path
    default: /run/flannel
  calico_state_dir:
    description: Folder in which Calico keeps the node's name.
    type: path
    default: /var/lib/calico
  calico_run_dir:
    description: Folder of calico-node's sockets.
    type: path
    default: /run/calico
seealso:
  - module: podnet.cni.calico_uninstall
  - module: podnet.cni.cni_switch
"""

EXAMPLES = r"""
- name: Send packets through Flannel from now on
  podnet.cni.calico_remove:
    state: bypassed
    prefix_length: 27

- name: See what would be removed
  podnet.cni.calico_remove:
    state: absent
  check_mode: true
  diff: true

- name: Remove Calico from the node
  podnet.cni.calico_remove:
    state: absent
"""

RETURN = r"""
removed:
  description: What was removed, or would be in check mode. All lists are empty on a node without Calico, and with O(state=bypassed).
  returned: always
  type: dict
  contains:
    devices:
      description: Names of devices.
      returned: always
      type: list
      elements: str
    addresses:
      description: Addresses of C(tunl0), a device that belongs to the kernel.
      returned: always
      type: list
      elements: str
    routes:
      description: Routes as iproute2 writes them.
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
    sets:
      description: Names of IP sets.
      returned: always
      type: list
      elements: str
    mounts:
      description: Where something was mounted below O(calico_run_dir).
      returned: always
      type: list
      elements: str
    files:
      description: Files and folders.
      returned: always
      type: list
      elements: str
  sample:
    devices: []
    addresses: []
    routes: [blackhole 10.244.1.0/26 proto bird, 10.244.2.0/26 via 172.30.1.1 dev eth0 proto bird]
    chains: [{backend: nft, family: ip, table: filter, chain: cali-FORWARD}]
    rules: [{backend: nft, family: ip, table: filter, chain: FORWARD, rule: -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD}]
    nft_tables: []
    sets: [cali40all-ipam-pools]
    mounts: []
    files: [/opt/cni/bin/calico, /etc/cni/net.d/99-podnet-calico.conflist, /etc/cni/net.d/calico-kubeconfig]
bypass:
  description: Destinations of the routes over Flannel that were added or removed, or would be in check mode.
  returned: always
  type: dict
  sample: {added: [10.244.2.0/27, 10.244.2.32/27], removed: []}
backup:
  description: Folder of the backup with its C(manifest.json), none when nothing was removed.
  returned: always
  type: str
  sample: /var/lib/podnet/backup/20260101T120000Z
leftovers:
  description: What the node still had of Calico afterwards, one line each. Empty, or the module fails. Empty in check mode.
  returned: always
  type: list
  elements: str
  sample: []
"""

import contextlib
import time
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_traces, config_files
from ansible_collections.podnet.cni.plugins.module_utils._host import (
    backup,
    calico_reader,
    cni_state,
    commands,
    files,
    guard_routes,
    ipset,
    processes,
)
from ansible_collections.podnet.cni.plugins.module_utils._host.undo import Left, Undo, remove_paths

PURPOSE = "Calico, removed by podnet.cni.calico_remove"
DAEMON = "calico-node"
SETTLE_SECONDS = 15.0
"""A runtime ends sandboxes a moment after the API has forgotten their pods."""
POLL_SECONDS = 0.5


class Refused(Exception):
    """Why Calico was not removed."""


def option_problem(params: t.Mapping[str, t.Any]) -> str | None:
    """The first wrong option with its value and remedy, or None."""
    if not 1 <= params["prefix_length"] <= 32:
        return f"prefix_length: {params['prefix_length']} is not a prefix length of IPv4; give one more than that of a block, usually 27"
    for index, name in enumerate(params["programs"]):
        if "/" in name or name in ("", ".", ".."):
            return f"programs[{index}]: '{name}' is not the name of a plugin; give names of files in cni_bin_dir"
    for option in ("calico_state_dir", "calico_run_dir"):
        if Path(params["backup_dir"]).is_relative_to(params[option]):
            return f"backup_dir: '{params['backup_dir']}' would be removed with {option}; give another folder"
    return None


class Remover:
    """Removes Calico from this node."""

    def __init__(self, module: AnsibleModule) -> None:
        self.params = module.params
        self.check_mode = module.check_mode
        self.places = cni_state.Places.of(module.params)
        self.folders = calico_reader.Folders(Path(module.params["calico_state_dir"]), Path(module.params["calico_run_dir"]))
        self.undo = Undo()
        self.bypass: dict[str, list[str]] = {"added": [], "removed": []}

    def read(self) -> calico_reader.Reading:
        """The node as it is now."""
        return calico_reader.read(self.places, self.folders, [*calico_traces.PROGRAMS, *self.params["programs"]])

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results."""
        return self.run_bypassed() if self.params["state"] == "bypassed" else self.run_absent()

    def results(self, removed: dict[str, t.Any], folder: str | None, before: t.Sequence[str], left: t.Sequence[str] = ()) -> dict[str, t.Any]:
        """The module's results."""
        detours = {key: [f"route {destination} over Flannel" for destination in values] for key, values in self.bypass.items()}
        before, after = [*before, *detours["removed"]], [*left, *detours["added"]]
        return {
            "changed": bool(before or detours["added"]),
            "removed": removed,
            "bypass": self.bypass,
            "backup": folder,
            "leftovers": list(left),
            "diff": {"before": "".join(f"{line}\n" for line in before), "after": "".join(f"{line}\n" for line in after)},
        }

    # Bypassing

    def run_bypassed(self) -> dict[str, t.Any]:
        """Lead packets to pods of other nodes through Flannel."""
        reading = self.read()
        detours = calico_traces.flannel_detours(self.foreign(reading.routes), reading.networks, self.params["bridge"])
        self.refuse_unbypassed(reading, detours)
        try:
            wanted = calico_traces.longer(detours, self.params["prefix_length"])
        except ValueError as exc:
            raise Refused(f"prefix_length: {exc}; give at least the prefix length of the podCIDRs") from exc
        present = guard_routes.detours(reading.routes, self.params["bridge"])
        missing = [detour for detour in wanted if detour not in present]
        stale = [detour for detour in present if detour not in wanted]
        self.bypass = {"added": [detour.destination for detour in missing], "removed": [detour.destination for detour in stale]}
        if not self.check_mode:
            guard_routes.add_detours(missing)
            guard_routes.remove_detours(stale)
        return self.results(calico_reader.NOTHING.removed(), None, [])

    @staticmethod
    def foreign(routes: t.Iterable[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
        """Routes that are not ours."""
        return [route for route in routes if route["metric"] != guard_routes.METRIC]

    def refuse_unbypassed(self, reading: calico_reader.Reading, detours: t.Sequence[calico_traces.Detour]) -> None:
        """Refuse when a pod of another node could only be reached with Calico's routes."""
        if not reading.networks:
            raise Refused("Flannel's subnet.env is not on this node, so that flanneld does not run here; install Flannel first")
        carried = [route for route in self.foreign(reading.routes) if calico_traces.is_carried(route)]
        left = calico_traces.uncovered(carried, detours, reading.networks)
        if left:
            raise Refused(
                f"Flannel has no way to {', '.join(left)}, which Calico's routes lead to, and nothing was changed; see that flanneld is Ready on "
                "every node and that Flannel's routes are there (ip route show dev flannel.1), then run again"
            )

    # Removing

    def run_absent(self) -> dict[str, t.Any]:
        """Remove everything of Calico's."""
        reading = self.settled()
        lines = reading.traces.lines()
        detours = guard_routes.detours(reading.routes, self.params["bridge"])
        self.bypass = {"added": [], "removed": [detour.destination for detour in detours]}
        if not self.params["force"]:
            self.refuse_if_used(reading)
        self.refuse_programs_in_use(reading)
        if self.check_mode:
            return self.results(reading.traces.removed(), None, lines)
        folder = self.back_up(reading.traces) if lines else None
        if folder:
            self.remove(reading.traces, folder)
        guard_routes.remove_detours(detours)
        left = self.read().traces.lines() if lines else []
        results = self.results(reading.traces.removed(), str(folder.folder) if folder else None, lines, left)
        if left:
            raise Left(f"Calico is not gone from this node: {'; '.join(left)}. Something made it again; a backup is in {results['backup']}", results)
        return results

    def settled(self) -> calico_reader.Reading:
        """The node once the runtime has ended what is ending."""
        deadline = time.monotonic() + (0 if self.check_mode else SETTLE_SECONDS)
        while True:
            reading = self.read()
            if not reading.pods or self.params["force"] or time.monotonic() >= deadline:
                return reading
            time.sleep(POLL_SECONDS)

    def refuse_if_used(self, reading: calico_reader.Reading) -> None:
        """Refuse with every reason at once."""
        reasons = []
        if reading.pods:
            reasons.append(f"pods with the addresses {', '.join(reading.pods)} have their network from it; restart them on the other network.")
        numbers = processes.named(DAEMON)
        if numbers:
            listed = ", ".join(map(str, numbers))
            reasons.append(
                f"{DAEMON} runs (process {listed}) and would make its routes and rules again; remove the DaemonSet first "
                "(podnet.cni.calico_uninstall)."
            )
        active = config_files.active(reading.configs)
        if active and active["cni"] == "calico":
            if reading.active_after is None:
                reasons.append(f"{self.places.config} would have no CNI configuration, and no pod could start; install the other CNI first.")
            else:
                reasons.append(f"new pods still get its network ({active['path']}); make the other CNI active first (podnet.cni.cni_switch).")
        if reasons:
            told = " ".join(reasons)
            raise Refused(f"Calico is still in use on this node, and nothing was changed: {told} Or set force to remove it all the same.")

    def refuse_programs_in_use(self, reading: calico_reader.Reading) -> None:
        """Refuse to take a plugin away that a configuration needs which stays."""
        for config in reading.configs:
            if config["cni"] == "calico" or not config["valid"]:
                continue
            needed = config_files.programs_of(config["path"], files.read_bytes(config["path"]) or b"{}")
            used = [name for name in self.params["programs"] if name in needed]
            if used:
                raise Refused(f"programs: {', '.join(used)} is used by {config['path']}, which stays, and nothing was changed; leave it out")

    def back_up(self, traces: calico_reader.Traces) -> backup.Backup:
        """Keep all that is removed, and what the node looked like."""
        kept = backup.Backup(Path(self.params["backup_dir"]), PURPOSE)
        for path in traces.files:
            kept.add(path)
        kept.add_network_state()
        kept.add_nft_tables(traces.nft_tables)
        kept.finish({"removed": traces.removed()})
        return kept

    def remove(self, traces: calico_reader.Traces, kept: backup.Backup) -> None:
        """All of it, or nothing: what cannot be made again, mounts and devices, goes last.

        Sets go when all that used them has gone for good, since rules could not be put back without them. One that somebody else uses is
        told by the reading at the end.
        """
        try:
            self.undo.remove_routes(traces.other_routes)
            self.undo.remove_firewall(traces.firewall)
            self.undo.remove_nft_tables(traces.nft_tables)
            self.undo.add("files", kept.restore)
            for path in traces.mounts:
                commands.run(["umount", path])
            remove_paths(traces.files)
            for device in traces.devices:
                commands.run(["ip", "link", "delete", "dev", device])
            if traces.tunnel_addresses:
                commands.run(["ip", "address", "flush", "dev", calico_traces.IPIP])
                commands.run(["ip", "link", "set", "dev", calico_traces.IPIP, "down"])
        except (commands.CommandError, OSError) as exc:
            raise Refused(f"Calico was not removed: {exc}; {self.undo.told()}. The backup is in {kept.folder}") from exc
        for name in traces.sets:
            with contextlib.suppress(OSError):
                ipset.destroy(name)


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["bypassed", "absent"], "default": "absent"},
            "prefix_length": {"type": "int", "default": 27},
            "force": {"type": "bool", "default": False},
            "programs": {"type": "list", "elements": "str", "default": []},
            "backup_dir": {"type": "path", "default": "/var/lib/podnet/backup"},
            **cni_state.OPTIONS,
            "flannel_run_dir": {"type": "path", "default": "/run/flannel"},
            "calico_state_dir": {"type": "path", "default": "/var/lib/calico"},
            "calico_run_dir": {"type": "path", "default": "/run/calico"},
        },
        supports_check_mode=True,
    )
    problem = option_problem(module.params)
    if problem:
        module.fail_json(msg=problem)
    try:
        results = Remover(module).run()
    except Refused as exc:
        module.fail_json(msg=str(exc))
    except Left as exc:
        module.fail_json(msg=str(exc), **exc.results)
    except (commands.CommandError, OSError) as exc:
        module.fail_json(msg=f"Calico was not removed from this node: {exc}")
    module.exit_json(**results)


if __name__ == "__main__":
    main()
