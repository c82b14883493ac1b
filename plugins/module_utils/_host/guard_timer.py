# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A timer that takes the route guard away when nobody does it in time, once the table main knows the way to all of its destinations."""

from __future__ import annotations

import shlex
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni import guard_tables
from ansible_collections.podnet.cni.plugins.module_utils._host import masquerade_guard, route_guard
from ansible_collections.podnet.cni.plugins.module_utils._host.way_back import WayBack

UNIT = "podnet-route-guard"
SCRIPT = "route-guard.sh"
LOG = "route-guard.log"
TRIES = 30

_TEXT = """\
#!/bin/sh
# Written by podnet.cni.route_guard and started by the timer {unit}.timer when nobody took the guard away in time.
# Calico's own routes in the table main are what is left then, so this waits until they are there, but not for ever.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
tries=0
while [ "$tries" -lt {tries} ]; do
  missing=
  for table in {old} {new}; do
    for destination in $(ip -4 route show table "$table" type unicast 2>/dev/null | cut -d' ' -f1); do
      [ -n "$(ip -4 route show table main exact "$destination" type unicast)" ] || missing="$missing $destination"
    done
  done
  [ -z "$missing" ] && break
  tries=$((tries + 1))
  sleep 2
done
for priority in {old} {new}; do
  while ip -4 rule del priority "$priority" 2>/dev/null; do :; done
done
for table in {nft_tables}; do
  nft delete table ip "$table" 2>/dev/null
done
for table in {old} {new}; do
  ip -4 route flush table "$table" 2>/dev/null
done
said="the guard was not taken away in time: main leads all packets again; without a route:${{missing:- none}}"
echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $said" | tee -a {log}
rm -f -- {script}
"""


def script_text(folder: Path) -> str:
    """A shell script that needs nothing of ours."""
    return _TEXT.format(
        unit=UNIT,
        tries=TRIES,
        old=guard_tables.OLD,
        new=guard_tables.NEW,
        # Connections that the latter's rules have begun go on without them.
        nft_tables=f"{route_guard.NFT_TABLE} {masquerade_guard.NAME}",
        log=shlex.quote(str(folder / LOG)),
        script=shlex.quote(str(folder / SCRIPT)),
    )


def way_back(folder: Path) -> WayBack:
    """The timer with its script."""
    return WayBack(UNIT, folder / SCRIPT, "/bin/sh")
