# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which package brings the wanted kernel, for each distribution."""

from __future__ import annotations

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._plan import kernel_packages
from ansible_collections.podnet.cni.plugins.module_utils._plan.kernel_packages import Unavailable, choose, distribution_of, flavour_of, to_install
from hypothesis import given
from hypothesis import strategies as st


def package(name, version, installed=False, arch=""):
    return {"name": name, "version": version, "installed": installed, "arch": arch}


def state(running, packages, system=None, metas=None, installed=()):
    return {"running": running, "packages": packages, "system": system or {}, "metas": metas or {}, "installed": list(installed)}


DEBIAN = state(
    "6.1.0-54-cloud-amd64",
    [
        package("linux-image-6.1.0-54-cloud-amd64", "6.1.187-1", installed=True),
        package("linux-headers-6.1.0-54-cloud-amd64", "6.1.187-1", installed=True),
        package("linux-image-6.1.0-56-cloud-amd64", "6.1.192-2"),
        package("linux-headers-6.1.0-56-cloud-amd64", "6.1.192-2"),
        package("linux-image-6.1.0-56-amd64", "6.1.192-2"),
        package("linux-image-6.1.0-56-cloud-amd64-dbg", "6.1.192-2"),
        package("linux-image-6.12.117+deb12-cloud-amd64", "6.12.117-1~deb12u1"),
        package("linux-image-6.12.99+deb12-cloud-amd64", "6.12.99-1~bpo12+1"),
        package("linux-image-6.12.101+deb12-cloud-amd64", "6.12.101-1~bpo12+1"),
        package("linux-image-cloud-amd64", "6.1.192-2"),
        package("linux-image-6.12-cloud-amd64", "6.12.117-1~deb12u1"),
    ],
    metas={
        "linux-image-cloud-amd64": ["linux-image-6.1.0-56-cloud-amd64"],
        "linux-image-6.12-cloud-amd64": ["linux-image-6.12.117+deb12-cloud-amd64"],
    },
)
UBUNTU = state(
    "6.8.0-57-generic",
    [
        package("linux-image-6.8.0-57-generic", "6.8.0-57.59", installed=True),
        package("linux-modules-extra-6.8.0-57-generic", "6.8.0-57.59", installed=True),
        package("linux-image-6.8.0-60-generic", "6.8.0-60.63"),
        package("linux-modules-extra-6.8.0-60-generic", "6.8.0-60.63"),
        package("linux-image-6.14.0-15-generic", "6.14.0-15.15~24.04.1"),
        package("linux-modules-extra-6.14.0-15-generic", "6.14.0-15.15~24.04.1"),
        package("linux-image-6.8.0-1024-aws", "6.8.0-1024.26"),
        package("linux-image-6.14.0-1005-aws", "6.14.0-1005.5~24.04.1"),
        package("linux-image-unsigned-6.8.0-60-generic", "6.8.0-60.63"),
    ],
    system={"id": "ubuntu", "version_id": "24.04"},
    metas={
        "linux-image-generic": ["linux-image-6.8.0-60-generic", "linux-modules-extra-6.8.0-60-generic"],
        "linux-image-generic-hwe-24.04": ["linux-image-6.14.0-15-generic"],
        "linux-image-aws": ["linux-image-6.14.0-1005-aws"],
        "linux-image-aws-lts-24.04": ["linux-image-6.8.0-1024-aws"],
    },
)
EL = state(
    "5.14.0-427.13.1.el9_4.x86_64",
    [
        package("kernel", "5.14.0-427.13.1.el9_4", installed=True, arch="x86_64"),
        package("kernel-modules-extra", "5.14.0-427.13.1.el9_4", installed=True, arch="x86_64"),
        package("kernel", "5.14.0-503.9.1.el9_5", arch="x86_64"),
        package("kernel", "5.14.0-503.40.1.el9_5", arch="x86_64"),
        package("kernel-modules-extra", "5.14.0-503.40.1.el9_5", arch="x86_64"),
        package("kernel-lt", "6.1.140-1.el9.elrepo", arch="x86_64"),
        package("kernel-ml", "6.15.4-1.el9.elrepo", arch="x86_64"),
    ],
)
AMAZON = state(
    "6.1.134-150.224.amzn2023.x86_64",
    [
        package("kernel", "6.1.134-150.224.amzn2023", installed=True, arch="x86_64"),
        package("kernel", "6.1.141-155.222.amzn2023", arch="x86_64"),
        package("kernel6.12", "6.12.40-63.114.amzn2023", arch="x86_64"),
    ],
)
SUSE = state(
    "6.4.0-150600.23.42-default",
    [
        package("kernel-default", "6.4.0-150600.23.42.2", installed=True, arch="x86_64"),
        package("kernel-default", "6.4.0-150600.23.47.2", arch="x86_64"),
        package("kernel-rt", "6.4.0-150600.10.39.1", arch="x86_64"),
    ],
)
CHOICES = [
    # (family, state, wanted, flavour, stream): release and packages
    (("debian", DEBIAN, "default", "", "default"), "6.1.0-56-cloud-amd64",
     ["linux-image-6.1.0-56-cloud-amd64=6.1.192-2", "linux-headers-6.1.0-56-cloud-amd64=6.1.192-2"]),
    (("debian", DEBIAN, "6.12", "", "default"), "6.12.117+deb12-cloud-amd64", ["linux-image-6.12.117+deb12-cloud-amd64=6.12.117-1~deb12u1"]),
    (("debian", DEBIAN, "default", "", "backports"), "6.12.101+deb12-cloud-amd64", ["linux-image-6.12.101+deb12-cloud-amd64=6.12.101-1~bpo12+1"]),
    (("debian", DEBIAN, "6.12.99+deb12-cloud-amd64", "", "default"), "6.12.99+deb12-cloud-amd64",
     ["linux-image-6.12.99+deb12-cloud-amd64=6.12.99-1~bpo12+1"]),
    (("debian", DEBIAN, "6.1", "amd64", "default"), "6.1.0-56-amd64", ["linux-image-6.1.0-56-amd64=6.1.192-2"]),
    (("debian", DEBIAN, "6.1.0-54-cloud-amd64", "", "default"), "6.1.0-54-cloud-amd64", []),
    (("ubuntu", UBUNTU, "default", "", "default"), "6.8.0-60-generic",
     ["linux-image-6.8.0-60-generic=6.8.0-60.63", "linux-modules-extra-6.8.0-60-generic=6.8.0-60.63"]),
    (("ubuntu", UBUNTU, "default", "", "hwe"), "6.14.0-15-generic",
     ["linux-image-6.14.0-15-generic=6.14.0-15.15~24.04.1", "linux-modules-extra-6.14.0-15-generic=6.14.0-15.15~24.04.1"]),
    (("ubuntu", UBUNTU, "default", "aws", "default"), "6.8.0-1024-aws", ["linux-image-6.8.0-1024-aws=6.8.0-1024.26"]),
    (("ubuntu", UBUNTU, "6.14", "aws", "default"), "6.14.0-1005-aws", ["linux-image-6.14.0-1005-aws=6.14.0-1005.5~24.04.1"]),
    (("el", EL, "default", "", "default"), "5.14.0-503.40.1.el9_5.x86_64",
     ["kernel-5.14.0-503.40.1.el9_5.x86_64", "kernel-modules-extra-5.14.0-503.40.1.el9_5.x86_64"]),
    (("el", EL, "default", "", "elrepo-lt"), "6.1.140-1.el9.elrepo.x86_64", ["kernel-lt-6.1.140-1.el9.elrepo.x86_64"]),
    (("el", EL, "default", "", "elrepo-ml"), "6.15.4-1.el9.elrepo.x86_64", ["kernel-ml-6.15.4-1.el9.elrepo.x86_64"]),
    (("el", EL, "5.14.0-503.9.1.el9_5.x86_64", "", "default"), "5.14.0-503.9.1.el9_5.x86_64", ["kernel-5.14.0-503.9.1.el9_5.x86_64"]),
    (("amzn", AMAZON, "default", "", "default"), "6.1.141-155.222.amzn2023.x86_64", ["kernel-6.1.141-155.222.amzn2023.x86_64"]),
    (("amzn", AMAZON, "6.12", "kernel6.12", "default"), "6.12.40-63.114.amzn2023.x86_64", ["kernel6.12-6.12.40-63.114.amzn2023.x86_64"]),
    (("suse", SUSE, "default", "", "default"), "6.4.0-150600.23.47-default", ["kernel-default=6.4.0-150600.23.47.2"]),
    (("suse", SUSE, "default", "rt", "default"), "6.4.0-150600.10.39-rt", ["kernel-rt=6.4.0-150600.10.39.1"]),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "release", "packages"), CHOICES, ids=[f"{item[0][0]}-{item[1]}" for item in CHOICES])
