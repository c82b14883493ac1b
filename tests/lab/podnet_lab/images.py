# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container images as one plain archive that C(ctr images import) takes: no build tool, no registry."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import platform
import re
import shutil
import subprocess
import tarfile
import typing as t
from pathlib import Path

from tooling.places import key_of

from podnet_lab import parts, rootfs
from podnet_lab.cache import publish

TOOLS_IMAGE = "localhost/podnet-lab-tools:1"
COREDNS_IMAGE = "localhost/coredns:1"
PAUSE_IMAGE = "localhost/pause:1"
CALICO_IMAGES = {name: f"docker.io/calico/{name}:v3.28.5" for name in ("node", "cni", "kube-controllers")}
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
SCRIPTS = ("rc.local", "restart-calico-confd", "run", "start_runit", "versions")
CNI_IMAGE_PLUGINS = ("bandwidth", "host-local", "loopback", "portmap", "tuning")
PATH_VARIABLE = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclasses.dataclass(frozen=True)
class Image:
    """What an image is called, which layers it has (bottom first) and what it runs."""

    names: tuple[str, ...]
    layers: tuple[str, ...]
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    user: str = ""


def image_config(image: Image, diff_ids: t.Mapping[str, str]) -> bytes:
    """The image's configuration (opencontainers/image-spec:config.md)."""
    config = {
        "architecture": ARCHITECTURE,
        "os": "linux",
        "config": {
            "Cmd": list(image.command) or None,
            "Entrypoint": list(image.entrypoint) or None,
            "Env": [PATH_VARIABLE, *image.environment],
            "User": image.user,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_ids[layer]}" for layer in image.layers]},
        "history": [{} for _layer in image.layers],
    }
    return json.dumps(config, sort_keys=True).encode()


def archive_manifest(images: t.Sequence[Image], configs: t.Sequence[bytes]) -> bytes:
    """The archive's manifest.json: one entry an image, layers shared by file name."""
    entries = [
        {
            "Config": f"{hashlib.sha256(config).hexdigest()}.json",
            "RepoTags": list(image.names),
            "Layers": [f"{layer}.tar" for layer in image.layers],
        }
        for image, config in zip(images, configs)
    ]
    return json.dumps(entries, sort_keys=True).encode()


def without_kernel_tunnel(template: str) -> str:
    """Calico's BIRD has one attribute more than Debian's, for IPIP, which the lab does not use: assign something harmless instead."""
    return re.sub(r'krt_tunnel\s*=\s*"[^"]*";', "preference = preference;", template)


def pack(folder: Path, target: Path) -> str:
    """Make a layer of a folder and return its digest."""
    command = ["tar", "--numeric-owner", "--sort=name", "--exclude=./dev/*", "--one-file-system", "-C", str(folder), "-cf", str(target), "."]
    subprocess.run(command, check=True)
    with open(target, "rb") as layer:
        return hashlib.file_digest(layer, "sha256").hexdigest()


def place(source: Path, *targets: Path) -> None:
    """Put a program into a layer; further names are hard links, which the layer keeps."""
    first, *others = targets
    first.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, first)
    for other in others:
        other.parent.mkdir(parents=True, exist_ok=True)
        other.hardlink_to(first)


def fill_calico_node(folder: Path, programs: Path, source: Path) -> None:
    """calico-node: its program, service scripts and templates from the pinned module, BIRD from the base layer."""
    place(programs / "calico-node", folder / "usr/bin/calico-node")
    shutil.copytree(source / "node/filesystem/etc", folder / "etc")
    shutil.copytree(source / "node/filesystem/sbin", folder / "usr/sbin")
    shutil.copytree(source / "confd/etc/calico/confd", folder / "etc/calico/confd", dirs_exist_ok=True)
    for path in folder.rglob("*"):  # a module's files are read-only and have lost their modes
        if path.suffix == ".template":
            path.chmod(0o644)
            path.write_text(without_kernel_tunnel(path.read_text()))
        elif path.is_dir() or path.name in SCRIPTS or path.parent.name == "bin":
            path.chmod(0o755)
        else:
            path.chmod(0o644)
    (folder / "etc/calico/confd/config").mkdir(parents=True, exist_ok=True)
    (folder / "in-the-container").touch()


