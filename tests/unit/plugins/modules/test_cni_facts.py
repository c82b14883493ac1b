# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From options to facts: of a cluster over HTTP, of a node of its own."""

from __future__ import annotations

import collections
import functools

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import cni_state, commands, netfilter
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import error_of
from ansible_collections.podnet.cni.plugins.modules import cni_facts
from ansible_collections.podnet.cni.tests.unit.fakes import flannel
from ansible_collections.podnet.cni.tests.unit.fakes.api import serving
from ansible_collections.podnet.cni.tests.unit.fakes.kube import FakeKube
from ansible_collections.podnet.cni.tests.unit.fakes.node import flannel_node, node  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.podnet.cni.tests.unit.fakes.running import run_module

pytest.importorskip("kubernetes")


@pytest.fixture
def call(monkeypatch):
    for variable in ("K8S_AUTH_KUBECONFIG", "KUBECONFIG", "K8S_AUTH_CONTEXT", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(variable, raising=False)
    return functools.partial(run_module, monkeypatch, "cni_facts")


@pytest.fixture
def kube():
    kube = FakeKube(served=("v1", "apps/v1", "policy/v1", "crd.projectcalico.org/v1"))
    kube.objects["/version"] = {"gitVersion": "v1.37.2"}
    flannel.install(kube)
    for number in range(3, 40):
        kube.add("/api/v1/nodes", flannel.node(f"n{number}"))
    return kube


@pytest.fixture
def api(kube):
    with serving(kube, page_size=10) as server:
        yield server


@pytest.fixture
def kubeconfig(api, tmp_path):
    return api.write_kubeconfig(tmp_path / "kubeconfig")


def test_a_cluster_is_read_once_in_pages(call, api, kubeconfig):
    results = call(scope="cluster", kubeconfig=kubeconfig)
    facts = results["ansible_facts"]["podnet_cluster"]
    assert len(facts["nodes"]) == 39
    assert facts["flannel"]["daemonset"]["name"] == "kube-flannel-ds"
    assert (facts["server_version"], facts["api_calls"], results["changed"]) == ("v1.37.2", len(api.requests), False)
    pages = collections.Counter(path for path, query in api.requests if "limit" in query)
    assert pages["/api/v1/nodes"] == 4
    assert [path for path, number in pages.items() if number > 1] == ["/api/v1/nodes"]
    first, *rest = [query for path, query in api.requests if path == "/api/v1/nodes"]
    assert "continue" not in first
    assert [query["continue"] for query in rest] == ["10", "20", "30"]


def test_nothing_is_written_and_check_mode_reads_the_same(call, kube, kubeconfig):
    facts = [call(scope="cluster", kubeconfig=kubeconfig, check_mode=check)["ansible_facts"]["podnet_cluster"] for check in (False, True)]
    for reading in facts:
        del reading["gathered_at"]
    assert facts[0] == facts[1]
    assert kube.writes() == []


def test_a_password_is_looked_for_and_not_told(call, kube, kubeconfig):
    kube.add("/api/v1/namespaces/kube-system/secrets", {"metadata": {"name": "bgp-password"}, "data": {"router": "a2VwdA=="}})
    results = call(scope="cluster", kubeconfig=kubeconfig, bgp_passwords=[{"name": "bgp-password", "key": "router"}])
    (entry,) = results["ansible_facts"]["podnet_cluster"]["bgp_passwords"]
    assert (entry["has_key"], entry["readable"]) == (True, None), "this server answers no question about others"
    assert "a2VwdA==" not in str(results)
    assert call(scope="cluster", kubeconfig=kubeconfig)["ansible_facts"]["podnet_cluster"]["bgp_passwords"] is None


def test_the_context_is_chosen_by_its_name(call, api, tmp_path):
    path = api.write_kubeconfig(tmp_path / "kubeconfig", context="other")
    assert not call(scope="cluster", kubeconfig=path, context="other").get("failed")
    results = call(scope="cluster", kubeconfig=path, context="lab")
    assert f"context: 'lab' is no context of '{path}', which has other" in results["msg"]


def test_the_kubeconfig_may_come_from_the_environment(call, kubeconfig, monkeypatch):
    monkeypatch.setenv("K8S_AUTH_KUBECONFIG", kubeconfig)
    assert not call(scope="cluster").get("failed")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist on "),
        ("{", "is not YAML (line 1, column 2"),
        ("apiVersion: v1\nkind: Config\n", "is no kubeconfig: it has no contexts"),
    ],
    ids=["missing", "no YAML", "empty"],
)
def test_a_kubeconfig_that_cannot_be_used_is_named_with_the_remedy(call, tmp_path, content, words):
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    results = call(scope="cluster", kubeconfig=str(path))
    assert results["failed"]
    assert results["msg"].startswith(f"kubeconfig: '{path}' {words}")
    assert "kubeconfig" in results["msg"].split(". ", 1)[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scope": "world"}, "value of scope must be one of: node, cluster, got: world"),
        ({"scope": "cluster", "request_timeout": 0}, "request_timeout: 0.0 is not a duration; give seconds greater than 0"),
        ({"scope": "cluster", "field_validation": "Maybe"}, "value of field_validation must be one of: Strict, Warn, Ignore"),
        ({"scop": "node"}, "scop"),
    ],
)
def test_bad_options(call, options, words):
    results = call(**options)
    assert results["failed"]
    assert words in results["msg"]


