#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cni_switch
short_description: Choose which CNI gives a node's new pods their network, with a way back
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Runs on a node that has Flannel and, beside it, Calico with a CNI configuration that sorts after Flannel's.
  - The switch is one rename. A copy of Calico's configuration gets a name that sorts before all others; Flannel's configuration stays in
    its place. So the way back is to remove the copy.
  - Before the rename a timer of systemd's is armed, which goes that way back by itself unless the change is kept with O(state=committed).
    A timer does not survive a restart of the node; run O(state=calico) again then.
  - Only new pods are concerned. Pods that run keep their network until they are restarted.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._cni
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - With O(state=calico), a timer that waits is set to O(watchdog_seconds) again, which does not count as a change.
  platform:
    support: full
    platforms: linux
options:
  state:
    description:
      - V(prepared) adds O(guard_routes), lets O(bridge) answer ARP for pods that are not on it (Flannel's pods believe that the whole podCIDR
        of their node is), and changes nothing else. When Flannel's configuration is the active one, it releases what Calico's plugins still
        hold for pods that are gone.
      - V(calico) does that, arms the timer, and makes Calico's configuration the active one.
      - V(committed) keeps the change. It disarms the timer, removes the helper files, and releases what Flannel's plugins still hold for
        pods that are gone. It fails when the timer was quicker.
      - V(flannel) makes Flannel's configuration the active one again, also after V(committed), as long as Flannel is installed. Addresses of
        Calico's running pods are kept from Flannel.
      - V(absent) removes what this module leaves behind once Calico is there to stay, or is gone. These are guard routes, settings of
        O(bridge), helper files, O(source), a name of its own for Calico's configuration, and what keeps O(tunnel_address) from Flannel, unless
        the tunnel is still there.
    type: str
    choices: [prepared, calico, committed, flannel, absent]
    required: true
  guard_routes:
    description:
      - Destinations inside the node's podCIDR, one bit longer than a block of Calico's, to route over O(bridge).
      - Calico makes a blackhole route for a whole block with its first address. These routes win against it, and lose against the /32
        routes of Calico's pods.
      - They are of the protocol C(kernel) with metric C(27127). BIRD learns routes of every other protocol and would tell the routers.
      - Nothing to do without O(bridge), since the node has no pods of Flannel then, unless O(create_bridge=true).
    type: list
    elements: str
    default: []
  create_bridge:
    description:
      - With O(state=prepared), make O(bridge) as Flannel's plugin would when the node has none, by what flanneld wrote to C(subnet.env).
        So the first pod that gets Flannel's network can be reached at once.
    type: bool
    default: false
  tunnel_address:
    description:
      - With O(state=prepared), an address that is for Calico's tunnel, which is kept from Flannel as long as Flannel is there, or
        until O(state=absent) finds the tunnel gone.
      - It fails when a pod has it.
    type: str
  source:
    description: Calico's configuration as calico-node writes it. C(99-podnet-calico.conflist) in O(cni_config_dir) by default.
    type: path
  watchdog_seconds:
    description: Seconds after which the node goes back to Flannel by itself, 10 to 86400. V(0) switches without a timer.
    type: int
    default: 120
  reserved_addresses:
    description:
      - Addresses of Flannel's pods that are kept from Calico, by an IPReservation.
      - With O(state=calico) the module refuses when a running pod of Flannel has another one, since Calico could give it away.
    type: list
    elements: str
    default: []
  settle_seconds:
    description: Seconds to wait for pods that are just ending before O(state=calico) refuses because of their addresses.
    type: int
    default: 15
  flannel_run_dir:
    description: Folder of Flannel's C(subnet.env).
    type: path
    default: /run/flannel
  state_dir:
    description: Folder for the helper files between O(state=calico) and O(state=committed).
    type: path
    default: /var/lib/podnet
seealso:
  - module: podnet.cni.flannel_remove
  - module: podnet.cni.node_evict