def fill_layers(folder: Path, programs: t.Mapping[str, Path], source: Path) -> None:
    """Every layer but the base as a folder below C(folder)."""
    calico = programs["calico"]
    place(programs["flannel"] / "flannel", folder / "tools/opt/bin/flanneld")
    place(programs["flannel-cni-plugin"] / "flannel", folder / "tools/opt/cni/flannel")
    fill_calico_node(folder / "calico-node", calico, source)
    plugins = folder / "calico-cni/opt/cni/bin"
    place(calico / "calico", plugins / "calico", plugins / "calico-ipam")
    place(calico / "install", plugins / "install")
    # Calico's own image carries these too: its installer would overwrite the ones on the nodes.
    for name in CNI_IMAGE_PLUGINS:
        place(programs["cni-plugins"] / name, plugins / name)
    place(programs["flannel-cni-plugin"] / "flannel", plugins / "flannel")
    for name in ("kube-controllers", "check-status"):
        place(calico / name, folder / "calico-kube-controllers/usr/bin" / name)
    (folder / "calico-kube-controllers/status").mkdir(parents=True)
    (folder / "calico-kube-controllers/status").chmod(0o777)
    place(programs["coredns"] / "coredns", folder / "coredns/coredns")
    place(programs["pause"] / "pause", folder / "pause/pause")


IMAGES = (
    Image((TOOLS_IMAGE,), ("base", "tools"), command=("sleep", "infinity")),
    Image((CALICO_IMAGES["node"],), ("base", "calico-node"), command=("start_runit",), environment=("SVDIR=/etc/service/enabled",)),
    Image((CALICO_IMAGES["cni"],), ("base", "calico-cni"), command=("/opt/cni/bin/install",)),
    Image((CALICO_IMAGES["kube-controllers"],), ("calico-kube-controllers",), entrypoint=("/usr/bin/kube-controllers",), user="999"),
    Image((COREDNS_IMAGE,), ("coredns",), entrypoint=("/coredns",)),
    Image((PAUSE_IMAGE,), ("pause",), entrypoint=("/pause",), user="65535:65535"),
)


def build_archive(programs: t.Mapping[str, Path], base: Path, source: Path) -> Path:
    """The archive with all images."""

    def build(folder: Path) -> None:
        work = folder / "work"
        fill_layers(work, programs, source)
        digests = {"base": pack(base, folder / "base.tar")}
        for layer in sorted(path.name for path in work.iterdir()):
            digests[layer] = pack(work / layer, folder / f"{layer}.tar")
        configs = [image_config(image, digests) for image in IMAGES]
        with tarfile.open(folder / "images.tar", "w") as archive:
            members = [("manifest.json", archive_manifest(IMAGES, configs))]
            members += [(f"{hashlib.sha256(config).hexdigest()}.json", config) for config in configs]
            for name, data in members:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
            for layer in digests:
                archive.add(folder / f"{layer}.tar", f"{layer}.tar")
                (folder / f"{layer}.tar").unlink()
        shutil.rmtree(work)

    key = key_of(*(str(path.name) for path in programs.values()), base.name, source.name, Path(__file__).read_bytes())
    return publish("images", "images", key, build) / "images.tar"


@dataclasses.dataclass(frozen=True)
class Artifacts:
    """Everything that a lab is made of."""

    programs: dict[str, Path]
    node_root: Path
    images: Path
    calico_manifest: Path

    def program(self, part: str, name: str) -> Path:
        """One program of a part."""
        return self.programs[part] / name


def build_all() -> Artifacts:
    """Build what is not in the cache yet."""
    programs = parts.build_programs()
    source = parts.calico_source()
    return Artifacts(
        programs=programs,
        node_root=rootfs.node_root(),
        images=build_archive(programs, rootfs.image_root(), source),
        calico_manifest=source / "manifests" / "calico.yaml",
    )
