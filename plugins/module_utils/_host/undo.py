# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take parts of a CNI from a node so that they can be put back when a later one cannot be taken."""

from __future__ import annotations

import functools
import os
import typing as t
from collections.abc import Callable
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni import firewall, flannel_traces
from ansible_collections.podnet.cni.plugins.module_utils._host import commands, files, netfilter


class Left(Exception):
    """What was removed is there again, with the module's results."""

    def __init__(self, message: str, results: dict[str, t.Any]) -> None:
        super().__init__(message)
        self.results = results


class Undo:
    """What puts things back, in the order in which it was removed."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, Callable[[], None]]] = []

    def add(self, what: str, action: Callable[[], None]) -> None:
        """Remember how to put something back that is removed next."""
        self.steps.append((what, action))

    def run(self) -> list[str]:
        """Put everything back, the last first; what could not be."""
        problems = []
        for what, action in reversed(self.steps):
            try:
                action()
            except (commands.CommandError, OSError) as exc:
                problems.append(f"{what}: {exc}")
        return problems

    def told(self) -> str:
        """Put everything back, and say how that went."""
        problems = self.run()
        return f"this could not be put back: {'; '.join(problems)}" if problems else "what had been removed was put back"

    # -- what is removed

    def remove_firewall(self, selections: t.Iterable[tuple[netfilter.SaveProgram, firewall.Firewall]]) -> None:
        """Remove chains and rules."""
        for variant, found in selections:
            for part in firewall.by_table(found):
                netfilter.restore(variant, firewall.removal_text(part))
                self.add(f"rules of {variant.change}", functools.partial(restore_rules, variant, part))

    def remove_nft_tables(self, tables: t.Iterable[t.Mapping[str, str]]) -> None:
        """Remove tables of nftables."""
        for table in tables:
            text = netfilter.read_nft_table(table["family"], table["name"])
            netfilter.delete_nft_table(table["family"], table["name"])
            self.add(f"nft table {table['name']}", functools.partial(netfilter.load_nft, text))

    def remove_routes(self, routes: t.Iterable[dict[str, t.Any]]) -> None:
        """Remove routes."""
        for route in routes:
            words = [word for word in flannel_traces.route_text(route).split() if word != "onlink"]
            family = "-6" if ":" in route["destination"] else "-4"
            commands.run(["ip", family, "route", "delete", *words])
            self.add(f"route to {route['destination']}", functools.partial(add_route, family, words))


def restore_rules(variant: netfilter.SaveProgram, found: firewall.Firewall) -> None:
    """Put chains and rules of one variant back."""
    netfilter.restore(variant, firewall.restoration_text(found))


def add_route(family: str, words: t.Sequence[str]) -> None:
    """Put a route back."""
    commands.run(["ip", family, "route", "replace", *words])


def remove_paths(paths: t.Iterable[Path]) -> None:
    """Remove files and then the folders that held them, in this order."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            os.rmdir(path)
        else:
            files.remove(path)
