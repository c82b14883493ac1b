# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Path MTU on the real kernel, through a router with a smaller link behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from ansible_collections.podnet.cni.tests.unit.fakes.hops import FAR, NEAR, ROUTER, SIX, hops  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.podnet.cni.tests.unit.fakes.node import node  # noqa: F401  # pylint: disable=unused-import

pytestmark = pytest.mark.needs_root_netns

MEASURE = """\
import json, sys
from ansible_collections.podnet.cni.plugins.module_utils._host import df_probe
try:
    print(json.dumps([path.to_dict() for path in df_probe.measure_all(sys.argv[2:], float(sys.argv[1]))]))
except OSError as exc:
    print(json.dumps(exc.strerror))
"""


def measure(hops, *addresses, timeout=0.6):  # noqa: F811
    roots = os.pathsep.join(path for path in sys.path if path)
    words = ["ip", "netns", "exec", hops.node.name, "env", f"PYTHONPATH={roots}", sys.executable, "-c", MEASURE, str(timeout), *addresses]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def test_a_way_of_full_size(hops):  # noqa: F811
    assert measure(hops, FAR, ROUTER) == [
        {"address": FAR, "device": "eth0", "device_mtu": 1500, "mtu": 1500, "told_by": None, "back": None},
        {"address": ROUTER, "device": "eth0", "device_mtu": 1500, "mtu": 1500, "told_by": None, "back": None},
    ]


@pytest.mark.parametrize("size", [1400, 1377])
def test_a_router_that_says_so(hops, size):  # noqa: F811
    hops.resize(size)
    far, near = measure(hops, FAR, NEAR)
    assert (far["mtu"], far["told_by"], near["mtu"]) == (size, ROUTER, 1500)


@pytest.mark.parametrize("size", [1400, 1377])
def test_a_router_that_drops_without_a_word(hops, size):  # noqa: F811
    hops.resize(size)
    hops.silence()
    (far,) = measure(hops, FAR, timeout=0.3)
    assert (far["mtu"], far["told_by"]) == (size, None)


def test_what_the_kernel_has_learned_before_does_not_count(hops):  # noqa: F811
    hops.resize(1400)
    assert measure(hops, FAR)[0]["mtu"] == 1400
    hops.resize(1500)
    assert measure(hops, FAR)[0]["mtu"] == 1500


def test_ipv6(hops):  # noqa: F811
    hops.resize(1400)
    (far,) = measure(hops, SIX, timeout=1.0)
    assert (far["mtu"], far["told_by"]) == (1400, "fd00:1::254")


def test_a_smaller_way_back_shows_in_fragments(hops):  # noqa: F811
    hops.within(hops.far, "ip", "route", "replace", "default", "via", "10.2.0.254", "mtu", "lock", "1300")
    (far,) = measure(hops, FAR)
    assert far["mtu"] == 1500
    assert 1292 <= far["back"] <= 1300


def test_a_peer_that_is_not_there_and_one_without_a_way(hops):  # noqa: F811
    assert measure(hops, "10.2.0.9", timeout=0.3)[0]["mtu"] is None
    hops.node.ip("route delete default\n")
    assert measure(hops, "198.51.100.1") == "Network is unreachable"
