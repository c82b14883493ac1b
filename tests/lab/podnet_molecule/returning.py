# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""There and back again, twice: beside Flannel, so that nothing but a configuration changes, and after Flannel was removed, which is put back.

At the end of each way the lab has to be as it was before anything.
"""

from __future__ import annotations

import dataclasses
import json
import re
import time
import typing as t

from podnet_lab.cluster_api import ClusterApi
from podnet_lab.lab import Lab

from podnet_molecule import account, playbook, results, snapshot
from podnet_molecule.breaking import CONSENT, UNANSWERED, Record, pods_on, state


def addresses(api: ClusterApi) -> list[str]:
    """Addresses of the running pods that are not those of nodes."""
    pods = api.items("/api/v1/pods")
    return [pod["status"]["podIP"] for pod in pods if pod["status"].get("podIP") and not pod["spec"].get("hostNetwork")]


def seen(lab: Lab, api: ClusterApi) -> Record:
    """What is true between two runs."""
    return {**state(lab, api), "pods": {node.name: pods_on(lab, node.name) for node in lab.nodes}, "addresses": addresses(api)}


PASSING = re.compile(
    r"^cluster (pods|locks): "  # restarted on the way
    r"|^cluster nodes: . \S+ annotation flannel\.alpha\.coreos\.com/backend-data"  # a device that was made again has another link address
    r"|^\S+ (links|addresses|routes|forwarding-entries|sysctls): .*\bveth"
    r"|^\S+ (links|forwarding-entries|neighbours): .*\b(flannel|cni0\b)"
    r"|^\S+ addresses: .*\bfe80::"
    r"|^\S+ routes: .*\b(fe80|ff00)::"
    r"|^\S+ files: .*(/var/lib/cni|/var/lib/podnet|/run/flannel)"
    r"|^\S+ (iptables-nft-save|nft): .*(KUBE-|CNI-|10\.244\.)"  # addresses of pods that were restarted
    r"|^\S+ iptables-nft-save: \+ \*\w+$|^\S+ nft: \+ (table ip6? \w+ \{|\s+type \w+ hook \w+ priority \w+; policy accept;)$"
)
"""What is another on a lab whose pods were restarted. The last line is about tables of iptables without a rule, which every program makes that
asks for one."""
OWN = ("ConfigMap kube-system/podnet-cni-migration",)


def changes(before: snapshot.Snapshot, after: snapshot.Snapshot) -> list[str]:
    """What is not as it was, but for what is another wherever pods were restarted, and for the journal."""
    lines = snapshot.difference(nameable(before), nameable(after))
    return [line for line in lines if not PASSING.search(line) and not line.endswith(OWN)]


def nameable(taken: snapshot.Snapshot) -> snapshot.Snapshot:
    """The same with objects by their names only, since those that were removed and put back are others with the same names."""
    return {section: sorted({re.sub(r" version .*", "", line) for line in lines}) for section, lines in taken.items()}


def there_and_back(lab: Lab) -> None:
    """Carry it out, and keep what happened for the tests."""
    first, second, *_others = (node.name for node in lab.nodes)
    steps: list[tuple[str, str, dict[str, t.Any]]] = [
        ("moved", playbook.PLAYBOOK, {**CONSENT, "podnet_remove_flannel": False}),
        ("unanswered", playbook.ROLLBACK, {**UNANSWERED, "podnet_return_nodes": [first]}),
        ("one", playbook.ROLLBACK, {**CONSENT, "podnet_return_nodes": [second]}),
        ("all", playbook.ROLLBACK, {**CONSENT, "podnet_keep_calico": True}),
        ("again", playbook.ROLLBACK, {**CONSENT, "podnet_keep_calico": True}),
        ("without_calico", playbook.ROLLBACK, CONSENT),
        ("for_good", playbook.PLAYBOOK, CONSENT),
        ("restored", playbook.ROLLBACK, CONSENT),
        ("nothing", playbook.ROLLBACK, CONSENT),
    ]
    record: Record = {}
    before = snapshot.take(lab)
    with lab.api() as api:
        for name, which, variables in steps:
            given = {**variables, "podnet_kubeconfig": str(account.path(lab))}
            began = time.time()
            record[name] = dataclasses.asdict(playbook.run(lab.inventory, given, playbook=which))
            record[f"time_{name}"] = [began, time.time()]
            account.make(lab)  # the rights in Flannel's namespace go with it
            record[f"after_{name}"] = seen(lab, api)
            if name in ("without_calico", "restored"):
                record[f"after_{name}"]["changes"] = changes(before, snapshot.take(lab))
            (results.folder() / "returning.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