def test_the_wanted_kernel_and_its_packages_with_their_versions(asked, release, packages):
    family, facts, wanted, flavour, stream = asked
    found = choose(family, facts, wanted, flavour, stream)
    assert found.release == release
    assert (to_install(family, facts, found) if not found.installed else []) == packages


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("debian", DEBIAN, "6.99.1-cloud-amd64", "", "default"), "'6.99.1-cloud-amd64' is neither installed nor in a repository"),
        (("debian", DEBIAN, "5.10", "", "default"), "no kernel 5.10 of the flavour cloud-amd64 is to be had; there are 6.12.117+deb12-cloud-amd64"),
        (("debian", DEBIAN, "default", "rt-amd64", "default"), "no kernel of the flavour rt-amd64 is to be had"),
        (("ubuntu", UBUNTU, "default", "gcp", "hwe"), "there is no hwe line for the flavour gcp"),
        (("suse", state("6.4.0-1-default", []), "default", "", "default"), "its package manager lists no kernel at all"),
        (("el", AMAZON, "default", "", "elrepo-ml"), "no kernel of the flavour kernel-ml is to be had in elrepo-ml"),
    ],
)
def test_a_kernel_that_is_not_there_is_refused_with_those_that_are(asked, says):
    with pytest.raises(Unavailable, match="there are|lists no kernel") as error:
        choose(*asked)
    assert says in str(error.value)


