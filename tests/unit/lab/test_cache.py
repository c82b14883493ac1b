# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from podnet_lab import cache


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODNET_CACHE", str(tmp_path))


def test_a_result_is_built_once() -> None:
    calls = []

    def build(folder: Path) -> None:
        calls.append(folder)
        (folder / "program").write_text("x")

    first = cache.publish("parts", "a", "key", build)
    assert (first / "program").read_text() == "x"
    assert cache.publish("parts", "a", "key", build) == first
    assert len(calls) == 1


def test_another_key_is_another_result() -> None:
    assert cache.publish("parts", "a", "1", lambda folder: None) != cache.publish("parts", "a", "2", lambda folder: None)


def test_a_failed_build_leaves_nothing() -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.publish("parts", "a", "key", fail)
    assert list((cache.cache_folder() / "parts").iterdir()) == []


def test_what_a_killed_build_left_goes_with_the_next_one() -> None:
    left = cache.cache_folder() / "parts" / f".a-{cache.TEMPORARY}x1"
    other = cache.cache_folder() / "parts" / f".b-{cache.TEMPORARY}x1"
    for folder in (left, other):
        folder.mkdir(parents=True)
    cache.publish("parts", "a", "key", lambda folder: None)
    assert not left.exists()
    assert other.exists()


def test_keys_see_borders_between_values() -> None:
    assert cache.key_of("ab", "c") != cache.key_of("a", "bc")
    assert cache.key_of("a", b"c") == cache.key_of("a", "c")
