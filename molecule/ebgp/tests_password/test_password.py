# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan says of the routers' password, with the rights of docs/examples only, until all that it needs is there. It is left there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from podnet_lab.lab import Lab
from podnet_molecule import account, cli
from podnet_molecule.playbook import Outcome

SECRET = Path(__file__).parents[1] / "files" / "password.yml"


def test_the_plan_tells_what_the_password_needs_until_it_is_there(lab: Lab, migrate: Callable[..., Outcome]) -> None:
    def plan() -> Outcome:
        return migrate("--check", podnet_kubeconfig=str(account.path(lab)), podnet_field_validation="Strict")

    outcome = plan()
    assert outcome.code == 2, outcome.output
    assert "[bgp-password-not-readable] ServiceAccount kube-system/calico-node: It may not list and watch" in outcome.text, outcome.output
    assert "bgp-password-unknown" in outcome.text, outcome.output
    assert "bgp-password-missing" not in outcome.text, outcome.output

    cli.apply(lab, account.EXAMPLES / "bgp-password.yml")
    outcome = plan()
    assert outcome.code == 2, outcome.output
    assert "[bgp-password-missing] Secret kube-system/bgp-password: There is none." in outcome.text, outcome.output
    assert "bgp-password-not-readable" not in outcome.text, outcome.output
    assert "bgp-password-unknown" not in outcome.text, outcome.output

    cli.apply(lab, SECRET)
    outcome = plan()
    assert outcome.code == 0, outcome.output
    assert "bgp-password-" not in outcome.text, outcome.output
    assert lab.topology.router.password not in outcome.output
