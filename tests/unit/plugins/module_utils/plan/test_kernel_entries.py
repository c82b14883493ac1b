# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of boot loaders, as real files have them, and the entry for a trial."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_entries
from ansible_collections.podnet.cni.plugins.module_utils._plan.kernel_entries import Entry, parse_bls, parse_grub, resolve, with_options
from hypothesis import given
from hypothesis import strategies as st

TEXT = (Path(__file__).parents[1] / "host/texts/grub.cfg").read_text(encoding="utf-8")
UUID = "5d3a1f3c-6f1c-4b69-9c37-0d8a4c1b7e21"
OLD, NEW = "6.1.0-56-cloud-amd64", "6.12.117+deb12-cloud-amd64"
MENU = f"gnulinux-advanced-{UUID}"
ENTRIES = parse_grub(TEXT)
# As kernel-install writes it on RHEL 9 (systemd.io/BOOT_LOADER_SPECIFICATION).
BLS = """\
title Rocky Linux (5.14.0-427.13.1.el9_4.x86_64) 9.4 (Blue Onyx)
version 5.14.0-427.13.1.el9_4.x86_64
linux /vmlinuz-5.14.0-427.13.1.el9_4.x86_64
initrd /initramfs-5.14.0-427.13.1.el9_4.x86_64.img $tuned_initrd
options root=/dev/mapper/rl-root ro crashkernel=1G-4G:192M rd.lvm.lv=rl/root $tuned_params
grub_users $grub_users
grub_arg --unrestricted
grub_class rocky
"""
BLS_NAME = "6f0f2b0fd1d64d0f9dd0a4c1fdbd0c11-5.14.0-427.13.1.el9_4.x86_64.conf"
WORDS = st.from_regex(r"[a-z_.]{1,10}(=[A-Za-z0-9,./:-]{0,12})?", fullmatch=True)


def test_every_entry_is_found_with_its_menu_and_its_release():
    found = [(entry.id, entry.release, entry.recovery) for entry in ENTRIES]
    assert found == [
        (f"gnulinux-simple-{UUID}", NEW, False),
        (f"{MENU}>gnulinux-{NEW}-advanced-{UUID}", NEW, False),
        (f"{MENU}>gnulinux-{NEW}-recovery-{UUID}", NEW, True),
        (f"{MENU}>gnulinux-{OLD}-advanced-{UUID}", OLD, False),
        (f"{MENU}>gnulinux-{OLD}-recovery-{UUID}", OLD, True),
    ]
    assert all(entry.initrd and "root=UUID" in entry.options for entry in ENTRIES)


@pytest.mark.parametrize(
    ("choice", "release"),
    [
        ("", NEW),
        ("0", NEW),
        ("1>0", NEW),
        ("1>2", OLD),
        (f"{MENU}>gnulinux-{OLD}-advanced-{UUID}", OLD),
        (f"1>gnulinux-{OLD}-advanced-{UUID}", OLD),
        ("Debian GNU/Linux", NEW),
        ("7", None),
        ("1>9", None),
        ("what is not there", None),
    ],
)
def test_choices_are_understood_as_grub_does(choice, release):
    found = resolve(choice, ENTRIES)
    assert (found.release if found else None) == release


@pytest.mark.parametrize("release", [OLD, NEW])
def test_the_entry_of_a_release_is_that_which_names_it(release):
    assert kernel_entries.of_release(ENTRIES, release).id == f"{MENU}>gnulinux-{release}-advanced-{UUID}"


def test_a_release_without_an_entry():
    assert kernel_entries.of_release(ENTRIES, "5.10.0-28-amd64") is None


def test_the_default_follows_from_the_menu_or_from_the_environment():
    saved = TEXT.replace('set default="0"', 'set default="${saved_entry}"')
    assert kernel_entries.grub_default(TEXT, {"saved_entry": "x"}) == "0"
    assert kernel_entries.grub_default(saved, {"saved_entry": "x"}) == "x"
    assert kernel_entries.grub_default(saved, {}) == ""
    assert kernel_entries.asks_for_one_boot(TEXT)
    assert kernel_entries.reads_custom(TEXT)
    assert not kernel_entries.reads_custom("menuentry 'x' {\n}\n")


