# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page about the kernel preflight, its examples, and how the real configurations of its tests are made."""

from __future__ import annotations

import re

import pytest
import yaml
from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_data, kernel_release
from ansible_collections.podnet.cni.plugins.plugin_utils import _kernel_profiles
from tooling import kernel_configs
from tooling.places import ROOT

PAGE = (ROOT / "docs" / "kernel_preflight.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "docs" / "examples" / "kernel"
PROFILES = kernel_data.read_profiles(_kernel_profiles.read_data())
OPTIONS = {
    name
    for entry in yaml.safe_load((ROOT / "roles" / "kernel_preflight" / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))[
        "argument_specs"
    ].values()
    for name in entry["options"]
} - {"kernel_preflight_judged"} | {"kernel_preflight_hosts"}


def rows():
    """The table of profiles: name to cells."""
    lines = PAGE.partition("## Profiles\n")[2].partition("\n## ")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return {name.strip("`"): (versions, features) for name, versions, features in cells}


def test_the_table_of_profiles_is_what_the_data_has():
    wanted = {
        name: (
            f"{profile.versions[0]} to {profile.versions[-1]}" if profile.versions else "-",
            ", ".join(f"`{feature}`" for feature in sorted(profile.features)) or "-",
        )
        for name, profile in PROFILES.items()
    }
    assert rows() == wanted


def test_the_page_names_every_variable_probe_and_family():
    assert set(re.findall(r"\bkernel_preflight_\w+", PAGE.partition("## Variables")[2].partition("\n## ")[0])) == OPTIONS
    assert [name for name in kernel_data.PROBES if f"`{name}" not in PAGE] == []
    assert [name for name, dummy in kernel_release._FAMILIES if f"`{name}`" not in PAGE] == []


def test_the_example_of_a_profile_can_be_used(tmp_path):
    block = next(part.split("```")[0] for part in PAGE.split("```yaml\n")[1:] if part.startswith("profiles:"))
    path = tmp_path / "mine.yml"
    path.write_text(block, encoding="utf-8")
    found = kernel_data.read_profiles(_kernel_profiles.read_data([path]))
    assert kernel_data.needs(kernel_data.read_wishes("storage", found))["options"] == ["CONFIG_NVME_TCP"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=lambda path: path.name)
def test_every_example_asks_for_what_there_is(path):
    text = path.read_text(encoding="utf-8")
    assert path.name in PAGE
    assert set(re.findall(r"\bkernel_preflight_\w+", text)) <= OPTIONS
    (asked,) = re.findall(r"kernel_preflight_profiles=([^\s\"]+)", text)
    assert kernel_data.read_wishes(asked, PROFILES)
    if path.suffix == ".yml":
        assert yaml.safe_load(text)
    else:
        assert text.count("{") == text.count("}") and 'provisioner "ansible"' in text


def test_every_console_line_of_the_pages_asks_for_what_there_is():
    texts = PAGE + (ROOT / "README.md").read_text(encoding="utf-8")
    asked = re.findall(r"kernel_preflight_profiles=(\S+)", texts)
    assert len(asked) == 3
    assert all(kernel_data.read_wishes(text, PROFILES) for text in asked)


def test_an_extract_keeps_the_head_and_what_is_asked_for_in_its_order():
    text = "#\n# Linux/x86 6.1.5 Kernel Configuration\n#\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_AB=m\nCONFIG_C=m\n"
    wanted = "# Linux/x86 6.1.5 Kernel Configuration\nCONFIG_A=y\n# CONFIG_B is not set\n"
    assert kernel_configs.extract(text, {"CONFIG_A", "CONFIG_B", "CONFIG_X"}) == wanted
    with pytest.raises(SystemExit, match="has no head that tells its version"):
        kernel_configs.extract("CONFIG_A=y\n", {"CONFIG_A"})


def test_every_option_of_the_profiles_is_looked_for_in_the_configurations():
    asked = kernel_data.needs(kernel_data.read_wishes([], PROFILES))["options"]
    assert set(asked) <= kernel_configs.wanted_options()
    texts = [path.read_text(encoding="utf-8") for path in kernel_configs.FOLDER.glob("*.config")]
    # An option that no kernel of the last years knows is misspelled, or came and went before them.
    assert [name for name in asked if not any(re.search(rf"\b{name}\b", text) for text in texts)] == []
