# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of kernels: what is read of real ones, and that their order is one."""

from __future__ import annotations

import itertools
import re

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_release
from ansible_collections.podnet.cni.plugins.module_utils._plan.kernel_release import Constraint, Release, compare, upstream_of
from hypothesis import example, given
from hypothesis import strategies as st

NUMBERS = st.integers(0, 999)
BUILDS = st.lists(NUMBERS, min_size=1, max_size=4)
SUFFIXES = st.sampled_from(["", ".el8_10.x86_64", "-generic", "-amd64", "-aws", "-default"])


@st.composite
def releases(draw):
    """A release with what it is made of: numbers, candidate, build."""
    numbers = (draw(NUMBERS), draw(NUMBERS), draw(NUMBERS))
    candidate = draw(st.none() | st.integers(1, 20))
    text = ".".join(map(str, numbers)) + (f"-rc{candidate}" if candidate else "")
    build = draw(BUILDS) if draw(st.booleans()) else []
    text += f"-{'.'.join(map(str, build))}{draw(SUFFIXES)}" if build else ""
    return text, numbers, candidate, tuple(build)


@given(releases())
def test_what_a_release_is_made_of_is_read_back(made):
    text, numbers, candidate, build = made
    release = Release(text)
    assert (release.numbers[:3], release.candidate, release.build) == (numbers, candidate, build)


@given(releases(), releases())
def test_the_order_is_that_of_the_parts(left, right):
    def key(made):
        build = list(made[3])
        while build and not build[-1]:
            build.pop()
        return made[1], made[2] or 10**9, build

    for sign, operation in (("<", key(left) < key(right)), ("==", key(left) == key(right)), (">=", key(left) >= key(right))):
        assert compare(left[0], sign, right[0]) is operation


@given(st.lists(releases(), min_size=3, max_size=3))
def test_the_order_is_total_and_transitive(made):
    first, second, third = sorted(Release(text) for text, *dummy in made)
    assert first <= second <= third and first <= third
    for left, right in itertools.permutations([first, second, third], 2):
        assert (left < right) + (left == right) + (left > right) == 1
        assert (left != right) or hash(left) == hash(right)


@example("5.10.")
@given(st.text(max_size=12) | st.text("0123456789.-+~rcel", max_size=12))
def test_any_other_text_is_refused_with_a_remedy_or_read(text):
    if re.match(r"\s*\d+\.\d", text):
        release = Release(text)
        assert release.numbers >= (0, 0, 0, 0) and release == Release(release.text)
    else:
        with pytest.raises(ValueError, match="give what 'uname -r' prints"):
            Release(text)


@pytest.mark.parametrize(
    ("text", "numbers", "candidate", "build", "family", "upstream"),
    [
        ("5.10.0-28-amd64", (5, 10, 0, 0), None, (28,), "debian", None),
        ("4.18.0-553.el8_10.x86_64", (4, 18, 0, 0), None, (553,), "el", None),
        ("4.18.0-553.8.1.el8_10.x86_64", (4, 18, 0, 0), None, (553, 8, 1), "el", None),
        ("5.14.0-427.31.1.el9_4.aarch64", (5, 14, 0, 0), None, (427, 31, 1), "el", None),
        ("6.8.0-1015-aws", (6, 8, 0, 0), None, (1015,), "ubuntu", None),
        ("5.15.0-113-generic", (5, 15, 0, 0), None, (113,), "ubuntu", None),
        ("5.15.0-rc3", (5, 15, 0, 0), 3, (), "", (5, 15, 0)),
        ("6.6.87.2-microsoft-standard-WSL2", (6, 6, 87, 2), None, (), "wsl", (6, 6, 87)),
        ("6.1.0-0.deb11.13-amd64", (6, 1, 0, 0), None, (0, 13), "debian", None),
        ("6.12.96+deb13-cloud-amd64", (6, 12, 96, 0), None, (), "debian", (6, 12, 96)),
        ("6.12~rc6-amd64", (6, 12, 0, 0), 6, (), "debian", None),
        ("6.8.0-0.rc6.49.fc40.x86_64", (6, 8, 0, 0), 6, (49,), "fedora", (6, 8, 0)),
        ("6.8.0-060800rc7-generic", (6, 8, 0, 0), 7, (), "ubuntu", None),
        ("6.9.1-1.el8.elrepo.x86_64", (6, 9, 1, 0), None, (1,), "elrepo", (6, 9, 1)),
        ("5.15.0-209.161.7.2.el8uek.x86_64", (5, 15, 0, 0), None, (209, 161, 7, 2), "uek", None),
        ("5.14.21-150500.55.52-default", (5, 14, 21, 0), None, (150500, 55, 52), "suse", None),
        ("6.1.102-108.177.amzn2023.x86_64", (6, 1, 102, 0), None, (108, 177), "amzn", (6, 1, 102)),
        ("5.15.133+", (5, 15, 133, 0), None, (), "cos", (5, 15, 133)),
        ("6.6.43-talos", (6, 6, 43, 0), None, (), "talos", (6, 6, 43)),
        ("6.6.31+rpt-rpi-v8", (6, 6, 31, 0), None, (), "raspios", (6, 6, 31)),
        ("6.8.12-4-pve", (6, 8, 12, 0), None, (4,), "proxmox", (6, 8, 12)),
        ("5.10", (5, 10, 0, 0), None, (), "", (5, 10, 0)),
        ("5.10.x86_64", (5, 10, 0, 0), None, (), "", (5, 10, 0)),
        ("5.10.0.1.2", (5, 10, 0, 1), None, (2,), "", (5, 10, 0)),
    ],
)
def test_releases_of_vendors(text, numbers, candidate, build, family, upstream):
    release = Release(text)
    assert (release.numbers, release.candidate, release.build, release.family, release.upstream) == (numbers, candidate, build, family, upstream)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("5.9", "5.10"),
        ("5.10.0-28-amd64", "5.10.209"),
        ("5.15.0-rc3", "5.15.0"),
        ("5.15-rc9", "5.15-rc10"),
        ("4.18.0-553.el8", "4.18.0-553.8.1.el8_10"),
        ("4.18.0-372.el8", "4.18.0-553.el8"),
        ("6.8.0-9-generic", "6.8.0-100-generic"),
        ("5.10", "5.10.0.1"),
        ("6.6.87-x", "6.6.87.2-microsoft-standard-WSL2"),
        ("9.99.99", "10.0"),
    ],
)
def test_what_comes_before_what(lower, higher):
    assert compare(lower, "<", higher) and compare(higher, "gt", lower) and compare(lower, "!=", higher)
    assert not compare(lower, ">=", higher)


