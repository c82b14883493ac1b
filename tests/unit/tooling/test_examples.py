# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files under docs/examples, and what an execution environment is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.podnet.cni.plugins.module_utils._kube.argspec import KUBE_ARGUMENTS
from ansible_collections.podnet.cni.plugins.module_utils._kube.bgp_passwords import ACCOUNT, VERBS
from ansible_collections.podnet.cni.plugins.module_utils._kube.cluster_facts import read_cluster
from ansible_collections.podnet.cni.plugins.module_utils._plan.batches import parse_serial
from ansible_collections.podnet.cni.plugins.module_utils._plan.rules.bgp import SECRETS_IN
from ansible_collections.podnet.cni.plugins.module_utils._plan.variables import PREFIX
from ansible_collections.podnet.cni.plugins.module_utils._run.journal import Journal
from ansible_collections.podnet.cni.plugins.module_utils._run.lock import new_lock
from ansible_collections.podnet.cni.tests.unit.fakes import flannel
from ansible_collections.podnet.cni.tests.unit.fakes.kube import FakeKube
from tooling.docs import rbac, variables
from tooling.places import ROOT

EXAMPLES = ROOT / "docs" / "examples"
GIVEN_WITH_E = {"podnet_hosts", "podnet_serial"}


@pytest.fixture(scope="module")
def hostvars(tmp_path_factory):
    program = shutil.which("ansible-inventory", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if not program:
        pytest.skip("ansible-inventory is not there")
    environment = {**os.environ, "ANSIBLE_LOCAL_TEMP": str(tmp_path_factory.mktemp("ansible")), "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"}
    done = subprocess.run(
        [program, "-i", str(EXAMPLES / "inventory.yml"), "--list"], capture_output=True, text=True, check=False, env=environment, cwd=EXAMPLES
    )
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    assert set(listed["kube_node"]["hosts"]) == set(listed["_meta"]["hostvars"])
    return listed["_meta"]["hostvars"]


def problems(given):
    """What the role's specification says of variables of this collection."""
    options = {name: {key: value for key, value in option.items() if key != "description"} for name, option in variables.options().items()}
    ours = {name: value for name, value in given.items() if name.startswith(PREFIX)}
    assert ours
    return ArgumentSpecValidator(without_texts(options)).validate(ours).error_messages


def without_texts(options):
    """Specifications as modules have them."""
    return {
        name: {key: without_texts(value) if key == "options" else value for key, value in option.items() if key not in ("description", "default")}
        for name, option in options.items()
    }


def test_every_host_of_the_inventory_has_what_the_playbook_wants(hostvars):
    assert len(hostvars) > 2
    for host, given in hostvars.items():
        assert problems(given) == [], host
        assert given["podnet_bgp_peers"] and given["podnet_kubeconfig"], host
        assert given["ansible_become"] is True


def test_what_plays_need_is_not_given_in_an_inventory_where_it_has_no_effect(hostvars):
    assert [name for given in hostvars.values() for name in given if name in GIVEN_WITH_E] == []


def test_a_misspelled_variable_of_an_example_would_be_found():
    assert problems({"podnet_sereal": 1}) and problems({"podnet_watchdog_seconds": "soon"}) and problems({"podnet_bgp_peers": [{"name": "x"}]})


def test_the_readme_has_an_inventory_that_is_right(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = [part.split("```")[0] for part in text.split("```yaml\n")[1:] if part.startswith("# inventory.yml")]
    inventory = yaml.safe_load(block)
    assert problems(inventory["all"]["vars"]) == []
    assert inventory["all"]["children"]["kube_node"]["hosts"]


def test_answers_of_the_survey_are_variables_of_the_playbook():
    survey = json.loads((EXAMPLES / "awx" / "survey.json").read_text(encoding="utf-8"))
    questions = {question["variable"]: question for question in survey["spec"]}
    assert len(questions) == len(survey["spec"])
    assert problems({name: question["default"] for name, question in questions.items()}) == []
    for question in questions.values():
        assert question["question_name"] and question["question_description"]
        if question["type"] == "multiplechoice":
            assert question["default"] in question["choices"]
            assert all(problems({question["variable"]: choice}) == [] for choice in question["choices"])
    assert questions["podnet_confirm"]["default"] == "false"
    assert parse_serial(questions["podnet_serial"]["default"]) == variables.options()["podnet_serial"]["default"]


def test_the_credential_sets_what_the_modules_read():
    kind = yaml.safe_load((EXAMPLES / "awx" / "credential_type.yml").read_text(encoding="utf-8"))
    fields = {field["id"] for field in kind["inputs"]["fields"]}
    assert {kind["injectors"]["file"]["template"].strip("{} ")} == fields == set(kind["inputs"]["required"])
    assert set(kind["injectors"]["env"]) <= set(KUBE_ARGUMENTS["kubeconfig"]["fallback"][1])


def test_the_execution_environment_finds_its_files():
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["build_ignore"]
    wanted = yaml.safe_load((ROOT / "meta" / "execution-environment.yml").read_text(encoding="utf-8"))["dependencies"]
    for name in wanted.values():
        lines = [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
        assert lines and not any(name.startswith(pattern) for pattern in ignored)
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    example = yaml.safe_load((EXAMPLES / "awx" / "execution-environment.yml").read_text(encoding="utf-8"))
    assert [item["name"] for item in example["dependencies"]["galaxy"]["collections"]] == [f"podnet-cni-{version}.tar.gz"]


class Recorder(FakeKube):
    """Remembers what was asked for, as the API server's authorization sees it."""

    def __init__(self, **options):
        super().__init__(**options)
        self.asked = set()

    def _ask(self, verb, path):
        root, *words = path.strip("/").split("/")
        if root in ("api", "apis") and len(words) > 1:  # others, such as /version, may be read by every user
            group, rest = ("", words[1:]) if root == "api" else (words[0], words[2:])
            rest = rest[2:] if rest[0] == "namespaces" and len(rest) > 2 else rest
            self.asked.add((verb, group, rest[0]))

    def get(self, path, query=None):
        self._ask("get", path)
        return super().get(path, query)

    def get_or_none(self, path, query=None):
        self._ask("get", path)
        return super().get_or_none(path, query)

    def list(self, path, label_selector=None, field_selector=None, limit=500):
        self._ask("list", path)
        return super().list(path, label_selector, field_selector, limit)


@pytest.mark.parametrize("calico", ["crd.projectcalico.org/v1", "projectcalico.org/v3"])
def test_the_role_for_the_plan_allows_what_the_plan_reads(calico):
    kube = Recorder(served=("v1", "apps/v1", "policy/v1", "crd.projectcalico.org/v1", calico))
    kube.objects["/version"] = {"gitVersion": "v1.37.2"}
    kube.add("/apis/apps/v1/namespaces/kube-flannel/daemonsets", flannel.daemonset())
    kube.add("/api/v1/namespaces/kube-flannel/configmaps", flannel.configmap())
    kube.add("/api/v1/namespaces/kube-flannel/serviceaccounts", {"metadata": {"name": "flannel", "namespace": "kube-flannel"}})
    kube.add(f"{flannel.RBAC}/clusterrolebindings", flannel.binding())
    assert read_cluster(kube)["flannel"]["network"] == "10.244.0.0/16"
    Journal(kube).read()
    new_lock(kube, "", True).holder()

    role = yaml.safe_load((EXAMPLES / "rbac-plan.yml").read_text(encoding="utf-8"))
    allowed = {
        (verb, group, resource) for rule in role["rules"] for verb in rule["verbs"] for group in rule["apiGroups"] for resource in rule["resources"]
    }
    assert len(kube.asked) > 15
    assert kube.asked - allowed == set()
    writing = {rule for rule in allowed if rule[0] not in ("get", "list")}
    assert writing == {("create", "authorization.k8s.io", "subjectaccessreviews")}, "a question, of which nothing is kept"


def test_calico_node_and_the_preflight_may_read_the_one_secret_of_the_example():
    role, binding = yaml.safe_load((EXAMPLES / "bgp-password.yml").read_text(encoding="utf-8"))["items"]
    (rule,) = role["rules"]
    assert (rule["resources"], len(rule["resourceNames"])) == (["secrets"], 1)
    assert {*VERBS, "get"} == set(rule["verbs"])
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    accounts = [(subject["namespace"], subject["name"]) for subject in binding["subjects"]]
    assert accounts == [("kube-system", ACCOUNT), (rbac.NAMESPACE, rbac.ACCOUNT)]
    assert {item["metadata"]["namespace"] for item in (role, binding)} == {SECRETS_IN}
