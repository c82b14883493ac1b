# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the demo."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from podnet_lab.cli import topology_file
from podnet_lab.errors import LabError
from tooling.places import ROOT

from podnet_demo import report_html
from podnet_demo.orchestrate import Options, run_demo
from podnet_demo.saving import DEFAULT_MONTHLY_BILL

BROKEN_PROMISE = 1
NO_RESULT = 2


def parser() -> argparse.ArgumentParser:
    """The options."""
    top = argparse.ArgumentParser(
        prog="podnet_demo", description="Move a real cluster from Flannel to Calico BGP under load, and report what was measured."
    )
    top.add_argument("--topology", help="a file or a name, as for podnet_lab (default: default)")
    top.add_argument("--name", default="podnet-demo", help="name of the lab (default: %(default)s)")
    top.add_argument("--output", type=Path, default=ROOT / "build" / "demo", help="folder of the report (default: build/demo)")
    top.add_argument(
        "--monthly-bill", type=float, default=DEFAULT_MONTHLY_BILL, help="dollars a month for traffic between zones (default: %(default).0f)"
    )
    top.add_argument("--extra-vars", type=json.loads, default={}, metavar="JSON", help="more variables for the playbook")
    top.add_argument("--keep-lab", action="store_true", help="leave the lab up afterwards")
    top.add_argument("--reuse-lab", action="store_true", help="use the lab as it is, instead of a fresh one")
    top.add_argument("--skip-measure", action="store_true", help="measure neither before nor after")
    top.add_argument("--skip-migration", action="store_true", help="do not run the playbook")
    top.add_argument("--skip-second-run", action="store_true", help="do not run the playbook again")
    top.add_argument("--render", type=Path, metavar="REPORT.JSON", help="only write report.html beside an existing report.json")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when all promises were kept, 1 when one was broken, 2 when there is no result."""
    options = parser().parse_args(arguments)
    try:
        if options.render:
            options.render.with_suffix(".html").write_text(report_html.render(json.loads(options.render.read_text())), encoding="utf-8")
            return 0
        report = run_demo(
            Options(
                topology=topology_file(options.topology),
                name=options.name,
                folder=options.output,
                monthly_bill=options.monthly_bill,
                keep_lab=options.keep_lab,
                reuse_lab=options.reuse_lab,
                skip_measure=options.skip_measure,
                skip_migration=options.skip_migration,
                skip_second_run=options.skip_second_run,
                variables=options.extra_vars,
            )
        )
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return NO_RESULT
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return NO_RESULT
    return 0 if report["kept"] else BROKEN_PROMISE
