# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewall rules in every variant of iptables and in nft, read without creating anything.

C(iptables-legacy-save) loads a module for each table that it is asked for, so it runs only when the kernel already has legacy tables
(/proc/net/ip_tables_names).
"""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._cni import firewall
from ansible_collections.podnet.cni.plugins.module_utils._host import commands


class Ruleset(t.NamedTuple):
    """What one save program printed: chains with their rules, by table."""

    backend: str
    family: str
    tables: dict[str, dict[str, list[str]]]


class SaveProgram(t.NamedTuple):
    """A variant of iptables: its save program and the program that changes rules."""

    backend: str
    family: str
    save: str
    change: str

    @property
    def restore(self) -> str:
        """The program that takes what the save program prints."""
        return f"{self.change}-restore"


_VARIANTS = (
    SaveProgram("nft", "ip", "iptables-nft-save", "iptables-nft"),
    SaveProgram("nft", "ip6", "ip6tables-nft-save", "ip6tables-nft"),
    SaveProgram("legacy", "ip", "iptables-legacy-save", "iptables-legacy"),
    SaveProgram("legacy", "ip6", "ip6tables-legacy-save", "ip6tables-legacy"),
)
_TABLE_NAMES = {"ip": Path("/proc/net/ip_tables_names"), "ip6": Path("/proc/net/ip6_tables_names")}


def parse_save(text: str) -> dict[str, dict[str, list[str]]]:
    """Tables, chains and rules (without C(-A CHAIN)) of what iptables-save prints."""
    tables: dict[str, dict[str, list[str]]] = {}
    chains: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            chains = tables.setdefault(line[1:].strip(), {})
        elif line.startswith(":"):
            chains.setdefault(line[1:].split()[0], [])
        elif line.startswith("-A "):
            dummy, chain, *rule = line.split(" ", 2)
            chains.setdefault(chain, []).append(rule[0] if rule else "")
    return tables


def variants() -> list[SaveProgram]:
    """The variants to read on this node: those installed, and legacy ones only where the kernel has such tables.

    A node without the suffixed programs has one variant, which names itself in its version.
    """
    found = []
    for variant in _VARIANTS:
        if variant.backend == "legacy":
            try:
                if not _TABLE_NAMES[variant.family].read_text().strip():
                    continue
            except OSError:
                continue
        if commands.find(variant.save):
            found.append(variant)
    if not any(variant.backend == "nft" for variant in found) and not commands.find("iptables-legacy-save"):
        for family, save, change in (("ip", "iptables-save", "iptables"), ("ip6", "ip6tables-save", "ip6tables")):
            if commands.find(save):
                version = commands.run([change, "--version"], check=False).stdout
                found.append(SaveProgram("nft" if "nf_tables" in version else "legacy", family, save, change))
    return found


def read_rulesets() -> list[tuple[SaveProgram, Ruleset]]:
    """Every variant's rules.

    :raises CommandError: when one cannot be read, since nobody could say then that it holds nothing.
    """
    return [(variant, Ruleset(variant.backend, variant.family, parse_save(commands.run([variant.save]).stdout))) for variant in variants()]


def read_nft_tables() -> list[dict[str, str]]:
    """Family and name of every nft table; empty without nft."""
    if not commands.find("nft"):
        return []
    text = commands.run(["nft", "--json", "list", "tables"]).stdout
    return parse_nft_tables(text)


def parse_nft_tables(text: str) -> list[dict[str, str]]:
    """Family and name of the tables that C(nft --json list tables) prints."""
    entries = json.loads(text).get("nftables") or [] if text.strip() else []
    return [{"family": entry["table"]["family"], "name": entry["table"]["name"]} for entry in entries if "table" in entry]


class Records(t.NamedTuple):
    """Chains, and rules in chains of others, of all variants, as modules tell them."""

    chains: list[dict[str, str]]
    rules: list[dict[str, str]]

    def lines(self) -> list[str]:
        """The same for people, one line each."""
        chains = ["chain {backend} {family} {table} {chain}".format(**chain) for chain in self.chains]
        return chains + ["rule {backend} {family} {table} {chain} {rule}".format(**rule) for rule in self.rules]


def records(selections: t.Iterable[tuple[SaveProgram, firewall.Firewall]]) -> Records:
    """What was selected, with the variant that each part is in."""
    told = Records([], [])
    for variant, found in selections:
        place = {"backend": variant.backend, "family": variant.family}
        told.chains.extend({**place, "table": table, "chain": chain} for table, names in found.chains.items() for chain in names)
        told.rules.extend({**place, "table": rule.table, "chain": rule.chain, "rule": rule.text} for rule in found.rules)
    return told


def restore(variant: SaveProgram, text: str) -> None:
    """Change rules as a save program would print them; what the text does not name stays. Each table changes at once."""
    if text:
        commands.run([variant.restore, "--noflush", "--wait", "10"], stdin=text)


def read_nft_table(family: str, name: str) -> str:
    """A table as C(nft --file) takes it."""
    return commands.run(["nft", "list", "table", family, name]).stdout


def delete_nft_table(family: str, name: str) -> None:
    """Delete a table with all that is in it."""
    commands.run(["nft", "delete", "table", family, name])


def load_nft(text: str) -> None:
    """Load what C(nft list table) printed."""
    commands.run(["nft", "--file", "-"], stdin=text)
