# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/modules.md: a paragraph and the examples of each module, from its own documentation."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

import yaml

from tooling.docs.markup import markdown, sentence
from tooling.places import ROOT

MODULES = ROOT / "plugins" / "modules"
FILTERS = ROOT / "plugins" / "filter"
TESTS = ROOT / "plugins" / "test"
ROOMS: t.Mapping[str, tuple[str, ...]] = {
    "Read": ("cni_facts", "kernel_check", "kernel_state"),
    "Act on a node": (
        "node_evict",
        "cni_switch",
        "cni_replug",
        "flannel_remove",
        "calico_remove",
        "route_guard",
        "masquerade_guard",
        "kernel_install",
        "kernel_boot",
        "mtu_set",
        "offload_set",
        "sysctl_set",
    ),
    "Act on the cluster": (
        "calico_install",
        "calico_ipam",
        "calico_bgp_node",
        "calico_bgp_peer",
        "flannel_uninstall",
        "calico_uninstall",
        "flannel_restore",
        "kured_lock",
    ),
    "Prove": ("calico_fabric_probe", "cni_probe", "node_ready"),
    "Remember and tell": ("cni_journal", "cni_show"),
}
HEAD = """\
<!-- Written by tests/tooling/docs from the documentation of the plugins. Change it there; a unit test fails when this page is out of date. -->
# Modules

What the roles are made of; each module can be used by itself. Every option and every returned value: `ansible-doc podnet.cni.NAME`.
All of them work in check mode, and those that change something show a diff.

Modules that talk to the cluster's API run wherever that can be reached, usually on the controller (`delegate_to: localhost`), and share the
options `kubeconfig`, `context`, `request_timeout` and `field_validation`. Set them once:

```yaml
module_defaults:
  group/podnet.cni.kube:
    kubeconfig: /home/me/.kube/prod
```
"""


def documentation(name: str) -> dict[str, t.Any]:
    """C(DOCUMENTATION) and C(EXAMPLES) of a module, which is not run."""
    texts = {}
    for node in ast.parse((MODULES / f"{name}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Constant):
            texts[node.targets[0].id] = str(node.value.value)
    return {**yaml.safe_load(texts["DOCUMENTATION"]), "examples": texts["EXAMPLES"].strip("\n")}


def names() -> list[str]:
    """Every module of the collection."""
    return sorted(path.stem for path in MODULES.glob("*.py"))


def page() -> str:
    """The whole page."""
    missing = set(names()) ^ {name for room in ROOMS.values() for name in room}
    if missing:
        raise ValueError(f"{Path(__file__).name}: ROOMS and plugins/modules differ in {', '.join(sorted(missing))}")
    parts = [HEAD]
    for room, members in ROOMS.items():
        parts.append(f"## {room}\n")
        parts += [_module(name) for name in members]
    return "\n".join([*parts, _filters()])


def _module(name: str) -> str:
    about = documentation(name)
    return f"### {name}\n\n{markdown(about['short_description'])}. {sentence(about['description'])}\n\n```yaml\n{about['examples']}\n```\n"


def _filters() -> str:
    rows = ["## Filters\n", "The judge of the roles, as filters: facts in, a plan or findings out. Nothing is read or changed.\n"]
    rows += _overview("filter", FILTERS)
    rows += ["", "## Tests\n", "For conditions in playbooks, behind `is`.\n", *_overview("test", TESTS)]
    return "\n".join(rows) + "\n"


def _overview(kind: str, folder: Path) -> list[str]:
    """A table of the plugins of a folder."""
    rows = [f"| {kind} | what it does |", "| --- | --- |"]
    for path in sorted(folder.glob("*.yml")):
        about = yaml.safe_load(path.read_text(encoding="utf-8"))["DOCUMENTATION"]
        rows.append(f"| `{about['name']}` | {markdown(about['short_description'])} |")
    return rows
