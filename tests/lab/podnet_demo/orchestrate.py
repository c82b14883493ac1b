# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo from the lab's start to the report."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
import typing as t
from pathlib import Path

from podnet_lab import workloads
from podnet_lab.cache import say
from podnet_lab.errors import LabError
from podnet_lab.lab import Lab
from podnet_lab.prober_control import ProberControl

from podnet_demo import calico_state, leftovers, report_html, report_json
from podnet_demo.capture import count_encapsulated
from podnet_demo.facts import describe_lab, versions
from podnet_demo.measure import measure
from podnet_demo.playbook import PlaybookRun, run_playbook
from podnet_demo.summary import summary_text

CALM_SECONDS = 5.0
"""How long the probers run before and after the playbook."""

Record = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line says."""

    topology: Path
    name: str
    folder: Path
    monthly_bill: float
    keep_lab: bool
    reuse_lab: bool
    skip_measure: bool
    skip_migration: bool
    skip_second_run: bool
    variables: Record


def run_demo(options: Options) -> Record:
    """Everything; returns the report. The lab goes down afterwards unless it is to be kept."""
    started = time.time()
    options.folder.mkdir(parents=True, exist_ok=True)
    lab = bring_up(options)
    try:
        evidence = collect(lab, options, started)
    finally:
        if options.keep_lab:
            say(f"the lab {lab.name} stays up: python3 -m podnet_lab --name {lab.name} status")
        else:
            say("taking the lab down")
            lab.down()
    return write_report(evidence, options.folder)


def bring_up(options: Options) -> Lab:
    """A fresh lab, because a migrated one cannot be migrated again; or the one that is there."""
    lab = Lab.load(options.topology, options.name)
    if not options.reuse_lab and lab.state.exists():
        say(f"taking down the lab {lab.name} of an earlier run")
        Lab.open(options.name).down()
    say(f"bringing up the lab {lab.name}: {len(lab.nodes)} nodes in {len(lab.topology.zones)} zones, with Flannel")
    lab.up()
    return lab


def collect(lab: Lab, options: Options, started: float) -> report_json.Evidence:
    """Measure, migrate under load, measure again, look for leftovers, run again."""
    captures = options.folder / "captures"
    evidence = report_json.Evidence(
        started=started,
        finished=started,
        lab=describe_lab(lab),
        versions=versions(),
        monthly_bill=options.monthly_bill,
    )
    say("deploying the workloads")
    workloads.apply(lab)
    if not options.skip_migration:
        with keep_going(evidence):
            evidence.policy_before = workloads.policy(lab)
            say(f"before the migration: {evidence.policy_before['text']}")
    if not options.skip_measure:
        say("measuring throughput, latency and bytes on the wire between zones, on Flannel")
        evidence.before = measure(lab, captures, "before")
        say(describe_measurement(evidence.before))
    if not options.skip_migration:
        with keep_going(evidence):
            migrate(lab, options, evidence)
    migrated = (evidence.first_run or {}).get("code") == 0
    if migrated and not options.skip_measure:
        say("measuring throughput, latency and bytes on the wire between zones, on Calico")
        with keep_going(evidence):
            evidence.after = measure(lab, captures, "after")
            say(describe_measurement(evidence.after))
    say("looking for traces of Flannel on every node and in the cluster, for pods that are not on Calico, and whether NetworkPolicies hold")
    with keep_going(evidence):
        outcomes = leftovers.find(lab)
        evidence.leftover_checks = [outcome.as_dict() for outcome in outcomes]
        evidence.leftovers = leftovers.as_lines(outcomes)
    with keep_going(evidence):
        evidence.pods = calico_state.pods_on_calico(lab)
        evidence.policy = workloads.policy(lab)
    if migrated and not options.skip_second_run:
        say("running the playbook a second time: it must change nothing")
        with keep_going(evidence):
            evidence.second_run = playbook(lab, options, "second-run", {}, lambda: None).as_dict()
    evidence.finished = time.time()
    return evidence


@contextlib.contextmanager
def keep_going(evidence: report_json.Evidence) -> t.Iterator[None]:
    """An error in one stage must not lose what the others found: remember it, and a promise stays broken."""
    try:
        yield
    except LabError as error:
        say(f"error: {error}")
        evidence.errors.append(str(error))


def migrate(lab: Lab, options: Options, evidence: report_json.Evidence) -> None:
    """Run the playbook under load. Whatever happens, the probers are stopped and what they saw is kept."""
    journal = (options.folder / "migration.json").resolve()
    counters = (options.folder / "probe-counters.json").resolve()
    for path in (journal, counters):
        path.unlink(missing_ok=True)
    probers = ProberControl(lab)
    say("starting probers on every node and in a pod on every node")
    try:
        probers.start()
        with probers.live_file(counters):
            time.sleep(CALM_SECONDS)
            say("running the playbook under load: playbooks/migrate_to_calico.yml")
            variables = {"podnet_report_file": str(journal), "podnet_probe_file": str(counters)}
            run = playbook(lab, options, "first-run", variables, lambda: say(progress(counters)))
            evidence.first_run = run.as_dict()
            say(f"the playbook ended with code {run.code} after {run.seconds:.0f} s; the probers go on for {CALM_SECONDS:.0f} s")
            if run.code == 0:
                with count_encapsulated(lab, options.folder / "captures", "under-load") as seen:
                    time.sleep(CALM_SECONDS)
                evidence.encapsulated_under_load = seen.count
    finally:
        say("stopping the probers")
        with keep_going(evidence):
            evidence.probes = probers.stop()
            probers.copy_files(options.folder / "probes")
    if journal.exists():
        evidence.migration = json.loads(journal.read_text())


def progress(counters: Path) -> str:
    """One line about the load."""
    try:
        seen = json.loads(counters.read_text())
    except (OSError, ValueError):
        return "probers: nothing counted yet"
    line = f"probers: {seen['requests']:,} requests so far, {seen['failed_requests']:,} failed"
    return f"{line}; no news from {', '.join(seen['stale'])}" if seen["stale"] else line


def playbook(lab: Lab, options: Options, label: str, variables: Record, tick: t.Callable[[], None]) -> PlaybookRun:
    """Run the playbook with consent."""
    return run_playbook(lab, options.folder.resolve(), label, {"podnet_confirm": True, **options.variables, **variables}, tick)


def describe_measurement(measured: Record) -> str:
    """One line about a measurement."""
    latency = measured["latency"]["connect_ms"]
    parts = (
        f"{measured['throughput_gbit']:.2f} Gbit/s",
        f"connecting takes {latency['p50']:.2f} ms (99 %: {latency['p99']:.2f} ms)",
        f"{measured['bulk']['bytes_per_payload_byte']:.3f} bytes on the wire per payload byte",
        f"{measured['encapsulated_packets']:,} encapsulated packets",
    )
    return ", ".join(parts)


def write_report(evidence: report_json.Evidence, folder: Path) -> Record:
    """Write both files and the summary."""
    report = report_json.build(evidence)
    problems = report_json.problems(report)
    if problems:
        raise LabError("the report is not what it should be: " + "; ".join(problems))
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(report_html.render(report), encoding="utf-8")
    print(summary_text(report, folder))
    return report
