# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections of the real kernel whose packets come to leave by another interface: masqueraded ones end, unless they were made independent."""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import socket
import sys

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import connections
from ansible_collections.podnet.cni.tests.unit.fakes import two_links
from ansible_collections.podnet.cni.tests.unit.fakes.node import node  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.podnet.cni.tests.unit.fakes.two_links import CLIENT, POD, SERVICE

needs_root_netns = pytest.mark.needs_root_netns
NAT = f"""\
table ip test {{
  chain in {{ type nat hook prerouting priority -100; ip daddr {SERVICE} dnat to {POD}; }}
  chain own {{ type nat hook output priority -100; ip daddr {SERVICE} dnat to {POD}; }}
  chain out {{ type nat hook postrouting priority 100; ip daddr {POD} masquerade; }}
}}
"""
RELEASE = """
import json, sys
from ansible_collections.podnet.cni.plugins.module_utils._host import connections
number = connections.release(sys.argv[1:])
print(json.dumps([number, [(str(c.original.destination), str(c.reply.source), c.parts[8].hex()) for c in connections.read()]]))
"""


def release(place, *addresses):
    roots = [path for path in sys.path if path]
    return json.loads(place.base.run("env", f"PYTHONPATH={':'.join(roots)}", sys.executable, "-c", RELEASE, *addresses))


@pytest.fixture
def place(node):  # noqa: F811
    made = two_links.Place(node)
    try:
        made.build(NAT)
        yield made
    finally:
        made.remove()


@needs_root_netns
@pytest.mark.parametrize("independent", [False, True])
def test_only_what_was_made_independent_survives_another_interface(place, independent):
    outer = place.start(place.client, CLIENT, SERVICE)
    own = place.start(place.base.name, CLIENT, SERVICE)
    direct = place.start(place.base.name, CLIENT, POD)
    for process in (outer, own, direct):
        assert place.talk(process, "before") == "before"
    if independent:
        number, known = release(place, POD)
        assert number == 3
        assert sorted(entry[:2] for entry in known) == sorted([[SERVICE, POD], [SERVICE, POD], [POD, POD]])
        assert place.talk(outer, "between") == "between"
    place.lead("b")
    answers = [place.talk(process, "after") for process in (outer, own, direct)]
    assert answers == ["after"] * 3 if independent else "after" not in answers
    if independent:
        assert [place.talk(process, "x" * 50) for process in (outer, own)] == ["x" * 50] * 2


@needs_root_netns
def test_others_are_left(place):
    client = place.start(place.client, CLIENT, SERVICE)
    assert place.talk(client, "before") == "before"
    assert release(place, "10.244.1.6")[0] == 0
    assert place.talk(client, "after") == "after"


def test_answers_that_are_no_connection_of_tcp_or_udp_are_passed_over():
    assert connections._connection({}) is None
    assert connections._parse(b"") is None


def test_the_inverse_has_both_ends_exchanged():
    way = connections.Tuple("a", "b", socket.IPPROTO_TCP, 1, 2)
    assert way.inverse == ("b", "a", socket.IPPROTO_TCP, 2, 1)


class KernelThatAnswers:
    """Answers what it was given, one list for each datagram."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def ask_together(self, *requests):
        assert len(requests) == len(self.answers[0])
        return self.answers.pop(0)


@pytest.mark.parametrize(
    ("answers", "made"),
    [
        ([[0, 0]], True),
        ([[errno.ENOENT, 0]], False),
        ([[0, errno.EEXIST], [0, errno.ENOENT, 0]], True),
        ([[0, errno.EEXIST], [0, 0, errno.EEXIST]], errno.EEXIST),
        ([[errno.EPERM, errno.EPERM]], errno.EPERM),
    ],
)
def test_a_packet_that_comes_between_does_not_keep_it_from_being_made_again(answers, made):
    way = connections.Tuple(*[ipaddress.IPv4Address("10.244.1.5")] * 2, socket.IPPROTO_UDP, 1, 2)
    connection = connections.Connection(way, way, {3: bytes(4), 7: bytes(4)})
    kernel = KernelThatAnswers(*answers)
    if isinstance(made, bool):
        assert connections._make_again(kernel, connection) is made
    else:
        with pytest.raises(OSError, match=os.strerror(made)):
            connections._make_again(kernel, connection)
    assert kernel.answers == []
