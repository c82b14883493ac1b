# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures packets on the lab's router with tcpdump."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import time
import types
import typing as t
from pathlib import Path

from podnet_lab.errors import LabError
from podnet_lab.lab import Lab
from podnet_lab.network import bridge_name

from podnet_demo import pcap

ENCAPSULATED = "udp port 8472 or udp port 4789 or ip proto 4"
SNAP_LENGTH = 160
BUFFER_KIB = 16384
START_SECONDS = 10.0
FLUSH_SECONDS = 0.3


class Capture:
    """A capture on one device of the router, from C(with) to its end; C(data) holds the pcap file afterwards."""

    def __init__(self, lab: Lab, device: str, packet_filter: str, file: Path, incoming_only: bool = False) -> None:
        self.lab = lab
        self.device = device
        self.packet_filter = packet_filter
        self.file = file
        self.incoming_only = incoming_only
        self.data = b""
        self._log = file.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Capture:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        command = ["tcpdump", "-i", self.device, "-n", "-p", "-s", str(SNAP_LENGTH), "-B", str(BUFFER_KIB), "--immediate-mode", "-Z", "root", "-U"]
        if self.incoming_only:
            command += ["-Q", "in"]
        with open(self._log, "wb") as log:
            self._process = self.lab.popen_in(
                "tor", [*command, "-w", str(self.file), self.packet_filter], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while "listening on" not in self._log.read_text():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._stop()
                raise LabError(f"tcpdump does not capture on the router's {self.device}: {self._log.read_text().strip()}")
            time.sleep(0.02)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None) -> None:
        time.sleep(FLUSH_SECONDS)
        self._stop()
        self.data = self.file.read_bytes()
        dropped = re.search(r"(\d+) packets? dropped by kernel", self._log.read_text())
        if kind is None and dropped and int(dropped.group(1)):
            raise LabError(f"tcpdump on the router's {self.device} lost {dropped.group(1)} packets: the machine is too busy to measure, try again")
        self._log.unlink(missing_ok=True)

    def _stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout=START_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class EncapsulatedPackets:
    """How many encapsulated packets came to the router from any zone; each counts once."""

    def __init__(self) -> None:
        self.count = 0


@contextlib.contextmanager
def count_encapsulated(lab: Lab, folder: Path, label: str) -> t.Iterator[EncapsulatedPackets]:
    """Count while the block runs; the count is there after it."""
    result = EncapsulatedPackets()
    files = [(bridge_name(zone.name), folder / f"{label}-encapsulated-{zone.name}.pcap") for zone in lab.topology.zones]
    with contextlib.ExitStack() as stack:
        captures = [stack.enter_context(Capture(lab, device, ENCAPSULATED, file, incoming_only=True)) for device, file in files]
        yield result
    result.count = sum(pcap.count(capture.data) for capture in captures)