def test_a_zero_more_makes_no_difference():
    assert compare("5.10", "==", "5.10.0") and compare("4.18.0-553.el8", "==", "4.18.0-553.0.el8")
    assert Release("5.10") != "5.10"


def test_a_wrong_operator_is_refused():
    with pytest.raises(ValueError, match="operator: '=>' is no comparison; use one of ==,"):
        compare("5.10", "=>", "5.9")


@pytest.mark.parametrize(
    ("text", "known", "may", "must"),
    [
        (">=7.2", (7, 2), True, True),
        (">=7.2", (7, 1), False, False),
        (">=6.18.5,<6.18.6", (6, 18), True, False),
        (">=6.18.5,<6.18.6", (6, 17), False, False),
        (">=5.10,<5.12", (5, 11), True, True),
        ("==6.18.5", (6, 18), True, False),
        ("!=6.18.5", (6, 18), True, False),
        ("<6.16", (6, 15), True, True),
    ],
)
def test_a_constraint_on_a_release_that_hides_its_patch_level(text, known, may, must):
    constraint = Constraint(text)
    assert (constraint.may_hold(known), constraint.must_hold(known)) == (may, must)


@given(st.lists(NUMBERS, min_size=3, max_size=3), st.lists(NUMBERS, min_size=3, max_size=3))
def test_a_constraint_goes_by_numbers(numbers, bound):
    text = ".".join(map(str, bound))
    assert Constraint(f">={text}").holds(numbers) is (numbers >= bound)
    assert Constraint(f">={text},<={text}").holds(numbers) is (numbers == bound)
    assert Constraint(f"<{text}").may_hold(numbers[:2]) or not Constraint(f"<{text}").holds(numbers)


@pytest.mark.parametrize("text", ["5.10", ">=5.10;<6", ">=v5", "", ">="])
def test_what_is_no_constraint_is_refused(text):
    with pytest.raises(ValueError, match="is no constraint; give something like"):
        Constraint(text)


@pytest.mark.parametrize(
    ("text", "banner", "signature", "upstream"),
    [
        ("5.10.0-28-amd64", "#1 SMP Debian 5.10.209-2 (2024-01-31)", "", (5, 10, 209)),
        ("5.15.0-107-generic", "#117-Ubuntu SMP", "Ubuntu 5.15.0-107.117-generic 5.15.149\n", (5, 15, 149)),
        ("5.15.0-107-generic", "#117-Ubuntu SMP", "", None),
        ("6.18.44-fc", "#1 SMP", "", (6, 18, 44)),
    ],
)
def test_the_patch_level_is_found_where_the_kernel_tells_it(text, banner, signature, upstream):
    assert upstream_of(Release(text), banner, signature) == upstream


def test_every_operator_of_ansible_is_known():
    assert {"==", "=", "eq", "!=", "<>", "ne", "<", "lt", "<=", "le", ">", "gt", ">=", "ge"} == set(kernel_release.OPERATORS)
