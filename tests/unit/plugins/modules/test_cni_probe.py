# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket

import pytest
from ansible_collections.podnet.cni.plugins.modules import cni_probe

DEFAULTS = {"tcp": [], "dns": [], "routes": [], "local_pods": False, "attempt_timeout": 0.5, "timeout": 1.0}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"tcp": [{"name": "x", "address": "web", "port": 80}]}, ["tcp[0].address", "'web'", "give one"]),
        ({"tcp": [{"name": "x", "address": "10.0.0.1", "port": 0}]}, ["tcp[0].port", "0", "1 to 65535"]),
        ({"dns": [{"server": "10.0.0.1", "name": "a..b"}]}, ["dns[0].name", "'a..b'", "give a full name"]),
        ({"routes": [{"destination": "10.0.0.0/8", "forbidden_devices": []}]}, ["routes[0].destination", "10.0.0.0/8"]),
        ({"timeout": 0}, ["timeout", "greater than 0"]),
    ],
)
def test_bad_options_are_named_with_value_and_remedy(params, words):
    problem = cni_probe.option_problem({**DEFAULTS, **params})
    assert problem is not None
    assert all(word in problem for word in words)


def test_good_options_have_no_problem():
    assert cni_probe.option_problem({**DEFAULTS, "dns": [{"server": "10.96.0.10", "name": "kubernetes.default.svc.cluster.local."}]}) is None


def test_checks_follow_the_options_and_really_connect():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        params = {**DEFAULTS, "tcp": [{"name": "API", "address": "127.0.0.1", "port": port}]}
        checks = cni_probe.build_checks(params, ["127.0.0.1"])
        assert [check.kind for check in checks] == ["tcp", "pod"]
        assert [result["ok"] for result in cni_probe.probe.run_checks(checks, 0.5, 1)] == [True, True]
    assert cni_probe.build_checks(params, [])[0].attempt(0.5) is not None
