#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mtu_set
short_description: Set the MTU of a node's links, tunnels and pods consistently, with a way back
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Sets the MTU of a node's network devices, and with it that of the tunnels on them, of the bridge of Flannel's pods, and on request of both
    ends of the veths of pods that run.
  - Tunnels get what fits. That is the MTU of the device below less 50 bytes for VXLAN over IPv4 and 70 over IPv6, 20 for IPIP, 60 for WireGuard
    over IPv4 and 80 over IPv6. Pods get what fits into every tunnel that is in use, and the MTU of the device without any.
  - Measures how large packets to O(peers) may be, with pings that must not be fragmented and whose answers are as large. It tells which peers
    get less than others, such as nodes with jumbo frames among those without.
  - What grows does so from below to above (device, tunnels, bridge, pods), and what shrinks from above to below. Routes that have the MTU of
    their link go along.
  - So that new pods get the same, it changes the number in the files that flanneld and Felix write for their plugins, and tells of
    configurations that have a number of their own. Those of the cluster it leaves.
  - What was there before the first change is kept on the host, and O(state=restored) puts it back.
  - Runs on the node, and asks the kernel by netlink.
extends_documentation_fragment:
  - podnet.cni._attributes
attributes:
  check_mode:
    support: full
    details:
      - O(peers) are measured in check mode too, up to the MTU that devices have now. Whether a driver refuses an MTU within its limits is known
        afterwards only.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A timer that waits is set to O(watchdog_seconds) again, which does not count as a change.
  platform:
    support: full
    platforms: linux
options:
  state:
    description:
      - V(present) sets the MTU.
      - V(committed) keeps a change that was made with O(watchdog_seconds). It fails when the timer was quicker, when an MTU is not in force any
        more, and when packets of full size do not get to one of O(peers) and back; then the timer goes on.
      - V(restored) puts everything back that was there before the first change.
    type: str
    choices: [present, committed, restored]
    default: present
  mtu:
    description:
      - Bytes of the MTU of O(interfaces), 576 to 65535.
      - With V(auto) the largest packet that gets to all O(peers) behind O(interfaces) and back, and no more than the devices have now. To have
        larger ones, give a number, and O(peers) that prove it.
    type: str
    default: auto
  interfaces:
    description:
      - Names of the node's devices, below all tunnels. By default those by which O(peers) are reached, without tunnels.
      - Of a VLAN name what it is on as well, unless that is large enough.
      - Name those only that carry packets of pods. What a tunnel on another device carries counts for pods too, and stays as it is.
    type: list
    elements: str
    default: []
  peers:
    description:
      - Addresses of other nodes. To prove a tunnel, addresses behind it. They have to answer pings. Those of the node itself are passed over.
      - Without O(watchdog_seconds) a change is put back at once when packets of full size do not get to all that answer. With it they have to
        with O(state=committed), for which they are given again, as all nodes have changed by then.
    type: list
    elements: str
    default: []
  probe_timeout:
    description:
      - Seconds that the answer to packets of one size may take, of which three are sent. Until a peer has answered for the first time, three
        times as long.
    type: float
    default: 1.0
  overlay:
    description: Whether to set tunnels, the bridge, and the number that new pods get.
    type: bool
    default: true
  pods:
    description:
      - What to do about pods that run. V(list) tells which have another MTU than new ones get, V(repair) sets it at both ends of their veth,
        V(leave) does not look.
      - To start them again instead, use V(list) and M(podnet.cni.node_evict), or a rollout.
    type: str
    choices: [list, repair, leave]
    default: list
  bridge:
    description: Name of the bridge of Flannel's pods. One without a pod on it is left as it is, since it gets the MTU of the next one.
    type: str
    default: cni0
  persistent:
    description:
      - Whether the MTU of O(interfaces) is to last over restarts. Written to the profile of NetworkManager, a file for netplan, an addition to
        the .network file of systemd-networkd, or a script for ifupdown, whichever sets up the device. Refused where none of them does.
      - Tunnels and pods get theirs from the device when they are made anew.
      - With O(watchdog_seconds) this is done by O(state=committed), so that a restart is a way back until then.
      - V(false) leaves such files as they are.
    type: bool
    default: true
  watchdog_seconds:
    description: Seconds after which everything is put back by itself, 10 to 86400, unless O(state=committed) comes before. V(0) keeps it at once.
    type: int
    default: 0
  state_dir:
    description: Folder for what was there before, and for the timer's program.
    type: path
    default: /var/lib/podnet
  cni_config_dir:
    description: Folder of the CNI configurations.
    type: path
    default: /etc/cni/net.d
  cni_state_dir:
    description: Folder in which CNI plugins and the CNI library keep their state.
    type: path
    default: /var/lib/cni
  flannel_run_dir:
    description: Folder of Flannel's C(subnet.env).
    type: path
    default: /run/flannel
  calico_state_dir:
    description: Folder in which Felix writes the MTU of new pods.
    type: path
    default: /var/lib/calico
