#!/usr/bin/python
# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: calico_install
short_description: Install Calico from its own manifest beside another CNI, and later make it the normal one
version_added: 0.1.0
author:
  - The podnet.cni authors (@podnet)
description:
  - Reads upstream's C(calico.yaml), changes what would disturb the CNI that is in use, and applies it with server-side apply.
  - calico-node then runs on all nodes with BGP, but the name of its CNI configuration sorts after that of the CNI in use, so that no
    pod moves. It makes no address pool, leaves the programs that Flannel needs on the nodes alone, and does not touch Flannel's
    addresses. Pools, blocks and peers are those of M(podnet.cni.calico_ipam) and M(podnet.cni.calico_bgp_peer).
  - Manifests of another shape (Tigera operator, Canal, etcd, eBPF, VXLAN, policy only) are refused.
  - Runs against the cluster's API, usually on the controller.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.actiongroup_kube
  - podnet.cni._kube
attributes:
  check_mode:
    support: full
    details:
      - The API server checks every object in a dry run. Objects whose kind or namespace would only be created are not sent.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: posix
options:
  manifest:
    description:
      - Path or URL of C(calico.yaml) of the wanted release of Calico. Required but for O(stage=name).
    type: str
  sha256:
    description: SHA-256 checksum that the manifest must have.
    type: str
  state:
    description:
      - V(beside) installs Calico's CNI configuration as O(cni_config_name).
      - V(final) gives it its normal name, C(10-calico.conflist), whatever O(cni_config_name) says. No pod is restarted, since the name
        is read from a ConfigMap when calico-node starts. On the nodes the file with the new name has to be there already
        (M(podnet.cni.cni_switch)).
    type: str
    choices: [beside, final]
    default: beside
  stage:
    description:
      - V(crds) only installs the CustomResourceDefinitions and waits until they are served, so that pools, blocks and peers can be
        created before calico-node starts for the first time.
      - V(name) only changes the name of the CNI configuration that calico-node writes when it starts, for a Calico that this module has
        installed, of whatever release it is by now.
      - V(all) applies everything.
    type: str
    choices: [crds, name, all]
    default: all
  cni_config_name:
    description:
      - Name of the CNI configuration file for O(state=beside). It has to sort after the file of the CNI in use.
    type: str
    default: 99-podnet-calico.conflist
  images:
    description: Images of the manifest (keys) and what to use instead (values), for example from a mirror.
    type: dict
    default: {}
  ip_autodetection_method:
    description: How calico-node finds the address that it peers from, as C(IP_AUTODETECTION_METHOD) of calico-node.
    type: str
    default: kubernetes-internal-ip
  veth_mtu:
    description: MTU of the pods' interfaces; V(0) follows the node's interfaces.
    type: int
    default: 0
    aliases: [mtu]
  backend:
    description:
      - What calico-node runs beside Felix. V(bird) speaks BGP, V(vxlan) is nothing, for pools with VXLAN.
    type: str
    choices: [bird, vxlan]
    default: bird
  env:
    description: Further environment variables of calico-node, such as C(FELIX_LOGSEVERITYSCREEN).
    type: dict
    default: {}
  wait:
    description: Whether to wait until calico-node is Ready on all nodes.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait for definitions, and then for calico-node.
    type: float
    default: 300.0
seealso:
  - module: podnet.cni.calico_ipam
  - module: podnet.cni.calico_bgp_peer
"""

EXAMPLES = r"""
- name: Install Calico's resource definitions
  podnet.cni.calico_install:
    manifest: https://raw.githubusercontent.com/projectcalico/calico/v3.28.5/manifests/calico.yaml
    stage: crds
  delegate_to: localhost

- name: Start Calico beside Flannel
  podnet.cni.calico_install:
    manifest: files/calico-v3.28.5.yaml
    sha256: "{{ calico_manifest_sha256 }}"
    images:
      docker.io/calico/node:v3.28.5: registry.example.net/calico/node:v3.28.5
  delegate_to: localhost

- name: Let calico-node write its configuration under a name that sorts after Flannel's again
  podnet.cni.calico_install:
    stage: name
    state: beside
  delegate_to: localhost

- name: Make Calico the normal CNI
  podnet.cni.calico_install:
    manifest: files/calico-v3.28.5.yaml
    state: final
  delegate_to: localhost
"""

RETURN = r"""
changes:
  description: What was changed in the manifest before it was applied.
  returned: always
  type: list
  elements: str
  sample: ["calico-node: NO_DEFAULT_POOLS is 'true'"]
applied:
  description: Objects that were created or changed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [DaemonSet calico-node]
