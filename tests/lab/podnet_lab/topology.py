# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's topology: read from YAML, checked, and resolved into addresses. No I/O but reading the file."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from pathlib import Path
from typing import Any

import yaml

from podnet_lab.errors import LabError

AS_NUMBER = 64512
ROUTER_HOST = 1
CONTROL_PLANE_HOST = 10
CONTROLLER_HOST = 10
FIRST_NODE_HOST = 11
API_PORT = 6443

NAME = re.compile(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
ROUTER_EXPORTS = ("pods", "pods_and_nodes")
BACKENDS = ("vxlan", "host-gw")

FIELDS = {
    "name",
    "zones",
    "pod_cidr",
    "node_pod_cidr_size",
    "service_cidr",
    "controller_subnet",
    "flannel",
    "mtu",
    "router",
}
ZONE_FIELDS = {"name", "subnet", "nodes", "as_number"}
FLANNEL_FIELDS = {
    "backend",
    "namespace",
    "daemonset",
    "configmap",
    "enable_nftables",
    "ip_masq",
    "cni_config_name",
}
ROUTER_FIELDS = {"exports", "as_number", "password"}
PASSWORD = re.compile(r"^[A-Za-z0-9-]{0,80}$")


@dataclasses.dataclass(frozen=True)
class Node:
    """One worker: a container in a network namespace of its own."""

    name: str
    zone: str
    address: str
    prefix_length: int
    gateway: str
    netns: str
    container: str


@dataclasses.dataclass(frozen=True)
class Zone:
    """One subnet behind the router, as one rack is."""

    name: str
    subnet: str
    router_address: str
    prefix_length: int
    nodes: tuple[Node, ...]
    as_number: int = AS_NUMBER
    """Of its nodes."""


@dataclasses.dataclass(frozen=True)
class Flannel:
    """How Flannel is installed and configured."""

    backend: dict[str, Any]
    namespace: str
    daemonset: str
    configmap: str
    enable_nftables: bool
    ip_masq: bool
    cni_config_name: str


@dataclasses.dataclass(frozen=True)
class Router:
    """What the top-of-rack router does."""

    exports: str
    as_number: int
    password: str = ""
    """Of all sessions (TCP MD5), none when empty."""


@dataclasses.dataclass(frozen=True)
class Topology:
    """Everything that the lab builds, with all addresses worked out."""

    name: str
    zones: tuple[Zone, ...]
    pod_cidr: str
    node_pod_cidr_size: int
    service_cidr: str
    controller_subnet: str
    controller_address: str
    controller_gateway: str
    control_plane_address: str
    dns_address: str
    mtu: int
    flannel: Flannel
    router: Router

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All workers, zone by zone."""
        return tuple(node for zone in self.zones for node in zone.nodes)

    @property
    def api_server(self) -> str:
        """The URL of the API server."""
        return f"https://{self.control_plane_address}:{API_PORT}"

    @property
    def control_plane_zone(self) -> Zone:
        """The zone that the control plane lives in."""
        return self.zones[0]

    def netns(self, place: str) -> str:
        """The name of the network namespace of a place: C(tor), C(cp), C(ctl) or a node."""
        return f"{self.name}-{place}"

    @property
    def places(self) -> tuple[str, ...]:
        """Every place that has a network namespace."""
        return ("tor", "cp", "ctl", *(node.name for node in self.nodes))

    def as_dict(self) -> dict[str, Any]:
        """The resolved topology, ready for JSON."""
        return dataclasses.asdict(self)


def load(path: Path, name: str | None = None) -> Topology:
    """Read and resolve a topology file; C(name) replaces the name in the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LabError(f"topology {path}: {error.strerror}; give another file with --topology") from error
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise LabError(f"topology {path} is not YAML: {error}") from error
    return resolve(data, name=name, source=str(path))


def resolve(data: Any, name: str | None = None, source: str = "topology") -> Topology:
    """Check the fields and work out all names and addresses."""
    check = _Checker(source)
    top = check.mapping(data, "", FIELDS)
    lab_name = name or check.text(top, "name", "podnet")
    check.require(
        NAME.match(lab_name) and len(lab_name) <= 20,
        "name",
        lab_name,
        "use at most 20 lower-case letters, digits and dashes",
    )
    router = _router(check, top)
    mtu = check.integer(top, "mtu", 1500, 576, 9000)
    pods = check.network(top.get("pod_cidr", "10.244.0.0/16"), "pod_cidr")
    services = check.network(top.get("service_cidr", "10.96.0.0/16"), "service_cidr")
    controllers = check.network(top.get("controller_subnet", "172.30.0.0/24"), "controller_subnet")
    size = check.integer(top, "node_pod_cidr_size", 24, pods.prefixlen, 28)
    zones = _zones(check, top, lab_name, router.as_number)
    node_count = sum(len(zone.nodes) for zone in zones)
    check.require(
        2 ** (size - pods.prefixlen) >= node_count,
        "node_pod_cidr_size",
        size,
        f"{pods} holds too few /{size} networks for {node_count} nodes; choose a larger pod_cidr",
    )
    _refuse_overlaps(
        check,
        [("pod_cidr", pods), ("service_cidr", services), ("controller_subnet", controllers)]
        + [(f"zones[{i}].subnet", ipaddress.IPv4Network(zone.subnet)) for i, zone in enumerate(zones)],
    )
    return Topology(
        name=lab_name,
        zones=zones,
        pod_cidr=str(pods),
        node_pod_cidr_size=size,
        service_cidr=str(services),
        controller_subnet=str(controllers),
        controller_address=str(controllers[CONTROLLER_HOST]),
        controller_gateway=str(controllers[ROUTER_HOST]),
        control_plane_address=str(ipaddress.IPv4Network(zones[0].subnet)[CONTROL_PLANE_HOST]),
        dns_address=str(services[10]),
        mtu=mtu,
        flannel=_flannel(check, top),
        router=router,
    )


def _zones(check: _Checker, top: dict[str, Any], lab_name: str, as_number: int) -> tuple[Zone, ...]:
    entries = top.get("zones")
    check.require(isinstance(entries, list) and entries, "zones", entries, "list at least one zone")
    zones: list[Zone] = []
    seen: set[str] = {"tor", "cp", "ctl"}
    host = FIRST_NODE_HOST
    for i, entry in enumerate(entries or []):
        field = f"zones[{i}]"
        data = check.mapping(entry, field, ZONE_FIELDS)
        zone_name = check.text(data, "name", None, field)
        check.require(
            NAME.match(zone_name) and len(zone_name) <= 10 and zone_name not in [z.name for z in zones],
            f"{field}.name",
            zone_name,
            "use a name of its own of at most 10 lower-case letters, digits and dashes",
        )
        subnet = check.network(data.get("subnet"), f"{field}.subnet")
        check.require(subnet.prefixlen <= 26, f"{field}.subnet", subnet, "use a /26 or larger")
        names = data.get("nodes")
        check.require(isinstance(names, list) and names, f"{field}.nodes", names, "list at least one node")
        nodes = []
        for j, node_name in enumerate(names or []):
            check.require(
                isinstance(node_name, str) and NAME.match(node_name) and len(node_name) <= 12 and node_name not in seen,
                f"{field}.nodes[{j}]",
                node_name,
                "use a name of its own of at most 12 lower-case letters, digits and dashes, not tor, cp or ctl",
            )
            seen.add(node_name)
            check.require(host < subnet.num_addresses - 1, f"{field}.nodes", names, f"{subnet} has no address left; use a larger one")
            nodes.append(
                Node(
                    name=node_name,
                    zone=zone_name,
                    address=str(subnet[host]),
                    prefix_length=subnet.prefixlen,
                    gateway=str(subnet[ROUTER_HOST]),
                    netns=f"{lab_name}-{node_name}",
                    container=f"{lab_name}-{node_name}",
                )
            )
            host += 1
        zones.append(
            Zone(
                name=zone_name,
                subnet=str(subnet),
                router_address=str(subnet[ROUTER_HOST]),
                prefix_length=subnet.prefixlen,
                nodes=tuple(nodes),
                as_number=check.integer(data, "as_number", as_number, 1, 2**32 - 1, field),
            )
        )
    return tuple(zones)


def _flannel(check: _Checker, top: dict[str, Any]) -> Flannel:
    data = check.mapping(top.get("flannel", {}), "flannel", FLANNEL_FIELDS)
    backend = data.get("backend", {"Type": "vxlan"})
    check.require(
        isinstance(backend, dict) and backend.get("Type") in BACKENDS,
        "flannel.backend",
        backend,
        "give Flannel's own Backend object with a Type of " + " or ".join(BACKENDS),
    )
    return Flannel(
        backend=dict(backend),
        namespace=check.text(data, "namespace", "kube-flannel", "flannel"),
        daemonset=check.text(data, "daemonset", "kube-flannel-ds", "flannel"),
        configmap=check.text(data, "configmap", "kube-flannel-cfg", "flannel"),
        enable_nftables=check.boolean(data, "enable_nftables", False, "flannel"),
        ip_masq=check.boolean(data, "ip_masq", True, "flannel"),
        cni_config_name=check.text(data, "cni_config_name", "10-flannel.conflist", "flannel"),
    )


def _router(check: _Checker, top: dict[str, Any]) -> Router:
    data = check.mapping(top.get("router", {}), "router", ROUTER_FIELDS)
    exports = check.text(data, "exports", "pods", "router")
    check.require(exports in ROUTER_EXPORTS, "router.exports", exports, "use " + " or ".join(ROUTER_EXPORTS))
    password = data.get("password", "")
    check.require(isinstance(password, str) and PASSWORD.match(password), "router.password", password, "use at most 80 letters, digits and dashes")
    return Router(exports=exports, as_number=check.integer(data, "as_number", AS_NUMBER, 1, 2**32 - 1, "router"), password=password)


def _refuse_overlaps(check: _Checker, networks: list[tuple[str, ipaddress.IPv4Network]]) -> None:
    for i, (field, network) in enumerate(networks):
        for other_field, other in networks[:i]:
            check.require(not network.overlaps(other), field, network, f"it overlaps {other_field} ({other}); choose another")


class _Checker:
    """Reads fields and refuses bad ones by name."""

    def __init__(self, source: str) -> None:
        self.source = source

    def require(self, condition: object, field: str, value: object, remedy: str) -> None:
        if not condition:
            raise LabError(f"{self.source}: {field}: {value!s} is not valid: {remedy}")

    def mapping(self, value: Any, field: str, known: set[str]) -> dict[str, Any]:
        self.require(isinstance(value, dict), field or "(top level)", value, "use a mapping of " + ", ".join(sorted(known)))
        unknown = sorted(str(key) for key in value if key not in known)
        prefix = f"{field}." if field else ""
        if unknown:
            raise LabError(f"{self.source}: {prefix}{unknown[0]} is not a known field: use one of {', '.join(sorted(known))}")
        return dict(value)

    def text(self, data: dict[str, Any], key: str, default: str | None, field: str = "") -> str:
        value = data.get(key, default)
        self.require(isinstance(value, str) and value, _join(field, key), value, "give a text")
        return str(value)

    def boolean(self, data: dict[str, Any], key: str, default: bool, field: str = "") -> bool:
        value = data.get(key, default)
        self.require(isinstance(value, bool), _join(field, key), value, "use true or false")
        return bool(value)

    def integer(self, data: dict[str, Any], key: str, default: int, low: int, high: int, field: str = "") -> int:
        value = data.get(key, default)
        self.require(
            isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
            _join(field, key),
            value,
            f"use a number from {low} to {high}",
        )
        return int(value)

    def network(self, value: Any, field: str) -> ipaddress.IPv4Network:
        try:
            network = ipaddress.IPv4Network(str(value))
        except ValueError as error:
            raise LabError(f"{self.source}: {field}: {value!s} is not valid: use an IPv4 network such as 10.0.0.0/24 ({error})") from error
        return network


def _join(field: str, key: str) -> str:
    return f"{field}.{key}" if field else key
