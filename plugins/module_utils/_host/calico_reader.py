# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of Calico is on a node: one reading, used to decide what to remove and to prove that it is gone."""

from __future__ import annotations

import itertools
import os
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_traces, config_files, firewall, flannel_node, flannel_traces
from ansible_collections.podnet.cni.plugins.module_utils._host import attachments, cni_state, flannel_reader, iproute, ipset, netfilter

Record = dict[str, t.Any]
MOUNTS = Path("/proc/self/mounts")
SECRETS = ("calico-kubeconfig", "calico-tls")
"""What Calico's installer writes beside its configuration (projectcalico/calico:cni-plugin/pkg/install/install.go)."""
POLICY_SYNC = Path("/run/nodeagent")
"""A folder that calico.yaml makes for Felix, which nothing else has to use."""


class Folders(t.NamedTuple):
    """Calico's own folders on a node."""

    state: Path = Path("/var/lib/calico")
    run: Path = Path("/run/calico")


class Traces(t.NamedTuple):
    """Everything of Calico's on a node."""

    devices: list[str]
    device_routes: list[Record]
    other_routes: list[Record]
    tunnel_addresses: list[str]
    firewall: list[tuple[netfilter.SaveProgram, firewall.Firewall]]
    nft_tables: list[dict[str, str]]
    sets: list[str]
    mounts: list[str]
    files: list[Path]

    def removed(self) -> Record:
        """What a removal of all this removes, for the module's results."""
        told = netfilter.records(self.firewall)
        return {
            "devices": self.devices,
            "addresses": self.tunnel_addresses,
            "routes": [flannel_traces.route_text(route) for route in [*self.device_routes, *self.other_routes]],
            "chains": told.chains,
            "rules": told.rules,
            "nft_tables": self.nft_tables,
            "sets": self.sets,
            "mounts": self.mounts,
            "files": [str(path) for path in self.files],
        }

    def lines(self) -> list[str]:
        """The same for people, one line each."""
        removed = self.removed()
        lines = [f"device {name}" for name in removed["devices"]]
        lines += [f"address {address} of {calico_traces.IPIP}" for address in removed["addresses"]]
        lines += [f"route {text}" for text in removed["routes"]]
        lines += netfilter.records(self.firewall).lines()
        lines += ["nft table {family} {name}".format(**table) for table in removed["nft_tables"]]
        lines += [f"set {name}" for name in removed["sets"]]
        lines += [f"mount {path}" for path in removed["mounts"]]
        return lines + [f"file {path}" for path in removed["files"]]


NOTHING = Traces([], [], [], [], [], [], [], [], [])


class Reading(t.NamedTuple):
    """The traces, and what tells whether they are still in use."""

    traces: Traces
    routes: list[Record]
    configs: list[config_files.CniConfig]
    active_after: config_files.CniConfig | None
    pods: list[str]
    """Addresses of pods that have an interface of Calico's, or a sandbox that the runtime will ask Calico's plugin to delete."""
    networks: list[str]
    """Flannel's."""


def read(places: cni_state.Places, folders: Folders, programs: t.Collection[str]) -> Reading:
    """Read the node; nothing is changed."""
    links = iproute.read_links()
    routes = iproute.read_routes()
    configs = cni_state.read_configs(places)
    cached = {path: items for path, items in cni_state.read_attachments(places).items() if any(item["cni"] == "calico" for item in items)}
    gone = {str(path) for path in attachments.find_gone(places, [link["ifname"] for link in links], "calico")}
    devices = calico_traces.select_devices(links)
    by_device, others = calico_traces.select_routes(routes + iproute.read_routes("inet6"), devices)
    names = [config["network_name"] for config in configs if config["cni"] == "calico"]
    names += [item["network_name"] for item in itertools.chain.from_iterable(cached.values())]
    selections = [
        (variant, calico_traces.select_firewall(ruleset.tables, {name for name in names if name})) for variant, ruleset in netfilter.read_rulesets()
    ]
    config_paths = [Path(config["path"]) for config in configs if config["cni"] == "calico"]
    known = {str(path) for path in config_paths}
    mounts = mounts_below(folders.run)
    traces = Traces(
        devices=devices,
        device_routes=by_device,
        other_routes=others,
        tunnel_addresses=[address for link in links if link["ifname"] == calico_traces.IPIP for address in iproute.addresses_of(link)],
        firewall=[(variant, found) for variant, found in selections if found.chains or found.rules],
        nft_tables=[table for table in netfilter.read_nft_tables() if flannel_node.NFT_TABLE_OWNERS.get(table["name"]) == "calico"],
        sets=[name for name in ipset.names() if calico_traces.is_calico_set(name)],
        mounts=mounts,
        files=[
            *(Path(path) for path in sorted(gone)),
            *(places.programs / name for name in programs if os.path.lexists(places.programs / name)),
            *config_paths,
            *itertools.chain.from_iterable(_with_contents(places.config / name) for name in SECRETS),
            *flannel_reader.tree(folders.state),
            *(path for path in flannel_reader.tree(folders.run) if not any(str(path).startswith(f"{mount}/") for mount in mounts)),
            *([POLICY_SYNC] if _is_empty_folder(POLICY_SYNC) else []),
        ],
    )
    live = [item["address"] for path, items in cached.items() if path not in gone for item in items]
    return Reading(
        traces=traces,
        routes=routes,
        configs=configs,
        active_after=config_files.active(config for config in configs if config["path"] not in known),
        pods=sorted({*live, *iproute.calico_pod_addresses(routes)}),
        networks=[network.network for network in flannel_traces.networks_of(cni_state.read_subnet_env(places)) if network.family == "ip"],
    )


def mounts_below(folder: Path, table: Path = MOUNTS) -> list[str]:
    """Where something is mounted at or below a folder, the deepest first."""
    points = [line.split()[1] for line in table.read_text(encoding="utf-8", errors="replace").splitlines() if line]
    return sorted((point for point in points if point == str(folder) or point.startswith(f"{folder}/")), reverse=True)


def _with_contents(path: Path) -> list[Path]:
    """A file, or a folder after all that is in it; nothing when there is none."""
    if path.is_dir() and not path.is_symlink():
        return flannel_reader.tree(path)
    return [path] if os.path.lexists(path) else []


def _is_empty_folder(path: Path) -> bool:
    try:
        return not os.listdir(path)
    except OSError:
        return False