daemonset:
  description: Numbers of the rollout.
  returned: with O(stage=all)
  type: dict
  sample: {desired: 3, ready: 3, updated: 3}
not_ready:
  description: Why calico-node is not Ready, by node.
  returned: when the rollout did not end in time
  type: dict
  sample: {n2: "calico-node runs but is not ready"}
api_calls:
  description: Requests to the cluster's API.
  returned: always
  type: int
  sample: 64
seconds:
  description: Duration, waiting included.
  returned: always
  type: float
  sample: 14.2
"""

import hashlib
import re
import time
import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.urls import open_url
from ansible_collections.podnet.cni.plugins.module_utils._cni import calico_manifest
from ansible_collections.podnet.cni.plugins.module_utils._kube.applying import Applied, apply_object, meaningful
from ansible_collections.podnet.cni.plugins.module_utils._kube.argspec import KUBE_ARGUMENTS
from ansible_collections.podnet.cni.plugins.module_utils._kube.calico_facts import find_calico_node
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, KubeError, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._kube.rollout import RolloutFailed, wait_for_rollout

CONFIG_NAME = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]*\.conflist")
METHOD = re.compile(r"(first-found|kubernetes-internal-ip|(can-reach|interface|skip-interface|cidr)=\S.*)")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SMALLEST_MTU = 576
LARGEST_MTU = 65535
POLL_SECONDS = 0.2


class Failure(Exception):
    """What the module fails with, and results that it returns all the same."""

    def __init__(self, message: str, **results: t.Any) -> None:
        super().__init__(message)
        self.results = results


def option_problem(params: t.Mapping[str, t.Any]) -> str | None:
    """What is wrong with the options, with the remedy."""
    if params["sha256"] and not re.fullmatch(r"[0-9a-fA-F]{64}", params["sha256"]):
        return f"sha256: '{params['sha256']}' is not a SHA-256 checksum; give 64 hexadecimal digits"
    if not CONFIG_NAME.fullmatch(params["cni_config_name"]):
        return f"cni_config_name: '{params['cni_config_name']}' is not a file name that ends in .conflist; use {calico_manifest.BESIDE_NAME}"
    if not METHOD.fullmatch(params["ip_autodetection_method"]):
        return (
            f"ip_autodetection_method: '{params['ip_autodetection_method']}' is not known to calico-node; use kubernetes-internal-ip, "
            "first-found, can-reach=ADDRESS, interface=REGEX, skip-interface=REGEX or cidr=CIDR"
        )
    if params["veth_mtu"] and not SMALLEST_MTU <= params["veth_mtu"] <= LARGEST_MTU:
        return f"veth_mtu: {params['veth_mtu']} is not an MTU; give 0 to follow the nodes, or {SMALLEST_MTU} to {LARGEST_MTU}"
    for name in params["env"]:
        if not VARIABLE.fullmatch(str(name)):
            return f"env: '{name}' is not the name of an environment variable; use letters, digits and '_'"
    if params["wait_timeout"] <= 0:
        return f"wait_timeout: {params['wait_timeout']} is not a duration; give seconds greater than 0"
    return None


def read_manifest(source: str, sha256: str | None, timeout: float) -> bytes:
    """The manifest's text.

    :raises Failure: with the remedy, when it cannot be read or is another one.
    """
    if re.match(r"[a-z][a-z0-9+.-]*://", source):
        if not source.startswith(("https://", "http://")):
            raise Failure(f"manifest: '{source}' is not an address that can be read; use https://, or a path on the controller")
        try:
            text = open_url(source, timeout=timeout, http_agent="podnet.cni").read()
        except Exception as exc:
            raise Failure(f"manifest: '{source}' could not be read: {exc}. Without a way out to it, download the file and give its path") from exc
    else:
        try:
            with open(source, "rb") as file:
                text = file.read()
        except OSError as exc:
            raise Failure(f"manifest: '{source}' could not be read: {exc.strerror}. Give the path of calico.yaml on the controller") from exc
    digest = hashlib.sha256(text).hexdigest()
    if sha256 and digest != sha256.lower():
        raise Failure(f"sha256: the manifest '{source}' has checksum {digest}, not {sha256.lower()}; get the right file, or correct sha256")
    return t.cast(bytes, text)


def parse_manifest(text: bytes, source: str) -> list[t.Any]:
    """Its documents.

    :raises Failure: when it is not YAML.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return list(yaml.load_all(text, Loader=loader))
    except yaml.YAMLError as exc:
        raise Failure(f"manifest: '{source}' is not YAML: {exc}. Use manifests/calico.yaml of a release of projectcalico/calico") from exc


