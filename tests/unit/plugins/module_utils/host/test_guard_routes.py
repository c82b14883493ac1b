# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guard routes in a kernel of their own, as BIRD and the modules see them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import commands, guard_routes
from ansible_collections.podnet.cni.tests.unit.fakes.node import node  # noqa: F401  # pylint: disable=unused-import

LINKS = """\
link add cni0 type bridge
address add 10.244.1.1/24 dev cni0
link set cni0 up
route add 10.244.1.128/25 dev cni0 proto kernel metric 7
route add 10.244.1.192/26 dev cni0 metric 27127
"""
CODE = "import sys; from ansible_collections.podnet.cni.plugins.module_utils._host import guard_routes as g; {}"


@pytest.fixture
def call(node):  # noqa: F811
    node.ip(LINKS)

    def run(code):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = ["ip", "netns", "exec", node.name, sys.executable, "-c", CODE.format(code)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    run.node = node
    return run


@pytest.mark.needs_root_netns
@pytest.mark.parametrize("guards", [["10.244.1.0/27", "10.244.1.32/27"], ["10.244.1.8/32", "10.244.1.9/32"]], ids=["halves", "single addresses"])
def test_routes_are_added_read_and_removed_and_those_of_others_stay(call, guards):
    before = call.node.run("ip", "route", "show")
    assert call("print(g.read('cni0'))").stdout == "[]\n"
    assert call(f"g.add('cni0', {guards})").returncode == 0
    assert call("print(g.read('cni0'))").stdout == f"{guards}\n"
    assert call(f"g.add('cni0', {guards})").returncode == 0, "a second time"
    routes = [route for route in json.loads(call.node.run("ip", "-json", "-details", "route", "show")) if route.get("metric") == guard_routes.METRIC]
    assert {route["protocol"] for route in routes if route["dst"] != "10.244.1.192/26"} == {"kernel"}
    assert call(f"g.remove('cni0', {guards})").returncode == 0
    assert call.node.run("ip", "route", "show") == before


@pytest.mark.needs_root_netns
def test_a_device_that_is_not_there_has_no_routes_and_can_get_none(call):
    assert call("print(g.read('cni7'))").stdout == "[]\n"
    done = call("g.add('cni7', ['10.244.1.0/27'])")
    assert done.returncode == 1
    assert "CommandError" in done.stderr
    assert "Cannot find device" in done.stderr


def test_nothing_to_do_starts_no_program(monkeypatch):
    monkeypatch.setattr(commands, "run", None)
    guard_routes.add("cni0", [])
    guard_routes.remove("cni0", [])