def test_a_user_who_may_not_list_daemonsets_is_told(call, kube, kubeconfig):
    @kube.on
    def forbidden(method, path, body):
        if path.endswith("/daemonsets"):
            raise error_of(403, "Forbidden", 'User "u" cannot list resource "daemonsets"', path)

    results = call(scope="cluster", kubeconfig=kubeconfig)
    assert results["msg"] == 'the cluster cannot be read: /apis/apps/v1/daemonsets: User "u" cannot list resource "daemonsets"'


def test_who_may_read_nothing_is_told_all_that_is_missing(call, kube, kubeconfig):
    @kube.on
    def forbidden(method, path, body):
        if path == "/api/v1/nodes":
            raise error_of(403, "Forbidden", "nodes is forbidden", path)

    access = {"missing": [{"text": "list nodes"}, {"text": "list pods"}], "user": "somebody", "problem": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cni_facts.access_review, "review", lambda *dummy: access)
        results = call(scope="cluster", kubeconfig=kubeconfig)
    assert results["msg"].startswith("the cluster cannot be read: somebody may not list nodes; list pods. Give the user these rights: ")
    assert "docs/examples/rbac-plan.yml" in results["msg"]


def test_rights_are_asked_for_what_somebody_is_about_to_do(call, kubeconfig, monkeypatch):
    asked = []
    answer = {"missing": [], "user": None, "problem": None}
    monkeypatch.setattr(cni_facts.access_review, "review", lambda dummy, rules, groups: asked.append((rules, groups)) or answer)
    facts = call(scope="cluster", kubeconfig=kubeconfig, access=["plan", "remove"])["ansible_facts"]["podnet_cluster"]
    assert facts["access"] == answer
    ((rules, groups),) = asked
    assert ("kube-flannel-ds",) in [rule.names for rule in rules] and "apps" in groups
    assert call(scope="cluster", kubeconfig=kubeconfig)["ansible_facts"]["podnet_cluster"]["access"] is None
    assert len(asked) == 1


def test_a_cluster_that_does_not_answer_is_told(call, tmp_path):
    with serving(FakeKube()) as server:
        path = server.write_kubeconfig(tmp_path / "kubeconfig")
        address = f"http://127.0.0.1:{server.server_address[1]}"
    results = call(scope="cluster", kubeconfig=path, request_timeout=0.5)
    assert f"the cluster cannot be read: /version: no answer from {address}" in results["msg"]


def state(machine):
    """What a reading must leave as it is; whether a link has a carrier changes by itself."""
    routes = machine.run("ip", "-4", "route", "show", "table", "all").replace("linkdown ", "")
    return machine.ruleset(), machine.configs(), routes


@pytest.mark.needs_root_netns
def test_a_node_is_read_and_not_changed(flannel_node):  # noqa: F811
    flannel_node.pod("10.244.1.5", "veth1")
    flannel_node.ip("link add veth1 type veth peer name pod1\nlink set veth1 master cni0\nlink set veth1 up\n")
    options = {"flannel_run_dir": str(flannel_node.folder / "run"), "kubeconfig": "/nowhere"}
    before = state(flannel_node)
    results = [flannel_node.module("cni_facts", check=check, scope="node", **options) for check in (False, True)]
    assert state(flannel_node) == before
    facts = results[0]["ansible_facts"]["podnet_node"]
    assert not results[0]["changed"]
    assert facts["active_cni"]["config_file"] == str(flannel_node.folder / "net.d" / "05-calico.conflist")
    assert [config["cni"] for config in facts["cni_configs"]] == ["calico", "flannel"]
    assert [(device["name"], device["vni"], device["port"], device["underlay"]) for device in facts["vxlan"]] == [("flannel.1", 1, 8472, "eth0")]
    assert [pod["address"] for pod in facts["pods"]["flannel"]] == ["10.244.1.5"]
    assert facts["subnet_env"]["FLANNEL_SUBNET"] == "10.244.1.1/24"
    assert {chain["chain"] for chain in facts["leftover_chains"]} == {"FLANNEL-FWD", "FLANNEL-POSTRTG"}
    assert {chain["family"] for chain in facts["leftover_chains"]} == {"ip", "ip6"}
    assert facts["nft_tables"] == [{"family": "ip", "name": "flannel-ipv4", "owner": "flannel"}]
    assert [(entry["device"], entry["mac"], entry["destination"]) for entry in facts["fdb"]] == [("flannel.1", "22:c6:23:a2:89:f1", "172.30.1.12")]
    assert facts["routes_by_protocol"]["bird"] == 1
    assert results[1]["ansible_facts"]["podnet_node"].keys() == facts.keys()


def test_a_node_without_iproute2_is_told(call, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(commands, "EXTRA_FOLDERS", ())
    results = call(scope="node")
    assert results["failed"]
    assert results["msg"] == "the node cannot be read: the program ip is missing on this node; install the package that holds it"


def test_a_firewall_that_cannot_be_read_is_told(call, monkeypatch):
    def broken():
        raise commands.CommandError("'iptables-nft-save' failed with code 1: table `nat' is incompatible, use 'nft' tool.")

    monkeypatch.setattr(netfilter, "read_rulesets", broken)
    assert "the node cannot be read: 'iptables-nft-save' failed" in call(scope="node")["msg"]


def test_folders_are_options(call, tmp_path):
    (tmp_path / "net.d").mkdir()
    (tmp_path / "net.d" / "10-x.conf").write_text('{"name": "x", "type": "flannel"}')
    facts = call(cni_config_dir=str(tmp_path / "net.d"), cni_state_dir=str(tmp_path))["ansible_facts"]["podnet_node"]
    assert facts["active_cni"]["config_file"] == str(tmp_path / "net.d" / "10-x.conf")
    assert str(cni_state.Places().config) == "/etc/cni/net.d"