class Installer:
    """Applies the documents in order."""

    def __init__(self, kube: KubeClient, params: t.Mapping[str, t.Any], check_mode: bool) -> None:
        self.kube = kube
        self.params = params
        self.check_mode = check_mode
        self.applied: list[Applied] = []
        self.warnings: list[str] = []
        self.results: dict[str, t.Any] = {"changes": []}

    def run(self, documents: list[t.Any]) -> dict[str, t.Any]:
        """Carry it out and return the module's results."""
        name = calico_manifest.FINAL_NAME if self.params["state"] == "final" else self.params["cni_config_name"]
        if self.params["stage"] == "name":
            return self._rename(name)
        if self.params["stage"] == "crds":
            objects = calico_manifest.definitions(documents)
        else:
            settings = calico_manifest.Settings(
                cni_config_name=name,
                ip_autodetection_method=self.params["ip_autodetection_method"],
                veth_mtu=self.params["veth_mtu"],
                backend=self.params["backend"],
                images=self.params["images"],
                environment={str(key): _text(value) for key, value in self.params["env"].items()},
            )
            objects, self.results["changes"] = calico_manifest.transform(documents, settings)
        definitions = [document for document in objects if calico_manifest.is_definition(document)]
        for document in definitions:
            self._apply(document)
        if not self.check_mode:
            self._wait_for_definitions()
        for document in objects:
            if not calico_manifest.is_definition(document):
                self._apply(document)
        self._sum_up()
        if self.params["stage"] == "all":
            self._rollout(next(document for document in objects if document["kind"] == "DaemonSet"))
        return self.results

    def _rename(self, name: str) -> dict[str, t.Any]:
        """Change the name of the CNI configuration, which calico-node reads when it starts."""
        daemonset = find_calico_node(self.kube.list("/apis/apps/v1/daemonsets"))
        if daemonset is None:
            raise Failure("stage: no DaemonSet runs calico-node, so that there is no name to change; use stage=all to install Calico")
        reference = calico_manifest.name_reference(daemonset)
        if reference is None:
            where = f"{daemonset['metadata']['namespace']}/{daemonset['metadata']['name']}"
            raise Failure(
                f"stage: DaemonSet {where} does not take CNI_CONF_NAME from a ConfigMap, so that its name cannot be changed without restarting "
                "calico-node; use stage=all with the manifest of the release that is installed"
            )
        path = f"/api/v1/namespaces/{daemonset['metadata']['namespace']}/configmaps/{reference['name']}"
        before = meaningful(self.kube.get(path))
        after = before
        if (before.get("data") or {}).get(reference["key"]) != name:
            after = meaningful(self.kube.merge_patch(path, {"data": {reference["key"]: name}}, dry_run=self.check_mode))
            self.results["changes"] = [f"ConfigMap {reference['name']}: {reference['key']} is '{name}'"]
        self.applied.append(Applied(f"ConfigMap {reference['name']}", before != after, before, after))
        self._sum_up()
        return self.results

    def _apply(self, document: dict[str, t.Any]) -> None:
        path = calico_manifest.object_path(document)
        try:
            result = apply_object(self.kube, path, document, self.check_mode)
        except NotFound:
            if not self.check_mode:
                raise
            result = Applied(f"{document['kind']} {document['metadata']['name']}", True, {}, document)
        except Forbidden as exc:
            name = f"{document['kind']} {document['metadata']['name']}"
            raise Failure(
                f"kubeconfig: its user may not make {name}: {exc.message}. Give it the rights of docs/examples/rbac.yml of this collection; a "
                "manifest of another version of Calico may need more, such as roles of other names",
                applied=[done.name for done in self.applied if done.changed],
            ) from exc
        except KubeError as exc:
            name = f"{document['kind']} {document['metadata']['name']}"
            raise Failure(
                f"manifest: the cluster's API refused {name}: {exc.message}. Is this release of Calico made for this version of "
                "Kubernetes? Choose another release, or set field_validation to Warn",
                applied=[done.name for done in self.applied if done.changed],
            ) from exc
        if result.changed and document["kind"] == "DaemonSet":
            self.warnings += foreign_parts(document, result.after)
        self.applied.append(result)

    def _wait_for_definitions(self) -> None:
        deadline = time.monotonic() + self.params["wait_timeout"]
        for result in self.applied:
            if not result.changed:
                continue
            path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{result.after['metadata']['name']}"
            while not _established(self.kube.get(path)):
                if time.monotonic() >= deadline:
                    raise Failure(f"{result.name} is not served after {self.params['wait_timeout']:g} s; look at its conditions")
                time.sleep(POLL_SECONDS)

    def _sum_up(self) -> None:
        changed = [result for result in self.applied if result.changed]
        self.results["changed"] = bool(changed)
        self.results["applied"] = [result.name for result in changed]
        self.results["diff"] = {
            "before": {result.name: _shown(result.before) for result in changed},
            "after": {result.name: _shown(result.after) for result in changed},
        }

    def _rollout(self, document: dict[str, t.Any]) -> None:
        path = calico_manifest.object_path(document)
        daemonset: t.Mapping[str, t.Any] | None
        if self.params["wait"] and not self.check_mode:
            try:
                daemonset = wait_for_rollout(self.kube, path, self.params["wait_timeout"])
            except RolloutFailed as exc:
                raise Failure(str(exc), not_ready=exc.pods, **self.results) from exc
        else:
            daemonset = self.kube.get_or_none(path)
        status = (daemonset or {}).get("status") or {}
        self.results["daemonset"] = {
            "desired": status.get("desiredNumberScheduled", 0),
            "ready": status.get("numberReady", 0),
            "updated": status.get("updatedNumberScheduled", 0),
        }


