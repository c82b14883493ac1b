# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try the kernel playbooks on a virtual machine: C(python3 -m tooling.launch podnet_vm [case...]), or make test-vm."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import typing as t

from podnet_lab.cache import cache_folder
from podnet_lab.errors import LabError
from tooling.molecule import signals_end
from tooling.places import ROOT, tree_folder
from tooling.tree import synchronize

from podnet_vm import catalogue, image, kernels, machine, needs, runner

RESULTS = ROOT / "build" / "vm"
DOCUMENT = ROOT / "docs" / "kernel_upgrade.json"


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
        if not options.keep_disk:
            shutil.rmtree(folder, ignore_errors=True)
        with signals_end(), machine.running(folder, template) as running:
            found = kernels.ensure()
            control = runner.Runner(running, found, RESULTS, synchronize(tree_folder("vm")))
            results: dict[str, t.Any] = {"about": {}, "cases": []}

            def keep(records: list[dict[str, t.Any]]) -> None:
                results["about"] = results["about"] or runner.about(found, running)
                results["cases"] = records
                for path in [RESULTS / "results.json", *([DOCUMENT] if options.document else [])]:
                    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")

            records = control.run(cases, keep)
    except LabError as exc:
        sys.exit(str(exc))
    bad = [record["id"] for record in records if record["problems"]]
    print(f"vm: {len(records) - len(bad)} passed, {len(bad)} failed" + (f": {', '.join(bad)}" if bad else ""))
    return 1 if bad or not records else 0


if __name__ == "__main__":
    sys.exit(main())
