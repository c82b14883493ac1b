# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries the faults out, one after the other on one lab, and writes down what happened."""

from __future__ import annotations

import collections
import json
import os
import re
import subprocess
import time
import typing as t
from collections.abc import Iterable
from pathlib import Path

import yaml
from podnet_lab.cluster_api import ClusterApi
from podnet_lab.errors import LabError
from podnet_lab.lab import Lab
from podnet_lab.parts import versions
from podnet_lab.prober_control import ProberControl
from podnet_lab.shell import wait_for
from podnet_molecule import breaking, playbook, replugging, results

from podnet_faults import catalogue
from podnet_faults.address_watch import AddressWatch
from podnet_faults.catalogue import Fault
from podnet_faults.scene import CALICO_NODE, FLANNEL, Scene

KEPT = {"podnet_confirm": True, "podnet_remove_flannel": False}
INTERVAL_MS = 120
"""Of the probers, as in molecule/faults/prepare.yml: three nodes on one machine, which other work has to be done on as well."""
TRIGGER_SECONDS = 240.0
RUN_SECONDS = 420.0
TIMER_SECONDS = 90.0
BOOKS_SECONDS = 30.0
"""Until what Calico's IPAM holds agrees with the pods; some of them end at the end of a run."""
RETURNED = {"one": 1, "two": 2, "calico": 0}
RESULTS = "faults.json"
REGISTRY = re.compile(r"(?<=https://)[\w.-]+(?=/v2/)|(?<=lookup )[\w.-]+(?= on )")
"""The host that a message about an image names, which depends on who runs this."""
MESSAGE = re.compile(r'"?msg"?: "?((?:[^"\\]|\\.)+)')

Record = dict[str, t.Any]


def last_message(output: str) -> str:
    """What the run said last when it failed; empty when it did not."""
    found = MESSAGE.findall(output)
    return REGISTRY.sub("REGISTRY", " ".join(found[-1].replace('\\"', '"').split())) if found else ""


def sides(nodes: t.Mapping[str, Record], pods: t.Mapping[str, t.Mapping[str, int]]) -> dict[str, str]:
    """Where each node is: wholly on C(flannel) or C(calico), or why that is not so."""
    found = {}
    for name, node in nodes.items():
        side = "flannel" if node["configuration"] == "10-flannel.conflist" else "calico"
        other = pods[name]["calico" if side == "flannel" else "flannel"]
        problems = [f"{other} pods on the other side"] if other else []
        problems += ["timer armed"] if node["timer"] else []
        problems += [] if node["schedulable"] else ["cordoned"]
        found[name] = f"{side}: {', '.join(problems)}" if problems else side
    return found