"""

EXAMPLES = r"""
- name: Keep Flannel's pods reachable when Calico makes routes for their blocks
  podnet.cni.cni_switch:
    state: prepared
    guard_routes: [10.244.1.0/27, 10.244.1.32/27]

- name: Give new pods Calico's network, and go back after two minutes unless it is kept
  podnet.cni.cni_switch:
    state: calico
    guard_routes: [10.244.1.0/27, 10.244.1.32/27]
    reserved_addresses: [10.244.1.7]
    watchdog_seconds: 120

- name: Keep it
  podnet.cni.cni_switch:
    state: committed

- name: Or go back at once
  podnet.cni.cni_switch:
    state: flannel
"""

RETURN = r"""
active_before:
  description: The CNI whose configuration was the active one, none without any.
  returned: always
  type: str
  sample: flannel
active_after:
  description: The CNI whose configuration is the active one now, or would be.
  returned: always
  type: str
  sample: calico
config_file:
  description: The active configuration now, or the one that would be.
  returned: always
  type: str
  sample: /etc/cni/net.d/10-calico.conflist
host_local_addresses:
  description: Addresses that Flannel's address manager has handed out on this node, also those of pods that are gone.
  returned: always
  type: list
  elements: str
  sample: [10.244.1.7]
guard_routes:
  description: What was done about guard routes.
  returned: always
  type: dict
  contains:
    added:
      description: Routes that were added, or would be.
      type: list
      elements: str
      returned: always
    removed:
      description: Routes that were removed, or would be.
      type: list
      elements: str
      returned: always
    skipped:
      description: Why none was added, empty otherwise.
      type: str
      returned: always
  sample: {added: [10.244.1.0/27], removed: [], skipped: ""}
released:
  description: Addresses that Flannel's plugins released for pods that are gone, with O(state=committed).
  returned: always
  type: list
  elements: str
  sample: []
watchdog:
  description: The timer that goes back.
  returned: always
  type: dict
  contains:
    unit:
      description: Name of the systemd unit.
      type: str
      returned: always
    armed:
      description: Whether it waits, or would.
      type: bool
      returned: always
    seconds_left:
      description: Seconds that are left, none when it does not wait.
      type: int
      returned: always
  sample: {unit: podnet-cni-watchdog, armed: true, seconds_left: 120}
"""

import functools
import ipaddress
import itertools
import json
import os
import time
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._cni import config_files, host_local, switch
from ansible_collections.podnet.cni.plugins.module_utils._host import (
    attachments,
    bridge,
    cni_state,
    commands,
    felix_leftovers,
    files,
    guard_routes,
    iproute,
    leases,
    proxy_arp,
    systemd_timer,
    watchdog,
    way_back,
)

SOURCE = "99-podnet-calico.conflist"
RECORD = "cni-switch.json"
BRIDGE_RECORD = "bridge-settings.json"
SHOWN_OF_ID = 13
"""Characters of a sandbox's id, as crictl shows and takes it."""
POLL_SECONDS = 0.25


class Refused(Exception):
    """Why nothing was changed, and what to do."""


def option_problem(params: t.Mapping[str, t.Any]) -> str | None:
    """The first wrong option with its value and remedy, or None."""
    for index, cidr in enumerate(params["guard_routes"]):
        try:
            ipaddress.IPv4Network(cidr)
        except ValueError as exc:
            return f"guard_routes[{index}]: '{cidr}' is not an IPv4 network ({exc}); give its first address and prefix length, such as 10.244.1.0/27"
    for index, address in enumerate(params["reserved_addresses"]):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            return f"reserved_addresses[{index}]: '{address}' is not an address; give addresses of pods, such as 10.244.1.7"
    if params["tunnel_address"] is not None:
        try:
            ipaddress.IPv4Address(params["tunnel_address"])
        except ValueError:
            return f"tunnel_address: '{params['tunnel_address']}' is not an IPv4 address; give one of the node's podCIDR, such as 10.244.1.253"
    if params["settle_seconds"] < 0:
        return f"settle_seconds: {params['settle_seconds']} is not a duration; give 0 or more"
    return way_back.seconds_problem(params["watchdog_seconds"], "switch without a timer")


