# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that takes a guard away, run with programs that stand in for those of the node."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import guard_timer

IP = """#!/bin/sh
echo "ip $*" >> {log}
case "$*" in
  *"table 27127 type unicast") echo "10.244.2.0/26 via 172.30.1.12 dev eth0" ;;
  *"main exact 10.244.2.0/26"*) [ -e {main} ] && echo "10.244.2.0/26 via 10.244.2.0" ;;
  *"rule del priority"*) [ -e {rules} ] || exit 2; rm {rules} ;;
esac
exit 0
"""


@pytest.fixture
def node(tmp_path):
    """Runs the script on a node whose table main has the route, or gets none."""

    def run(has_route):
        programs = tmp_path / "bin"
        programs.mkdir()
        names = {name: tmp_path / name for name in ("log", "main", "rules")}
        names["rules"].touch()
        if has_route:
            names["main"].touch()
        for name, text in (("ip", IP.format(**names)), ("nft", f"#!/bin/sh\necho nft $* >> {names['log']}\n"), ("sleep", "#!/bin/sh\n")):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        script = tmp_path / guard_timer.SCRIPT
        script.write_text(guard_timer.script_text(tmp_path).replace("PATH=", f"PATH={programs}:"))
        done = subprocess.run(["/bin/sh", str(script)], capture_output=True, text=True, check=True, env=dict(os.environ))
        assert not script.exists()
        return done.stdout, names["log"].read_text(encoding="utf-8").splitlines()

    return run


def test_it_takes_everything_away_once_main_has_the_routes(node):
    said, calls = node(has_route=True)
    assert said.endswith("without a route: none\n")
    assert sum("main exact" in call for call in calls) == 1
    order = [
        next(i for i, call in enumerate(calls) if words in call)
        for words in ("rule del", "nft delete table ip podnet_route_guard", "nft delete table ip podnet-masquerade", "route flush")
    ]
    assert order == sorted(order)


def test_it_does_not_wait_for_ever(node):
    said, calls = node(has_route=False)
    assert said.endswith("without a route: 10.244.2.0/26\n")
    assert sum("main exact" in call for call in calls) == guard_timer.TRIES
    assert any("route flush table 27127" in call for call in calls)
