# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""containerd's store with all images, filled once and shared by hard links: nodes need no import of their own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tooling.places import key_of

from podnet_lab.cache import publish
from podnet_lab.errors import LabError
from podnet_lab.images import Artifacts
from podnet_lab.process import end_process, tail
from podnet_lab.shell import run, wait_for

CONFIG = """\
version = 3
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri"]

[grpc]
  address = "{state}/containerd.sock"
"""


def image_store(artifacts: Artifacts) -> Path:
    """The folder that becomes a node's /var/lib/containerd."""
    key = key_of(str(artifacts.images), str(artifacts.programs["containerd"]), Path(__file__).read_bytes())
    return publish("stores", "containerd", key, lambda folder: _fill(artifacts, folder))


def _fill(artifacts: Artifacts, folder: Path) -> None:
    # The path of a socket must be short, so containerd's state is not in the cache.
    state = Path(tempfile.mkdtemp(prefix="podnet-store-"))
    log = state / "containerd.log"
    config = state / "config.toml"
    config.write_text(CONFIG.format(root=folder, state=state))
    try:
        with open(log, "wb") as output:
            daemon = subprocess.Popen(
                [artifacts.program("containerd", "containerd"), "--config", config],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        ctr: list[str | Path] = [artifacts.program("containerd", "ctr"), "--address", state / "containerd.sock"]

        def answers() -> bool:
            if daemon.poll() is not None:
                raise LabError(f"containerd ended with code {daemon.returncode}:\n{tail(log)}")
            return run([*ctr, "version"], check=False).returncode == 0

        try:
            wait_for("an answer of containerd", 30, answers)
            run([*ctr, "--namespace", "k8s.io", "images", "import", "--local", artifacts.images], timeout=900)
            for name in run([*ctr, "--namespace", "k8s.io", "images", "list", "--quiet"]).stdout.split():
                print(f"           image {name}", flush=True)
        finally:
            end_process(daemon.pid, 20)
            daemon.wait()
    finally:
        shutil.rmtree(state, ignore_errors=True)


def clone_store(store: Path, target: Path) -> None:
    """Copy the store for one node: hard links for blobs and snapshots, which containerd never changes, copies of its databases."""
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    run(["cp", "--archive", "--link", store, target])
    for database in target.rglob("*.db"):
        if "snapshots" in database.parts:
            continue
        copy = database.with_suffix(".copy")
        shutil.copy2(database, copy)
        copy.replace(database)
