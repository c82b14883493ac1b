# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extracts of real kernel configurations for the unit tests, from Debian's packages linux-config-VERSION.

C(python3 -m tooling.launch tooling.kernel_configs) downloads the packages from the Debian mirror that apt is configured with, and writes
one file for each configuration into tests/unit/fixtures/kernel_configs: its head, and the options that a profile of the collection names.
Run it again after adding an option to a profile; Debian may have newer packages then.
"""

from __future__ import annotations

import lzma
import os
import re
import subprocess
import sys
import tempfile
import typing as t
from collections.abc import Iterator, Sequence
from pathlib import Path

from tooling import debian_python
from tooling.places import ROOT

FOLDER = ROOT / "tests" / "unit" / "fixtures" / "kernel_configs"
MACHINES = {"CONFIG_X86_64", "CONFIG_X86_32", "CONFIG_ARM64", "CONFIG_ARM", "CONFIG_PPC64", "CONFIG_S390", "CONFIG_RISCV"}
"""Options that say what a kernel is built for."""
PROFILES = ROOT / "plugins" / "plugin_utils" / "kernel_profiles"


class Wanted(t.NamedTuple):
    """A package, and those of its configurations that are wanted, as ARCHITECTURE_FEATURESET_FLAVOUR."""

    suite: str
    package: str
    architecture: str
    configurations: tuple[str, ...]


WANTED = (
    Wanted("bullseye", "linux-config-5.10", "amd64", ("amd64_none_amd64", "amd64_none_cloud-amd64", "amd64_rt_amd64")),
    Wanted("bullseye", "linux-config-5.10", "armhf", ("armhf_none_armmp",)),
    Wanted("bullseye", "linux-config-5.10", "i386", ("i386_none_686-pae",)),
    Wanted("bookworm", "linux-config-6.1", "amd64", ("amd64_none_amd64", "amd64_none_cloud-amd64")),
    Wanted("bookworm", "linux-config-6.1", "arm64", ("arm64_none_arm64",)),
    Wanted("bookworm", "linux-config-6.1", "s390x", ("s390x_none_s390x",)),
    Wanted("bookworm-backports", "linux-config-6.12", "amd64", ("amd64_none_cloud-amd64",)),
    Wanted("trixie", "linux-config-6.12", "amd64", ("amd64_none_amd64", "amd64_rt_amd64")),
    Wanted("trixie", "linux-config-6.12", "riscv64", ("riscv64_none_riscv64",)),
    Wanted("trixie-backports", "linux-config-7.3", "amd64", ("amd64_none_amd64", "amd64_none_cloud-amd64")),
)


def wanted_options() -> set[str]:
    """Every option that a profile names, and those that tell the machine."""
    return MACHINES | {name for path in PROFILES.glob("*.yml") for name in re.findall(r"\bCONFIG_\w+", path.read_text(encoding="utf-8"))}


def extract(text: str, options: set[str]) -> str:
    """The head of a configuration, and what it says of the options, in its order."""
    lines = text.splitlines()
    head = [line for line in lines[:5] if line.endswith("Kernel Configuration")]
    if len(head) != 1:
        raise SystemExit("a configuration has no head that tells its version")
    found = (re.match(r"(?:# )?(CONFIG_\w+)(?:=| is not set)", line) for line in lines)
    return "\n".join([*head, *(line for line, match in zip(lines, found) if match and match.group(1) in options)]) + "\n"


def run(command: Sequence[str], folder: Path) -> str:
    """Output of a program that must succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if done.returncode:
        raise SystemExit(f"'{' '.join(command)}' failed: {done.stderr[-2000:]}")
    return done.stdout


def download(wanted: Wanted, folder: Path) -> Path:
    """A package of another release or architecture, verified by apt, which does not learn of it."""
    apt = folder / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    mirror = debian_python.mirror()
    line = f"deb [arch={wanted.architecture} signed-by={debian_python.KEYRING}] {mirror} {wanted.suite} main\n"
    (apt / "sources.list").write_text(line, encoding="utf-8")
    options = {
        "Dir::Etc::sourcelist": str(apt / "sources.list"),
        "Dir::Etc::sourceparts": "-",
        "Dir::State": str(apt / "state"),
        "Dir::State::status": str(apt / "status"),
        "Dir::Cache": str(apt / "cache"),
        "APT::Architecture": wanted.architecture,
        "APT::Architectures": wanted.architecture,
        "APT::Sandbox::User": "",
    }
    words = ["apt-get", "-qq", *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]
    run([*words, "update"], folder)
    run([*words, "download", wanted.package], folder)
    (archive,) = folder.glob("*.deb")
    return archive


def extracts(wanted: Wanted, options: set[str]) -> Iterator[tuple[str, str]]:
    """Name and text of the file for each configuration."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = download(wanted, folder)
        version = run(["dpkg-deb", "--field", str(archive), "Version"], folder).strip()
        run(["dpkg-deb", "--extract", str(archive), str(folder / "root")], folder)
        for configuration in wanted.configurations:
            path = folder / "root" / "usr" / "src" / wanted.package / f"config.{configuration}.xz"
            text = lzma.decompress(path.read_bytes()).decode()
            about = (
                f"# Extract of config.{configuration} in the Debian package {wanted.package} {version} ({wanted.suite}), see {Path(__file__).name}"
            )
            yield f"{wanted.package[len('linux-config-') :]}-{configuration}", f"{about}\n{extract(text, options)}"


def main() -> int:
    """Write all files."""
    options = wanted_options()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for wanted in WANTED:
        for name, text in extracts(wanted, options):
            file = FOLDER / f"{name}{'.' + wanted.suite if 'backports' in wanted.suite else ''}.config"
            file.write_text(text, encoding="utf-8")
            print(f"{file.name}: {len(text.splitlines()) - 2} options")
    return 0


if __name__ == "__main__":
    sys.exit(main())
