# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's way back: what is asked of systemd, and what the script does when it is started."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.podnet.cni.plugins.module_utils._host import commands, systemd_timer, watchdog, way_back

PROGRAM = """\
#!/bin/sh
echo "${{0##*/}} $*" >> {log}
{answer}
"""


class Systemd:
    """Programs of the name of systemd's that write down how they were called."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.log = folder / "calls"
        monkeypatch.setattr(commands, "EXTRA_FOLDERS", ())
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        monkeypatch.setattr(commands, "find", self.find)

    def find(self, program):
        path = self.folder / program
        return str(path) if path.exists() else None

    def program(self, name, answer=""):
        path = self.folder / name
        path.write_text(PROGRAM.format(log=self.log, answer=answer))
        path.chmod(0o755)

    def shows(self, *lines):
        self.program("systemctl", "\n".join(f"[ \"$1\" = show ] && echo '{line}'" for line in lines) + "\ntrue")

    @property
    def calls(self):
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    folder = tmp_path / "programs"
    folder.mkdir()
    return Systemd(folder, monkeypatch)


def test_a_node_without_systemd_has_no_timer(systemd):
    assert systemd_timer.read("unit") == (False, None)
    assert not systemd_timer.disarm("unit")
    assert systemd.calls == []


@pytest.mark.parametrize(
    ("lines", "armed", "left"),
    [
        (["ActiveState=inactive", "NextElapseUSecMonotonic="], False, None),
        (["ActiveState=failed", "NextElapseUSecMonotonic=infinity"], False, None),
        ([], False, None),
        (["ActiveState=active", "NextElapseUSecMonotonic=infinity"], True, None),
        (["ActiveState=active"], True, None),
        (["ActiveState=active", "NextElapseUSecMonotonic=1h 40s"], True, 3640 - 3600),
        (["ActiveState=active", "NextElapseUSecMonotonic=59min"], True, 0),
    ],
)
def test_what_systemd_says_of_a_timer(systemd, monkeypatch, lines, armed, left):
    systemd.shows(*lines)
    monkeypatch.setattr(systemd_timer.time, "monotonic", lambda: 3600.0)
    assert systemd_timer.read("unit") == (armed, left)


def test_a_timer_runs_the_command_once_and_replaces_one_that_waits(systemd):
    systemd.shows("ActiveState=active")
    systemd.program("systemd-run")
    systemd_timer.arm("unit", 90, ["/bin/sh", "/a b"])
    assert systemd.calls[1:] == [
        "systemctl stop unit.timer unit.service",
        "systemctl reset-failed unit.timer unit.service",
        "systemd-run --unit=unit --on-active=90s --timer-property=AccuracySec=1s --collect --quiet /bin/sh /a b",
    ]


def test_disarming_tells_whether_it_waited(systemd):
    systemd.shows("ActiveState=active")
    assert systemd_timer.disarm("unit")
    systemd.shows("ActiveState=inactive")
    assert not systemd_timer.disarm("unit")
    assert systemd.calls.count("systemctl stop unit.timer unit.service") == 2


@pytest.mark.parametrize("missing", ["systemd-run", "systemctl"])
def test_a_node_that_cannot_have_a_timer_is_known_before(systemd, missing):
    for name in {"systemd-run", "systemctl"} - {missing}:
        systemd.program(name)
    with pytest.raises(commands.CommandError, match=f"{missing} is missing"):
        way_back.require()
    systemd.program(missing)
    way_back.require()


def test_arming_writes_a_script_for_root_only_and_disarming_removes_it(systemd, tmp_path):
    systemd.shows("ActiveState=inactive")
    systemd.program("systemd-run")
    folder = tmp_path / "state"
    watchdog.arm(folder, 30, tmp_path / "10-calico.conflist", tmp_path / "leases")
    script = folder / watchdog.SCRIPT
    assert script.stat().st_mode & 0o777 == 0o700
    assert systemd.calls[-1].endswith(f"--on-active=30s --timer-property=AccuracySec=1s --collect --quiet /bin/sh {script}")
    assert watchdog.disarm(folder)
    assert not script.exists()
    assert not watchdog.disarm(folder)


def test_a_timer_that_systemd_refuses_is_an_error(systemd, tmp_path):
    systemd.shows("ActiveState=inactive")
    systemd.program("systemd-run", "echo 'Failed to start transient timer unit' >&2; exit 1")
    with pytest.raises(commands.CommandError, match="Failed to start transient timer unit"):
        watchdog.arm(tmp_path / "state", 30, tmp_path / "copy", tmp_path / "leases")


ROUTES = """\
default via 172.30.1.1 dev eth0
10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1
blackhole 10.244.1.64/26 proto bird
10.244.1.66 dev cali11111111111 scope link
10.244.1.67 dev cali22222222222 scope link
10.244.2.64/26 via 172.30.1.1 dev eth0 proto bird
"""


def test_the_script_puts_flannel_back_and_keeps_the_addresses_of_calicos_pods(tmp_path):
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    programs, leases = tmp_path / "programs", folder / "networks" / "cbr0"
    programs.mkdir()
    leases.mkdir(parents=True)
    (programs / "ip").write_text(f"#!/bin/sh\ncat <<'END'\n{ROUTES}END\n")
    (programs / "ip").chmod(0o755)
    (leases / "10.244.1.67").write_text("a pod that was quicker")
    copy, kept, log, script = (folder / name for name in ("10-calico.conflist", "99-podnet-calico.conflist", "log", "script"))
    for path in (copy, kept):
        path.write_text("{}")
    script.write_text(watchdog.script_text(copy, leases, log, [folder / "record", script]).replace("PATH=", f"PATH={programs}:"))
    done = subprocess.run(["/bin/sh", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(os.listdir(folder)) == ["99-podnet-calico.conflist", "log", "networks"]
    assert {path.name: path.read_bytes() for path in leases.iterdir()} == {
        "10.244.1.66": b"podnet-calico-pod\r\neth0",
        "10.244.1.67": b"a pod that was quicker",
    }
    assert "the change was not kept in time" in log.read_text()
    assert done.stdout == log.read_text()


def test_the_script_works_without_the_folder_of_flannels_addresses(tmp_path):
    copy = tmp_path / "10-calico.conflist"
    copy.write_text("{}")
    text = watchdog.script_text(copy, tmp_path / "gone" / "cbr0", tmp_path / "log", [tmp_path / "script"])
    subprocess.run(["/bin/sh"], input=text, text=True, check=True, capture_output=True)
    assert not copy.exists()
