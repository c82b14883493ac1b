# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a node's route to a pod address of another node is the one that BGP should have brought. Pure: no input, no output."""

from __future__ import annotations

import ipaddress
import json
import typing as t

Object = t.Mapping[str, t.Any]
HANDLE = "podnet-fabric-probe"
_UNUSABLE = ("unreachable", "blackhole", "prohibit")
TUNNEL = "vxlan.calico"
"""Nobody but Felix has routes over it, which have the protocol C(boot) in Calico v3.28 and are Felix's own in later versions."""
_OVERLAYS = ("flannel", "cni", "vxlan", "tunl", "docker")


class ConfigError(ValueError):
    """Why Calico's IPAM plugin cannot be run; the text has the remedy."""


def container_id(node: str) -> str:
    """A container id of its own for each node: a release by the plugin releases every address of its handle, on all nodes.

    See cmdDel in projectcalico/calico:cni-plugin/pkg/ipamplugin/ipam_plugin.go.
    """
    return f"{HANDLE}-{node}"


def ipam_input(text: str, path: str) -> dict[str, t.Any]:
    """Standard input of C(calico-ipam): the calico plugin's part of a CNI configuration list.

    :raises ConfigError: when the file is no such list.
    """
    try:
        config = json.loads(text)
        plugins = [plugin for plugin in config["plugins"] if plugin.get("type") == "calico"]
        name = config["name"]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigError(f"{path} is not a CNI configuration list: {exc}; let calico-node write it again by restarting its pod") from exc
    if not plugins or (plugins[0].get("ipam") or {}).get("type") != "calico-ipam":
        raise ConfigError(f"{path} does not use the calico plugin with calico-ipam; this probe is for Calico's own address management")
    return {**plugins[0], "name": name, "cniVersion": config.get("cniVersion", "0.3.1")}


def best_route(routes: t.Iterable[Object], address: str) -> Object | None:
    """The route with the longest prefix, of those that match the address (as C(ip -j route show match) gives them)."""
    version = ipaddress.ip_address(address).version

    def length(route: Object) -> int:
        destination = str(route.get("dst", "default"))
        if destination == "default":
            return 0
        return ipaddress.ip_network(destination, strict=False).prefixlen

    matching = [route for route in routes if _version_of(route) in (version, None)]
    return max(matching, key=length, default=None)


def _version_of(route: Object) -> int | None:
    destination = str(route.get("dst", "default"))
    return None if destination == "default" else ipaddress.ip_network(destination, strict=False).version


def route_words(route: Object | None) -> str:
    """A route for people."""
    if route is None:
        return "no route"
    kind = route.get("type")
    words = [kind] if kind and kind != "unicast" else []
    words.append(str(route.get("dst")))
    for word, field in (("via", "gateway"), ("dev", "dev"), ("proto", "protocol")):
        if route.get(field):
            words += [word, str(route[field])]
    return " ".join(words)


def route_problem(route: Object | None, encapsulation: str = "none") -> str | None:
    """Why packets to another node's block will not leave as they should, None when they will.

    C(encapsulation) is that of the pool, see C(ENCAPSULATIONS) in calico_resources.
    """
    words = route_words(route)
    if encapsulation != "none":
        return _tunnel_problem(route, words, encapsulation)
    if route is None or route.get("dst") == "default":
        return f"no route yet: the block's BGP route has not arrived ({words} would be used); check that the router sends pod routes to this node"
    if route.get("type") in _UNUSABLE:
        return (
            f"unreachable: BIRD cannot resolve the next hop ({words}). This happens when the router also sends routes to the nodes' own subnets, "
            "or does not keep the next hop; let it send pod routes only, with the nodes as next hop"
        )
    device = str(route.get("dev", ""))
    if device.startswith(_OVERLAYS):
        return f"routed by {device}: the block's BGP route is missing ({words}); check the sessions of both nodes and the router's filters"
    return None


def _tunnel_problem(route: Object | None, words: str, encapsulation: str) -> str | None:
    """The same where Felix makes the routes."""
    device = str((route or {}).get("dev", ""))
    if route is None or route.get("dst") == "default" or (device.startswith(_OVERLAYS) and device != TUNNEL):
        return (
            f"no route yet: Felix has not made the block's route ({words} would be used); check the annotation "
            "projectcalico.org/IPv4VXLANTunnelAddr of both nodes, and the log of calico-node on this one"
        )
    if route.get("type") in _UNUSABLE:
        return f"unreachable: Felix takes the block for one of this node's ({words}); check which node it belongs to (BlockAffinity)"
    if encapsulation == "vxlan" and device != TUNNEL:
        return f"routed by {device}, not by {TUNNEL} ({words}): the pool has another vxlanMode than Always; correct it"
    return None


def connect_problem(error: OSError, route: Object | None, seconds: float) -> str:
    """What a failed TCP connection between two pod addresses tells about the fabric."""
    words = route_words(route)
    if isinstance(error, TimeoutError) and (route or {}).get("dev") == TUNNEL:
        return (
            f"no answer within {seconds:g} s although the route is there ({words}): a firewall between the nodes or on them drops UDP port 4789, "
            "or one of both directions lacks a route"
        )
    if isinstance(error, TimeoutError):
        return (
            f"no answer within {seconds:g} s although the route is there ({words}): the fabric drops packets with pod addresses, "
            "one of both directions lacks a route, or a filter forbids them (port security, source checks)"
        )
    name = type(error).__name__
    if isinstance(error, ConnectionRefusedError):
        return "the node answers, but its end of the probe does not run; run the probe with state=present there first"
    if isinstance(error, ConnectionResetError):
        return f"the connection was reset: something between the nodes interferes ({words})"
    return f"{error.strerror or name} ({words}): the next hop does not answer, or a router has no route"
