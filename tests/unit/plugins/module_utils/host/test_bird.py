# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket of BIRD: a server that answers as projectcalico/bird:nest/cli.c does."""

from __future__ import annotations

import socket
import threading

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import bird

READY = "0001 BIRD v0.3.3+birdv1.6.8 ready.\n"
RESTRICTED = "0016 Access restricted\n"
PROTOCOLS = """\
2002-name     proto    table    state  since       info
1002-static1  Static   master   up     09:12:01
1006-  Preference:     200
  Input filter:   ACCEPT

1002-Node_172_30_1_12 BGP      master   up     09:12:06    Established
1006-  Description:    Connection to BGP peer
  Preference:     100
  BGP state:          Established
    Neighbor address: 172.30.1.12
    Neighbor AS:      64512

1002-Node_172_30_1_13 BGP      master   start  09:12:01    Active        Socket: Connection refused
1006-  BGP state:          Active
    Neighbor address: 172.30.1.13
    Last error:       Socket: Connection refused

0000
"""


class Bird:
    """Answers each command of one client, and remembers them."""

    def __init__(self, path, answers):
        self.commands = []
        self.answers = answers
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        client, dummy = self.listener.accept()
        with client, client.makefile("rw", encoding="utf-8") as stream:
            for answer in self.answers:
                stream.write(answer)
                stream.flush()
                command = stream.readline().strip()
                if not command:
                    break
                self.commands.append(command)

    def end(self):
        self.thread.join(5)
        self.listener.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bird.ctl"


def indented(text):
    """BIRD begins each further line of the same code with a blank."""
    return "".join(line if line[:4].isdigit() else f" {line}" for line in text.splitlines(keepends=True))


def test_sessions_are_read_with_their_errors(path):
    server = Bird(path, [READY, RESTRICTED, indented(PROTOCOLS)])
    sessions = bird.read_sessions("n1", path)
    server.end()
    assert server.commands == ["restrict", "show protocols all"]
    assert [(entry["node"], entry["peer"], entry["state"], entry["type"]) for entry in sessions] == [
        ("n1", "172.30.1.12", "Established", "NodePeer"),
        ("n1", "172.30.1.13", "Active", "NodePeer"),
    ]
    assert sessions[1]["why"].startswith("nothing answers on the router's BGP port (BIRD: Socket: Connection refused)")


def test_a_bird_without_peers(path):
    server = Bird(path, [READY, RESTRICTED, "1002-static1  Static   master   up     09:12:01\n0000 \n"])
    assert bird.read_sessions("n1", path) == []
    server.end()


def test_no_bird(path):
    assert bird.read_sessions("n1", path) is None
    path.write_text("")
    assert bird.read_sessions("n1", path) is None


def test_a_bird_that_ends_or_hangs(path):
    server = Bird(path, [READY])
    assert bird.read_sessions("n1", path) is None
    server.end()
    path.unlink()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    assert bird.read_sessions("n1", path, seconds=0.1) is None
    listener.close()
