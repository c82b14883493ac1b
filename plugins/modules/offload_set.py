#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: offload_set
short_description: Set offloads of network devices, with a way back
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Turns features of network devices on or off, such as TSO, GSO, GRO, checksums, and segmentation of packets in UDP tunnels. It asks the
    kernel itself (ethtool's netlink, or the ioctl of older kernels), so the host needs no ethtool.
  - With O(probe) it finds out which feature keeps TCP from a peer, and turns off only that one. Broken checksums in tunnels look like this.
    A ping gets through and TCP does not.
  - What was there before the first change is kept on the host, and O(state=restored) puts it back.
  - Runs on the host.
extends_documentation_fragment:
  - podnet.cni._attributes
attributes:
  check_mode:
    support: full
    details:
      - What else the kernel turns off or on with a feature is known afterwards only. With O(probe), check mode sends a ping and connects, but
        tries nothing, so it tells that something would be tried and not what helps.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A timer that waits is set to O(watchdog_seconds) again, which does not count as a change.
      - Of V(tso), systemd and netplan set the two features that count. The variants of them that do nothing by themselves, such as
        C(tx-tcp-ecn-segmentation), are on again after a restart, and the next run turns them off.
  platform:
    support: full
    platforms: linux
options:
  state:
    description:
      - V(present) sets O(features) of O(interfaces).
      - V(committed) keeps a change that was made with O(watchdog_seconds). It fails when the timer was quicker.
      - V(restored) puts back what was there before the first change, of O(interfaces) or of all devices.
    type: str
    choices: [present, committed, restored]
    default: present
  interfaces:
    description: Names of devices. Required with O(state=present).
    type: list
    elements: str
    default: []
  features:
    description:
      - Features, and whether each is to be on. Required with O(state=present).
      - Names are those of the kernel, such as C(tx-udp_tnl-csum-segmentation), or the short ones of ethtool (V(rx), V(tx), V(sg), V(tso),
        V(gso), V(gro), V(lro), V(rxvlan), V(txvlan), V(ntuple), V(rxhash)), of which some stand for several of the kernel's.
    type: dict
    default: {}
  probe:
    description:
      - A peer to which TCP must get through. Nothing is changed when it does. Otherwise each of O(features) is tried by itself, on one
        device at a time, in the given order. The first with which the peer is reached, and without which it is not, stays. All others are
        put back. The module fails when none helps.
    type: dict
    suboptions:
      address:
        description: Address of the peer. To try a tunnel, give an address behind it.
        type: str
        required: true
      port:
        description: A TCP port there. A peer that answers that nothing listens on it has been reached too.
        type: int
        required: true
      source:
        description: Address of this host to connect from.
        type: str
      bytes:
        description:
          - Bytes to send over the connection, which the peer's kernel has to acknowledge. A connection needs small packets only, so give
            some, such as V(65536), to try segmentation. They are zeros; choose a port at which nobody minds.
        type: int
        default: 0
      timeout:
        description: Seconds that one attempt may take.
        type: float
        default: 5.0
      ping:
        description: Whether a ping has to be answered before anything is tried, since a peer that is not there says nothing about features.
        type: bool
        default: true
  persistent:
    description:
      - Whether it is to last over restarts. Written to the profile of NetworkManager, to a file for netplan, or to a .link file for
        systemd's udev, whichever sets up the device. Refused where none of them does or none has a setting for the feature.
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
notes:
  - O(watchdog_seconds) needs systemd.
seealso:
  - module: podnet.cni.mtu_set
  - module: podnet.cni.sysctl_set
  - module: podnet.cni.calico_fabric_probe
"""

EXAMPLES = r"""
- name: Turn segmentation offload off until the next restart
  podnet.cni.offload_set:
    interfaces: [eth0]
    features:
      tso: false
      tx-udp_tnl-segmentation: false
    persistent: false

- name: Turn checksums of Calico's tunnel off, and put that back after a minute unless it is kept
  podnet.cni.offload_set:
    interfaces: [vxlan.calico]
    features:
      tx: false
    watchdog_seconds: 60

- name: Keep it
  podnet.cni.offload_set:
    state: committed

- name: Find out which offload keeps TCP from a pod of another node, and turn only that off
  podnet.cni.offload_set:
    interfaces: [flannel.1, eth0]
    features:
      tx: false
      tx-udp_tnl-csum-segmentation: false
      tx-udp_tnl-segmentation: false
    probe:
      address: 10.244.2.5
      port: 80
    persistent: false

- name: Put everything back
  podnet.cni.offload_set:
    state: restored
"""

RETURN = r"""
interfaces:
  description: What came of each device.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the device.
      type: str
      returned: always
    features:
      description:
        - The features that were asked for, by the kernel's names, as they are now, or would be. What is C(wanted), what is C(active),
          whether the driver can change it (C(hw)), and whether it is C(fixed).
      type: dict
      returned: always
    changed_by_kernel:
      description: Features that the kernel turned on or off along with it. Empty in check mode.
      type: list
      elements: str
      returned: always
    persistent_in:
      description: Files and profiles that were written so that it lasts, or would be.
      type: list
      elements: str
      returned: always
  sample:
    - name: eth0
      features: {tx-checksum-ip-generic: {wanted: false, active: false, hw: true, fixed: false}}
      changed_by_kernel: [tx-tcp-segmentation, tx-tcp6-segmentation]
      persistent_in: [/etc/systemd/network/05-podnet-offload-eth0.link]
probe:
  description: What the probe found, none without O(probe).
  returned: always
  type: dict
  contains:
    works:
      description: Whether TCP got through before anything was tried.
      type: bool
      returned: always
    detail:
      description: What the attempt said.
      type: str
      returned: always
    tried:
      description: What was tried, with C(interface), C(feature), whether it C(helped), and C(detail).
      type: list
      elements: dict
      returned: always
  sample:
    works: false
    detail: no connection within 5 s
    tried: [{interface: flannel.1, feature: tx, helped: true, detail: connected}]
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
  sample: {unit: podnet-offload-watchdog, armed: true, seconds_left: 60}
"""

import difflib
import errno
import ipaddress
import os
import socket
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.podnet.cni.plugins.module_utils._host import (
    commands,
    device_setup,
    ethtool,
    files,
    offload_persistence,
    offload_record,
    offload_trial,
    put_back,
    systemd_timer,
    tcp_probe,
    two_phases,
    way_back,
)
from ansible_collections.podnet.cni.plugins.module_utils._host.offload_way_back import KIND
from ansible_collections.podnet.cni.plugins.module_utils._plan import features as of_devices

States = dict[str, dict[str, of_devices.Feature]]
Persistence = dict[str, device_setup.Change]


class Failure(Exception):
    """What the module fails with; the text has the remedy."""

    def __init__(self, message: str, **results: t.Any) -> None:
        super().__init__(message)
        self.results = results


def option_problem(params: t.Mapping[str, t.Any]) -> str | None:
    """The first wrong option with its value and remedy, or None."""
    for option in ("interfaces", "features"):
        if params["state"] == "present" and not params[option]:
            return f"{option}: state=present needs some, such as {'eth0' if option == 'interfaces' else 'tso: false'}"
    for name, value in params["features"].items():
        try:
            boolean(value)
        except TypeError:
            return f"features: '{name}' is '{value}'; give true to turn it on or false to turn it off"
    probe = params["probe"]
    if probe:
        for option in ("address", "source"):
            try:
                ipaddress.ip_address(probe[option] or "::")
            except ValueError:
                return f"probe.{option}: '{probe[option]}' is not an IP address; give one without prefix length, such as 10.244.2.5"
        if not 1 <= probe["port"] <= 65535:
            return f"probe.port: {probe['port']} is not a TCP port; give 1 to 65535"
        if probe["timeout"] <= 0:
            return f"probe.timeout: {probe['timeout']} is not a duration; give seconds greater than 0"
        if not 0 <= probe["bytes"] <= 1 << 24:
            return f"probe.bytes: {probe['bytes']} is out of range; give 0 to {1 << 24}"
    return way_back.seconds_problem(params["watchdog_seconds"], "keep the change at once")


class Setter:
    """Carries out one state."""

    def __init__(self, params: t.Mapping[str, t.Any], check_mode: bool, root: Path = Path("/")) -> None:
        self.params = params
        self.check_mode = check_mode
        self.root = root
        self.folder = Path(params["state_dir"])
        self.wishes = {str(name): boolean(value) for name, value in params["features"].items()}
        self.probe: dict[str, t.Any] | None = None

    def run(self) -> dict[str, t.Any]:
        """Carry it out and return the module's results."""
        results: dict[str, t.Any] = getattr(self, f"run_{self.params['state']}")()
        return results

    # -- what is there

    def read(self, interfaces: t.Iterable[str]) -> States:
        """Features of devices."""
        return {interface: self.read_one(interface) for interface in interfaces}

    @staticmethod
    def read_one(interface: str) -> dict[str, of_devices.Feature]:
        """Features of one device."""
        try:
            return ethtool.read(interface)
        except OSError as exc:
            if exc.errno not in (errno.ENODEV, errno.ERANGE):
                raise Failure(f"interfaces: the kernel does not tell features of '{interface}': {exc.strerror}") from exc
            names = [name for dummy, name in socket.if_nameindex()]
            near = difflib.get_close_matches(interface, names, n=3, cutoff=0.5) or names
            raise Failure(f"interfaces: there is no '{interface}' on this host; it has {', '.join(near[:8])}") from exc

    # -- present

    def run_present(self) -> dict[str, t.Any]:
        """State present."""
        before = self.read(self.params["interfaces"])
        wishes = dict.fromkeys(before, self.wishes)
        asked = {interface: of_devices.request(interface, self.wishes, before[interface]) for interface in before}
        change = two_phases.Change(self.folder, self.params["watchdog_seconds"], KIND)
        plans = self.persistence(wishes, before) if self.params["persistent"] else {}
        if self.params["probe"]:
            return self.present_by_probe(before, asked, change)
        return self.present_as_given(before, wishes, asked, plans, change)

    def persistence(self, wishes: two_phases.Wishes, features: States) -> Persistence:
        """What has to be written so that wishes last."""
        plans = {name: offload_persistence.plan(name, wishes[name], features[name], self.root) for name in wishes}
        return {name: plan for name, plan in plans.items() if plan.needed}

    def require_timer(self) -> None:
        """Refuse a timer on a host that cannot have one."""
        if self.params["watchdog_seconds"]:
            try:
                way_back.require()
            except commands.CommandError as exc:
                raise Failure(f"watchdog_seconds: {exc}; install systemd, or set it to 0 to go without a way back by itself") from exc

    def present_as_given(
        self,
        before: States,
        wishes: two_phases.Wishes,
        asked: dict[str, dict[str, bool]],
        plans: Persistence,
        change: two_phases.Change,
    ) -> dict[str, t.Any]:
        """Set what is asked for."""
        different = {name: of_devices.to_write(asked[name], before[name]) for name in asked}
        different = {name: values for name, values in different.items() if values}
        if change.pending is not None and change.pending["persistent"]:
            plans = {name: plan for name, plan in plans.items() if not wishes[name].items() <= change.pending["wishes"].get(name, {}).items()}
        waits = change.two_phases if different else bool(plans) and change.pending is not None
        if different:
            self.require_timer()
        if not self.check_mode:
            if different or plans:
                self.carry_out(before, wishes, different, plans, change, waits)
            else:
                change.renew()
        after = self.foreseen(before, asked) if self.check_mode else self.read(before)
        if not (different or plans):
            self.refuse_unmet(wishes, after)
        return self.result(bool(different or plans), before, after, asked, plans, armed=waits or None)

    def carry_out(
        self,
        before: States,
        wishes: two_phases.Wishes,
        different: dict[str, dict[str, bool]],
        plans: Persistence,
        change: two_phases.Change,
        waits: bool,
    ) -> None:
        """All of it, or nothing."""
        entries = offload_record.of_features(before, different)
        written: dict[str, offload_record.Entry] = {}
        try:
            if different or waits:
                change.begin(entries, {name: wishes[name] for name in (*different, *plans)}, self.params["persistent"])
            for name, values in different.items():
                ethtool.write(name, values)
            self.refuse_unmet(wishes, self.read(before))
            if not waits:
                self.make_last(plans, written)
        except (Failure, commands.CommandError, OSError) as exc:
            problems = offload_record.put_back(offload_record.merged(entries, written))
            change.give_up()
            raise Failure(f"{exc}; {put_back.told(problems)}") from exc

    def make_last(self, plans: Persistence, written: dict[str, offload_record.Entry]) -> None:
        """Write what makes changes last; C(written) gets what was there before, also of those before one that fails."""
        for name, plan in plans.items():
            device_setup.apply(plan)
            written[name] = offload_record.Entry(features={}, **plan.before)
        two_phases.add_to_record(self.folder, KIND, dict(written))

    @staticmethod
    def refuse_unmet(wishes: two_phases.Wishes, after: States) -> None:
        """Refuse when the kernel does not do what it was asked for."""
        for name in wishes:
            unmet = of_devices.unmet(wishes[name], after[name])
            if unmet:
                raise Failure(
                    f"features: {name} does not have {', '.join(f'{word} {of_devices.word(wishes[name][word])}' for word in unmet)} although it was "
                    "asked for: something that it needs is off (segmentation needs tx checksums and scatter-gather), or the driver insists; set "
                    "what it needs in the same call"
                )

    # -- present, by a probe

    def present_by_probe(self, before: States, asked: dict[str, dict[str, bool]], change: two_phases.Change) -> dict[str, t.Any]:
        """Set what helps."""
        options = self.params["probe"]
        peer = tcp_probe.Peer(options["address"], options["port"], options["source"], options["bytes"], options["timeout"])
        first = tcp_probe.connect(peer)
        self.probe = {"works": first.works, "detail": first.detail, "tried": []}
        if first.works:
            if not self.check_mode:
                change.renew()
            return self.result(False, before, before, asked, {}, armed=None)
        where = f"port {peer.port} of {peer.address}"
        if options["ping"] and not tcp_probe.ping(peer):
            raise Failure(
                f"probe: neither a ping nor TCP to {where} gets through ({first.detail}), so this is not about features of devices; look at routes "
                "and firewalls, or set probe.ping=false for a peer that answers no pings",
                probe=self.probe,
            )
        candidates = [
            offload_trial.Candidate(name, wish, {member: before[name][member].wanted for member in values}, values)
            for name in before
            for wish in self.wishes
            for values in [of_devices.to_write(of_devices.request(name, {wish: self.wishes[wish]}, before[name]), before[name])]
            if values
        ]
        if not candidates:
            raise Failure(f"probe: TCP to {where} does not get through ({first.detail}) with all features as given; give others", probe=self.probe)
        self.require_timer()
        if self.check_mode:
            return self.result(True, before, before, asked, {}, armed=change.two_phases or None)
        return self.try_candidates(before, candidates, peer, change)

    def try_candidates(
        self, before: States, candidates: list[offload_trial.Candidate], peer: tcp_probe.Peer, change: two_phases.Change
    ) -> dict[str, t.Any]:
        """Try them, and keep what helps."""
        all_names: dict[str, list[str]] = {}
        for candidate in candidates:
            all_names.setdefault(candidate.interface, []).extend(candidate.before)
        entries = offload_record.of_features(before, all_names)
        written: dict[str, offload_record.Entry] = {}
        try:
            change.begin(entries, {}, False)
            trials = offload_trial.run(peer, candidates)
            tried = [
                {"interface": trial.candidate.interface, "feature": trial.candidate.name, "helped": trial.helped, "detail": trial.detail}
                for trial in trials
            ]
            self.probe = {**(self.probe or {}), "tried": tried}
            chosen = trials[-1].candidate
            if not trials[-1].helped:
                names = ", ".join(f"{trial.candidate.name} of {trial.candidate.interface}" for trial in trials)
                raise Failure(f"probe: port {peer.port} of {peer.address} answers pings only, and none of {names} is why", probe=self.probe)
            name, wishes = chosen.interface, {chosen.interface: {chosen.name: self.wishes[chosen.name]}}
            change.narrow(offload_record.of_features(before, {name: chosen.before}), wishes, self.params["persistent"])
            plans = self.persistence(wishes, before) if self.params["persistent"] else {}
            if not change.two_phases:
                self.make_last(plans, written)
        except (Failure, device_setup.Refused, commands.CommandError, OSError) as exc:
            problems = offload_record.put_back(offload_record.merged(entries, written))
            change.give_up()
            raise Failure(f"{exc}; {put_back.told(problems)}", probe=self.probe) from exc
        return self.result(True, before, self.read(before), {name: chosen.after}, plans, armed=None)

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
            return self.result(False, {}, {}, {}, {}, armed=None)
        wishes = pending["wishes"]
        now = self.read(wishes)
        asked = {name: of_devices.request(name, wishes[name], now[name]) for name in wishes}
        try:
            self.refuse_unmet(wishes, now)
        except Failure as exc:
            raise Failure(
                f"state: the change is not in force any more (a restart ends it), so it cannot be kept; run state=present again. {exc}"
            ) from exc
        plans = self.persistence(wishes, now) if pending["persistent"] else {}
        if not self.check_mode:
            self.keep(pending, plans)
        return self.result(True, now, now, asked, plans, armed=False)

    def keep(self, pending: two_phases.Pending, plans: Persistence) -> None:
        """Stop the timer, then make it last."""
        change = two_phases.Change(self.folder, 0, KIND)
        change.disarm()
        if two_phases.read_pending(self.folder, KIND) is None:
            raise Failure("state: the timer was quicker and has put everything back; run state=present again, with more watchdog_seconds")
        written: dict[str, offload_record.Entry] = {}
        try:
            self.make_last(plans, written)
        except (commands.CommandError, OSError) as exc:
            problems = offload_record.put_back(offload_record.merged(pending["entries"], written))
            put_back.restore_file(self.folder / KIND.record, pending["record"])
            change.end()
            raise Failure(f"persistent: {exc}; {put_back.told(problems)}") from exc
        change.end()

    # -- restored

    def run_restored(self) -> dict[str, t.Any]:
        """State restored."""
        record = two_phases.read_record(self.folder, KIND)
        chosen = {name: entry for name, entry in record.items() if name in (self.params["interfaces"] or record)}
        present = {name for dummy, name in socket.if_nameindex()}
        before = self.read(name for name in chosen if name in present)
        asked = {name: {word: value for word, value in chosen[name]["features"].items() if word in before[name]} for name in before}
        if not chosen:
            return self.result(False, {}, {}, {}, {}, armed=None)
        if not self.check_mode:
            self.restore(chosen)
        after = self.foreseen(before, asked) if self.check_mode else self.read(before)
        results = self.result(True, before, after, asked, {}, armed=False if set(chosen) == set(record) else None)
        for name, interface in ((entry["name"], entry) for entry in results["interfaces"]):
            interface["persistent_in"] = [*chosen[name]["files"], *chosen[name]["commands"]]
        return results

    def restore(self, chosen: offload_record.Entries) -> None:
        """Put back, then forget."""
        change = two_phases.Change(self.folder, 0, KIND)
        problems = offload_record.put_back(chosen)
        if problems:
            raise Failure(f"state: this could not be put back: {'; '.join(problems)}; put it right and run state=restored again")
        change.forget(chosen)

    # -- results

    @staticmethod
    def foreseen(before: States, asked: t.Mapping[str, t.Mapping[str, bool]]) -> States:
        """What check mode expects."""
        after = {name: dict(features) for name, features in before.items()}
        for name, values in asked.items():
            for word, value in values.items():
                after[name][word] = before[name][word]._replace(wanted=value, active=value)
        return after

    def result(
        self,
        changed: bool,
        before: States,
        after: States,
        asked: t.Mapping[str, t.Mapping[str, bool]],
        plans: Persistence,
        armed: bool | None,
    ) -> dict[str, t.Any]:
        """The module's results. C(armed) is what check mode expects of the timer, None if it stays as it is."""
        timer = systemd_timer.read(KIND.unit)
        if self.check_mode and armed is not None:
            timer = systemd_timer.Timer(armed, self.params["watchdog_seconds"] if armed else None)
        interfaces = []
        sides: tuple[dict[str, t.Any], dict[str, t.Any]] = ({}, {})
        for name in before:
            values = asked.get(name, {})
            changed_ones = of_devices.different(before[name], after[name])
            interfaces.append(
                {
                    "name": name,
                    "features": {word: of_devices.as_dict(after[name][word]) for word in values},
                    "changed_by_kernel": [word for word in changed_ones if word not in values],
                    "persistent_in": [*plans[name].files, *plans[name].before["commands"]] if name in plans else [],
                }
            )
            for side, features in zip(sides, (before[name], after[name])):
                side[name] = {word: of_devices.text_of(features[word]) for word in changed_ones}
        for name, plan in plans.items():
            sides[0][name]["persistent"] = plan.before["files"] or plan.before["commands"]
            sides[1][name]["persistent"] = plan.files or [" ".join(words) for words in plan.commands]
        if changed and self.params["state"] == "committed":
            sides[0]["kept"], sides[1]["kept"] = False, True
        return {
            "changed": changed,
            "interfaces": interfaces,
            "probe": self.probe,
            "watchdog": {"unit": KIND.unit, "armed": timer.armed, "seconds_left": timer.seconds_left},
            "diff": {"before": sides[0], "after": sides[1]},
        }


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "committed", "restored"], "default": "present"},
            "interfaces": {"type": "list", "elements": "str", "default": []},
            "features": {"type": "dict", "default": {}},
            "probe": {
                "type": "dict",
                "options": {
                    "address": {"type": "str", "required": True},
                    "port": {"type": "int", "required": True},
                    "source": {"type": "str"},
                    "bytes": {"type": "int", "default": 0},
                    "timeout": {"type": "float", "default": 5.0},
                    "ping": {"type": "bool", "default": True},
                },
            },
            "persistent": {"type": "bool", "default": True},
            "watchdog_seconds": {"type": "int", "default": 0},
            "state_dir": {"type": "path", "default": "/var/lib/podnet"},
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
    except (of_devices.Refused, device_setup.Refused, commands.CommandError, OSError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**results)


if __name__ == "__main__":
    main()
