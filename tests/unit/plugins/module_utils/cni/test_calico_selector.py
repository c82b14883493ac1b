# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._cni.calico_selector import SelectorError, parse_selector

LABELS = {"zone": "a", "kubernetes.io/os": "linux", "empty": ""}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("", True),
        ("all()", True),
        ("global()", False),
        ("zone == 'a'", True),
        ('zone=="b"', False),
        ("zone != 'b'", True),
        ("missing != 'b'", True),
        ("has(kubernetes.io/os)", True),
        ("!has(zone)", False),
        ("! ! has(zone)", True),
        ("zone in {'a', 'b'}", True),
        ("zone in {}", False),
        ("zone not in {'a'}", False),
        ("missing not in {'a'}", True),
        ("kubernetes.io/os contains 'inu'", True),
        ("kubernetes.io/os starts with 'lin'", True),
        ("kubernetes.io/os ends with 'lin'", False),
        ("missing contains ''", False),
        ("empty == ''", True),
        ("zone == 'b' || has(zone) && zone == 'a'", True),
        ("(zone == 'b' || has(zone)) && zone == 'b'", False),
        ("\tzone  ==\t'a' ", True),
    ],
)
def test_selector(selector, matches):
    assert parse_selector(selector)(LABELS) is matches


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("zone = 'a'", "operator"),
        ("zone == a", "string in quotes"),
        ("zone == 'a", "has no end"),
        ("(zone == 'a'", ") is expected"),
        ("zone == 'a')", "the end, && or ||"),
        ("zone in {'a'", "} is expected"),
        ("zone in 'a'", "{ is expected"),
        ("zone", "an operator after the label zone"),
        ("zone == 'a' &&", "there is the end"),
        ("zone == 'a' & zone == 'b'", "no meaning"),
        ("has(zone", "operator"),
        ("'a' == zone", "a label"),
    ],
)
def test_what_is_wrong_is_told(selector, words):
    with pytest.raises(SelectorError) as caught:
        parse_selector(selector)
    assert words in str(caught.value)