notes:
  - O(watchdog_seconds) needs systemd.
  - Some drivers take their link down for some seconds to change the MTU.
seealso:
  - module: podnet.cni.offload_set
  - module: podnet.cni.calico_install
"""

EXAMPLES = r"""
- name: Tell what gets through, and change nothing
  podnet.cni.mtu_set:
    peers: [192.168.10.12, 192.168.10.13]
  check_mode: true
  register: measured

- name: Give devices, tunnels and pods what gets through everywhere
  podnet.cni.mtu_set:
    peers: [192.168.10.12, 192.168.10.13]
    pods: repair

- name: Have jumbo frames on all nodes
  hosts: kube_node
  gather_facts: false
  tasks:
    - name: Set them, and put that back after two minutes unless it is kept
      podnet.cni.mtu_set:
        interfaces: [eth0]
        mtu: 9000
        watchdog_seconds: 120

    - name: Keep it, if the other nodes are reached with packets of full size
      podnet.cni.mtu_set:
        state: committed
        peers: "{{ groups['kube_node'] | difference([inventory_hostname]) | map('extract', hostvars, 'ansible_host') }}"

- name: Put everything back
  podnet.cni.mtu_set:
    state: restored
"""

RETURN = r"""
mtu:
  description: Bytes of the MTU of the devices, none with another state than O(state=present).
  returned: always
  type: int
  sample: 1450
pod_mtu:
  description: Bytes of the MTU that pods should have, none with another state than O(state=present).
  returned: always
  type: int
  sample: 1400
peers:
  description: What was found out about the way to each peer. After a change this is how it is then.
  returned: always
  type: list
  elements: dict
  contains:
    address:
      description: Address of the peer.
      type: str
      returned: always
    device:
      description: Device by which packets leave.
      type: str
      returned: always
    device_mtu:
      description: Its MTU.
      type: int
      returned: always
    mtu:
      description: Bytes of the largest packet that is answered, none when the peer does not answer.
      type: int
      returned: always
    told_by:
      description: Address of the router that said that packets are too large, none when they were lost without a word.
      type: str
      returned: always
    back:
      description: Bytes of the largest fragment of answers, none when they came whole.
      type: int
      returned: always
  sample:
    - {address: 192.168.10.12, device: eth0, device_mtu: 1500, mtu: 1450, told_by: null, back: null}
links:
  description:
    - Devices, tunnels and the bridge. With another state than O(state=present) also the ends of pods' veths, and C(new pods) for files from which new
      pods get their MTU.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the link.
      type: str
      returned: always
    role:
      description: One of C(underlay), C(tunnel), C(bridge), C(node_end) and C(pod_end), none with O(state=restored).
      type: str
      returned: always
    overhead:
      description: Bytes that a tunnel adds to a packet.
      type: int
      returned: always
    before:
      description: MTU before.
      type: int
      returned: always
    after:
      description: MTU afterwards, or in check mode what it would be.
      type: int
      returned: always
    persistent_in:
      description: Files and profiles that were written so that it lasts, or would be.
      type: list
      elements: str
      returned: always
  sample:
    - {name: eth0, role: underlay, overhead: 0, before: 1500, after: 1450, persistent_in: [/etc/systemd/network/10-eth0.network.d/50-podnet-mtu.conf]}
    - {name: flannel.1, role: tunnel, overhead: 50, before: 1450, after: 1400, persistent_in: []}
