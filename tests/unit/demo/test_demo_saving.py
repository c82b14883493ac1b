# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from podnet_demo.saving import saving


def test_the_share_of_the_bytes_is_the_share_of_the_bill() -> None:
    result = saving("bulk", 1.25, 1.0, 12000)
    assert result.share == pytest.approx(0.2)
    assert result.monthly == pytest.approx(2400)
    assert result.yearly == pytest.approx(28800)


def test_equal_bytes_save_nothing() -> None:
    assert saving("bulk", 1.1, 1.1).monthly == 0


def test_more_bytes_are_told_as_a_loss() -> None:
    assert saving("bulk", 1.0, 1.1, 1000).monthly < 0


@pytest.mark.parametrize(
    ("before", "after", "bill", "name"), [(0.5, 1.1, 1, "bytes_before"), (1.1, 0.0, 1, "bytes_after"), (1.1, 1.1, -1, "monthly_bill")]
)
def test_impossible_numbers_are_refused_by_name(before: float, after: float, bill: float, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        saving("bulk", before, after, bill)
