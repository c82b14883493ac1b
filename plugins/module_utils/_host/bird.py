# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the BIRD of calico-node for its BGP sessions, by the socket that birdcl uses. Changes nothing.

calico-node has C(/var/run/calico) of the node (projectcalico/calico:manifests/calico.yaml), so that the socket is there for the node too. The
protocol is that of projectcalico/bird:nest/cli.c: each line has a code of four digits, followed by a minus when more lines come.
"""

from __future__ import annotations

import re
import socket
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_sessions import parse_birdcl

Record = dict[str, t.Any]
SOCKET = Path("/var/run/calico/bird.ctl")
SECONDS = 5.0
_LINE = re.compile(r"(?:\d{4}[- ]| )(.*)")
_LAST = re.compile(r"^\d{4}(?: .*)?$")


def read_sessions(node: str, path: Path = SOCKET, seconds: float = SECONDS) -> list[Record] | None:
    """The BGP sessions of the node, None when no BIRD answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(str(path))
            stream = connection.makefile("rw", encoding="utf-8", errors="replace", newline="\n")
            _answer(stream)
            _ask(stream, "restrict")  # from here on BIRD refuses whatever would change something
            lines = _ask(stream, "show protocols all")
    except OSError:
        return None
    return [dict(session) for session in parse_birdcl("\n".join(lines), node)]


def _ask(stream: t.TextIO, command: str) -> list[str]:
    stream.write(f"{command}\n")
    stream.flush()
    return _answer(stream)


def _answer(stream: t.TextIO) -> list[str]:
    """The lines of an answer, without their codes.

    :raises OSError: when BIRD ends in the middle of it, or takes too long.
    """
    lines: list[str] = []
    while True:
        line = stream.readline()
        if not line:
            raise ConnectionError("BIRD has closed the connection")
        line = line.rstrip("\n")
        match = _LINE.match(line)
        lines.append(match.group(1) if match else line)
        if _LAST.match(line):
            return lines
