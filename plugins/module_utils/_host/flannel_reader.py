# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of Flannel is on a node: one reading, used to decide what to remove and to prove that it is gone."""

from __future__ import annotations

import itertools
import os
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni import config_files, firewall, flannel_node, flannel_traces, host_local
from ansible_collections.podnet.cni.plugins.module_utils._host import cni_state, files, iproute, netfilter

Record = dict[str, t.Any]


class Traces(t.NamedTuple):
    """Everything of Flannel's on a node."""

    devices: list[str]
    device_routes: list[Record]
    direct_routes: list[Record]
    firewall: list[tuple[netfilter.SaveProgram, firewall.Firewall]]
    nft_tables: list[dict[str, str]]
    files: list[Path]
    ipam: list[tuple[str, Path, list[str]]]

    def removed(self) -> Record:
        """What a removal of all this removes, for the module's results."""
        told = netfilter.records(self.firewall)
        return {
            "devices": self.devices,
            "routes": [flannel_traces.route_text(route) for route in [*self.device_routes, *self.direct_routes]],
            "files": [str(path) for path in self.files],
            "chains": told.chains,
            "rules": told.rules,
            "nft_tables": self.nft_tables,
            "ipam": [{"network": network, "directory": str(folder), "addresses": addresses} for network, folder, addresses in self.ipam],
        }

    def lines(self) -> list[str]:
        """The same for people, one line each."""
        removed = self.removed()
        lines = [f"device {name}" for name in removed["devices"]]
        lines += [f"route {text}" for text in removed["routes"]]
        lines += netfilter.records(self.firewall).lines()
        lines += ["nft table {family} {name}".format(**table) for table in removed["nft_tables"]]
        lines += [f"file {path}" for path in removed["files"]]
        return lines + [f"addresses {entry['directory']}" for entry in removed["ipam"]]


class Reading(t.NamedTuple):
    """The traces, and what tells whether they are still in use."""

    traces: Traces
    links: list[Record]
    configs: list[config_files.CniConfig]
    active_after: config_files.CniConfig | None
    leases: list[host_local.Lease]
    attachments: list[host_local.Attachment]


def read(places: cni_state.Places, bridge: str, further_devices: t.Collection[str], with_program: bool) -> Reading:
    """Read the node; nothing is changed."""
    links = iproute.read_links()
    configs = cni_state.read_configs(places)
    cached = cni_state.read_attachments(places)
    attachments = list(itertools.chain.from_iterable(cached.values()))
    cni_networks = host_local.flannel_networks(configs, attachments)
    networks = flannel_traces.networks_of(cni_state.read_subnet_env(places))
    devices = flannel_traces.select_devices(links, bridge, further_devices)
    by_device, direct = flannel_traces.select_routes(iproute.read_routes() + iproute.read_routes("inet6"), devices, networks)
    selections = [
        (variant, flannel_traces.select_firewall(ruleset.tables, ruleset.family, networks, cni_networks))
        for variant, ruleset in netfilter.read_rulesets()
    ]
    leases = cni_state.read_leases(places)
    config_paths = config_file_paths(places, configs)
    gone = {str(path) for path in config_paths}
    traces = Traces(
        devices=devices,
        device_routes=by_device,
        direct_routes=direct,
        firewall=[(variant, found) for variant, found in selections if found.chains or found.rules],
        nft_tables=[table for table in netfilter.read_nft_tables() if flannel_node.NFT_TABLE_OWNERS.get(table["name"]) == "flannel"],
        files=[
            *(Path(path) for path, items in cached.items() if any(item["cni"] == "flannel" for item in items)),
            *tree(places.state / "flannel"),
            *([places.programs / name for name in flannel_node.PROGRAMS if (places.programs / name).exists()] if with_program else []),
            *config_paths,
            *tree(places.flannel),
        ],
        ipam=[
            (network, places.leases / network, [lease["address"] for lease in leases.get(network, [])])
            for network in cni_networks
            if (places.leases / network).is_dir()
        ],
    )
    return Reading(
        traces=traces,
        links=links,
        configs=configs,
        active_after=config_files.active(config for config in configs if config["path"] not in gone),
        leases=[lease for network in cni_networks for lease in leases.get(network, [])],
        attachments=attachments,
    )


def config_file_paths(places: cni_state.Places, configs: t.Iterable[config_files.CniConfig]) -> list[Path]:
    """Configurations of Flannel's, whatever they are called, and old copies that have it in their names."""
    of_flannel = {config["path"] for config in configs if config["cni"] == "flannel"}
    named = {str(places.config / name) for name in files.names(places.config) if "flannel" in name.lower()}
    return [Path(path) for path in sorted(of_flannel | named) if not os.path.isdir(path)]


def tree(folder: Path) -> list[Path]:
    """A folder with all that is in it, contents first; nothing when there is none."""
    found = [Path(root) / name for root, folders, names in os.walk(folder, topdown=False) for name in [*names, *folders]]
    return [*found, folder] if folder.is_dir() else []