def test_the_environment_of_grub():
    text = f"# GRUB Environment Block\n# WARNING: Do not edit\nsaved_entry={MENU}>x\nnext_entry=\n{'#' * 40}"
    assert kernel_entries.parse_environment(text) == {"saved_entry": f"{MENU}>x", "next_entry": ""}


def test_the_entry_for_a_trial_is_that_of_the_release_with_further_options():
    text = kernel_entries.grub_trial(kernel_entries.of_release(ENTRIES, NEW), ["panic=10", "podnet.kernel_trial=x", "console=tty1"])
    (entry,) = parse_grub(text)
    assert (entry.id, entry.release, entry.initrd) == (kernel_entries.TRIAL_ID, NEW, True)
    assert entry.options == f"root=UUID={UUID} ro net.ifnames=0 panic=10 podnet.kernel_trial=x console=tty1"
    assert f"search --no-floppy --fs-uuid --set=root {UUID}" in text
    assert resolve(kernel_entries.TRIAL_ID, [*ENTRIES, entry]) == entry
    assert kernel_entries.of_release([*ENTRIES, entry], NEW) != entry


@given(st.text(alphabet="abc #{}\n'", max_size=60))
def test_what_others_wrote_into_custom_cfg_stays(others):
    others = f"{others}\n" if others and not others.endswith("\n") else others
    trial = kernel_entries.grub_trial(kernel_entries.of_release(ENTRIES, NEW), ["panic=10"])
    assert kernel_entries.without_trial(others + trial) == others
    assert kernel_entries.without_trial(trial + others) == others


@given(st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=4))
def test_options_are_added_and_replace_those_of_their_name(given_words, extra):
    found = with_options(" ".join(given_words), extra).split()
    names = {word.partition("=")[0] for word in extra}
    assert found[len(found) - len(extra) :] == extra
    assert found[: len(found) - len(extra)] == [word for word in given_words if word.partition("=")[0] not in names]


@given(st.lists(st.sampled_from([OLD, NEW, "5.10.0-28-amd64"]), min_size=1, max_size=6, unique=True))
def test_every_entry_can_be_chosen_by_its_id_and_by_its_place(releases):
    body = "\n".join(f"menuentry 'Linux {name}' --id e-{name} {{\n linux /vmlinuz-{name} ro\n}}" for name in releases)
    found = parse_grub(f"submenu 'more' --id menu {{\n{body}\n}}\n")
    assert [resolve(f"menu>e-{name}", found).release for name in releases] == releases
    assert [resolve(f"0>{place}", found).release for place in range(len(releases))] == releases


def test_a_bls_entry():
    entry = parse_bls(BLS_NAME, BLS)
    assert (entry.id, entry.release, entry.initrd, entry.recovery) == (BLS_NAME[:-5], "5.14.0-427.13.1.el9_4.x86_64", True, False)
    assert entry.options.endswith("rd.lvm.lv=rl/root $tuned_params")
    assert parse_bls("x-0-rescue.conf", BLS).recovery


def test_a_bls_entry_for_a_trial():
    entry = parse_bls(BLS_NAME, BLS)
    trial = parse_bls("podnet-kernel-trial.conf", kernel_entries.bls_trial(entry, ["panic=10"]))
    assert (trial.id, trial.release, trial.initrd) == (kernel_entries.TRIAL_ID, entry.release, True)
    assert trial.options == f"{entry.options} panic=10"
    assert trial.title == f"{entry.release}, once (podnet.cni)"


def test_bls_entries_are_in_the_order_of_the_menu():
    names = ["m-5.14.0-70.el9", "m-5.14.0-427.13.1.el9_4", "m-6.1.140-1.el9.elrepo", "m-5.14.0-427.el9", "m-0-rescue"]
    found = kernel_entries.ordered_bls(parse_bls(f"{name}.conf", "title x\n") for name in names)
    assert [entry.id for entry in found] == [
        "m-6.1.140-1.el9.elrepo", "m-5.14.0-427.13.1.el9_4", "m-5.14.0-427.el9", "m-5.14.0-70.el9", "m-0-rescue"
    ]  # fmt: skip


def test_an_entry_that_is_no_kernel_has_no_release():
    (entry,) = parse_grub("menuentry 'Memory test' {\n linux16 /boot/memtest86+.bin\n}\n")
    assert entry == Entry("Memory test", "Memory test", "", "", (" linux16 /boot/memtest86+.bin",), False)
