# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import functools

import pytest
from ansible_collections.podnet.cni.tests.unit.fakes import authorization, documentation
from ansible_collections.podnet.cni.tests.unit.fakes.kube import FakeKube

WORKERS = (
    ("calico_bgp_peer", "Peer", "run"),
    ("calico_bgp_node", "Nodes", "run"),
    ("calico_fabric_probe", "Probe", "present"),
    ("calico_fabric_probe", "Probe", "probed"),
    ("calico_fabric_probe", "Probe", "absent"),
    ("calico_install", "Installer", "run"),
    ("calico_ipam", "Ipam", "run"),
    ("calico_uninstall", "Uninstaller", "run"),
    ("cni_journal", "Keeper", "run"),
    ("flannel_restore", "Restorer", "run"),
    ("flannel_uninstall", "Uninstaller", "run"),
    ("node_evict", "Evictor", "run"),
)
"""Whose results are those of a module, in each test of it; C(main) adds some."""


@pytest.fixture(autouse=True)
def results_are_documented(monkeypatch):
    """Every result in the tests of a module is what its documentation says."""
    for module_name, class_name, method_name in WORKERS:
        worker = getattr(documentation.module_of(module_name), class_name)
        monkeypatch.setattr(worker, method_name, _checked(module_name, getattr(worker, method_name)))


def _checked(module_name, method):
    @functools.wraps(method)
    def checked(*args, **kwargs):
        results = method(*args, **kwargs)
        documentation.check_results(module_name, results)
        return results

    return checked


NOT_OF_A_PLAYBOOK = {
    ("delete", "", "configmaps"),  # cni_journal, state=absent
    ("get", "crd.projectcalico.org", "bgpfilters"),  # calico_bgp_peer, filters
    ("get", "projectcalico.org", "bgpfilters"),
    ("get", "", "secrets"),  # cni_facts, bgp_passwords: of one Secret by the user's name, see docs/examples/bgp-password.yml
}
"""What modules ask when people use them by themselves, or by rights of their own; without the latter it is not known, and nothing fails."""


@pytest.fixture(autouse=True)
def requests_are_in_the_list_of_rights(monkeypatch):
    """What a module asks of the API is in the rules that users get, so that no run stops in the middle with a 403."""
    requests = set()
    plain = FakeKube._call

    def noted(self, method, path, body=None, dry_run=False):
        requests.update(authorization.asked(method, path))
        return plain(self, method, path, body, dry_run)

    monkeypatch.setattr(FakeKube, "_call", noted)
    yield
    allowed = authorization.allowed() | NOT_OF_A_PLAYBOOK
    wrong = {(verb, group, resource) for verb, group, resource in requests if not {(verb, group, resource), (verb, group, "*")} & allowed}
    assert wrong == set(), "give docs/examples/rbac.yml a rule for it: plugins/module_utils/_kube/access_rules.py"