def foreign_parts(wanted: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> list[str]:
    """Containers and variables of the DaemonSet that somebody else's manager keeps although the manifest does not have them."""
    warnings = []
    for group in ("initContainers", "containers"):
        mine = {entry["name"]: entry for entry in wanted["spec"]["template"]["spec"].get(group) or []}
        for container in after["spec"]["template"]["spec"].get(group) or []:
            if container["name"] not in mine:
                warnings.append(f"DaemonSet {wanted['metadata']['name']} keeps the container {container['name']} of another field manager")
                continue
            names = {variable["name"] for variable in mine[container["name"]].get("env") or []}
            more = [variable["name"] for variable in container.get("env") or [] if variable["name"] not in names]
            if more:
                warnings.append(
                    f"DaemonSet {wanted['metadata']['name']}, container {container['name']} keeps {', '.join(more)} of another field manager; "
                    "remove them with kubectl if they are not wanted"
                )
    return warnings


def _text(value: t.Any) -> str:
    """A value of an environment variable as Kubernetes wants it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _established(definition: t.Mapping[str, t.Any]) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions)


def _shown(item: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    """What a diff shows of an object: schemas of definitions are too long to read."""
    if item.get("kind") != "CustomResourceDefinition":
        return item
    versions = [{"name": version["name"]} for version in item["spec"]["versions"]]
    return {**item, "spec": {**item["spec"], "versions": versions}}


def main() -> t.NoReturn:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "manifest": {"type": "str"},
            "sha256": {"type": "str"},
            "state": {"type": "str", "choices": ["beside", "final"], "default": "beside"},
            "stage": {"type": "str", "choices": ["crds", "name", "all"], "default": "all"},
            "cni_config_name": {"type": "str", "default": "99-podnet-calico.conflist"},
            "images": {"type": "dict", "default": {}},
            "ip_autodetection_method": {"type": "str", "default": "kubernetes-internal-ip"},
            "veth_mtu": {"type": "int", "default": 0, "aliases": ["mtu"]},
            "backend": {"type": "str", "choices": list(calico_manifest.BACKENDS), "default": "bird"},
            "env": {"type": "dict", "default": {}},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "float", "default": 300.0},
            **KUBE_ARGUMENTS,
        },
        required_if=[("stage", "crds", ["manifest"]), ("stage", "all", ["manifest"])],
        supports_check_mode=True,
    )
    problem = option_problem(module.params)
    if problem:
        module.fail_json(msg=problem)
    started = time.monotonic()
    documents: list[t.Any] = []
    try:
        if module.params["stage"] != "name":
            text = read_manifest(module.params["manifest"], module.params["sha256"], module.params["request_timeout"])
            documents = parse_manifest(text, module.params["manifest"])
    except ImportError:
        module.fail_json(msg=missing_required_lib("PyYAML"), exception=traceback.format_exc())
    except Failure as exc:
        module.fail_json(msg=str(exc))
    kube = KubeClient.from_module(module)
    installer = Installer(kube, module.params, module.check_mode)
    try:
        results = installer.run(documents)
    except calico_manifest.ManifestError as exc:
        module.fail_json(msg=str(exc))
    except Failure as exc:
        module.fail_json(msg=str(exc), **exc.results)
    except KubeError as exc:
        module.fail_json(msg=f"the cluster's API refused: {exc}")
    for warning in installer.warnings:
        module.warn(warning)
    module.exit_json(api_calls=kube.calls, seconds=round(time.monotonic() - started, 3), **results)


if __name__ == "__main__":
    main()