class Runner:
    """One lab, through all faults."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.api = ClusterApi(lab.state / "kubeconfigs" / "super-admin.conf", lab.topology.netns("ctl"))
        self.records: list[Record] = []

    def run(self, faults: Iterable[Fault]) -> None:
        """Every fault from its own start."""
        for fault in faults:
            self.records.append(self.one(fault, self.prepare(fault)))
            self.save()
            print(json.dumps({key: self.records[-1][key] for key in ("id", "code", "said", "side", "end", "problem")}), flush=True)

    def save(self) -> None:
        """What docs/faults.json is: what was run, when, and what happened."""
        parts = versions()
        about = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "nodes": len(self.lab.nodes)}
        about.update(kubernetes=parts["kubernetes"], calico=parts["calico"])
        text = json.dumps({"about": about, "faults": self.records}, indent=2)
        (results.folder() / RESULTS).write_text(f"{text}\n", encoding="utf-8")

    def required(self, which: str, variables: t.Mapping[str, t.Any]) -> None:
        """A run that has to pass, before a fault."""
        done = playbook.run(self.lab.inventory, variables, playbook=which)
        if done.code:
            raise LabError(f"{which} failed with code {done.code} before a fault: {done.output[-3000:]}")

    def prepare(self, fault: Fault) -> str:
        """Bring the lab to where the fault starts; the node that it happens to."""
        names = [node.name for node in self.lab.nodes]
        if fault.start == "fresh":
            self.remove_calico()
            return names[0]
        if self.api.get_or_none(FLANNEL) is None:
            self.remove_calico()
        now = self.where()
        back = names[: RETURNED[fault.start]]
        on_flannel = [name for name in names[:-1] if now[name] == "flannel"]  # the last one joins and leaves
        if set(now.values()) <= {"flannel", "calico"} and len(on_flannel) >= len(back) > 0:
            return on_flannel[0]  # what an earlier fault left will do
        if any(now[name] != "calico" for name in names if name not in back):
            self.required(playbook.PLAYBOOK, {**KEPT, **fault.always, "podnet_serial": "1"})
            now = self.where()
        returning_now = [name for name in back if now[name] != "flannel"]
        if returning_now:
            self.required(playbook.ROLLBACK, {"podnet_confirm": True, **fault.always, "podnet_return_nodes": returning_now})
        return names[0]

    def remove_calico(self) -> None:
        """Everything back to Flannel, as before the first run."""
        if self.api.get_or_none(CALICO_NODE) is not None:
            self.required(playbook.ROLLBACK, {"podnet_confirm": True})

    def where(self) -> dict[str, str]:
        """The side of each node that the cluster has."""
        nodes = breaking.state(self.lab, self.api)["nodes"]
        return sides(nodes, {name: breaking.pods_on(self.lab, name) for name in nodes})

    def one(self, fault: Fault, node: str) -> Record:
        """Run, inject, lift, look, go on, look again."""
        log = results.folder() / f"{fault.id}.log"
        scene = Scene(self.lab, self.api, log, node)
        again = {**KEPT, **fault.always, "podnet_remove_flannel": fault.removes}
        variables = {**again, **fault.variables}
        if fault.playbook == playbook.ROLLBACK:
            variables.pop("podnet_remove_flannel")
        record: Record = {"id": fault.id, "title": fault.title, "point": fault.point, "how": fault.how, "expected": fault.expected}
        record.update(go_on=fault.go_on, wanted_code=fault.code, problem="", second={})
        fault.before(scene)
        begin = time.time()
        with AddressWatch(self.lab, self.api) as watch:
            self.disturb(fault, scene, variables, record)
            record["going_on"] = None
            if fault.code:
                more = self.go_on(fault, again)
                record["going_on"] = {"code": more.code, "said": last_message(more.output) if more.code else ""}
                (results.folder() / f"{fault.id}-again.log").write_text(more.output, encoding="utf-8")
            record["end"] = {"nodes": self.where(), "locked": breaking.state(self.lab, self.api)["locked"]}
            if self.api.get_or_none(CALICO_NODE) is not None:
                record["ipam"] = self.ipam_problems()
        record["addresses"] = watch.as_dict()
        record["requests"] = self.requests(begin, time.time(), scene.memory.get("off", ()))
        record["seconds_in_all"] = round(time.time() - begin)
        if fault.ends_probers:
            ProberControl(self.lab).start(interval_ms=INTERVAL_MS)
        return record

    def go_on(self, fault: Fault, again: Record) -> playbook.Outcome:
        """What a user runs afterwards."""
        if not fault.goes_back:
            return playbook.run(self.lab.inventory, again)
        return playbook.run(self.lab.inventory, {"podnet_confirm": True, **fault.always}, playbook=playbook.ROLLBACK)

    def ipam_problems(self) -> str:
        """What C(calicoctl ipam check) finds wrong, empty when nothing."""
        until = time.monotonic() + BOOKS_SECONDS
        while "found 0 problems" not in (said := replugging.ipam_check(self.lab)):
            if time.monotonic() >= until:
                return said
            time.sleep(2.0)
        return ""

    def inventory(self, fault: Fault) -> Path:
        """The lab's inventory, or one without its last node."""
        if not fault.without_last:
            return self.lab.inventory
        content = yaml.safe_load(self.lab.inventory.read_text(encoding="utf-8"))
        del content["all"]["children"]["kube_node"]["hosts"][self.lab.nodes[-1].name]
        path = results.folder() / f"{fault.id}-inventory.yml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    def disturb(self, fault: Fault, scene: Scene, variables: t.Mapping[str, t.Any], record: Record) -> None:
        """The run with the fault in it."""
        words = playbook.command(self.inventory(fault), variables, playbook=fault.playbook)
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "true", "ANSIBLE_FORCE_COLOR": "false"}
        begin = time.monotonic()
        with open(scene.log, "wb") as output:
            scene.process = subprocess.Popen(
                words, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            wait_for(fault.point, TRIGGER_SECONDS, lambda: fault.when(scene) or not scene.running(), pause=0.05)
            if not scene.running():
                raise LabError(f"the run ended before {fault.point}: {scene.output()[-1500:]}")
            fault.inject(scene)
            if fault.hold:
                time.sleep(fault.hold)
            if fault.hold is not None:
                fault.lift(scene)
            scene.process.wait(RUN_SECONDS)
        except (LabError, subprocess.TimeoutExpired) as error:
            record["problem"] = str(error)
        finally:
            if scene.running():
                os.killpg(scene.process.pid, 9)
                scene.process.wait()
        text = " ".join(scene.output().replace('\\"', '"').split())
        record.update(code=scene.process.returncode, seconds=round(time.monotonic() - begin))
        record["said"] = last_message(scene.output()) if record["code"] > 0 else ""
        record["left"] = scene.memory.get("left", "")
        record["missing_words"] = [word for word in fault.says if word not in text]
        if fault.by_timer:
            wait_for(f"{scene.node} back on Flannel by its timer", TIMER_SECONDS, scene.back_on_flannel)
        if fault.hold is None:
            fault.lift(scene)
        if fault.second_says:
            second = " ".join(scene.memory["second_output"].replace('\\"', '"').split())
            record["second"] = {"code": scene.memory["second_code"], "said": last_message(scene.memory["second_output"])}
            record["missing_words"] += [word for word in fault.second_says if word not in second]
        state = breaking.state(self.lab, self.api)
        record.update(side=self.where()[scene.node], locked=state["locked"], phase=state["phases"].get(f"node.{scene.node}.json"))

    def requests(self, begin: float, end: float, off: t.Collection[str]) -> Record:
        """What the probers saw meanwhile; C(off) has the addresses and probers of a machine that was powered off."""
        report = ProberControl(self.lab).collect()
        seconds = [entry for entry in report.series if begin <= entry["second"] <= end]
        failures = [failure for failure in report.failures if begin <= failure["time"] <= end]
        return {
            "requests": sum(counts["requests"] for entry in seconds for counts in entry["kinds"].values()),
            "failed": len(failures),
            "first_moments": sum(1 for failure in failures if failure.get("warmup")),
            "machine_off": sum(1 for failure in failures if failure["id"] in off or str(failure["target"]).partition(":")[0] in off),
            "errors": dict(collections.Counter(f"{failure['kind']}: {failure['error']}" for failure in failures)),
        }


def run_all(lab: Lab) -> None:
    """Every fault, or those that the environment names (C(PODNET_FAULTS)) for somebody who works on one."""
    names = os.environ.get("PODNET_FAULTS", "").split()
    known = {fault.id: fault for fault in catalogue.FAULTS}
    Runner(lab).run([known[name] for name in names] if names else catalogue.FAULTS)
