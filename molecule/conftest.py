# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of all scenarios. Tests with C(host) run on every node, over SSH, with the lab's inventory."""

from __future__ import annotations

import json
import os
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podnet_lab.cluster_api import ClusterApi
from podnet_lab.lab import Lab
from podnet_molecule import playbook, results

WORDS = {"passed": "passed", "failed": "failed", "errors": "error", "skipped": "skipped"}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the counts down; a scenario may verify more than once."""
    folder = os.environ.get("PODNET_MOLECULE_REPORTS")
    if folder:
        stats = session.config.pluginmanager.get_plugin("terminalreporter").stats
        counts = {word: len(stats.get(key, [])) for word, key in WORDS.items()}
        number = len(list(Path(folder).glob("*.json"))) + 1
        (Path(folder) / f"{number}.json").write_text(json.dumps(counts), encoding="utf-8")


@pytest.fixture(scope="session")
def lab() -> Lab:
    return Lab.open(results.lab_name())


@pytest.fixture
def api(lab: Lab) -> Iterator[ClusterApi]:
    with lab.api() as connection:
        yield connection


@pytest.fixture
def migrate(lab: Lab) -> Callable[..., playbook.Outcome]:
    """Run the playbook with the lab's inventory: extra variables, then options of ansible-playbook."""

    def run(*options: str, **variables: t.Any) -> playbook.Outcome:
        return playbook.run(lab.inventory, variables, *options)

    return run
