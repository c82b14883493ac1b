# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a CNI has in a firewall, and the text that removes or restores it. Pure: readings in, selections and text out."""

from __future__ import annotations

import typing as t

from ansible_collections.podnet.cni.plugins.module_utils._cni import flannel_node

Tables = t.Mapping[str, t.Mapping[str, t.Sequence[str]]]


class Rule(t.NamedTuple):
    """A rule with its position in its chain, counted from 1."""

    table: str
    chain: str
    position: int
    text: str


class Firewall(t.NamedTuple):
    """What is a CNI's in one variant of iptables: chains with their rules, by table, and rules in chains of others."""

    chains: dict[str, dict[str, list[str]]]
    rules: list[Rule]


def select(tables: Tables, owner: str, is_ours: t.Callable[[str, str], bool], cni_networks: t.Collection[str]) -> Firewall:
    """What is a CNI's in one variant: its chains, rules in those of others, and host ports of its pods.

    C(is_ours) judges a rule by its chain and text, C(cni_networks) are the names by which host ports tell whose they are.
    """
    found = Firewall({}, [])
    for table, chains in tables.items():
        host_ports: set[str] = set()
        for chain, lines in chains.items():
            if flannel_node.chain_owner(chain) == owner:
                found.chains.setdefault(table, {})[chain] = list(lines)
                continue
            for position, line in enumerate(lines, 1):
                target = flannel_node.host_port_chain(line, cni_networks)
                if target:
                    host_ports.add(target)
                if target or is_ours(chain, line):
                    found.rules.append(Rule(table, chain, position, line))
        for chain in sorted(host_ports & set(chains)):
            found.chains.setdefault(table, {})[chain] = list(chains[chain])
    return found


def by_table(firewall: Firewall) -> list[Firewall]:
    """A selection, table by table: each changes at once, all of them do not."""
    return [
        Firewall({table: firewall.chains.get(table, {})}, [rule for rule in firewall.rules if rule.table == table]) for table in _tables(firewall)
    ]


def _tables(firewall: Firewall) -> list[str]:
    return sorted({*firewall.chains, *(rule.table for rule in firewall.rules)})


def removal_text(firewall: Firewall) -> str:
    """Input of iptables-restore with C(--noflush) that removes a selection."""
    lines: list[str] = []
    for table in _tables(firewall):
        chains = firewall.chains.get(table, {})
        lines.append(f"*{table}")
        lines += [f"-D {rule.chain} {rule.text}" for rule in firewall.rules if rule.table == table]
        lines += [f"-F {chain}" for chain in chains]
        lines += [f"-X {chain}" for chain in chains]
        lines.append("COMMIT")
    return "".join(f"{line}\n" for line in lines)


def restoration_text(firewall: Firewall) -> str:
    """Input of iptables-restore with C(--noflush) that puts a selection back, each rule where it was."""
    lines: list[str] = []
    for table in _tables(firewall):
        chains = firewall.chains.get(table, {})
        lines.append(f"*{table}")
        lines += [f":{chain} - [0:0]" for chain in chains]
        lines += [f"-A {chain} {text}" for chain, texts in chains.items() for text in texts]
        lines += [f"-I {rule.chain} {rule.position} {rule.text}" for rule in firewall.rules if rule.table == table]
        lines.append("COMMIT")
    return "".join(f"{line}\n" for line in lines)