pods:
  description: Pods that run, unless O(pods=leave).
  returned: always
  type: list
  elements: dict
  contains:
    interface:
      description: The node's end of the veth.
      type: str
      returned: always
    pod:
      description: Namespace and name of the pod, none when the CNI library does not know it.
      type: str
      returned: always
    before:
      description: MTU at the pod's end before.
      type: int
      returned: always
    after:
      description: MTU at the pod's end afterwards, or in check mode what it would be.
      type: int
      returned: always
    old:
      description: Whether one of the ends has another MTU than new pods get.
      type: bool
      returned: always
  sample:
    - {interface: cali0ef24ba, pod: default/web-0, before: 1450, after: 1450, old: true}
findings:
  description: What is wrong or worth to know, the worst first.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Name of the rule.
      type: str
      returned: always
    severity:
      description: One of C(blocker), C(warning) and C(info).
      type: str
      returned: always
    subject:
      description: What it is about.
      type: str
      returned: always
    evidence:
      description: What was found.
      type: str
      returned: always
    why:
      description: Why it matters.
      type: str
      returned: always
    remedy:
      description: What to do.
      type: str
      returned: always
    source:
      description: Where the rule comes from.
      type: str
      returned: always
  sample:
    - id: mtu-mixture
      severity: warning
      subject: eth0
      evidence: "Ways to peers differ: 9000 to 192.168.10.12; 1500 to 192.168.10.13 (bytes)."
      why: Some nodes or switches have jumbo frames and others do not. What is sent in full size to one of the latter is lost.
      remedy: "Give all links of the nodes, and the switches between them, the same MTU: 1500, or more where all of them can."
      source: RFC 2923
watchdog:
  description: The timer that puts everything back.
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
  sample: {unit: podnet-mtu-watchdog, armed: true, seconds_left: 120}