class Switch:
    """Carries out one state."""

    def __init__(self, module: AnsibleModule) -> None:
        self.params = module.params
        self.check_mode = module.check_mode
        self.warn = module.warn
        self.places = cni_state.Places.of(module.params)
        self.folder = Path(module.params["state_dir"])
        self.record = self.folder / RECORD
        self.source = Path(module.params["source"] or self.places.config / SOURCE)
        self.configs = cni_state.read_configs(self.places)
        self.active = config_files.active(self.configs)
        self.timer = systemd_timer.read(watchdog.UNIT)
        self.uncommitted = self.record.exists()
        self.ports = self.bridge_ports()
        self.routes: dict[str, t.Any] = {"added": [], "removed": [], "skipped": ""}
        self.released: list[str] = []
        self.changes: list[str] = []

    # What is there

    def bridge_ports(self) -> list[str] | None:
        """Ports of Flannel's bridge, None without it."""
        facts = iproute.bridge_facts(iproute.read_links(), self.params["bridge"])
        return facts["ports"] if facts else None

    def flannel_leases(self) -> list[host_local.Lease]:
        """What host-local has handed out for Flannel, without what we keep from it."""
        by_network = cni_state.read_leases(self.places)
        found = itertools.chain.from_iterable(by_network.get(network, []) for network in self.networks())
        return [lease for lease in found if lease["container_id"] not in host_local.OURS]

    def networks(self) -> list[str]:
        """Names of Flannel's networks."""
        return host_local.flannel_networks(self.configs, self.known_pods())

    def known_pods(self) -> list[host_local.Attachment]:
        """What the CNI library remembers of pods."""
        return list(itertools.chain.from_iterable(cni_state.read_attachments(self.places).values()))

    def lease_folder(self) -> Path:
        """host-local's folder of Flannel's network."""
        named = next((config["network_name"] for config in self.configs if config["valid"] and config["cni"] == "flannel"), None)
        return self.places.leases / (named or "cbr0")

    # Running

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results."""
        before = self.summary(self.active, self.timer.armed)
        predicted = getattr(self, f"run_{self.params['state']}")()
        if self.check_mode:
            active, armed = predicted
            left = self.params["watchdog_seconds"] if armed else None
        else:
            active = config_files.active(cni_state.read_configs(self.places))
            armed, left = systemd_timer.read(watchdog.UNIT)
        return {
            "changed": bool(self.changes),
            "active_before": switch.cni_of(self.active),
            "active_after": switch.cni_of(active),
            "config_file": active["path"] if active else None,
            "host_local_addresses": sorted({lease["address"] for lease in self.flannel_leases()}, key=ipaddress.ip_address),
            "guard_routes": self.routes,
            "released": self.released,
            "watchdog": {"unit": watchdog.UNIT, "armed": armed, "seconds_left": left},
            "diff": {
                "before": {**before, "guard_routes": self.routes["removed"]},
                "after": {**self.summary(active, armed), "guard_routes": self.routes["added"], "changes": self.changes},
            },
        }

    @staticmethod
    def summary(active: config_files.CniConfig | None, armed: bool) -> dict[str, t.Any]:
        """One side of the difference."""
        return {"cni": switch.cni_of(active), "config_file": active["path"] if active else None, "watchdog": armed}

    def change(self, text: str, action: t.Callable[[], t.Any]) -> None:
        """Do something, or only say so in check mode."""
        self.changes.append(text)
        if not self.check_mode:
            action()

    def prepare_bridge(self) -> None:
        """Keep Flannel's pods and Calico's within reach of each other on this node."""
        self.add_guard_routes()
        before = proxy_arp.missing(self.params["bridge"]) if self.ports is not None else {}
        if before:
            self.change(f"let {self.params['bridge']} answer ARP for pods of Calico's", lambda: self.answer_arp(before))

    def answer_arp(self, before: t.Mapping[str, str]) -> None:
        """Remember the values before the first change only: a bridge that was made again meanwhile has the kernel's."""
        record = self.folder / BRIDGE_RECORD
        if not record.exists():
            files.write_atomically(record, json.dumps(before).encode())
        proxy_arp.answer(self.params["bridge"])

    def restore_bridge(self) -> None:
        """Put the settings of the bridge back, and forget them."""
        record = self.folder / BRIDGE_RECORD
        text = files.read_text(record)
        if text is None:
            return
        self.change("put the settings of the bridge back", lambda: proxy_arp.restore(json.loads(text)))
        self.change(f"remove {record}", lambda: files.remove(record))

    def add_guard_routes(self) -> None:
        """Add the guard routes that are missing."""
        wanted = self.params["guard_routes"]
        if not wanted:
            return
        if self.ports is None:
            self.routes["skipped"] = f"this node has no {self.params['bridge']}: no pod of Flannel needs them"
            return
        present = guard_routes.read(self.params["bridge"])
        missing = [cidr for cidr in wanted if cidr not in present]
        if missing:
            self.routes["added"] = missing
            self.change(f"add {len(missing)} guard routes", lambda: guard_routes.add(self.params["bridge"], missing))

    # States; each returns the active configuration and whether the timer waits, as they will be

    Prediction = tuple[t.Optional[config_files.CniConfig], bool]

    def run_prepared(self) -> Prediction:
        """State prepared."""
        if self.ports is None and self.params["create_bridge"]:
            self.create_bridge()
        self.prepare_bridge()
        if self.params["tunnel_address"]:
            self.keep_tunnel_address(self.params["tunnel_address"])
        if switch.cni_of(self.active) == "flannel":
            self.release_gone_pods("calico", [link["ifname"] for link in iproute.read_links()])
        return self.active, self.timer.armed

    def keep_tunnel_address(self, address: str) -> None:
        """Take an address as a pod of Flannel's would."""
        folder = self.lease_folder()
        taken = f"tunnel_address: '{address}' is that of a pod ({folder / address}); read the node again and choose another one"
        owner = leases.owner_of(folder, address)
        if owner == host_local.TUNNEL:
            return
        if owner is not None:
            raise Refused(taken)

        def take() -> None:
            if not leases.take(folder, address, host_local.TUNNEL):
                raise Refused(taken)

        self.change(f"keep {address} for Calico's tunnel", take)

    def create_bridge(self) -> None:
        """Make Flannel's bridge before its first pod."""
        environment = cni_state.read_subnet_env(self.places) or {}
        if "FLANNEL_SUBNET" not in environment:
            raise Refused(
                f"create_bridge: '{self.places.flannel}/subnet.env' does not say which addresses this node has; wait until flanneld is Ready "
                "on this node"
            )
        name, address, mtu = self.params["bridge"], environment["FLANNEL_SUBNET"], environment.get("FLANNEL_MTU", "1450")
        self.change(f"make the bridge {name} with {address}", lambda: bridge.create(name, address, int(mtu)))
        if not self.check_mode:
            self.ports = self.bridge_ports()

    def run_calico(self) -> Prediction:
        """State calico."""
        if self.active and self.active["cni"] == "calico":
            return self.run_calico_again(self.active)
        content = self.source_content()
        name = self.name_for_copy()
        copy = self.places.config / name
        if self.params["watchdog_seconds"]:
            self.require_timer()
        self.refuse_unreserved_addresses()
        self.prepare_bridge()
        self.change(f"make {copy} the active configuration", lambda: self.make_active(copy, content))
        return config_files.parse(str(copy), content), bool(self.params["watchdog_seconds"])

    def run_calico_again(self, active: config_files.CniConfig) -> Prediction:
        """State calico on a node that has it: a change that is not kept yet gets all its time again."""
        self.prepare_bridge()
        waiting = self.timer.armed or self.uncommitted
        if waiting and self.params["watchdog_seconds"]:
            self.require_timer()
            if not self.timer.armed:
                self.changes.append("arm the timer again")
            if not self.check_mode:
                self.arm(Path(active["path"]))
        return active, waiting and bool(self.params["watchdog_seconds"])

    def require_timer(self) -> None:
        """Refuse a timer on a node that cannot have one."""
        try:
            way_back.require()
        except commands.CommandError as exc:
            raise Refused(f"watchdog_seconds: {exc}; install systemd, or set it to 0 to switch without a way back by itself") from exc

    def name_for_copy(self) -> str:
        """The copy's name, if Flannel is what it is to go before."""
        if switch.cni_of(self.active) != "flannel":
            found = f"is that of '{switch.cni_of(self.active)}' ({self.active['path']})" if self.active else "does not exist"
            raise Refused(
                f"cni_config_dir: the active configuration in '{self.places.config}' {found}, and this module moves a node from Flannel to "
                "Calico; give the folder that the container runtime reads"
            )
        name = switch.name_for_copy(self.configs)
        if name is None:
            first = self.configs[0]["path"]
            raise Refused(f"cni_config_dir: '{first}' sorts before {' and '.join(switch.NAMES)}; rename it, so that Calico's can be the first")
        return name

    def source_content(self) -> bytes:
        """Calico's configuration, if pods could be given a network with it."""
        content = files.read_bytes(self.source)
        if content is None:
            raise Refused(f"source: there is no '{self.source}'; wait until calico-node is Ready on this node, or name the file that it writes")
        config = config_files.parse(str(self.source), content)
        if not config["valid"] or config["cni"] != "calico":
            reason = config["error"] or f"it is a configuration of '{config['cni']}'"
            raise Refused(f"source: '{self.source}' is no valid CNI configuration of Calico: {reason}; name the file that calico-node writes")
        missing = [name for name in config_files.programs_of(str(self.source), content) if not os.access(self.places.programs / name, os.X_OK)]
        if missing:
            raise Refused(
                f"cni_bin_dir: '{self.places.programs}' has no {', '.join(missing)}, which '{self.source}' needs; wait until calico-node is Ready "
                "on this node, or give the folder that the container runtime uses"
            )
        kubeconfig = config_files.kubeconfig_of(str(self.source), content)
        if kubeconfig and not Path(kubeconfig).exists():
            raise Refused(f"source: '{self.source}' names '{kubeconfig}', which is not there; wait until calico-node is Ready on this node")
        return content

    def refuse_unreserved_addresses(self) -> None:
        """Refuse when Calico could give away the address of a pod that runs."""
        deadline = time.monotonic() + (0 if self.check_mode else self.params["settle_seconds"])
        while True:
            live = host_local.live_leases(self.flannel_leases(), self.known_pods(), self.ports or [])
            exposed = [lease for lease in live if lease["address"] not in self.params["reserved_addresses"]]
            if not exposed:
                return
            if time.monotonic() >= deadline:
                named = ", ".join(lease["address"] for lease in exposed)
                sandboxes = " ".join(lease["container_id"][:SHOWN_OF_ID] for lease in exposed)
                raise Refused(
                    f"reserved_addresses: {named} belong to running pods of Flannel and are not kept from Calico; reserve them "
                    "with podnet.cni.calico_ipam and name them here, or evict the pods. A pod that was deleted by force is not in the cluster any "
                    f"more and runs on for its grace period; `crictl stopp {sandboxes}` on the node ends what still runs"
                )
            time.sleep(POLL_SECONDS)
            self.ports = self.bridge_ports()

    def make_active(self, copy: Path, content: bytes) -> None:
        """The change itself: the timer first, then the file; all of it or none of it."""
        try:
            files.remove(self.folder / watchdog.LOG)
            if self.params["watchdog_seconds"]:
                self.arm(copy)
            files.write_atomically(self.record, json.dumps({"copy": str(copy), "source": str(self.source)}).encode())
            files.write_atomically(copy, content)
            now = config_files.active(cni_state.read_configs(self.places))
            if not now or now["path"] != str(copy):
                raise Refused(f"cni_config_dir: '{copy}' did not become the active configuration; another program changes this folder, stop it")
        except BaseException:
            files.remove(copy)
            self.forget()
            raise

    def arm(self, copy: Path) -> None:
        """Start the timer, or set it to all its time again."""
        watchdog.arm(self.folder, self.params["watchdog_seconds"], copy, self.lease_folder(), [self.record])

    def forget(self) -> None:
        """Disarm and remove the helper files."""
        watchdog.disarm(self.folder)
        files.remove(self.record)
        files.remove_if_empty(self.folder)

    def run_committed(self) -> Prediction:
        """State committed. The timer goes first: afterwards nobody changes the configuration behind our back."""
        if self.timer.armed or self.uncommitted:
            self.change("keep the active configuration", self.forget)
        log = files.read_text(self.folder / watchdog.LOG) or ""
        if not self.check_mode:
            active = config_files.active(cni_state.read_configs(self.places))
            if switch.cni_of(active) != "calico":
                told = f" The watchdog says: {log.splitlines()[-1]}." if log else ""
                raise Refused(
                    f"state: the active configuration is that of '{switch.cni_of(active)}', so there is no change to keep.{told} "
                    "Run state=calico again, with more watchdog_seconds if the time was too short"
                )
        if log:
            self.change("remove the watchdog's log", self.remove_log)
        self.release_gone_pods("flannel", self.ports or [])
        self.release_kept_addresses()
        return self.active, False

    def remove_log(self) -> None:
        """Forget when the watchdog went back the last time."""
        files.remove(self.folder / watchdog.LOG)
        files.remove_if_empty(self.folder)

    def release_kept_addresses(self) -> None:
        """Let Flannel have addresses again that were kept from it."""
        if leases.reserved(self.lease_folder()):
            self.change("release addresses that were kept from Flannel", lambda: leases.reserve(self.lease_folder(), []))

    def release_tunnel_address(self) -> None:
        """Let Flannel have the address of a tunnel that is gone."""
        folder = self.lease_folder()
        kept = leases.reserved(folder, host_local.TUNNEL)
        if kept and not felix_leftovers.has_tunnel():
            self.change(f"let Flannel have {', '.join(kept)} of Calico's tunnel", lambda: leases.release(folder, kept))

    def release_gone_pods(self, cni: str, interfaces: t.Collection[str]) -> None:
        """Release what a CNI's plugins hold for pods that ended after the switch; what cannot be released is no reason to go back."""
        for path in attachments.find_gone(self.places, interfaces, cni):
            addresses = [item["address"] for item in cni_state.read_attachments_of(path)]
            try:
                self.change(f"release {', '.join(addresses)} of a pod that is gone", functools.partial(attachments.release, path, self.places))
            except (commands.CommandError, ValueError, KeyError, OSError) as exc:
                self.changes.pop()
                self.warn(f"what {cni.capitalize()}'s plugins hold for a pod that is gone ({path}) cannot be released: {exc}")
            else:
                self.released += addresses

    def run_flannel(self) -> Prediction:
        """State flannel."""
        ahead = switch.in_front_of_flannel(self.configs)
        paths = [config["path"] for config in ahead]
        after = switch.without(self.configs, paths)
        if switch.cni_of(after) != "flannel":
            found = f"would be that of '{switch.cni_of(after)}'" if after else "would not exist"
            raise Refused(
                f"cni_config_dir: '{self.places.config}' has no configuration of Flannel's to go back to: the active one {found}; "
                "install Flannel again first"
            )
        folder = self.lease_folder()
        calico = iproute.calico_pod_addresses(iproute.read_routes())
        if leases.differs(folder, calico):
            self.change("keep the addresses of Calico's pods from Flannel", lambda: leases.reserve(folder, calico))
        for config in ahead:
            self.change(f"take {config['path']} away", functools.partial(self.take_away, Path(config["path"])))
        if self.timer.armed or self.uncommitted:
            self.change("disarm the timer", self.forget)
        return after, False

    def take_away(self, path: Path) -> None:
        """Remove a copy of Calico's configuration; the only one becomes the source again."""
        if self.source.exists():
            files.remove(path)
        else:
            os.rename(path, self.source)
        files.sync_folder(path.parent)

    def run_absent(self) -> Prediction:
        """State absent."""
        if self.timer.armed or self.uncommitted:
            raise Refused("state: the last change of the configuration was not kept yet; run state=committed or state=flannel first")
        self.remove_detours()
        self.remove_guard_routes()
        self.restore_bridge()
        move, removed = switch.final_moves(self.configs, str(self.source))
        if move:
            self.change(f"rename {move[0]} to {move[1]}", lambda: os.rename(*move))
        for path in removed:
            self.change(f"remove {path}", functools.partial(files.remove, path))
        helpers = files.existing(self.folder / name for name in (watchdog.LOG, watchdog.SCRIPT))
        for path in helpers:
            self.change(f"remove {path}", functools.partial(files.remove, path))
        self.release_kept_addresses()
        self.release_tunnel_address()
        if not self.check_mode:
            files.remove_if_empty(self.folder)
        if move and self.active:
            return t.cast(config_files.CniConfig, {**self.active, "path": move[1]}), False
        return switch.without(self.configs, removed), False

    def remove_detours(self) -> None:
        """Remove the routes of a removal of Calico that was given up: they would keep packets in Flannel's tunnel."""
        detours = guard_routes.detours(iproute.read_routes(), self.params["bridge"])
        if detours:
            self.routes["removed"] = [detour.destination for detour in detours]
            self.change(f"remove {len(detours)} routes around Calico", lambda: guard_routes.remove_detours(detours))

    def remove_guard_routes(self) -> None:
        """Remove the guard routes, unless a pod would be lost without them."""
        present = guard_routes.read(self.params["bridge"]) if self.ports is not None else []
        if not present:
            return
        holes = [ipaddress.ip_network(route["destination"]) for route in iproute.read_routes() if route["type"] == "blackhole"]
        needed = [cidr for cidr in present if any(ipaddress.ip_network(cidr).subnet_of(hole) for hole in holes)]  # type: ignore[arg-type]
        if needed and self.ports:
            raise Refused(
                f"state: {len(self.ports)} pods are still on {self.params['bridge']}, and without the guard routes {', '.join(needed)} those in "
                "blocks of Calico's would be cut off; restart these pods on Calico's network, or remove Calico from this node first"
            )
        self.routes["removed"] = [*self.routes["removed"], *present]
        self.change(f"remove {len(present)} guard routes", lambda: guard_routes.remove(self.params["bridge"], present))


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["prepared", "calico", "committed", "flannel", "absent"], "required": True},
            "guard_routes": {"type": "list", "elements": "str", "default": []},
            "create_bridge": {"type": "bool", "default": False},
            "tunnel_address": {"type": "str"},
            "source": {"type": "path"},
            "watchdog_seconds": {"type": "int", "default": 120},
            "reserved_addresses": {"type": "list", "elements": "str", "default": []},
            "settle_seconds": {"type": "int", "default": 15},
            **cni_state.OPTIONS,
            "flannel_run_dir": {"type": "path", "default": "/run/flannel"},
            "state_dir": {"type": "path", "default": "/var/lib/podnet"},
        },
        supports_check_mode=True,
    )
    problem = option_problem(module.params)
    if problem:
        module.fail_json(msg=problem)
    try:
        results = Switch(module).run()
    except Refused as exc:
        module.fail_json(msg=str(exc))
    except (commands.CommandError, OSError) as exc:
        module.fail_json(msg=f"state: {module.params['state']} was not reached on this node: {exc}")
    module.exit_json(**results)


if __name__ == "__main__":
    main()
