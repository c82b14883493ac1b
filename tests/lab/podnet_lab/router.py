# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The router of the lab: BIRD 2 as the top-of-rack BGP speaker that nodes peer with."""

from __future__ import annotations

from pathlib import Path

from podnet_lab.process import Daemon
from podnet_lab.shell import run, wait_for
from podnet_lab.topology import Topology

CONFIG = """\
# Written by the lab from its topology.
log "{log}" all;
router id {router_id};

protocol device {{ }}

protocol direct {{
  ipv4;
}}

protocol kernel {{
  learn;
  ipv4 {{
    import none;
    export all;
  }};
}}

filter to_nodes {{
  if net ~ [ {pods}+ ] then accept;
{node_subnets}  reject;
}}

# Nodes of the router's own AS: it is a route reflector for them, and next hops stay the nodes.
template bgp same_as {{
  local as {as_number};
  rr client;
  graceful restart on;
  ipv4 {{
    import all;
    export filter to_nodes;
    next hop keep;
  }};
}}

# Nodes of another AS: the router is the next hop, unless both nodes are on one of its links.
template bgp other_as {{
  local as {as_number};
  graceful restart on;
  ipv4 {{
    import all;
    export filter to_nodes;
  }};
}}
"""

NEIGHBOURS = """
# Nodes of zone {zone}
protocol bgp zone_{symbol} from {template} {{
  neighbor range {subnet} as {as_number};
  dynamic name "{symbol}_";
  local {address};
  passive on;
{password}}}
"""


def configuration(topology: Topology, log: Path) -> str:
    """The text of bird.conf. C(router.exports: pods_and_nodes) makes the well-known mistake of sending node subnets too."""
    subnets = ""
    if topology.router.exports == "pods_and_nodes":
        subnets = "".join(f"  if net = {zone.subnet} then accept;\n" for zone in topology.zones)
    text = CONFIG.format(
        log=log,
        router_id=topology.zones[0].router_address,
        pods=topology.pod_cidr,
        node_subnets=subnets,
        as_number=topology.router.as_number,
    )
    for zone in topology.zones:
        text += NEIGHBOURS.format(
            zone=zone.name,
            symbol=zone.name.replace("-", "_"),
            subnet=zone.subnet,
            as_number=zone.as_number,
            address=zone.router_address,
            template="same_as" if zone.as_number == topology.router.as_number else "other_as",
            password=f'  password "{topology.router.password}";\n' if topology.router.password else "",
        )
    return text


def daemon(topology: Topology, state: Path) -> Daemon:
    """The BIRD process. Its socket is named relative to its folder, since the path of a socket must be short."""
    command = ["bird", "-f", "-c", "bird.conf", "-s", "bird.ctl"]
    return Daemon("bird", topology.netns("tor"), command, state / "router", state / "logs")


def start(topology: Topology, state: Path) -> None:
    """Write the configuration and start BIRD, or make a running one read it again."""
    folder = state / "router"
    folder.mkdir(parents=True, exist_ok=True)
    logs = state / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    config = folder / "bird.conf"
    text = configuration(topology, logs / "bird-routes.log")
    changed = not config.exists() or config.read_text() != text
    config.write_text(text)
    bird = daemon(topology, state)
    if not bird.start() and changed:
        control(state, "configure")
    wait_for("an answer of the router's BIRD", 10, lambda: control(state, "show status"), f"Look into {bird.log}.")


def control(state: Path, *words: str) -> str:
    """Ask BIRD something, as birdc does."""
    return run(["birdc", "-s", "bird.ctl", *" ".join(words).split()], cwd=state / "router", timeout=20).stdout
