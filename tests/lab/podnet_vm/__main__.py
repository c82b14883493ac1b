# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try the kernel playbooks on a virtual machine: C(python3 -m tooling.launch podnet_vm [case...]), or make test-vm."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import typing as t

from podnet_lab.cache import cache_folder
from podnet_lab.errors import LabError
from tooling.molecule import signals_end
from tooling.places import ROOT, tree_folder
from tooling.tree import synchronize

from podnet_vm import catalogue, cluster, image, kernels, machine, needs, runner

RESULTS = ROOT / "build" / "vm"
DOCUMENT = ROOT / "docs" / "kernel_upgrade.json"


def document(results: dict[str, t.Any]) -> None:
    """Put the results of some cases into the page's data, in place of those from before."""
    before = json.loads(DOCUMENT.read_text(encoding="utf-8"))["cases"] if DOCUMENT.exists() else []
    records = {record["id"]: record for record in [*before, *results["cases"]]}
    order = [case.id for case in catalogue.CASES]
    cases = sorted(records.values(), key=lambda record: order.index(record["id"]) if record["id"] in order else len(order))
    DOCUMENT.write_text(json.dumps({"about": results["about"], "cases": cases}, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    """Exit code 0 when every case was as expected."""
    parser = argparse.ArgumentParser(prog="podnet_vm", description="Try the kernel playbooks on a virtual machine.")
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(case.id for case in catalogue.CASES)} (default: all)")
    parser.add_argument("--keep-disk", action="store_true", help="begin with the disk that an earlier run has left")
    parser.add_argument("--document", action="store_true", help="put the results into docs/kernel_upgrade.json")
    options = parser.parse_args()
    unknown = set(options.cases) - {case.id for case in catalogue.CASES}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    cases = [case for case in catalogue.CASES if not options.cases or case.id in options.cases]
    folder = cache_folder() / "vm" / "machine"
    try:
        needs.ensure()
        template = image.ensure()
        shutil.rmtree(folder / "cluster" if options.keep_disk else folder, ignore_errors=True)
        with contextlib.ExitStack() as stack:
            stack.enter_context(signals_end())
            running = stack.enter_context(machine.running(folder, template))
            nodes = stack.enter_context(cluster.running(folder / "cluster", running)) if any(case.cluster for case in cases) else None
            found = kernels.ensure()
            control = runner.Runner(running, nodes, found, RESULTS, synchronize(tree_folder("vm")))
            results: dict[str, t.Any] = {"about": {}, "cases": []}

            def keep(records: list[dict[str, t.Any]]) -> None:
                results["about"] = results["about"] or runner.about(found, running)
                results["cases"] = records
                (RESULTS / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
                if options.document:
                    document(results)

            records = control.run(cases, keep)
    except LabError as exc:
        sys.exit(str(exc))
    bad = [record["id"] for record in records if record["problems"]]
    print(f"vm: {len(records) - len(bad)} passed, {len(bad)} failed" + (f": {', '.join(bad)}" if bad else ""))
    return 1 if bad or not records else 0


if __name__ == "__main__":
    sys.exit(main())