"""

import difflib
import errno
import ipaddress
import os
import time
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_traces
from ansible_collections.podnet.cni.plugins.module_utils._host import (
    cni_state,
    commands,
    device_setup,
    df_probe,
    files,
    mtu_cni_files,
    mtu_links,
    mtu_persistence,
    mtu_places,
    mtu_record,
    put_back,
    rtnetlink,
    systemd_timer,
    two_phases,
    way_back,
)
from ansible_collections.podnet.cni.plugins.module_utils._host.mtu_way_back import KIND
from ansible_collections.podnet.cni.plugins.module_utils._plan import mtu, mtu_findings, path_mtu
from ansible_collections.podnet.cni.plugins.module_utils._plan.finding import Finding, ordered

AUTO = "auto"
LOOPBACK = "lo"
NEW_PODS = "new pods"
"""The entry of the record for files from which new pods get their MTU."""
SETTLE_SECONDS = 15.0
"""How long a driver may take to bring its link up again."""

Persistence = dict[str, device_setup.Change]


class Failure(Exception):
    """What the module fails with; the text has the remedy."""

    def __init__(self, message: str, **results: t.Any) -> None:
        super().__init__(message)
        self.results = results


def option_problem(params: t.Mapping[str, t.Any]) -> str | None:
    """The first wrong option with its value and remedy, or None."""
    value = params["mtu"]
    if value != AUTO and not (value.isdecimal() and mtu.LEAST <= int(value) <= mtu.MOST):
        return f"mtu: '{value}' is not an MTU; give {mtu.LEAST} to {mtu.MOST}, or {AUTO} to measure it"
    for number, address in enumerate(params["peers"]):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            return f"peers[{number}]: '{address}' is not an IP address; give that of another node, such as 192.168.10.12"
    if params["state"] == "present":
        if not params["peers"] and value == AUTO:
            return f"peers: mtu={AUTO} is measured and needs some, such as the addresses of the other nodes; or give mtu a number"
        if not params["peers"] and not params["interfaces"]:
            return "interfaces: without peers, state=present needs some, such as eth0"
    elif params["interfaces"]:
        return f"interfaces: state={params['state']} is about all that was changed; leave interfaces out"
    if params["probe_timeout"] <= 0:
        return f"probe_timeout: {params['probe_timeout']} is not a duration; give seconds greater than 0"
    return way_back.seconds_problem(params["watchdog_seconds"], "keep the change at once")


class Plan(t.NamedTuple):
    """What is to be done."""

    reading: mtu_links.Reading
    targets: dict[str, int]
    """What links get, or should have."""
    steps: list[mtu.Step]
    new_pods: device_setup.Change
    lasting: Persistence

    @property
    def different(self) -> bool:
        """Whether something in force is to change."""
        return bool(self.steps or self.new_pods.needed)


class Setter:
    """Carries out one state."""

    def __init__(self, params: t.Mapping[str, t.Any], check_mode: bool, root: Path = Path("/")) -> None:
        self.params = params
        self.check_mode = check_mode
        self.root = root
        self.folder = Path(params["state_dir"])
        self.places = cni_state.Places.of(params)
        self.paths: list[path_mtu.Path] = []

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results."""
        results: dict[str, t.Any] = getattr(self, f"run_{self.params['state']}")()
        return results

    # -- what is there

    def measure(self) -> list[path_mtu.Path]:
        """The ways to the peers; an address of the node itself is none."""
        try:
            paths = df_probe.measure_all(self.params["peers"], self.params["probe_timeout"])
            return [path for path in paths if path.device != LOOPBACK]
        except OSError as exc:
            raise Failure(f"peers: no way leads to one of them: {exc.strerror or exc}; give addresses that the node has routes to") from exc

    def interfaces(self) -> list[str]:
        """The devices that are given, or those on the way to the peers."""
        devices = {device.name: device for device in rtnetlink.read_devices()}
        given = self.params["interfaces"]
        for name in given:
            if name not in devices:
                near = difflib.get_close_matches(name, devices, n=3, cutoff=0.5) or list(devices)
                raise Failure(f"interfaces: there is no '{name}' on this host; it has {', '.join(near[:8])}")
            if name == LOOPBACK or mtu_links.is_tunnel(devices[name]):
                raise Failure(f"interfaces: '{name}' is no device of a wire; name the one below, tunnels follow it")
        found = given or list(dict.fromkeys(path.device for path in self.paths if not mtu_links.is_tunnel(devices[path.device])))
        if not found:
            raise Failure("interfaces: no peer is on another node and not behind a tunnel; name the devices, or give other peers")
        return list(found)

    def wanted(self, interfaces: t.Collection[str]) -> int:
        """The MTU of devices."""
        if self.params["mtu"] != AUTO:
            return int(self.params["mtu"])
        found = path_mtu.smallest(self.paths, interfaces)
        if found is None:
            raise Failure(
                f"mtu: it cannot be measured, since none of {', '.join(self.params['peers'])} is behind {', '.join(interfaces)} and answers pings; "
                "give peers that do, or a number",
                **self.told(),
            )
        return found

    def told(self) -> dict[str, t.Any]:
        """What was measured, for a failure."""
        return {"peers": [path.to_dict() for path in self.paths]}

    # -- present

    def run_present(self) -> dict[str, t.Any]:
        """State present."""
        self.paths = self.measure()
        interfaces = self.interfaces()
        wanted = self.wanted(interfaces)
        change = two_phases.Change(self.folder, self.params["watchdog_seconds"], KIND)
        plan = self.plan(interfaces, wanted, change)
        waits = change.two_phases if plan.different else bool(plan.lasting) and change.pending is not None
        if plan.different and self.params["watchdog_seconds"]:
            try:
                way_back.require()
            except commands.CommandError as exc:
                raise Failure(f"watchdog_seconds: {exc}; install systemd, or set it to 0 to go without a way back by itself") from exc
        if not self.check_mode:
            if plan.different or plan.lasting:
                self.carry_out(plan, change, waits)
            else:
                change.renew()
        return self.present_result(plan, wanted, waits or None)

    def plan(self, interfaces: t.Collection[str], wanted: int, change: two_phases.Change) -> Plan:
        """What has to be done."""
        reading = mtu_links.read(interfaces, self.params["bridge"], self.params["pods"] != "leave", self.root)
        targets = mtu.targets(reading.links, wanted)
        roles = [mtu.UNDERLAY]
        roles += [mtu.TUNNEL, mtu.BRIDGE] if self.params["overlay"] else []
        roles += [mtu.NODE_END, mtu.POD_END] if self.params["pods"] == "repair" else []
        settable = {link.key: targets[link.key] for link in reading.links if link.role in roles}
        mtu.refuse(reading.links, settable)
        new_pods = device_setup.of_files({}, 0o644)
        if self.params["overlay"]:
            new_pods = mtu_cni_files.written_by_agents(self.places, Path(self.params["calico_state_dir"]), mtu.pod_mtu(reading.links, wanted))
        lasting = {}
        if self.params["persistent"]:
            kinds = {link.key: link.kind for link in reading.links}
            lasting = self.persistence({name: (kinds[name], wanted) for name in interfaces})
            if change.pending is not None and change.pending["persistent"]:
                known = change.pending["wishes"]
                lasting = {name: plan for name, plan in lasting.items() if known.get(name, {}).get("mtu") != wanted}
        return Plan(reading, targets, mtu.steps(reading.links, settable), new_pods, lasting)

    def persistence(self, wishes: t.Mapping[str, tuple[str, int]]) -> Persistence:
        """What has to be written so that MTUs last, by the device; of each its kind and MTU."""
        plans = {name: mtu_persistence.plan(name, kind, value, self.root) for name, (kind, value) in wishes.items()}
        return {name: plan for name, plan in plans.items() if plan.needed}

    def carry_out(self, plan: Plan, change: two_phases.Change, waits: bool) -> None:
        """All of it, or nothing."""
        entries = self.entries(plan)
        written: mtu_record.Entries = {}
        try:
            if plan.different or waits:
                change.begin(t.cast("two_phases.Entries", entries), self.wishes(plan), self.params["persistent"])
            of_pods = {link.key for link in plan.reading.links if link.role in (mtu.NODE_END, mtu.POD_END)}
            for step in plan.steps:
                self.set(step, plan.reading.places[step.key], entries[step.key], step.key in of_pods)
            device_setup.apply(plan.new_pods)
            if plan.steps:
                self.verify(waits)
            if not waits:
                self.make_last(plan.lasting, written)
        except (Failure, commands.CommandError, OSError) as exc:
            problems = mtu_record.put_back(mtu_record.merged(entries, written))
            change.give_up()
            raise Failure(f"{exc}; {put_back.told(problems)}", **self.told()) from exc

    @staticmethod
    def entries(plan: Plan) -> mtu_record.Entries:
        """What is there before the change."""
        depths = mtu.depths(plan.reading.links)
        found = {}
        for step in plan.steps:
            place = plan.reading.places[step.key]
            try:
                routes = mtu_places.routes_to_change(place, step.before, step.after)
            except ProcessLookupError:
                routes = []
            fitted = mtu.fits(plan.reading.links, step.key)
            found[step.key] = mtu_record.of_link(place, step.before, depths[step.key], fitted, routes)
        if plan.new_pods.needed:
            found[NEW_PODS] = mtu_record.of_setup(plan.new_pods.before)
        return found

    @staticmethod
    def wishes(plan: Plan) -> two_phases.Wishes:
        """What is asked for."""
        links = {link.key: link for link in plan.reading.links}
        keys = [*(step.key for step in plan.steps), *plan.lasting]
        return {key: {"mtu": plan.targets[key], "role": links[key].role, "kind": links[key].kind} for key in keys}

    @staticmethod
    def set(step: mtu.Step, place: mtu_places.Place, entry: mtu_record.Entry, of_pod: bool) -> None:
        """Change one link. A pod that ended meanwhile needs no MTU any more."""
        try:
            mtu_places.set_mtu(place, step.after)
            mtu_places.replace_routes(place, [rtnetlink.with_mtu(bytes.fromhex(route), step.after) for route in entry["routes"]])
        except OSError as exc:
            if of_pod and (isinstance(exc, ProcessLookupError) or exc.errno == errno.ENODEV):
                return
            raise Failure(f"mtu: the kernel refuses {step.after} for {step.key}: {exc.strerror or exc}; give an mtu that its driver takes") from exc

    def verify(self, waits: bool) -> None:
        """Refuse a change with which peers are lost, or packets of full size unless there is time to change the peers too."""
        reached = {path.address for path in self.paths if path.mtu is not None}
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            self.paths = self.measure()
            lost = [path.address for path in self.paths if path.address in reached and path.mtu is None]
            if not lost or time.monotonic() > deadline:
                break
        if lost:
            raise Failure(f"mtu: {', '.join(lost)} does not answer pings any more with the new MTU; give another mtu", **self.told())
        if not waits:
            self.refuse_smaller("mtu", "give a smaller mtu, raise the path first, or set watchdog_seconds and change all nodes before it is kept")

    def refuse_smaller(self, option: str, remedy: str) -> None:
        """Refuse ways that carry less than the devices have."""
        smaller = [
            f"{path.address} gets {path.both_ways} of {path.device_mtu} bytes"
            for path in self.paths
            if path.both_ways is not None and path.both_ways < path.device_mtu
        ]
        if smaller:
            raise Failure(f"{option}: packets of full size do not get through: {', '.join(smaller)}; {remedy}", **self.told())

    def make_last(self, plans: Persistence, written: mtu_record.Entries) -> None:
        """Write what makes MTUs last; C(written) gets what was there before, also of those before one that fails."""
        for name, plan in plans.items():
            device_setup.apply(plan)
            written[name] = mtu_record.of_setup(plan.before)
        two_phases.add_to_record(self.folder, KIND, dict(written))

    # -- committed

    def run_committed(self) -> dict[str, t.Any]:
        """State committed. What could not last is found before the timer is stopped."""
        pending = two_phases.read_pending(self.folder, KIND)
        if pending is None:
            log = files.read_text(self.folder / KIND.log)
            if log:
                raise Failure(
                    f"state: there is no change to keep. The watchdog says: {log.strip()}. Run state=present again, with more watchdog_seconds if "
                    "the time was too short"
                )
            return self.result(False, [], {}, armed=None)
        links = self.in_force(pending)
        self.paths = self.measure()
        silent = [path.address for path in self.paths if path.mtu is None]
        if silent:
            raise Failure(f"peers: {', '.join(silent)} does not answer pings, so that nothing is proved; the timer goes on", **self.told())
        self.refuse_smaller("peers", "change the peers too, or leave it to the timer, which goes on")
        wishes = {name: (wish["kind"], wish["mtu"]) for name, wish in pending["wishes"].items() if wish["role"] == mtu.UNDERLAY}
        plans = self.persistence(wishes) if pending["persistent"] else {}
        if not self.check_mode:
            self.keep(pending, plans)
        return self.result(True, links, plans, armed=False)

    @staticmethod
    def in_force(pending: two_phases.Pending) -> list[dict[str, t.Any]]:
        """The links of a change that waits.

        :raises Failure: when one has another MTU; a pod may have ended.
        """
        found = []
        for key, wish in pending["wishes"].items():
            entry = pending["entries"].get(key)
            if entry is None or entry["mtu"] is None:
                continue
            now = mtu_places.read_mtu(mtu_record.place_of(entry))
            if now is None and wish["role"] in (mtu.NODE_END, mtu.POD_END):
                continue
            if now != wish["mtu"]:
                raise Failure(
                    f"state: the change is not in force any more, so it cannot be kept: {key} has {'gone' if now is None else now} instead of "
                    f"{wish['mtu']}. A restart ends it, and Felix and flanneld set tunnels as they are configured; see to that and run "
                    "state=present again"
                )
            found.append(_link(key, wish["role"], 0, now, now))
        return found

    def keep(self, pending: two_phases.Pending, plans: Persistence) -> None:
        """Stop the timer, then make it last."""
        change = two_phases.Change(self.folder, 0, KIND)
        change.disarm()
        if two_phases.read_pending(self.folder, KIND) is None:
            raise Failure("state: the timer was quicker and has put everything back; run state=present again, with more watchdog_seconds")
        written: mtu_record.Entries = {}
        try:
            self.make_last(plans, written)
        except (commands.CommandError, OSError) as exc:
            problems = mtu_record.put_back(mtu_record.merged(pending["entries"], written))
            put_back.restore_file(self.folder / KIND.record, pending["record"])
            change.end()
            raise Failure(f"persistent: {exc}; {put_back.told(problems)}") from exc
        change.end()

    # -- restored

    def run_restored(self) -> dict[str, t.Any]:
        """State restored."""
        record: mtu_record.Entries = two_phases.read_record(self.folder, KIND)
        if not record:
            return self.result(False, [], {}, armed=None)
        links = []
        for key, entry in record.items():
            before = mtu_places.read_mtu(mtu_record.place_of(entry)) if entry["mtu"] is not None else None
            if before is not None or entry["files"] or entry["commands"]:
                links.append(_link(key, None, 0, before, entry["mtu"], [*entry["files"], *entry["commands"]]))
        if not self.check_mode:
            change = two_phases.Change(self.folder, 0, KIND)
            problems = mtu_record.put_back(record)
            if problems:
                raise Failure(f"state: this could not be put back: {'; '.join(problems)}; put it right and run state=restored again")
            change.forget(record)
        return self.result(True, links, {}, armed=False)

    # -- results

    def present_result(self, plan: Plan, wanted: int, armed: bool | None) -> dict[str, t.Any]:
        """The results of state present."""
        changes = {step.key: step.after for step in plan.steps}
        settled = {link.key: changes.get(link.key, link.mtu) for link in plan.reading.links}
        links = [
            _link(
                link.key,
                link.role,
                link.overhead,
                link.mtu,
                settled[link.key],
                [*plan.lasting[link.key].files, *plan.lasting[link.key].before["commands"]] if link.key in plan.lasting else [],
            )
            for link in plan.reading.links
        ]
        results = self.result(plan.different or bool(plan.lasting), links, plan.lasting, armed, plan.new_pods)
        own = [link for link in links if link["role"] not in (mtu.NODE_END, mtu.POD_END)]
        pod_mtu = mtu.pod_mtu(plan.reading.links, wanted)
        results.update(mtu=wanted, pod_mtu=pod_mtu, links=own, pods=self.pods(plan, settled))
        felix = [step.key for step in plan.steps if step.key in (*calico_traces.TUNNELS, calico_traces.IPIP)]
        found: list[Finding] = [
            *mtu_findings.of_paths(self.paths),
            *mtu_findings.of_links(plan.reading.links, settled),
            *mtu_findings.of_settings(mtu_cni_files.settings(self.places), pod_mtu),
            *mtu_findings.of_felix(felix),
        ]
        results["findings"] = [finding.to_dict() for finding in ordered(found)]
        return results

    def pods(self, plan: Plan, settled: t.Mapping[str, int]) -> list[dict[str, t.Any]]:
        """The pods that run."""
        names = mtu_cni_files.pod_names(self.places)
        return [
            {
                "interface": link.below,
                "pod": names.get(link.below or ""),
                "before": link.mtu,
                "after": settled[link.key],
                "old": any(settled[key] != plan.targets[key] for key in (link.key, link.below or "")),
            }
            for link in plan.reading.links
            if link.role == mtu.POD_END
        ]

    def result(
        self,
        changed: bool,
        links: list[dict[str, t.Any]],
        plans: Persistence,
        armed: bool | None,
        new_pods: device_setup.Change | None = None,
    ) -> dict[str, t.Any]:
        """The module's results. C(armed) is what check mode expects of the timer, None if it stays as it is."""
        timer = systemd_timer.read(KIND.unit)
        if self.check_mode and armed is not None:
            timer = systemd_timer.Timer(armed, self.params["watchdog_seconds"] if armed else None)
        sides: tuple[dict[str, t.Any], dict[str, t.Any]] = ({}, {})
        for link in links:
            if link["before"] != link["after"]:
                sides[0][link["name"]], sides[1][link["name"]] = {"mtu": link["before"]}, {"mtu": link["after"]}
        for name, plan in [*plans.items(), *([(NEW_PODS, new_pods)] if new_pods is not None and new_pods.needed else [])]:
            sides[0].setdefault(name, {})["persistent"] = plan.before["files"] or plan.before["commands"]
            sides[1].setdefault(name, {})["persistent"] = plan.files or [" ".join(words) for words in plan.commands]
        if changed and self.params["state"] == "committed":
            sides[0]["kept"], sides[1]["kept"] = False, True
        return {
            "changed": changed,
            "mtu": None,
            "pod_mtu": None,
            **self.told(),
            "links": links,
            "pods": [],
            "findings": [finding.to_dict() for finding in ordered(mtu_findings.of_paths(self.paths))],
            "watchdog": {"unit": KIND.unit, "armed": timer.armed, "seconds_left": timer.seconds_left},
            "diff": {"before": sides[0], "after": sides[1]},
        }


