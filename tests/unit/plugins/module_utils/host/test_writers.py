# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written on a node: addresses that are kept from host-local, backups, whole files."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._cni import host_local
from ansible_collections.podnet.cni.plugins.module_utils._host import backup, files, leases
from hypothesis import given
from hypothesis import strategies as st

POD = b"d5ae6b79e84c20424e674e7e3f83f3d7\r\neth0"
ADDRESSES = st.sets(st.integers(0, 30).map(lambda number: f"10.244.1.{number}"), max_size=8)


@pytest.fixture
def network(tmp_path):
    """host-local's folder with one pod and its other files."""
    folder = tmp_path / "cbr0"
    folder.mkdir()
    (folder / "10.244.1.7").write_bytes(POD)
    (folder / "lock").touch()
    (folder / "last_reserved_ip.0").write_text("10.244.1.7")
    return folder


def test_addresses_are_kept_and_given_back_and_pods_keep_theirs(network):
    leases.reserve(network, ["10.244.1.7", "10.244.1.66"])
    assert leases.reserved(network) == ["10.244.1.66"]
    assert (network / "10.244.1.66").read_bytes() == b"podnet-calico-pod\r\neth0"
    assert (network / "10.244.1.7").read_bytes() == POD
    assert not leases.differs(network, ["10.244.1.7", "10.244.1.66"])
    assert leases.differs(network, ["10.244.1.66", "10.244.1.67"])
    assert leases.differs(network, [])
    leases.reserve(network, [])
    assert files.names(network) == ["10.244.1.7", "last_reserved_ip.0", "lock"]


def test_a_network_without_folder_keeps_nothing_and_gets_one_when_needed(tmp_path):
    folder = tmp_path / "networks" / "cbr0"
    assert leases.reserved(folder) == []
    assert not leases.differs(folder, [])
    leases.reserve(folder, [])
    assert not folder.exists()
    leases.reserve(folder, ["10.244.1.66"])
    assert leases.reserved(folder) == ["10.244.1.66"]


@given(ADDRESSES, ADDRESSES, ADDRESSES)
def test_whatever_was_kept_before_exactly_the_wanted_addresses_are_in_use(tmp_path_factory, pods, before, wanted):
    folder = tmp_path_factory.mktemp("cbr0")
    for address in pods:
        (folder / address).write_bytes(POD)
    leases.reserve(folder, sorted(before))
    leases.reserve(folder, sorted(wanted))
    assert set(files.names(folder)) == pods | wanted
    assert set(leases.reserved(folder)) == wanted - pods
    assert not leases.differs(folder, wanted)
    parsed = [host_local.parse_lease(name, files.read_text(folder / name)) for name in files.names(folder)]
    assert {lease["address"] for lease in parsed if lease["container_id"] != host_local.RESERVED_BY_US} == pods


def test_backups_of_the_same_second_do_not_share_a_folder(tmp_path, monkeypatch):
    folders = [backup.Backup(tmp_path / "backup", "test").folder for dummy in range(4)]
    assert len(set(folders)) == 4
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}


def test_too_many_backups_of_one_second_are_an_error(tmp_path, monkeypatch):
    class Frozen(backup.datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 11, 24, 15, 0, 0, tzinfo=tz)

    monkeypatch.setattr(backup.datetime, "datetime", Frozen)
    for dummy in range(99):
        backup.Backup(tmp_path, "test")
    with pytest.raises(OSError, match="too many backups of this second"):
        backup.Backup(tmp_path, "test")


def test_the_manifest_says_what_is_where_and_files_that_are_there_are_not_replaced(tmp_path):
    changed, gone, link = (tmp_path / name for name in ("changed", "gone", "link"))
    changed.write_bytes(b"old")
    gone.write_bytes(b"gone")
    gone.chmod(0o600)
    link.symlink_to("/no/where")
    kept = backup.Backup(tmp_path / "backup", "a test")
    for path in (changed, gone, link):
        kept.add(path)
    kept.add_dump("dump.txt", "printed\n")
    kept.finish({"removed": {"devices": ["flannel.1"]}})
    manifest = json.loads((kept.folder / "manifest.json").read_text())
    assert (manifest["purpose"], manifest["dumps"], manifest["removed"]) == ("a test", ["dump.txt"], {"devices": ["flannel.1"]})
    assert [entry["path"] for entry in manifest["files"]] == [str(path) for path in (changed, gone, link)]
    assert (kept.folder / manifest["files"][1]["copy"]).read_bytes() == b"gone"
    assert manifest["files"][2]["link"] == "/no/where"
    changed.write_bytes(b"new")
    gone.unlink()
    link.unlink()
    kept.restore()
    assert (changed.read_bytes(), gone.read_bytes(), os.readlink(link)) == (b"new", b"gone", "/no/where")
    assert (gone.stat().st_mode & 0o777, gone.stat().st_uid) == (0o600, os.getuid())


def test_a_file_is_the_old_one_when_writing_fails(tmp_path, monkeypatch):
    target = tmp_path / "10-flannel.conflist"
    target.write_bytes(b"old")

    def broken(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr(files.os, "fsync", broken)
    with pytest.raises(OSError, match="no space left"):
        files.write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert files.names(tmp_path) == ["10-flannel.conflist"]


def test_what_is_not_there_is_read_as_nothing(tmp_path):
    assert files.read_bytes(tmp_path / "no") is None
    assert files.read_text(tmp_path) is None
    assert files.names(tmp_path / "no") == []
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").write_bytes(b"\xff")
    assert files.existing([tmp_path / "no", tmp_path / "link"]) == [str(tmp_path / "link")]
    assert files.read_text(tmp_path / "file") == "\ufffd"


def test_an_address_for_the_tunnel_is_taken_once_and_never_from_a_pod(network):
    assert leases.owner_of(network, "10.244.1.253") is None
    assert leases.take(network, "10.244.1.253", host_local.TUNNEL)
    assert (network / "10.244.1.253").read_bytes() == b"podnet-calico-tunnel\r\neth0"
    assert leases.owner_of(network, "10.244.1.253") == host_local.TUNNEL
    assert not leases.take(network, "10.244.1.7", host_local.TUNNEL)
    assert (network / "10.244.1.7").read_bytes() == POD
    leases.reserve(network, [])
    assert leases.owner_of(network, "10.244.1.253") == host_local.TUNNEL


def test_the_tunnels_address_makes_the_folder_that_no_pod_has_made_yet(tmp_path):
    assert leases.take(tmp_path / "networks" / "cbr0", "10.244.1.253", host_local.TUNNEL)
    assert files.names(tmp_path / "networks" / "cbr0") == ["10.244.1.253"]