def test_a_kernel_without_a_package_can_be_gone_back_to():
    own = state("6.1.0-54-cloud-amd64", [], installed=["6.15.0-own", "6.1.0-54-cloud-amd64"])
    assert choose("debian", own, "6.15.0-own") == kernel_packages.Candidate("6.15.0-own", "", "", "own", "", True)


def test_without_a_package_that_tells_the_series_debian_stays_in_the_running_one():
    found = choose("debian", {**DEBIAN, "metas": {}}, "default")
    assert found.release == "6.1.0-56-cloud-amd64"


@pytest.mark.parametrize(
    ("system", "family"),
    [
        ({"id": "debian"}, "debian"),
        ({"id": "ubuntu", "id_like": "debian"}, "ubuntu"),
        ({"id": "linuxmint", "id_like": "ubuntu debian"}, "ubuntu"),
        ({"id": "rocky", "id_like": "rhel centos fedora"}, "el"),
        ({"id": "rhel"}, "el"),
        ({"id": "amzn", "id_like": "fedora"}, "amzn"),
        ({"id": "sles", "id_like": "suse"}, "suse"),
        ({"id": "opensuse-leap", "id_like": "suse opensuse"}, "suse"),
    ],
)
def test_systems_belong_to_families(system, family):
    assert distribution_of(system).name == family


def test_a_system_that_is_not_known():
    assert distribution_of({"id": "arch"}) is None


@pytest.mark.parametrize(
    ("release", "family", "flavour"),
    [
        ("6.1.0-56-cloud-amd64", "debian", "cloud-amd64"),
        ("6.12.117+deb12-cloud-amd64", "debian", "cloud-amd64"),
        ("6.1.0-0.deb11.21-cloud-amd64", "debian", "cloud-amd64"),
        ("5.10.0-0.bpo.15-amd64", "debian", "amd64"),
        ("5.10.0-28-686-pae", "debian", "686-pae"),
        ("6.12.12+bpo-rt-amd64", "debian", "rt-amd64"),
        ("6.8.0-57-generic", "ubuntu", "generic"),
        ("6.8.0-57-generic-64k", "ubuntu", "generic-64k"),
        ("6.8.0-1015-aws", "ubuntu", "aws"),
        ("5.14.0-427.el9.x86_64", "el", "kernel"),
        ("6.15.4-1.el9.elrepo.x86_64", "el", "kernel-ml"),
        ("6.1.134-150.224.amzn2023.x86_64", "amzn", "kernel"),
        ("6.12.40-63.114.amzn2023.x86_64", "amzn", "kernel6.12"),
        ("6.4.0-150600.23.42-default", "suse", "default"),
    ],
)
def test_the_flavour_of_a_release(release, family, flavour):
    assert flavour_of(release, family) == flavour


NUMBERS = st.integers(1, 400)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=12, unique=True))
def test_of_a_series_the_newest_is_chosen_whatever_the_order(numbers):
    packages = [package(f"linux-image-6.{minor}.{patch}+deb12-amd64", f"6.{minor}.{patch}-1") for minor, patch in numbers]
    facts = state("6.1.0-1-amd64", packages)
    for minor in {minor for minor, dummy in numbers}:
        newest = max(patch for other, patch in numbers if other == minor)
        assert choose("debian", facts, f"6.{minor}").release == f"6.{minor}.{newest}+deb12-amd64"


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(list(kernel_packages.DISTRIBUTIONS)))
def test_names_and_versions_of_any_kind_are_no_error(name, version, family):
    item = package(name, version, arch="x86_64")
    assert kernel_packages.candidate_of(family, item) is None or kernel_packages.candidate_of(family, item).package == name