def _link(name: str, role: str | None, overhead: int, before: int | None, after: int | None, lasting: t.Sequence[str] = ()) -> dict[str, t.Any]:
    """One of C(links)."""
    return {"name": name, "role": role, "overhead": overhead, "before": before, "after": after, "persistent_in": list(lasting)}


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "committed", "restored"], "default": "present"},
            "mtu": {"type": "str", "default": AUTO},
            "interfaces": {"type": "list", "elements": "str", "default": []},
            "peers": {"type": "list", "elements": "str", "default": []},
            "probe_timeout": {"type": "float", "default": 1.0},
            "overlay": {"type": "bool", "default": True},
            "pods": {"type": "str", "choices": ["list", "repair", "leave"], "default": "list"},
            "bridge": {"type": "str", "default": "cni0"},
            "persistent": {"type": "bool", "default": True},
            "watchdog_seconds": {"type": "int", "default": 0},
            "state_dir": {"type": "path", "default": "/var/lib/podnet"},
            "cni_config_dir": {"type": "path", "default": "/etc/cni/net.d"},
            "cni_state_dir": {"type": "path", "default": "/var/lib/cni"},
            "flannel_run_dir": {"type": "path", "default": "/run/flannel"},
            "calico_state_dir": {"type": "path", "default": "/var/lib/calico"},
        },
        supports_check_mode=True,
    )
    problem = option_problem(module.params)
    if problem:
        module.fail_json(msg=problem)
    if os.geteuid():
        module.fail_json(msg="state: only root may change devices; run the task with become")
    try:
        results = Setter(module.params, module.check_mode).run()
    except Failure as exc:
        module.fail_json(msg=str(exc), **exc.results)
    except (mtu.Refused, device_setup.Refused, commands.CommandError, OSError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**results)


if __name__ == "__main__":
    main()
