# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test kernel_version as templates call it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_release
from ansible_collections.podnet.cni.plugins.test import kernel

TESTS = kernel.TestModule().tests()


def test_every_test_is_documented():
    folder = Path(kernel.__file__).parent
    assert sorted(path.stem for path in folder.glob("*.yml")) == sorted(TESTS) == ["kernel_version"]
    about = yaml.safe_load((folder / "kernel_version.yml").read_text(encoding="utf-8"))["DOCUMENTATION"]
    assert sorted(about["options"]["operator"]["choices"]) == sorted(kernel_release.OPERATORS)


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (("5.9.16", "5.10"), False),
        (("5.10.0-28-amd64", "5.10"), True),
        (("5.15.0-rc3", "5.15.0"), False),
        (("6.6.87.2-microsoft-standard-WSL2", "6.6.87", ">"), True),
        (("4.18.0-553.el8_10.x86_64", "4.18.0-553.8.1", "<"), True),
        (("6.8.0-1015-aws", "6.8.0-1015", "eq"), True),
    ],
)
def test_releases_are_compared_as_kernels_do(arguments, holds):
    assert TESTS["kernel_version"](*arguments) is holds


@pytest.mark.parametrize("arguments", [("", "5.10"), ("5.10", "five"), ("5.10", "5.10", "=>"), (None, "5.10")])
def test_what_cannot_be_compared_is_refused_by_name(arguments):
    with pytest.raises(AnsibleFilterError, match="^podnet.cni.kernel_version: "):
        TESTS["kernel_version"](*arguments)
