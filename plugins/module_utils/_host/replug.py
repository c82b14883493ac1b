# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move one running pod from a network to another one, without a restart and with its address.

The new network's own plugin makes its interface in a namespace that nobody uses, which takes as long as it takes. The interface is then moved
to the pod under another name and turned on, while packets still take the old one. What is left to be cut over are addresses and routes: a
few messages to the kernel. The old interface stays until the new one was seen to work, so that the way back is as short.

A table of our own, which the kernel looks at before C(main), leads to the pods that are on the bridge, whatever Calico does to C(main).
"""

from __future__ import annotations

import contextlib
import errno
import time
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni import cni_cache, host_local
from ansible_collections.podnet.cni.plugins.module_utils._host import (
    arp_announce,
    cni_plugins,
    cni_state,
    commands,
    connections,
    df_probe,
    files,
    leases,
    namespaces,
    patience,
    pod_network,
    pod_reach,
    replug_record,
)

TABLE = 27129
"""Of our own, and the priority of its rule."""
NEW_NAME = "podnet-new"
_SCRATCH = "podnet-"
_LATE = ("tuning",)
"""Plugins that change the interface by its name, which it has at the end only."""
_PING = 84
_VERIFY_SECONDS = 2.0
"""In which a pod has to answer, and to be answered, since packets of one that does not are lost meanwhile."""
_LOOK_SECONDS = 1.0
"""In which an address has to answer before a move, for it to have to afterwards; a batch of pods waits as long for one that never does. And in
which one has to answer the node that does not answer a moved pod any more, for the pod to be what is cut off."""


class PodError(Exception):
    """Why a pod could not be moved."""


class Replug:
    """Moves pods one way: C(to) is C(calico) or C(flannel)."""

    def __init__(
        self,
        to: str,
        config: cni_cache.Record,
        places: cni_state.Places,
        folder: Path,
        bridge: str,
        plugins: patience.Patience,
        reach: t.Sequence[str] = (),
    ) -> None:
        self.to = to
        self.config = config
        self.places = places
        self.folder = folder
        self.bridge = bridge
        self.plugins = plugins
        self.reach = reach
        self.node = pod_network.PodNetwork()
        self.bridge_index = self.node.index(bridge)

    # Before the cut

    def prepare(self, pod: cni_cache.Remembered, namespace: namespaces.Namespace) -> Prepared:
        """Have the new network make an interface, and put it into the pod; packets do not take it yet.

        :raises PodError: when that fails; what was done is taken back.
        """
        if not _answers(pod.address):
            raise PodError(f"{pod.address} does not answer pings of its node, so that it could not be verified afterwards")
        while True:
            record = replug_record.Record(
                replug_record.path_of(self.folder, pod.container_id), replug_record.PREPARED, self.to, pod, self.config, {}, ()
            ).write()
            try:
                self._free_lease(pod)
                prepared = self._prepared(record, namespace)
                self.plugins.renew()
                return prepared
            except (cni_plugins.PluginError, commands.CommandError, PodError, OSError) as exc:
                problems = self.undo_prepared(record, namespace)
                of_plugin = isinstance(exc, cni_plugins.PluginError)
                if not of_plugin or problems or not is_there(namespace) or not self.plugins.wait():
                    raise PodError("; ".join([str(exc), *problems])) from exc

    def _prepared(self, record: replug_record.Record, namespace: namespaces.Namespace) -> Prepared:
        pod = record.pod
        scratch = _SCRATCH + pod.container_id[:10]
        commands.run(["ip", "netns", "add", scratch])
        try:
            place = _named(scratch)
            result = cni_plugins.add_first(self.places, pod, self.config, place.path, {"IP": pod.address})
            if cni_cache.addresses(result) != [pod.address]:
                raise PodError(f"the plugin gave {cni_cache.addresses(result)} instead of {pod.address}")
            with pod_network.PodNetwork(place) as made:
                index = made.index(pod.interface)
                if index is None:
                    raise PodError(f"the plugin made no {pod.interface}")
                addresses, ways = made.addresses(index), made.ways(index)
                made.move(index, namespace, NEW_NAME)
        finally:
            commands.run(["ip", "netns", "delete", scratch], check=False)
        result = cni_cache.in_namespace(result, namespace.path)
        network = pod_network.PodNetwork(namespace)
        new = network.index(NEW_NAME)
        old = network.index(pod.interface)
        if new is None or old is None:
            network.close()
            raise PodError("the pod has lost an interface")
        network.set_up(new)
        try:
            result = cni_plugins.add_others(self.places, pod, self._without_late(), namespace.path, result)
        except cni_plugins.PluginError:
            network.close()
            raise
        return Prepared(record._replace(result=result).write(), namespace, network, old, new, addresses, ways)

    def _without_late(self) -> cni_cache.Record:
        return {**self.config, "plugins": [plugin for plugin in self.config["plugins"] if plugin["type"] not in _LATE]}

    def _free_lease(self, pod: cni_cache.Remembered) -> None:
        """Let host-local hand out the address that we have kept from it."""
        if self.to == "flannel" and leases.owner_of(self._leases(), pod.address) == host_local.RESERVED_BY_US:
            files.remove(self._leases() / pod.address)

    def _leases(self) -> Path:
        return self.places.leases / str(self.config["name"])

    def undo_prepared(self, record: replug_record.Record, namespace: namespaces.Namespace | None) -> list[str]:
        """Take the new interface back; what could not be."""
        commands.run(["ip", "netns", "delete", _SCRATCH + record.pod.container_id[:10]], check=False)
        problems = []
        if namespace is not None:
            try:
                with pod_network.PodNetwork(namespace) as network:
                    index = network.index(NEW_NAME)
                    if index is not None:
                        network.delete(index)
            except OSError as exc:
                if is_there(namespace):
                    problems.append(f"{NEW_NAME} is left in the pod: {exc}")
        problems += self._give_back(record.pod, record.config, record.result or None)
        if self.to == "flannel" and namespace is not None and not problems:
            leases.take(self._leases(), record.pod.address, host_local.RESERVED_BY_US)
        if not problems:
            record.remove()
        return problems

    def _give_back(self, pod: cni_cache.Remembered, config: cni_cache.Record, result: cni_cache.Record | None) -> list[str]:
        """Have plugins give back what they hold for a pod; what they still do."""
        while True:
            problems = cni_plugins.delete(self.places, pod, config, result)
            if not problems or not self.plugins.wait():
                return problems

    def look(self, prepared: Prepared) -> Prepared:
        """Note which addresses the pod reaches over its old interface. Shortly before the cut, so that none of them ends in between.

        :raises PodError: when that cannot be found out; what was done is taken back.
        """
        if not self.reach:
            return prepared
        try:
            echoes = pod_reach.Echoes(prepared.namespace, prepared.record.pod.address)
        except OSError as exc:
            problems = self.undo_prepared(prepared.record, prepared.namespace)
            raise PodError("; ".join([f"which addresses it reaches cannot be found out: {exc}", *problems])) from exc
        return prepared._replace(echoes=echoes, reached=echoes.answered(self.reach, prepared.old, _LOOK_SECONDS))

    # The cut

    def cut(self, prepared: Prepared) -> Cut:
        """Have packets take the new interface; the time without is the time of this.

        :raises PodError: when the pod is not reached afterwards; it is back on the old interface then.
        """
        network, new, pod = prepared.network, prepared.new, prepared.record.pod
        old_ways = network.ways(prepared.old)
        record = prepared.record._replace(stage=replug_record.CUT, old_ways=tuple(way.message for way in old_ways)).write()
        # Late, so that few connections begin between this and the cut.
        with contextlib.suppress(OSError):
            connections.release([pod.address])
        begin = time.monotonic()
        try:
            network.add_addresses(new, prepared.addresses)
            self._lead_node(record)
            for way in prepared.ways:
                network.add_way(way, new, replace=True)
            for way in old_ways:
                network.remove_way(way)
            seconds = time.monotonic() - begin
            self._announce(record)
            if not _answers(pod.address):
                raise PodError(f"{pod.address} does not answer over its new interface")
            self._check_reach(prepared)
        except (OSError, PodError) as exc:
            problems = self.undo_cut(record, prepared.namespace)
            raise PodError("; ".join([str(exc), *problems])) from exc
        return Cut(prepared._replace(record=record), seconds)

    @staticmethod
    def _check_reach(prepared: Prepared) -> None:
        """What the pod reached before has to answer it by its new interface, unless it has ended meanwhile and does not answer the node either.

        :raises PodError: when it does not.
        """
        if prepared.echoes is None:
            return
        answered = prepared.echoes.answered(prepared.reached, prepared.new, _VERIFY_SECONDS)
        missing = [address for address in prepared.reached if address not in answered and _answers(address, _LOOK_SECONDS)]
        if missing:
            raise PodError(f"{prepared.record.pod.address} does not reach {', '.join(missing)} over its new interface, and did over its old one")

    def _lead_node(self, record: replug_record.Record) -> None:
        """Have the node send to the pod's new interface."""
        address = record.pod.address
        if self.bridge_index is None:
            return
        if self.to == "calico":
            self.node.remove_detour(address, self.bridge_index, TABLE)
            return
        mac = next((str(entry["mac"]) for entry in record.result.get("interfaces") or [] if entry.get("sandbox") and entry.get("mac")), None)
        if mac:
            self.node.set_neighbor(address, self.bridge_index, mac)
        self.node.add_detour(address, self.bridge_index, TABLE)

    def _announce(self, record: replug_record.Record) -> None:
        """Tell pods on the bridge at which link address they find the pod."""
        if self.to == "calico" and self.bridge_index is not None:
            arp_announce.announce(self.bridge, record.pod.address, arp_announce.mac_of(self.bridge))

    def undo_cut(self, record: replug_record.Record, namespace: namespaces.Namespace) -> list[str]:
        """Have packets take the old interface again, and take the new one back; what could not be."""
        problems = []
        try:
            with pod_network.PodNetwork(namespace) as network:
                old, new = network.index(record.pod.interface), network.index(NEW_NAME)
                if old is None:
                    return ["the old interface is gone"]
                for message in record.old_ways:
                    network.put_back(message)
                if self.bridge_index is not None and self.to == "calico":
                    self.node.add_detour(record.pod.address, self.bridge_index, TABLE)
                elif self.bridge_index is not None:
                    self.node.remove_detour(record.pod.address, self.bridge_index, TABLE)
                if new is not None:
                    network.delete(new)
                    # Those that were put back while the new interface had the same ones.
                    for message in record.old_ways:
                        network.put_back(message)
        except OSError as exc:
            if is_there(namespace):
                problems.append(str(exc))
        return problems + self.undo_prepared(record, namespace)

    # After it

    def finish(self, cut: Cut) -> list[str]:
        """Let the old interface go, and what its network holds; what could not be."""
        prepared = cut.prepared
        record = prepared.record._replace(stage=replug_record.MOVED).write()
        prepared.network.delete(prepared.old)
        self._rename(prepared.network, prepared.new, record.pod.interface, prepared.ways)
        return self.settle(record, prepared.namespace)

    def resume(self, record: replug_record.Record, namespace: namespaces.Namespace) -> list[str]:
        """The same when an earlier run was ended while it did so."""
        with pod_network.PodNetwork(namespace) as network:
            new, old = network.index(NEW_NAME), network.index(record.pod.interface)
            if new is not None:
                if old is not None:
                    network.delete(old)
                self._rename(network, new, record.pod.interface, network.ways(new))
        return self.settle(record, namespace)

    @staticmethod
    def _rename(network: pod_network.PodNetwork, index: int, name: str, ways: t.Iterable[pod_network.Way]) -> None:
        try:
            network.rename(index, name)
        except OSError as exc:
            if exc.errno != errno.EBUSY:
                raise
            network.set_up(index, False)
            network.rename(index, name)
            network.set_up(index)
            for way in ways:
                network.add_way(way, index, replace=True)

    def settle(self, record: replug_record.Record, namespace: namespaces.Namespace) -> list[str]:
        """What the runtime and the old network have to know of it; what could not be told."""
        pod, problems, result = record.pod, [], record.result
        late = {**record.config, "plugins": [{}, *(plugin for plugin in record.config["plugins"] if plugin["type"] in _LATE)]}
        try:
            result = cni_plugins.add_others(self.places, pod, late, namespace.path, result)
        except cni_plugins.PluginError as exc:
            problems.append(str(exc))
        folder = next((path for path in self.places.caches if path.is_dir()), self.places.caches[0])
        name = cni_cache.file_name(str(record.config["name"]), pod.container_id, pod.interface)
        files.write_atomically(folder / name, cni_cache.with_network(pod, record.config, result, pod.netns))
        left = self._give_back(pod, pod.config, pod.content.get("result"))
        problems += left
        if not left:
            for cache in self.places.caches:
                files.remove(cache / cni_cache.file_name(pod.network_name, pod.container_id, pod.interface))
        if self.to == "flannel" and self.bridge_index is not None:
            self.node.remove_detour(pod.address, self.bridge_index, TABLE)
        if not problems:
            record.remove()
        return problems


class Prepared(t.NamedTuple):
    """A pod with both interfaces."""

    record: replug_record.Record
    namespace: namespaces.Namespace
    network: pod_network.PodNetwork
    old: int
    new: int
    addresses: list[bytes]
    ways: list[pod_network.Way]
    echoes: pod_reach.Echoes | None = None
    reached: t.Sequence[str] = ()
    """Addresses that answered the pod over its old interface."""

    def close(self) -> None:
        """Let go of the pod's namespace."""
        self.network.close()
        if self.echoes is not None:
            self.echoes.close()


class Cut(t.NamedTuple):
    """A pod that uses the new interface."""

    prepared: Prepared
    seconds: float


def _named(name: str) -> namespaces.Namespace:
    path = f"/run/netns/{name}"
    inode = namespaces.inode_of(path)
    if inode is None:
        raise PodError(f"the network namespace {path} could not be made")
    return namespaces.Namespace(path, inode)


def is_there(namespace: namespaces.Namespace) -> bool:
    """Whether the pod has not ended."""
    return namespaces.inode_of(namespace.path) == namespace.inode


def _answers(address: str, seconds: float = _VERIFY_SECONDS) -> bool:
    with df_probe.Pinger(address, seconds) as pinger:
        return pinger.answered(_PING)
