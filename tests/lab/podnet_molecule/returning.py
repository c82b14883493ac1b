# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""There and back again, twice: beside Flannel, so that nothing but a configuration changes, and after Flannel was removed, which is put back.

And back alone, from whatever way of routing a scenario has migrated to. At the end of each way the lab has to be as it was before anything.
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
from podnet_molecule.switching import TUNNEL_ANNOTATION

Step = tuple[str, str, dict[str, t.Any]]
"""A name, a playbook, and its variables."""


def addresses(api: ClusterApi) -> list[str]:
    """Addresses of the running pods that are not those of nodes."""
    pods = api.items("/api/v1/pods")
    return [pod["status"]["podIP"] for pod in pods if pod["status"].get("podIP") and not pod["spec"].get("hostNetwork")]


def tunnels(api: ClusterApi) -> list[str]:
    """Addresses of Calico's tunnels."""
    annotations = [node["metadata"]["annotations"] for node in api.items("/api/v1/nodes")]
    return [entry[TUNNEL_ANNOTATION] for entry in annotations if TUNNEL_ANNOTATION in entry]


def seen(lab: Lab, api: ClusterApi) -> Record:
    """What is true between two runs."""
    pods = {node.name: pods_on(lab, node.name) for node in lab.nodes}
    return {**state(lab, api), "pods": pods, "addresses": addresses(api), "tunnels": tunnels(api)}


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


LOGS = "/var/log/calico"
"""Stays, as docs/rollback_to_flannel.md says, and nothing else."""


def logs_that_stay(before: snapshot.Snapshot) -> list[str]:
    """The changes that there have to be when Calico is gone, on nodes that had none of its logs."""
    return [f"{section}: + {LOGS}" for section, lines in sorted(before.items()) if section.endswith(" folders") and LOGS not in lines]


def carry_out(lab: Lab, steps: t.Sequence[Step], before: snapshot.Snapshot, compared: t.Collection[str]) -> None:
    """Run playbooks one after the other, and keep what happened for the tests; after C(compared) ones all is to be as it was before."""
    record: Record = {"logs_that_stay": logs_that_stay(before)}
    with lab.api() as api:
        for name, which, variables in steps:
            given = {**variables, "podnet_kubeconfig": str(account.path(lab))}
            began = time.time()
            record[name] = dataclasses.asdict(playbook.run(lab.inventory, given, playbook=which))
            record[f"time_{name}"] = [began, time.time()]
            account.make(lab)  # the rights in Flannel's namespace go with it
            record[f"after_{name}"] = seen(lab, api)
            if name in compared:
                record[f"after_{name}"]["changes"] = changes(before, snapshot.take(lab))
            (results.folder() / "returning.json").write_text(json.dumps(record, indent=2), encoding="utf-8")


def there_and_back(lab: Lab) -> None:
    """To Calico and back, twice."""
    first, *others = (node.name for node in lab.nodes)
    steps: list[Step] = [
        ("moved", playbook.PLAYBOOK, {**CONSENT, "podnet_remove_flannel": False}),
        ("unanswered", playbook.ROLLBACK, {**UNANSWERED, "podnet_return_nodes": [first]}),
        ("some", playbook.ROLLBACK, {**CONSENT, "podnet_return_nodes": others}),
        ("all", playbook.ROLLBACK, {**CONSENT, "podnet_keep_calico": True}),
        ("again", playbook.ROLLBACK, {**CONSENT, "podnet_keep_calico": True}),
        ("without_calico", playbook.ROLLBACK, CONSENT),
        ("for_good", playbook.PLAYBOOK, CONSENT),
        ("restored", playbook.ROLLBACK, CONSENT),
        ("nothing", playbook.ROLLBACK, CONSENT),
    ]
    carry_out(lab, steps, snapshot.take(lab), ("without_calico", "restored"))


BEFORE = "before.json"
"""Snapshot of a lab before its migration, in the scenario's folder."""


def back_again(lab: Lab) -> None:
    """After a migration, one node back to Flannel, then all, so that Calico is removed. Nothing says how Calico leads packets."""
    steps: list[Step] = [
        ("one", playbook.ROLLBACK, {**CONSENT, "podnet_return_nodes": [lab.nodes[1].name]}),
        ("all", playbook.ROLLBACK, CONSENT),
    ]
    carry_out(lab, steps, snapshot.load(results.folder() / BEFORE), ("all",))
