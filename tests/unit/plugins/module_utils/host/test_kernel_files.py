# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of kernels in files: images, boot folders, configurations, modules."""

from __future__ import annotations

import gzip
import lzma

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import kernel_facts, kernel_files

CONFIG = """\
#
# Linux/x86 6.1.176 Kernel Configuration
#
CONFIG_X86_64=y
CONFIG_VXLAN=m
CONFIG_LOCALVERSION="-x"
# CONFIG_NETKIT is not set
"""
NEEDS = {"probes": ["link vxlan"], "options": ["CONFIG_VXLAN", "CONFIG_NETKIT", "CONFIG_GONE"], "modules": ["vxlan", "xt-set"], "tools": ["nft"]}


def image(root, *releases, modules=(), builtin=(), config=CONFIG):
    """A file system with kernels."""
    for release in releases:
        folder = root / "lib" / "modules" / release
        folder.mkdir(parents=True)
        (folder / "modules.dep").write_text("".join(f"kernel/{name}.ko.xz: kernel/other.ko\n" for name in modules))
        (folder / "modules.builtin").write_text("".join(f"kernel/{name}.ko\n" for name in builtin))
        (root / "boot").mkdir(exist_ok=True)
        (root / "boot" / f"vmlinuz-{release}").write_bytes(b"")
        if config:
            (root / "boot" / f"config-{release}").write_text(config)
    return root


def test_the_newest_kernel_of_an_image_is_judged_and_the_others_are_told(tmp_path):
    root = image(tmp_path, "6.1.0-9-amd64", "6.1.0-28-amd64", "5.10.0-30-amd64", modules=["drivers/net/vxlan"], builtin=["net/xt_set"])
    found = kernel_facts.stored_facts(NEEDS, str(root), "")
    assert (found["release"], found["others"], found["machine"]) == ("6.1.0-28-amd64", ["6.1.0-9-amd64", "5.10.0-30-amd64"], "x86_64")
    assert found["config"] == {"source": f"{root}/boot/config-6.1.0-28-amd64", "options": {"CONFIG_VXLAN": "m", "CONFIG_NETKIT": "n"}}
    assert found["modules"] == {"source": f"{root}/lib/modules/6.1.0-28-amd64", "found": ["vxlan", "xt_set"]}
    assert (found["running"], found["probes"], found["tools"]) == (False, {}, {})


def test_another_kernel_of_an_image_can_be_named(tmp_path):
    found = kernel_facts.stored_facts(NEEDS, str(image(tmp_path, "6.1.0-9-amd64", "6.1.0-28-amd64")), "6.1.0-9-amd64")
    assert found["release"] == "6.1.0-9-amd64"


def test_a_boot_folder_is_enough(tmp_path):
    (tmp_path / "config-6.12.1-talos").write_text(CONFIG)
    (tmp_path / "vmlinuz-6.12.1-talos").write_bytes(b"")
    found = kernel_facts.stored_facts(NEEDS, str(tmp_path), "")
    assert (found["release"], found["config"]["source"]) == ("6.12.1-talos", f"{tmp_path}/config-6.12.1-talos")
    assert found["modules"] == {"source": "", "found": []}


def test_a_kernel_of_which_only_the_name_is_known(tmp_path):
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot" / "vmlinuz-6.1.0-28-amd64").write_bytes(b"")
    found = kernel_facts.stored_facts(NEEDS, str(tmp_path), "")
    assert (found["release"], found["config"]["source"], found["machine"]) == ("6.1.0-28-amd64", "", "")


@pytest.mark.parametrize(
    ("make", "wanted", "words"),
    [
        (lambda root: root / "none", "", "is no folder; give the root of a mounted file system"),
        (lambda root: root, "", "root: no kernel is below"),
        (lambda root: image(root, "6.1.0-9-amd64"), "6.2.0", "kernel: '6.2.0' is not below"),
    ],
)
def test_an_image_without_the_kernel_is_refused(tmp_path, make, wanted, words):
    with pytest.raises(kernel_files.NotFound) as error:
        kernel_facts.stored_facts(NEEDS, str(make(tmp_path)), wanted)
    assert words in str(error.value)


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress, lzma.compress])
def test_a_configuration_is_read_packed_or_not(tmp_path, pack):
    path = tmp_path / "config"
    path.write_bytes(pack(CONFIG.encode()))
    found = kernel_facts.config_facts(NEEDS, str(path), "")
    assert (found["release"], found["config"]["options"]) == ("6.1.176", {"CONFIG_VXLAN": "m", "CONFIG_NETKIT": "n"})


def test_a_configuration_goes_by_its_name_or_by_what_is_told(tmp_path):
    path = tmp_path / "config-6.1.0-28-amd64"
    path.write_text(CONFIG)
    assert kernel_facts.config_facts(NEEDS, str(path), "")["release"] == "6.1.0-28-amd64"
    assert kernel_facts.config_facts(NEEDS, str(path), "6.1.5")["release"] == "6.1.5"


@pytest.mark.parametrize("content", [b"", b"hello", b"\x1f\x8bnot gzip", b"\xfd7zXZ\0not xz"])
def test_what_is_no_configuration_is_refused(tmp_path, content):
    path = tmp_path / "config"
    path.write_bytes(content)
    with pytest.raises(kernel_files.NotFound, match="is no kernel configuration that can be read"):
        kernel_facts.config_facts(NEEDS, str(path), "")


def test_a_configuration_of_no_release_wants_one(tmp_path):
    path = tmp_path / "config"
    path.write_text("CONFIG_VXLAN=y\n")
    with pytest.raises(kernel_files.NotFound, match="does not tell of which release it is; give the release"):
        kernel_facts.config_facts(NEEDS, str(path), "")


def test_options_are_values_and_what_is_not_set_is_n():
    assert kernel_files.parse_config(CONFIG) == {"CONFIG_X86_64": "y", "CONFIG_VXLAN": "m", "CONFIG_LOCALVERSION": "-x", "CONFIG_NETKIT": "n"}


def test_names_of_modules_in_every_packing():
    text = "kernel/a-b.ko: x\nkernel/c.ko.gz:\nkernel/d.ko.xz:\nkernel/e.ko.zst: y\nnone\n"
    assert kernel_files.module_names(text) == {"a_b", "c", "d", "e"}


def test_modules_that_no_index_lists_yet_are_found_by_their_files(tmp_path):
    root = image(tmp_path, "6.1.0", builtin=["net/xt_set"])
    folder = root / "lib" / "modules" / "6.1.0"
    (folder / "modules.dep").unlink()
    # Not even a folder of modules: nothing can be said of those that are not built in.
    assert kernel_files.find_modules(root, "6.1.0", running=False) == ("", set())
    (folder / "kernel" / "net").mkdir(parents=True)
    (folder / "kernel" / "net" / "vxlan.ko.zst").write_bytes(b"")
    assert kernel_files.find_modules(root, "6.1.0", running=False) == (str(folder), {"vxlan", "xt_set"})


def test_the_configuration_that_the_kernel_carries_comes_first(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "config.gz").write_bytes(gzip.compress(CONFIG.encode()))
    image(tmp_path, "6.1.0")
    assert kernel_files.find_config(tmp_path, "6.1.0", running=True)[0] == f"{tmp_path}/proc/config.gz"
    # An image's own /proc, if it has one, is not that of its kernel.
    assert kernel_files.find_config(tmp_path, "6.1.0", running=False)[0] == f"{tmp_path}/boot/config-6.1.0"
